//! Actors on other engines than this crate's own.
//!
//! What a node is, what its handlers ask for, what breaks and what must hold is the same everywhere; a host brings the time,
//! the network and the life of processes. A second engine that others have written is the best check on the first: a
//! protocol that passes on one only because of how it orders events fails on the other.

#[cfg(madsim)]
pub mod madsim;
#[cfg(madsim)]
mod program;
#[cfg(madsim)]
mod stage;

#[cfg(madsim)]
pub use program::{Probe, Program};
