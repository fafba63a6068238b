//! Deterministic simulation of failover protocols (the contract; to be completed).

mod actor;
mod connections;
mod disk;
mod fault;
pub mod history;
mod invariant;
mod links;
mod node;
mod plan;
mod protocol;
mod queue;
mod run;
mod schedule;
pub mod search;
mod setup;
mod time;
mod timers;
pub mod trace;
mod world;

pub use actor::*;
pub use fault::*;
pub use invariant::{Check, Class, Invariant, Touched, library};
pub use protocol::{Cluster, Defect, Member, Named, Property, Protocol};
pub use run::*;
pub use schedule::{Baseline, Deviation, Deviations, Draw, Moment, Randomness, Schedule, Site};
pub use setup::{DiskConfig, Factory, NetworkConfig, NodeSetup, Setup};
pub use time::{ClockSetting, Instant, LocalClock};
pub use world::World;
