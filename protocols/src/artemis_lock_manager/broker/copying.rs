//! A live and its replica: the initial copy, its confirmation, the loss of the replica, and handing over to it.

use sim_core::ConnectionId;

use super::{Broker, Context};
use crate::artemis_lock_manager::{Event, Message, Phase, Stopping, Timer};
use crate::transitions::StateMachine;

/// What a live has for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// None.
    None,
    /// One that is being sent the journal as it was when it registered; what is newer follows by itself.
    Copying {
        /// The connection.
        on: ConnectionId,
        /// Messages sent so far.
        sent: usize,
        /// Messages to send.
        until: usize,
        /// Whether it wants the place.
        failback: bool,
    },
    /// One that has been sent everything and has not confirmed it. It may already believe itself up to date.
    Finishing {
        /// The connection.
        on: ConnectionId,
        /// Whether it wants the place.
        failback: bool,
    },
    /// One that is up to date.
    UpToDate {
        /// The connection.
        on: ConnectionId,
    },
}

impl Link {
    fn on(self) -> Option<ConnectionId> {
        match self {
            Link::None => None,
            Link::Copying { on, .. } | Link::Finishing { on, .. } | Link::UpToDate { on } => Some(on),
        }
    }

    /// The connection to a replica that could activate with what it has.
    pub(super) fn complete(self) -> Option<ConnectionId> {
        match self {
            Link::None | Link::Copying { .. } => None,
            Link::Finishing { on, .. } | Link::UpToDate { on } => Some(on),
        }
    }
}

impl Broker {
    pub(super) fn registration(&mut self, failback: bool, ctx: &mut Context) {
        let Some(on) = ctx.via() else { return };
        if self.phase != Phase::Live || self.link != Link::None || self.raising || self.stopping {
            ctx.send_on(on, Message::RegistrationFailed);
            return;
        }
        self.link = Link::Copying { on, sent: 0, until: self.journal.len(), failback };
        ctx.send_on(on, Message::StartSync);
        ctx.set_timer(Timer::FailureCheck, self.settings.config.failure_check);
        self.send_chunks(ctx);
    }

    pub(super) fn writable(&mut self, connection: ConnectionId, ctx: &mut Context) {
        if self.link.on() == Some(connection) {
            self.send_chunks(ctx);
        }
    }

    /// Sends as much of the copy as the connection takes. After the last chunk the clients are stalled, so that nothing
    /// comes between the end of the copy and its confirmation.
    fn send_chunks(&mut self, ctx: &mut Context) {
        let Link::Copying { on, mut sent, until, failback } = self.link else { return };
        while sent < until && ctx.is_writable(on) {
            let ids = self.journal.chunk(sent, self.settings.config.chunk_messages.min(until - sent));
            sent += ids.len();
            ctx.send_on(on, Message::SyncFileChunk { ids, size: self.settings.config.message_bytes });
        }
        self.link = Link::Copying { on, sent, until, failback };
        if sent == until {
            self.link = Link::Finishing { on, failback };
            ctx.send_on(on, Message::SyncDone { activation: self.journal.activation() });
            ctx.set_timer(Timer::SyncTimeout, self.settings.config.initial_replication_sync_timeout);
        }
    }

    pub(super) fn copy_confirmed(&mut self, ctx: &mut Context) {
        let Link::Finishing { on, failback } = self.link else { return };
        if ctx.via() != Some(on) {
            return;
        }
        ctx.cancel_timer(Timer::SyncTimeout);
        ctx.mark("replica-up-to-date");
        self.link = Link::UpToDate { on };
        if failback && self.settings.config.allow_failback && !self.stopping {
            return self.hand_over(on, ctx);
        }
        self.release_stalled(ctx);
    }

    pub(super) fn ping(&mut self, ctx: &mut Context) {
        if let Some(on) = self.link.on() {
            ctx.send_on(on, Message::Ping);
            ctx.set_timer(Timer::FailureCheck, self.settings.config.failure_check);
        }
    }

    pub(super) fn served_connection_closed(&mut self, connection: ConnectionId, ctx: &mut Context) {
        if self.link.on() == Some(connection) {
            return self.replica_lost(ctx);
        }
        self.stalled.retain(|&(_, client)| client != connection);
        for pending in self.pending.values_mut() {
            pending.clients.retain(|&client| client != connection);
        }
    }

    /// The replica does not confirm or does not respond.
    pub(super) fn drop_replica(&mut self, ctx: &mut Context) {
        if let Some(on) = self.link.on() {
            ctx.close(on);
            self.replica_lost(ctx);
        }
    }

    /// The replica is gone. If it could activate, the sequence is raised before anything more is acknowledged, so that
    /// the absent replica is stale.
    fn replica_lost(&mut self, ctx: &mut Context) {
        let could_activate = self.link.complete().is_some();
        self.link = Link::None;
        for timer in [Timer::SyncTimeout, Timer::SlowReplica, Timer::FailureCheck] {
            ctx.cancel_timer(timer);
        }
        ctx.mark("replica-lost");
        if could_activate && self.phase == Phase::Live {
            if self.settings.defects.sequence_not_raised {
                return self.serve_alone(ctx); // ARTEMIS-3340
            }
            self.raising = true;
            self.counter = self.journal.activation() as i64;
            self.claim(ctx);
        }
    }

    /// A compare-and-set of the raise is done: the claim, or the commit.
    pub(super) fn raise_step(&mut self, ctx: &mut Context) {
        if self.counter < 0 {
            return self.record_sequence(ctx);
        }
        ctx.mark("sequence-raised");
        self.raising = false;
        self.serve_alone(ctx);
    }

    /// What waits for the replica waits no longer.
    fn serve_alone(&mut self, ctx: &mut Context) {
        for pending in self.pending.values_mut() {
            pending.remote = true;
        }
        self.acknowledge(ctx);
        self.release_stalled(ctx);
    }

    /// Stops serving and tells the replica to take over.
    fn hand_over(&mut self, replica: ConnectionId, ctx: &mut Context) {
        self.phase.step(Event::HandOver);
        ctx.mark("failback-started");
        ctx.send_on(replica, Message::PrimaryStopping(Stopping::StopCalled));
        ctx.listen(false);
        let clients: Vec<ConnectionId> =
            ctx.connections().iter().map(|c| c.id).filter(|&id| id != replica && !self.keeps(id)).collect();
        clients.into_iter().for_each(|client| ctx.close(client));
        self.pending.clear();
        self.stalled.clear();
        ctx.send_on(replica, Message::PrimaryStopping(Stopping::FailOver));
        ctx.close(replica);
        self.link = Link::None;
        for timer in [Timer::SlowReplica, Timer::FailureCheck] {
            ctx.cancel_timer(timer);
        }
        self.unlock(ctx);
    }

    /// The lock is released: waits for the peer to activate.
    pub(super) fn released(&mut self, ctx: &mut Context) {
        if self.phase == Phase::HandingOver {
            self.phase.step(Event::Released);
            ctx.set_timer(Timer::FailbackWait, self.settings.config.failback_wait);
            self.read_counter(ctx);
        }
    }

    pub(super) fn watch_for_next(&mut self, counter: i64, ctx: &mut Context) {
        if counter > self.journal.activation() as i64 {
            ctx.mark("failback-complete");
            self.restart(ctx);
        } else {
            ctx.set_timer(Timer::LockPoll, self.settings.config.lock_poll);
        }
    }
}
