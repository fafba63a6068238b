//! The lines of a journal behind its header: what was run, and what came of it.
//!
//! The types are apart from those of the search because they are a file format: a field may be added to a tally without
//! any journal changing its meaning.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use sim_core::search::{CauseTally, Chunk, Divergence, Failure, FaultTally, InvariantTally, Tally};
use sim_core::{Class, Instant, NodeId, Outcome, Violation};

use crate::regressions::Regression;
use crate::runner::{KEEP, Replayed};

/// One line. `scenario` is a place in the header's list, counted from zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The kept seeds of a scenario were run, as they are at every start.
    Kept { scenario: usize, replayed: Vec<Kept> },
    /// The next seeds of a scenario were run.
    Runs(Box<Runs>),
    /// The limit of time ended a scenario for now.
    TimeUp { scenario: usize },
    /// A scenario could not be run.
    Error { scenario: usize, error: String },
}

/// A kept seed, and what it violated this time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    seed: u64,
    invariant: String,
    failure: Option<Failed>,
}

/// Consecutive runs of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    pub scenario: usize,
    /// How many seeds of this shard come before.
    pub first: u64,
    pub seeds: u64,
    /// The trace hash of each run, eight bytes each with the lowest first, in base64.
    hashes: String,
    events: u64,
    virtual_time: Duration,
    /// Since the line before.
    pub wall: Duration,
    failed: u64,
    failures: Vec<Failed>,
    violations: BTreeMap<String, Violated>,
    causes: Vec<Cause>,
    /// How many were planned and how many took effect, by kind and by id.
    faults: BTreeMap<String, (u64, u64)>,
    faults_by_id: BTreeMap<u32, (u64, u64)>,
    marks: BTreeMap<String, u64>,
    reached: BTreeMap<String, u64>,
    /// The seed behind them whose two runs differed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    divergence: Option<Diverged>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Failed {
    seed: u64,
    #[serde(flatten)]
    broken: Broken,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Broken {
    invariant: String,
    class: Kind,
    /// In nanoseconds.
    at: u64,
    event: u64,
    node: Option<u16>,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Safety,
    Liveness,
    Coverage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Violated {
    class: Kind,
    first_seed: u64,
    seeds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cause {
    cause: String,
    seeds: u64,
    first: Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Diverged {
    seed: u64,
    runs: [Ended; 2],
}

/// What is told of a run that should have been like another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    events: u64,
    end: u64,
    trace_hash: u64,
    violation: Option<Broken>,
}

impl Runs {
    /// What a chunk is written as.
    pub fn new(scenario: usize, chunk: &Chunk, wall: Duration) -> Self {
        let tally = &chunk.tally;
        let bytes: Vec<u8> = chunk.hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        let pair = |tally: &FaultTally| (tally.planned, tally.fired);
        let violated = |tally: &InvariantTally| Violated {
            class: tally.class.into(),
            first_seed: tally.first_seed,
            seeds: tally.seeds,
        };
        let cause = |((_, cause), tally): (&(String, String), &CauseTally)| Cause {
            cause: cause.clone(),
            seeds: tally.seeds,
            first: Failed::new(&tally.first),
        };
        Runs {
            scenario,
            first: chunk.first,
            seeds: tally.seeds,
            hashes: BASE64.encode(bytes),
            events: tally.events,
            virtual_time: tally.virtual_time,
            wall,
            failed: tally.failed,
            failures: tally.failures.iter().map(Failed::new).collect(),
            violations: tally.violations.iter().map(|(name, tally)| (name.clone(), violated(tally))).collect(),
            causes: tally.causes.iter().map(cause).collect(),
            faults: tally.faults.iter().map(|(kind, tally)| (kind.clone(), pair(tally))).collect(),
            faults_by_id: tally.faults_by_id.iter().map(|(id, tally)| (*id, pair(tally))).collect(),
            marks: tally.marks.clone(),
            reached: tally.reached.clone(),
            divergence: chunk.divergence.as_ref().map(Diverged::new),
        }
    }

    /// The chunk again; `None` if there is not a hash for every run.
    pub fn chunk(self) -> Option<Chunk> {
        let hashes = self.hashes()?;
        let pair = |(planned, fired): (u64, u64)| FaultTally { planned, fired };
        let mut tally = Tally::new(KEEP);
        tally.seeds = self.seeds;
        tally.failed = self.failed;
        tally.failures = self.failures.into_iter().map(Failed::failure).collect();
        tally.events = self.events;
        tally.virtual_time = self.virtual_time;
        tally.violations = self
            .violations
            .into_iter()
            .map(|(name, v)| (name, InvariantTally { class: v.class.into(), first_seed: v.first_seed, seeds: v.seeds }))
            .collect();
        for Cause { cause, seeds, first } in self.causes {
            let first = first.failure();
            tally.causes.insert((first.violation.invariant.clone(), cause), CauseTally { first, seeds });
        }
        tally.faults = self.faults.into_iter().map(|(kind, tally)| (kind, pair(tally))).collect();
        tally.faults_by_id = self.faults_by_id.into_iter().map(|(id, tally)| (id, pair(tally))).collect();
        tally.marks = self.marks;
        tally.reached = self.reached;
        Some(Chunk { first: self.first, tally, hashes, divergence: self.divergence.map(Diverged::divergence) })
    }

    /// The trace hash of each run; `None` if there is not one for every run.
    pub fn hashes(&self) -> Option<Vec<u64>> {
        let bytes = BASE64.decode(&self.hashes).ok()?;
        let (hashes, rest) = bytes.as_chunks();
        let hashes: Vec<u64> = hashes.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        (rest.is_empty() && hashes.len() as u64 == self.seeds).then_some(hashes)
    }
}

impl Kept {
    pub fn new(replayed: &Replayed) -> Self {
        let Regression { seed, invariant } = replayed.regression.clone();
        Kept { seed, invariant, failure: replayed.failure.as_ref().map(Failed::new) }
    }

    pub fn replayed(self) -> Replayed {
        let regression = Regression { seed: self.seed, invariant: self.invariant };
        Replayed { regression, failure: self.failure.map(Failed::failure) }
    }
}

impl Failed {
    fn new(failure: &Failure) -> Self {
        Failed { seed: failure.seed, broken: Broken::new(&failure.violation) }
    }

    fn failure(self) -> Failure {
        Failure { seed: self.seed, violation: self.broken.violation() }
    }
}

impl Broken {
    fn new(violation: &Violation) -> Self {
        let Violation { invariant, class, at, event, node, message } = violation.clone();
        Broken { invariant, class: class.into(), at: at.as_nanos(), event, node: node.map(|node| node.0), message }
    }

    fn violation(self) -> Violation {
        let Broken { invariant, class, at, event, node, message } = self;
        let (class, at, node) = (class.into(), Instant::from_nanos(at), node.map(NodeId));
        Violation { invariant, class, at, event, node, message }
    }
}

impl Diverged {
    fn new(divergence: &Divergence) -> Self {
        let ended = |outcome: &Outcome| Ended {
            events: outcome.events,
            end: outcome.end.as_nanos(),
            trace_hash: outcome.trace_hash,
            violation: outcome.violation.as_ref().map(Broken::new),
        };
        Diverged { seed: divergence.seed, runs: [ended(&divergence.first), ended(&divergence.second)] }
    }

    fn divergence(self) -> Divergence {
        let [first, second] = self.runs.map(|run| Outcome {
            violation: run.violation.map(Broken::violation),
            events: run.events,
            end: Instant::from_nanos(run.end),
            trace_hash: run.trace_hash,
            fired: Vec::new(),
            marks: Vec::new(),
            reached: Vec::new(),
        });
        Divergence { seed: self.seed, first, second }
    }
}

impl From<Class> for Kind {
    fn from(class: Class) -> Self {
        match class {
            Class::Safety => Kind::Safety,
            Class::Liveness => Kind::Liveness,
            Class::Coverage => Kind::Coverage,
        }
    }
}

impl From<Kind> for Class {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Safety => Class::Safety,
            Kind::Liveness => Class::Liveness,
            Kind::Coverage => Class::Coverage,
        }
    }
}
