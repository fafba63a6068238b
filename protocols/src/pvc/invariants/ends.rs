//! P5: a takeover or a relinquishment comes to an end. Its steps are writes and locks of the coordination service, so what
//! counts is the time in which the node could reach that.

use std::time::Duration;

use sim_core::{Check, Class, Instant, Invariant, Touched, World};

use super::reach::Reach;
use crate::pvc::daemon::Daemon;
use crate::pvc::protocol::Node;

/// No transition lasts longer than a bound while the service can be reached at a stretch.
#[derive(Clone, Hash)]
pub(super) struct TransitionEnds {
    name: &'static str,
    bound: Duration,
    reach: Reach,
    /// By node, since when it has been in transition.
    since: Vec<Option<Instant>>,
}

impl TransitionEnds {
    pub fn new(name: &'static str, bound: Duration, reach: Reach) -> Self {
        TransitionEnds { name, bound, reach, since: Vec::new() }
    }
}

impl Invariant<Node> for TransitionEnds {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Liveness
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        self.reach.update(world, touched);
        self.since.resize(world.setup().nodes.len(), None);
        let mut next: Option<Instant> = None;
        for info in &self.reach.shared.nodes {
            let daemon = world.actor(info.id).and_then(Node::daemon);
            let since = &mut self.since[info.id.index()];
            if !daemon.is_some_and(Daemon::is_in_transition) {
                *since = None;
                continue;
            }
            let since = *since.get_or_insert(world.now());
            let Some(reached) = self.reach.since(info.id) else { continue };
            let deadline = since.max(reached) + self.bound;
            if world.now() >= deadline {
                return Check::Violated(format!(
                    "{} has been in transition since {since}, and able to reach the coordination service for {:?} of that",
                    info.name, self.bound
                ));
            }
            next = Some(next.map_or(deadline, |next| next.min(deadline)));
        }
        next.map_or(Check::Holds, Check::AskAgain)
    }
}
