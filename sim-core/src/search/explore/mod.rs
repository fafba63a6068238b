//! Exhaustive search: every placement of a few faults, or every order of messages and timers, instead of some.
//!
//! [`Explorer`] places faults on the calm run of a cluster by forking its world. It knows the states that it has been to
//! by their fingerprints ([`crate::Run::fingerprint`]) and goes on from each only once. [`Untimed`] takes every order in which
//! messages and timers can come if no clock decides it.

mod menu;
mod seen;
mod timed;
mod untimed;
mod walk;

pub use menu::{Menu, MessageMenu};
pub use seen::odds_of_confusion;
pub use timed::{Counterexample, Exploration, ExploreProgress, Explorer, Level};
pub use untimed::{Orders, Untimed};
