//! P1 and P4: how the primary key moves.

use sim_core::{Check, Class, Invariant, LookBack, NodeId, Touched, World};

use crate::pvc::daemon::Daemon;
use crate::pvc::layout::{NONE, PRIMARY, SharedRef};
use crate::pvc::protocol::Node;
use crate::services::coordination::Text;

/// What the key was last seen to hold.
#[derive(Clone, Debug, Default, Hash)]
struct Known {
    value: Option<Text>,
    version: u32,
}

impl Known {
    /// What it held before and holds now, and who wrote it, if it was written since the last look.
    fn changed(&mut self, world: &World<Node>, shared: &SharedRef) -> Option<(Text, Text, NodeId)> {
        let (value, stat) = world.actor(shared.service)?.coordination()?.tree().get(PRIMARY)?;
        if self.value.is_some() && self.version == stat.version {
            return None;
        }
        self.version = stat.version;
        let before = self.value.replace(value.clone())?;
        let writer = stat.writer.map_or(shared.service, |session| session.client);
        Some((before, value.clone(), writer))
    }
}

/// The key goes from one node to another only by an operator, or by way of `none`.
#[derive(Clone, Hash)]
pub(super) struct NoFlap {
    name: &'static str,
    /// Whether it matters in the state of the node that was named.
    matters: fn(&Daemon) -> bool,
    shared: SharedRef,
    known: Known,
    /// How often each node was told to become primary, and whether the last time has not shown in the key.
    orders: Vec<(u32, bool)>,
}

impl NoFlap {
    pub fn new(name: &'static str, shared: &SharedRef, matters: fn(&Daemon) -> bool) -> Self {
        NoFlap { name, matters, shared: shared.clone(), known: Known::default(), orders: Vec::new() }
    }
}

impl Invariant<Node> for NoFlap {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        self.orders.resize(world.setup().nodes.len(), (0, false));
        for info in &self.shared.nodes {
            if !touched.includes(info.id) {
                continue;
            }
            let told = world.actor(info.id).and_then(Node::daemon).map_or(0, |daemon| daemon.orders());
            let (known, open) = &mut self.orders[info.id.index()];
            *open |= told > *known;
            *known = told;
        }
        if !touched.includes(self.shared.service) {
            return Check::Holds;
        }
        let Some((before, after, writer)) = self.known.changed(world, &self.shared) else { return Check::Holds };
        let ordered = self.shared.named(&after).is_some_and(|info| std::mem::take(&mut self.orders[info.id.index()].1));
        if before == after || ordered || [&before, &after].iter().any(|value| &***value == NONE) {
            return Check::Holds;
        }
        let loser = self.shared.named(&before).and_then(|info| world.actor(info.id)?.daemon());
        if !loser.is_none_or(self.matters) {
            return Check::Holds;
        }
        Check::Violated(format!(
            "the primary key named {before} and was overwritten with {after} by {}, which no operator has asked for",
            world.setup().name(writer)
        ))
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}

/// The key is taken from a node only when it holds no addresses.
#[derive(Clone, Hash)]
pub(super) struct KeyLeavesFencedNode {
    name: &'static str,
    shared: SharedRef,
    known: Known,
}

impl KeyLeavesFencedNode {
    pub fn new(name: &'static str, shared: &SharedRef) -> Self {
        KeyLeavesFencedNode { name, shared: shared.clone(), known: Known::default() }
    }
}

impl Invariant<Node> for KeyLeavesFencedNode {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        if !touched.includes(self.shared.service) {
            return Check::Holds;
        }
        let Some((before, after, writer)) = self.known.changed(world, &self.shared) else { return Check::Holds };
        let Some(owner) = self.shared.named(&before) else { return Check::Holds };
        let holds = world.actor(owner.id).and_then(Node::daemon).is_some_and(|daemon| daemon.addresses().holds_any());
        if &*after == NONE && writer != owner.id && holds {
            return Check::Violated(format!(
                "{} has taken the primary key from {before}, which runs and holds virtual addresses",
                world.setup().name(writer)
            ));
        }
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}
