//! What nodes say to each other, what they write down, their timers, and what they can be asked.

use serde::{Deserialize, Serialize};
use sim_core::{ConnectionId, Named};

use super::config::HEADER;
use super::locks::Thread;

/// Identifies a message of the workload for ever: its duplicate-detection id.
pub type MessageId = u64;

/// An address, by number.
pub type Address = u32;

/// What nodes say to each other, always on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A client or a bridge asks for a session.
    CreateSession,
    /// The broker has made one.
    SessionCreated,
    /// An ordinary message.
    Send {
        /// Its duplicate-detection id.
        id: MessageId,
        /// Where it goes.
        address: Address,
        /// Size of its body.
        body: u32,
    },
    /// A packet of a large message.
    SendContinuation {
        /// The large message's duplicate-detection id.
        id: MessageId,
        /// Where it goes.
        address: Address,
        /// Size of this packet's part of the body.
        part: u32,
        /// Size of the whole body in the last packet; zero in the others.
        last_of: u32,
    },
    /// The broker has made the message durable, at its replica too if it has one.
    SendResponse {
        /// Which message.
        id: MessageId,
    },
    /// A producer wants to send this much more.
    RequestProducerCredits {
        /// For which address.
        address: Address,
        /// Bytes.
        credits: u32,
    },
    /// The broker lets a producer send this much more.
    ProducerCredits {
        /// For which address.
        address: Address,
        /// Bytes.
        credits: u32,
    },
    /// A sign of life. Whoever accepted the connection answers with another.
    Ping,
    /// A replica wants to be brought up to date.
    BackupRegistration,
    /// The live is replicating already.
    RegistrationFailed,
    /// The list of the live's journal and page files.
    StartSync {
        /// How many.
        files: u32,
    },
    /// A packet of one of them.
    SyncFileChunk {
        /// Its size.
        part: u32,
    },
    /// That was the last of the files.
    SyncDone,
    /// The replica has everything.
    SyncFinished,
    /// A record that the live has added to its journal or to a page file.
    Record {
        /// Identifies it on this connection.
        token: u64,
        /// The message that it holds.
        id: MessageId,
        /// Its size.
        body: u32,
    },
    /// The replica has made a record durable.
    ReplicationResponse {
        /// Which.
        token: u64,
    },
}

sim_core::kinds!(Message {
    CreateSession, SessionCreated, Send, SendContinuation, SendResponse, RequestProducerCredits, ProducerCredits, Ping,
    BackupRegistration, RegistrationFailed, StartSync, SyncFileChunk, SyncDone, SyncFinished, Record,
    ReplicationResponse,
} bytes |message| HEADER + match message {
    Message::Send { body, .. } | Message::Record { body, .. } => *body,
    Message::SendContinuation { part, .. } | Message::SyncFileChunk { part } => *part,
    Message::StartSync { files } => 16 * files,
    _ => 0,
});

/// Timers, and the ends of jobs on other threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// A thread of a broker goes on (a job).
    Run(Thread),
    /// The bridge's queue delivers (a job).
    Deliver,
    /// Time to connect anew.
    Retry,
    /// Time to look for idle entries in the cache of credits.
    SweepCredits,
    /// The page writer has collected long enough.
    WritePages,
    /// Time to look for a slow replica.
    SlowReplicationCheck,
    /// The replica has taken too long to confirm the end of its synchronization.
    SyncTimeout(ConnectionId),
    /// Time to ping, and to look for silent connections.
    FailureCheck,
    /// The consumer at the target takes a message.
    Consume,
    /// A client's producer makes its next message.
    Produce,
    /// A client's harness takes the next step of its tear-down.
    TearDown(u8),
    /// A producer thread that was told to stop has ended (a job).
    ProducerEnded,
    /// A client's harness looks again for what its run has left behind.
    RescanLeaks,
}

/// What nodes write to their disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// A message was accepted.
    Accepted {
        /// Its duplicate-detection id.
        id: MessageId,
        /// Where it goes.
        address: Address,
        /// Size of its body.
        body: u32,
    },
    /// A message has left: the bridge's target has confirmed it, or the consumer has taken it.
    Removed {
        /// Which.
        id: MessageId,
    },
}

/// What a node can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// A client's harness ends the run of its workload and cleans up, then starts the next run.
    TearDown,
    /// A client drops its connection without a word and connects anew.
    Disconnect,
}

/// The commands by name.
pub const COMMANDS: &[Named] = &[
    Named {
        name: "tear-down",
        about: "A client's test harness ends the run of its workload, cleans up and starts the next run.",
    },
    Named { name: "disconnect", about: "A client closes its connection and connects anew after the retry interval." },
];

impl Command {
    /// The command called `text`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "tear-down" => Some(Command::TearDown),
            "disconnect" => Some(Command::Disconnect),
            _ => None,
        }
    }
}
