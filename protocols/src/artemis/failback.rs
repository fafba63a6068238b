//! Stopping: handing the NodeID over to a replica (a failback, or an operator's stop), or giving it up at once.
//!
//! An acting live fails back when the returned primary has confirmed its copy *and* has announced itself. It notes
//! durably that it no longer claims the NodeID, says STOP_CALLED, closes its clients, waits until the replica has
//! confirmed what was on its way, says FAIL_OVER, stops, and starts again as a backup.

use super::broker::{Broker, Ctx, Durable};
use super::message::{Message, Stopping, Timer};
use super::replication::Replicator;
use super::state::{Happening, Phase};

/// How a broker stops.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct StopPlan {
    /// Whether it hands back to the primary.
    pub(super) failback: bool,
    /// Whether it starts again.
    restart: bool,
    /// Whether STOP_CALLED is out.
    told: bool,
}

impl Broker {
    /// The replica has confirmed its copy: if it is the primary, it is to have its NodeID back.
    pub(super) fn prepare_failback(&mut self, ctx: &mut Ctx<'_>) {
        if self.wants_failback() {
            ctx.mark("failback-started");
            ctx.set_timer(Timer::Announcement, self.shared.config.backup_announcement_timeout);
            self.fail_back_if_announced(ctx);
        }
    }

    fn wants_failback(&self) -> bool {
        self.phase == Phase::Live
            && self.shared.config.allow_failback
            && self.replicator.as_ref().is_some_and(|r| r.failback && r.is_in_sync())
    }

    /// Fails back, unless the other backup's announcement is yet to come.
    pub(super) fn fail_back_if_announced(&mut self, ctx: &mut Ctx<'_>) {
        // ARTEMIS-423: the topology still shows this broker as the backup that it once was.
        let counts = |backup| backup != self.me || self.shared.defects.artemis_423;
        if self.wants_failback() && self.backup_entry.is_some_and(counts) {
            self.hand_over(true, true, ctx);
        }
    }

    pub(super) fn on_announcement_overdue(&mut self, ctx: &mut Ctx<'_>) {
        if self.wants_failback() {
            ctx.mark("failback-abandoned");
            if let Some(replicator) = &mut self.replicator {
                replicator.failback = false;
            }
        }
    }

    /// ARTEMIS-256a: it has slept, so the replica will be ready.
    pub(super) fn fail_back_after_delay(&mut self, ctx: &mut Ctx<'_>) {
        if self.wants_failback() {
            self.hand_over(true, true, ctx);
        }
    }

    /// An operator's stop.
    pub(super) fn stop_called(&mut self, ctx: &mut Ctx<'_>) {
        match self.phase {
            Phase::Live if self.has_replica() => self.hand_over(false, false, ctx),
            Phase::Live => self.stop_now(false, ctx),
            Phase::Stopping => {
                if let Some(plan) = &mut self.stop {
                    plan.restart = false;
                }
            }
            Phase::Stopped => {
                self.search.restarts = false;
                ctx.cancel_timer(Timer::Restart);
            }
            _ => {
                self.step(Happening::Halted);
                self.retire(false, ctx);
            }
        }
    }

    /// Stops in favour of the replica.
    fn hand_over(&mut self, failback: bool, restart: bool, ctx: &mut Ctx<'_>) {
        self.step(Happening::StopCalled);
        self.stop = Some(StopPlan { failback, restart, told: false });
        ctx.cancel_timer(Timer::Announcement);
        ctx.listen(false);
        self.cancel_vote(ctx);
        self.journal.relinquish(ctx);
        self.make_durable(Durable::Relinquishment, ctx);
    }

    pub(super) fn on_relinquished(&mut self, ctx: &mut Ctx<'_>) {
        let Some(plan) = &mut self.stop else { return };
        plan.told = true;
        if let Some(replicator) = &self.replicator {
            let step = Stopping::StopCalled;
            ctx.send_on(replicator.connection, Message::PrimaryStopping { step });
        }
        let clients = std::mem::take(&mut self.clients);
        let links = std::mem::take(&mut self.links).into_iter().filter_map(|link| link.connection);
        for connection in clients.into_iter().chain(links) {
            ctx.close(connection);
        }
        ctx.set_timer(Timer::TokenRelease, self.shared.config.token_release_timeout);
        self.finish_stop_if_drained(ctx);
    }

    pub(super) fn finish_stop_if_drained(&mut self, ctx: &mut Ctx<'_>) {
        if self.stop.is_some_and(|plan| plan.told) && self.pending.is_empty() {
            self.finish_stop(ctx);
        }
    }

    pub(super) fn on_token_release(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase == Phase::Stopping {
            self.finish_stop(ctx);
        }
    }

    fn finish_stop(&mut self, ctx: &mut Ctx<'_>) {
        let Some(plan) = self.stop.take() else { return };
        if let Some(replicator) = self.replicator.as_ref().filter(|r| Replicator::is_in_sync(r)) {
            ctx.send_on(replicator.connection, Message::PrimaryStopping { step: Stopping::FailOver });
        }
        self.step(Happening::HandedOver);
        self.retire(plan.restart, ctx);
    }

    /// Stops without anybody to hand over to. The claim to the NodeID remains.
    pub(super) fn stop_now(&mut self, restart: bool, ctx: &mut Ctx<'_>) {
        self.step(Happening::StopCalled);
        self.step(Happening::HandedOver);
        self.retire(restart, ctx);
    }

    /// Closes everything that the stopped broker had, and forgets all but its journal.
    pub(super) fn retire(&mut self, restart: bool, ctx: &mut Ctx<'_>) {
        ctx.listen(false);
        let connections: Vec<_> = ctx.connections().iter().map(|c| c.id).collect();
        for connection in connections {
            ctx.close(connection);
        }
        for timer in TIMERS {
            ctx.cancel_timer(timer);
        }
        // ARTEMIS-1842: the thread that votes does not see that the server is stopped.
        if !self.shared.defects.artemis_1842 {
            self.cancel_vote(ctx);
        }
        self.attempt += 1;
        self.durable = None;
        self.replicator = None;
        self.pending.clear();
        self.stalled.clear();
        self.locked = false;
        self.clients.clear();
        self.stop = None;
        self.replica = Default::default();
        self.parting = None;
        self.links.clear();
        self.sightings.clear();
        self.backup_entry = None;
        self.search.restarts = restart;
        if restart {
            ctx.set_timer(Timer::Restart, self.shared.config.retry_replication_wait);
        }
    }
}

/// Every timer of a broker that is not a vote's.
const TIMERS: [Timer; 14] = [
    Timer::ProbeAgain,
    Timer::ProbeEnds,
    Timer::Restart,
    Timer::Register,
    Timer::Chunk,
    Timer::SyncTimeout,
    Timer::FailbackDelay,
    Timer::Announcement,
    Timer::TokenRelease,
    Timer::SlowReplica,
    Timer::FailureCheck,
    Timer::ClusterRetry,
    Timer::Announce,
    Timer::ForcedFailover,
];
