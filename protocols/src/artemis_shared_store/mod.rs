//! Artemis with a shared store: two brokers, one journal on a network file system, and a lock file beside it.
//!
//! # Roles
//! - `store`: the file system, reached over the network as NFS is. Locks belong to a mount and stay its own as long
//!   as the mount is heard of within the lease; after that they go to whoever asks next, and the former owner is not
//!   told.
//! - `live`: the broker that normally serves. When it returns after a failover it asks for its place back.
//! - `backup`: the broker that waits, takes over, and gives the place back.
//! - `client`: sends durable messages one at a time, to whichever broker serves.
//!
//! # The lock file
//! One state byte ([`LockState`]), a primary lock, a backup lock and a time stamp. The byte says what the absence of
//! a primary lock means: with LIVE the broker has died and the backup takes over; with PAUSED it has been shut down
//! in good order, with FAILINGBACK the former live is about to serve, and the backup leaves the place alone.
//! LIVE is written by the completion callback of the `live` broker, after its journal is loaded and its
//! acceptors are open, so that a broker that waits for LIVE waits for a broker that serves.
//!
//! # What fences the journal
//! The lock is advisory for the lock file: the state byte and the time stamp can be written by anyone, at any time.
//! Each takeover touches the file, and a serving broker reads the time stamp every `lock-monitor`; if it has
//! moved, or cannot be read within `store-timeout`, the broker has lost its lock and restarts. That is not
//! enough to protect the journal: a broker that was paused for longer than the lease goes on writing at its own
//! position until its monitor has had an answer. So with `journal-fencing`, the default, the store refuses
//! journal writes of a mount that does not own the primary lock, and a refused write restarts the broker. Without
//! it, the file system does what a Linux NFS client does, the writes go through, and an acknowledged message can be
//! overwritten.
//!
//! # Timers
//! | name | default | |
//! |---|---|---|
//! | `store-poll` | 2 s | between attempts at a lock, and between looks at the state byte |
//! | `failback-check` | 1 s | between looks of a serving `backup` for a request to fail back |
//! | `lock-monitor` | 2 s | between looks of a serving broker at the time stamp |
//! | `announcement-wait` | 60 s | for the peer's announcement, before failing back |
//! | `failback-delay` | 5 s | the sleep that upstream removed; only the defect uses it |
//! | `lock-lease` | 30 s | after which the locks of a silent mount can be taken |
//! | `store-timeout` | 5 s | after which the monitor takes an unanswered look for a lost lock |
//!
//! # Invariants
//! `at-most-one-live` (A1), `at-most-one-writer` (A1, at the store), `no-acknowledged-send-lost` (A2),
//! `one-live-one-backup` (A4), `blocked-clients-progress` (A6), `no-leak` (A7). A3 has no meaning here: there is one
//! copy of the journal, and whoever activates reads it.
//!
//! A1 has an honest interval. A broker that has been paused beyond its lease wakes up as LIVE, and so it remains until its
//! monitor, which is overdue, has had an answer or has run into its timeout: `lock-monitor` and
//! `store-timeout` together bound the overlap. A broker that is cut off stops long before its lease ends.
//!
//! # Where this departs from upstream
//! - `journal-fencing`, as above; upstream has none, and `shared-store-unfenced` shows what that costs.
//! - A returning `live` broker announces itself whenever it finds the lock taken, not only if it was taken at its
//!   first look. Otherwise a backup that takes over right after that look never hears of it (ART-L6).
//!
//! A hazard that is upstream's own and kept here: FAILINGBACK stays in the lock file when whoever wrote it dies. Should
//! the acting live die as well before the other is back, it comes back as a backup and takes over nothing;
//! `shared-store-forsaken` shows it.

mod broker;
mod client;
mod config;
mod invariants;
mod mount;
mod protocol;
mod store;

use serde::{Deserialize, Serialize};
use sim_core::{Actor, ConnectionEvent, Context, NodeId, SyncToken};

pub use config::{Config, Defects, Settings};
pub use protocol::ArtemisSharedStore;

use crate::transitions;

use broker::Broker;
use client::Client;
use store::Store;

/// The state byte of the lock file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LockState {
    /// No broker has ever served.
    #[default]
    NotStarted,
    /// A broker serves, or has died serving.
    Live,
    /// The `live` broker wants the place, or has just been given it.
    FailingBack,
    /// The serving broker was shut down in good order and will be back.
    Paused,
}

/// The two locks of the lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lock {
    /// Whoever serves.
    Primary,
    /// Whoever waits to take over.
    Backup,
}

/// What the nodes say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Client to broker: store this durable message.
    Send {
        /// The message.
        value: u64,
    },
    /// Broker to client: it is stored.
    Sent {
        /// The message.
        value: u64,
    },
    /// Broker to the serving broker: the sender is the backup of this node id, or wants to be live again.
    NodeAnnounced,
    /// Broker to store: the connection carries a mount; which one, and the locks that it believes it has.
    Mount {
        /// Differs for each start of a broker.
        verifier: u64,
        /// Locks to reclaim.
        held: Vec<Lock>,
    },
    /// Broker to store: take a lock if it is free.
    TryLock(Lock),
    /// Broker to store: release a lock.
    Unlock(Lock),
    /// Broker to store: read the state byte.
    ReadState,
    /// Broker to store: write the state byte and force it to disk.
    WriteState(LockState),
    /// Broker to store: set the lock file's time stamp.
    Touch,
    /// Broker to store: read the time stamp.
    ReadTimes,
    /// Broker to store: read part of the journal.
    ReadJournal {
        /// First position to read.
        from: u64,
    },
    /// Broker to store: write a record into the journal and force it to disk.
    Append {
        /// Where, as the broker counts.
        position: u64,
        /// The record.
        value: u64,
    },
    /// Broker to store: the mount is alive.
    Renew,
    /// Store to broker: whether the lock was free.
    Locked(Lock, bool),
    /// Store to broker: the lock is released.
    Unlocked(Lock),
    /// Store to broker: the state byte.
    State(LockState),
    /// Store to broker: the state byte is on disk.
    StateWritten(LockState),
    /// Store to broker: the new time stamp.
    Touched(u64),
    /// Store to broker: the time stamp.
    Times(u64),
    /// Store to broker: part of the journal; shorter than a full part at the end.
    Records {
        /// First position.
        from: u64,
        /// The records from there on.
        values: Vec<u64>,
    },
    /// Store to broker: the record at this position is on disk.
    Appended {
        /// The position.
        position: u64,
    },
    /// Store to broker: the record is not written, because another mount owns the primary lock.
    Refused {
        /// The position.
        position: u64,
    },
}

/// Records in a full answer to [`Message::ReadJournal`].
const RECORDS_PER_READ: usize = 64;

sim_core::kinds!(Message {
    Send, Sent, NodeAnnounced, Mount, TryLock, Unlock, ReadState, WriteState, Touch, ReadTimes, ReadJournal, Append,
    Renew, Locked, Unlocked, State, StateWritten, Touched, Times, Records, Appended, Refused,
} bytes |message| match message {
    Message::Send { .. } | Message::Append { .. } => 1024,
    Message::Records { values, .. } => 64 + 1024 * values.len() as u32,
    _ => 64,
});

/// The timers of all roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Broker: try the lock or read the state byte again.
    Poll,
    /// Broker: keep the mount alive.
    Renew,
    /// Broker: connect to the store again.
    Remount,
    /// Broker: try again to announce itself.
    Announce,
    /// Broker: the journal of this activation is loaded.
    Loaded(u32),
    /// Broker: look whether the lock is still its own.
    Monitor,
    /// Broker: that look has gone unanswered.
    MonitorTimeout,
    /// Broker: look whether the peer wants to fail back.
    FailbackCheck,
    /// Broker: the peer has not announced itself.
    AnnouncementWait,
    /// Broker: the old sleep is over.
    FailbackDelay,
    /// Client: send the next message.
    NextSend,
    /// Client: the broker has not answered.
    CallTimeout,
    /// Client: connect again.
    Reconnect,
}

/// What the store keeps on its disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// The state byte.
    State(LockState),
    /// The time stamp of the lock file, counted in touches.
    Modified(u64),
    /// Who owns a lock: the broker and the verifier of its mount.
    Owner(Lock, Option<(NodeId, u64)>),
    /// A record of the journal.
    Message {
        /// Position in the journal.
        position: u64,
        /// The record.
        value: u64,
    },
}

/// What an operator can ask of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Shut down in good order.
    Stop,
}

/// Where a broker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Connecting to the store for the first time since its start.
    Mounting,
    /// The `live` broker tries the primary lock to see whether anyone serves.
    Probing,
    /// The `live` broker writes FAILINGBACK.
    Requesting,
    /// The `live` broker polls for the primary lock.
    AwaitingPrimary,
    /// The `backup` broker polls for the backup lock.
    AwaitingBackup,
    /// Backup: polls for the primary lock.
    Passive,
    /// Backup: has the primary lock and reads whether that means anything.
    Verifying,
    /// Has the primary lock and touches the lock file.
    Claiming,
    /// Loads the journal.
    Loading,
    /// Serves.
    Live,
    /// Has closed its clients and releases the primary lock, to fail back.
    HandingOver,
    /// Waits until the peer serves, to become its backup.
    AwaitingPeer,
    /// Has closed its clients and releases what it has, to shut down.
    ShuttingDown,
}

/// What happens to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The store has accepted the mount of the `live` broker.
    LiveMounted,
    /// The store has accepted the mount of the `backup` broker.
    BackupMounted,
    /// It is known whether anyone serves.
    Probed,
    /// FAILINGBACK is written.
    Requested,
    /// The backup lock is taken.
    BackupLocked,
    /// A backup has found the primary lock free, and taken it.
    PrimaryFree,
    /// The state byte says that the place is not free.
    NotDead,
    /// The primary lock is taken, for good.
    PrimaryTaken,
    /// The lock file is touched.
    Touched,
    /// The journal is loaded.
    Loaded,
    /// The peer wants to fail back and has announced itself.
    FailBack,
    /// The primary lock is released.
    Released,
    /// The peer serves.
    PeerLive,
    /// The lock is lost, or a write was refused.
    LockLost,
    /// The operator wants the broker down.
    Stop,
}

transitions! { Phase on Event {
    // The `live` broker starts: it asks for its place, whether or not anyone has it.
    LiveMounted(Mounting => Probing);
    Probed(Probing => Requesting);
    Requested(Requesting => AwaitingPrimary);
    // The `backup` broker starts, and watches.
    BackupMounted(Mounting => AwaitingBackup);
    BackupLocked(AwaitingBackup => Passive);
    PrimaryFree(Passive => Verifying);
    NotDead(Verifying => Passive);
    // Either activates.
    PrimaryTaken(AwaitingPrimary | Verifying => Claiming);
    Touched(Claiming => Loading);
    Loaded(Loading => Live);
    // The acting live gives the place back.
    FailBack(Live => HandingOver);
    Released(HandingOver => AwaitingPeer);
    PeerLive(AwaitingPeer => AwaitingBackup);
    // Something else ends an activation.
    LockLost(Claiming | Loading | Live => Mounting);
    Stop(Live => ShuttingDown);
} }

/// A node of the cluster.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// The file system.
    Store(Store),
    /// One of the two brokers.
    Broker(Box<Broker>),
    /// A client.
    Client(Client),
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Command = Command;

    fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Self>) {
        match self {
            Node::Store(store) => store.start(disk),
            Node::Broker(broker) => broker.start(ctx),
            Node::Client(client) => client.start(ctx),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match self {
            Node::Store(store) => store.request(from, message, ctx),
            Node::Broker(broker) => broker.message(from, message, ctx),
            Node::Client(client) => client.message(message, ctx),
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match self {
            Node::Store(_) => unreachable!("the store sets no timer"),
            Node::Broker(broker) => broker.timer(timer, ctx),
            Node::Client(client) => client.timer(timer, ctx),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        match (self, command) {
            (Node::Broker(broker), Command::Stop) => broker.shut_down(ctx),
            (Node::Store(_) | Node::Client(_), Command::Stop) => ctx.halt(),
        }
    }

    fn on_connection(&mut self, peer: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        match self {
            Node::Store(store) => store.connection(peer, event, ctx),
            Node::Broker(broker) => broker.connection(event, ctx),
            Node::Client(client) => client.connection(event, ctx),
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        match self {
            Node::Store(store) => store.synced(token, ctx),
            Node::Broker(_) | Node::Client(_) => unreachable!("only the store has a disk"),
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Node::Store(_) => "STORE",
            Node::Broker(broker) => broker.role(),
            Node::Client(_) => "CLIENT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transitions::{check, render};

    #[test]
    fn the_transition_table_is_sound() {
        assert_eq!(check(Phase::Mounting), Ok(()));
        insta::assert_snapshot!(render::<Phase>());
    }
}
