//! What came of many runs, added up in the order of their seeds.
//!
//! Sums can be put together again: chunks of consecutive seeds one after the other, as a journal keeps them, and the
//! shards of a campaign beside each other. Either way the whole is what it would have been in one piece.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Duration;

use super::Divergence;
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
    /// The same by the name of the invariant and by cause.
    pub causes: BTreeMap<(String, String), CauseTally>,
    /// What became of the planned faults, by kind.
    pub faults: BTreeMap<String, FaultTally>,
    /// In how many runs each planned fault was planned and took effect, by its id.
    pub faults_by_id: BTreeMap<u32, FaultTally>,
    /// How often each mark was set, by name.
    pub marks: BTreeMap<String, u64>,
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

/// Failures of one invariant that have the same cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseTally {
    /// The first of them.
    pub first: Failure,
    /// How many seeds failed so.
    pub seeds: u64,
}

/// Consecutive runs of a campaign, added up.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// How many seeds of the campaign come before.
    pub first: u64,
    /// The sum of the runs.
    pub tally: Tally,
    /// The trace hash of each run, in order: those of several shards can only be folded one by one.
    pub hashes: Vec<u64>,
    /// The seed after them whose two runs differed, which ended the campaign.
    pub divergence: Option<Divergence>,
}

impl Chunk {
    /// No runs yet, after `first` seeds; will keep `keep` failures.
    pub fn new(first: u64, keep: usize) -> Self {
        Chunk { first, tally: Tally::new(keep), hashes: Vec::new(), divergence: None }
    }

    /// Adds the run of the next seed, as [`Tally::add`] does.
    pub fn add(&mut self, seed: u64, outcome: Outcome, cause: &str) {
        self.hashes.push(outcome.trace_hash);
        self.tally.add(seed, outcome, cause);
    }
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
            causes: BTreeMap::new(),
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

    /// How many more failures it will keep whole.
    pub fn room(&self) -> usize {
        self.keep.saturating_sub(self.failures.len())
    }

    /// Adds the run of the next seed. `cause` tells failures of one invariant apart; without a violation it says
    /// nothing.
    pub fn add(&mut self, seed: u64, outcome: Outcome, cause: &str) {
        self.seeds += 1;
        self.events += outcome.events;
        self.virtual_time = self.virtual_time.saturating_add(outcome.end.since(Instant::ZERO));
        self.hash.add(outcome.trace_hash);
        for (id, kind, fired) in outcome.fired {
            for tally in [named(&mut self.faults, kind), self.faults_by_id.entry(id).or_default()] {
                tally.planned += 1;
                tally.fired += u64::from(fired.count);
            }
        }
        for (mark, count) in outcome.marks {
            *named(&mut self.marks, mark) += count;
        }
        for name in outcome.reached {
            *self.reached.entry(name).or_default() += 1;
        }
        if let Some(violation) = outcome.violation {
            self.add_failure(Failure { seed, violation }, cause);
        }
    }

    fn add_failure(&mut self, failure: Failure, cause: &str) {
        self.failed += 1;
        let Failure { seed, violation } = &failure;
        let first = InvariantTally { class: violation.class, first_seed: *seed, seeds: 0 };
        self.violations.entry(violation.invariant.clone()).or_insert(first).seeds += 1;
        let key = (violation.invariant.clone(), cause.to_owned());
        self.causes.entry(key).or_insert_with(|| CauseTally { first: failure.clone(), seeds: 0 }).seeds += 1;
        if self.room() > 0 {
            self.failures.push(failure);
        }
    }

    /// Adds the runs that come next.
    ///
    /// ```
    /// # use sim_core::search::{Chunk, Tally};
    /// # use sim_core::{Instant, Outcome};
    /// # let run = |seed| Outcome {
    /// #     violation: None, events: seed, end: Instant::ZERO, trace_hash: seed, fired: vec![], marks: vec![], reached: vec![],
    /// # };
    /// let (mut whole, mut chunk) = (Tally::new(10), Chunk::new(0, 10));
    /// for seed in 0..5 {
    ///     whole.add(seed, run(seed), "");
    ///     chunk.add(seed, run(seed), "");
    /// }
    /// let mut put_together = Tally::new(10);
    /// put_together.append(&chunk);
    /// assert_eq!(put_together, whole);
    /// ```
    pub fn append(&mut self, chunk: &Chunk) {
        let room = self.room();
        self.sum(&chunk.tally);
        self.failures.extend(chunk.tally.failures.iter().take(room).cloned());
        for (name, later) in &chunk.tally.violations {
            self.violations.entry(name.clone()).or_insert(InvariantTally { seeds: 0, ..*later }).seeds += later.seeds;
        }
        for (key, later) in &chunk.tally.causes {
            let none = || CauseTally { seeds: 0, ..later.clone() };
            self.causes.entry(key.clone()).or_insert_with(none).seeds += later.seeds;
        }
        chunk.hashes.iter().for_each(|&hash| self.hash.add(hash));
    }

    /// The sum of shards, which will keep the first `keep` failures of all. `position` is the place of a seed in the
    /// campaign that they are parts of, and `hashes` are the trace hashes of all runs in that order.
    pub fn of_shards(
        keep: usize,
        shards: &[Tally],
        position: impl Fn(u64) -> u64,
        hashes: impl IntoIterator<Item = u64>,
    ) -> Tally {
        let mut whole = Tally::new(keep);
        for shard in shards {
            whole.sum(shard);
            whole.failures.extend(shard.failures.iter().cloned());
            for (name, tally) in &shard.violations {
                let sum = whole.violations.entry(name.clone()).or_insert(InvariantTally { seeds: 0, ..*tally });
                sum.seeds += tally.seeds;
                sum.first_seed = [sum.first_seed, tally.first_seed]
                    .into_iter()
                    .min_by_key(|seed| position(*seed))
                    .expect("there are two");
            }
            for (key, tally) in &shard.causes {
                let sum = whole.causes.entry(key.clone()).or_insert_with(|| CauseTally { seeds: 0, ..tally.clone() });
                sum.seeds += tally.seeds;
                if position(tally.first.seed) < position(sum.first.seed) {
                    sum.first = tally.first.clone();
                }
            }
        }
        whole.failures.sort_by_key(|failure| position(failure.seed));
        whole.failures.truncate(keep);
        hashes.into_iter().for_each(|hash| whole.hash.add(hash));
        whole
    }

    /// Adds what does not depend on the order of seeds.
    fn sum(&mut self, other: &Tally) {
        self.seeds += other.seeds;
        self.failed += other.failed;
        self.events += other.events;
        self.virtual_time = self.virtual_time.saturating_add(other.virtual_time);
        for (name, &tally) in &other.faults {
            *named(&mut self.faults, name) += tally;
        }
        for (&id, &tally) in &other.faults_by_id {
            *self.faults_by_id.entry(id).or_default() += tally;
        }
        for (name, count) in &other.marks {
            *named(&mut self.marks, name) += count;
        }
        for (name, count) in &other.reached {
            *named(&mut self.reached, name) += count;
        }
    }
}

impl AddAssign for FaultTally {
    fn add_assign(&mut self, other: Self) {
        self.planned += other.planned;
        self.fired += other.fired;
    }
}

/// The entry of a name. A name that is there already, as most are, is not copied.
fn named<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    if !map.contains_key(name) {
        map.insert(name.to_owned(), T::default());
    }
    map.get_mut(name).expect("it is there by now")
}
