//! Agreement on a view, in the one sense that a distributed system can give: while both believe that it is current.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::common::touched_nodes;
use super::spells::Spells;
use crate::{Actor, Check, Class, Constant, Invariant, LookBack, NodeId, Touched, World};

type Current<A, V> = Constant<Arc<dyn for<'a> Fn(&'a A) -> Option<&'a V> + Send + Sync>>;
type Related<V> = Constant<Arc<dyn Fn(&V, &V) -> bool + Send + Sync>>;

/// No two nodes are at the same time in a *current* view with different content, if the two views have to agree.
///
/// A node that knows its view to be out of date, because it is being replaced, has no current view and agrees with
/// everybody.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::library::Agreement;
///
/// let agreement = Agreement::where_views_overlap(
///     "view-agreement",
///     |server: &Server| server.view.as_ref(),
///     |a, b| a.iter().any(|member| b.contains(member)),
/// );
/// let outcome = Script::new(["alpha", "beta"])
///     .at(secs(1), "alpha", |server, _| server.view = Some(vec!["alpha", "beta"]))
///     .at(secs(2), "beta", |server, _| server.view = Some(vec!["beta"]))
///     .check(agreement);
/// assert_eq!(
///     outcome.violation.unwrap().message,
///     r#"alpha and beta are in different current views: ["alpha", "beta"] and ["beta"]"#
/// );
/// ```
#[derive(Clone, Hash)]
pub struct Agreement<A: Actor, V> {
    name: &'static str,
    current: Current<A, V>,
    related: Related<V>,
    /// The current view of each node when it was last looked at.
    views: Vec<Option<V>>,
    /// Pairs of nodes in different views, and the views.
    conflicts: Spells<(NodeId, NodeId), (V, V)>,
}

impl<A: Actor, V: Clone + PartialEq + Debug> Agreement<A, V> {
    /// All `current` views are equal at any moment. A node that is between views has `None`.
    pub fn everywhere(
        name: &'static str,
        current: impl for<'a> Fn(&'a A) -> Option<&'a V> + Send + Sync + 'static,
    ) -> Self {
        Agreement::where_views_overlap(name, current, |_, _| true)
    }

    /// Views that `overlap`, by their members, are equal at any moment; separate groups may each have their own.
    pub fn where_views_overlap(
        name: &'static str,
        current: impl for<'a> Fn(&'a A) -> Option<&'a V> + Send + Sync + 'static,
        overlap: impl Fn(&V, &V) -> bool + Send + Sync + 'static,
    ) -> Self {
        Agreement {
            name,
            current: Constant(Arc::new(current)),
            related: Constant(Arc::new(overlap)),
            views: Vec::new(),
            conflicts: Spells::new(None),
        }
    }

    /// Lets two nodes differ for up to this long at a time.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.conflicts.set_limit(grace);
        self
    }

    /// Compares one node's view with all others.
    fn compare(&mut self, world: &World<A>, node: NodeId) {
        for other in world.node_ids().filter(|&other| other != node) {
            let pair = (node.min(other), node.max(other));
            match (&self.views[pair.0.index()], &self.views[pair.1.index()]) {
                (Some(a), Some(b)) if a != b && (self.related)(a, b) => {
                    self.conflicts.holds(world.now(), pair, (a.clone(), b.clone()));
                }
                _ => drop(self.conflicts.end(&pair)),
            }
        }
    }

    fn overdue(&self, world: &World<A>) -> Option<Check> {
        let conflict = self.conflicts.overdue(world.now())?;
        let (a, b) = (world.setup().name(conflict.id.0), world.setup().name(conflict.id.1));
        let (view_a, view_b) = &conflict.about;
        let lasting = self.conflicts.lasting(conflict.since);
        Some(Check::Violated(format!("{a} and {b} are in different current views{lasting}: {view_a:?} and {view_b:?}")))
    }
}

impl<A: Actor, V: Clone + PartialEq + Debug + Hash + Send + 'static> Invariant<A> for Agreement<A, V> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        // A conflict that this very event ends has lasted until now.
        if let Some(violated) = self.overdue(world) {
            return violated;
        }
        self.views.resize(world.setup().nodes.len(), None);
        for node in touched_nodes(world, touched) {
            let view = world.actor(node).and_then(|actor| (self.current)(actor));
            if view != self.views[node.index()].as_ref() {
                self.views[node.index()] = view.cloned();
                self.compare(world, node);
            }
        }
        self.overdue(world).unwrap_or_else(|| self.conflicts.ask())
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}
