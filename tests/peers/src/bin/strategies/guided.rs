//! Guided search: runs that reach something new are kept, and most of what is tried next goes on from where one of them
//! reached it.
//!
//! What can be reached is told by what every run shows of itself: marks, the roles of the nodes, the order in
//! which these come, and in which state of the cluster a fault struck ([`Reached`]). A rare failure is mostly a chain of
//! rare steps. A search that starts over each time has to draw the whole chain at once; one that keeps what led to the
//! first step and draws anew only what comes then has to draw the rest.
//!
//! The search goes in rounds of fixed size. What a round tries is settled before any of it runs, and what it reached is
//! noted in order, so the result is the same for any number of threads.

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};
use sim_core::search::guarded;
use sim_core::{FaultPlan, Outcome, PlannedFault, Schedule};

use crate::child;
use crate::corpus::Corpus;
use crate::dice::Dice;
use crate::reached::Reached;

/// Runs between two looks at what was reached.
const ROUND: usize = 32;
/// One run of so many is a seed of its own and goes on from nothing.
const FRESH: u64 = 4;
/// Failing runs that are kept.
const KEEP: usize = 10;

/// What is searched.
pub trait Subject: Sync {
    /// What a seed alone makes of it.
    fn schedule(&self, seed: u64) -> Schedule;

    /// Runs a schedule, and says what it reached.
    fn run(&self, schedule: &Schedule) -> (Outcome, Reached);

    /// Whether a fault may be left out, or put elsewhere.
    fn is_free(&self, fault: &PlannedFault) -> bool;

    /// Takes out of a plan that was put together from others what [`Subject::schedule`] could not have planned.
    fn confine(&self, plan: &mut FaultPlan);
}

/// A search that learns from its runs.
///
/// Its runs have no seed of their own: what it finds is a schedule.
pub struct Guided<'a> {
    subject: &'a dyn Subject,
    first_seed: u64,
    runs: u64,
    jobs: usize,
    stop_when: Box<dyn Fn(&Outcome) -> bool + 'a>,
}

/// What a guided search came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Runs that were made.
    pub runs: u64,
    /// Runs that violated something.
    pub failed: u64,
    /// The first of them.
    pub failures: Vec<Failing>,
    /// Different things that runs reached.
    pub reached: usize,
    /// Events handled.
    pub events: u64,
    /// Whether all runs were made; false if something else ended the search.
    pub complete: bool,
}

/// A run that violated something.
#[derive(Clone, Debug, PartialEq)]
pub struct Failing {
    /// Its number in the search, counted from 0.
    pub run: u64,
    /// What decided it.
    pub schedule: Schedule,
    /// How it went.
    pub outcome: Outcome,
}

impl<'a> Guided<'a> {
    /// A search of so many runs, on all cores. All that it draws comes from `first_seed`; its fresh runs are of that seed
    /// and those behind it.
    pub fn new(subject: &'a dyn Subject, first_seed: u64, runs: u64) -> Self {
        Guided { subject, first_seed, runs, jobs: 0, stop_when: Box::new(|_| false) }
    }

    /// How many threads; as many as there are cores if 0.
    #[must_use]
    pub fn jobs(self, jobs: usize) -> Self {
        Guided { jobs, ..self }
    }

    /// Ends the search with the first run, in their order, of which this is true.
    #[must_use]
    pub fn stop_when(self, stop: impl Fn(&Outcome) -> bool + 'a) -> Self {
        Guided { stop_when: Box::new(stop), ..self }
    }

    /// Makes the runs. A panic is a violation.
    ///
    /// # Errors
    /// If the operating system refuses the threads.
    pub fn run(self) -> Result<Found, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(self.jobs).build()?;
        let subject = self.subject;
        let mut corpus = Corpus::default();
        let mut fresh = self.first_seed;
        let mut found = Found::default();
        while found.runs < self.runs {
            let size = (self.runs - found.runs).min(ROUND as u64);
            let numbers = found.runs..found.runs + size;
            let round: Vec<Schedule> = numbers.map(|number| self.next(number, &corpus, &mut fresh)).collect();
            let runs: Vec<(Outcome, Reached)> =
                pool.install(|| round.par_iter().with_max_len(1).map(|schedule| watched(subject, schedule)).collect());
            for (schedule, (outcome, reached)) in round.into_iter().zip(runs) {
                let run = found.runs;
                found.runs += 1;
                found.events += outcome.events;
                let stop = (self.stop_when)(&outcome);
                if outcome.violation.is_none() {
                    corpus.learn(schedule, reached);
                } else {
                    // What has failed has ended early, and what goes on from there fails again.
                    found.failed += 1;
                    if found.failures.len() < KEEP {
                        found.failures.push(Failing { run, schedule, outcome });
                    }
                }
                if stop {
                    found.reached = corpus.len();
                    return Ok(found);
                }
            }
            found.reached = corpus.len();
        }
        found.complete = true;
        Ok(found)
    }

    /// The schedule of the run with this number.
    fn next(&self, number: u64, corpus: &Corpus, fresh: &mut u64) -> Schedule {
        let mut dice = Dice::new(self.first_seed, number);
        if dice.below(FRESH) > 0
            && let Some((known, at)) = corpus.pick(&mut dice)
        {
            return child::of(self.subject, known, at, &mut dice);
        }
        let seed = *fresh;
        *fresh = fresh.wrapping_add(1);
        self.subject.schedule(seed)
    }
}

fn watched(subject: &dyn Subject, schedule: &Schedule) -> (Outcome, Reached) {
    let mut reached = Reached::default();
    let outcome = guarded(|| {
        let (outcome, what) = subject.run(schedule);
        reached = what;
        outcome
    });
    (outcome, reached)
}
