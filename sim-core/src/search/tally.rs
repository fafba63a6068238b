//! What came of many runs, added up in the order of their seeds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::trace::RollingHash;
use crate::{Class, Instant, Outcome, Violation};

/// The sum of the runs of a campaign. It depends on the seeds alone, not on threads or on how they were cut into
/// chunks.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// Runs made.
    pub seeds: u64,
    /// Runs with a violation.
    pub failed: u64,
    /// The first failures, as many as the campaign was asked to keep.
    pub failures: Vec<Failure>,
    /// Violations by the name of the invariant.
    pub violations: BTreeMap<String, InvariantTally>,
    /// What became of the planned faults, by kind.
    pub faults: BTreeMap<&'static str, FaultTally>,
    /// In how many runs each planned fault was planned and took effect, by its id.
    pub faults_by_id: BTreeMap<u32, FaultTally>,
    /// How often each mark was set, by name.
    pub marks: BTreeMap<&'static str, u64>,
    /// In how many runs each coverage property was reached, by name.
    pub reached: BTreeMap<String, u64>,
    /// Events handled.
    pub events: u64,
    /// World time that passed, over all runs; saturates at 584 years.
    pub virtual_time: Duration,
    hash: RollingHash,
    keep: usize,
}

/// A run that violated an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What it violated.
    pub violation: Violation,
}

/// How often one invariant was violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvariantTally {
    /// Its kind.
    pub class: Class,
    /// The first seed that violated it.
    pub first_seed: u64,
    /// How many seeds violated it.
    pub seeds: u64,
}

/// What became of some of the planned faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultTally {
    /// How many were planned.
    pub planned: u64,
    /// How often they took effect: a planned crash that found its node down did not, and a planned drop counts each
    /// message that it lost.
    pub fired: u64,
}

impl Tally {
    /// The sum of no runs, which will keep the first `keep` failures.
    pub fn new(keep: usize) -> Self {
        Tally {
            seeds: 0,
            failed: 0,
            failures: Vec::new(),
            violations: BTreeMap::new(),
            faults: BTreeMap::new(),
            faults_by_id: BTreeMap::new(),
            marks: BTreeMap::new(),
            reached: BTreeMap::new(),
            events: 0,
            virtual_time: Duration::ZERO,
            hash: RollingHash::default(),
            keep,
        }
    }

    /// The trace hashes of all runs, folded in order.
    pub fn trace_hash(&self) -> u64 {
        self.hash.value()
    }

    /// Adds the run of the next seed.
    pub fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.virtual_time = self.virtual_time.saturating_add(outcome.end.since(Instant::ZERO));
        self.hash.add(outcome.trace_hash);
        for (id, kind, fired) in outcome.fired {
            for tally in [self.faults.entry(kind).or_default(), self.faults_by_id.entry(id).or_default()] {
                tally.planned += 1;
                tally.fired += u64::from(fired.count);
            }
        }
        for (mark, count) in outcome.marks {
            *self.marks.entry(mark).or_default() += count;
        }
        for name in outcome.reached {
            *self.reached.entry(name).or_default() += 1;
        }
        if let Some(violation) = outcome.violation {
            self.add_violation(seed, violation);
        }
    }

    fn add_violation(&mut self, seed: u64, violation: Violation) {
        self.failed += 1;
        let first = InvariantTally { class: violation.class, first_seed: seed, seeds: 0 };
        self.violations.entry(violation.invariant.clone()).or_insert(first).seeds += 1;
        if self.failures.len() < self.keep {
            self.failures.push(Failure { seed, violation });
        }
    }
}
