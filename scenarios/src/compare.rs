//! One scenario in three worlds: the native engine, madsim, and real processes. Verdicts should agree, and milestones should
//! come in the same order.
//!
//! A seed gives the same plan of faults in each world, and nothing more: what comes first of two things that are close
//! is each world's own affair. So a defect may take another seed in each; what counts is that it shows.

use sim_core::search::guarded;
use sim_core::{Class, Outcome, Schedule};

use crate::catalogue::Entry;
use crate::format::{Expect, FileError, Scenario, Seeds};
use crate::real::{self, Options, Problem, Tell};
use crate::registry::{Compiled, Engine, Registry, objection_to};

/// Seeds that madsim gets for each that the file asks for: it has another opinion of which is the first to fail.
const MORE_FOR_MADSIM: u64 = 10;

/// What a world came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What was violated.
    pub violation: Option<String>,
    /// Whether it cannot be told what was: only real processes leave that open.
    pub open: bool,
    /// The seed.
    pub seed: u64,
    /// The marks that were set, each once, in the order in which they were first set.
    pub marks: Vec<&'static str>,
}

/// A scenario in all worlds.
pub struct Comparison {
    /// What should be violated; `None` if nothing.
    pub expects: Option<String>,
    /// The native engine.
    pub native: Seen,
    /// madsim; `None` if this program was built without it.
    pub madsim: Option<Seen>,
    /// Real processes.
    pub real: Seen,
    /// The marks that the scenario asks for: their order is compared.
    pub milestones: Vec<String>,
}

impl Comparison {
    /// Whether all worlds came to the verdict that the file expects.
    pub fn agrees(&self) -> bool {
        self.worlds().all(|(_, seen)| !seen.open && seen.violation == self.expects)
    }

    /// Whether the milestones that all worlds came to came in one order.
    pub fn has_one_order(&self) -> bool {
        let mut orders = self.worlds().map(|(_, seen)| self.order_of(seen));
        let first = orders.next();
        orders.all(|order| Some(order) == first)
    }

    /// The worlds, by name.
    pub fn worlds(&self) -> impl Iterator<Item = (&'static str, &Seen)> {
        let madsim = self.madsim.as_ref().map(|seen| ("madsim", seen));
        [("native", &self.native)].into_iter().chain(madsim).chain([("real", &self.real)])
    }

    /// The milestones that all worlds came to, in the order of one of them.
    pub fn order_of(&self, seen: &Seen) -> Vec<&'static str> {
        let everywhere = |mark: &&'static str| {
            self.milestones.iter().any(|milestone| milestone == mark)
                && self.worlds().all(|(_, other)| other.marks.contains(mark))
        };
        seen.marks.iter().copied().filter(everywhere).collect()
    }
}

/// Why a scenario cannot be compared.
pub enum Failed {
    /// Its file is wrong.
    File(FileError),
    /// Real processes came to nothing.
    Real(Problem),
}

/// Runs a scenario in all worlds: one that should pass once in each, a canary until it is caught there. Of real processes it
/// gets as many `tries`, with seeds with which the native engine catches it.
///
/// # Errors
/// Why not.
pub fn compare(
    entry: &Entry,
    registry: &Registry,
    options: &Options,
    tries: usize,
    tell: Tell<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Comparison, Failed> {
    let compiled = entry.load(registry).map_err(Failed::File)?;
    let scenario = compiled.scenario().clone();
    if let Some(objection) = objection_to(&*compiled) {
        return Err(Failed::Real(Problem::Impossible(objection)));
    }
    let expects = match &scenario.expect {
        Expect::Pass => None,
        Expect::Violates(invariant) => Some(invariant.clone()),
    };
    let (native, promising) = native(&*compiled, expects.as_deref(), tries);
    let real = processes(&*compiled, expects.as_deref(), &promising, options, tell, stop).map_err(Failed::Real)?;
    let madsim = match "madsim".parse::<Engine>() {
        Ok(engine) => Some(simulated(&*engine.host(compiled), expects.as_deref())),
        Err(_) => None,
    };
    let milestones = scenario.invariants.iter().filter(|spec| spec.class == Class::Coverage);
    let milestones = milestones.map(|spec| spec.name.clone()).collect();
    Ok(Comparison { expects, native, madsim, real, milestones })
}

/// The native engine's verdict, and seeds that promise the same to real processes.
fn native(compiled: &dyn Compiled, expects: Option<&str>, tries: usize) -> (Seen, Vec<u64>) {
    let Some(invariant) = expects else {
        return (seen(compiled, 0), vec![0]);
    };
    let catches = |seed: &u64| violated(&run(compiled, *seed).1) == Some(invariant);
    let promising: Vec<u64> = seeds(compiled.scenario(), 1).filter(catches).take(tries.max(1)).collect();
    match promising.first() {
        Some(&first) => (seen(compiled, first), promising),
        None => (seen(compiled, 0), vec![0]),
    }
}

fn simulated(compiled: &dyn Compiled, expects: Option<&str>) -> Seen {
    let Some(invariant) = expects else { return seen(compiled, 0) };
    let found =
        seeds(compiled.scenario(), MORE_FOR_MADSIM).find(|&seed| violated(&run(compiled, seed).1) == Some(invariant));
    seen(compiled, found.unwrap_or(0))
}

fn seeds(scenario: &Scenario, more: u64) -> impl Iterator<Item = u64> + use<> {
    let count = match &scenario.seeds {
        Seeds::First(count) => *count,
        Seeds::Listed(listed) => listed.len() as u64,
    };
    0..count * more
}

fn run(compiled: &dyn Compiled, seed: u64) -> (Schedule, Outcome) {
    let schedule = compiled.schedule(seed);
    let outcome = guarded(|| compiled.run(&schedule));
    (schedule, outcome)
}

fn violated(outcome: &Outcome) -> Option<&str> {
    outcome.violation.as_ref().map(|violation| violation.invariant.as_str())
}

fn seen(compiled: &dyn Compiled, seed: u64) -> Seen {
    let schedule = compiled.schedule(seed);
    let mut marks = Vec::new();
    let outcome = guarded(|| {
        let (outcome, trace) = compiled.record(&schedule);
        marks = trace.marks_in_order();
        outcome
    });
    Seen { violation: violated(&outcome).map(str::to_owned), open: false, seed, marks }
}

fn processes(
    compiled: &dyn Compiled,
    expects: Option<&str>,
    seeds: &[u64],
    options: &Options,
    tell: Tell<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Seen, Problem> {
    let mut last = None;
    for (number, &seed) in seeds.iter().enumerate() {
        // A disk of the run before is none of this one's.
        let options = Options { directory: options.directory.join(format!("try-{number}")), ..options.clone() };
        std::fs::create_dir_all(&options.directory)?;
        let result = real::run(compiled, &compiled.schedule(seed), &options, tell, stop)?;
        let judgement = result.judgement;
        let seen = Seen {
            violation: judgement.certain().next().map(str::to_owned),
            open: judgement.is_open(),
            seed,
            marks: judgement.likely.1.marks_in_order(),
        };
        let caught = seen.violation.as_deref() == expects;
        last = Some(seen);
        if caught {
            break;
        }
    }
    Ok(last.expect("there is at least one seed to try"))
}
