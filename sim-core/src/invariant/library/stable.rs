//! Stability: a role that goes back and forth serves nobody.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::common::{OfActor, touched_nodes};
use crate::{Actor, Check, Class, Constant, Instant, Invariant, LookBack, NodeId, Touched, World};

/// No node changes its role, or whatever else is watched, more than so many times within a window.
///
/// Only changes of a running process count: what a crash and a restart do to a role is no flapping.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::library::Stable;
///
/// let outcome = Script::new(["alpha"])
///     .at(secs(1), "alpha", |server, _| server.live = true)
///     .at(secs(2), "alpha", |server, _| server.live = false)
///     .at(secs(3), "alpha", |server, _| server.live = true)
///     .check(Stable::role("no-flapping", 2, secs(10)));
/// assert_eq!(
///     outcome.violation.unwrap().message,
///     r#"alpha has changed 3 times within 10s, at most 2 are allowed; the last was from "BACKUP" to "LIVE" at 3s"#
/// );
/// ```
#[derive(Clone, Hash)]
pub struct Stable<A: Actor, V = &'static str> {
    name: &'static str,
    at_most: usize,
    window: Duration,
    watched: OfActor<A, V>,
    when_quiet: bool,
    nodes: Vec<Watch<V>>,
}

/// What is known of one node.
#[derive(Clone, Hash)]
struct Watch<V> {
    /// `None` while it is down.
    value: Option<V>,
    /// The latest changes, at most as many as are allowed.
    changes: VecDeque<Instant>,
}

impl<A: Actor + 'static> Stable<A> {
    /// No node changes its [`Actor::role`] more than `at_most` times within `window`.
    pub fn role(name: &'static str, at_most: usize, window: Duration) -> Self {
        Stable::watching(name, at_most, window, A::role)
    }
}

impl<A: Actor, V: Clone + PartialEq + Debug> Stable<A, V> {
    /// What is `watched` changes on no node more than `at_most` times within `window`.
    pub fn watching(
        name: &'static str,
        at_most: usize,
        window: Duration,
        watched: impl Fn(&A) -> V + Send + Sync + 'static,
    ) -> Self {
        Stable { name, at_most, window, watched: Constant(Arc::new(watched)), when_quiet: false, nodes: Vec::new() }
    }

    /// Counts only changes after the faults have ended: what they cause is expected to move roles.
    pub fn when_quiet(mut self) -> Self {
        self.when_quiet = true;
        self
    }
}

impl<A: Actor, V: Debug> Stable<A, V> {
    /// A node is at another value than before, or has started or ended; says what is wrong with that, if anything is.
    #[cold]
    fn changed(&mut self, world: &World<A>, node: NodeId, value: Option<V>) -> Option<String> {
        let watch = &mut self.nodes[node.index()];
        let before = std::mem::replace(&mut watch.value, value)?;
        let after = watch.value.as_ref()?;
        let now = world.now();
        let begin = if self.when_quiet { Some(world.quiet_since()?) } else { None };
        watch.changes.retain(|&at| now.since(at) <= self.window && begin.is_none_or(|begin| at >= begin));
        if watch.changes.len() == self.at_most {
            return Some(format!(
                "{} has changed {} times within {:?}, at most {} are allowed; the last was from {before:?} to \
                 {after:?} at {now}",
                world.setup().name(node),
                self.at_most + 1,
                self.window,
                self.at_most
            ));
        }
        watch.changes.push_back(now);
        None
    }
}

impl<A: Actor, V: Clone + PartialEq + Debug + Hash + Send + 'static> Invariant<A> for Stable<A, V> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        if self.nodes.is_empty() {
            self.nodes.resize(world.setup().nodes.len(), Watch { value: None, changes: VecDeque::new() });
        }
        for node in touched_nodes(world, touched) {
            let value = world.actor(node).map(|actor| (self.watched)(actor));
            if value != self.nodes[node.index()].value
                && let Some(wrong) = self.changed(world, node, value)
            {
                return Check::Violated(wrong);
            }
        }
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack { quiet: self.when_quiet, ..LookBack::NOTHING }
    }
}
