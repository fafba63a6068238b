//! Runs a scenario over its seeds and judges what came of it. Apart from the command, because a test runner asks the
//! same question.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::ThreadPoolBuildError;
use sim_core::search::{Campaign, CauseTally, Chunk, Divergence, Failure, Report, Seeds, Shard, Tally};
use sim_core::{Class, Outcome};

use crate::cause;
use crate::format::{self, Expect, Scenario};
use crate::registry::{Compiled, Engine};
use crate::regressions::Regression;

/// What to run of a scenario, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which seeds.
    pub seeds: Which,
    /// Only this part of them.
    pub shard: Option<Shard>,
    /// How long to go on, on the wall clock; looked at a few times a second.
    pub time: Option<Duration>,
    /// How many threads; as many as there are cores if 0.
    pub jobs: usize,
    /// Runs every seed twice and compares.
    pub check_determinism: bool,
    /// What runs the nodes.
    pub engine: Engine,
    /// Runs all seeds of a canary, and not only until the first violation that it expects.
    pub exhaustive: bool,
}

impl Default for Options {
    /// The scenario's own seeds, once, on all cores.
    fn default() -> Self {
        Options {
            seeds: Which::OfScenario,
            shard: None,
            time: None,
            jobs: 0,
            check_determinism: false,
            engine: Engine::default(),
            exhaustive: false,
        }
    }
}

/// Which seeds to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that the scenario asks for, or all there are if there is a limit of time.
    OfScenario,
    /// These.
    Seeds(Seeds),
    /// One that somebody wants to look at. Regressions are left out, and no `sometimes` is asked for: it speaks about
    /// a campaign.
    One(u64),
}

/// What a scenario came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was violated, and everything that should sometimes happen has.
    Pass,
    /// Something bad happened.
    Safety,
    /// Something good did not happen in time, and nothing bad happened.
    Liveness,
    /// Nothing was violated, but something that should sometimes happen never has: the campaign did not test what it
    /// was meant to.
    Inconclusive,
    /// Two runs of one seed differed.
    Nondeterministic,
    /// The scenario could not be run.
    Error,
}

impl Verdict {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Safety => "safety",
            Verdict::Liveness => "liveness",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Nondeterministic => "nondeterministic",
            Verdict::Error => "error",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a scenario went.
#[derive(Clone, Debug, PartialEq)]
pub struct ScenarioResult {
    /// The scenario.
    pub name: String,
    /// What its file expects; `None` if the file could not be read.
    pub expect: Option<Expect>,
    /// What it came to.
    pub verdict: Verdict,
    /// Whether that is what its file expects.
    pub expected: bool,
    /// The sum of its runs, regressions left out.
    pub tally: Tally,
    /// Seeds that once failed and were run first.
    pub regressions: Vec<Replayed>,
    /// The first seed of which two runs differed.
    pub divergence: Option<Divergence>,
    /// Names of the `sometimes` that no run reached.
    pub unreached: Vec<String>,
    /// How often each kind of fault took effect, planned kinds that never did included.
    pub faults_fired: BTreeMap<String, u64>,
    /// Steps of the file, counted from 1, that took effect in no run; empty if the campaign ended early.
    pub idle_steps: Vec<(usize, &'static str)>,
    /// Whether all seeds were run.
    pub complete: bool,
    /// Whether the limit of time ended it.
    pub timed_out: bool,
    /// How long it took on the wall clock.
    pub wall: Duration,
    /// Why it could not be run.
    pub error: Option<String>,
}

/// Failures of one invariant that have the same cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// What they have in common, as [`cause`] tells it.
    pub cause: &'a str,
    /// The first of them.
    pub first: &'a Failure,
    /// How many seeds fail so.
    pub seeds: u64,
}

/// A seed that once failed, and how it went this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// What was kept.
    pub regression: Regression,
    /// What it violated this time.
    pub failure: Option<Failure>,
}

/// Failures kept whole of each scenario.
pub const KEEP: usize = 10;

/// The part of a campaign that was run before, and whom to tell of the rest.
pub struct Past<'a> {
    /// The sum of the first seeds.
    pub tally: Tally,
    /// The seed behind them whose two runs differed.
    pub divergence: Option<Divergence>,
    /// How long they took.
    pub wall: Duration,
    /// Is handed each chunk of runs before it counts. If the answer is to break, the chunk does not count and the
    /// campaign ends.
    pub commit: Commit<'a>,
}

/// Is handed each chunk of runs before it counts.
pub type Commit<'a> = Box<dyn FnMut(&Chunk) -> ControlFlow<()> + 'a>;

impl Past<'_> {
    /// Nothing was run before, and nobody keeps what is run now.
    pub fn none() -> Self {
        let commit = Box::new(|_: &Chunk| ControlFlow::Continue(()));
        Past { tally: Tally::new(KEEP), divergence: None, wall: Duration::ZERO, commit }
    }
}

/// Runs a scenario: first the seeds that once failed, then the campaign. `progress` sees the sum so far a few times a
/// second and can end the campaign.
///
/// # Errors
/// If the operating system refuses the threads.
pub fn run(
    compiled: &dyn Compiled,
    regressions: &[Regression],
    options: &Options,
    progress: impl FnMut(&Tally) -> ControlFlow<()>,
) -> Result<ScenarioResult, ThreadPoolBuildError> {
    let regressions = replay(compiled, regressions, options)?;
    resume(compiled, regressions, options, Past::none(), progress)
}

/// Goes on with a campaign. What it comes to is what it would have come to in one piece.
///
/// # Errors
/// If the operating system refuses the threads.
pub fn resume(
    compiled: &dyn Compiled,
    regressions: Vec<Replayed>,
    options: &Options,
    past: Past<'_>,
    mut progress: impl FnMut(&Tally) -> ControlFlow<()>,
) -> Result<ScenarioResult, ThreadPoolBuildError> {
    let started = Instant::now();
    let scenario = compiled.scenario();
    let seeds = seeds(scenario, options);
    let mut timed_out = false;
    let report = if past.divergence.is_some() || is_stopped(scenario, options, &past.tally) {
        let complete = past.divergence.is_none() && seeds.nth(past.tally.seeds).is_none();
        Report { tally: past.tally, divergence: past.divergence, complete }
    } else {
        let contents = Contents::default();
        let stop = |outcome: &Outcome| !options.exhaustive && is_expected_violation(scenario, outcome);
        let once = |seed| compiled.run(&compiled.schedule(seed));
        Campaign::new(seeds)
            .jobs(options.jobs)
            .after(past.tally)
            .check_determinism(options.check_determinism)
            .stop_when(stop)
            .cause(|seed, _| cause::of(compiled, seed))
            .commit(past.commit)
            .progress(|tally| match options.time {
                Some(limit) if started.elapsed() >= limit => {
                    timed_out = true;
                    ControlFlow::Break(())
                }
                _ => progress(tally),
            })
            .run(|seed| if options.check_determinism { contents.run(compiled, seed) } else { once(seed) })?
    };
    let timed_out = timed_out && !report.complete;
    let result = judge(scenario, options, regressions, report, past.wall + started.elapsed());
    Ok(ScenarioResult { timed_out, ..result })
}

/// Whether a canary's campaign has come to the violation that it expects and ends there.
pub fn is_stopped(scenario: &Scenario, options: &Options, tally: &Tally) -> bool {
    match &scenario.expect {
        Expect::Violates(name) => !options.exhaustive && tally.violations.contains_key(name),
        Expect::Pass => false,
    }
}

/// What a campaign came to, by what the scenario expects.
pub fn judge(
    scenario: &Scenario,
    options: &Options,
    regressions: Vec<Replayed>,
    report: Report,
    wall: Duration,
) -> ScenarioResult {
    let judged = Judged { report, regressions, coverage: !matches!(options.seeds, Which::One(_)) };
    judged.result(scenario, wall)
}

/// What was in the messages of runs that have been made once and not yet a second time, by seed.
#[derive(Default)]
struct Contents(Mutex<BTreeMap<u64, u64>>);

impl Contents {
    /// Runs a seed with a recording. The outcome of its second run differs from that of its first if anything that was
    /// recorded does, even where the rolling hash, which knows only the kinds of messages, is the same.
    fn run(&self, compiled: &dyn Compiled, seed: u64) -> Outcome {
        let (mut outcome, trace) = compiled.record(&compiled.schedule(seed));
        let digest = trace.digest();
        // A thread that panicked while it held the lock left nothing half done.
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match first.remove(&seed) {
            None => _ = first.insert(seed, digest),
            Some(first) if first != digest => outcome.trace_hash ^= first ^ digest,
            Some(_) => {}
        }
        outcome
    }
}

/// The seeds that a scenario is run with.
pub fn seeds(scenario: &Scenario, options: &Options) -> Seeds {
    let all = match (&options.seeds, &scenario.seeds) {
        (Which::One(seed), _) => Seeds::one(*seed),
        (Which::Seeds(seeds), _) => seeds.clone(),
        (Which::OfScenario, format::Seeds::First(_)) if options.time.is_some() => Seeds::endless(0),
        (Which::OfScenario, format::Seeds::First(count)) => Seeds::first(*count),
        (Which::OfScenario, format::Seeds::Listed(seeds)) => Seeds::listed(seeds.clone()),
    };
    match options.shard {
        Some(shard) => all.shard(shard),
        None => all,
    }
}

/// Runs the seeds that once failed, unless one seed is to be looked at.
///
/// # Errors
/// If the operating system refuses the threads.
pub fn replay(
    compiled: &dyn Compiled,
    regressions: &[Regression],
    options: &Options,
) -> Result<Vec<Replayed>, ThreadPoolBuildError> {
    if regressions.is_empty() || matches!(options.seeds, Which::One(_)) {
        return Ok(Vec::new());
    }
    let seeds = Seeds::listed(regressions.iter().map(|r| r.seed).collect());
    let campaign = Campaign::new(seeds).jobs(options.jobs).keep(regressions.len());
    let report = campaign.run(|seed| compiled.run(&compiled.schedule(seed)))?;
    let failure = |seed| report.tally.failures.iter().find(|failure| failure.seed == seed).cloned();
    Ok(regressions.iter().map(|r| Replayed { regression: r.clone(), failure: failure(r.seed) }).collect())
}

fn is_expected_violation(scenario: &Scenario, outcome: &Outcome) -> bool {
    match (&scenario.expect, &outcome.violation) {
        (Expect::Violates(name), Some(violation)) => violation.invariant == *name,
        _ => false,
    }
}

/// Everything that a verdict rests on.
struct Judged {
    report: Report,
    regressions: Vec<Replayed>,
    /// Whether `sometimes` is asked for.
    coverage: bool,
}

impl Judged {
    fn result(self, scenario: &Scenario, wall: Duration) -> ScenarioResult {
        let unreached = self.unreached(scenario);
        let verdict = self.verdict(&unreached);
        let expected = self.is_expected(verdict, &scenario.expect);
        let Report { tally, divergence, complete } = self.report;
        ScenarioResult {
            name: scenario.name.clone(),
            expect: Some(scenario.expect.clone()),
            verdict,
            expected,
            regressions: self.regressions,
            divergence,
            unreached,
            faults_fired: faults_fired(scenario, &tally),
            idle_steps: if complete { idle_steps(scenario, &tally) } else { Vec::new() },
            complete,
            timed_out: false,
            tally,
            wall,
            error: None,
        }
    }

    fn unreached(&self, scenario: &Scenario) -> Vec<String> {
        let sometimes = scenario.invariants.iter().filter(|spec| self.coverage && spec.class == Class::Coverage);
        let unreached = sometimes.filter(|spec| !self.report.tally.reached.contains_key(&spec.name));
        unreached.map(|spec| spec.name.clone()).collect()
    }

    fn verdict(&self, unreached: &[String]) -> Verdict {
        let replayed = self.regressions.iter().filter_map(|r| r.failure.as_ref()).map(|f| f.violation.class);
        let classes = self.report.tally.violations.values().map(|v| v.class).chain(replayed);
        match classes.min() {
            _ if self.report.divergence.is_some() => Verdict::Nondeterministic,
            Some(Class::Safety) => Verdict::Safety,
            Some(_) => Verdict::Liveness,
            None if unreached.is_empty() => Verdict::Pass,
            None => Verdict::Inconclusive,
        }
    }

    fn is_expected(&self, verdict: Verdict, expect: &Expect) -> bool {
        match expect {
            Expect::Pass => verdict == Verdict::Pass,
            Expect::Violates(name) => {
                // One that was kept under another name than the file expects has not failed as it did.
                let as_it_did = |r: &Replayed| {
                    let failure = r.failure.as_ref().map(|failure| &failure.violation.invariant);
                    failure == Some(&r.regression.invariant) && failure == Some(name)
                };
                self.report.divergence.is_none()
                    && self.report.tally.violations.keys().eq([name])
                    && self.regressions.iter().all(as_it_did)
            }
        }
    }
}

/// Counts by kind, with a zero for every kind that the file asks for.
fn faults_fired(scenario: &Scenario, tally: &Tally) -> BTreeMap<String, u64> {
    let steps = scenario.steps.iter().map(|step| step.fault.kind());
    let random = scenario.random.iter().flat_map(|random| random.kinds.iter().map(|kind| kind.fault.kind()));
    let mut fired: BTreeMap<_, _> = steps.chain(random).map(|kind| (kind.to_owned(), 0)).collect();
    fired.extend(tally.faults.iter().map(|(kind, tally)| (kind.clone(), tally.fired)));
    fired
}

fn idle_steps(scenario: &Scenario, tally: &Tally) -> Vec<(usize, &'static str)> {
    let idle = scenario.steps.iter().enumerate().filter(|(_, step)| {
        let step = tally.faults_by_id.get(&step.id);
        step.is_some_and(|step| step.fired == 0)
    });
    idle.map(|(number, step)| (number + 1, step.fault.kind())).collect()
}

impl ScenarioResult {
    /// A scenario that could not be run, and why.
    pub fn error(name: impl Into<String>, error: impl fmt::Display) -> Self {
        ScenarioResult {
            name: name.into(),
            expect: None,
            verdict: Verdict::Error,
            expected: false,
            tally: Tally::new(0),
            regressions: Vec::new(),
            divergence: None,
            unreached: Vec::new(),
            faults_fired: BTreeMap::new(),
            idle_steps: Vec::new(),
            complete: false,
            timed_out: false,
            wall: Duration::ZERO,
            error: Some(error.to_string()),
        }
    }

    /// All failures that were kept, those of regressions first.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        let replayed = self.regressions.iter().filter_map(|r| r.failure.as_ref());
        replayed.chain(&self.tally.failures)
    }

    /// The failures by invariant and cause, in order of their first seeds.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = self
            .tally
            .causes
            .iter()
            .map(|((_, cause), CauseTally { first, seeds })| Group { cause, first, seeds: *seeds })
            .collect();
        groups.sort_by_key(|group| group.first.seed);
        groups
    }

    /// One failure of each kind: those of kept seeds, and the first of each group. What the file does not expect comes
    /// first; what it does is left out unless it is asked for.
    pub fn distinct_failures(&self, with_expected: bool) -> Vec<&Failure> {
        let mut seen = BTreeSet::new();
        let replayed = self.regressions.iter().filter_map(|r| r.failure.as_ref());
        let firsts = self.groups().into_iter().map(|group| group.first);
        let mut failures: Vec<_> = replayed.chain(firsts).filter(|failure| seen.insert(failure.seed)).collect();
        failures.retain(|failure| with_expected || !self.is_expected(failure));
        failures.sort_by_key(|failure| self.is_expected(failure));
        failures
    }

    fn is_expected(&self, failure: &Failure) -> bool {
        matches!(&self.expect, Some(Expect::Violates(name)) if failure.violation.invariant == *name)
    }

    /// The failures that the file does not expect: those that were kept, and the first of each group that begins behind
    /// them.
    pub fn unexpected_failures(&self) -> impl Iterator<Item = &Failure> {
        let kept = &self.tally.failures;
        let firsts = self.groups().into_iter().map(|group| group.first);
        let behind = firsts.filter(|first| kept.iter().all(|failure| failure.seed != first.seed));
        self.failures().chain(behind).filter(|failure| !self.is_expected(failure))
    }

    /// The failure to show first: an unexpected one if there is any.
    pub fn first_failure(&self) -> Option<&Failure> {
        self.unexpected_failures().next().or_else(|| self.failures().next())
    }

    /// The regressions of a canary that did not fail as they once did.
    pub fn lost_regressions(&self) -> impl Iterator<Item = &Replayed> {
        let is_canary = matches!(self.expect, Some(Expect::Violates(_)));
        let fails_alike = |r: &Replayed| {
            r.failure.as_ref().is_some_and(|failure| failure.violation.invariant == r.regression.invariant)
        };
        self.regressions.iter().filter(move |r| is_canary && !fails_alike(r))
    }
}
