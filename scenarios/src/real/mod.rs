//! Runs a scenario as real processes, and judges what they did.
//!
//! Each node is a process of this very program ([`crate::cli`]'s verb `node`). What the scenario breaks is broken for real:
//! processes are killed and stopped, and between network namespaces packets vanish. What the processes note is gone through
//! again afterwards, by the invariants of the simulation.

mod child;
mod cluster;
mod namespaces;
mod network;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sim_core::host::merge::{Judgement, Record};
use sim_core::{Fault, Schedule, Trigger};

use crate::registry::Compiled;

pub use network::{Kind, Network};

/// How to run a scenario as real processes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `fencepost` that each node is a process of.
    pub program: PathBuf,
    /// What the scenario is called on its command line.
    pub scenario: String,
    /// What the nodes are connected by.
    pub network: Kind,
    /// How many seconds pass for the protocol in one of the machine's.
    pub speed: f64,
    /// Where disks and what processes complain of are kept.
    pub directory: PathBuf,
}

/// What is told while it runs.
pub type Tell<'a> = &'a mut dyn FnMut(sim_core::Instant, &str);

/// Why there is no verdict.
#[derive(Debug)]
pub enum Problem {
    /// The scenario asks for what cannot be done to real processes; says what, and what to do instead.
    Impossible(String),
    /// The machine does not let us; says what, and what to do about it.
    Refused(String),
    /// A process ended that should not have.
    Died(String),
    /// An actor did something else when it was given the same again: it is no state machine.
    Nondeterministic(String),
    /// Somebody wanted it to stop.
    Interrupted,
}

/// How a run went.
pub struct Result {
    /// In every order that the clocks of the processes allow.
    pub judgement: Judgement,
    /// All that is known of it.
    pub record: Record,
    /// How long it took on the machine.
    pub wall: Duration,
}

/// Runs what a schedule makes of a scenario.
///
/// # Errors
/// Why there is no verdict.
pub fn run(
    compiled: &dyn Compiled,
    schedule: &Schedule,
    options: &Options,
    tell: Tell<'_>,
    stop: &dyn Fn() -> bool,
) -> std::result::Result<Result, Problem> {
    if let Some(objection) = objection(compiled, schedule, options.network) {
        return Err(Problem::Impossible(objection));
    }
    let started = std::time::Instant::now();
    let record = cluster::run(compiled, schedule, options, tell, stop)?;
    let judgement = judge(compiled, schedule, &record)?;
    Ok(Result { judgement, record, wall: started.elapsed() })
}

/// Asks the invariants about what has been recorded.
///
/// # Errors
/// If an actor does something else than it did in its process.
pub fn judge(compiled: &dyn Compiled, schedule: &Schedule, record: &Record) -> std::result::Result<Judgement, Problem> {
    let follower = |recorded| compiled.follow(schedule, recorded).expect("whoever ran it could be followed");
    record.judge(follower).map_err(|divergence| Problem::Nondeterministic(divergence.to_string()))
}

/// Why a schedule cannot be run as real processes; `None` if it can.
pub fn objection(compiled: &dyn Compiled, schedule: &Schedule, network: Kind) -> Option<String> {
    let scenario = compiled.scenario();
    if !compiled.asynchronous().is_empty() {
        return Some(format!(
            "of `{}`, {} runs on madsim only, for whose sockets it was written",
            scenario.name,
            compiled.asynchronous().join(", ")
        ));
    }
    if compiled.follow(schedule, false).is_none() {
        return Some(format!(
            "`{}` does not say how its messages are written down; `Protocol::wire` does",
            scenario.protocol
        ));
    }
    let planned = &schedule.faults.faults;
    if let Some(fault) = planned.iter().find(|planned| matches!(planned.trigger, Trigger::OnEvent(_))) {
        return Some(format!(
            "a {} strikes at the n-th event, and nobody can count those of real processes",
            fault.fault.kind()
        ));
    }
    let impossible =
        planned.iter().find_map(|planned| Some((planned.fault.kind(), planned.fault.objection_if_real()?)));
    if let Some((kind, why)) = impossible {
        return Some(format!("`{}` plans a {kind}: {why}", scenario.name));
    }
    let apart = planned.iter().map(|planned| &planned.fault).find(|fault| Fault::needs_networks(fault));
    match apart {
        Some(fault) if network == Kind::Loopback => Some(format!(
            "`{}` plans a {}, and nodes that share one network cannot be parted: use `--network namespaces`, as root",
            scenario.name,
            fault.kind()
        )),
        _ => None,
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Problem::Refused(error.to_string())
    }
}
