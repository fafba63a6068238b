//! What brokers and clients say to each other, the brokers' timers, and what an operator can ask.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sim_core::{NodeId, kinds};

use super::client::{ClientMessage, ClientTimer};

/// A pair of brokers, or a single one, that shares one Artemis NodeID; numbered from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairId(pub u16);

/// All messages.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub enum Message {
    /// See [`ClientMessage::Attach`].
    Attach,
    /// See [`ClientMessage::Topology`].
    Topology {
        /// The LIVE broker.
        live: NodeId,
        /// Its backup.
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
        /// Whether the backup is the primary and wants its NodeID back.
        failback: bool,
    },
    /// Live to backup: no.
    RegistrationFailed {
        /// Why.
        problem: RegistrationProblem,
    },
    /// Live to backup: throw your copy away, here comes mine.
    StartSync {
        /// The live's activation.
        activation: u64,
    },
    /// Live to backup: a part of the journal.
    SyncFileChunk {
        /// Duplicate-detection ids.
        ids: Arc<[u64]>,
        /// Size of a body in bytes.
        size: u32,
    },
    /// Live to backup: that was all.
    SyncDone,
    /// Backup to live: I have everything.
    SyncFinishedAck,
    /// Live to backup: a message that a client has sent just now.
    Append {
        /// Counts the appends of a connection from 1.
        sequence: u64,
        /// Duplicate-detection id.
        id: u64,
        /// Size of the body in bytes.
        size: u32,
    },
    /// Backup to live: all appends up to this one are stored.
    ReplicationResponse {
        /// The sequence of the append.
        sequence: u64,
    },
    /// Live to backup: I am stopping, and then: take over.
    PrimaryStopping {
        /// Which of the two.
        step: Stopping,
    },
    /// Are you there?
    Ping,
    /// I am.
    Pong,

    /// Who serves a NodeID: from a LIVE broker to the rest of the cluster, and from a backup to its live.
    NodeAnnounced {
        /// The NodeID.
        pair: PairId,
        /// The LIVE broker.
        live: NodeId,
        /// The backup.
        backup: Option<NodeId>,
        /// The activation that the announcement belongs to; a later one overrides.
        event: u64,
    },
    /// To the brokers of a NodeID from a member of the cluster that no longer sees it.
    NodeDown {
        /// The NodeID.
        pair: PairId,
    },
    /// From a starting broker to the other of its NodeID: are you LIVE?
    Probe {
        /// Tells the probes of one start from those of others.
        round: u32,
        /// The prober's activation.
        activation: u64,
    },
    /// The answer.
    ProbeReply {
        /// The round of the probe.
        round: u32,
        /// What the other broker is.
        claim: Claim,
    },
    /// A question to the rest of the cluster about a NodeID.
    QuorumVote {
        /// The NodeID.
        pair: PairId,
        /// What is asked.
        question: Question,
        /// Tells votes of one asker apart.
        round: u32,
    },
    /// The answer.
    VoteReply {
        /// The answering broker's own NodeID: it has one vote.
        voter: PairId,
        /// The round of the question.
        round: u32,
        /// Whether the answer is yes.
        yes: bool,
        /// Whom the voter sees LIVE under the NodeID, if anybody.
        connector: Option<NodeId>,
    },
    /// A ping of the network, answered by every machine.
    NetworkPing {
        /// The round of the vote for which it is.
        round: u32,
    },
    /// The answer.
    NetworkPong {
        /// The round of the ping.
        round: u32,
    },
}

kinds!(Message {
    Attach, Topology, Send, Sent, BackupRegistration, RegistrationFailed, StartSync, SyncFileChunk, SyncDone,
    SyncFinishedAck, Append, ReplicationResponse, PrimaryStopping, Ping, Pong, NodeAnnounced, NodeDown, Probe,
    ProbeReply, QuorumVote, VoteReply, NetworkPing, NetworkPong,
} bytes |message| match message {
    Message::Send { size, .. } | Message::Append { size, .. } => 64 + size,
    Message::SyncFileChunk { ids, size } => 64 + size * ids.len() as u32,
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

impl Message {
    /// The message as a client understands it, if it is one for clients.
    pub fn for_client(self) -> Option<ClientMessage> {
        match self {
            Message::Topology { live, backup } => Some(ClientMessage::Topology { live, backup }),
            Message::Sent { id } => Some(ClientMessage::Sent { id }),
            _ => None,
        }
    }
}

/// Why a live refuses a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RegistrationProblem {
    /// It has a replica already.
    AlreadyReplicating,
    /// It is not started.
    Exception,
}

/// The two steps of an orderly stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stopping {
    /// Stop was called: do not mind what ends from here on.
    StopCalled,
    /// All is handed over.
    FailOver,
}

/// What a broker is to a starting one with the same NodeID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Claim {
    /// It serves.
    Live,
    /// It is about to serve, or asks others whether it may.
    Claiming,
    /// It starts as well, and ranks so.
    Candidate {
        /// Its activation.
        activation: u64,
        /// Whether it is the configured primary.
        primary: bool,
    },
    /// It neither serves nor is about to.
    Passive,
}

/// What is asked in a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Question {
    /// A backup that lost its live: is nobody LIVE under my NodeID?
    FailOver,
    /// A live that lost its replica: do you see me, and nobody else, LIVE under my NodeID?
    StayLive,
    /// A starting broker: is nobody LIVE under my NodeID?
    Start,
}

/// The brokers' timers and the clients'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// A client's.
    Client(ClientTimer),
    /// The start-up probe is repeated.
    ProbeAgain,
    /// The start-up probe has lasted long enough.
    ProbeEnds,
    /// A stopped broker starts again.
    Restart,
    /// A helper thread has loaded the journal; the number tells which attempt it belongs to.
    Loaded(u32),
    /// A backup without a live tries again to register.
    Register,
    /// The next chunk has been read.
    Chunk,
    /// The replica's confirmation is overdue.
    SyncTimeout,
    /// The removed sleep of ARTEMIS-256a.
    FailbackDelay,
    /// The other backup's announcement is overdue.
    Announcement,
    /// The replica's confirmations are overdue in a stop.
    TokenRelease,
    /// Look again whether the replica's connection is writable.
    SlowReplica,
    /// Ping, and look who has been silent.
    FailureCheck,
    /// A LIVE broker tries again to reach the members of the cluster.
    ClusterRetry,
    /// A helper thread has applied the journal; the number tells which attempt it belongs to.
    Applied(u32),
    /// A backup announces itself.
    Announce,
    /// FAIL_OVER is overdue.
    ForcedFailover,
    /// A vote has lasted long enough.
    VoteEnds,
    /// The next vote.
    VoteAgain,
    /// The network check has lasted long enough.
    NetworkCheck,
}

impl From<ClientTimer> for Timer {
    fn from(timer: ClientTimer) -> Self {
        Timer::Client(timer)
    }
}

/// What an operator can ask of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Stop in good order, and stay so.
    Stop,
    /// Start, if stopped.
    Start,
}
