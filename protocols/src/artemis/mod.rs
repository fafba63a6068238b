//! Apache ActiveMQ Artemis: pairs of brokers that replicate a journal, with failover by vote and failback.
//!
//! # Roles
//! A **live** (primary) and a **backup** share one NodeID. Whichever serves is LIVE; the other replicates it. A
//! **voter** is a LIVE broker of a NodeID of its own. **Clients** send durable messages and are told of each.
//! An **impostor** claims the first pair's NodeID from a copied data directory.
//!
//! # Messages
//! | who | what |
//! |---|---|
//! | backup → live | `BackupRegistration`, `SyncFinishedAck`, `ReplicationResponse`, `NodeAnnounced`, `Ping` |
//! | live → backup | `RegistrationFailed`, `StartSync`, `SyncFileChunk`, `SyncDone`, `Append`, `PrimaryStopping`, `Pong` |
//! | live → cluster | `NodeAnnounced`, `Ping`; `NodeDown` when a NodeID is not seen any more |
//! | anybody → cluster | `QuorumVote` → `VoteReply`, `NetworkPing` → `NetworkPong` |
//! | starting → peer | `Probe` → `ProbeReply` |
//! | client ↔ broker | `Attach` → `Topology`, `Send` → `Sent` |
//!
//! Replication, cluster membership and clients use connections; votes, probes and pings are datagrams.
//!
//! # Normal flow
//! 1. A starting broker looks for its peer and asks the cluster; if the NodeID is free it loads its journal, becomes
//!    LIVE, and opens its acceptors.
//! 2. The backup registers. The live notes which messages it has, sends them in chunks, and forwards what clients
//!    send meanwhile. Then it stalls its clients, sends `SyncDone` and waits for `SyncFinishedAck`.
//! 3. The backup applies everything, makes its copy durable, confirms, is UP_TO_DATE, and announces itself.
//! 4. A send is acknowledged when the live's disk and the replica have it. A live that loses its replica goes on.
//! 5. A backup that loses its live votes; a majority that sees nobody LIVE lets it take over.
//! 6. The returned primary registers with the acting live, which hands the NodeID back (see `failback.rs`).
//!
//! # Timers
//! All are settings; see [`Config`] for their defaults.
//!
//! # Invariants
//! See [`invariants`]; A5 belongs to flow control, which is a protocol of its own.
//!
//! # The transition table
//! `state.rs`: every change of a broker's state is a line there, and anything else is a panic.
//!
//! # Where this departs from upstream
//! Six hazards of the design (ART-L1 to L5 and L7) have no upstream fix; the protocol has a proposed one for each,
//! and a defect `ART-L…` that takes it away. See [`defects`].

mod backup;
mod broker;
pub mod client;
mod config;
pub mod defects;
mod failback;
pub mod invariants;
pub mod journal;
mod layout;
mod message;
mod protocol;
mod quorum;
mod replication;
mod startup;
mod state;
#[cfg(test)]
mod tests;
mod topology;

pub use backup::Parting;
pub use broker::Broker;
pub use config::Config;
pub use layout::{Shared, SharedRef};
pub use message::{Claim, Command, Message, PairId, Question, RegistrationProblem, Stopping, Timer};
pub use protocol::{Artemis, Node};
pub use state::{Happening, Phase};
