//! Since when each node is up and able to reach the coordination service, as the world knows it and not the node.

use std::sync::Arc;

use sim_core::{Constant, Instant, NodeId, Touched, World};

use crate::pvc::layout::{Shared, SharedRef};
use crate::pvc::protocol::Node;

/// What is known of each node.
#[derive(Clone, Debug, Hash)]
pub(super) struct Reach {
    pub shared: SharedRef,
    since: Vec<Option<Instant>>,
}

impl Reach {
    pub fn of(shared: &Constant<Arc<Shared>>, nodes: usize) -> Self {
        Reach { shared: shared.clone(), since: vec![None; nodes] }
    }

    /// Since when the node can reach the service; `None` if it cannot.
    pub fn since(&self, node: NodeId) -> Option<Instant> {
        self.since[node.index()]
    }

    /// Looks again at what an event may have changed.
    pub fn update(&mut self, world: &World<Node>, touched: Touched) {
        let service = self.shared.service;
        match touched {
            Touched::Node(node) if node != service => self.look(world, node),
            _ => {
                for number in 0..self.since.len() {
                    self.look(world, NodeId(number as u16));
                }
            }
        }
    }

    fn look(&mut self, world: &World<Node>, node: NodeId) {
        let service = self.shared.service;
        let runs = |node| world.is_up(node) && !world.is_paused(node);
        let reaches = runs(node) && runs(service) && !world.is_cut(node, service) && !world.is_cut(service, node);
        let known = &mut self.since[node.index()];
        match (reaches, known.is_some()) {
            (true, false) => *known = Some(world.now()),
            (false, true) => *known = None,
            _ => {}
        }
    }
}
