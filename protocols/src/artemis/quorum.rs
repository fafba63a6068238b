//! Votes: a backup that lost its live, a live that lost its replica and a starting broker ask the rest of the cluster.
//!
//! Every other NodeID has one vote. A majority is counted in NodeIDs, not in brokers: of a cluster of up to two,
//! half, rounded down; of a larger one, more than half. A lone pair needs no votes and so has no protection.

use sim_core::{Instant, NodeId};

use super::broker::{Broker, Ctx};
use super::message::{Message, PairId, Question, Timer};
use super::state::{Happening, Phase};

/// A vote that is being held.
#[derive(Clone, Debug, Hash)]
pub(super) struct Vote {
    question: Question,
    /// Tells this vote's replies from late ones.
    round: u32,
    /// Votes held before this one for the same reason.
    attempt: u32,
    needed: usize,
    /// NodeIDs that have replied, a bit each.
    replied: u64,
    /// Replies that count towards the majority.
    counted: usize,
    /// Whether the last reply that said yes also matched: ARTEMIS-2702 goes by this.
    last_matched: bool,
    /// The result, while the network check is awaited.
    result: Option<bool>,
    /// The result of the network check.
    reachable: Option<bool>,
}

/// A voter's promise that it will not tell anybody else that a NodeID is free, or theirs to stay LIVE under.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Promise {
    pub(super) pair: PairId,
    candidate: NodeId,
    /// On this broker's clock.
    until: Instant,
}

impl Broker {
    /// Votes that a majority takes.
    fn votes_needed(&self, size: usize) -> usize {
        if self.shared.defects.artemis_742 {
            // ARTEMIS-742: one is subtracted for the asker, and once more for the NodeID that is asked about.
            return size.saturating_sub(2) / 2;
        }
        if size <= 2 { size / 2 } else { size / 2 + 1 }
    }

    /// The cluster size that majorities are counted in.
    pub(super) fn cluster_size(&self) -> usize {
        usize::try_from(self.shared.config.quorum_size).unwrap_or(self.largest_size)
    }

    /// Votes that another broker would need to replace this one.
    pub(super) fn majority(&self) -> usize {
        self.votes_needed(self.cluster_size()).max(1)
    }

    /// The first of a series of votes.
    pub(super) fn start_vote(&mut self, question: Question, ctx: &mut Ctx<'_>) {
        let round = ctx.random() as u32;
        self.vote = Some(Vote {
            question,
            round,
            attempt: 0,
            needed: self.votes_needed(self.cluster_size()),
            replied: 0,
            counted: 0,
            last_matched: false,
            result: None,
            reachable: None,
        });
        self.ask(ctx);
    }

    pub(super) fn vote_again(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(vote) = &mut self.vote {
            vote.attempt += 1;
            vote.round = vote.round.wrapping_add(1);
            (vote.replied, vote.counted, vote.last_matched) = (0, 0, false);
            (vote.result, vote.reachable) = (None, None);
            self.ask(ctx);
        } else if self.phase == Phase::Starting {
            self.look_for_live(ctx);
        }
    }

    fn ask(&mut self, ctx: &mut Ctx<'_>) {
        let Some(vote) = &self.vote else { return };
        let (question, round, needed) = (vote.question, vote.round, vote.needed);
        let config = &self.shared.config;
        if question == Question::FailOver && !self.shared.ping_targets.is_empty() {
            for &target in &self.shared.ping_targets {
                ctx.send(target, Message::NetworkPing { round });
            }
            ctx.set_timer(Timer::NetworkCheck, config.network_check_timeout);
        }
        if needed == 0 {
            return self.conclude_vote(true, ctx);
        }
        for (other, members) in self.shared.pairs.iter().enumerate().filter(|&(p, _)| p != self.pair.0 as usize) {
            debug_assert!(other < 64, "replies are kept as bits");
            for &member in members {
                ctx.send(member, Message::QuorumVote { pair: self.pair, question, round });
            }
        }
        let wait = if question == Question::StayLive { config.stay_live_vote_wait } else { config.quorum_vote_wait };
        ctx.set_timer(Timer::VoteEnds, wait);
    }

    // The voter.

    /// Whoever has just become LIVE sees only those who have found it again, and does not know whom its NodeID has given
    /// its word before. Both takes a while to be true of it, unless its NodeID was never LIVE before.
    pub(super) fn abstain_at_first(&mut self, ctx: &mut Ctx<'_>) {
        // ART-L9: it votes at once.
        if self.journal.activation() > 1 && !self.shared.defects.art_l9 {
            self.votes_from = ctx.now() + self.shared.config.quorum_vote_wait;
        }
    }

    pub(super) fn on_quorum_vote(
        &mut self,
        from: NodeId,
        pair: PairId,
        question: Question,
        round: u32,
        ctx: &mut Ctx<'_>,
    ) {
        // When a whole cluster starts, nobody is LIVE yet; those that start as well can say what they see.
        let votes = match question {
            Question::Start => matches!(self.phase, Phase::Live | Phase::Starting | Phase::Activating),
            Question::FailOver | Question::StayLive => self.phase == Phase::Live,
        };
        let abstains = question == Question::FailOver && ctx.now() < self.votes_from;
        if !votes || abstains || pair == self.pair {
            return;
        }
        let connector = self.sees(pair);
        let yes = match question {
            // Nor may the old live stay while somebody else may be about to go LIVE on this voter's word. And a live
            // that stays on it must not be replaced on it: this voter may be about to lose sight of a live that is
            // finding its way back.
            Question::StayLive => connector.is_some_and(|live| live != from || self.promise(pair, from, ctx.now())),
            // ARTEMIS-1296: the asker has reached this voter, and that is all that was asked.
            Question::FailOver | Question::Start if self.shared.defects.artemis_1296 => true,
            Question::FailOver | Question::Start => connector.is_none() && self.promise(pair, from, ctx.now()),
        };
        ctx.send(from, Message::VoteReply { voter: self.pair, round, yes, connector });
    }

    /// Whether a NodeID is promised to somebody else than `asker`.
    fn has_promised_other(&self, pair: PairId, asker: NodeId, now: Instant) -> bool {
        self.promises.iter().any(|promise| promise.pair == pair && promise.candidate != asker && promise.until > now)
    }

    /// Promises a candidate that it is the only one who is told that it may be LIVE under the NodeID. False if another
    /// was.
    fn promise(&mut self, pair: PairId, candidate: NodeId, now: Instant) -> bool {
        if self.shared.defects.art_l5 {
            // ART-L5: whoever asks is told, though the one before may be about to go LIVE.
            return true;
        }
        self.promises.retain(|promise| promise.until > now);
        if self.has_promised_other(pair, candidate, now) {
            return false;
        }
        self.promises.retain(|promise| promise.pair != pair);
        let until = now + self.shared.config.quorum_vote_wait;
        self.promises.push(Promise { pair, candidate, until });
        true
    }

    /// The candidate that was told that the NodeID is free has gone LIVE. That somebody else is seen LIVE does not take
    /// the word back: the candidate may be acting on it.
    pub(super) fn fulfil_promise(&mut self, pair: PairId, live: NodeId) {
        self.promises.retain(|promise| promise.pair != pair || promise.candidate != live);
    }

    // Counting.

    pub(super) fn on_vote_reply(
        &mut self,
        voter: PairId,
        round: u32,
        yes: bool,
        connector: Option<NodeId>,
        ctx: &mut Ctx<'_>,
    ) {
        let defects = self.shared.defects;
        let (me, others) = (self.me, self.shared.pairs.len() - 1);
        let Some(vote) = self.vote.as_mut().filter(|v| v.round == round && v.result.is_none()) else { return };
        let bit = 1 << voter.0;
        if vote.replied & bit != 0 {
            return;
        }
        vote.replied |= bit;
        let matches = match vote.question {
            // ARTEMIS-2338: any broker under the NodeID will do, the backup that replaced this live among them.
            Question::StayLive => yes && (connector == Some(me) || defects.artemis_2338),
            Question::FailOver | Question::Start => yes,
        };
        if vote.question == Question::StayLive && defects.artemis_2702 {
            // ARTEMIS-2702: every yes counts, and the last one decides.
            vote.counted += usize::from(yes);
            vote.last_matched = if yes { matches } else { vote.last_matched };
        } else {
            vote.counted += usize::from(matches);
            vote.last_matched = true;
        }
        let all = vote.replied.count_ones() as usize == others;
        let (enough, matched) = (vote.counted >= vote.needed, vote.last_matched);
        if enough && (matched || all) {
            self.conclude_vote(matched, ctx);
        } else if all {
            self.conclude_vote(false, ctx);
        }
    }

    /// The voters have spoken, or have been silent for too long.
    pub(super) fn conclude_vote(&mut self, won: bool, ctx: &mut Ctx<'_>) {
        ctx.cancel_timer(Timer::VoteEnds);
        let checks_network = !self.shared.ping_targets.is_empty();
        let Some(vote) = &mut self.vote else { return };
        vote.result = Some(won);
        if vote.question == Question::FailOver && checks_network && vote.reachable.is_none() {
            return;
        }
        self.decide(ctx);
    }

    pub(super) fn on_network_pong(&mut self, round: u32, ctx: &mut Ctx<'_>) {
        if self.vote.as_ref().is_some_and(|v| v.round == round && v.reachable.is_none()) {
            self.on_network_checked(true, ctx);
        }
    }

    pub(super) fn on_network_check_ended(&mut self, ctx: &mut Ctx<'_>) {
        if self.vote.as_ref().is_some_and(|v| v.reachable.is_none()) {
            self.on_network_checked(false, ctx);
        }
    }

    fn on_network_checked(&mut self, reachable: bool, ctx: &mut Ctx<'_>) {
        ctx.cancel_timer(Timer::NetworkCheck);
        let Some(vote) = &mut self.vote else { return };
        vote.reachable = Some(reachable);
        if vote.result.is_some() {
            self.decide(ctx);
        }
    }

    fn decide(&mut self, ctx: &mut Ctx<'_>) {
        let Some(vote) = &self.vote else { return };
        let won = vote.result.unwrap_or(false);
        match vote.question {
            Question::FailOver => {
                let (attempt, reachable) = (vote.attempt, vote.reachable);
                let go = self.may_fail_over(won, reachable);
                self.end_failover_vote(go, attempt, ctx);
            }
            Question::StayLive => {
                self.vote = None;
                // ARTEMIS-1543: an answer of "you may stay" was taken for "you may not", and the other way round.
                let stay = won != self.shared.defects.artemis_1543;
                ctx.mark(if stay { "stay-live-vote-won" } else { "stay-live-vote-lost" });
                if !stay && self.phase == Phase::Live {
                    self.stop_now(true, ctx);
                }
            }
            Question::Start => {
                self.vote = None;
                if won {
                    self.activate(Happening::FindsNobody, ctx);
                } else {
                    ctx.set_timer(Timer::VoteAgain, self.shared.config.vote_retry_wait);
                }
            }
        }
    }

    /// What the vote and the network check come to together.
    fn may_fail_over(&self, won: bool, reachable: Option<bool>) -> bool {
        let defects = &self.shared.defects;
        let configured = !self.shared.ping_targets.is_empty();
        if defects.artemis_1154 {
            // ARTEMIS-1154: a check of an empty list succeeds, and a check that succeeds says that the live is dead.
            return won || reachable.unwrap_or(true);
        }
        if defects.art_l1 && configured {
            // ART-L1: as above, for a list that is not empty.
            return reachable == Some(true);
        }
        won && (!configured || reachable == Some(true))
    }

    fn end_failover_vote(&mut self, go: bool, attempt: u32, ctx: &mut Ctx<'_>) {
        if self.phase != Phase::Voting {
            // ARTEMIS-1842: the server was stopped, but its vote loop goes on.
            ctx.set_timer(Timer::VoteAgain, self.shared.config.vote_retry_wait);
        } else if go {
            self.cancel_vote(ctx);
            ctx.mark("vote-won");
            self.take_over(Happening::VoteWon, ctx);
        } else if attempt + 1 < self.shared.config.vote_retries {
            ctx.set_timer(Timer::VoteAgain, self.shared.config.vote_retry_wait);
        } else {
            ctx.mark("vote-lost");
            self.cancel_vote(ctx);
            self.step(Happening::VoteLost);
            // ARTEMIS-3039: FAILURE_RETRY is to stop and to start again as a backup, not to stop.
            self.retire(!self.shared.defects.artemis_3039, ctx);
        }
    }

    pub(super) fn cancel_vote(&mut self, ctx: &mut Ctx<'_>) {
        self.vote = None;
        for timer in [Timer::VoteEnds, Timer::VoteAgain, Timer::NetworkCheck] {
            ctx.cancel_timer(timer);
        }
    }
}
