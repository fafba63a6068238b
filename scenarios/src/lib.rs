//! Scenario files: their format, what samples and runs them, and what reports on them.

pub mod bytes;
pub mod catalogue;
pub mod cause;
pub mod cli;
pub mod compare;
pub mod defects;
pub mod explore;
pub mod format;
pub mod journal;
pub mod nemesis;
pub mod real;
pub mod registry;
pub mod regressions;
pub mod report;
pub mod runner;
pub mod shrink;
