//! What can break, when, and for how long.
//!
//! A [`FaultPlan`] is a list of [`PlannedFault`]s. Each has an `id` that never changes, even when others are
//! removed from the plan: everything that is drawn for it comes from a stream of its own, so a shorter plan is the
//! same run minus one fault, and not another run.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::copy::copied_by_field;
use crate::{Instant, NodeId};

/// One way in which the world can break.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Fault {
    /// The node's process dies. Its disk keeps what was synced; of the unsynced tail a prefix survives and the write
    /// at the edge may be torn. Peers see their connections reset, if the link to them is up. Ends with a restart.
    Crash {
        /// The node that dies.
        node: NodeId,
    },
    /// A node that is down starts with a fresh actor and what its disk kept. No effect on a node that is up
    /// or whose machine has no power.
    Restart {
        /// The node that starts.
        node: NodeId,
    },
    /// The node stops running, as in a long garbage collection: its clock goes on, its events queue and come in a
    /// burst when it resumes. The operating system below it still accepts connections and data. Ends by resuming.
    Pause {
        /// The node that stalls.
        node: NodeId,
    },
    /// A paused node runs again. No effect on a node that is not paused.
    Resume {
        /// The node that goes on.
        node: NodeId,
    },
    /// Each event costs the node this much time during which it can do nothing else.
    Slow {
        /// The node that is slow.
        node: NodeId,
        /// Time added to each event that the node handles.
        per_event: Duration,
    },
    /// Changes the node's clocks: steps the wall clock, and sets the drift of both. When the fault ends, the drift
    /// goes back to what the schedule had set and the step is undone.
    Clock {
        /// The node whose clocks change.
        node: NodeId,
        /// Nanoseconds to add to the wall clock; negative sets it back.
        step: i64,
        /// New drift, if it is to change; within [`crate::ClockSetting::MAX_DRIFT_PPM`].
        drift_ppm: Option<i32>,
    },
    /// No message crosses from one group to another; nodes in no group are not affected.
    Partition {
        /// The groups that cannot reach each other, each a list of nodes.
        groups: Vec<Vec<NodeId>>,
    },
    /// No message crosses from any of `from` to any of `to`; the way back stays open.
    OneWay {
        /// Senders whose messages are lost.
        from: Vec<NodeId>,
        /// Receivers that hear nothing from them.
        to: Vec<NodeId>,
    },
    /// One directed link is cut.
    Cut {
        /// Sender.
        from: NodeId,
        /// Receiver.
        to: NodeId,
    },
    /// Ends every cut, partition and degradation that is in force.
    Heal,
    /// All connections between two nodes break at once, and both ends are told.
    Reset {
        /// One end.
        a: NodeId,
        /// The other end.
        b: NodeId,
    },
    /// One directed link gets worse.
    Degrade {
        /// Sender.
        from: NodeId,
        /// Receiver.
        to: NodeId,
        /// In which ways.
        degradation: Degradation,
    },
    /// The next `count` messages of a kind are lost when they are sent. On a connection a message can only be lost
    /// together with the connection: both ends see it reset.
    Drop {
        /// Which messages.
        select: Select,
        /// How many.
        count: u32,
    },
    /// The next `count` messages of a kind take `by` longer than they would have. On a connection everything behind
    /// them waits, as order is kept.
    Delay {
        /// Which messages.
        select: Select,
        /// How many.
        count: u32,
        /// Added latency.
        by: Duration,
    },
    /// The node's disk misbehaves.
    Disk {
        /// The node whose disk it is.
        node: NodeId,
        /// How.
        trouble: DiskTrouble,
    },
    /// Every node of a machine vanishes: like a crash, but nobody is told, so that peers keep half-open connections.
    /// Ends with the machine's start, and with it that of every node of it that is down.
    HostFailure {
        /// The machine, as numbered in the set-up of the world.
        host: HostId,
    },
    /// An operator or a workload asks something of a node. Not a failure, but it is triggered like one and it is
    /// removed by shrinking like one.
    Command {
        /// The node that is asked.
        node: NodeId,
        /// Index into the commands of the set-up of the world.
        command: CommandId,
    },
}

/// A machine that carries one or more nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostId(pub u16);

/// Index of a command in [`crate::Setup::commands`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u32);

/// What a degraded link does to its messages; every field adds to what the network's configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Degradation {
    /// Added to every message.
    pub latency: Duration,
    /// Up to this much more, drawn for each message: what makes datagrams overtake each other.
    pub jitter: Duration,
    /// Probability from 0 to 1 that a datagram is lost; on a connection it is sent again after a timeout.
    pub loss: f64,
    /// Probability from 0 to 1 that a datagram arrives twice.
    pub duplication: f64,
    /// Bytes a second at most; no limit of its own if `None`.
    pub bandwidth: Option<u64>,
}

/// Selects messages by kind, sender and receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Select {
    /// A kind of the protocol, or any if `None`.
    pub kind: Option<&'static str>,
    /// The sender, or any if `None`.
    pub from: Option<NodeId>,
    /// The receiver, or any if `None`.
    pub to: Option<NodeId>,
}

impl Select {
    /// Whether a message of `kind` from `from` to `to` is meant.
    pub fn matches(&self, kind: &str, from: NodeId, to: NodeId) -> bool {
        self.kind.is_none_or(|k| k == kind) && self.from.is_none_or(|n| n == from) && self.to.is_none_or(|n| n == to)
    }
}

/// How a disk misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Hash)]
pub enum DiskTrouble {
    /// Each sync takes this much longer.
    Slow {
        /// Added to every sync.
        by: Duration,
    },
    /// Syncs fail: the actor is told by [`crate::Actor::on_disk_error`] and nothing becomes durable.
    Failing,
    /// Syncs report success but keep nothing: a crash loses all that was written meanwhile.
    Lying,
}

/// When a fault strikes.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Trigger {
    /// At a moment of world time.
    At(Instant),
    /// At a moment drawn evenly from a window, by seed; the middle of it on a calm baseline.
    Window {
        /// Earliest moment.
        from: Instant,
        /// Latest moment.
        to: Instant,
    },
    /// As the n-th event of the run, before what would have been the n-th; the first event is number 1.
    OnEvent(u64),
    /// When a node sets a mark.
    OnMark {
        /// The mark's name.
        mark: &'static str,
        /// The node that must set it, or any if `None`.
        node: Option<NodeId>,
        /// How many times it must have been set so, counted from 1.
        occurrence: u32,
        /// Time to wait after that.
        plus: Duration,
    },
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct PlannedFault {
    /// Names the fault for ever, in traces, reports and schedules; unique within a plan.
    pub id: u32,
    /// When it strikes.
    pub trigger: Trigger,
    /// What breaks.
    pub fault: Fault,
    /// How long until it ends by itself; for ever if `None`. Faults without an extent in time, such as a reset,
    /// ignore it.
    pub hold: Option<Duration>,
}

/// Everything that is to break in one run.
#[derive(Debug, Default, PartialEq, Hash)]
pub struct FaultPlan {
    /// The faults, in any order.
    pub faults: Vec<PlannedFault>,
}

copied_by_field! { impl[] FaultPlan { faults } }

/// By the bits of its probabilities: equal degradations have equal hashes unless one holds 0.0 where the other holds
/// -0.0, which costs a search a repetition and nothing else.
impl Hash for Degradation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Degradation { latency, jitter, loss, duplication, bandwidth } = *self;
        (latency, jitter, loss.to_bits(), duplication.to_bits(), bandwidth).hash(state);
    }
}

impl fmt::Display for Degradation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.latency.is_zero() {
            parts.push(format!("latency +{:?}", self.latency));
        }
        if !self.jitter.is_zero() {
            parts.push(format!("jitter {:?}", self.jitter));
        }
        if self.loss > 0.0 {
            parts.push(format!("loss {}", self.loss));
        }
        if self.duplication > 0.0 {
            parts.push(format!("duplication {}", self.duplication));
        }
        if let Some(bandwidth) = self.bandwidth {
            parts.push(format!("{bandwidth} B/s"));
        }
        f.write_str(&parts.join(", "))
    }
}

impl FaultPlan {
    /// Adds a fault with the next free id and returns that id.
    pub fn push(&mut self, trigger: Trigger, fault: Fault, hold: Option<Duration>) -> u32 {
        let id = self.faults.iter().map(|f| f.id + 1).max().unwrap_or(0);
        self.faults.push(PlannedFault { id, trigger, fault, hold });
        id
    }
}

impl Fault {
    /// The names of all kinds of fault, as scenario files and reports spell them.
    pub const KINDS: &'static [&'static str] = &[
        "crash",
        "restart",
        "pause",
        "resume",
        "slow",
        "clock",
        "partition",
        "one-way",
        "cut",
        "heal",
        "reset",
        "degrade",
        "drop",
        "delay",
        "disk",
        "host-failure",
        "command",
    ];

    /// The one node that it strikes, if it strikes one.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Fault::Crash { node }
            | Fault::Restart { node }
            | Fault::Pause { node }
            | Fault::Resume { node }
            | Fault::Slow { node, .. }
            | Fault::Clock { node, .. }
            | Fault::Disk { node, .. }
            | Fault::Command { node, .. } => Some(*node),
            _ => None,
        }
    }

    /// The name of this kind of fault, one of [`Fault::KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Crash { .. } => "crash",
            Fault::Restart { .. } => "restart",
            Fault::Pause { .. } => "pause",
            Fault::Resume { .. } => "resume",
            Fault::Slow { .. } => "slow",
            Fault::Clock { .. } => "clock",
            Fault::Partition { .. } => "partition",
            Fault::OneWay { .. } => "one-way",
            Fault::Cut { .. } => "cut",
            Fault::Heal => "heal",
            Fault::Reset { .. } => "reset",
            Fault::Degrade { .. } => "degrade",
            Fault::Drop { .. } => "drop",
            Fault::Delay { .. } => "delay",
            Fault::Disk { .. } => "disk",
            Fault::HostFailure { .. } => "host-failure",
            Fault::Command { .. } => "command",
        }
    }
}

/// What became of one planned fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fired {
    /// How often it took effect. A crash of a node that was already down did not; a drop counts each message lost.
    pub count: u32,
    /// When it first took effect.
    pub first: Option<Instant>,
}
