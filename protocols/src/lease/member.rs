//! A member: it supports whoever asked first, and wants the lease itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sim_core::{Constant, Context, Instant, NodeId, SyncToken};

use super::{Config, Defects, Message, Node, Record, State, Step, Timer};
use crate::transitions::StateMachine;

/// A member. All instants are readings of its own clock.
#[derive(Clone, Debug, Hash)]
pub struct Member {
    id: NodeId,
    /// All members, this one included.
    members: Constant<Arc<[NodeId]>>,
    store: Constant<NodeId>,
    config: Constant<Config>,
    defects: Constant<Defects>,
    state: State,
    /// The last promise, to itself or to another; on disk as well.
    promise: Option<Promise>,
    /// Grants to send, and the campaign of its own to start, once the promise behind them is durable.
    unsynced: BTreeMap<SyncToken, Pending>,
    /// The highest epoch that it has heard of.
    highest: u64,
    /// The epoch of its own last campaign: the fencing token while it holds the lease.
    epoch: u64,
    /// Counts its questions.
    round: u64,
    /// When it asked the question that is open.
    asked_at: Instant,
    /// Who has answered it with a grant.
    grants: BTreeSet<NodeId>,
    /// While holding: when the lease ends.
    until: Instant,
    /// Counts the values that it has written.
    written: u64,
}

/// Not to support anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Promise {
    epoch: u64,
    holder: NodeId,
    until: Instant,
}

/// What waits for a promise to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pending {
    /// To ask the others.
    Campaign,
    /// To answer one of them.
    Grant { to: NodeId, epoch: u64, round: u64 },
}

impl Member {
    pub(super) fn new(id: NodeId, members: &Arc<[NodeId]>, store: NodeId, config: &Config, defects: Defects) -> Self {
        Member {
            id,
            members: Constant(members.clone()),
            store: Constant(store),
            config: Constant(config.clone()),
            defects: Constant(defects),
            state: State::Waiting,
            promise: None,
            unsynced: BTreeMap::new(),
            highest: 0,
            epoch: 0,
            round: 0,
            asked_at: Instant::ZERO,
            grants: BTreeSet::new(),
            until: Instant::ZERO,
            written: 0,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it holds the lease when its own clock reads `now`. The state alone does not say so: a process that was
    /// paused still has to find out that its time is over.
    pub fn holds(&self, now: Instant) -> bool {
        self.state == State::Holding && now < self.until
    }

    /// The fencing token of the lease that it holds, or of the last one that it tried to get.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A promise outlives the process. When it was made does not, so it may have been just before.
    pub(super) fn start(&mut self, disk: &[Record], ctx: &mut Context<Node>) {
        if let Some(&Record::Promise { epoch, holder }) = disk.last() {
            self.promise = Some(Promise { epoch, holder, until: ctx.now() + self.config.term });
            self.highest = epoch;
        }
        self.wait(ctx);
    }

    /// Tries again when no promise to another is in the way, and not at the same time as others.
    fn wait(&mut self, ctx: &mut Context<Node>) {
        let after_promise = self.promise_to_another(self.id, ctx.now()).map_or(Duration::ZERO, |p| p.until - ctx.now());
        let backoff = ctx.random_duration(self.config.backoff);
        ctx.set_timer(Timer::Campaign, after_promise + backoff);
    }

    /// The promise that is in force, if it keeps this member from supporting `candidate`.
    fn promise_to_another(&self, candidate: NodeId, now: Instant) -> Option<Promise> {
        self.promise.filter(|promise| promise.holder != candidate && now < promise.until)
    }

    pub(super) fn campaign(&mut self, ctx: &mut Context<Node>) {
        if self.promise_to_another(self.id, ctx.now()).is_some() {
            return self.wait(ctx); // Renewed since.
        }
        self.state.step(Step::Campaign);
        self.epoch = self.highest + 1;
        self.promise(self.id, self.epoch, Pending::Campaign, ctx);
    }

    /// Promises the lease under a new epoch, and does what depends on it when it is durable.
    fn promise(&mut self, holder: NodeId, epoch: u64, then: Pending, ctx: &mut Context<Node>) {
        self.promise = Some(Promise { epoch, holder, until: ctx.now() + self.config.term });
        self.highest = self.highest.max(epoch);
        // Defect forgets-promises: nothing goes to disk.
        if self.defects.forgets_promises {
            return self.durable(then, ctx);
        }
        ctx.write(Record::Promise { epoch, holder });
        self.unsynced.insert(ctx.sync(), then);
    }

    pub(super) fn synced(&mut self, token: SyncToken, ctx: &mut Context<Node>) {
        // What comes later than the token may be durable too, but only its own sync says so.
        let later = self.unsynced.split_off(&SyncToken(token.0 + 1));
        for then in std::mem::replace(&mut self.unsynced, later).into_values() {
            self.durable(then, ctx);
        }
    }

    fn durable(&mut self, then: Pending, ctx: &mut Context<Node>) {
        match then {
            Pending::Campaign if self.has_promised(self.id, self.epoch) => {
                self.state.step(Step::Durable);
                self.ask(ctx);
            }
            // The disk took longer than the promise lasted, and there is a newer one.
            Pending::Campaign => self.step_down(Step::Expire, ctx),
            Pending::Grant { to, epoch, round } => {
                if self.has_promised(to, epoch) {
                    ctx.send(to, Message::Grant { epoch, round });
                }
            }
        }
    }

    /// Whether its last promise is this one.
    fn has_promised(&self, holder: NodeId, epoch: u64) -> bool {
        self.promise.is_some_and(|promise| (promise.holder, promise.epoch) == (holder, epoch))
    }

    /// Asks everybody, for the first time or again. The lease counts from now, before anybody can have promised.
    pub(super) fn ask(&mut self, ctx: &mut Context<Node>) {
        if self.state == State::Holding && !self.holds(ctx.now()) {
            return; // Too late to renew. The timer that ends the lease is late as well, as after a pause.
        }
        let epoch = self.epoch;
        self.round += 1;
        self.asked_at = ctx.now();
        self.grants = BTreeSet::from([self.id]);
        self.promise = Some(Promise { epoch, holder: self.id, until: ctx.now() + self.config.term });
        for &member in self.members.iter().filter(|&&member| member != self.id) {
            ctx.send(member, Message::Ask { epoch, round: self.round });
        }
        if self.state == State::Asking {
            ctx.set_timer(Timer::Expire, self.trusted());
        } else {
            ctx.set_timer(Timer::Renew, self.config.renew_every);
        }
        self.count(ctx); // Of a single member, it is the majority.
    }

    /// For how long after asking it trusts its lease.
    fn trusted(&self) -> Duration {
        // Defect ignores-drift: a term is a term on every clock.
        if self.defects.ignores_drift { self.config.term } else { self.config.usable() }
    }

    pub(super) fn asked(&mut self, from: NodeId, epoch: u64, round: u64, ctx: &mut Context<Node>) {
        let known = self.promise.filter(|promise| epoch <= promise.epoch);
        if self.promise_to_another(from, ctx.now()).is_some()
            || known.is_some_and(|promise| epoch < promise.epoch || promise.holder != from)
        {
            ctx.send(from, Message::Refuse { epoch: self.highest });
            return;
        }
        if known.is_none() {
            return self.promise(from, epoch, Pending::Grant { to: from, epoch, round }, ctx);
        }
        // The same lease again: on disk is all that has to be, unless it is still on its way there.
        self.promise = Some(Promise { epoch, holder: from, until: ctx.now() + self.config.term });
        if self.unsynced.is_empty() {
            ctx.send(from, Message::Grant { epoch, round });
        }
    }

    pub(super) fn granted(&mut self, from: NodeId, epoch: u64, round: u64, ctx: &mut Context<Node>) {
        let open = self.state == State::Asking || self.holds(ctx.now());
        if open && epoch == self.epoch && round == self.round {
            self.grants.insert(from);
            self.count(ctx);
        }
    }

    /// With a majority, the lease is held or renewed.
    fn count(&mut self, ctx: &mut Context<Node>) {
        let until = self.asked_at + self.trusted();
        if self.grants.len() * 2 <= self.members.len() || ctx.now() >= until {
            return;
        }
        self.until = until;
        ctx.set_timer(Timer::Expire, until - ctx.now());
        if self.state == State::Asking {
            self.state.step(Step::Majority);
            ctx.mark("lease-granted");
            ctx.set_timer(Timer::Renew, self.config.renew_every);
            self.write(ctx);
        }
    }

    pub(super) fn refused(&mut self, epoch: u64) {
        // Others may still make up a majority, so a refusal does not end the attempt.
        self.highest = self.highest.max(epoch);
    }

    pub(super) fn expire(&mut self, ctx: &mut Context<Node>) {
        if self.state == State::Holding {
            ctx.mark("lease-expired");
        }
        self.step_down(Step::Expire, ctx);
    }

    pub(super) fn resign(&mut self, ctx: &mut Context<Node>) {
        if self.state == State::Holding {
            ctx.mark("lease-resigned");
            self.step_down(Step::Resign, ctx);
        }
    }

    /// It does not hold the lease from here on, so the promise to itself has no purpose any more.
    fn step_down(&mut self, step: Step, ctx: &mut Context<Node>) {
        self.state.step(step);
        if let Some(promise) = &mut self.promise
            && promise.holder == self.id
        {
            promise.until = ctx.now();
        }
        for timer in [Timer::Expire, Timer::Renew, Timer::Write] {
            ctx.cancel_timer(timer);
        }
        self.wait(ctx);
    }

    /// Writes to the store, if the clock says that the lease is still held.
    pub(super) fn write(&mut self, ctx: &mut Context<Node>) {
        if !self.holds(ctx.now()) {
            return; // As above.
        }
        self.written += 1;
        ctx.send(*self.store, Message::Write { epoch: self.epoch, value: self.written });
        ctx.set_timer(Timer::Write, self.config.write_every);
    }
}
