//! Deterministic simulation of failover protocols: a virtual clock, network and disk, everything that can break, and
//! invariants that are checked after every event.
//!
//! # The contract on one page
//!
//! * A protocol is an [`Actor`]: a state machine whose handlers take an event and say, through a [`Context`], what they
//!   want done. It has no clock, socket, file, thread or randomness of its own.
//! * A [`Setup`] says what the cluster is made of; a [`Schedule`] says everything else that decides how a run goes: the
//!   seed, the clocks, the planned faults, and exceptions for single messages.
//! * A [`World`] is a cluster in the middle of a run and a pure function of these two. The same two give the same
//!   [`World::trace_hash`], whatever the thread, the process or the build profile. A clone goes its own way.
//! * A [`Run`] is a world with [`Invariant`]s beside it and [`Limits`] around it. It ends at its time or at the first
//!   [`Violation`], which names the event. A panic in a handler and an endless loop are violations too.
//! * Every [`Fault`] that was planned says how often it took effect. One that never did tested nothing.
//!
//! # Example
//!
//! A backup takes over when it has heard nothing for a second. Is there ever a second primary?
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use sim_core::{library::AtMostOne, *};
//!
//! #[derive(Clone, Default, Hash)]
//! struct Server { primary: bool }
//!
//! #[derive(Clone, Debug, Hash)]
//! enum Message { Alive }
//! kinds!(Message { Alive });
//!
//! #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
//! enum Timer { Beat, TakeOver }
//!
//! const PATIENCE: Duration = Duration::from_secs(1);
//!
//! impl Actor for Server {
//!     type Message = Message;
//!     type Timer = Timer;
//!     type Record = ();
//!     type Command = ();
//!
//!     fn on_start(&mut self, _disk: &[()], ctx: &mut Context<Self>) {
//!         self.primary = ctx.node() == NodeId(0);
//!         let first = if self.primary { Timer::Beat } else { Timer::TakeOver };
//!         ctx.set_timer(first, PATIENCE / 4);
//!     }
//!
//!     fn on_message(&mut self, _from: NodeId, _message: Message, ctx: &mut Context<Self>) {
//!         if !self.primary {
//!             ctx.set_timer(Timer::TakeOver, PATIENCE);
//!         }
//!     }
//!
//!     fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
//!         match timer {
//!             Timer::Beat => {
//!                 ctx.send(NodeId(1 - ctx.node().0), Message::Alive);
//!                 ctx.set_timer(Timer::Beat, PATIENCE / 4);
//!             }
//!             Timer::TakeOver => self.primary = true,
//!         }
//!     }
//! }
//!
//! let setup = Arc::new(Setup::new(["alpha", "beta"], |_| Server::default()));
//! // From the tenth second on, nothing crosses between them for three seconds.
//! let mut schedule = Schedule::seeded(7);
//! let groups = vec![vec![NodeId(0)], vec![NodeId(1)]];
//! schedule.faults.push(
//!     Trigger::At(Instant::from_secs(10)),
//!     Fault::Partition { groups },
//!     Some(Duration::from_secs(3)),
//! );
//!
//! let one_primary = AtMostOne::new("at-most-one-primary", "primary", |server: &Server| server.primary);
//! let world = World::new(&setup, &Arc::new(schedule));
//! let outcome = Run::new(world, vec![Box::new(one_primary)], Limits::default()).to_end();
//!
//! let violation = outcome.violation.expect("a timeout alone cannot tell a dead primary from a cut link");
//! assert_eq!(violation.message, "alpha and beta are both primary");
//! assert!(violation.at < Instant::from_secs(12));
//! ```
//!
//! # What is not here
//! No file format, no command line, no wall clock, and no protocol. Randomness has no state that could be shared: see
//! [`Randomness`].

mod actor;
mod connections;
mod constant;
mod copy;
mod disk;
mod fault;
pub mod history;
pub mod host;
mod invariant;
mod links;
mod node;
mod nodes;
mod plan;
mod protocol;
mod queue;
mod run;
mod schedule;
pub mod search;
mod setup;
mod state_hash;
mod time;
mod timers;
pub mod trace;
mod wire;
mod world;

pub use actor::*;
pub use constant::Constant;
pub use fault::*;
pub use invariant::{Check, Class, Invariant, LookBack, Touched, library};
pub use protocol::{Cluster, Defect, Member, Named, Property, Protocol};
pub use run::*;
pub use schedule::{Baseline, Deviation, Deviations, Draw, Moment, Randomness, Schedule, Site};
pub use setup::{DiskConfig, Factory, NetworkConfig, NodeSetup, Setup};
pub use time::{ClockSetting, Instant, LocalClock};
pub use wire::{Wire, Written};
pub use world::World;
