//! What must hold. Two properties come from the library; two are written here, as examples of how to.

use std::collections::BTreeMap;

use sim_core::{Check, Class, Constant, Invariant, LookBack, NodeId, Property, Touched, World};

use super::{Node, State};

/// At most one member holds the lease, each by its own clock.
pub const AT_MOST_ONE_HOLDER: &str = "at-most-one-holder";
/// Each lease has a higher epoch than all before it.
pub const EPOCHS_GROW: &str = "epochs-grow";
/// The store never goes back to an older epoch.
pub const WRITES_IN_ORDER: &str = "writes-in-order";
/// Once nothing breaks any more, somebody gets the lease.
pub const ONE_HOLDER: &str = "one-holder";

pub(super) const ALL: &[Property] = &[
    Property {
        name: AT_MOST_ONE_HOLDER,
        class: Class::Safety,
        about: "At any moment at most one member holds the lease, as its own clock tells it.",
    },
    Property {
        name: EPOCHS_GROW,
        class: Class::Safety,
        about: "Whoever gets the lease gets it under a higher epoch than anybody before.",
    },
    Property {
        name: WRITES_IN_ORDER,
        class: Class::Safety,
        about: "What the store holds never goes back to a lower epoch.",
    },
    Property { name: ONE_HOLDER, class: Class::Liveness, about: "After the last fault, a member gets the lease." },
];

/// Whether a node holds the lease at this moment, by its own clock.
pub(super) fn holds(world: &World<Node>, node: NodeId, actor: &Node) -> bool {
    match actor {
        Node::Member(member) if member.state() == State::Holding => member.holds(world.clock(node).now(world.now())),
        _ => false,
    }
}

/// Each lease has a higher epoch than all before it.
#[derive(Clone, Debug, Default, Hash)]
pub struct EpochsGrow {
    /// The epoch of each node that has got the lease and has not stepped down.
    held: BTreeMap<NodeId, u64>,
    /// The latest lease: its epoch, and who got it.
    latest: Option<(u64, NodeId)>,
}

impl Invariant<Node> for EpochsGrow {
    fn name(&self) -> &str {
        EPOCHS_GROW
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        // A member gets the lease by handling an event, and an event is handled by one node.
        let Touched::Node(node) = touched else { return Check::Holds };
        let epoch = match world.actor(node) {
            Some(Node::Member(member)) if member.state() == State::Holding => member.epoch(),
            _ => {
                self.held.remove(&node);
                return Check::Holds;
            }
        };
        if self.held.insert(node, epoch) == Some(epoch) {
            return Check::Holds;
        }
        let name = |node| world.setup().name(node);
        match self.latest.replace((epoch, node)) {
            Some((before, holder)) if before >= epoch => Check::Violated(format!(
                "{} has got the lease under epoch {epoch}, but {} had got it under epoch {before} before",
                name(node),
                name(holder),
            )),
            _ => Check::Holds,
        }
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}

/// The store never goes back to an older epoch.
#[derive(Clone, Debug, Hash)]
pub struct WritesInOrder {
    store: Constant<NodeId>,
    /// The highest epoch that the store has held.
    highest: u64,
}

impl WritesInOrder {
    /// Of this store, which has held nothing yet.
    pub fn of(store: NodeId) -> Self {
        WritesInOrder { store: Constant(store), highest: 0 }
    }
}

impl Invariant<Node> for WritesInOrder {
    fn name(&self) -> &str {
        WRITES_IN_ORDER
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn concerns(&self, node: NodeId) -> bool {
        node == *self.store
    }

    fn check(&mut self, world: &World<Node>, _: Touched) -> Check {
        let node = *self.store;
        let Some(Node::Store(store)) = world.actor(node) else { return Check::Holds };
        let Some((epoch, value)) = store.stored() else { return Check::Holds };
        if epoch < self.highest {
            return Check::Violated(format!(
                "{} holds value {value} of epoch {epoch}, but it has held one of epoch {} before",
                world.setup().name(node),
                self.highest
            ));
        }
        self.highest = epoch;
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}
