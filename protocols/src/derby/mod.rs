//! Apache Derby replication: a database that ships its log to a replica, and the failover from one to the other.
//!
//! # Roles
//! A **master** serves clients and ships its transaction log, asynchronously. A **slave** appends and redoes it, and
//! serves nobody until it takes over. **Clients** run transactions at whichever database takes them. Nothing is detected
//! automatically: every change of roles is an **operator**'s command.
//!
//! A position in the log in bytes is an *instant*. It must be the same on both sides.
//!
//! # Messages
//! | message | from, to | means |
//! |---|---|---|
//! | `InitiateVersion`, `InitiateInstant` | master to slave | which version, and how far is your log? |
//! | `Log` | master to slave | one log buffer |
//! | `Failover` | master to slave | get ready to take over |
//! | `FailoverCommit` → `FailoverDone` | master to slave | I serve nobody any more: take over |
//! | `Stop` | master to slave | replication is over |
//! | `Copy` | master to slave | the database files, as an operator copies them |
//! | `Ack`, `Error` | slave to master | yes, with the slave's position; no |
//! | `Ping` → `Pong` | slave to master | are you there? |
//! | `Execute` → `Executed`, `Commit` → `Committed`, `Refused` | client to database | a transaction |
//!
//! # Timers and sizes
//! | setting | default | what it bounds |
//! |---|---|---|
//! | `log-buffers`, `log-buffer-size` | 10 of 32 KiB | what has not been shipped |
//! | `ship-interval-min`, `-max` | 100 ms, 5 s | pause between chunks: none if 80 % of the buffers are full, the short one above 10 % |
//! | `force-flush-wait` | 5 s | the wait for a free buffer, and a flush of all |
//! | `connect-timeout` | 5 s | until the slave accepts |
//! | `reply-wait` | 30 s | until the slave answers |
//! | `ping-timeout` | 5 s | until the master answers |
//! | `accept-timeout` | 1 s | until a slave that is not connected notices a command |
//!
//! How long a stalled connection lives is a setting of the network (`connection-timeout`).
//!
//! # Normal flow
//! 1. Start: the master freezes its clients, connects, compares versions and positions, and goes on. With `resync` the
//!    slave gets a copy of the database first.
//! 2. Every log record goes into the current log buffer. When that is full the shipper is woken; when all are, the
//!    writer holds the log and waits until a chunk has gone.
//! 3. After an input or output error the master connects anew. The slave tells its position: the failed chunk is sent
//!    again, or has arrived; if something else is missing, replication ends.
//! 4. A checkpoint's record lets the slave forget older log.
//! 5. Stop: the master ships what is left and says `Stop`. A slave stops by itself only when it is not connected.
//!
//! # Failover
//! 1. The master refuses if it does not replicate. Otherwise it freezes its clients, then flushes all buffers.
//! 2. It sends `Failover`. The slave leaves slave mode, makes its log durable, redoes and undoes it, and answers `Ack`.
//! 3. The master makes it durable that it is superseded, lets go of the freeze only to be able to shut down, and shuts
//!    down. Then it sends `FailoverCommit`, again and again over new connections, after restarts too, until the slave has
//!    answered. With it the slave serves.
//! 4. If anything fails before the durable decision, the master tears replication down, lets its clients go on, and is
//!    unreplicated. The slave, which cannot tell, stays as it is until it is copied to anew.
//!
//! From the slave's side: `slave-failover` is refused while a ping is answered. Otherwise it is done, if the operator
//! has confirmed that the master is fenced.
//!
//! # Invariants
//! D1 to D6 by name: see [`invariants`].
//!
//! # The transition table
//! `state.rs`: every change of a database's state is a line there, and anything else is a panic.
//!
//! # Where this departs from upstream
//! Upstream the slave serves first and answers then (DERBY-L1): if the answer is lost, or takes longer than the master
//! waits, both serve. The fix that was proposed, a master that stays frozen until it knows the outcome, moves the
//! problem: as long as the two cannot meet, nobody serves and the freeze has no end, so D1 is bought with D4. Here the
//! master decides instead. Its freeze always ends, and it may serve again whenever it does not know; what cannot be had
//! is certainty for the slave when the *last* message is lost: the master is shut down, the slave waits, and nobody
//! serves until they meet or an operator acts (`scenarios/derby/failover-last-message-lost.toml`).
//!
//! The other latent hazards have fixes, and defects `DERBY-L…` that take them away. See [`defects`].

mod buffers;
mod client;
mod config;
mod database;
pub mod defects;
mod failover;
pub mod invariants;
mod link;
pub mod log;
mod master;
mod message;
mod protocol;
mod shipper;
mod slave;
mod state;
mod takeover;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use config::Config;
pub use database::{Server, Shared};
pub use link::Link;
pub use master::GivenUp;
pub use message::{Command, Message, Problem, Promotion, Record, Timer};
pub use protocol::{Derby, Node};
pub use state::{Happening, Phase};
