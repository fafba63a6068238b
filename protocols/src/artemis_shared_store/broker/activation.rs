//! How a broker comes to serve: the state byte, the locks, and the journal.

use super::{Broker, Context};
use crate::artemis_shared_store::store::Journal;
use crate::artemis_shared_store::{Event, Lock, LockState, Message, Phase, RECORDS_PER_READ, Timer};
use crate::transitions::StateMachine;

impl Broker {
    /// Does again what the phase is waiting for.
    pub(super) fn poll(&mut self, ctx: &mut Context) {
        let request = match self.phase {
            Phase::Probing | Phase::AwaitingPrimary => Message::TryLock(Lock::Primary),
            Phase::AwaitingBackup => Message::TryLock(Lock::Backup),
            Phase::Passive | Phase::AwaitingPeer => Message::ReadState,
            other => unreachable!("nothing is polled for in {other:?}"),
        };
        self.mount().ask(request, ctx);
    }

    fn poll_later(&mut self, ctx: &mut Context) {
        ctx.set_timer(Timer::Poll, self.settings.config.store_poll);
    }

    pub(super) fn locked(&mut self, lock: Lock, granted: bool, ctx: &mut Context) {
        match (self.phase, lock) {
            // Somebody serves: tell that broker who wants to be its backup, and only then ask for the place.
            (Phase::Probing, Lock::Primary) if !granted => {
                self.announce(ctx);
                self.request_place(ctx);
            }
            (Phase::Probing, Lock::Primary) => self.mount().ask(Message::Unlock(Lock::Primary), ctx),
            (Phase::AwaitingPrimary, Lock::Primary) if granted => self.claim(ctx),
            (Phase::AwaitingPrimary, Lock::Primary) => {
                // The backup may have taken over since nobody was found serving, and it will not fail back to a broker
                // that it has not heard of.
                if !self.settings.defects.announces_once {
                    self.announce(ctx); // ART-L6
                }
                self.poll_later(ctx);
            }
            (Phase::AwaitingBackup, Lock::Backup) if granted => {
                self.phase.step(Event::BackupLocked);
                self.announce(ctx);
                self.poll(ctx);
            }
            (Phase::Passive, Lock::Primary) if granted => {
                self.phase.step(Event::PrimaryFree);
                self.mount().ask(Message::ReadState, ctx);
            }
            (Phase::AwaitingBackup, Lock::Backup) | (Phase::Passive, Lock::Primary) => self.poll_later(ctx),
            (phase, lock) => unreachable!("{phase:?} has not asked for the {lock:?} lock"),
        }
    }

    /// The probe is over and nobody serves, or a lock is given back.
    pub(super) fn unlocked(&mut self, lock: Lock, ctx: &mut Context) {
        match (self.phase, lock) {
            (Phase::Probing, Lock::Primary) => self.request_place(ctx),
            (Phase::HandingOver, Lock::Primary) => self.released(ctx),
            (Phase::ShuttingDown, Lock::Primary) => ctx.halt(),
            _ => {}
        }
    }

    fn request_place(&mut self, ctx: &mut Context) {
        self.phase.step(Event::Probed);
        self.mount().ask(Message::WriteState(LockState::FailingBack), ctx);
    }

    pub(super) fn state_written(&mut self, state: LockState, ctx: &mut Context) {
        match (self.phase, state) {
            (Phase::Requesting, LockState::FailingBack) => {
                ctx.mark("failback-requested");
                self.phase.step(Event::Requested);
                self.poll(ctx);
            }
            (Phase::HandingOver, _) | (Phase::ShuttingDown, LockState::Paused) => {
                self.mount().ask(Message::Unlock(Lock::Primary), ctx);
            }
            _ => {}
        }
    }

    pub(super) fn state_read(&mut self, state: LockState, ctx: &mut Context) {
        match (self.phase, state) {
            (Phase::Passive, LockState::NotStarted) => self.poll_later(ctx),
            (Phase::Passive, _) => self.mount().ask(Message::TryLock(Lock::Primary), ctx),
            (Phase::Verifying, LockState::Live) => self.claim(ctx),
            (Phase::Verifying, _) => {
                self.mount().ask(Message::Unlock(Lock::Primary), ctx);
                self.phase.step(Event::NotDead);
                self.poll_later(ctx);
            }
            (Phase::AwaitingPeer, LockState::Live) => self.become_backup(ctx),
            (Phase::AwaitingPeer, _) => self.poll_later(ctx),
            (Phase::Live, state) => self.failback_flag(state, ctx),
            // Asked while it served.
            (Phase::HandingOver | Phase::ShuttingDown, _) => {}
            (phase, _) => unreachable!("{phase:?} has not asked for the state"),
        }
    }

    /// The primary lock is this broker's: says so to whoever believes the same of itself.
    fn claim(&mut self, ctx: &mut Context) {
        self.phase.step(Event::PrimaryTaken);
        self.close_announcer(ctx);
        if self.settings.defects.live_before_serving && self.me == self.settings.live {
            self.mount().ask(Message::WriteState(LockState::Live), ctx); // ARTEMIS-256b
        }
        self.mount().ask(Message::Touch, ctx);
    }

    pub(super) fn lock_file_touched(&mut self, modified: u64, ctx: &mut Context) {
        self.touched = modified;
        self.phase.step(Event::Touched);
        self.activation += 1;
        self.journal = Journal::default();
        ctx.set_timer(Timer::Monitor, self.settings.config.lock_monitor);
        self.mount().ask(Message::ReadJournal { from: 0 }, ctx);
    }

    pub(super) fn journal_read(&mut self, values: &[u64], ctx: &mut Context) {
        for &value in values {
            self.journal.write(self.journal.end(), value);
        }
        if values.len() == RECORDS_PER_READ {
            let from = self.journal.end();
            return self.mount().ask(Message::ReadJournal { from }, ctx);
        }
        let config = &self.settings.config;
        let load = config.journal_load + config.journal_load_per_record * self.journal.end() as u32;
        ctx.run_job(load, Timer::Loaded(self.activation));
    }

    /// The journal is loaded: opens the acceptors and, last, says so in the lock file.
    pub(super) fn loaded(&mut self, activation: u32, ctx: &mut Context) {
        if activation != self.activation || self.phase != Phase::Loading {
            return;
        }
        self.phase.step(Event::Loaded);
        ctx.listen(true);
        if self.me == self.settings.live {
            self.mount().ask(Message::WriteState(LockState::Live), ctx);
            ctx.mark(if self.returning { "failback-complete" } else { "live-started" });
        } else {
            self.mount().ask(Message::Unlock(Lock::Backup), ctx);
            ctx.mark("failover-complete");
            if self.settings.config.allow_failback {
                ctx.set_timer(Timer::FailbackCheck, self.settings.config.failback_check);
            }
        }
    }
}
