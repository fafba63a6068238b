//! At most one node at a time: the property that a failover protocol exists for.

use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::common::{names, touched_nodes};
use super::spells::Spells;
use crate::{Actor, Check, Class, Constant, Invariant, LookBack, NodeId, Touched, World};

type Claim<A, K> = Constant<Arc<dyn Fn(&World<A>, NodeId, &A) -> Option<K> + Send + Sync>>;

/// At most one node claims something at any moment: the one LIVE server, the one holder of a lock.
///
/// A claim counts while the node's process is up, paused or not.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::library::AtMostOne;
///
/// let one_live = AtMostOne::new("at-most-one-live", "LIVE", |server: &Server| server.live);
/// let outcome = Script::new(["alpha", "beta"])
///     .at(secs(1), "alpha", |server, _| server.live = true)
///     .at(secs(2), "beta", |server, _| server.live = true)
///     .check(one_live);
/// assert_eq!(outcome.violation.unwrap().message, "alpha and beta are both LIVE");
/// ```
#[derive(Clone, Hash)]
pub struct AtMostOne<A: Actor, K = ()> {
    name: Constant<&'static str>,
    what: Constant<&'static str>,
    claim: Claim<A, K>,
    /// Whether a claim can end by time alone.
    lapses: bool,
    back: Constant<LookBack>,
    /// How a message tells one group from another.
    group: Constant<fn(&K) -> String>,
    /// What each node claimed when it was last looked at.
    claims: Vec<Option<K>>,
    /// Groups that are claimed by more than one node.
    overlaps: Spells<K, Vec<NodeId>>,
}

impl<A: Actor> AtMostOne<A> {
    /// At most one node of the whole cluster `claims`. Messages say "alpha and beta are both" `what`.
    pub fn new(
        name: &'static str,
        what: &'static str,
        claims: impl Fn(&A) -> bool + Send + Sync + 'static,
    ) -> AtMostOne<A> {
        AtMostOne::built(name, what, Constant(Arc::new(move |_, _, actor| claims(actor).then_some(()))), |()| {
            String::new()
        })
    }

    /// Like [`AtMostOne::new`], for a claim that depends on more than the actor's state, such as the node's clock. It
    /// may lapse by time alone, but it must not come into being by time alone: only an event at a node can make its
    /// claim.
    pub fn in_world(
        name: &'static str,
        what: &'static str,
        claims: impl Fn(&World<A>, NodeId, &A) -> bool + Send + Sync + 'static,
    ) -> AtMostOne<A> {
        let claim: Claim<A, ()> =
            Constant(Arc::new(move |world, node, actor| claims(world, node, actor).then_some(())));
        AtMostOne {
            lapses: true,
            back: Constant(LookBack::EVERYTHING),
            ..AtMostOne::built(name, what, claim, |()| String::new())
        }
    }
}

impl<A: Actor, K: Clone + PartialEq + Display> AtMostOne<A, K> {
    /// At most one node *for each group*: two nodes clash only if they `claim` the same group. Messages say "alpha
    /// and beta are both" `what` and then the group, so `what` may be "LIVE for node-id".
    pub fn per(
        name: &'static str,
        what: &'static str,
        claim: impl Fn(&A) -> Option<K> + Send + Sync + 'static,
    ) -> AtMostOne<A, K> {
        AtMostOne::built(name, what, Constant(Arc::new(move |_, _, actor| claim(actor))), |group| format!(" {group}"))
    }
}

impl<A: Actor, K> AtMostOne<A, K> {
    fn built(name: &'static str, what: &'static str, claim: Claim<A, K>, group: fn(&K) -> String) -> Self
    where
        K: PartialEq,
    {
        AtMostOne {
            name: Constant(name),
            what: Constant(what),
            claim,
            lapses: false,
            back: Constant(LookBack::NOTHING),
            group: Constant(group),
            claims: Vec::new(),
            overlaps: Spells::new(None),
        }
    }

    /// What of the past the claim looks at ([`Invariant::looks_back`]): everything, if it was
    /// made [in the world](AtMostOne::in_world) and nothing else is said. A search
    /// that takes two runs for one believes this.
    pub fn looking_back(mut self, back: LookBack) -> Self {
        self.back = Constant(back);
        self
    }

    /// Lets two nodes claim the same for up to this long at a time, as in a transition that takes a moment.
    pub fn with_grace(mut self, grace: Duration) -> Self
    where
        K: PartialEq,
    {
        self.overlaps.set_limit(grace);
        self
    }
}

impl<A: Actor, K: Clone + PartialEq> AtMostOne<A, K> {
    fn claim_of(&self, world: &World<A>, node: NodeId) -> Option<K> {
        world.actor(node).and_then(|actor| (self.claim)(world, node, actor))
    }

    /// Looks at nodes again and tells whether a claim has changed.
    fn look(&mut self, world: &World<A>, touched: Touched) -> bool {
        self.claims.resize(world.setup().nodes.len(), None);
        let mut changed = false;
        for node in touched_nodes(world, touched) {
            let claim = self.claim_of(world, node);
            let known = &mut self.claims[node.index()];
            if *known != claim {
                *known = claim;
                changed = true;
            }
        }
        changed
    }

    /// The groups that more than one node claims, as far as is known, and who claims them.
    fn clashes(&self) -> Vec<(K, Vec<NodeId>)> {
        let mut clashes: Vec<(K, Vec<NodeId>)> = Vec::new();
        for (number, claim) in self.claims.iter().enumerate() {
            let Some(group) = claim else { continue };
            match clashes.iter_mut().find(|(other, _)| other == group) {
                Some((_, nodes)) => nodes.push(NodeId(number as u16)),
                None => clashes.push((group.clone(), vec![NodeId(number as u16)])),
            }
        }
        clashes.retain(|(_, nodes)| nodes.len() > 1);
        clashes
    }

    fn overdue(&self, world: &World<A>) -> Option<Check> {
        let overlap = self.overlaps.overdue(world.now())?;
        let (who, both) = (names(world, &overlap.about), if overlap.about.len() == 2 { "both" } else { "all" });
        let (what, group, lasting) = (*self.what, (self.group)(&overlap.id), self.overlaps.lasting(overlap.since));
        Some(Check::Violated(format!("{who} are {both} {what}{group}{lasting}")))
    }
}

impl<A: Actor, K: Clone + PartialEq + Hash + Send + 'static> Invariant<A> for AtMostOne<A, K> {
    fn name(&self) -> &str {
        &self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        // Most events change nobody's claim.
        if let Touched::Node(node) = touched
            && self.overlaps.is_empty()
            && let Some(known) = self.claims.get(node.index())
            && *known == self.claim_of(world, node)
        {
            return Check::Holds;
        }
        let overdue = self.overdue(world);
        let touched = match overdue {
            // An overlap that this very event ends has lasted until now.
            Some(violated) if !self.lapses => return violated,
            // Unless it has ended before, without any event.
            Some(_) => Touched::Any,
            None => touched,
        };
        if self.look(world, touched) {
            let mut clashes = self.clashes();
            if self.lapses && !clashes.is_empty() && self.look(world, Touched::Any) {
                clashes = self.clashes();
            }
            self.overlaps.end_unless(|group| clashes.iter().any(|(clashing, _)| clashing == group));
            for (group, nodes) in clashes {
                self.overlaps.holds(world.now(), group, nodes);
            }
        }
        if self.overlaps.is_empty() {
            return Check::Holds;
        }
        self.overdue(world).unwrap_or_else(|| self.overlaps.ask())
    }

    fn looks_back(&self) -> LookBack {
        *self.back
    }
}
