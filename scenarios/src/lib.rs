//! Scenario files: their format, what samples and runs them, and what reports on them.

pub mod format;
pub mod nemesis;
pub mod registry;
pub mod report;
