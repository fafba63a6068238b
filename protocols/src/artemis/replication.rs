//! The live side of replication: storing what clients send, copying the journal to a replica, and losing it.
//!
//! A client's operation is complete when the local disk *and* the replica have it. Without a replica, or once it is
//! lost, the local disk is enough.

use sim_core::{ConnectionId, Instant, NodeId, SyncToken};

use super::broker::{Broker, Ctx};
use super::message::{Message, Question, RegistrationProblem, Timer};
use super::state::Phase;

/// The replica of a live.
#[derive(Clone, Debug, Hash)]
pub(super) struct Replicator {
    pub(super) connection: ConnectionId,
    /// Whether the replica wants the NodeID back.
    pub(super) failback: bool,
    stage: Stage,
    /// Appends sent, and how many of them it has confirmed.
    sent: u64,
    confirmed: u64,
    /// When it was last heard, on this broker's clock.
    heard: Instant,
    /// Since when its connection cannot be written to.
    unwritable_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The files are being sent; `next` of `total` messages have been.
    Streaming { next: usize, total: usize },
    /// All is sent; clients stall until the replica confirms it.
    Confirming,
    /// The replica has everything.
    InSync,
    /// ARTEMIS-2892: the remains of a synchronization that failed.
    Stopped,
}

/// A client's send that is not complete.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Pending {
    client: ConnectionId,
    id: u64,
    /// The local sync that it waits for.
    local: SyncToken,
    /// The append that the replica has to confirm.
    append: Option<u64>,
}

impl Replicator {
    pub(super) fn is_in_sync(&self) -> bool {
        self.stage == Stage::InSync
    }

    fn is_running(&self) -> bool {
        self.stage != Stage::Stopped
    }
}

impl Broker {
    // What clients send.

    pub(super) fn on_attach(&mut self, ctx: &mut Ctx<'_>) {
        let Some(client) = ctx.via() else { return };
        if self.phase != Phase::Live {
            return ctx.close(client);
        }
        self.clients.push(client);
        ctx.send_on(client, self.topology());
    }

    pub(super) fn on_send(&mut self, id: u64, ctx: &mut Ctx<'_>) {
        let Some(client) = ctx.via() else { return };
        if self.phase != Phase::Live {
            return;
        }
        if self.locked {
            self.stalled.push_back((client, id));
        } else {
            self.store(client, id, ctx);
        }
    }

    fn store(&mut self, client: ConnectionId, id: u64, ctx: &mut Ctx<'_>) {
        if !self.journal.append(id, ctx) {
            // Sent again after a failure: there is one message, and one answer when it is safe.
            match self.pending.iter_mut().find(|pending| pending.id == id) {
                Some(pending) => pending.client = client,
                None => {
                    ctx.send_on(client, Message::Sent { id });
                }
            }
            return;
        }
        let local = ctx.sync();
        let append = self.forward(id, ctx);
        self.pending.push_back(Pending { client, id, local, append });
    }

    /// Sends a new message to the replica, if there is one.
    fn forward(&mut self, id: u64, ctx: &mut Ctx<'_>) -> Option<u64> {
        let replicator = self.replicator.as_mut().filter(|r| r.is_running())?;
        replicator.sent += 1;
        let sequence = replicator.sent;
        let connection = replicator.connection;
        ctx.send_on(connection, Message::Append { sequence, id, size: self.shared.config.message_bytes });
        if !ctx.is_writable(connection) && replicator.unwritable_since.is_none() {
            replicator.unwritable_since = Some(ctx.now());
            ctx.set_timer(Timer::SlowReplica, self.slow_check());
        }
        Some(sequence)
    }

    pub(super) fn on_replication_response(&mut self, sequence: u64, ctx: &mut Ctx<'_>) {
        let Some(replicator) = self.replicator.as_mut().filter(|r| Some(r.connection) == ctx.via()) else { return };
        replicator.confirmed = sequence;
        replicator.heard = ctx.now();
        self.complete_operations(ctx);
    }

    /// Answers the operations that are safe, in their order.
    pub(super) fn complete_operations(&mut self, ctx: &mut Ctx<'_>) {
        let confirmed = self.replicator.as_ref().map_or(0, |r| r.confirmed);
        while let Some(oldest) = self.pending.front()
            && oldest.local <= self.synced
            && oldest.append.is_none_or(|append| append <= confirmed)
        {
            ctx.send_on(oldest.client, Message::Sent { id: oldest.id });
            self.pending.pop_front();
        }
        if self.phase == Phase::Stopping {
            self.finish_stop_if_drained(ctx);
        }
    }

    // Copying the journal.

    pub(super) fn on_registration(&mut self, from: NodeId, failback: bool, ctx: &mut Ctx<'_>) {
        let Some(connection) = ctx.via() else { return };
        if self.phase == Phase::Stopping || self.peer != Some(from) {
            return ctx.close(connection);
        }
        if self.phase != Phase::Live {
            let problem = RegistrationProblem::Exception;
            ctx.send_on(connection, Message::RegistrationFailed { problem });
            return;
        }
        if self.replicator.is_some() {
            let problem = RegistrationProblem::AlreadyReplicating;
            ctx.send_on(connection, Message::RegistrationFailed { problem });
            return;
        }
        // What an earlier replica announced says nothing about this one.
        self.backup_entry = self.backup_entry.filter(|&backup| backup == self.me);
        self.replicator = Some(Replicator {
            connection,
            failback,
            stage: Stage::Streaming { next: 0, total: self.journal.len() },
            sent: 0,
            confirmed: 0,
            heard: ctx.now(),
            unwritable_since: None,
        });
        ctx.send_on(connection, Message::StartSync { activation: self.journal.activation() });
        self.tell_topology(connection, ctx);
        ctx.set_timer(Timer::Chunk, self.shared.config.sync_chunk_time);
    }

    pub(super) fn send_chunk(&mut self, ctx: &mut Ctx<'_>) {
        let config = &self.shared.config;
        let Some(replicator) = &mut self.replicator else { return };
        let Stage::Streaming { next, total } = &mut replicator.stage else { return };
        if !ctx.is_writable(replicator.connection) {
            // Goes on when it is.
            return;
        }
        if next < total {
            let ids = self.journal.chunk(*next, config.sync_chunk_messages.min(*total - *next));
            *next += ids.len();
            ctx.send_on(replicator.connection, Message::SyncFileChunk { ids, size: config.message_bytes });
        }
        if next < total {
            return ctx.set_timer(Timer::Chunk, config.sync_chunk_time);
        }
        self.end_copy(ctx);
    }

    /// Everything is sent: stalls the clients until the replica has confirmed it.
    fn end_copy(&mut self, ctx: &mut Ctx<'_>) {
        let Some(replicator) = &mut self.replicator else { return };
        ctx.send_on(replicator.connection, Message::SyncDone);
        ctx.mark("sync-done-sent");
        if self.shared.defects.artemis_256a {
            // ARTEMIS-256a: nobody asks whether the replica has it all; a failback sleeps for a while instead.
            replicator.stage = Stage::InSync;
            if replicator.failback {
                ctx.set_timer(Timer::FailbackDelay, self.shared.config.failback_delay);
            }
            return;
        }
        replicator.stage = Stage::Confirming;
        self.locked = true;
        ctx.set_timer(Timer::SyncTimeout, self.shared.config.initial_replication_sync_timeout);
    }

    pub(super) fn on_sync_finished(&mut self, ctx: &mut Ctx<'_>) {
        let Some(replicator) = self.replicator.as_mut().filter(|r| Some(r.connection) == ctx.via()) else { return };
        replicator.heard = ctx.now();
        if replicator.stage != Stage::Confirming {
            return;
        }
        replicator.stage = Stage::InSync;
        ctx.cancel_timer(Timer::SyncTimeout);
        ctx.mark("replica-synced");
        self.unlock(ctx);
        self.prepare_failback(ctx);
    }

    fn unlock(&mut self, ctx: &mut Ctx<'_>) {
        self.locked = false;
        while let Some((client, id)) = self.stalled.pop_front() {
            self.store(client, id, ctx);
        }
    }

    // Losing the replica.

    pub(super) fn on_sync_timeout(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase != Phase::Live || !self.locked {
            return;
        }
        ctx.mark("sync-timed-out");
        if self.cluster_size() <= 2 && !self.shared.defects.artemis_2297 {
            // ARTEMIS-2297: the replica may have everything but for its confirmation, and nobody would keep it from
            // taking over. So this live must not stay.
            return self.stop_now(true, ctx);
        }
        self.drop_replica(ctx);
    }

    fn drop_replica(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(replicator) = &self.replicator {
            ctx.close(replicator.connection);
        }
        self.lose_replica(ctx);
    }

    pub(super) fn on_replica_closed(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if self.replicator.as_ref().is_some_and(|r| r.connection == id) {
            self.lose_replica(ctx);
        }
    }

    /// Goes on without a replica: what waits for it is released.
    fn lose_replica(&mut self, ctx: &mut Ctx<'_>) {
        let Some(lost) = self.replicator.take().filter(Replicator::is_running) else { return };
        for timer in [Timer::Chunk, Timer::SyncTimeout, Timer::SlowReplica, Timer::Announcement, Timer::FailbackDelay] {
            ctx.cancel_timer(timer);
        }
        ctx.mark("replica-lost");
        if self.shared.defects.artemis_2892 && !lost.is_in_sync() {
            // ARTEMIS-2892: the replicator is stopped, but the field that a registration looks at is not cleared.
            self.replicator = Some(Replicator { stage: Stage::Stopped, ..lost.clone() });
        }
        for pending in &mut self.pending {
            pending.append = None;
        }
        self.unlock(ctx);
        self.complete_operations(ctx);
        // A replica that was never told that it has everything cannot take over.
        let could_take_over = !matches!(lost.stage, Stage::Streaming { .. });
        if self.phase == Phase::Live && self.shared.config.vote_on_replication_failure && could_take_over {
            self.start_vote(Question::StayLive, ctx);
        }
    }

    pub(super) fn check_replica(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(replicator) = self.replicator.as_ref().filter(|r| r.is_running())
            && self.is_silent_since(replicator.heard, ctx)
        {
            self.drop_replica(ctx);
        }
    }

    pub(super) fn on_ping(&mut self, ctx: &mut Ctx<'_>) {
        let Some(via) = ctx.via() else { return };
        if self.heard_sighting(via, ctx.now()) {
            return;
        }
        if let Some(replicator) = self.replicator.as_mut().filter(|r| r.connection == via) {
            replicator.heard = ctx.now();
        }
        ctx.send_on(via, Message::Pong);
    }

    // A slow replica.

    fn slow_check(&self) -> std::time::Duration {
        self.shared.config.call_timeout.min(std::time::Duration::from_secs(1))
    }

    pub(super) fn on_slow_replica(&mut self, ctx: &mut Ctx<'_>) {
        let Some(replicator) = &self.replicator else { return };
        let Some(since) = replicator.unwritable_since else { return };
        if ctx.now().since(since) < self.shared.config.call_timeout {
            return ctx.set_timer(Timer::SlowReplica, self.slow_check());
        }
        ctx.mark("replica-too-slow");
        if self.shared.defects.artemis_1966 {
            // ARTEMIS-1966: only the replication channel ends; on the connection that stays, the replica hears
            // nothing that would tell it.
            return self.lose_replica(ctx);
        }
        self.drop_replica(ctx);
    }

    pub(super) fn on_writable(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if let Some(replicator) = self.replicator.as_mut().filter(|r| r.connection == id) {
            replicator.unwritable_since = None;
            ctx.cancel_timer(Timer::SlowReplica);
            if matches!(replicator.stage, Stage::Streaming { .. }) {
                ctx.set_timer(Timer::Chunk, self.shared.config.sync_chunk_time);
            }
        }
    }
}
