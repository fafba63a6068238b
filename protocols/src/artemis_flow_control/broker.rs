//! A broker: what it holds, how its threads are run, and where each event goes.
//!
//! The source and the target of a bridge are the same thing but for their outlet, the bridge or a consumer. What the
//! threads do stands in a file each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use sim_core::{ConnectionEvent, ConnectionId, Constant, Context, NodeId, SyncToken};

use super::addresses::{Addresses, Grant};
use super::bridge::Bridge;
use super::config::Config;
use super::defects::Defects;
use super::event_loop::{CloseStage, EventLoop, Happening};
use super::heartbeat::Heartbeats;
use super::locks::{Lock, Locks, Mode, Thread};
use super::messages::{Message, MessageId, Record, Timer};
use super::node::Node;
use super::operations::{Completed, Operations, Stored};
use super::paging::PageWriter;
use super::replication_writer::Write;
use super::session::Session;
use super::synchronization::Replication;

/// A broker.
#[derive(Clone, Debug, Hash)]
pub struct Broker {
    role: &'static str,
    pub(super) config: Constant<Arc<Config>>,
    pub(super) defects: Defects,
    pub(super) locks: Locks,
    /// Threads that can do nothing until somebody else does something, each with the number of its wait.
    pub(super) waiting: BTreeMap<Thread, u64>,
    waits: u64,
    pub(super) sessions: BTreeMap<ConnectionId, Session>,
    pub(super) heartbeats: Heartbeats,
    /// Ids of all messages ever accepted.
    pub(super) known: BTreeSet<MessageId>,
    pub(super) operations: Operations,
    pub(super) addresses: Addresses,
    /// Messages that the outlet has still to deliver.
    pub(super) queue: VecDeque<Stored>,
    pub(super) page_writer: PageWriter,
    pub(super) event_loop: EventLoop,
    /// Close listeners that are running.
    pub(super) closing: BTreeMap<ConnectionId, CloseStage>,
    pub(super) replication: Option<Replication>,
    /// What each thread is writing to the replica.
    pub(super) writes: BTreeMap<Thread, Write>,
    pub(super) bridge: Option<Bridge>,
    consuming: bool,
}

impl Broker {
    /// A broker that bridges to `target`, or has a consumer if there is none.
    pub fn new(role: &'static str, config: Constant<Arc<Config>>, defects: Defects, target: Option<NodeId>) -> Self {
        Broker {
            role,
            addresses: Addresses::new(&config),
            page_writer: PageWriter::new(&config),
            config,
            defects,
            locks: Locks::default(),
            waiting: BTreeMap::new(),
            waits: 0,
            sessions: BTreeMap::new(),
            heartbeats: Heartbeats::default(),
            known: BTreeSet::new(),
            operations: Operations::default(),
            queue: VecDeque::new(),
            event_loop: EventLoop::default(),
            closing: BTreeMap::new(),
            replication: None,
            writes: BTreeMap::new(),
            bridge: target.map(Bridge::new),
            consuming: false,
        }
    }

    /// Which end of the bridge it is, for timelines.
    pub fn role(&self) -> &'static str {
        self.role
    }

    /// Loads what the disk kept and starts the outlet.
    pub fn start(&mut self, disk: &[Record], ctx: &mut Context<Node>) {
        let removed: BTreeSet<_> =
            disk.iter().filter_map(|r| if let Record::Removed { id } = r { Some(*id) } else { None }).collect();
        for record in disk {
            if let Record::Accepted { id, address, body } = *record
                && self.known.insert(id)
                && !removed.contains(&id)
            {
                let paged = self.addresses.is_paging(address);
                if !paged {
                    self.addresses.add(address, body);
                }
                self.queue.push_back(Stored { id, address, body, paged });
            }
        }
        self.heartbeats.start(&self.config, ctx);
        self.connect_bridge(ctx);
        self.deliver_later(ctx);
    }

    /// A message has arrived.
    pub fn on_message(&mut self, message: Message, ctx: &mut Context<Node>) {
        let Some(connection) = ctx.via() else { return };
        self.heartbeats.on_message(&message, ctx);
        match message {
            Message::Send { .. } | Message::SendContinuation { .. } => self.receive(connection, message, ctx),
            Message::CreateSession => self.create_session(connection, ctx),
            Message::RequestProducerCredits { address, credits } => {
                let granted = self.addresses.request(Grant { session: connection, address, credits });
                self.grant(granted, ctx);
            }
            Message::BackupRegistration => self.register_replica(connection, ctx),
            Message::ReplicationResponse { token } => {
                let completed = self.operations.replicated(token);
                self.complete(completed, ctx);
            }
            Message::SyncFinished => self.synchronization_confirmed(connection, ctx),
            _ => self.on_bridge_message(connection, message, ctx),
        }
    }

    /// A timer or a job has ended.
    pub fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Node>) {
        match timer {
            Timer::Run(thread) => self.run(thread, ctx),
            Timer::Deliver => self.deliver(ctx),
            Timer::Retry => self.connect_bridge(ctx),
            Timer::SweepCredits => self.sweep_credits(ctx),
            Timer::WritePages => self.write_pages(ctx),
            Timer::SlowReplicationCheck => self.check_slow_replication(ctx),
            Timer::SyncTimeout(replica) => self.synchronization_timed_out(replica, ctx),
            Timer::FailureCheck => {
                let config = self.config.clone();
                for silent in self.heartbeats.check(&config, ctx) {
                    ctx.mark("silent-peer-dropped");
                    self.happened(Happening::Closed(silent), ctx);
                }
            }
            Timer::Consume => self.consume(ctx),
            Timer::Produce | Timer::TearDown(_) | Timer::ProducerEnded | Timer::RescanLeaks => {}
        }
    }

    /// A connection has changed.
    pub fn on_connection(&mut self, event: ConnectionEvent, ctx: &mut Context<Node>) {
        match event {
            ConnectionEvent::Opened(connection) | ConnectionEvent::Accepted(connection) => {
                let now = ctx.now();
                self.heartbeats.heard(connection, now);
                self.bridge_connected(connection, ctx);
            }
            ConnectionEvent::Refused(connection, _) => self.bridge_refused(connection, ctx),
            ConnectionEvent::Closed(connection, _) => {
                self.heartbeats.forget(connection);
                self.happened(Happening::Closed(connection), ctx);
            }
            ConnectionEvent::Writable(connection) => self.happened(Happening::Writable(connection), ctx),
        }
    }

    /// Everything written before a sync is durable.
    pub fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Node>) {
        let completed = self.operations.synced(token);
        self.complete(completed, ctx);
    }

    /// Lets a thread go on after a while, in which others may overtake it.
    pub(super) fn resume(&mut self, thread: Thread, ctx: &mut Context<Node>) {
        self.waiting.remove(&thread);
        let slice = ctx.random_duration(self.config.thread_slice);
        ctx.run_job(slice, Timer::Run(thread));
    }

    /// Notes that a thread can do nothing until somebody resumes it.
    pub(super) fn wait(&mut self, thread: Thread) {
        self.waits += 1;
        self.waiting.insert(thread, self.waits);
    }

    /// Lets a thread go on when it has the lock.
    pub(super) fn lock(&mut self, lock: Lock, mode: Mode, thread: Thread, ctx: &mut Context<Node>) {
        if self.locks.acquire(lock, mode, thread) {
            self.resume(thread, ctx);
        } else {
            self.wait(thread);
        }
    }

    /// Gives a lock back, and lets those go on who have it now.
    pub(super) fn unlock(&mut self, lock: Lock, thread: Thread, ctx: &mut Context<Node>) {
        for granted in self.locks.release(lock, thread) {
            self.resume(granted, ctx);
        }
    }

    fn run(&mut self, thread: Thread, ctx: &mut Context<Node>) {
        if self.writes.contains_key(&thread) {
            return self.run_write(thread, ctx);
        }
        match thread {
            Thread::EventLoop => self.run_event_loop(ctx),
            Thread::FailureExecutor(connection) => self.run_close_listener(connection, thread, ctx),
            Thread::PageWriter => self.run_page_writer(ctx),
            Thread::Synchronization(replica) => self.run_synchronization(replica, ctx),
            Thread::Session(connection) => self.run_session(connection, ctx),
        }
    }

    /// A thread has written its packet to the replica, or there is no replica any more.
    pub(super) fn written(&mut self, thread: Thread, ctx: &mut Context<Node>) {
        match thread {
            Thread::PageWriter => self.replicate_next_page(ctx),
            Thread::Synchronization(replica) => self.synchronization_packet_written(replica, ctx),
            Thread::Session(connection) => self.message_stored(connection, ctx),
            Thread::EventLoop | Thread::FailureExecutor(_) => unreachable!("{thread:?} writes nothing to the replica"),
        }
    }

    /// Answers clients whose messages are safe, and gives the messages to the outlet.
    pub(super) fn complete(&mut self, completed: impl IntoIterator<Item = Completed>, ctx: &mut Context<Node>) {
        for Completed { session, stored } in completed {
            ctx.send_on(session, Message::SendResponse { id: stored.id });
            self.queue.push_back(stored);
        }
        self.deliver_later(ctx);
    }

    /// Sends credits to whoever asked for them.
    pub(super) fn grant(&self, grants: impl IntoIterator<Item = Grant>, ctx: &mut Context<Node>) {
        for Grant { session, address, credits } in grants {
            ctx.send_on(session, Message::ProducerCredits { address, credits });
        }
    }

    /// A message has left this broker for good.
    pub(super) fn remove(&mut self, stored: Stored, ctx: &mut Context<Node>) {
        // Not synced: after a crash it is delivered again, and recognised by its id.
        ctx.write(Record::Removed { id: stored.id });
        if !stored.paged {
            let grants = self.addresses.remove(stored.address, stored.body);
            self.grant(grants, ctx);
        }
    }

    pub(super) fn deliver_later(&mut self, ctx: &mut Context<Node>) {
        if self.bridge.is_some() {
            self.schedule_delivery(ctx);
        } else if !self.consuming && !self.queue.is_empty() {
            self.consuming = true;
            ctx.set_timer(Timer::Consume, self.config.consume_interval);
        }
    }

    fn consume(&mut self, ctx: &mut Context<Node>) {
        self.consuming = false;
        if let Some(stored) = self.queue.pop_front() {
            self.remove(stored, ctx);
        }
        self.deliver_later(ctx);
    }
}
