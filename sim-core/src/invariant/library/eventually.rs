//! Recovery: once nothing breaks any more, the cluster gets well, and in time.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::common::{Finding, OfWorld, just_after, standing};
use crate::{Actor, Check, Class, Constant, Instant, Invariant, LookBack, Touched, World};

/// A condition that comes true within a bound after the last fault has struck or ended.
///
/// The bound counts from [`World::quiet_since`]. If something breaks later after all, because a mark has triggered
/// it, the count starts anew when the world is quiet again. A run goes on until the bound has passed
/// ([`Invariant::needs_until`]); one that ends while a fault is still to come cannot be decided, and that is
/// reported as a violation, not passed over.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::{World, library::Eventually};
///
/// let recovers = Eventually::within("one-live", secs(5), |world: &World<Server>| {
///     world.node_ids().any(|node| world.actor(node).is_some_and(|server| server.live))
/// });
/// let outcome = Script::new(["alpha", "beta"]).at(secs(1), "alpha", |_, ctx| ctx.halt()).check(recovers);
/// assert_eq!(
///     outcome.violation.unwrap().message,
///     "it has not come true within 5s of 1s, when the world became quiet: alpha is down, beta is BACKUP"
/// );
/// ```
#[derive(Clone)]
pub struct Eventually<A: Actor> {
    name: &'static str,
    within: Duration,
    condition: OfWorld<A, Result<(), String>>,
    back: Constant<LookBack>,
    /// Whether it must still be so at the end of the run.
    stays: bool,
    /// The start of the quiet time that `reached` belongs to.
    quiet: Option<Instant>,
    reached: bool,
}

impl<A: Actor> Eventually<A> {
    /// The condition comes true within this long of the world becoming quiet. What happens afterwards is of no
    /// concern.
    pub fn within<F: Finding>(
        name: &'static str,
        within: Duration,
        condition: impl Fn(&World<A>) -> F + Send + Sync + 'static,
    ) -> Self {
        let condition = Arc::new(move |world: &World<A>| condition(world).finding());
        let back = Constant(LookBack::EVERYTHING);
        Eventually { name, within, condition: Constant(condition), back, stays: false, quiet: None, reached: false }
    }

    /// What of the past the condition looks at ([`Invariant::looks_back`]): everything, if nothing else is said. A search
    /// that takes two runs for one believes this.
    pub fn looking_back(mut self, back: LookBack) -> Self {
        self.back = Constant(back);
        self
    }

    /// And it must still hold when the run ends.
    pub fn and_stays(mut self) -> Self {
        self.stays = true;
        self
    }

    /// Says what is wrong, and why if that is known.
    fn violated(&self, what: &str, world: &World<A>) -> Check {
        let why = match (self.condition)(world) {
            Ok(()) => "it has come true since, too late".to_owned(),
            Err(why) if why.is_empty() => standing(world),
            Err(why) => format!("{why}; {}", standing(world)),
        };
        Check::Violated(format!("{what}: {why}"))
    }

    fn too_late(&self, quiet: Instant, world: &World<A>) -> Check {
        let what = format!("it has not come true within {:?} of {quiet}, when the world became quiet", self.within);
        self.violated(&what, world)
    }
}

impl<A: Actor> Invariant<A> for Eventually<A> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Liveness
    }

    fn check(&mut self, world: &World<A>, _: Touched) -> Check {
        let quiet = world.quiet();
        if quiet != self.quiet {
            (self.quiet, self.reached) = (quiet, false);
        }
        let Some(quiet) = quiet else { return Check::Holds };
        if self.reached {
            return Check::Holds;
        }
        if world.now().since(quiet) > self.within {
            return self.too_late(quiet, world);
        }
        self.reached = (self.condition)(world).is_ok();
        if self.reached { Check::Holds } else { Check::AskAgain(just_after(quiet + self.within)) }
    }

    fn finish(&mut self, world: &World<A>) -> Check {
        match self.quiet {
            None => Check::Violated(format!(
                "it could not be decided: at the end of the run, {}, a fault was still in force or to come; \
                 let the faults end earlier or the run last longer",
                world.now()
            )),
            Some(quiet) if !self.reached && world.now() < quiet + self.within => Check::Violated(format!(
                "it could not be decided: it may take {:?} from {quiet} on, but the run ended at {}",
                self.within,
                world.now()
            )),
            Some(quiet) if !self.reached => self.too_late(quiet, world),
            Some(_) if self.stays && (self.condition)(world).is_err() => {
                self.violated("it came true but does not hold at the end of the run", world)
            }
            Some(_) => Check::Holds,
        }
    }

    fn needs_until(&self, quiet: Instant) -> Option<Instant> {
        // Once it has come true there is nothing left to wait for, unless it has to stay.
        (self.stays || !self.reached).then_some(quiet + self.within)
    }

    fn looks_back(&self) -> LookBack {
        // Once it has come true, it only matters whether something breaks again.
        LookBack { quiet: !self.reached, ..LookBack::NOTHING }.and(*self.back)
    }
}

/// When it has come true, it does not matter any more since when nothing breaks: it is asked after every event, so it
/// never finds another moment there than at the time of its last answer unless something has broken since.
impl<A: Actor> Hash for Eventually<A> {
    fn hash<H: Hasher>(&self, hash: &mut H) {
        let Eventually { name: _, within: _, condition: _, back: _, stays: _, quiet, reached } = self;
        (if *reached { None } else { Some(quiet) }).hash(hash);
    }
}
