//! The files that people write and read: scenarios, and explicit schedules.
//!
//! `FORMAT.md` beside the crate says what a scenario file can contain. In here, `grammar.rs` and the two files of
//! tables say which keys there are; `document.rs` and what it calls read them; `scenario.rs` is what comes out.

mod cluster;
mod contradictions;
mod document;
mod explore;
mod fault_tables;
mod grammar;
mod known;
mod names;
mod problem;
mod properties;
mod random;
mod reader;
mod scenario;
pub mod schedule;
mod schema;
mod steps;
mod tables;
mod values;

pub use document::parse;
pub use explore::{Breaks, Explore};
pub(crate) use names::{advice, nearest};
pub use problem::{FileError, Problem};
pub use scenario::*;
pub use schema::schema;
