//! Starting: whether a broker may serve its NodeID, and what it does until it does.
//!
//! A broker whose copy entitles it to serve first looks whether its peer serves already (or is about to), then asks
//! the cluster. Only when both say that the NodeID is free does it load its journal and go LIVE. The question to the
//! cluster, the durable marks of an incomplete copy and of a former live are proposed fixes (ART-L2, L3, L4): upstream
//! looks for its peer only.

use sim_core::NodeId;

use super::broker::{Broker, Ctx, Durable};
use super::message::{Claim, Message, Question, Timer};
use super::state::{Happening, Phase};

/// How a starting broker's search for its peer goes.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Search {
    /// Tells the answers to this search from late ones.
    round: u32,
    /// Whether the peer said that it is about to serve.
    claimed: bool,
    /// Whether a stopped broker is to start again.
    pub(super) restarts: bool,
    /// Whether it takes over from a live rather than starts on its own.
    pub(super) takes_over: bool,
}

impl Broker {
    /// Starts, or starts again.
    pub(super) fn boot(&mut self, ctx: &mut Ctx<'_>) {
        self.search = Search::default();
        if !self.may_serve() {
            self.step(Happening::StartsAsBackup);
            return self.register(ctx);
        }
        self.step(Happening::StartsAsCandidate);
        match self.peer {
            Some(_) => self.look_for_live(ctx),
            // Nobody else can serve the NodeID.
            None => self.activate(Happening::FindsNobody, ctx),
        }
    }

    /// Whether the broker's copy of the journal entitles it to serve without having been told to take over.
    pub(super) fn may_serve(&self) -> bool {
        let defects = &self.shared.defects;
        // ART-L4: a backup that had taken over is the live one until it hands back, restarts included.
        let claims = self.primary || (self.journal.was_live() && !defects.art_l4);
        // ART-L3: a copy that was cut short has lost what its predecessor acknowledged.
        claims && (self.journal.is_complete() || defects.art_l3)
    }

    pub(super) fn look_for_live(&mut self, ctx: &mut Ctx<'_>) {
        self.search.round = ctx.random() as u32;
        self.search.claimed = false;
        self.probe(ctx);
        ctx.set_timer(Timer::ProbeEnds, self.shared.config.startup_probe_timeout);
    }

    pub(super) fn probe(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(peer) = self.peer {
            ctx.send(peer, Message::Probe { round: self.search.round, activation: self.journal.activation() });
            ctx.set_timer(Timer::ProbeAgain, self.shared.config.cluster_retry_interval);
        }
    }

    pub(super) fn on_probe(&mut self, from: NodeId, round: u32, activation: u64, ctx: &mut Ctx<'_>) {
        if self.peer != Some(from) {
            return;
        }
        if matches!(self.phase, Phase::Syncing | Phase::UpToDate) && !self.replica.stop_called {
            if activation < self.replica.source {
                // From before the live went LIVE, and late.
                return;
            }
            // The live that is being replicated has restarted: its old self is gone, whatever the connection says.
            self.lose_live(ctx);
        }
        if self.phase == Phase::Starting && (activation, !self.primary) > (self.journal.activation(), self.primary) {
            // The answer lets the peer, which is the other of primary and backup, go LIVE. So this broker may not do
            // so as well, even if its own search ends before it probes again.
            self.search.claimed = true;
        }
        let claim = match self.phase {
            Phase::Live => Claim::Live,
            Phase::Activating | Phase::Voting | Phase::UpToDate => Claim::Claiming,
            Phase::Starting => Claim::Candidate { activation: self.journal.activation(), primary: self.primary },
            Phase::Searching | Phase::Syncing | Phase::Stopping => Claim::Passive,
            Phase::Stopped if self.search.restarts => Claim::Passive,
            Phase::Stopped => return,
        };
        ctx.send(from, Message::ProbeReply { round, claim });
    }

    pub(super) fn on_probe_reply(&mut self, round: u32, claim: Claim, ctx: &mut Ctx<'_>) {
        if self.phase != Phase::Starting || round != self.search.round {
            return;
        }
        match claim {
            Claim::Live => {
                self.end_search(ctx);
                self.cancel_vote(ctx);
                self.step(Happening::FindsLive);
                self.register(ctx);
            }
            Claim::Claiming => self.search.claimed = true,
            Claim::Candidate { activation, primary }
                if (activation, primary) > (self.journal.activation(), self.primary) =>
            {
                self.search.claimed = true;
            }
            Claim::Candidate { .. } | Claim::Passive => self.ask_to_start(ctx),
        }
    }

    pub(super) fn probe_ended(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::take(&mut self.search.claimed) {
            // The peer is about to serve, or to give up: either shows in its next answer.
            return ctx.set_timer(Timer::ProbeEnds, self.shared.config.startup_probe_timeout);
        }
        self.ask_to_start(ctx);
    }

    fn end_search(&mut self, ctx: &mut Ctx<'_>) {
        ctx.cancel_timer(Timer::ProbeAgain);
        ctx.cancel_timer(Timer::ProbeEnds);
    }

    fn ask_to_start(&mut self, ctx: &mut Ctx<'_>) {
        self.end_search(ctx);
        if self.shared.defects.art_l2 {
            // ART-L2: no answer is taken for "nobody serves", though it may as well mean "I am cut off".
            return self.activate(Happening::FindsNobody, ctx);
        }
        if self.vote.is_none() {
            self.start_vote(Question::Start, ctx);
        }
    }

    /// Loads the journal; LIVE comes after that.
    pub(super) fn activate(&mut self, happening: Happening, ctx: &mut Ctx<'_>) {
        self.step(happening);
        self.attempt += 1;
        ctx.run_job(self.shared.config.activation_time, Timer::Loaded(self.attempt));
        if self.shared.defects.activemq6_86 {
            // ACTIVEMQ6-86: acceptors are open before there is anything behind them.
            ctx.listen(true);
        }
    }

    pub(super) fn on_loaded(&mut self, attempt: u32, ctx: &mut Ctx<'_>) {
        if self.phase == Phase::Activating && self.attempt == attempt {
            self.journal.activate(ctx);
            self.make_durable(Durable::Activation, ctx);
        }
    }

    /// The activation is durable: LIVE, and only now open to clients and backups.
    pub(super) fn on_activated(&mut self, ctx: &mut Ctx<'_>) {
        self.step(Happening::Activated);
        self.live_entry = self.me;
        ctx.listen(true);
        ctx.set_timer(Timer::FailureCheck, self.shared.config.client_failure_check_period);
        self.link_up(ctx);
        self.abstain_at_first(ctx);
        if self.search.takes_over {
            ctx.mark(if self.primary { "failback-complete" } else { "failover-complete" });
        }
        ctx.mark("live");
    }
}
