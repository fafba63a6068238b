//! A scenario as it is known after its file was read: every name resolved, every time checked.
//!
//! Faults are the kernel's own, with nodes by number. Apart from the reader, so that what runs and reports scenarios
//! need not know how they are written.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Class, ClockSetting, CommandId, DiskConfig, DiskTrouble, HostId, Instant, Limits, Member, NetworkConfig, NodeId,
    PlannedFault,
};

use super::reader::Reader;
use super::{Explore, FileError};
use crate::registry::Complaint;

/// The role of the members that `clients = n` adds.
pub const CLIENT_ROLE: &str = "client";

/// Where something stands in a file, in bytes.
pub type Span = Range<usize>;

/// A scenario file, read and found to be sound.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its path below the scenarios folder without the extension, such as `artemis/failback`.
    pub name: String,
    /// Where it was read from.
    pub path: PathBuf,
    /// The text of the file.
    pub source: Arc<str>,
    /// What it shows, in a sentence.
    pub about: String,
    /// The protocol's name; always one that the registry knows.
    pub protocol: String,
    /// How much world time a run takes.
    pub duration: Duration,
    /// Which seeds to run.
    pub seeds: Seeds,
    /// The cluster's nodes and then its clients (`client-1` and so on); a node's number is its place here.
    pub members: Vec<Member>,
    /// How many of the members are clients.
    pub clients: usize,
    /// Names of the machines, by [`HostId`]. A node that the file puts on no machine has one to itself, which is
    /// called like the node.
    pub hosts: Vec<String>,
    /// The protocol's settings as written, if there are any.
    pub config: Option<Config>,
    /// Ids of the defects that are switched on.
    pub defects: BTreeSet<String>,
    /// The network when nothing is broken.
    pub network: NetworkConfig,
    /// The disks when nothing is broken.
    pub disk: DiskConfig,
    /// Clocks that differ from the world's; at most one entry a node.
    pub clocks: Vec<ClockRange>,
    /// Every command that can be asked, by [`CommandId`]: all that the protocol lists.
    pub commands: Vec<String>,
    /// The faults that every run has, with ids counted from zero in the order of the file.
    pub steps: Vec<PlannedFault>,
    /// The faults that each seed draws anew.
    pub random: Option<RandomFaults>,
    /// What must hold.
    pub invariants: Vec<InvariantSpec>,
    /// What the verdict should be.
    pub expect: Expect,
    /// When a run ends, whatever happens.
    pub limits: Limits,
    /// What an exploration tries.
    pub explore: Explore,
    /// Where the `[cluster]` table stands, for what only the protocol can find wrong with it.
    pub(crate) cluster_span: Span,
}

impl Scenario {
    /// The name of a node.
    pub fn node_name(&self, node: NodeId) -> &str {
        &self.members[node.index()].name
    }

    /// The node called `name`.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.members.iter().position(|member| member.name == name).map(|number| NodeId(number as u16))
    }

    /// The name of a machine.
    pub fn host_name(&self, host: HostId) -> &str {
        &self.hosts[host.0 as usize]
    }

    /// The text of a command.
    pub fn command_text(&self, command: CommandId) -> &str {
        &self.commands[command.0 as usize]
    }

    /// An error about this file, for what only its protocol can find wrong with it.
    pub(crate) fn refuse(&self, complaints: Vec<Complaint>) -> FileError {
        let mut reader = Reader::new(self.path.display().to_string(), self.source.clone());
        for complaint in complaints {
            let span = complaint.span.unwrap_or_else(|| self.cluster_span.clone());
            reader.problem(span, complaint.message, "here", complaint.help);
        }
        reader.into_error()
    }

    /// Whether a violation is what the file expects: a canary, which shows that the checker can fail.
    pub fn is_canary(&self) -> bool {
        matches!(self.expect, Expect::Violates(_))
    }
}

/// Which seeds a scenario asks for when the command line does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// This many, counted from zero.
    First(u64),
    /// These.
    Listed(Vec<u64>),
}

impl Seeds {
    /// How many there are; never zero.
    pub fn count(&self) -> u64 {
        match self {
            Seeds::First(count) => *count,
            Seeds::Listed(seeds) => seeds.len() as u64,
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = u64> + '_> {
        match self {
            Seeds::First(count) => Box::new(0..*count),
            Seeds::Listed(seeds) => Box::new(seeds.iter().copied()),
        }
    }
}

/// The protocol's settings as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The table.
    pub value: toml::Table,
    /// Where it stands.
    pub span: Span,
}

/// The clock of one node: drawn evenly from these by seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockRange {
    /// The node.
    pub node: NodeId,
    /// Least and largest reading when the world's clock reads zero.
    pub offset: (Duration, Duration),
    /// Least and largest drift, within [`ClockSetting::MAX_DRIFT_PPM`].
    pub drift_ppm: (i32, i32),
}

impl ClockRange {
    /// The setting, if there is only one.
    pub fn exact(&self) -> Option<ClockSetting> {
        (self.offset.0 == self.offset.1 && self.drift_ppm.0 == self.drift_ppm.1)
            .then_some(ClockSetting { offset: self.offset.0, drift_ppm: self.drift_ppm.0 })
    }
}

/// A property that a scenario asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvariantSpec {
    /// Its name: one of the protocol's properties, or a mark for [`Class::Coverage`].
    pub name: String,
    /// `always` is [`Class::Safety`], `eventually` is [`Class::Liveness`] and `sometimes` is [`Class::Coverage`].
    pub class: Class,
    /// How long a liveness property may take after the last fault has ended; the protocol's own bound if `None`.
    pub within: Option<Duration>,
}

/// What the verdict of a scenario should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Every invariant holds for every seed.
    Pass,
    /// At least one seed violates the invariant of this name, and none violates another.
    Violates(String),
}

/// The faults that each seed draws anew: the nemesis.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomFaults {
    /// First and last moment at which one may strike.
    pub window: (Instant, Instant),
    /// Whether each seed leaves some kinds out.
    pub swarm: bool,
    /// Whether all have ended by the end of the window.
    pub settle: bool,
    /// What can strike; at most one entry a kind.
    pub kinds: Vec<RandomKind>,
}

/// How often one kind of fault strikes, whom, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomKind {
    /// Time from one to the next, on average.
    pub every: Duration,
    /// Shortest and longest time until it ends; `None` for faults without an extent in time.
    pub hold: Option<(Duration, Duration)>,
    /// How many may be in force at once.
    pub at_most: Option<u32>,
    /// How many there may be in the whole run.
    pub total: Option<u32>,
    /// Whom it can strike; for [`RandomFault::HostFailure`], the nodes of all machines that it can strike. Empty for
    /// [`RandomFault::Drop`] and [`RandomFault::Delay`], which strike messages.
    pub nodes: Vec<NodeId>,
    /// What breaks.
    pub fault: RandomFault,
}

/// A kind of random fault with what is drawn for each.
#[derive(Clone, Debug, PartialEq)]
pub enum RandomFault {
    /// A node's process dies.
    Crash,
    /// A node stalls.
    Pause,
    /// Each event costs a node time.
    Slow {
        /// Least and most time added to each event.
        per_event: (Duration, Duration),
    },
    /// A node's clocks change.
    Clock {
        /// Furthest back and furthest ahead that the wall clock is set, in nanoseconds.
        step: (i64, i64),
        /// Least and largest drift in parts per million, if it changes.
        drift_ppm: Option<(i32, i32)>,
    },
    /// The nodes are split in two.
    Partition {
        /// Probability from 0 to 1 that only one direction is cut.
        one_way: f64,
    },
    /// The nodes are split in two and one direction is cut.
    OneWay,
    /// One directed link is cut.
    Cut,
    /// All connections between two nodes break.
    Reset,
    /// One directed link gets worse, in each way that is not zero.
    Degrade {
        /// Least and most latency added.
        latency: (Duration, Duration),
        /// Least and most further latency that is drawn for each message.
        jitter: (Duration, Duration),
        /// Least and largest probability of loss.
        loss: (f64, f64),
        /// Least and largest probability of duplication.
        duplication: (f64, f64),
        /// Least and most bytes a second, if it is to be limited.
        bandwidth: Option<(u64, u64)>,
    },
    /// Messages of one kind are lost.
    Drop {
        /// The kinds that it can be.
        kinds: Vec<&'static str>,
        /// Fewest and most messages.
        count: (u32, u32),
    },
    /// Messages of one kind are late.
    Delay {
        /// The kinds that it can be.
        kinds: Vec<&'static str>,
        /// Fewest and most messages.
        count: (u32, u32),
        /// Least and most latency added.
        by: (Duration, Duration),
    },
    /// A node's disk misbehaves.
    Disk {
        /// In which ways; the time of a [`DiskTrouble::Slow`] is drawn from `by` instead.
        troubles: Vec<DiskTrouble>,
        /// Least and most time added to a sync of a slow disk.
        by: (Duration, Duration),
    },
    /// A machine vanishes with all its nodes.
    HostFailure,
    /// A node is asked something.
    Command {
        /// What it can be.
        commands: Vec<CommandId>,
    },
}

impl RandomFault {
    /// The names of all kinds, in the order of their numbers, which never changes: ids of planned faults and sites of
    /// randomness depend on it.
    pub const KINDS: &'static [&'static str] = &[
        "crash",
        "pause",
        "slow",
        "clock",
        "partition",
        "one-way",
        "cut",
        "reset",
        "degrade",
        "drop",
        "delay",
        "disk",
        "host-failure",
        "command",
    ];

    /// The name of this kind, one of [`RandomFault::KINDS`].
    pub fn kind(&self) -> &'static str {
        Self::KINDS[self.number() as usize]
    }

    /// The place of this kind in [`RandomFault::KINDS`].
    pub fn number(&self) -> u32 {
        match self {
            RandomFault::Crash => 0,
            RandomFault::Pause => 1,
            RandomFault::Slow { .. } => 2,
            RandomFault::Clock { .. } => 3,
            RandomFault::Partition { .. } => 4,
            RandomFault::OneWay => 5,
            RandomFault::Cut => 6,
            RandomFault::Reset => 7,
            RandomFault::Degrade { .. } => 8,
            RandomFault::Drop { .. } => 9,
            RandomFault::Delay { .. } => 10,
            RandomFault::Disk { .. } => 11,
            RandomFault::HostFailure => 12,
            RandomFault::Command { .. } => 13,
        }
    }
}
