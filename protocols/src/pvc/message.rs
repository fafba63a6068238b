//! What nodes say, set, write down and are asked: the types of the services, put together.

use serde::{Deserialize, Serialize};
use sim_core::{Kind, NodeId};

use crate::services::coordination;
use crate::services::power::{self, Mood};

/// What nodes say to each other: only through the coordination service, and to power boards.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// To or from the coordination service.
    Coordination(coordination::Message),
    /// To or from a power board.
    Power(power::Message),
}

impl Kind for Message {
    const KINDS: &'static [&'static str] = &{
        let (first, second) = (coordination::Message::KINDS, power::Message::KINDS);
        let mut all = [""; coordination::Message::KINDS.len() + power::Message::KINDS.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
            at += 1;
        }
        all
    };

    fn kind(&self) -> &'static str {
        match self {
            Message::Coordination(message) => message.kind(),
            Message::Power(message) => message.kind(),
        }
    }
}

impl From<coordination::Message> for Message {
    fn from(message: coordination::Message) -> Self {
        Message::Coordination(message)
    }
}

impl From<power::Message> for Message {
    fn from(message: power::Message) -> Self {
        Message::Power(message)
    }
}

/// What is on disks: only the services have any. A daemon keeps everything with the coordination service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// Of the coordination service.
    Coordination(coordination::Record),
    /// Of a power board.
    Power(power::Record),
}

impl From<coordination::Record> for Record {
    fn from(record: coordination::Record) -> Self {
        Record::Coordination(record)
    }
}

impl From<power::Record> for Record {
    fn from(record: power::Record) -> Self {
        Record::Power(record)
    }
}

/// What waits or works at a node. A number tells one use from an earlier one that was abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Of the coordination service.
    Coordination(coordination::Timer),
    /// Of power boards and those who ask them.
    Power(power::Timer),
    /// The daemon has started.
    Started,
    /// Time for a keepalive.
    Keepalive,
    /// A collector has ended.
    Collected(u32, Collector, Outcome),
    /// The keepalive has waited for its collectors for long enough.
    Join(u32),
    /// The keepalive has waited for a result for long enough.
    QueueRead(u32),
    /// A contention that nobody won is to be tried again.
    ContendAgain,
    /// The delay before a transition is over.
    TransitionDelay,
    /// A step of a transition is over.
    Transition(u32),
    /// The services of a primary have started.
    ServicesUp(u32),
    /// The next step of a fence is due.
    Fence(NodeId),
    /// A virtual machine whose storage was locked is to be tried again.
    VmRetry(u16),
    /// A live migration has ended.
    Migrated(u16),
    /// The wait of a shutdown is over.
    Shutdown,
}

impl From<coordination::Timer> for Timer {
    fn from(timer: coordination::Timer) -> Self {
        Timer::Coordination(timer)
    }
}

impl From<power::Timer> for Timer {
    fn from(timer: power::Timer) -> Self {
        Timer::Power(timer)
    }
}

/// What a keepalive collects statistics from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Collector {
    /// The storage cluster.
    Storage,
    /// The virtual machines.
    Libvirt,
}

/// How a collector's thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Its result is in the queue.
    Result,
    /// It has died before it put anything into the queue.
    Died,
    /// It has met an error.
    Failed,
}

/// What an operator can ask, and what can go wrong inside a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Make this node the primary.
    BecomePrimary,
    /// Let somebody else be the primary.
    BecomeSecondary,
    /// Shut the daemon down in good order.
    Shutdown,
    /// Suspend fencing, or resume it.
    Maintenance(bool),
    /// Make another virtual network.
    CreateNetwork,
    /// From now on, for the configured time, something in the node does not work.
    Trouble(Trouble),
    /// From now on the board behaves like this.
    Board(Mood),
}

/// What can go wrong inside a node without stopping it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// Commands to the storage cluster hang.
    StorageHangs,
    /// The collector of storage statistics dies.
    StorageDies,
    /// Calls to libvirt fail.
    LibvirtFails,
    /// The database cannot switch its leader.
    DatabaseFails,
    /// Adding and removing addresses takes long.
    NetworkSlow,
    /// Live migrations do not converge.
    MigrationHangs,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Trouble; 6] = [
        Trouble::StorageHangs,
        Trouble::StorageDies,
        Trouble::LibvirtFails,
        Trouble::DatabaseFails,
        Trouble::NetworkSlow,
        Trouble::MigrationHangs,
    ];
}

/// What a daemon's request to the coordination service was for: the place in its program where it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    /// Nobody waits for it.
    Ignored,
    /// To know what has changed while the connection was lost.
    Resync,
    /// To announce the daemon.
    Announce,
    /// A keepalive, by number.
    Keepalive(u32, super::keepalive::Step),
    /// A contention.
    Contend(super::contention::Step),
    /// To write the router's state in a transition, by number.
    Transition(u32),
    /// The look of the fence monitor at all nodes.
    Scan,
    /// A fence, by its target.
    Fence(NodeId, super::fence::Step),
    /// A recovery of virtual machines.
    Recovery(super::recovery::Step),
    /// A virtual machine, by number.
    Vm(u16, super::machines::Step),
    /// A shutdown.
    Shutdown(super::shutdown::Step),
}
