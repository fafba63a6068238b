//! What must hold: the interface between a run and the properties that are checked after every event.

pub mod library;

use dyn_clone::DynClone;
use dyn_hash::DynHash;

use crate::{Actor, Instant, NodeId, World};

/// A property of a run.
///
/// Invariants are values beside the world, cloned with it when a search forks a run, so their memory of the past
/// stays with the run that it belongs to.
///
/// Whoever searches takes two runs that are in the same state for one, and what an invariant remembers is part of that
/// state: one that forgot to say so would hide violations. Hence [`Hash`], to be derived; what holds closures beside
/// its memory wraps them in [`crate::Constant`].
pub trait Invariant<A: Actor>: DynClone + DynHash + Send {
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

    /// What of the past, as the world keeps it, it may look at from now on. The less, the more runs are seen to have come
    /// to the same state. Everything if nothing else is said.
    ///
    /// An answer that leaves something out is a promise: a search will take runs for one that differ in nothing else. Its
    /// own memory does not count, which is part of the state in any case. In a build with debug assertions, an invariant
    /// that breaks the promise ends the run as one that panics does.
    fn looks_back(&self) -> LookBack {
        LookBack::EVERYTHING
    }

    /// Until when the run must go on for the property to be decided, given that nothing breaks after `quiet`.
    fn needs_until(&self, quiet: Instant) -> Option<Instant> {
        let _ = quiet;
        None
    }
}

dyn_clone::clone_trait_object!(<A: Actor> Invariant<A>);

/// What of a world's past somebody still looks at. The rest does not tell two states apart.
///
/// Nobody may let the number of events, the rolling hash or the node that was touched last decide anything
/// ([`World::events`], [`World::trace_hash`], [`World::handling`]): they are no part of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookBack {
    /// Notes of [`World::history`] from this number on; none if it is [`usize::MAX`].
    pub notes: usize,
    /// [`World::marks`].
    pub marks: bool,
    /// [`World::quiet_since`].
    pub quiet: bool,
    /// [`World::fired`].
    pub fired: bool,
    /// [`World::incarnation`].
    pub incarnations: bool,
}

impl LookBack {
    /// At all of it.
    pub const EVERYTHING: LookBack = LookBack { notes: 0, marks: true, quiet: true, fired: true, incarnations: true };
    /// At the present only: actors, disks, connections, links, timers, clocks.
    pub const NOTHING: LookBack =
        LookBack { notes: usize::MAX, marks: false, quiet: false, fired: false, incarnations: false };

    /// At what either looks at.
    pub fn and(self, other: LookBack) -> LookBack {
        LookBack {
            notes: self.notes.min(other.notes),
            marks: self.marks || other.marks,
            quiet: self.quiet || other.quiet,
            fired: self.fired || other.fired,
            incarnations: self.incarnations || other.incarnations,
        }
    }
}

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
