//! Waits that must end: a blocked writer, a closed valve, a freeze.

use std::sync::Arc;
use std::time::Duration;

use super::common::{OfActor, touched_nodes};
use super::spells::NodeSpells;
use crate::{Actor, Check, Class, Constant, Invariant, LookBack, Touched, World};

/// A node is never in some state for longer than a bound at a stretch.
///
/// World time counts, but not while the node is paused: a process that does not run cannot end its wait. A restart
/// ends every wait.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::{Instant, library::BoundedWait};
///
/// let blocked = BoundedWait::no_longer_than("writers-progress", secs(30), "blocked", |server: &Server| server.waiting);
/// let outcome = Script::new(["alpha"]).at(secs(2), "alpha", |server, _| server.waiting = true).check(blocked);
/// let violation = outcome.violation.unwrap();
/// assert_eq!(violation.message, "alpha has been blocked for more than 30s, since 2s");
/// assert_eq!(violation.at, Instant::from_nanos(32_000_000_001));
/// ```
#[derive(Clone, Hash)]
pub struct BoundedWait<A: Actor> {
    name: &'static str,
    what: &'static str,
    waits: OfActor<A, bool>,
    waiting: NodeSpells<()>,
}

impl<A: Actor> BoundedWait<A> {
    /// No node `waits` for longer than `bound` at a stretch. Messages say "alpha has been" `what`.
    pub fn no_longer_than(
        name: &'static str,
        bound: Duration,
        what: &'static str,
        waits: impl Fn(&A) -> bool + Send + Sync + 'static,
    ) -> Self {
        BoundedWait { name, what, waits: Constant(Arc::new(waits)), waiting: NodeSpells::new(Some(bound)) }
    }

    fn overdue(&self, world: &World<A>) -> Option<Check> {
        let spell = self.waiting.overdue(world.now())?;
        let (name, what, lasting) = (world.setup().name(spell.id), self.what, self.waiting.lasting(spell.since));
        Some(Check::Violated(format!("{name} has been {what}{lasting}")))
    }
}

impl<A: Actor> Invariant<A> for BoundedWait<A> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Liveness
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        // A wait that this very event ends has lasted until now.
        if let Some(violated) = self.overdue(world) {
            return violated;
        }
        for node in touched_nodes(world, touched) {
            let waits = world.actor(node).is_some_and(|actor| (self.waits)(actor));
            self.waiting.note(world, node, waits.then_some(()));
        }
        self.waiting.ask()
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}
