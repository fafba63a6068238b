//! Parallel Virtual Cluster (PVC): coordinators that share virtual addresses, watch each other, and fence.
//!
//! # Roles
//! A **coordinator** runs virtual machines, can be the primary, and fences. A **hypervisor** only runs machines. The
//! **coordination** service (ZooKeeper) has the whole state of the cluster. A **board** (IPMI) has the power of one
//! machine: the first board that of the first coordinator or hypervisor, and so on.
//!
//! # State
//! Nodes do not talk to each other; each reads and writes keys of the coordination service.
//!
//! | key | holds |
//! |---|---|
//! | `primary_node` | who is primary, or `none`; its version counts |
//! | `primary_node/lock`, `primary_node/sync_lock`, `fence_lock` | contenders for locks |
//! | `nodes/N/daemonstate` | `init`, `run`, `shutdown`, `stop`, `dead`, `fenced` |
//! | `nodes/N/routerstate` | `secondary`, `takeover`, `primary`, `relinquish`, `client` |
//! | `nodes/N/domainstate` | `ready`, `fence-flush`, `flushed` |
//! | `nodes/N/keepalive` | when N last reported, by its own clock |
//! | `vms/V`, `storage/V` | where a virtual machine belongs; who has the lock of its storage |
//! | `networks`, `maintenance` | the virtual networks; whether fencing is suspended |
//!
//! # Messages
//! Those of [`coordination`](crate::services::coordination) and [`power`](crate::services::power).
//!
//! # Timers
//! All are settings; see [`Config`] for their defaults.
//!
//! # Flows
//! * **Keepalive** (`keepalive.rs`): every interval, correct the own state, collect statistics on threads that may hang,
//!   report. Then a coordinator looks after the others (`monitor.rs`).
//! * **Contention** (`contention.rs`): when the key says `none`, the exclusive lock within 0.4 s, the version checked,
//!   the own name written. Whoever is named takes over half a second later; whoever is primary and is not, gives up.
//! * **Transition** (`transition.rs`): seven phases in step, two seconds of rest, and only then the announcement.
//! * **Fence** (`fence.rs`): dead after six intervals; six throws; off, check, on, check. Then the key is freed, and the
//!   machines are recovered (`recovery.rs`).
//! * **Shutdown** (`shutdown.rs`): machines moved, primary given up and waited for, last report, stop.
//!
//! # Invariants
//! See [`invariants`].
//!
//! # Where this departs from upstream
//! * Eleven hazards of the design (PVC-L1 to L11) have no upstream fix; the protocol has a proposed one for each. See
//!   [`defects`].
//! * A contender's write names the version that it has checked, so that a lost lock cannot hurt. So do the marks of a
//!   fence and the records of virtual machines.
//! * A fencer asks its clock before each step whether its session can still be valid, and does not shoot upon an answer
//!   that is older than a second.

mod addresses;
mod config;
mod contention;
mod daemon;
pub mod defects;
mod fence;
pub mod invariants;
mod keepalive;
mod layout;
mod machines;
mod marks;
mod message;
mod monitor;
mod protocol;
mod recovery;
mod shutdown;
mod state;
mod transition;

pub use addresses::{Addresses, Vip};
pub use config::{Config, Policy};
pub use daemon::{Daemon, Life};
pub use fence::Fence;
pub use keepalive::Keepalive;
pub use layout::{NodeInfo, Paths, Placement, Shared, SharedRef, VmPaths};
pub use message::{Collector, Command, Message, Outcome, Record, Timer, Trouble};
pub use monitor::Monitor;
pub use protocol::{Node, Pvc};
pub use state::{Router, Step};
