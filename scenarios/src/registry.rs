//! The protocols that scenario files can name, behind one interface without type parameters.
//!
//! A protocol is generic over its messages, timers and records; files, the runner and the reports are not. This is
//! the one place where the types are erased.

use std::collections::BTreeMap;
use std::sync::Arc;

use sim_core::trace::Trace;
use sim_core::{Defect, Named, Outcome, Property, Schedule};

use crate::format::{FileError, Scenario};

/// The protocols that scenario files can name.
#[derive(Clone, Default)]
pub struct Registry {
    protocols: BTreeMap<&'static str, Arc<dyn AnyProtocol>>,
}

impl Registry {
    /// A registry without any protocol.
    pub fn new() -> Self {
        Registry::default()
    }

    /// The protocol called `name`.
    pub fn get(&self, name: &str) -> Option<&dyn AnyProtocol> {
        self.protocols.get(name).map(|protocol| &**protocol)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &dyn AnyProtocol> {
        self.protocols.values().map(|protocol| &**protocol)
    }
}

/// A protocol whose types are erased.
pub trait AnyProtocol: Send + Sync {
    /// Its name in scenario files.
    fn name(&self) -> &'static str;
    /// One sentence.
    fn about(&self) -> &'static str;
    /// The roles that a node can be given.
    fn roles(&self) -> &'static [Named];
    /// Historical bugs that can be switched back on.
    fn defects(&self) -> &'static [Defect];
    /// The milestones that its nodes set.
    fn marks(&self) -> &'static [Named];
    /// The properties that can be asked of it.
    fn properties(&self) -> &'static [Property];
    /// What its nodes can be asked.
    fn commands(&self) -> &'static [Named];
    /// The kinds of its messages.
    fn message_kinds(&self) -> &'static [&'static str];
    /// JSON schema (draft 7) of its settings.
    fn config_schema(&self) -> serde_json::Value;

    /// Makes a scenario ready to run.
    ///
    /// # Errors
    /// Settings that do not fit the protocol, or a cluster that makes no sense to it.
    fn compile(&self, scenario: &Arc<Scenario>) -> Result<Box<dyn Compiled>, FileError>;
}

/// A scenario that is ready to run. One value serves any number of threads.
pub trait Compiled: Send + Sync {
    /// The scenario.
    fn scenario(&self) -> &Arc<Scenario>;

    /// Names of the nodes, by number; clients last.
    fn node_names(&self) -> &[String];

    /// What `seed` makes of the scenario: its clocks, steps and random faults. A pure function of the seed.
    fn schedule(&self, seed: u64) -> Schedule;

    /// Runs a schedule to its end or to the first violation.
    fn run(&self, schedule: &Schedule) -> Outcome;

    /// The same with everything that happened written down. The outcome is the same as that of [`Compiled::run`].
    fn record(&self, schedule: &Schedule) -> (Outcome, Trace);
}
