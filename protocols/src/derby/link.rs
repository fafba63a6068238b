//! The master's connection to its slave: opening it, comparing versions and positions, opening it again.

use sim_core::ConnectionId;

use super::database::{Ctx, Server};
use super::log::Position;
use super::master::GivenUp;
use super::message::{Message, Problem, Timer};
use super::shipper::Shipping;
use super::state::{Happening, Phase};

/// How far the connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Link {
    /// There is none.
    #[default]
    Down,
    /// It is being opened.
    Connecting(ConnectionId),
    /// A copy of the database is on its way.
    Copying(ConnectionId),
    /// The slave's word on the version is awaited.
    Version(ConnectionId),
    /// The slave's position is awaited.
    Instant(ConnectionId),
    /// Log can be shipped.
    Up(ConnectionId),
    /// The slave is told to take over.
    Committing(ConnectionId),
}

impl Link {
    /// The connection.
    pub fn id(self) -> Option<ConnectionId> {
        match self {
            Link::Down => None,
            Link::Connecting(id)
            | Link::Copying(id)
            | Link::Version(id)
            | Link::Instant(id)
            | Link::Up(id)
            | Link::Committing(id) => Some(id),
        }
    }
}

impl Server {
    pub(super) fn connect(&mut self, ctx: &mut Ctx<'_>) {
        self.close_link(ctx);
        let id = ctx.connect(self.master.target);
        self.master.link = Link::Connecting(id);
        ctx.set_timer(Timer::Connect, self.config().connect_timeout);
    }

    /// Closes the connection, if there is one.
    pub(super) fn close_link(&mut self, ctx: &mut Ctx<'_>) {
        for timer in [Timer::Connect, Timer::Reply, Timer::Reconnect] {
            ctx.cancel_timer(timer);
        }
        if let Some(id) = std::mem::take(&mut self.master.link).id() {
            ctx.close(id);
        }
    }

    fn ask(&mut self, id: ConnectionId, message: Message, ctx: &mut Ctx<'_>) {
        ctx.send_on(id, message);
        ctx.set_timer(Timer::Reply, self.config().reply_wait);
    }

    pub(super) fn on_link_opened(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if self.master.link != Link::Connecting(id) {
            return;
        }
        ctx.cancel_timer(Timer::Connect);
        if self.phase == Phase::Shutdown {
            return self.send_commit(id, ctx);
        }
        if self.phase == Phase::Starting && self.master.copies {
            self.master.link = Link::Copying(id);
            let records = self.log.records().into();
            return self.ask(id, Message::Copy { records }, ctx);
        }
        self.compare_versions(id, ctx);
    }

    fn compare_versions(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        self.master.link = Link::Version(id);
        let version = self.config().master_version;
        self.ask(id, Message::InitiateVersion { version }, ctx);
    }

    pub(super) fn on_ack(&mut self, position: Position, ctx: &mut Ctx<'_>) {
        if ctx.via().is_none() || ctx.via() != self.master.link.id() {
            return;
        }
        ctx.cancel_timer(Timer::Reply);
        match self.master.link {
            Link::Copying(id) => self.compare_versions(id, ctx),
            Link::Version(id) => {
                self.master.link = Link::Instant(id);
                self.ask(id, Message::InitiateInstant, ctx);
            }
            Link::Instant(id) if self.phase == Phase::Starting => self.on_started(id, position, ctx),
            Link::Instant(id) => self.on_reconnected(id, position, ctx),
            Link::Up(_) if self.phase == Phase::FailingOver => self.on_acknowledged(position, ctx),
            Link::Up(_) | Link::Down | Link::Connecting(_) | Link::Committing(_) => {}
        }
    }

    /// Whether a slave's position is a given one.
    fn is_at(&self, slave: Position, own: Position) -> bool {
        // DERBY-L5: logs of the same length need not be the same.
        slave.instant == own.instant && (slave.checksum == own.checksum || self.shared.defects.derby_l5)
    }

    /// The slave has told its position at the start of replication.
    fn on_started(&mut self, id: ConnectionId, position: Position, ctx: &mut Ctx<'_>) {
        // DERBY-3382: nobody compared.
        if !self.is_at(position, self.log.position()) && !self.shared.defects.derby_3382 {
            ctx.mark("start-refused");
            return self.start_failed(ctx);
        }
        self.step(Happening::ReplicationStarted);
        ctx.mark("replication-started");
        self.master.shipped = self.log.position();
        self.master.transmitter = Some(id);
        self.link_is_up(id, ctx);
        // DERBY-3384: the database was frozen for the start, and stayed so.
        if !self.shared.defects.derby_3384 {
            self.unfreeze(ctx);
        }
        self.finish_operation();
    }

    /// The slave has told its position after an input or output error.
    fn on_reconnected(&mut self, id: ConnectionId, position: Position, ctx: &mut Ctx<'_>) {
        let failed = self.master.failed.as_ref().map(|chunk| chunk.end);
        if self.is_at(position, self.master.shipped) {
            if failed.is_some() {
                ctx.mark("chunk-resent");
            }
        } else if let Some(end) = failed
            && self.is_at(position, end)
            // DERBY-L3: what has arrived though its sending failed is a difference like any other.
            && !self.shared.defects.derby_l3
        {
            ctx.mark("chunk-deduplicated");
            self.master.failed = None;
            self.master.shipped = end;
        } else {
            let kept_from = self.master.shipped.instant;
            return self.give_up(GivenUp::OutOfSync { slave: position, kept_from }, ctx);
        }
        ctx.mark("reconnected");
        // DERBY-3509: the shipper was not told.
        if !self.shared.defects.derby_3509 {
            self.master.transmitter = Some(id);
        }
        self.link_is_up(id, ctx);
    }

    fn link_is_up(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        self.master.link = Link::Up(id);
        self.master.buffering = true;
        self.wake_shipper(ctx);
    }

    pub(super) fn on_error(&mut self, problem: Problem, ctx: &mut Ctx<'_>) {
        if ctx.via().is_none() || ctx.via() != self.master.link.id() {
            return;
        }
        ctx.cancel_timer(Timer::Reply);
        match self.phase {
            Phase::Starting => {
                ctx.mark("start-refused");
                self.start_failed(ctx);
            }
            Phase::Master | Phase::Draining => self.give_up(GivenUp::Refused(problem), ctx),
            Phase::FailingOver => self.failover_failed(ctx),
            Phase::Shutdown => {
                ctx.mark("commit-refused");
                self.master.commit = None;
                self.close_link(ctx);
            }
            _ => {}
        }
    }

    pub(super) fn on_link_closed(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if self.master.link.id() == Some(id) {
            self.on_io_error(ctx);
        }
    }

    /// The connection does not do, or no more.
    pub(super) fn on_io_error(&mut self, ctx: &mut Ctx<'_>) {
        let was_up = matches!(self.master.link, Link::Up(_));
        self.close_link(ctx);
        if let Shipping::Sending(chunk) = std::mem::take(&mut self.master.shipping) {
            self.master.failed = Some(chunk);
        }
        ctx.cancel_timer(Timer::Shipped);
        match self.phase {
            Phase::Starting => self.start_failed(ctx),
            Phase::Master if was_up => self.connect(ctx),
            Phase::Master => ctx.set_timer(Timer::Reconnect, self.config().reconnect_pause),
            Phase::Draining => {
                let flush = self.master.flush.take().expect("who drains has something to do after it");
                self.on_flushed(flush, ctx);
            }
            Phase::FailingOver => self.failover_failed(ctx),
            Phase::Shutdown if self.master.commit.is_some() => {
                ctx.set_timer(Timer::Reconnect, self.config().reconnect_pause);
            }
            _ => {}
        }
    }
}
