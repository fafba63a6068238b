//! A backup: finding a live, receiving its copy, keeping up with it, and noticing that it is gone.

use sim_core::ConnectionId;

use super::{Broker, Context, Written};
use crate::artemis_lock_manager::{Event, Message, Phase, Stopping, Timer};
use crate::transitions::StateMachine;

impl Broker {
    pub(super) fn look_for_live(&mut self, ctx: &mut Context) {
        self.source = Some(ctx.connect(self.settings.peer_of(self.me)));
    }

    pub(super) fn register(&mut self, live: ConnectionId, ctx: &mut Context) {
        ctx.send_on(live, Message::BackupRegistration { failback: self.me == self.settings.live });
        self.heard_from_live(ctx);
    }

    /// Whatever comes from the live shows that it is there.
    pub(super) fn heard_from_live(&mut self, ctx: &mut Context) {
        if self.source.is_some() {
            ctx.set_timer(Timer::ConnectionTtl, self.settings.config.connection_ttl);
        }
    }

    /// The live's journal replaces whatever this broker has.
    pub(super) fn copy_begins(&mut self, ctx: &mut Context) {
        self.heard_from_live(ctx);
        self.phase.step(Event::CopyBegun);
        self.journal.begin_copy(ctx);
    }

    pub(super) fn chunk(&mut self, ids: &[u64], ctx: &mut Context) {
        self.heard_from_live(ctx);
        for &id in ids {
            self.journal.append(id, ctx);
        }
    }

    pub(super) fn append(&mut self, id: u64, ctx: &mut Context) {
        self.heard_from_live(ctx);
        self.journal.append(id, ctx);
        self.sync(Written::Replicated(id), ctx);
    }

    /// Another message of the live is on this disk.
    pub(super) fn respond(&mut self, id: u64, ctx: &mut Context) {
        if let Some(live) = self.source {
            ctx.send_on(live, Message::ReplicationResponse { id });
        }
    }

    pub(super) fn copy_ends(&mut self, activation: u64, ctx: &mut Context) {
        self.heard_from_live(ctx);
        self.journal.complete_copy(activation, ctx);
        self.sync(Written::Copy, ctx);
    }

    pub(super) fn up_to_date(&mut self, ctx: &mut Context) {
        if let (Phase::Copying, Some(live)) = (self.phase, self.source) {
            self.phase.step(Event::UpToDate);
            ctx.send_on(live, Message::SyncFinishedAck);
        }
    }

    pub(super) fn live_stopping(&mut self, stopping: Stopping, ctx: &mut Context) {
        match stopping {
            Stopping::StopCalled => self.heard_from_live(ctx),
            Stopping::FailOver => self.live_gone(ctx),
        }
    }

    /// The live does not want this backup, has gone, or has told it to take over.
    pub(super) fn live_gone(&mut self, ctx: &mut Context) {
        ctx.cancel_timer(Timer::ConnectionTtl);
        if let Some(live) = self.source.take()
            && !self.settings.defects.source_left_open
        {
            ctx.close(live); // ARTEMIS-5017
        }
        match self.phase {
            Phase::Replica => {
                self.phase.step(Event::LiveGone);
                self.read_counter(ctx);
            }
            Phase::Copying => {
                self.phase.step(Event::CopyLost);
                ctx.set_timer(Timer::RetryReplication, self.settings.config.retry_replication_wait);
            }
            Phase::Registering => {
                ctx.set_timer(Timer::RetryReplication, self.settings.config.retry_replication_wait);
            }
            _ => {}
        }
    }

    /// Nobody has answered: perhaps nobody serves, and this broker's copy is worth something.
    pub(super) fn look_again(&mut self, ctx: &mut Context) {
        let valuable = self.journal.is_complete() || self.settings.defects.lock_alone_decides; // ARTEMIS-2716
        if valuable {
            self.phase.step(Event::NoLive);
            self.read_counter(ctx);
        } else {
            self.look_for_live(ctx);
        }
    }
}
