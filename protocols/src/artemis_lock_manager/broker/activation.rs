//! How a broker comes to serve: counter, lock, counter again, claim, record, commit, load, confirm.

use super::{Broker, Context, Written};
use crate::artemis_lock_manager::{Event, Message, Phase, Settings, Timer};
use crate::transitions::StateMachine;

impl Broker {
    /// The session is open for the first time.
    pub(super) fn joined(&mut self, ctx: &mut Context) {
        if self.journal.is_complete() {
            self.phase.step(Event::Joined);
            self.read_counter(ctx);
        } else {
            self.phase.step(Event::JoinedEmpty);
            self.look_for_live(ctx);
        }
    }

    pub(super) fn read_counter(&mut self, ctx: &mut Context) {
        let request = Message::ReadCounter(self.node_id);
        self.session().ask(request, ctx);
    }

    /// The activation sequence of this broker's copy. It is kept beside the NodeID, and is as new as that.
    fn local(&self) -> i64 {
        if self.node_id == Settings::COORDINATION_ID { self.journal.activation() as i64 } else { 0 }
    }

    /// Whether nobody can have acknowledged anything that this broker's copy lacks.
    fn is_fresh(&self, counter: i64) -> bool {
        if self.settings.defects.lock_alone_decides {
            return true; // ARTEMIS-2716: the lock excludes others, but says nothing of what they did before.
        }
        let local = self.local();
        counter == local || counter == -local || counter == -(local + 1)
    }

    pub(super) fn counter_read(&mut self, counter: i64, ctx: &mut Context) {
        self.counter = counter;
        match self.phase {
            Phase::Evaluating if self.is_fresh(counter) => {
                self.phase.step(Event::Fresh);
                ctx.set_timer(Timer::LockAcquire, self.settings.config.lock_acquire);
                self.poll(ctx);
            }
            Phase::Evaluating => self.stale(ctx),
            Phase::Rechecking if self.is_fresh(counter) && counter < 0 => {
                self.phase.step(Event::Unfinished);
                ctx.mark("sequence-repaired");
                self.record_sequence(ctx);
            }
            Phase::Rechecking if self.is_fresh(counter) => {
                self.phase.step(Event::StillFresh);
                self.claim(ctx);
            }
            Phase::Rechecking => {
                self.unlock(ctx);
                self.stale(ctx);
            }
            Phase::AwaitingNext => self.watch_for_next(counter, ctx),
            phase => unreachable!("{phase:?} has not asked for the counter"),
        }
    }

    fn stale(&mut self, ctx: &mut Context) {
        self.phase.step(Event::Stale);
        ctx.mark("stale");
        self.look_for_live(ctx);
    }

    /// Does again what the phase is waiting for.
    pub(super) fn poll(&mut self, ctx: &mut Context) {
        match self.phase {
            Phase::Locking => {
                let request = Message::TryLock(self.node_id);
                self.session().ask(request, ctx);
            }
            Phase::AwaitingNext => self.read_counter(ctx),
            phase => unreachable!("nothing is polled for in {phase:?}"),
        }
    }

    pub(super) fn locked(&mut self, granted: bool, ctx: &mut Context) {
        match (self.phase, granted) {
            (Phase::Locking, true) => {
                self.phase.step(Event::Locked);
                ctx.cancel_timer(Timer::LockAcquire);
                self.read_counter(ctx);
            }
            (Phase::Locking, false) => ctx.set_timer(Timer::LockPoll, self.settings.config.lock_poll),
            // The attempt had been given up.
            (_, true) => self.unlock(ctx),
            (_, false) => {}
        }
    }

    pub(super) fn unlock(&mut self, ctx: &mut Context) {
        let request = Message::Unlock(self.node_id);
        self.session().ask(request, ctx);
    }

    /// Somebody else has the lock, and keeps it.
    pub(super) fn lock_taken(&mut self, ctx: &mut Context) {
        ctx.cancel_timer(Timer::LockPoll);
        self.phase.step(Event::LockTaken);
        self.look_for_live(ctx);
    }

    /// Claims the number after the committed one that the counter shows.
    pub(super) fn claim(&mut self, ctx: &mut Context) {
        let new = -(self.counter + 1);
        let request = Message::CompareAndSet { lock: self.node_id, expected: self.counter, new };
        self.counter = new;
        self.session().ask(request, ctx);
    }

    pub(super) fn swapped(&mut self, done: bool, ctx: &mut Context) {
        if !done {
            // Another broker has claimed meanwhile: this one has been without the lock.
            return self.restart(ctx);
        }
        match self.phase {
            Phase::Repairing => {
                self.phase.step(Event::Repaired);
                self.claim(ctx);
            }
            Phase::Claiming => {
                self.phase.step(Event::Claimed);
                self.record_sequence(ctx);
            }
            Phase::Committing => {
                self.phase.step(Event::Committed);
                let config = &self.settings.config;
                let load = config.journal_load + config.journal_load_per_message * self.journal.len() as u32;
                ctx.run_job(load, Timer::Loaded(self.epoch));
            }
            Phase::Live => self.raise_step(ctx),
            phase => unreachable!("{phase:?} has not set the counter"),
        }
    }

    /// Writes the claimed number to this disk, to commit it after that. A claim that somebody left unfinished is
    /// finished in the same way and in the same order, so that the counter is never more than one claim ahead of the
    /// copy that it was claimed for, however often a repair is cut short.
    pub(super) fn record_sequence(&mut self, ctx: &mut Context) {
        let sequence = self.counter.unsigned_abs();
        self.journal.activate_as(sequence, ctx);
        self.sync(Written::Sequence(sequence), ctx);
    }

    pub(super) fn sequence_recorded(&mut self, sequence: u64, ctx: &mut Context) {
        if self.phase == Phase::Recording {
            self.phase.step(Event::Recorded);
        }
        self.counter = sequence as i64;
        let request = Message::CompareAndSet { lock: self.node_id, expected: -self.counter, new: self.counter };
        self.session().ask(request, ctx);
    }

    pub(super) fn loaded(&mut self, epoch: u32, ctx: &mut Context) {
        if epoch == self.epoch && self.phase == Phase::Loading {
            self.phase.step(Event::Loaded);
            let request = Message::IsHeld(self.node_id);
            self.session().ask(request, ctx);
        }
    }

    /// The lock manager has said whether the lock has outlived the load.
    pub(super) fn confirmed(&mut self, held: bool, ctx: &mut Context) {
        if !held {
            return self.restart(ctx);
        }
        self.phase.step(Event::Owned);
        ctx.listen(true);
        ctx.mark(match (self.me == self.settings.live, self.counter) {
            (true, 1) => "live-started",
            (true, _) => "primary-live-again",
            (false, _) => "failover-complete",
        });
    }
}
