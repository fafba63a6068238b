//! What can be shrunk: something that runs a schedule and says how it went.

use crate::{Actor, Instant, Moment, NodeId, Outcome, Run, Schedule, Site};

/// Runs schedules of one cluster. The same schedule must always go the same way.
pub trait Subject {
    /// Runs a schedule to its first violation or its end, or until `until` if it has violated nothing by then.
    fn run(&self, schedule: &Schedule, until: Instant) -> Trial;

    /// The same with what chance decided in it.
    fn observe(&self, schedule: &Schedule, until: Instant) -> (Trial, Observed);

    /// The world time of each event, in order; the first event is number 1.
    fn events(&self, schedule: &Schedule, until: Instant) -> Vec<Instant>;

    /// How the same schedule goes where what is to be explained has been mended, if there is such a thing: a cluster
    /// without the defect that a scenario switches on. A failure that shows there as well has another cause.
    fn mended(&self, _schedule: &Schedule, _until: Instant) -> Option<Outcome> {
        None
    }
}

/// How a run of a candidate went.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The outcome.
    pub outcome: Outcome,
    /// What was broken when it ended.
    pub wounds: Wounds,
}

/// What is broken at one moment. A property that asks for recovery is worth nothing where something is broken that was
/// whole in the run to be explained: a process that nobody restarts does not come back, whatever the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wounds {
    /// Nodes whose process is down, absent ones left out.
    pub down: Vec<NodeId>,
    /// Nodes whose process is paused.
    pub paused: Vec<NodeId>,
    /// Directed links that are cut.
    pub cut: Vec<(NodeId, NodeId)>,
}

impl Wounds {
    /// Whether nothing is broken that is not in the other.
    pub fn is_within(&self, other: &Wounds) -> bool {
        self.down.iter().all(|node| other.down.contains(node))
            && self.paused.iter().all(|node| other.paused.contains(node))
            && self.cut.iter().all(|link| other.cut.contains(link))
    }
}

/// What chance decided in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The run as a schedule that leaves nothing to chance and takes the same course.
    pub schedule: Schedule,
    /// Every send, sync and crash, in order.
    pub decisions: Vec<(Site, Moment)>,
}

impl Trial {
    /// Runs to the first violation, to the end, or until `until`.
    pub fn of<A: Actor>(run: &mut Run<A>, until: Instant) -> Trial {
        let violation = run.until(|world| world.next_event_at().is_some_and(|next| next > until));
        let ended = violation.is_some() || run.world.next_event_at().is_some_and(|next| next > until);
        let outcome = if ended { run.outcome(violation) } else { run.to_end() };
        let world = &run.world;
        let nodes = || world.node_ids();
        let links = nodes().flat_map(|from| nodes().map(move |to| (from, to)));
        let absent = &world.schedule().absent;
        Trial {
            wounds: Wounds {
                down: nodes().filter(|node| !world.is_up(*node) && !absent.contains(node)).collect(),
                paused: nodes().filter(|node| world.is_paused(*node)).collect(),
                cut: links.filter(|&(from, to)| world.is_cut(from, to)).collect(),
            },
            outcome,
        }
    }
}

impl Observed {
    /// What a run that was observed from its beginning has shown.
    ///
    /// # Panics
    /// If the run was not observed.
    pub fn of<A: Actor>(run: &Run<A>) -> Observed {
        Observed {
            schedule: run.world.explicit_schedule().expect("the world was told to observe"),
            decisions: run.world.observed_decisions().unwrap_or_default().to_vec(),
        }
    }
}
