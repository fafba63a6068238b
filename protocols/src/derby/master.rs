//! The master's side: what its operator can ask, and how replication begins and ends. The failover is in `failover.rs`.

use std::time::Duration;

use sim_core::{ConnectionId, Instant, NodeId};

use super::buffers::{Chunk, LogBuffers};
use super::database::{Ctx, Server, Shared};
use super::link::Link;
use super::log::Position;
use super::message::{Command, Message, Problem, Record};
use super::shipper::{FullWait, Shipping};
use super::state::{Happening, Phase};

/// What a master knows of replication.
#[derive(Clone, Debug, Hash)]
pub(super) struct Master {
    /// The machine that replication was started to.
    pub target: NodeId,
    /// Whether replication has been started and not ended.
    pub active: bool,
    /// Whether the slave gets a copy of the database first.
    pub copies: bool,
    pub link: Link,
    /// Whether log records go into the buffers.
    pub buffering: bool,
    pub buffers: LogBuffers,
    /// A log record that found them full.
    pub full: Option<FullWait>,
    pub shipping: Shipping,
    /// The connection that the shipper sends on.
    pub transmitter: Option<ConnectionId>,
    /// The chunk whose sending failed.
    pub failed: Option<Chunk>,
    /// Whether the chunk that is being sent came from a buffer.
    pub frees: bool,
    /// Where the log ends that has been sent.
    pub shipped: Position,
    /// When the shipper's interval ends.
    pub next_ship: Instant,
    /// What is done when all buffers have been shipped.
    pub flush: Option<Flush>,
    /// Objects that the stream to the slave remembers.
    pub stream_objects: u64,
    /// Where the slave takes over, until it has confirmed that.
    pub commit: Option<Position>,
    /// Why replication was given up last.
    pub given_up: Option<GivenUp>,
}

/// What follows on a flush of all buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Flush {
    /// The slave is asked to take over.
    Failover,
    /// Replication stops.
    Stop,
    /// Replication stops, then the database.
    Shutdown,
}

/// Why a master went on without its slave, other than because it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GivenUp {
    /// The slave's position after a reconnect is not the one up to which was sent.
    OutOfSync {
        /// The slave's position.
        slave: Position,
        /// All log from this instant on was still there to be sent.
        kept_from: u64,
    },
    /// A log record found no free buffer.
    BufferFull {
        /// For how long.
        waited: Duration,
    },
    /// The slave said so.
    Refused(Problem),
}

impl Master {
    pub fn new(shared: &Shared) -> Self {
        Master {
            target: shared.slave,
            active: false,
            copies: false,
            link: Link::Down,
            buffering: false,
            buffers: LogBuffers::new(shared.config.log_buffers, shared.config.log_buffer_size),
            full: None,
            shipping: Shipping::Idle,
            transmitter: None,
            failed: None,
            frees: true,
            shipped: Position::START,
            next_ship: Instant::ZERO,
            flush: None,
            stream_objects: 0,
            commit: None,
            given_up: None,
        }
    }

    /// Whether a log record holds the log until there is a free buffer.
    pub fn holds_log(&self) -> bool {
        self.full.is_some()
    }
}

impl Server {
    /// How far the connection to the slave is.
    pub fn link(&self) -> Link {
        self.master.link
    }

    /// Why replication was given up last.
    pub fn given_up(&self) -> Option<GivenUp> {
        self.master.given_up
    }

    /// Objects that the stream to the slave remembers.
    pub fn stream_objects(&self) -> u64 {
        self.master.stream_objects
    }

    /// The log record that waits for a free buffer, by the number of the wait.
    pub fn full_wait(&self) -> Option<u64> {
        self.master.full.as_ref().map(|wait| wait.number)
    }

    /// Whether the slave has yet to be told that it takes over.
    pub fn owes_commit(&self) -> bool {
        self.master.commit.is_some()
    }

    /// Whether every change has to reach the slave.
    pub(super) fn is_replicated(&self) -> bool {
        !matches!(self.phase, Phase::Normal | Phase::Promoted)
    }

    pub(super) fn boot_master(&mut self, disk: &[Record], ctx: &mut Ctx<'_>) {
        self.undo(ctx);
        for record in disk {
            match *record {
                Record::Superseded(position) => self.master.commit = Some(position),
                Record::Fenced => self.phase = Phase::Shutdown,
                Record::Log(_) | Record::Page(_) | Record::Pruned(_) | Record::Promoted(_) => {}
            }
        }
        if self.master.commit.is_some() {
            self.phase = Phase::Shutdown;
            self.connect(ctx);
        }
    }

    pub(super) fn master_command(&mut self, command: Command, ctx: &mut Ctx<'_>) -> bool {
        match command {
            Command::StartMaster => self.start_master(self.shared.slave, false, ctx),
            Command::StartMasterAtWrongHost => {
                self.start_master(self.shared.wrong_host.unwrap_or(self.shared.slave), false, ctx)
            }
            Command::Resync => self.start_master(self.shared.slave, true, ctx),
            Command::Stop => self.drain(Flush::Stop, ctx),
            Command::Failover => self.failover(ctx),
            Command::Shutdown => self.shutdown(ctx),
            Command::Fence => self.fence(ctx),
            Command::StartSlave | Command::SlaveFailover | Command::ConfirmFenced => false,
        }
    }

    // Start.

    fn start_master(&mut self, target: NodeId, copies: bool, ctx: &mut Ctx<'_>) -> bool {
        if self.phase != Phase::Normal || self.master.active {
            return false;
        }
        // DERBY-3551: changes in progress that are in no log would be missing at the slave.
        if self.has_unlogged_operations() && !self.shared.defects.derby_3551 {
            ctx.mark("start-refused-for-unlogged-operations");
            return false;
        }
        self.step(Happening::StartMaster);
        self.freeze_work();
        self.master.active = true;
        self.master.target = target;
        self.master.copies = copies;
        self.connect(ctx);
        true
    }

    pub(super) fn start_failed(&mut self, ctx: &mut Ctx<'_>) {
        ctx.mark("start-failed");
        self.close_link(ctx);
        self.step(Happening::StartFailed);
        // DERBY-3358: the next start was refused as one too many.
        if !self.shared.defects.derby_3358 {
            self.master.active = false;
        }
        self.unfreeze(ctx);
        self.finish_operation();
    }

    // Stop.

    /// Ships what is left, then stops replication.
    fn drain(&mut self, flush: Flush, ctx: &mut Ctx<'_>) -> bool {
        if self.phase != Phase::Master {
            return false;
        }
        self.step(Happening::StopAsked);
        match self.master.link {
            Link::Up(_) => self.begin_flush(flush, ctx),
            _ => self.on_flushed(flush, ctx),
        }
        true
    }

    fn shutdown(&mut self, ctx: &mut Ctx<'_>) -> bool {
        match self.phase {
            Phase::Normal => {
                self.step(Happening::ShutdownAsked);
                self.shut_down(ctx);
                true
            }
            // DERBY-3447: the shutdown waited for the end of threads that nobody told to end.
            Phase::Master if self.shared.defects.derby_3447 => true,
            Phase::Master => self.drain(Flush::Shutdown, ctx),
            _ => false,
        }
    }

    pub(super) fn on_flushed(&mut self, flush: Flush, ctx: &mut Ctx<'_>) {
        match (flush, self.master.link) {
            (Flush::Failover, Link::Up(id)) => self.ask_to_take_over(id, ctx),
            (Flush::Failover, _) => self.failover_failed(ctx),
            (Flush::Stop | Flush::Shutdown, link) => {
                if let Link::Up(id) = link {
                    ctx.send_on(id, Message::Stop);
                }
                self.part(ctx);
                if flush == Flush::Stop {
                    self.step(Happening::ReplicationStopped);
                    ctx.mark("replication-stopped");
                    self.resume_work(ctx);
                    return self.finish_operation();
                }
                self.step(Happening::ShutdownAsked);
                self.shut_down(ctx);
            }
        }
    }

    pub(super) fn on_flush_overdue(&mut self, ctx: &mut Ctx<'_>) {
        match self.master.flush.take() {
            Some(Flush::Failover) => self.failover_failed(ctx),
            Some(flush) => self.on_flushed(flush, ctx),
            None => {}
        }
    }

    /// Ends everything that replication has begun.
    pub(super) fn part(&mut self, ctx: &mut Ctx<'_>) {
        self.stop_shipping(ctx);
        self.close_link(ctx);
    }

    /// Goes on without the slave.
    pub(super) fn give_up(&mut self, why: GivenUp, ctx: &mut Ctx<'_>) {
        if self.phase == Phase::FailingOver {
            return self.failover_failed(ctx);
        }
        ctx.mark("replication-given-up");
        self.master.given_up = Some(why);
        if self.phase == Phase::Draining {
            let flush = self.master.flush.take().expect("who drains has something to do after it");
            return self.on_flushed(flush, ctx);
        }
        self.part(ctx);
        self.step(Happening::ReplicationStopped);
        self.resume_work(ctx);
    }
}
