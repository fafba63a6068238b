//! What the properties of the library share: which nodes to look at, and how to say what was found.

use std::sync::Arc;
use std::time::Duration;

use crate::{Actor, Constant, Instant, NodeId, Touched, World};

/// A closure that looks at an actor.
pub(super) type OfActor<A, T> = Constant<Arc<dyn Fn(&A) -> T + Send + Sync>>;
/// A closure that looks at the whole world.
pub(super) type OfWorld<A, T> = Constant<Arc<dyn Fn(&World<A>) -> T + Send + Sync>>;

/// What a condition comes to: `bool`, or a `Result` whose error says why it does not hold.
pub trait Finding {
    /// Whether it holds; if not, why, as far as it can be told. Empty if it cannot.
    fn finding(self) -> Result<(), String>;
}

impl Finding for bool {
    fn finding(self) -> Result<(), String> {
        if self { Ok(()) } else { Err(String::new()) }
    }
}

impl Finding for Result<(), String> {
    fn finding(self) -> Result<(), String> {
        self
    }
}

/// The nodes that an event may have changed.
pub(super) fn touched_nodes<A: Actor>(world: &World<A>, touched: Touched) -> impl Iterator<Item = NodeId> + use<A> {
    let numbers = match touched {
        Touched::Node(node) => node.0..node.0 + 1,
        Touched::Any => 0..world.setup().nodes.len() as u16,
    };
    numbers.map(NodeId)
}

/// Names in a sentence: "alpha", "alpha and beta", "alpha, beta and gamma".
pub(super) fn names<A: Actor>(world: &World<A>, nodes: &[NodeId]) -> String {
    let names: Vec<&str> = nodes.iter().map(|&node| world.setup().name(node)).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "nobody".to_owned(),
    }
}

/// What every node is at: "alpha is LIVE, beta is down".
pub(super) fn standing<A: Actor>(world: &World<A>) -> String {
    let nodes: Vec<String> = world.node_ids().map(|node| standing_of(world, node)).collect();
    nodes.join(", ")
}

/// What one node is at: "alpha is LIVE".
pub(super) fn standing_of<A: Actor>(world: &World<A>, node: NodeId) -> String {
    let state = match world.actor(node).map(A::role) {
        None => "down",
        Some("") => "up",
        Some(role) => role,
    };
    let paused = if world.is_paused(node) { " (paused)" } else { "" };
    format!("{} is {state}{paused}", world.setup().name(node))
}

/// The first moment that is later than `at`.
pub(super) fn just_after(at: Instant) -> Instant {
    at + Duration::from_nanos(1)
}
