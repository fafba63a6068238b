//! A plain condition that must hold after every event.

use std::sync::Arc;

use super::common::{Finding, OfActor, OfWorld, standing, standing_of, touched_nodes};
use crate::{Actor, Check, Class, Constant, Invariant, LookBack, Touched, World};

/// A condition that holds after every event.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::library::Always;
///
/// let limit = Always::on_each_node("number-in-range", |server: &Server| match server.number {
///     0..=9 => Ok(()),
///     number => Err(format!("its number is {number}, expected at most 9")),
/// });
/// let outcome = Script::new(["alpha"]).at(secs(1), "alpha", |server, _| server.number = 12).check(limit);
/// assert_eq!(outcome.violation.unwrap().message, "alpha: its number is 12, expected at most 9");
/// ```
#[derive(Clone, Hash)]
pub struct Always<A: Actor> {
    name: &'static str,
    condition: Condition<A>,
    back: Constant<LookBack>,
}

#[derive(Clone, Hash)]
enum Condition<A: Actor> {
    Node(OfActor<A, Result<(), String>>),
    World(OfWorld<A, Result<(), String>>),
}

impl<A: Actor> Always<A> {
    /// The condition holds on each node that is up. Only the node that an event touched is looked at.
    pub fn on_each_node<F: Finding>(name: &'static str, condition: impl Fn(&A) -> F + Send + Sync + 'static) -> Self {
        let condition = Condition::Node(Constant(Arc::new(move |actor| condition(actor).finding())));
        Always { name, condition, back: Constant(LookBack::NOTHING) }
    }

    /// The condition holds of the world as a whole. It is evaluated after every event, so it should be cheap.
    pub fn in_world<F: Finding>(
        name: &'static str,
        condition: impl Fn(&World<A>) -> F + Send + Sync + 'static,
    ) -> Self {
        let condition = Condition::World(Constant(Arc::new(move |world| condition(world).finding())));
        Always { name, condition, back: Constant(LookBack::EVERYTHING) }
    }

    /// What of the past the condition looks at ([`Invariant::looks_back`]): everything, if nothing else is said. A search
    /// that takes two runs for one believes this.
    pub fn looking_back(mut self, back: LookBack) -> Self {
        self.back = Constant(back);
        self
    }
}

impl<A: Actor> Invariant<A> for Always<A> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        match &self.condition {
            Condition::World(condition) => match condition(world) {
                Ok(()) => Check::Holds,
                Err(why) if why.is_empty() => Check::Violated(format!("it does not hold: {}", standing(world))),
                Err(why) => Check::Violated(why),
            },
            Condition::Node(condition) => {
                for node in touched_nodes(world, touched) {
                    match world.actor(node).map_or(Ok(()), &***condition) {
                        Ok(()) => {}
                        Err(why) if why.is_empty() => {
                            return Check::Violated(format!("it does not hold: {}", standing_of(world, node)));
                        }
                        Err(why) => return Check::Violated(format!("{}: {why}", world.setup().name(node))),
                    }
                }
                Check::Holds
            }
        }
    }

    fn looks_back(&self) -> LookBack {
        *self.back
    }
}
