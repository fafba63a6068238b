//! Shrinks a failing run of a scenario to its cause: what the search of the kernel leaves of its schedule.

use std::time::Duration;

use sim_core::search::guarded;
use sim_core::search::shrink::{self, Observed, Subject, Trial, Wounds};
use sim_core::{Instant, NodeId, Outcome, Schedule};

pub use sim_core::search::shrink::{Shrunk, Size};

use crate::registry::Compiled;

/// What a shrink may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Runs at most.
    pub runs: u64,
    /// Time on the wall clock; no limit if `None`. A shrink that it ends may end elsewhere the next time.
    pub time: Option<Duration>,
}

impl Default for Budget {
    /// A hundred thousand runs, however long they take.
    fn default() -> Self {
        Budget { runs: 100_000, time: None }
    }
}

/// Shrinks what `seed` makes of a scenario; `None` if it violates nothing.
pub fn shrink(compiled: &dyn Compiled, seed: u64, budget: Budget) -> Option<Shrunk> {
    let started = std::time::Instant::now();
    let keep_going = &mut || budget.time.is_none_or(|limit| started.elapsed() < limit);
    shrink_while(compiled, &compiled.schedule(seed), budget.runs, keep_going)
}

/// Shrinks a schedule of a scenario for as long as `keep_going` says; `None` if it violates nothing.
pub fn shrink_while(
    compiled: &dyn Compiled,
    schedule: &Schedule,
    runs: u64,
    keep_going: &mut dyn FnMut() -> bool,
) -> Option<Shrunk> {
    let scenario = compiled.scenario();
    let clients = scenario.members.len() - scenario.clients..scenario.members.len();
    let clients: Vec<NodeId> = clients.map(|number| NodeId(number as u16)).collect();
    let runs_of = Runs { compiled, fixed: compiled.without_defects() };
    shrink::shrink(&runs_of, schedule, &clients, shrink::Budget { runs, keep_going })
}

/// A scenario as something to shrink. A panic of a run is a violation like any other.
struct Runs<'a> {
    compiled: &'a dyn Compiled,
    /// The same without its defects: what fails there too is not what the defects do.
    fixed: Option<Box<dyn Compiled>>,
}

impl Subject for Runs<'_> {
    fn run(&self, schedule: &Schedule, until: Instant) -> Trial {
        trial(|| self.compiled.run_until(schedule, until))
    }

    fn observe(&self, schedule: &Schedule, until: Instant) -> (Trial, Observed) {
        let mut observed = Observed { schedule: schedule.clone(), decisions: Vec::new() };
        let trial = trial(|| {
            let (trial, seen) = self.compiled.observe(schedule, until);
            observed = seen;
            trial
        });
        (trial, observed)
    }

    fn events(&self, schedule: &Schedule, until: Instant) -> Vec<Instant> {
        self.compiled.event_times(schedule, until)
    }

    fn mended(&self, schedule: &Schedule, until: Instant) -> Option<Outcome> {
        let fixed = self.fixed.as_ref()?;
        Some(guarded(|| fixed.run_until(schedule, until).outcome))
    }
}

fn trial(run: impl FnOnce() -> Trial) -> Trial {
    let mut wounds = Wounds::default();
    let outcome = guarded(|| {
        let trial = run();
        wounds = trial.wounds;
        trial.outcome
    });
    Trial { outcome, wounds }
}
