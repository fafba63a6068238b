//! Topology discovery after Apache Sling's discovery.oak: listeners at all instances are told who belongs to the
//! cluster and who leads it, and never of two different topologies at the same time.
//!
//! # Roles
//! An **instance** has its own half of the [repository], a lease in it, and **listeners**. The
//! **repository** is shared by all; nothing else connects them. A **joiner** is an instance that is started later.
//!
//! # What is in the repository
//! | document | written | means |
//! |---|---|---|
//! | `idMap[clusterNodeId]` | at the start | who has that id |
//! | `leaderElectionId[slingId]` | at each activation of discovery | prefix, start time, name; the smallest leads |
//! | `syncTokens[slingId]` | in each sync | the descriptor's number that it knows of, and has told its listeners |
//! | `viewTokens[slingId]` | in each sync | the same, and which view it would have all agree on |
//! | `properties[slingId]` | when they change | what listeners are told about without a sync |
//!
//! # Normal flow
//! 1. An instance acquires a lease, takes back the leader election id of an earlier life, and starts. It has started
//!    *completely* when id, leader election id and sync token are written; that may take any time.
//! 2. Every [`Config::discovery_lite_check_interval`] it reads the descriptor. Not final, or somebody's id or leader
//!    election id missing: the topology is undefined, and listeners get TOPOLOGY_CHANGING.
//! 3. A topology that differs in structure from the last one: TOPOLOGY_CHANGING, then [`Config::min_event_delay`], then
//!    it is read again. The first topology of an instance is not delayed. Different properties: PROPERTIES_CHANGED.
//! 4. A marker is put behind everything that listeners are still to hear. When it comes up, the
//!    [sync chain](sync) begins.
//! 5. At its end listeners get TOPOLOGY_INIT, or TOPOLOGY_CHANGED.
//! 6. Any change in between cancels the sync.
//!
//! **Suppression.** An instance that has written a sync token since its discovery was activated leaves active peers
//! out that have not started completely, unless they were in the topology that it read last. While somebody is left
//! out, everybody is who was not in that topology. The same members as before are the same topology then, whatever its
//! number.
//!
//! # Timers
//! | timer | default | when it fires |
//! |---|---|---|
//! | `Poll` | 2 s | reads the descriptor |
//! | `Delayed` | 3 s | several changes have become one |
//! | `Check` | 2 s; 120 s until the policy for timeouts applies | a part of a sync looks whether it is through |
//! | `JoinerDelay` | off | the first topology of an instance that joins is let through |
//! | `Startup` | 0.1 to 1 s, three times | a step of the start is done |
//! | `Called` | 1 to 100 ms | a listener returns from an event |
//! | `Handover` | up to 10 ms | a thread brings a sync from one part to the next |
//! | `Reactivate`, `ClientJob` | 1 s, off | workload |
//!
//! Those of the repository are in its own module.
//!
//! # Invariants
//! S1 to S6, see [`invariants`], which also says what *current* means.
//!
//! # Where this departs from upstream
//! * Upstream restarts a sync at every check; here a sync goes on until something has changed. So the joiner delay
//!   counts from the sync that it holds back, and a cancelled one leaves no deadline behind.
//! * A new leader election id of any member, not only of the leader, is a change of structure: its listeners start anew.
//! * Five hazards, SLING-L1 to L5, have no upstream fix; the protocol has a proposed one for each, and a defect that
//!   takes it away. See [`defects`].
//! * Connectors to other clusters are left out; the topology is one cluster.
//!
//! Files: `instance.rs` is the life of an instance, `reader.rs` makes topologies, `manager.rs` decides what is told of
//! them, `listener.rs` and `calls.rs` tell it, `sync/` brings members to agree, `pool.rs` is the scheduler that others
//! use as well.

mod calls;
mod config;
pub mod defects;
mod instance;
pub mod invariants;
mod listener;
mod manager;
mod node;
mod pool;
mod protocol;
mod reader;
mod state;
pub mod sync;
pub mod view;

#[cfg(doc)]
use crate::services::repository;

pub use config::{Config, OnSyncTimeout};
pub use defects::Defects;
pub use instance::Instance;
pub use listener::{EventKind, Heard, Listener, ListenerId};
pub use node::{Command, Node, Record, Shared, Timer};
pub use protocol::Sling;
pub use state::{Happening, Stage};
