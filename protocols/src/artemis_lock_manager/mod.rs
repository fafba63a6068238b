//! Artemis with a lock manager: a replicated pair whose activation is decided outside it.
//!
//! # Roles
//! - `lock-manager`: one lock and one counter for each NodeID, and sessions with a lease, as ZooKeeper has them.
//! - `live` and `backup`: two peers that share a coordination id, which is the NodeID that both go by. Each keeps its
//!   own journal and, in it, its *activation sequence*. The `live` one begins with an empty journal of sequence 0,
//!   the `backup` one with none, and when the `live` one returns after a failover it is given its place back.
//! - `client`: sends durable messages, see [`crate::artemis::client`].
//!
//! # Activation
//! The lock says who may serve now; it does not say whose data is new. The counter does: `n` means that whoever
//! activated last did so under the number n, `-n` that n is claimed and not committed. A broker
//! 1. reads the counter; unless it is worth as much as the broker's own sequence, the broker's copy is stale, and it
//!    becomes an empty backup;
//! 2. takes the lock, and reads the counter again;
//! 3. claims the next number, writes it to its own disk, and commits it: three steps, a crash between any two
//!    of which leaves a claim that tells what happened;
//! 4. loads its journal, which is slow, asks whether the lock is still its own, and only then serves.
//!
//! With a sequence n, a counter of n is fresh; so is -n, this broker's own claim, and -(n+1), the claim of somebody who
//! began with the same data and has acknowledged nothing since. Either is repaired: whoever has the lock makes the
//! claimed number its own, on its disk first, commits it, and claims the one after it. Nobody has served under the
//! repaired number, so a broker that has it too, because it claimed it and died, is as fresh; and whoever dies in the
//! middle of a repair finds the counter at most one claim ahead of its copy. (Claiming past an unfinished claim without
//! finishing it would leave both copies stale when that claim is left unfinished as well.) A session that has ended
//! can set the counter no more, so an old claim cannot be committed behind the back of whoever repairs it.
//! Anything else is stale. A live that loses its replica raises the sequence in the same three steps before it
//! acknowledges anything more: from then on the absent replica is stale.
//!
//! # Replication
//! The live streams what it has in chunks and forwards what comes in meanwhile; then it stalls its clients, sends
//! `SyncDone` with its sequence, and waits for `SyncFinishedAck`. From then on a send is acknowledged when it is on
//! both disks.
//!
//! # Timers
//! | name | default | |
//! |---|---|---|
//! | `lock-acquire` | 2000 ms | for which a broker tries to get the lock |
//! | `lock-poll` | 200 ms | between attempts, and between looks at the counter |
//! | `failback-wait` | 4000 ms | for the peer's next committed sequence after handing over |
//! | `session-lease` | 18 s | after which the lock manager takes a silent broker's lock away |
//! | `session-expiry` | 12 s | after which a broker takes its own session for lost |
//! | `self-stop` | 100 ms | from that moment until the stop, which is another thread's, runs |
//! | `initial-replication-sync-timeout` | 30 s | for `SyncFinishedAck` |
//! | `call-timeout` | 30 s | for any response of the replica, and for a client's call |
//! | `retry-replication-wait` | 2000 ms | between attempts to find a live to replicate |
//! | `connection-ttl`, `failure-check` | 60 s, 30 s | a silent live is gone; how often it says something |
//!
//! # Invariants
//! `at-most-one-live` (A1), `no-acknowledged-send-lost` (A2), `backup-activates-only-if-up-to-date` (A3),
//! `one-live-one-backup` (A4), `blocked-clients-progress` (A6), `no-leak` (A7).
//!
//! A1 has an honest interval of `self-stop` and `lock-poll`: a broker that was paused beyond its lease wakes up as LIVE,
//! finds its session expired, and has another thread stop it. It acknowledges nothing meanwhile, because it
//! can neither reach its replica nor raise the sequence.

mod broker;
mod config;
mod invariants;
mod manager;
mod protocol;
mod session;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sim_core::{Actor, ConnectionEvent, Context, NodeId, SyncToken};

pub use config::{Config, Defects, Settings};
pub use protocol::ArtemisLockManager;

use crate::artemis::client::{Client, ClientMessage, ClientTimer};
use crate::artemis::journal::JournalRecord;
use crate::transitions;

use broker::Broker;
use manager::Manager;

/// What a lock and a counter are kept under; the coordination id of the pair is one.
pub type LockId = u64;

/// How an acting live gives its place back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stopping {
    /// It has closed its clients.
    StopCalled,
    /// The replica may take over.
    FailOver,
}

/// What the nodes say to each other.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// See [`ClientMessage::Attach`].
    Attach,
    /// See [`ClientMessage::Topology`].
    Topology {
        /// The LIVE broker.
        live: NodeId,
        /// Its replica.
        backup: Option<NodeId>,
    },
    /// See [`ClientMessage::Send`].
    Send {
        /// Duplicate-detection id.
        id: u64,
        /// Size of the body in bytes.
        size: u32,
    },
    /// See [`ClientMessage::Sent`].
    Sent {
        /// Duplicate-detection id.
        id: u64,
    },

    /// Backup to live: replicate to me.
    BackupRegistration {
        /// Whether it wants the place when it is up to date.
        failback: bool,
    },
    /// Live to backup: somebody else is being replicated to.
    RegistrationFailed,
    /// Live to backup: throw your copy away, here comes mine.
    StartSync,
    /// Live to backup: part of the journal.
    SyncFileChunk {
        /// Duplicate-detection ids.
        ids: Arc<[u64]>,
        /// Size of a body in bytes.
        size: u32,
    },
    /// Live to backup: a message that a client has sent just now.
    Append {
        /// Duplicate-detection id.
        id: u64,
        /// Size of the body in bytes.
        size: u32,
    },
    /// Backup to live: that message is on disk.
    ReplicationResponse {
        /// Duplicate-detection id.
        id: u64,
    },
    /// Live to backup: that was all.
    SyncDone {
        /// The live's activation sequence.
        activation: u64,
    },
    /// Backup to live: everything is on disk, and so is the sequence.
    SyncFinishedAck,
    /// Live to backup: take over.
    PrimaryStopping(Stopping),
    /// Live to backup: still here.
    Ping,

    /// Broker to lock manager: the connection carries this session.
    Session {
        /// Tells the sessions of a broker apart.
        verifier: u64,
        /// Whether it should be there already.
        resume: bool,
        /// When this was sent, on the sender's clock.
        at: u64,
    },
    /// Broker to lock manager: the session is alive.
    Renew {
        /// When this was sent, on the sender's clock.
        at: u64,
    },
    /// Lock manager to broker: it was when you sent that.
    Renewed {
        /// The time that came with the request.
        at: u64,
    },
    /// Lock manager to broker: the session has expired, and its lock is gone.
    SessionLost,
    /// Broker to lock manager: read a counter.
    ReadCounter(LockId),
    /// Lock manager to broker: its value.
    Counter(LockId, i64),
    /// Broker to lock manager: set a counter if it has the expected value.
    CompareAndSet {
        /// The counter.
        lock: LockId,
        /// The value that it must have.
        expected: i64,
        /// The value to set.
        new: i64,
    },
    /// Lock manager to broker: whether that was done.
    Swapped(LockId, bool),
    /// Broker to lock manager: take a lock if it is free.
    TryLock(LockId),
    /// Lock manager to broker: whether the lock is now the session's.
    Locked(LockId, bool),
    /// Broker to lock manager: is the lock still mine?
    IsHeld(LockId),
    /// Lock manager to broker: whether it is.
    Held(LockId, bool),
    /// Broker to lock manager: release a lock.
    Unlock(LockId),
    /// Lock manager to broker: it is released.
    Unlocked(LockId),
}

sim_core::kinds!(Message {
    Attach, Topology, Send, Sent, BackupRegistration, RegistrationFailed, StartSync, SyncFileChunk, Append,
    ReplicationResponse, SyncDone, SyncFinishedAck, PrimaryStopping, Ping, Session, Renew, Renewed, SessionLost,
    ReadCounter, Counter, CompareAndSet, Swapped, TryLock, Locked, IsHeld, Held, Unlock, Unlocked,
} bytes |message| match message {
    Message::Send { size, .. } | Message::Append { size, .. } => 64 + size,
    Message::SyncFileChunk { ids, size } => 64 + (8 + size) * ids.len() as u32,
    _ => 64,
});

impl From<ClientMessage> for Message {
    fn from(message: ClientMessage) -> Self {
        match message {
            ClientMessage::Attach => Message::Attach,
            ClientMessage::Topology { live, backup } => Message::Topology { live, backup },
            ClientMessage::Send { id, size } => Message::Send { id, size },
            ClientMessage::Sent { id } => Message::Sent { id },
        }
    }
}

/// The timers of all roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// A client's.
    Client(ClientTimer),
    /// Keep the session alive.
    Renew,
    /// Connect to the lock manager again.
    Reconnect,
    /// The session has not been confirmed for too long.
    SessionExpiry,
    /// The stop that followed from a lost session runs; of this start of the broker.
    SelfStop(u32),
    /// Try the lock, or read the counter, again.
    LockPoll,
    /// The lock could not be had in time.
    LockAcquire,
    /// The journal of this start of the broker is loaded.
    Loaded(u32),
    /// Look for a live again.
    RetryReplication,
    /// The replica has not confirmed the end of the copy.
    SyncTimeout,
    /// The replica has not responded at all.
    SlowReplica,
    /// Say something to the replica.
    FailureCheck,
    /// The live has said nothing for too long.
    ConnectionTtl,
    /// The peer has not activated after the place was handed over.
    FailbackWait,
}

impl From<ClientTimer> for Timer {
    fn from(timer: ClientTimer) -> Self {
        Timer::Client(timer)
    }
}

/// What is kept on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// Broker: part of its journal, its activation sequence included.
    Journal(JournalRecord),
    /// Lock manager: a counter's value.
    Counter(LockId, i64),
    /// Lock manager: the broker and the session that own a lock.
    Owner(LockId, Option<(NodeId, u64)>),
}

impl From<JournalRecord> for Record {
    fn from(record: JournalRecord) -> Self {
        Record::Journal(record)
    }
}

/// What an operator can ask of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Shut down.
    Stop,
}

/// Where a broker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Opens a session with the lock manager.
    Joining,
    /// Reads the counter to see what its copy is worth.
    Evaluating,
    /// Tries to get the lock.
    Locking,
    /// Has the lock and reads the counter again.
    Rechecking,
    /// Writes a number that somebody claimed and never committed to its own disk, and commits it.
    Repairing,
    /// Claims the next number at the counter.
    Claiming,
    /// Writes that number to its own disk.
    Recording,
    /// Commits the number at the counter.
    Committing,
    /// Loads its journal.
    Loading,
    /// Asks whether the lock is still its own.
    Confirming,
    /// Serves.
    Live,
    /// Looks for a live to replicate.
    Registering,
    /// Receives a copy.
    Copying,
    /// Is up to date, and kept so.
    Replica,
    /// Has closed its clients and told its replica to take over.
    HandingOver,
    /// Waits until the peer has activated.
    AwaitingNext,
}

/// What happens to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The session is open, and there is a copy to be judged.
    Joined,
    /// The session is open, and there is no complete copy.
    JoinedEmpty,
    /// The copy is as new as any.
    Fresh,
    /// The copy is older than what somebody has served since.
    Stale,
    /// The lock is this broker's.
    Locked,
    /// The lock stays another's.
    LockTaken,
    /// The copy is still as new as any, now that nobody else can activate.
    StillFresh,
    /// So it is, but a claim has been left unfinished.
    Unfinished,
    /// That claim is finished.
    Repaired,
    /// The next number is claimed.
    Claimed,
    /// It is on this broker's disk.
    Recorded,
    /// It is committed.
    Committed,
    /// The journal is loaded.
    Loaded,
    /// The lock is still this broker's.
    Owned,
    /// There is no live; perhaps this broker's copy is worth something.
    NoLive,
    /// A live sends its copy.
    CopyBegun,
    /// The copy is complete, on disk, and kept up to date.
    UpToDate,
    /// The live is gone before the copy was complete.
    CopyLost,
    /// The live is gone, or has told its replica to take over.
    LiveGone,
    /// The replica is to have the place.
    HandOver,
    /// The lock is released.
    Released,
    /// The broker starts over.
    Restart,
}

transitions! { Phase on Event {
    Joined(Joining => Evaluating);
    JoinedEmpty(Joining => Registering);
    // Activation.
    Fresh(Evaluating => Locking);
    Stale(Evaluating | Rechecking => Registering);
    Locked(Locking => Rechecking);
    LockTaken(Locking => Registering);
    StillFresh(Rechecking => Claiming);
    Unfinished(Rechecking => Repairing);
    Repaired(Repairing => Claiming);
    Claimed(Claiming => Recording);
    Recorded(Recording => Committing);
    Committed(Committing => Loading);
    Loaded(Loading => Confirming);
    Owned(Confirming => Live);
    // Replication.
    NoLive(Registering => Evaluating);
    CopyBegun(Registering => Copying);
    CopyLost(Copying => Registering);
    UpToDate(Copying => Replica);
    LiveGone(Replica => Evaluating);
    // Failback.
    HandOver(Live => HandingOver);
    Released(HandingOver => AwaitingNext);
    Restart(
        Joining | Evaluating | Locking | Rechecking | Repairing | Claiming | Recording | Committing | Loading
            | Confirming | Live | Registering | Copying | Replica | HandingOver | AwaitingNext => Joining
    );
} }

/// A node of the cluster.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// The lock manager.
    Manager(Manager),
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
            Node::Manager(manager) => manager.start(disk),
            Node::Broker(broker) => broker.start(disk, ctx),
            Node::Client(client) => client.on_start(ctx),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match self {
            Node::Manager(manager) => manager.request(from, message, ctx),
            Node::Broker(broker) => broker.message(message, ctx),
            Node::Client(client) => match message {
                Message::Topology { live, backup } => client.on_message(ClientMessage::Topology { live, backup }, ctx),
                Message::Sent { id } => client.on_message(ClientMessage::Sent { id }, ctx),
                other => unreachable!("{other:?} is not for a client"),
            },
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match (self, timer) {
            (Node::Broker(broker), timer) => broker.timer(timer, ctx),
            (Node::Client(client), Timer::Client(timer)) => client.on_timer(timer, ctx),
            (Node::Manager(_) | Node::Client(_), timer) => unreachable!("{timer:?} is a broker's"),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        match command {
            Command::Stop => ctx.halt(),
        }
    }

    fn on_connection(&mut self, _: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        match self {
            Node::Manager(manager) => manager.connection(event, ctx),
            Node::Broker(broker) => broker.connection(event, ctx),
            Node::Client(client) => client.on_connection(event, ctx),
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        match self {
            Node::Manager(manager) => manager.synced(token, ctx),
            Node::Broker(broker) => broker.synced(token, ctx),
            Node::Client(_) => unreachable!("a client has no disk"),
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Node::Manager(_) => "LOCK-MANAGER",
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
        assert_eq!(check(Phase::Joining), Ok(()));
        insta::assert_snapshot!(render::<Phase>());
    }
}
