//! Actors on other engines than this crate's own.
//!
//! What a node is, what its handlers ask for, what breaks and what must hold is the same everywhere; a host brings the time,
//! the network and the life of processes. A second engine that others have written is the best check on the first: a
//! protocol that passes on one only because of how it orders events fails on the other. And a protocol that runs as real
//! processes shows what no simulation knows of.

pub mod frame;
#[cfg(madsim)]
pub mod madsim;
pub mod merge;
pub mod mirror;
#[cfg(madsim)]
mod program;
pub mod record;
#[cfg(madsim)]
mod stage;
pub mod tokio;

#[cfg(madsim)]
pub use program::{Probe, Program};
