//! JBoss Messaging: a group of servers, each with a part of every queue, that fail over for each other.
//!
//! # Roles
//! A **server** is a member of an ordered group ([`crate::services::membership`]) and has a part of each queue that is
//! deployed on it. The **store** is the database that they share. A **client** has one connection, with a session, a consumer,
//! a producer and perhaps a browser.
//!
//! # The failover map
//! For each member the others, best first, as every member computes them from a view (`mapper.rs`, [`Mapper`]): the members
//! after it, with the view as a circular buffer, those on another machine first. It is pushed to clients whenever it
//! changes, over their connection and over a control channel to another server.
//!
//! # Messages
//! | who | what |
//! |---|---|
//! | client → server | `CreateConnection{failed}` → `Connection`, `Redirect{server}` or `Redirect{-1}` |
//! | | `Create` → `Created`, `RecoverDeliveries` → `Recovered`, `Start` |
//! | | `Send` → `Sent`, `Acknowledge` → `Acknowledged`, `Prepare` → `Prepared`, `Commit` → `Committed` |
//! | | `CloseConsumer` → `ConsumerClosed`, `RemoveConsumer`, `Browse` → `Browsed`, `Ping` → `Pong`, `CloseConnection` |
//! | server → client | `Deliver`, `MapPush`, `Move` |
//! | server → store | `Query` → `Result` |
//! | server → server | the group's own, `FailoverStart`, `FailoverEnd`, `Heirs`, and what replication says |
//!
//! # Normal flow
//! 1. A view without a member that did not leave in good order: the first survivor of its failover nodes, by the map
//!    of the view *before*, is its heir. The heir takes over: it has the database reassign the transactions, merges each
//!    queue into its own part and then deletes the old binding, and cleans up (`server/takeover.rs`). With in-memory
//!    replication it puts its copy in place and has nothing to load.
//! 2. What was merged is held: clients of the failed server may have it unacknowledged. It is returned to the queue
//!    when its session has said that it does not have it, or after `recover-deliveries-timeout`.
//! 3. A client notices a failure once, closes its valve, tries its server again, and then hops (`client/failover.rs`). A
//!    server that is not the heir tells it who is, by the word of the database; if that one cannot be reached, whoever is
//!    asked next blocks the request until that has been noticed. The heir blocks it until the takeover is complete. A
//!    server that sees no failover says so after `failover-start-timeout`.
//! 4. The client makes its objects again, says what it holds, is started, and opens the valve. What was under way is
//!    sent again, marked as a repetition.
//! 5. A connection is moved on purpose (back to a server that has returned, to a new one, away from one that is taken
//!    down) when its session holds nothing unacknowledged (`server/moving.rs`).
//!
//! # Timers
//! All are settings; see [`Config`] for their defaults.
//!
//! # What is promised under a partition
//! Within the group's failure detection (by default 10 s of silence and 2 s to answer; the 2 s alone if a connection
//! between two servers breaks meanwhile): everything. Beyond it, a server is failed over for although it runs, and only
//! J2 and the liveness properties are promised; see [`invariants`] for why. A server learns of its replacement from the group, from the other servers, or from the database, which
//! refuses its statements; it then starts anew.
//!
//! # Where this departs from upstream
//! * A server has an address that is new at each start. Upstream knows nodes, and clears what it noted when one joins.
//! * Of two servers that would take over the same queues, or of one and the restarted server itself, the database lets
//!   one. Upstream has nothing of the kind.
//! * What a server loads or merges from the database is held for the sessions that may have had it, as the database
//!   does not know deliveries.
//! * The three hazards JBM-L1 to L3 have their proposed fixes; see [`defects`].

pub mod client;
mod config;
pub mod database;
pub mod defects;
pub mod invariants;
mod layout;
mod link;
mod mapper;
mod message;
mod protocol;
pub mod queue;
mod replication;
pub mod server;
pub mod session;
mod state;
mod store;

pub use config::{Config, Replication};
pub use layout::{Shared, SharedRef};
pub use mapper::Mapper;
pub use message::{Command, DeliveryId, Item, Message, MessageId, Object, QueueId, Reason, SessionId, Timer, Unacked};
pub use protocol::{Jboss, Node};
pub use replication::{Copied, Replica};
pub use state::{ClientEvent, ClientPhase, ServerEvent, ServerPhase};
pub use store::{Record, Store};
