//! What must hold: the interface between a run and the properties that are checked after every event.

pub mod library;

use dyn_clone::DynClone;

use crate::{Actor, Instant, NodeId, World};

/// A property of a run.
///
/// Invariants are values beside the world, cloned with it when a search forks a run, so their memory of the past
/// stays with the run that it belongs to.
pub trait Invariant<A: Actor>: DynClone + Send {
    /// Its name in scenario files and reports, such as `at-most-one-live`.
    fn name(&self) -> &str;

    /// What kind of promise it is.
    fn class(&self) -> Class;

    /// Looks at the world after an event that touched `touched`.
    ///
    /// Only what the touched nodes changed needs looking at: no other node's state can have changed. A property that
    /// time alone can break answers [`Check::AskAgain`] and is then asked at that moment even if nothing happens.
    fn check(&mut self, world: &World<A>, touched: Touched) -> Check;

    /// Whether an event that touches this node alone can matter to it. It is not asked after one that cannot, which
    /// saves more than looking at the node and finding out. Asked once, when the run begins.
    ///
    /// Everything matters if nothing else is said: a property that ignores a node by mistake is one that cannot fail.
    fn concerns(&self, node: NodeId) -> bool {
        let _ = node;
        true
    }

    /// Looks at the world once more at the end of the run.
    fn finish(&mut self, world: &World<A>) -> Check {
        let _ = world;
        Check::Holds
    }

    /// For a [`Class::Coverage`] property: whether this run has reached what it asks for.
    fn reached(&self) -> bool {
        true
    }

    /// Until when the run must go on for the property to be decided, given that nothing breaks after `quiet`.
    fn needs_until(&self, quiet: Instant) -> Option<Instant> {
        let _ = quiet;
        None
    }
}

dyn_clone::clone_trait_object!(<A: Actor> Invariant<A>);

/// What kind of promise an invariant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nothing bad happens, at any moment.
    Safety,
    /// Something good happens, in time.
    Liveness,
    /// Something worth testing happens in at least one run of a campaign. Never fails a single run.
    Coverage,
}

/// Which nodes an event changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// One node's state, connections, disk or life.
    Node(NodeId),
    /// Any number of nodes: a fault struck or ended, a power board switched a machine, or the invariant asked to be
    /// asked.
    Any,
}

impl Touched {
    /// Whether `node` may have changed.
    pub fn includes(self, node: NodeId) -> bool {
        match self {
            Touched::Node(touched) => touched == node,
            Touched::Any => true,
        }
    }
}

/// An invariant's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// It holds, and can only cease to by another event.
    Holds,
    /// It holds, whatever happens in the rest of the run: it need not be asked again before the end.
    Settled,
    /// It holds, and wants to be asked again at this moment of world time.
    AskAgain(Instant),
    /// It does not hold; says what is wrong, with the nodes' names and whole values.
    Violated(String),
}
