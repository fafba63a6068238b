//! What must hold, watched from outside the instances.
//!
//! A topology is **current** at an instance from the moment at which a listener is called with it (TOPOLOGY_INIT,
//! TOPOLOGY_CHANGED, PROPERTIES_CHANGED) until that listener has *returned* from the next TOPOLOGY_CHANGING, whatever
//! the instance itself knows by then. Three things end it earlier: the listener is unregistered; discovery is
//! deactivated, as the service that the topology came from is gone; or the instance's lease ends, by its own clock. From
//! then on its process does nothing but stop, so that no listener can act on what it was told. A topology that is
//! marked as degraded is not current: its listener knows that others may have another one.
//!
//! Two topologies are the **same** if they have the same cluster id and the same members with the same leader election
//! ids, in the same order: so also the same leader, and the same lives of all members.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use sim_core::library::{Always, Eventually};
use sim_core::{Check, Class, Instant, Invariant, LookBack, NodeId, Property, Touched, World};

use super::config::Config;
use super::instance::Instance;
use super::listener::{EventKind, Heard};
use super::node::Node;
use super::view::{ElectionId, TopologyView};

/// S1.
pub const NO_TWO_TOPOLOGIES: &str = "no-two-topologies";
/// S2.
pub const CHANGING_BEFORE_CHANGED: &str = "changing-before-changed";
/// S3.
pub const LEADER_STABLE: &str = "leader-stable";
/// S4.
pub const CLUSTER_CONVERGES: &str = "cluster-converges";
/// S4.
pub const NO_SPURIOUS_CHANGE: &str = "no-spurious-change";
/// S5.
pub const NO_CANCELLED_SYNC_RUNS: &str = "no-cancelled-sync-runs";
/// S5.
pub const NO_EVENT_TO_UNBOUND_LISTENER: &str = "no-event-to-unbound-listener";
/// S6.
pub const SLOW_STARTER_BLOCKS_NOBODY: &str = "slow-starter-blocks-nobody";

const fn property(name: &'static str, class: Class, about: &'static str) -> Property {
    Property { name, class, about }
}

/// All of them.
pub const PROPERTIES: &[Property] = &[
    property(
        NO_TWO_TOPOLOGIES,
        Class::Safety,
        "S1: no two instances have different topologies with a common member while both are current, by what their \
         listeners were told.",
    ),
    property(
        CHANGING_BEFORE_CHANGED,
        Class::Safety,
        "S2: a listener hears TOPOLOGY_INIT first, TOPOLOGY_CHANGED only after TOPOLOGY_CHANGING, and nothing but \
         properties differ without it.",
    ),
    property(
        LEADER_STABLE,
        Class::Safety,
        "S3: a listener is told of a new leader only if the old one has left or restarted, or is preceded in the \
         election.",
    ),
    property(
        CLUSTER_CONVERGES,
        Class::Liveness,
        "S4: in the end the listeners of all running instances have the same topology, with all of these in it.",
    ),
    property(NO_SPURIOUS_CHANGE, Class::Safety, "S4: a listener is not told of the same topology again for no reason."),
    property(
        NO_CANCELLED_SYNC_RUNS,
        Class::Safety,
        "S5: a cancelled sync, or one of a deactivated discovery, leaves nothing running.",
    ),
    property(
        NO_EVENT_TO_UNBOUND_LISTENER,
        Class::Safety,
        "S5: a listener that was unregistered is not called any more.",
    ),
    property(
        SLOW_STARTER_BLOCKS_NOBODY,
        Class::Safety,
        "S6: with suppression, an instance that has once had a topology never waits for one that is still starting, nor \
         for one that does, for longer than a lease and two rounds take.",
    ),
];

/// The property called `name`.
pub(super) fn build(name: &str, config: &Config, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
    let property = PROPERTIES.iter().find(|property| property.name == name)?;
    fn watch<S: State>(property: &'static Property, state: S) -> Option<Box<dyn Invariant<Node>>> {
        Some(Box::new(Watch { property, state }))
    }
    match property.name {
        NO_TWO_TOPOLOGIES => watch(property, NoTwoTopologies::default()),
        CHANGING_BEFORE_CHANGED => watch(property, Listening::new(changing_before_changed)),
        LEADER_STABLE => watch(property, Listening::new(leader_stable)),
        NO_SPURIOUS_CHANGE => watch(property, Listening::new(no_spurious_change)),
        SLOW_STARTER_BLOCKS_NOBODY => watch(property, SlowStarter { bound: config.patience(), waits: Vec::new() }),
        NO_CANCELLED_SYNC_RUNS => Some(Box::new(Always::on_each_node(property.name, no_cancelled_sync_runs))),
        NO_EVENT_TO_UNBOUND_LISTENER => Some(Box::new(Always::on_each_node(property.name, no_event_to_unbound))),
        CLUSTER_CONVERGES => {
            let within = within.unwrap_or_else(|| config.recovery());
            let converges = Eventually::within(property.name, within, cluster_converges);
            Some(Box::new(converges.looking_back(LookBack::NOTHING)))
        }
        _ => None,
    }
}

/// A property with a memory.
trait State: Clone + Hash + Send + 'static {
    /// Looks at a node that an event has touched.
    fn look(&mut self, world: &World<Node>, node: NodeId) -> Option<String>;

    /// When it wants to look again, if nothing happens before.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

#[derive(Clone, Hash)]
struct Watch<S> {
    property: &'static Property,
    state: S,
}

impl<S: State> Invariant<Node> for Watch<S> {
    fn name(&self) -> &str {
        self.property.name
    }

    fn class(&self) -> Class {
        self.property.class
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        for node in world.node_ids().filter(|&node| touched.includes(node)) {
            if let Some(wrong) = self.state.look(world, node) {
                return Check::Violated(wrong);
            }
        }
        self.state.deadline().map_or(Check::Holds, Check::AskAgain)
    }

    fn looks_back(&self) -> LookBack {
        // A listener of another process is another listener.
        LookBack { incarnations: true, ..LookBack::NOTHING }
    }
}

fn instance(world: &World<Node>, node: NodeId) -> Option<&Instance> {
    world.actor(node).and_then(Node::instance)
}

/// All topologies that are current at a node, one for each listener, as long as its lease lasts.
fn current(world: &World<Node>, node: NodeId) -> impl Iterator<Item = &Arc<TopologyView>> {
    let has_lease = |instance: &&Instance| instance.repository().has_lease(world.clock(node).now(world.now()));
    let listeners = instance(world, node).filter(has_lease).into_iter().flat_map(Instance::listeners);
    let views = listeners.filter(|listener| listener.registered).filter_map(|listener| listener.current.as_ref());
    views.filter(|view| !view.degraded)
}

/// A lease ends by time alone, but only an event can make a topology current, so looking at events is enough.
#[derive(Clone, Default, Hash)]
struct NoTwoTopologies {
    /// By node, what was current when it was last looked at.
    known: Vec<Vec<Arc<TopologyView>>>,
}

impl State for NoTwoTopologies {
    fn look(&mut self, world: &World<Node>, node: NodeId) -> Option<String> {
        self.known.resize(world.setup().nodes.len(), Vec::new());
        let known = &mut self.known[node.index()];
        if current(world, node).map(Arc::as_ptr).eq(known.iter().map(Arc::as_ptr)) {
            return None;
        }
        *known = current(world, node).cloned().collect();
        for a in &self.known[node.index()] {
            for other in world.node_ids().filter(|&other| other != node) {
                for b in current(world, other) {
                    let overlap = a.elections().any(|m| b.elections().any(|n| m.sling_id == n.sling_id));
                    if overlap && !a.is_like(b) {
                        let name = |node| world.setup().name(node);
                        return Some(format!("{} has {a} while {} has {b}", name(node), name(other)));
                    }
                }
            }
        }
        None
    }
}

/// What is known of a listener when it is told something: the last topology, what it heard since, and how often that
/// topology has come again without another one having been seen in between.
#[derive(Clone, Debug, Default, Hash)]
struct Before {
    binding: u32,
    topology: Option<Arc<TopologyView>>,
    changing: bool,
    /// Whether discovery saw another topology when it last said that the present one is changing.
    saw_another: bool,
    repeated: u32,
}

type Judge = fn(&World<Node>, &Before, &Heard) -> Result<(), String>;

/// Follows what each listener hears.
#[derive(Clone, Hash)]
struct Listening {
    judge: Judge,
    /// By node: which process, and by listener how much of what it heard is known.
    nodes: Vec<(u32, Vec<(usize, Before)>)>,
}

impl Listening {
    fn new(judge: Judge) -> Self {
        Listening { judge, nodes: Vec::new() }
    }
}

impl State for Listening {
    fn look(&mut self, world: &World<Node>, node: NodeId) -> Option<String> {
        self.nodes.resize(world.setup().nodes.len(), (0, Vec::new()));
        let instance = instance(world, node)?;
        let (incarnation, known) = &mut self.nodes[node.index()];
        if *incarnation != world.incarnation(node) {
            *incarnation = world.incarnation(node);
            known.clear();
        }
        known.resize(instance.listeners().len(), (0, Before::default()));
        for (listener, (read, before)) in instance.listeners().iter().zip(known) {
            for heard in &listener.heard[*read..] {
                *read += 1;
                if before.binding != heard.binding {
                    *before = Before { binding: heard.binding, ..Before::default() };
                }
                if let Err(wrong) = (self.judge)(world, before, heard) {
                    return Some(format!("{}, listener {}: {wrong}", world.setup().name(node), listener.id.0));
                }
                before.hear(heard);
            }
        }
        None
    }
}

impl Before {
    fn hear(&mut self, told: &Heard) {
        self.changing = told.kind == EventKind::Changing;
        if self.changing {
            self.saw_another = told.instead.is_some();
            return;
        }
        self.repeated = if self.is_repeated_by(told) { self.repeated + 1 } else { 0 };
        self.topology = Some(Arc::clone(&told.view));
    }

    fn is_repeated_by(&self, told: &Heard) -> bool {
        let same = self.topology.as_ref().is_some_and(|old| old.is_synced_like(&told.view));
        told.kind == EventKind::Changed && same && !self.saw_another
    }
}

fn changing_before_changed(_: &World<Node>, before: &Before, told: &Heard) -> Result<(), String> {
    match (told.kind, &before.topology, before.changing) {
        (EventKind::Init, None, _) | (EventKind::Changing, Some(_), false) | (EventKind::Changed, Some(_), true) => {
            Ok(())
        }
        (EventKind::Properties, Some(old), false) if old.is_like(&told.view) => Ok(()),
        (kind, None, _) => Err(format!("{kind:?} comes before any Init")),
        (EventKind::Properties, Some(old), false) => {
            Err(format!("from {old} to {} without Changing, as if only properties differed", told.view))
        }
        (kind, Some(_), true) => Err(format!("{kind:?} comes after Changing, but only Changed may")),
        (kind, Some(_), false) => Err(format!("{kind:?} comes while the topology is current, without Changing")),
    }
}

fn leader_stable(world: &World<Node>, before: &Before, told: &Heard) -> Result<(), String> {
    let Some(old) = before.topology.as_ref().and_then(|old| old.elections().next()) else { return Ok(()) };
    let Some(new) = told.view.elections().next().filter(|new| *new > old) else { return Ok(()) };
    if told.kind == EventKind::Changing || !is_there(world, old) {
        return Ok(());
    }
    Err(format!("the leader is {new} now, although {old} has neither left nor restarted"))
}

/// Whether the activation that an election id was written for is still going on, and holds its lease.
fn is_there(world: &World<Node>, election: ElectionId) -> bool {
    world.node_ids().any(|node| {
        instance(world, node).is_some_and(|instance| {
            let now = world.clock(node).now(world.now());
            instance.election() == Some(election) && instance.repository().has_lease(now)
        })
    })
}

fn no_spurious_change(_: &World<Node>, before: &Before, told: &Heard) -> Result<(), String> {
    if told.instead.as_ref().is_some_and(|instead| instead.is_synced_like(&told.view)) {
        return Err(format!("Changing, although discovery saw nothing but {} again", told.view));
    }
    // Once is possible: a topology can be undefined for a moment and then be what it was.
    if before.repeated >= 1 && before.is_repeated_by(told) {
        return Err(format!("Changed, for the third time in a row, to {}", told.view));
    }
    Ok(())
}

fn no_cancelled_sync_runs(node: &Node) -> Result<(), String> {
    node.instance().and_then(Instance::stray_sync).map_or(Ok(()), Err)
}

fn no_event_to_unbound(node: &Node) -> Result<(), String> {
    let listeners = node.instance().into_iter().flat_map(Instance::listeners);
    for listener in listeners {
        if let Some(heard) = listener.heard.last().filter(|heard| !heard.registered) {
            return Err(format!("listener {} was unregistered and has heard {:?}", listener.id.0, heard.kind));
        }
    }
    Ok(())
}

fn cluster_converges(world: &World<Node>) -> Result<(), String> {
    let running = || world.node_ids().filter_map(|node| instance(world, node)).filter(|instance| instance.is_member());
    if world.now() == Instant::ZERO {
        return Err("not everybody has been started yet".to_owned());
    }
    let Some(first) = running().next() else { return Ok(()) };
    let Some(topology) = first.agreed() else { return Err(format!("{} has no topology", first.name())) };
    for instance in running() {
        match instance.agreed() {
            None => return Err(format!("{} has no topology", instance.name())),
            Some(other) if !other.is_like(topology) => {
                return Err(format!("{} and {} have different topologies", first.name(), instance.name()));
            }
            Some(_) => {}
        }
        if !topology.elections().any(|member| Some(member) == instance.election()) {
            return Err(format!("{} runs, but is not in the topology", instance.name()));
        }
    }
    match topology.members.len() == running().count() {
        true => Ok(()),
        false => Err("somebody in the topology does not run".to_owned()),
    }
}

/// Whether one node waits for another, or for one that waits for it, and so on.
fn waits_for(world: &World<Node>, node: NodeId, other: NodeId) -> bool {
    let mut reached = vec![node];
    let mut next = 0;
    while let Some(instance) = reached.get(next).and_then(|&node| instance(world, node)) {
        next += 1;
        for id in instance.waits_for() {
            let has_id = |node: &NodeId| {
                self::instance(world, *node).and_then(|i| i.repository().lease()).is_some_and(|lease| lease.node == id)
            };
            reached.extend(world.node_ids().find(has_id).filter(|node| !reached.contains(node)));
        }
    }
    reached[1..].contains(&other)
}

#[derive(Clone, Hash)]
struct SlowStarter {
    bound: Duration,
    /// Who waits for whom, and since when.
    waits: Vec<(NodeId, NodeId, Instant)>,
}

impl State for SlowStarter {
    fn look(&mut self, world: &World<Node>, _: NodeId) -> Option<String> {
        let starts = |node: &NodeId| instance(world, *node).is_some_and(Instance::is_starting);
        let starters: Vec<NodeId> = world.node_ids().filter(starts).collect();
        let mut waits = Vec::new();
        for node in world.node_ids().filter(|_| !starters.is_empty()) {
            if instance(world, node).is_some_and(Instance::is_established) {
                for &starter in starters.iter().filter(|&&starter| waits_for(world, node, starter)) {
                    let known = self.waits.iter().find(|(a, b, _)| (*a, *b) == (node, starter));
                    waits.push((node, starter, known.map_or(world.now(), |&(.., since)| since)));
                }
            }
        }
        self.waits = waits;
        let &(node, starter, since) = self.waits.iter().find(|(.., since)| world.now().since(*since) > self.bound)?;
        let name = |node| world.setup().name(node);
        Some(format!("{} has had no topology since {since} because {} has not started yet", name(node), name(starter)))
    }

    fn deadline(&self) -> Option<Instant> {
        let first = self.waits.iter().map(|&(.., since)| since).min()?;
        Some(first + self.bound + Duration::from_nanos(1))
    }
}
