//! The shipper: log buffers on their way to the slave, and what a log record does that finds them full.
//!
//! Upstream it is a thread. Sending a chunk and waking whoever waits for a free buffer is one section of it: a writer
//! that comes while the section lasts is only woken by the next. Where the thread can be preempted there is a timer.

use std::time::Duration;

use sim_core::{ConnectionId, Instant};

use super::buffers::{Chunk, Full};
use super::database::{Ctx, Server, Then};
use super::link::Link;
use super::log::{Entry, Position};
use super::master::{Flush, GivenUp};
use super::message::{Message, Timer};
use super::state::Phase;

/// Buffers are shipped at once when so many in a hundred are full.
const FILL_HIGH: usize = 80;
/// Buffers are shipped at the shortest interval when more than so many in a hundred are full.
const FILL_LOW: usize = 10;

/// Where the shipping thread is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Shipping {
    /// Waiting for its interval to end, or for work.
    #[default]
    Idle,
    /// In the section, blocked in sending: the connection takes no more.
    Sending(Chunk),
    /// In the section, preempted after sending.
    Shipped,
}

/// A log record that waits for a free buffer, and holds the log.
#[derive(Clone, Debug, Hash)]
pub(super) struct FullWait {
    pub number: u64,
    entry: Entry,
    end: Position,
    then: Then,
    since: Instant,
    /// Whether a notification reaches it.
    listens: bool,
    /// Whether its time is running.
    timed: bool,
}

impl Server {
    /// Puts a record into the log buffers, if the database is replicated, and goes on when it is in.
    pub(super) fn buffer(&mut self, entry: Entry, then: Then, ctx: &mut Ctx<'_>) {
        if !self.master.buffering {
            return self.after(then, ctx);
        }
        let end = self.log.position();
        match self.master.buffers.append(entry, end) {
            Ok(switched) => {
                if switched {
                    self.work_to_do(ctx);
                }
                self.after(then, ctx);
            }
            Err(Full) => self.force_flush(entry, end, then, ctx),
        }
    }

    /// Wakes the shipper and waits for it to have made room.
    fn force_flush(&mut self, entry: Entry, end: Position, then: Then, ctx: &mut Ctx<'_>) {
        ctx.mark("buffers-full");
        // DERBY-3719: sending was not part of the section, so a writer began to listen in the middle of it, and the
        // notification of a chunk that had gone before it came ended its wait.
        let listens = self.master.shipping == Shipping::Idle || self.shared.defects.derby_3719;
        // DERBY-L4: the wait begins inside the section, that is after a chunk that is being sent.
        let timed = !(self.shared.defects.derby_l4 && matches!(self.master.shipping, Shipping::Sending(_)));
        if timed {
            ctx.set_timer(Timer::ForceFlush, self.config().force_flush_wait);
        }
        let (number, since) = (self.next_wait(), ctx.now());
        self.master.full = Some(FullWait { number, entry, end, then, since, listens, timed });
        self.wake_shipper(ctx);
    }

    /// The wait for a free buffer is over, one way or the other.
    pub(super) fn end_full_wait(&mut self, ctx: &mut Ctx<'_>) {
        let Some(wait) = self.master.full.take() else { return };
        ctx.cancel_timer(Timer::ForceFlush);
        // DERBY-3492: the record was forgotten.
        if !self.shared.defects.derby_3492 && self.master.buffers.append(wait.entry, wait.end) == Err(Full) {
            self.give_up(GivenUp::BufferFull { waited: ctx.now().since(wait.since) }, ctx);
        }
        self.after(wait.then, ctx);
        self.resume_work(ctx);
    }

    /// Replication ends while a record waits: there is nothing to wait for any more.
    fn abandon_full_wait(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(wait) = self.master.full.take() {
            ctx.cancel_timer(Timer::ForceFlush);
            self.after(wait.then, ctx);
        }
    }

    /// A buffer has become full: the interval may be too long now.
    fn work_to_do(&mut self, ctx: &mut Ctx<'_>) {
        if ctx.now() + self.interval() < self.master.next_ship {
            self.wake_shipper(ctx);
        }
    }

    /// How long the shipper waits from one chunk to the next.
    fn interval(&self) -> Duration {
        let (master, config) = (&self.master, self.config());
        match master.buffers.fill() {
            _ if master.flush.is_some() || master.full.is_some() => Duration::ZERO,
            FILL_HIGH.. => Duration::ZERO,
            fill if fill > FILL_LOW => config.ship_interval_min,
            _ => config.ship_interval_max,
        }
    }

    /// Lets the shipper run when its interval ends, which may be at once.
    pub(super) fn wake_shipper(&mut self, ctx: &mut Ctx<'_>) {
        if self.master.shipping == Shipping::Idle && matches!(self.master.link, Link::Up(_)) {
            let interval = self.interval();
            self.master.next_ship = ctx.now() + interval;
            ctx.set_timer(Timer::Ship, interval);
        }
    }

    /// Ships a chunk: the one whose sending failed before, or the oldest buffer.
    pub(super) fn ship(&mut self, ctx: &mut Ctx<'_>) {
        let active = matches!(self.phase, Phase::Master | Phase::Draining | Phase::FailingOver);
        if !active || self.master.shipping != Shipping::Idle || !matches!(self.master.link, Link::Up(_)) {
            return;
        }
        let failed = self.master.failed.take();
        self.master.frees = failed.is_none();
        match failed.or_else(|| self.master.buffers.take()) {
            Some(chunk) => self.transmit(chunk, ctx),
            None => self.leave_section(ctx),
        }
    }

    fn transmit(&mut self, chunk: Chunk, ctx: &mut Ctx<'_>) {
        let entries = chunk.entries.clone();
        let Some(transmitter) = self.master.transmitter.filter(|&id| ctx.send_on(id, Message::Log { entries })) else {
            self.master.failed = Some(chunk);
            return self.on_io_error(ctx);
        };
        // DERBY-3497: a stream that is not reset remembers everything, in case it is sent again.
        let remembered = if self.shared.defects.derby_3497 { self.master.stream_objects } else { 0 };
        self.master.stream_objects = remembered + 1;
        match ctx.is_writable(transmitter) {
            true => self.sent(&chunk, ctx),
            false => self.master.shipping = Shipping::Sending(chunk),
        }
    }

    pub(super) fn on_writable(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if self.master.transmitter == Some(id)
            && let Shipping::Sending(chunk) = std::mem::take(&mut self.master.shipping)
        {
            self.sent(&chunk, ctx);
        }
    }

    /// The connection has taken a chunk. The thread may be preempted before it does anything about it.
    fn sent(&mut self, chunk: &Chunk, ctx: &mut Ctx<'_>) {
        self.master.shipped = chunk.end;
        self.master.shipping = Shipping::Shipped;
        let slice = ctx.random_duration(self.config().thread_slice);
        ctx.set_timer(Timer::Shipped, slice);
    }

    /// The shipping thread goes on, and leaves its section.
    pub(super) fn on_shipped(&mut self, ctx: &mut Ctx<'_>) {
        self.master.shipping = Shipping::Idle;
        // A chunk that is sent again frees no buffer: the next one belongs to the same section.
        if !self.master.frees && !self.master.buffers.is_empty() {
            return self.ship(ctx);
        }
        self.leave_section(ctx);
    }

    /// Wakes whoever listens, and waits for the next interval. So too if there was nothing to ship, as when a chunk that
    /// failed is found to have arrived: nobody else would wake the writer that waits for its buffer.
    fn leave_section(&mut self, ctx: &mut Ctx<'_>) {
        let wait = self.config().force_flush_wait;
        match &mut self.master.full {
            Some(full) if full.listens => {
                ctx.mark("force-flushed");
                self.end_full_wait(ctx);
            }
            Some(full) => {
                full.listens = true;
                if !std::mem::replace(&mut full.timed, true) {
                    ctx.set_timer(Timer::ForceFlush, wait);
                }
            }
            None => {}
        }
        self.check_flush(ctx);
        self.wake_shipper(ctx);
    }

    /// Ships everything, then goes on with what it is for.
    pub(super) fn begin_flush(&mut self, flush: Flush, ctx: &mut Ctx<'_>) {
        self.master.flush = Some(flush);
        ctx.set_timer(Timer::FlushEnds, self.config().force_flush_wait);
        self.check_flush(ctx);
        self.wake_shipper(ctx);
    }

    /// Whether everything has been shipped that was to be.
    fn check_flush(&mut self, ctx: &mut Ctx<'_>) {
        let master = &self.master;
        let shipped = master.buffers.is_empty() && master.failed.is_none() && master.full.is_none();
        if let Some(flush) = master.flush
            && shipped
            && master.shipping == Shipping::Idle
        {
            self.master.flush = None;
            ctx.cancel_timer(Timer::FlushEnds);
            self.on_flushed(flush, ctx);
        }
    }

    /// Stops the shipper and forgets what it has not shipped.
    pub(super) fn stop_shipping(&mut self, ctx: &mut Ctx<'_>) {
        self.abandon_full_wait(ctx);
        for timer in [Timer::Ship, Timer::Shipped, Timer::FlushEnds] {
            ctx.cancel_timer(timer);
        }
        let master = &mut self.master;
        master.buffers.clear();
        master.buffering = false;
        master.active = false;
        master.shipping = Shipping::Idle;
        master.failed = None;
        master.flush = None;
        master.transmitter = None;
        master.stream_objects = 0;
    }
}
