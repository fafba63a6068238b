//! The contract between a protocol and the world that runs it.
//!
//! A protocol is a state machine without input or output of its own. The world calls a handler; the handler changes
//! the actor's state and says what it wants done through its [`Context`]; the world does that after the handler
//! has returned. A handler never waits: what takes time comes back as a later event.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::history::Operation;
use crate::schedule::{NodeRandom, Randomness};
use crate::time::nanos;
use crate::{Instant, LocalClock};

/// A node of the cluster, numbered from zero in the order of the set-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u16);

impl NodeId {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// A message that faults can be aimed at by name and whose size counts against buffers and bandwidth.
///
/// [`kinds!`](crate::kinds) writes the implementation for an enum.
pub trait Kind {
    /// The names of all kinds, in a fixed order.
    const KINDS: &'static [&'static str];

    /// The name of this message's kind, one of [`Kind::KINDS`].
    fn kind(&self) -> &'static str;

    /// The message's size on the wire in bytes.
    fn bytes(&self) -> u32 {
        64
    }
}

/// A message type without messages, for actors that exchange none.
impl Kind for () {
    const KINDS: &'static [&'static str] = &["()"];
    fn kind(&self) -> &'static str {
        "()"
    }
}

/// Implements [`Kind`] for an enum: each variant is a kind named after it.
///
/// ```
/// # use sim_core::Kind;
/// #[derive(Clone, Debug, Hash)]
/// enum Message { Ping { number: u64 }, Pong }
/// sim_core::kinds!(Message { Ping, Pong });
/// assert_eq!(Message::KINDS, ["Ping", "Pong"]);
/// assert_eq!(Message::Ping { number: 1 }.kind(), "Ping");
/// ```
///
/// A second part gives sizes that are not the default 64 bytes:
///
/// ```
/// # use sim_core::Kind;
/// #[derive(Clone, Debug, Hash)]
/// enum Message { Chunk { length: u32 }, Done }
/// sim_core::kinds!(Message { Chunk, Done } bytes |message| match message {
///     Message::Chunk { length } => 32 + length,
///     Message::Done => 32,
/// });
/// assert_eq!(Message::Chunk { length: 1000 }.bytes(), 1032);
/// ```
#[macro_export]
macro_rules! kinds {
    ($message:ident { $($variant:ident),+ $(,)? } $(bytes |$this:ident| $bytes:expr)?) => {
        impl $crate::Kind for $message {
            const KINDS: &'static [&'static str] = &[$(stringify!($variant)),+];
            fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($variant),)+
                }
            }
            $(fn bytes(&self) -> u32 {
                let $this = self;
                $bytes
            })?
        }
    };
}

/// One node's protocol, as a state machine.
///
/// # Order of calls
/// 1. [`on_start`](Actor::on_start) once, first, with what the disk kept. An actor is built anew for each start, so
///    no volatile state survives a crash.
/// 2. Any other handler, any number of times, in the order of virtual time; events at the same instant come in the
///    order in which they were caused.
/// 3. Nothing after [`Context::halt`] or a crash.
///
/// # What a handler may use
/// Its own fields, its arguments and the [`Context`]. No clock, socket, file, thread, sleep, global or randomness
/// other than the context's; no container whose order depends on addresses or hash seeds.
///
/// # Why everything can be hashed
/// A search that meets a state for the second time need not go on from there. It knows states by their hash, so what
/// an actor holds must have one: derive [`Hash`], and no field can be forgotten.
///
/// # Panics
/// A panic in a handler ends the run as a violation named `no-panic`.
pub trait Actor: Clone + Hash + 'static {
    /// What nodes say to each other.
    type Message: Clone + Debug + Hash + Kind;
    /// The node's timers, one enum. Setting a timer that is already set re-arms it.
    type Timer: Copy + Ord + Debug + Hash;
    /// What the node writes to its disk.
    type Record: Clone + Debug + Hash;
    /// What an operator or a workload can ask of the node.
    type Command: Clone + Debug;

    /// The process has started; `disk` is what survived, oldest first.
    fn on_start(&mut self, disk: &[Self::Record], ctx: &mut Context<Self>);

    /// A message has arrived, as a datagram or on the connection that [`Context::via`] tells.
    fn on_message(&mut self, from: NodeId, message: Self::Message, ctx: &mut Context<Self>);

    /// A timer or a job has ended.
    fn on_timer(&mut self, timer: Self::Timer, ctx: &mut Context<Self>);

    /// An operator or a workload asks for something.
    fn on_command(&mut self, command: Self::Command, ctx: &mut Context<Self>) {
        let _ = (command, ctx);
    }

    /// A connection to or from `peer` has changed.
    fn on_connection(&mut self, peer: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        let _ = (peer, event, ctx);
    }

    /// Everything written before the [`Context::sync`] that returned `token` is durable.
    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        let _ = (token, ctx);
    }

    /// The sync that returned `token` has failed, and what was written since the last good sync is in doubt. By
    /// default the node stops: after a failed sync there is no telling what the disk holds.
    fn on_disk_error(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        let _ = token;
        ctx.halt();
    }

    /// What a restarted node reads back of `record` when only its beginning reached the disk. By default nothing, as
    /// if a checksum had exposed it.
    fn torn(record: &Self::Record) -> Option<Self::Record> {
        let _ = record;
        None
    }

    /// The node's role in the protocol's own words ("LIVE", "BACKUP"), for timelines and for telling states apart.
    /// Empty if it has none.
    fn role(&self) -> &'static str {
        ""
    }
}

/// Identifies a connection: the node that opened it and its running number there, unique for a whole run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId {
    /// The node that called [`Context::connect`].
    pub initiator: NodeId,
    /// Counts that node's calls, restarts included.
    pub serial: u32,
}

impl Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.initiator, self.serial)
    }
}

/// What has happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConnectionEvent {
    /// The peer has accepted the connection that this node opened.
    Opened(ConnectionId),
    /// The peer has opened a connection to this node.
    Accepted(ConnectionId),
    /// The connection that this node tried to open did not come about.
    Refused(ConnectionId, CloseReason),
    /// An open connection has ended; what was still buffered may or may not have arrived.
    Closed(ConnectionId, CloseReason),
    /// The send buffer had passed its high watermark and has now fallen to the low one.
    Writable(ConnectionId),
}

/// Why a connection ended or did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CloseReason {
    /// The peer closed it after sending all that it had to send.
    Finished,
    /// The peer's machine answered that there is no such connection, or no listener, or the process died.
    Reset,
    /// Nothing came back within the network's connection timeout.
    TimedOut,
    /// This node sent more than the send buffer can hold.
    Overflow,
}

/// One node's end of a connection, as the node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Its identity, the same at both ends.
    pub id: ConnectionId,
    /// The other end.
    pub peer: NodeId,
    /// Whether data can be sent; false until the peer has accepted.
    pub open: bool,
    /// Bytes sent by this node that the peer's process has not yet consumed, as far as this node knows.
    pub buffered: u64,
    /// False from when `buffered` passes the high watermark until it falls to the low one.
    pub writable: bool,
}

/// Names one [`Context::sync`]. Counts up at each node, restarts included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SyncToken(pub u64);

/// Something that a handler wants done. Contexts collect them; whoever runs the actor carries them out in order.
#[derive(Clone, Debug)]
pub enum Effect<A: Actor> {
    /// Send a datagram.
    Send {
        /// Receiver.
        to: NodeId,
        /// What to send.
        message: A::Message,
    },
    /// Open a connection.
    Connect {
        /// The node to connect to.
        peer: NodeId,
        /// The identity it was given.
        id: ConnectionId,
    },
    /// Send on a connection.
    SendOn {
        /// Which connection.
        id: ConnectionId,
        /// What to send.
        message: A::Message,
    },
    /// Close a connection after what has been sent on it.
    Close(ConnectionId),
    /// Accept connections from now on, or refuse them.
    Listen(bool),
    /// Arm a timer, after this long on the node's own clock.
    SetTimer(A::Timer, Duration),
    /// Disarm a timer.
    CancelTimer(A::Timer),
    /// Append to the disk.
    Write(A::Record),
    /// Discard everything written so far, in order with the writes around it.
    Truncate,
    /// Make everything written so far durable, and say when it is.
    Sync(SyncToken),
    /// Occupy the node's one thread.
    Busy(Duration),
    /// Let a helper thread work; its end comes back as the timer.
    RunJob(Duration, A::Timer),
    /// Set a milestone.
    Mark(&'static str),
    /// Note a step of a client operation.
    Record(Operation),
    /// Stop the process.
    Halt,
    /// Switch the power of a node's machine on or off.
    Power {
        /// Whose machine.
        node: NodeId,
        /// On, or off.
        on: bool,
    },
}

/// What a handler can see and ask for.
pub struct Context<'a, A: Actor> {
    pub(crate) node: NodeId,
    pub(crate) world_now: Instant,
    pub(crate) clock: LocalClock,
    pub(crate) via: Option<ConnectionId>,
    pub(crate) effects: &'a mut Vec<Effect<A>>,
    pub(crate) connections: &'a mut Vec<Connection>,
    pub(crate) limits: BufferLimits,
    pub(crate) counters: &'a mut NodeCounters,
    pub(crate) randomness: &'a mut Randomness,
}

/// Running numbers of a node that survive its restarts, so that identities are never used twice.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct NodeCounters {
    pub(crate) connections: u32,
    pub(crate) syncs: u64,
    pub(crate) random: NodeRandom,
}

impl NodeCounters {
    /// The numbers of the n-th process of a node on a machine that remembers nothing else of the earlier ones.
    pub(crate) fn of_process(n: u32) -> Self {
        NodeCounters { connections: n << 20, syncs: u64::from(n) << 32, random: NodeRandom::from_number(n << 20) }
    }
}

/// Watermarks and capacity of each connection's send buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferLimits {
    /// At or below this much, a connection that was not writable is writable again.
    pub low: u64,
    /// Above this much, a connection is not writable. Sending is still possible: a sender that ignores
    /// writability is exactly what bounded-buffer invariants are for.
    pub high: u64,
    /// Beyond this much, the connection breaks with [`CloseReason::Overflow`].
    pub capacity: u64,
}

impl Default for BufferLimits {
    /// 32 KiB, 128 KiB and 16 MiB.
    fn default() -> Self {
        BufferLimits { low: 32 << 10, high: 128 << 10, capacity: 16 << 20 }
    }
}

impl<A: Actor> Context<'_, A> {
    /// This node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The node's monotonic clock: its own offset and drift, never back. Not comparable between nodes.
    pub fn now(&self) -> Instant {
        self.clock.now(self.world_now)
    }

    /// The node's wall clock, which faults can step in both directions.
    pub fn wall_clock(&self) -> Instant {
        self.clock.wall(self.world_now)
    }

    /// The next number of the node's own random stream.
    pub fn random(&mut self) -> u64 {
        self.counters.random.next(self.node, self.randomness)
    }

    /// An even draw from `0..bound`.
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn random_below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero to draw");
        ((u128::from(self.random()) * u128::from(bound)) >> 64) as u64
    }

    /// An even draw of a duration from zero up to, not including, `bound`; zero if `bound` is zero.
    pub fn random_duration(&mut self, bound: Duration) -> Duration {
        match nanos(bound) {
            0 => Duration::ZERO,
            bound => Duration::from_nanos(self.random_below(bound)),
        }
    }

    /// The connection on which the message being handled came; `None` for a datagram and in other handlers.
    pub fn via(&self) -> Option<ConnectionId> {
        self.via
    }

    /// Sends a datagram: unordered, and lost without a word if anything goes wrong.
    pub fn send(&mut self, to: NodeId, message: A::Message) {
        self.effects.push(Effect::Send { to, message });
    }

    /// Opens a connection. [`ConnectionEvent::Opened`] or [`ConnectionEvent::Refused`] follows.
    pub fn connect(&mut self, peer: NodeId) -> ConnectionId {
        let id = ConnectionId { initiator: self.node, serial: self.counters.connections };
        self.counters.connections += 1;
        self.connections.push(Connection { id, peer, open: false, buffered: 0, writable: true });
        self.effects.push(Effect::Connect { peer, id });
        id
    }

    /// Sends on a connection, in order and without loss for as long as it lives. Returns whether it was open: if not
    /// (still opening, closed, unknown), nothing is sent.
    pub fn send_on(&mut self, id: ConnectionId, message: A::Message) -> bool {
        let Some(connection) = self.connections.iter_mut().find(|c| c.id == id && c.open) else {
            return false;
        };
        connection.buffered += u64::from(message.bytes());
        if connection.buffered > self.limits.high {
            connection.writable = false;
        }
        self.effects.push(Effect::SendOn { id, message });
        true
    }

    /// Closes this node's end after all that was sent on it; the peer sees [`CloseReason::Finished`]. No effect on a
    /// connection that is not there any more.
    pub fn close(&mut self, id: ConnectionId) {
        if let Some(at) = self.connections.iter().position(|c| c.id == id) {
            self.connections.remove(at);
            self.effects.push(Effect::Close(id));
        }
    }

    /// This node's ends of all its connections, oldest first.
    pub fn connections(&self) -> &[Connection] {
        self.connections
    }

    /// This node's end of one connection, if it is there.
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.iter().find(|c| c.id == id)
    }

    /// Whether a connection is open and its send buffer has not passed the high watermark, what this handler has
    /// sent included.
    pub fn is_writable(&self, id: ConnectionId) -> bool {
        self.connection(id).is_some_and(|c| c.open && c.writable)
    }

    /// Accepts connections from now on, or refuses them. A process starts accepting.
    pub fn listen(&mut self, accept: bool) {
        self.effects.push(Effect::Listen(accept));
    }

    /// Arms a timer, or arms it anew: [`Actor::on_timer`] is called after this long on the node's own clock.
    pub fn set_timer(&mut self, timer: A::Timer, after: Duration) {
        self.effects.push(Effect::SetTimer(timer, after));
    }

    /// Disarms a timer; no effect if it is not set. An event of that timer that is already waiting behind a busy
    /// thread is withdrawn as well.
    pub fn cancel_timer(&mut self, timer: A::Timer) {
        self.effects.push(Effect::CancelTimer(timer));
    }

    /// Appends to the disk. Not durable before the end of a later [`Context::sync`].
    pub fn write(&mut self, record: A::Record) {
        self.effects.push(Effect::Write(record));
    }

    /// Discards everything on the disk, in order with the writes around it and as durable as they are.
    pub fn truncate(&mut self) {
        self.effects.push(Effect::Truncate);
    }

    /// Makes everything written so far durable; [`Actor::on_synced`] is called with the token when it is.
    pub fn sync(&mut self) -> SyncToken {
        self.counters.syncs += 1;
        let token = SyncToken(self.counters.syncs);
        self.effects.push(Effect::Sync(token));
        token
    }

    /// The node's one thread is occupied from the end of this handler: its events wait that long, in world time.
    pub fn busy(&mut self, duration: Duration) {
        self.effects.push(Effect::Busy(duration));
    }

    /// A helper thread works for this long; its end comes back as the timer, unless the process dies first. Neither
    /// [`Context::set_timer`] nor [`Context::cancel_timer`] of the same name touches it.
    pub fn run_job(&mut self, duration: Duration, timer: A::Timer) {
        self.effects.push(Effect::RunJob(duration, timer));
    }

    /// Sets a milestone: triggers and `sometimes` invariants see it, reports show it.
    pub fn mark(&mut self, name: &'static str) {
        self.effects.push(Effect::Mark(name));
    }

    /// Notes a step of a client operation in the history of the run.
    pub fn record(&mut self, operation: Operation) {
        self.effects.push(Effect::Record(operation));
    }

    /// Stops the process in good order after this handler: the operating system finishes what it wrote and closes
    /// its connections. It stays down until a fault restarts it.
    pub fn halt(&mut self) {
        self.effects.push(Effect::Halt);
    }

    /// Cuts the power of a node's machine at once, whatever its process does or waits for: for actors that are power
    /// boards. The process is lost as in [`crate::Fault::HostFailure`]: unsynced writes are gone and nobody is told. As
    /// long as the power is off nothing starts there, no restart by a fault either.
    ///
    /// A node cannot switch its own power: that is a panic when the effect is carried out.
    pub fn power_off(&mut self, node: NodeId) {
        self.effects.push(Effect::Power { node, on: false });
    }

    /// Switches the power of a node's machine on again; its process starts. No effect on a machine that has power,
    /// even if its process is down.
    pub fn power_on(&mut self, node: NodeId) {
        self.effects.push(Effect::Power { node, on: true });
    }
}
