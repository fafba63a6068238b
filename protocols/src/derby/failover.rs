//! The failover at the master, step by step, and the shutdown that ends it.
//!
//! A failover is two-phase, with the master as the one that decides. Up to the durable decision any failure lets the
//! master serve again, as the slave does not serve before it is told that the master never will. After it the master
//! is shut down, and keeps telling the slave until it has answered.

use sim_core::ConnectionId;

use super::database::{Ctx, Durable, Server};
use super::link::Link;
use super::log::Position;
use super::master::Flush;
use super::message::{Message, Record, Timer};
use super::state::{Happening, Phase};

impl Server {
    pub(super) fn failover(&mut self, ctx: &mut Ctx<'_>) -> bool {
        if self.phase != Phase::Master {
            return false;
        }
        self.step(Happening::FailoverAsked);
        // DERBY-3254a: clients went on, and what they committed after the flush stayed behind.
        if !self.shared.defects.derby_3254a {
            self.freeze_work();
        }
        ctx.mark("failover-started");
        match self.master.link {
            Link::Up(_) => self.begin_flush(Flush::Failover, ctx),
            _ => self.failover_failed(ctx),
        }
        true
    }

    pub(super) fn ask_to_take_over(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        self.master.buffering = false;
        ctx.send_on(id, Message::Failover);
        ctx.mark("failover-sent");
        // DERBY-3364: the answer was read without a timeout.
        if !self.shared.defects.derby_3364 {
            ctx.set_timer(Timer::Reply, self.config().reply_wait);
        }
    }

    /// The slave is ready to take over.
    pub(super) fn on_acknowledged(&mut self, position: Position, ctx: &mut Ctx<'_>) {
        self.step(Happening::Acknowledged);
        ctx.mark("failover-acknowledged");
        // DERBY-L6: a shutdown ends with the process.
        if !self.shared.defects.derby_l6 {
            ctx.write(Record::Superseded(position));
        }
        self.make_durable(Durable::Decision(position), ctx);
    }

    /// From here on this database does not serve any more, whatever becomes of its process.
    pub(super) fn on_decided(&mut self, position: Position, ctx: &mut Ctx<'_>) {
        ctx.mark("failover-decided");
        self.stop_shipping(ctx);
        self.master.commit = Some(position);
        // DERBY-3254b: an exception of the wrong severity ended the operator's session instead of the database.
        if self.shared.defects.derby_3254b {
            self.step(Happening::StaysUsable);
            self.unfreeze(ctx);
            self.finish_operation();
            return self.deliver_commit(ctx);
        }
        self.step(Happening::Decided);
        // DERBY-3428: what is frozen cannot be shut down.
        if !self.shared.defects.derby_3428 {
            self.unfreeze(ctx);
        }
        self.shut_down(ctx);
    }

    /// Before the decision, whatever goes wrong has one outcome: the slave does not serve, the master does.
    pub(super) fn failover_failed(&mut self, ctx: &mut Ctx<'_>) {
        ctx.mark("failover-failed");
        self.finish_operation();
        // DERBY-3254c: replication went on where it had been stopped.
        if self.shared.defects.derby_3254c {
            self.step(Happening::FailoverForgotten);
            self.connect(ctx);
            return self.unfreeze(ctx);
        }
        self.step(Happening::FailoverFailed);
        // DERBY-3364: only a failover that succeeded cleaned up.
        if !self.shared.defects.derby_3364 {
            self.part(ctx);
        }
        self.unfreeze(ctx);
    }

    // Shutdown.

    /// Writes a last checkpoint, for which the database must not be frozen.
    pub(super) fn shut_down(&mut self, ctx: &mut Ctx<'_>) {
        self.resume_work(ctx);
        if self.frozen.is_none() {
            self.checkpoint(ctx);
            self.make_durable(Durable::LastCheckpoint, ctx);
        }
    }

    pub(super) fn on_shut_down(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase != Phase::ShuttingDown {
            return; // Fenced meanwhile.
        }
        self.step(Happening::ShutDown);
        ctx.mark("database-shut-down");
        self.finish_operation();
        self.deliver_commit(ctx);
    }

    fn deliver_commit(&mut self, ctx: &mut Ctx<'_>) {
        match self.master.link {
            _ if self.master.commit.is_none() => {}
            Link::Up(id) => self.send_commit(id, ctx),
            _ => self.connect(ctx),
        }
    }

    pub(super) fn send_commit(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if let Some(position) = self.master.commit {
            self.master.link = Link::Committing(id);
            ctx.send_on(id, Message::FailoverCommit { position });
            // A slave whose machine has vanished says nothing: the next try is on a new connection.
            ctx.set_timer(Timer::Reply, self.config().reply_wait);
            ctx.mark("commit-sent");
        }
    }

    pub(super) fn on_failover_done(&mut self, ctx: &mut Ctx<'_>) {
        if ctx.via().is_some() && ctx.via() == self.master.link.id() {
            self.master.commit = None;
            self.close_link(ctx);
        }
    }

    /// Puts the database out of the way for good, at once.
    pub(super) fn fence(&mut self, ctx: &mut Ctx<'_>) -> bool {
        match self.phase {
            Phase::Deciding => return false,
            Phase::Shutdown => {}
            _ => self.step(Happening::Fenced),
        }
        ctx.mark("fenced");
        self.part(ctx);
        self.unfreeze(ctx);
        ctx.write(Record::Fenced);
        self.make_durable(Durable::Fence, ctx);
        true
    }
}
