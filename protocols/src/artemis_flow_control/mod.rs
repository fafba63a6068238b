//! Flow control of Apache ActiveMQ Artemis brokers: a core bridge, producers with credits, paging, and a live broker that
//! writes to its replica, all under back-pressure.
//!
//! What is modelled is everything that can make a writer wait, and everything that has to happen so that it goes on.
//! Failover itself is in [`artemis`](crate::artemis) and [`artemis_shared_store`](crate::artemis_shared_store).
//!
//! # Roles
//!
//! | role | what it does |
//! |---|---|
//! | `source` | The broker that clients send to. Bridges to the target if there is one, else has a consumer of its own. |
//! | `target` | The broker at the other end of the bridge, with a consumer. |
//! | `replica` | Follows the source's journal. |
//! | `client` | A producer, and the test harness around it. |
//!
//! # Threads and locks
//!
//! A broker has several threads, and most of its historical bugs are rings of threads that wait for each other. A
//! handler of the simulation never waits, so each thread is a state machine that is given locks one by one; between any
//! two of its steps others may overtake it by up to `thread-slice`.
//!
//! | thread | takes |
//! |---|---|
//! | session, one a connection | paging (shared), then page credits without any lock, or storage (shared) and a write to the replica |
//! | page writer | storage (shared) and writes to the replica; then gives back page credits |
//! | synchronization, one a replica | storage and paging (both exclusive) for the list of files; nothing for the files; storage (exclusive) for the end, until the replica confirms it |
//! | a write to the replica, on any of these | replication, then connection; neither while it waits for the transport |
//! | event loop | connection, and after it replication, to wake those who wait for the transport |
//! | close listener, a thread of the failure executor each | replication if it was the replica's connection, else storage (shared) |
//!
//! # Messages
//!
//! | message | from, to | meaning |
//! |---|---|---|
//! | `CreateSession`, `SessionCreated` | client or bridge, broker | every connection begins so |
//! | `Send`, `SendContinuation`, `SendResponse` | producer, broker and back | a message, a packet of a large one; answered when it is durable at the broker and its replica |
//! | `RequestProducerCredits`, `ProducerCredits` | producer, broker and back | more credits for one address; answered when there is room |
//! | `Ping` | both ways | a sign of life |
//! | `BackupRegistration`, `RegistrationFailed` | replica, live and back | the live has at most one replica |
//! | `StartSync`, `SyncFileChunk`, `SyncDone`, `SyncFinished` | live, replica and back | the live's files; clients are held up from `SyncDone` to `SyncFinished` |
//! | `Record`, `ReplicationResponse` | live, replica and back | a record of the journal or of a page file |
//!
//! # Timers and sizes
//!
//! | setting | default |
//! |---|---|
//! | watermarks of a connection (`[network] buffer`) | 32 KiB and 128 KiB |
//! | `producer-window-size` | 1 MiB; half of it is asked for at a time |
//! | `credits-cache-size`, `credits-cache-sweep` | 1000 addresses, 30 s |
//! | `min-large-message-size` | 100 KiB, also the size of a packet |
//! | `retry-interval` | 2 s |
//! | `connection-ttl`, `failure-check-period` | 60 s, 30 s |
//! | `initial-replication-sync-timeout` | 30 s |
//! | `call-timeout`, checked every `slow-replication-check` | 30 s, 1 s |
//! | `sync-chunk-size` | 128 KiB |
//! | `page-sync-timeout`, `page-writer-credits` | 3.33 ms, 10 MiB |
//!
//! # Invariants
//!
//! - A2 `no-acknowledged-send-lost`: a message that its client was told is safe is on a broker's disk until it is on the
//!   target's; what is sent twice is recognised by its duplicate-detection id.
//! - A5 `outbound-bytes-bounded`: what waits on a connection is at most the high watermark and one packet. For that every
//!   packet has to ask first, requests for credits and what is replayed after a failover among them.
//! - A6 `blocked-writers-progress`: who is blocked gets on, or its peer is dropped. A slow replica is dropped within
//!   `call-timeout`, a silent peer within `connection-ttl`; once nothing is broken, everyone gets on.
//! - A7 `no-leak`: no thread, session, session factory or request for credits outlives its owner.
//!
//! # Three rules that follow
//!
//! - The close listener of a replica must not need the storage lock: who has it may be waiting for that listener.
//! - Close listeners must not wait for one another: that of a client, which needs the storage lock, may be in front of
//!   that of the replica for which the owner of the storage lock waits. One thread for all of them is not enough.
//! - Credits that are arriving are part of an address's entry in the cache: an entry with a balance of zero that waits
//!   for credits is not idle, and to drop it would lose them.

mod address_cache;
mod addresses;
mod bridge;
mod broker;
mod channel;
mod client;
pub mod config;
mod credits;
mod deadlock;
pub mod defects;
mod event_loop;
mod heartbeat;
mod inspection;
pub mod invariants;
mod locks;
mod messages;
mod node;
mod operations;
mod outgoing;
mod paging;
mod protocol;
mod replica;
mod replication_writer;
mod session;
mod synchronization;
mod teardown;

pub use messages::{Command, Message, Record, Timer};
pub use node::Node;
pub use protocol::ArtemisFlowControl;
