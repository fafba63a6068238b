//! P1 and P3: things that one node holds at a time. A node can hold several, so each is a bit.

use std::collections::BTreeMap;
use std::time::Duration;

use sim_core::{Check, Class, Instant, Invariant, LookBack, NodeId, Touched, World};

use super::reach::Reach;
use crate::pvc::config::Config;
use crate::pvc::daemon::Daemon;
use crate::pvc::protocol::Node;

/// No two nodes hold the same thing.
#[derive(Clone, Hash)]
pub(super) struct Exclusive {
    name: &'static str,
    claims: fn(&Daemon) -> u64,
    describe: fn(u32) -> String,
    /// How long two reachable nodes may, and after how long a node counts as reachable; not at all if `None`.
    grace: Option<(Duration, Duration)>,
    reach: Reach,
    held: Vec<u64>,
    /// Since when two nodes hold the same.
    clashes: BTreeMap<(u32, NodeId, NodeId), Instant>,
}

impl Exclusive {
    /// At no moment, whether the nodes can be reached or not.
    pub fn strict(name: &'static str, claims: fn(&Daemon) -> u64, describe: fn(u32) -> String, reach: Reach) -> Self {
        Exclusive { name, claims, describe, grace: None, reach, held: Vec::new(), clashes: BTreeMap::new() }
    }

    /// But for the time of a hand-over.
    pub fn with_grace(
        name: &'static str,
        claims: fn(&Daemon) -> u64,
        describe: fn(u32) -> String,
        config: &Config,
        reach: Reach,
    ) -> Self {
        let grace = Some((config.transition_grace(), config.reconnect()));
        Exclusive { grace, ..Exclusive::strict(name, claims, describe, reach) }
    }

    fn look(&mut self, world: &World<Node>, node: NodeId) {
        let claims = world.actor(node).and_then(Node::daemon).map_or(0, self.claims);
        let before = std::mem::replace(&mut self.held[node.index()], claims);
        if before == claims {
            return;
        }
        self.clashes.retain(|&(bit, a, b), _| (a != node && b != node) || claims >> bit & 1 == 1);
        for other in 0..self.held.len() as u16 {
            let shared = if NodeId(other) == node { 0 } else { self.held[usize::from(other)] & claims };
            for bit in (0..64).filter(|bit| shared >> bit & 1 == 1) {
                let pair = (node.min(NodeId(other)), node.max(NodeId(other)));
                self.clashes.entry((bit, pair.0, pair.1)).or_insert(world.now());
            }
        }
    }
}

impl Invariant<Node> for Exclusive {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        self.held.resize(world.setup().nodes.len(), 0);
        self.reach.update(world, touched);
        match touched {
            Touched::Node(node) => self.look(world, node),
            Touched::Any => {
                for node in world.node_ids() {
                    self.look(world, node);
                }
            }
        }
        let mut ask = None;
        for (&(bit, a, b), &since) in &self.clashes {
            let (first, second) = (world.setup().name(a), world.setup().name(b));
            let what = (self.describe)(bit);
            let Some((grace, reconnect)) = self.grace else {
                return Check::Violated(format!("{first} and {second} are both {what}"));
            };
            let (Some(a), Some(b)) = (self.reach.since(a), self.reach.since(b)) else { continue };
            let deadline = since.max(a + reconnect).max(b + reconnect) + grace;
            if world.now() > deadline {
                return Check::Violated(format!(
                    "{first} and {second} are both {what}, since {since}, and both have been able to reach the \
                     coordination service since {}",
                    a.max(b)
                ));
            }
            ask = Some(ask.map_or(deadline, |ask: Instant| ask.min(deadline)));
        }
        ask.map_or(Check::Holds, |deadline| Check::AskAgain(deadline + Duration::from_nanos(1)))
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}
