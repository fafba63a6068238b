//! Coverage: a campaign that never met the interesting case has shown nothing.

use std::sync::Arc;

use super::common::{OfActor, OfWorld, touched_nodes};
use crate::{Actor, Check, Class, Constant, Invariant, LookBack, Touched, World};

/// Something that at least one run of a campaign must reach. It never fails a single run.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::library::Sometimes;
///
/// let outcome = Script::new(["alpha"])
///     .at(secs(1), "alpha", |_, ctx| ctx.mark("failover-complete"))
///     .check(Sometimes::marked("failover-complete"));
/// assert_eq!(outcome.reached, ["failover-complete"]);
/// ```
#[derive(Clone, Hash)]
pub struct Sometimes<A: Actor> {
    name: &'static str,
    goal: Goal<A>,
    reached: bool,
    back: Constant<LookBack>,
    /// How many different marks had been set when they were last looked through. They are never taken back, so the
    /// one that is waited for can only be among more than these.
    marks_known: usize,
}

#[derive(Clone, Hash)]
enum Goal<A: Actor> {
    Mark(&'static str),
    Node(OfActor<A, bool>),
    World(OfWorld<A, bool>),
}

impl<A: Actor> Sometimes<A> {
    /// Some node sets the mark. The property is named after it.
    pub fn marked(mark: &'static str) -> Self {
        let back = Constant(LookBack { marks: true, ..LookBack::NOTHING });
        Sometimes { name: mark, goal: Goal::Mark(mark), reached: false, back, marks_known: 0 }
    }

    /// The condition holds on some node, at some moment.
    pub fn on_a_node(name: &'static str, condition: impl Fn(&A) -> bool + Send + Sync + 'static) -> Self {
        let (goal, back) = (Goal::Node(Constant(Arc::new(condition))), Constant(LookBack::NOTHING));
        Sometimes { name, goal, reached: false, back, marks_known: 0 }
    }

    /// The condition holds of the world as a whole, at some moment.
    pub fn in_world(name: &'static str, condition: impl Fn(&World<A>) -> bool + Send + Sync + 'static) -> Self {
        let (goal, back) = (Goal::World(Constant(Arc::new(condition))), Constant(LookBack::EVERYTHING));
        Sometimes { name, goal, reached: false, back, marks_known: 0 }
    }

    /// What of the past the condition looks at ([`Invariant::looks_back`]): everything, if nothing else is said. A search
    /// that takes two runs for one believes this.
    pub fn looking_back(mut self, back: LookBack) -> Self {
        self.back = Constant(back);
        self
    }
}

impl<A: Actor> Invariant<A> for Sometimes<A> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Coverage
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        self.reached = self.reached
            || match &self.goal {
                Goal::Mark(mark) => {
                    let known = std::mem::replace(&mut self.marks_known, world.marks().len());
                    known != self.marks_known && world.mark_count(mark) > 0
                }
                Goal::World(condition) => condition(world),
                Goal::Node(condition) => {
                    touched_nodes(world, touched).any(|node| world.actor(node).is_some_and(&***condition))
                }
            };
        if self.reached { Check::Settled } else { Check::Holds }
    }

    fn reached(&self) -> bool {
        self.reached
    }

    fn looks_back(&self) -> LookBack {
        *self.back
    }
}
