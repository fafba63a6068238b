//! One node as the world sees it: a process that may be up, busy, paused or down, and the machine below it.

use slab::Slab;

use crate::actor::NodeCounters;
use crate::copy::{Line, copied_by_field};
use crate::disk::Disk;
use crate::timers::{Due, Timers};
use crate::{Actor, CommandId, Connection, ConnectionEvent, ConnectionId, LocalClock, NodeId, SyncToken};

pub(crate) struct Node<A: Actor> {
    /// The process; `None` while it is down.
    pub actor: Option<A>,
    /// Counts starts and stops, so that what belongs to an earlier process is recognised.
    pub incarnation: u32,
    /// The machine is gone: nobody answers in the name of the process that is down.
    pub host_down: bool,
    /// A power board has switched the machine off, so nothing starts there.
    pub powered_off: bool,
    /// How many faults in force pause the process.
    pub pauses: u32,
    /// Until when the process's one thread is occupied.
    pub busy_until: u64,
    /// Added to the cost of each event by slowness in force.
    pub slow_by: u64,
    /// Events that wait for the process to be free.
    pub inbox: Line<Waiting<A>>,
    /// Whether an event is scheduled that takes the next one out of the inbox.
    pub wake_scheduled: bool,
    pub clock: LocalClock,
    pub counters: NodeCounters,
    pub timers: Timers<A::Timer>,
    pub jobs: Slab<Job<A::Timer>>,
    pub disk: Disk<A::Record>,
    /// The node's ends of its connections.
    pub connections: Vec<Connection>,
    /// Whether the machine accepts connections for the process.
    pub listening: bool,
}

/// A helper thread at work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<T> {
    pub timer: T,
    /// Of its entry in the queue: tells it from a job of an earlier process.
    pub sequence: u64,
    pub cause: u64,
}

/// An event on its way into a process, with the event that caused it.
#[derive(Clone)]
pub(crate) struct Waiting<A: Actor> {
    pub input: Input<A>,
    pub cause: u64,
}

/// An event that a process handles.
#[derive(Clone)]
pub(crate) enum Input<A: Actor> {
    Message { from: NodeId, message: A::Message, via: Option<ConnectionId> },
    Timer(Due),
    Job(A::Timer),
    Connection { peer: NodeId, event: ConnectionEvent },
    Synced { token: SyncToken, ok: bool },
    Command(CommandId),
}

copied_by_field! {
    impl[A: Actor] Node<A> {
        actor, incarnation, host_down, powered_off, pauses, busy_until, slow_by, inbox, wake_scheduled, clock, counters, timers,
        jobs, disk, connections, listening,
    }
}

impl<A: Actor> Node<A> {
    pub fn new(clock: LocalClock) -> Self {
        Node {
            actor: None,
            incarnation: 0,
            host_down: false,
            powered_off: false,
            pauses: 0,
            busy_until: 0,
            slow_by: 0,
            inbox: Line::default(),
            wake_scheduled: false,
            clock,
            counters: NodeCounters::default(),
            timers: Timers::default(),
            jobs: Slab::new(),
            disk: Disk::default(),
            connections: Vec::new(),
            listening: true,
        }
    }

    /// Whether the process can handle an event right now.
    #[inline]
    pub fn is_free(&self, now: u64) -> bool {
        self.busy_until <= now && self.pauses == 0 && self.inbox.is_empty()
    }

    /// Forgets everything that dies with a process. The disk and the connections are left to the caller.
    pub fn clear_process(&mut self) {
        self.actor = None;
        self.incarnation += 1;
        self.pauses = 0;
        self.busy_until = 0;
        self.inbox.clear();
        self.wake_scheduled = false; // One may still come: a node that is not free ignores it.
        self.timers.clear();
        self.jobs.clear();
        self.listening = true;
    }
}
