//! What a run reaches, as numbers that are the same for the same thing.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use sim_core::trace::{Trace, What};
use sim_core::{Instant, NodeId, Outcome};

/// What a run reached, and when first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    pub features: BTreeMap<u64, Instant>,
}

/// Kinds of things that can be reached; parts of what is hashed.
const NODE: u8 = 0;
const CLUSTER: u8 = 1;
const ROLE: u8 = 2;
const MARK: u8 = 3;
const MARK_IN: u8 = 4;
const PAIR: u8 = 5;
const TRIPLE: u8 = 6;
const FAULT_IN: u8 = 7;

impl Reached {
    /// What a recorded run reached.
    pub fn of(outcome: &Outcome, trace: &Trace) -> Reached {
        let mut watch = Watch::default();
        for entry in &trace.entries {
            watch.now = entry.at;
            match entry.what {
                What::Role { node, to, .. } => watch.role(node, to),
                What::Started { node } => watch.up(node, true),
                What::Stopped { node, .. } => watch.up(node, false),
                What::Mark { node, name } => watch.mark(node, name),
                _ => {}
            }
        }
        watch.faults(outcome);
        watch.reached
    }
}

#[derive(Default)]
struct Watch {
    now: Instant,
    /// By node, whether it is up and its role.
    nodes: BTreeMap<NodeId, (bool, &'static str)>,
    /// The states of all nodes together.
    cluster: u64,
    /// What they were together, and from when on.
    course: Vec<(Instant, u64)>,
    marks: BTreeMap<&'static str, u64>,
    /// The last two things that happened.
    last: [u64; 2],
    reached: Reached,
}

impl Watch {
    fn role(&mut self, node: NodeId, role: &'static str) {
        let is_up = self.nodes.get(&node).is_some_and(|&(is_up, _)| is_up);
        self.state(node, (is_up, role));
    }

    fn up(&mut self, node: NodeId, is_up: bool) {
        let role = self.nodes.get(&node).filter(|_| is_up).map_or("", |&(_, role)| role);
        self.state(node, (is_up, role));
    }

    fn state(&mut self, node: NodeId, state: (bool, &'static str)) {
        if self.nodes.insert(node, state) == Some(state) {
            return;
        }
        self.reach(digest((NODE, node, state)));
        self.cluster = digest((CLUSTER, &self.nodes));
        self.reach(self.cluster);
        self.course.push((self.now, self.cluster));
        self.happened(digest((ROLE, state)));
    }

    fn mark(&mut self, node: NodeId, name: &'static str) {
        let count = self.marks.entry(name).or_default();
        *count += 1;
        let count = magnitude(*count);
        let role = self.nodes.get(&node).map_or("", |&(_, role)| role);
        self.reach(digest((MARK, name, count)));
        self.reach(digest((MARK_IN, name, self.cluster)));
        self.happened(digest((MARK, name, role)));
    }

    /// Takes note of the order of what happens. What happens again and again counts once.
    fn happened(&mut self, what: u64) {
        let [before, last] = self.last;
        self.reach(digest((PAIR, last, what)));
        if last != what {
            self.reach(digest((TRIPLE, before, last, what)));
            self.last = [last, what];
        }
    }

    /// In which state of the cluster each fault struck.
    fn faults(&mut self, outcome: &Outcome) {
        for &(_, kind, fired) in &outcome.fired {
            let Some(at) = fired.first else { continue };
            let changes = self.course.partition_point(|&(from, _)| from < at);
            let cluster = changes.checked_sub(1).map_or(0, |change| self.course[change].1);
            self.now = at;
            self.reach(digest((FAULT_IN, kind, cluster)));
        }
    }

    fn reach(&mut self, feature: u64) {
        self.reached.features.entry(feature).or_insert(self.now);
    }
}

/// One number for counts that are alike: 0, 1, 2 and 3 are themselves, then it takes twice as many to be another.
fn magnitude(count: u64) -> u32 {
    if count < 4 { count as u32 } else { count.ilog2() + 2 }
}

fn digest(what: impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    what.hash(&mut hash);
    hash.finish()
}
