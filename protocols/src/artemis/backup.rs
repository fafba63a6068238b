//! The backup side of replication: registering, copying the journal, staying up to date, and losing the live.

use std::collections::VecDeque;
use std::time::Duration;

use sim_core::{CloseReason, ConnectionId, Instant, NodeId, SyncToken};

use super::broker::{Broker, Ctx, Durable};
use super::message::{Message, Question, RegistrationProblem, Stopping, Timer};
use super::state::{Happening, Phase};

/// The live as its replica sees it.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Replica {
    pub(super) connection: Option<ConnectionId>,
    /// The live's activation.
    pub(super) source: u64,
    /// Whether the live has begun to hand over.
    pub(super) stop_called: bool,
    /// Whether this backup has announced itself.
    pub(super) announced: bool,
    /// Whether the last attempt to register has failed.
    failed: bool,
    /// When the live was last heard, on this broker's clock.
    heard: Instant,
    /// Appends that are not durable yet, with the sync that makes them so.
    unanswered: VecDeque<(SyncToken, u64)>,
    /// ARTEMIS-1303: how many messages there were when the reload began that is still running.
    reloading: Option<usize>,
}

/// How a backup and its live were parted when the backup began to vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parting {
    /// The connection with the live, if it was still there.
    pub connection: Option<ConnectionId>,
    /// For how long the live had not been heard, on the backup's clock.
    pub silence: Duration,
}

impl Broker {
    fn is_from_live(&self, ctx: &Ctx<'_>) -> bool {
        self.replica.connection.is_some() && self.replica.connection == ctx.via()
    }

    pub(super) fn heard_live(&mut self, ctx: &Ctx<'_>) {
        if self.is_from_live(ctx) {
            self.replica.heard = ctx.now();
        }
    }

    // Registering.

    pub(super) fn register(&mut self, ctx: &mut Ctx<'_>) {
        let Some(peer) = self.peer.filter(|_| self.phase == Phase::Searching) else { return };
        if self.replica.failed && self.may_serve() {
            // The live that was found has gone before anything was copied from it: this copy may be the best there is.
            self.replica = Replica::default();
            self.step(Happening::LosesTrack);
            return self.look_for_live(ctx);
        }
        self.replica.connection = Some(ctx.connect(peer));
    }

    pub(super) fn on_replication_opened(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if self.replica.connection == Some(id) {
            self.replica.heard = ctx.now();
            ctx.send_on(id, Message::BackupRegistration { failback: self.primary });
            ctx.set_timer(Timer::FailureCheck, self.shared.config.client_failure_check_period);
        }
    }

    pub(super) fn on_replication_refused(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if self.replica.connection == Some(id) {
            self.register_later(ctx);
        }
    }

    fn register_later(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(connection) = self.replica.connection.take() {
            ctx.close(connection);
        }
        self.replica.failed = true;
        ctx.cancel_timer(Timer::FailureCheck);
        ctx.set_timer(Timer::Register, self.shared.config.retry_replication_wait);
    }

    pub(super) fn on_registration_failed(&mut self, problem: RegistrationProblem, ctx: &mut Ctx<'_>) {
        if !self.is_from_live(ctx) || self.phase != Phase::Searching {
            return;
        }
        match problem {
            // ALREADY_REPLICATING: another live would be tried; there is one only, so it is tried later.
            RegistrationProblem::AlreadyReplicating => self.register_later(ctx),
            // FAILURE_REPLICATING.
            RegistrationProblem::Exception => {
                self.step(Happening::Refused);
                self.retire(false, ctx);
            }
        }
    }

    // Copying.

    pub(super) fn on_start_sync(&mut self, activation: u64, ctx: &mut Ctx<'_>) {
        if !self.is_from_live(ctx) || self.phase != Phase::Searching {
            return;
        }
        self.heard_live(ctx);
        self.step(Happening::SyncBegins);
        self.replica.source = activation;
        self.journal.begin_copy(ctx);
        ctx.sync();
        ctx.mark("sync-started");
    }

    pub(super) fn on_chunk(&mut self, ids: &[u64], ctx: &mut Ctx<'_>) {
        if self.is_from_live(ctx) && self.phase == Phase::Syncing {
            self.heard_live(ctx);
            for &id in ids {
                self.journal.append(id, ctx);
            }
        }
    }

    pub(super) fn on_append(&mut self, sequence: u64, id: u64, ctx: &mut Ctx<'_>) {
        if self.is_from_live(ctx) && matches!(self.phase, Phase::Syncing | Phase::UpToDate) {
            self.heard_live(ctx);
            self.journal.append(id, ctx);
            let token = ctx.sync();
            self.replica.unanswered.push_back((token, sequence));
        }
    }

    pub(super) fn answer_appends(&mut self, ctx: &mut Ctx<'_>) {
        let mut last = None;
        while let Some(&(token, sequence)) = self.replica.unanswered.front()
            && token <= self.synced
        {
            last = Some(sequence);
            self.replica.unanswered.pop_front();
        }
        if let (Some(sequence), Some(connection)) = (last, self.replica.connection) {
            ctx.send_on(connection, Message::ReplicationResponse { sequence });
        }
    }

    pub(super) fn on_sync_done(&mut self, ctx: &mut Ctx<'_>) {
        if !self.is_from_live(ctx) || self.phase != Phase::Syncing {
            return;
        }
        self.heard_live(ctx);
        self.attempt += 1;
        if self.shared.defects.artemis_1269 {
            // ARTEMIS-1269: the thread that reads packets waits for a packet, until the call times out.
            ctx.busy(self.shared.config.call_timeout);
            return self.retry_later(ctx);
        }
        ctx.run_job(self.shared.config.apply_time, Timer::Applied(self.attempt));
        if self.shared.defects.artemis_1303 {
            // ARTEMIS-1303: the reload is still running when the live is told to go on.
            self.replica.reloading = Some(self.journal.len());
            self.finish_copy(ctx);
        }
    }

    pub(super) fn on_applied(&mut self, attempt: u32, ctx: &mut Ctx<'_>) {
        if self.attempt != attempt {
            return;
        }
        if let Some(count) = self.replica.reloading.take() {
            return self.journal.forget_after(count);
        }
        if self.phase != Phase::Syncing {
            return;
        }
        if self.shared.defects.artemis_2297 {
            // ARTEMIS-2297: votes are enabled before the live knows.
            self.become_up_to_date(ctx);
        }
        self.finish_copy(ctx);
    }

    fn finish_copy(&mut self, ctx: &mut Ctx<'_>) {
        self.journal.complete_copy(self.replica.source, ctx);
        self.make_durable(Durable::Copy, ctx);
    }

    /// The copy is durable: first the live is told, then this backup counts as up to date.
    pub(super) fn on_copy_durable(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(connection) = self.replica.connection {
            ctx.send_on(connection, Message::SyncFinishedAck);
        }
        if self.phase == Phase::Syncing {
            self.become_up_to_date(ctx);
        }
    }

    fn become_up_to_date(&mut self, ctx: &mut Ctx<'_>) {
        self.step(Happening::SyncConfirmed);
        ctx.mark("backup-up-to-date");
        ctx.set_timer(Timer::Announce, self.shared.config.backup_announce_time);
    }

    pub(super) fn announce_backup(&mut self, ctx: &mut Ctx<'_>) {
        if let (Some(connection), Phase::UpToDate, Some(live)) = (self.replica.connection, self.phase, self.peer) {
            self.replica.announced = true;
            self.backup_entry = Some(self.me);
            let event = self.replica.source;
            ctx.send_on(connection, Message::NodeAnnounced { pair: self.pair, live, backup: Some(self.me), event });
            ctx.mark("backup-announced");
        }
    }

    // The live's end.

    pub(super) fn on_primary_stopping(&mut self, step: Stopping, ctx: &mut Ctx<'_>) {
        if !self.is_from_live(ctx) {
            return;
        }
        match (step, self.phase) {
            (Stopping::StopCalled, Phase::UpToDate) => {
                self.replica.stop_called = true;
                ctx.cancel_timer(Timer::FailureCheck);
                ctx.set_timer(Timer::ForcedFailover, self.shared.config.forced_failover_timeout);
            }
            (Stopping::FailOver, Phase::UpToDate) => self.fail_over(ctx),
            // Not up to date: never activates.
            (Stopping::FailOver, Phase::Syncing) => self.retry_later(ctx),
            _ => {}
        }
    }

    /// The live has handed over, or was long in doing so.
    pub(super) fn fail_over(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase == Phase::UpToDate {
            self.take_over(Happening::FailOver, ctx);
        }
    }

    pub(super) fn take_over(&mut self, happening: Happening, ctx: &mut Ctx<'_>) {
        assert!(self.journal.is_complete(), "a backup without a complete copy takes over");
        self.leave_live(ctx);
        self.search.takes_over = true;
        self.activate(happening, ctx);
    }

    /// Closes what is left of the connection with the live.
    fn leave_live(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(connection) = self.replica.connection {
            ctx.close(connection);
        }
        self.replica = Replica::default();
        self.sightings.clear();
        for timer in [Timer::FailureCheck, Timer::Announce, Timer::ForcedFailover] {
            ctx.cancel_timer(timer);
        }
    }

    pub(super) fn on_live_closed(&mut self, peer: NodeId, id: ConnectionId, _why: CloseReason, ctx: &mut Ctx<'_>) {
        if self.peer == Some(peer) && self.replica.connection == Some(id) {
            self.replica.connection = None;
            self.lose_live(ctx);
        }
    }

    /// Pings the live, and looks whether it has been silent for a whole period.
    pub(super) fn check_live(&mut self, ctx: &mut Ctx<'_>) {
        let Some(connection) = self.replica.connection else { return };
        let silence = ctx.now().since(self.replica.heard);
        // ARTEMIS-131: the session's failure is noticed by nobody as long as its connection seems to be there.
        if silence > self.shared.config.client_failure_check_period && !self.shared.defects.artemis_131 {
            return self.lose_live(ctx);
        }
        ctx.send_on(connection, Message::Ping);
        ctx.set_timer(Timer::FailureCheck, self.shared.config.client_failure_check_period);
    }

    /// The live is gone, or cannot be told from one that is.
    pub(super) fn lose_live(&mut self, ctx: &mut Ctx<'_>) {
        match self.phase {
            Phase::Searching => self.register_later(ctx),
            Phase::Syncing => self.retry_later(ctx),
            // It said that it would go: FAIL_OVER or its timeout decides.
            Phase::UpToDate if self.replica.stop_called => {}
            Phase::UpToDate => {
                self.step(Happening::LosesLive);
                let silence = ctx.now().since(self.replica.heard);
                self.parting = Some(Parting { connection: self.replica.connection, silence });
                self.leave_live(ctx);
                ctx.mark("failover-started");
                self.start_vote(Question::FailOver, ctx);
            }
            _ => {}
        }
    }

    /// FAILURE_RETRY without being up to date: stops, and starts again as a backup.
    fn retry_later(&mut self, ctx: &mut Ctx<'_>) {
        self.step(Happening::FailureRetry);
        self.retire(true, ctx);
    }
}
