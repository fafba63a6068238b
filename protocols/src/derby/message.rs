//! What databases and clients say to each other, what is on their disks, their timers, and what an operator can ask.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sim_core::kinds;

use super::log::{Entry, Position};

/// All messages.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Master to slave, first on a connection: the version of the protocol.
    InitiateVersion {
        /// The master's.
        version: u32,
    },
    /// Master to slave: how far is your log?
    InitiateInstant,
    /// Master to slave: the next part of the log.
    Log {
        /// The records.
        entries: Arc<[Entry]>,
    },
    /// Slave to master: done, and my log is so far.
    Ack {
        /// The end of the slave's log.
        position: Position,
    },
    /// Slave to master: no, or no more.
    Error {
        /// Why.
        problem: Problem,
    },
    /// Slave to master: are you there?
    Ping,
    /// Master to slave: I am.
    Pong,
    /// Master to slave: replication is over.
    Stop,
    /// Master to slave: get ready to take over.
    Failover,
    /// Master to slave: I serve nobody any more, take over.
    FailoverCommit {
        /// The end of the log at which the slave takes over.
        position: Position,
    },
    /// Slave to master: I have.
    FailoverDone,
    /// Master to slave: a copy of the database, instead of what you have.
    Copy {
        /// The data files and the log.
        records: Arc<[Record]>,
    },

    /// Client to database: change something, in a new transaction.
    Execute {
        /// The transaction.
        transaction: u64,
        /// Whether it builds an index.
        index_build: bool,
    },
    /// Database to client: changed.
    Executed {
        /// The transaction.
        transaction: u64,
    },
    /// Client to database: commit.
    Commit {
        /// The transaction.
        transaction: u64,
    },
    /// Database to client: committed, and durable.
    Committed {
        /// The transaction.
        transaction: u64,
    },
    /// Database to client: not here, or not now; the transaction is rolled back.
    Refused {
        /// The transaction.
        transaction: u64,
    },
}

kinds!(Message {
    InitiateVersion, InitiateInstant, Log, Ack, Error, Ping, Pong, Stop, Failover, FailoverCommit, FailoverDone, Copy,
    Execute, Executed, Commit, Committed, Refused,
} bytes |message| match message {
    Message::Log { entries } => 64 + entries.iter().map(|entry| entry.length).sum::<u32>(),
    Message::Copy { records } => 64 * (1 + records.len() as u32),
    _ => 64,
});

/// Why a slave says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Problem {
    /// It speaks another version.
    Version,
    /// It is no slave, or not yet.
    NotASlave,
    /// A record did not fit the end of its log.
    OutOfSync,
}

/// What is on a database's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// A log record.
    Log(Entry),
    /// A change to a data file that has no log record.
    Page(u64),
    /// Log before this instant is not needed.
    Pruned(u64),
    /// The slave takes over at this position, and this database must not serve again.
    Superseded(Position),
    /// The operator has put this database out of the way.
    Fenced,
    /// A slave serves from here on, because its master or (not orderly) its operator said so.
    Promoted(Promotion),
}

/// How a slave came to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Promotion {
    /// Told by its master.
    Orderly,
    /// Told by its operator.
    Forced,
}

/// The timers of databases and clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// The next chunk is due.
    Ship,
    /// The shipping thread runs again after it has sent a chunk.
    Shipped,
    /// A log record has waited long enough for a free buffer.
    ForceFlush,
    /// A flush of all buffers has lasted long enough.
    FlushEnds,
    /// The slave does not accept.
    Connect,
    /// The slave does not answer.
    Reply,
    /// Time to connect again.
    Reconnect,
    /// A checkpoint is due.
    Checkpoint,
    /// A client's index is built.
    IndexBuilt(u64),
    /// The slave's accept has returned without a connection.
    Accept,
    /// The ping was not answered.
    Ping,
    /// A slave has booted.
    Booted,
    /// A slave has redone and undone its log.
    Recovered,
    /// A client's next transaction is due.
    Next,
    /// A client's answer is overdue.
    Answer,
    /// A client tries to connect again.
    Retry,
}

impl Timer {
    /// Whether it belongs to replication, and ends with it.
    pub fn is_replication(self) -> bool {
        matches!(
            self,
            Timer::Ship
                | Timer::Shipped
                | Timer::ForceFlush
                | Timer::FlushEnds
                | Timer::Connect
                | Timer::Reply
                | Timer::Reconnect
                | Timer::Accept
                | Timer::Ping
                | Timer::Booted
                | Timer::Recovered
        )
    }
}

/// What an operator can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// At the master: replicate to the slave, whose copy of the database must be the same.
    StartMaster,
    /// At the master: the same, with the name of another machine.
    StartMasterAtWrongHost,
    /// At the master: copy the database to the slave, then replicate to it.
    Resync,
    /// At the slave: wait for a master again after a stop.
    StartSlave,
    /// At either: stop replication.
    Stop,
    /// At the master: have the slave take over.
    Failover,
    /// At the slave: take over from a master that is out of reach.
    SlaveFailover,
    /// At the slave: the operator has made sure that the master serves nobody, and never will.
    ConfirmFenced,
    /// At the master: shut the database down, durably.
    Fence,
    /// At the master: shut the database down until it is restarted.
    Shutdown,
}
