//! A coordination service after Apache ZooKeeper: a small tree of versioned nodes, sessions, watches and locks.
//!
//! # Roles
//! One [`Server`] stands for the whole ensemble: it is linearizable while it is there, and it can be slow, cut off,
//! stopped and restarted like any other node. Every other node embeds a [`Client`].
//!
//! # What it promises
//! * **C1 order**: writes are applied one at a time, each durable before anybody sees its effect. The requests of one
//!   client are carried out in the order in which it sent them, and its answers come in that order.
//! * **C2 compare-and-set**: every write of a node's data counts its version up. A write, delete or check that names a
//!   version fails with [`Error::BadVersion`] unless it is the present one. A transaction is done as a whole or not at
//!   all.
//! * **C3 sessions**: a session is not expired before the server has heard nothing from its client for the session's
//!   timeout, and it outlives its client's process until then. A restarted server gives every session its full timeout
//!   again. No write of an expired session is ever applied.
//! * **C4 ephemeral nodes** vanish with the session that created them, and not before, unless somebody deletes them.
//! * **C5 watches** fire once, and their event reaches the client before any answer that shows the change. After a
//!   reconnection the client sets again what has not fired, and changes that it missed fire then.
//! * **C6 locks** (a recipe, not a feature): of the contenders' ephemeral sequential nodes the first one holds the
//!   lock; everybody else watches only the one before it that is in its way. No two clients hold an exclusive lock and
//!   *trust* their session ([`Client::trusts`]) at once. A client that was paused holds it in its memory for longer,
//!   which is why it must ask its clock before it acts.
//!
//! # What it does not promise
//! A client whose connection breaks is told [`Error::ConnectionLoss`] for everything that was not answered; whether it
//! was done is unknown. A watch says *that* something changed and not to what: the value may have changed again.
//!
//! # Messages
//! | message | from, to | means |
//! |---|---|---|
//! | `Connect` | client to server | open a session, or go on with this one |
//! | `Connected`, `SessionExpired` | server to client | the session that this connection now belongs to; or none any more |
//! | `Ping`, `Pong` | client, server | nothing to ask, but alive |
//! | `Request`, `Reply` | client, server | a transaction or a read, and what came of it |
//! | `SetWatches` | client to server | watches of an earlier connection that have not fired |
//! | `WatchEvent` | server to client | a watch has fired |
//! | `CloseSession` | client to server | ends the session at once |
//!
//! All of them travel on one connection a client.
//!
//! # Timers
//! | timer | default | when it fires |
//! |---|---|---|
//! | server `Expiry` | the earliest deadline | sessions from which nothing was heard for their timeout end |
//! | client `Session` | a third of the timeout (10 s) | ping if nothing was sent for as long; give the connection up if nothing was heard for two thirds |
//! | client `Retry` | drawn from up to 200 ms, doubled up to 1 s | connect again |
//! | client `Lock` | given by the caller | stop waiting for a lock |
//!
//! Files: `message.rs` what is said, `tree.rs` the nodes, `server.rs` and `client.rs` the two halves, `lock.rs` and
//! `observe.rs` the recipes.

mod client;
mod lock;
mod message;
mod observe;
mod server;
mod tree;

pub use client::{Client, ClientConfig, ClientHost, Event, SessionChange};
pub use lock::{LockId, LockKind};
pub use message::{Answer, Change, Done, Error, Message, Mode, Op, Record, Request, SessionId, Stat, Text, Timer};
pub use observe::Seen;
pub use server::{Server, ServerHost};
pub use tree::Tree;
