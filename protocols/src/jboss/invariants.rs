//! What must hold, watched from outside: J1 to J7 of the specification.
//!
//! What counts is worth a word, because the design gives less than absolutes.
//!
//! * A server that stands still or is cut off for longer than the group's failure detection takes is failed over for
//!   although it lives. Until it is told, its messages are in two places (J1), and its consumers and those of its
//!   failover node get the same ones (J3). No rule of the design prevents that. What its clients were told is stored
//!   is not lost even then (J2), as the database refuses the statements of a process that was failed over for.
//!   A paused server does nothing, so it does not count for J1.
//! * What one session holds is given to others when its client has not come back within `client-lease` (to the
//!   same server) or `recover-deliveries-timeout` (after a failover). J3 holds for clients that do.
//! * In-memory replication survives one failure at a time: J2 does not count what only servers held that are gone by
//!   now, if the last of them was not fully replicated when it died.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use sim_core::history::{Call, Operation, Step};
use sim_core::library::{AcknowledgedWrite, Always, BoundedWait, Eventually, NoLeak, NoLostWrite};
use sim_core::{Check, Class, Cluster, Constant, Instant, Invariant, NodeId, Property, Touched, World};

use super::client::Client;
use super::config::Config;
use super::layout::{Shared, SharedRef};
use super::message::MessageId;
use super::protocol::Node;
use super::server::Server;
use super::state::{ClientPhase, ServerPhase};
use super::store::Store;
use crate::services::membership::Address;

const fn property(name: &'static str, class: Class, about: &'static str) -> Property {
    Property { name, class, about }
}

/// All of them.
pub const PROPERTIES: &[Property] = &[
    property("one-owner-per-message", Class::Safety, "J1: no two running servers have the same message in memory."),
    property(
        "failed-queues-owned",
        Class::Liveness,
        "J1: in the end each part of a queue belongs to a server that runs and has it, unless it is deployed on none \
         or its server left in good order.",
    ),
    property(
        "no-acknowledged-send-lost",
        Class::Safety,
        "J2: what a client was told is stored is where a server will find it, until a client has processed it.",
    ),
    property(
        "one-consumer-per-message",
        Class::Safety,
        "J3: no message is with two consumers, or twice with one, and none comes again once it is acknowledged.",
    ),
    property(
        "clients-end-connected-or-failed",
        Class::Liveness,
        "J4 and J5: every failover ends, CONNECTED or FAILED, and the valve opens with it.",
    ),
    property(
        "clients-reconnect",
        Class::Liveness,
        "J4: once nothing breaks any more, every client is connected: there was a server for each.",
    ),
    property(
        "valve-holds",
        Class::Safety,
        "J5: no invocation passes a closed valve, and no connection is failed over twice.",
    ),
    property(
        "blocked-requests-bounded",
        Class::Liveness,
        "J6: no request is blocked for longer than the timeouts say, and no thread waits for a lock for ever.",
    ),
    property(
        "delivery-ids-preserved",
        Class::Safety,
        "J7: a delivery id means the same message to a client and to its server.",
    ),
    property(
        "no-delivery-to-closed-consumer",
        Class::Safety,
        "J5: nothing is delivered to a consumer that has been told that it is closed.",
    ),
    property("no-leak", Class::Safety, "J4: a client that has given up has no connections, no timers and no objects."),
];

/// How long two threads may wait for each other's locks before that counts as for ever.
const STUCK: Duration = Duration::from_secs(5);

/// The property called `name`.
pub fn build(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
    let shared = Constant(Arc::new(Shared::of(cluster)));
    let nodes = cluster.members.len();
    let property = PROPERTIES.iter().find(|property| property.name == name)?;
    let name = property.name;
    fn watch<S: State>(property: &Property, shared: SharedRef, state: S) -> Option<Box<dyn Invariant<Node>>> {
        Some(Box::new(Watch { name: property.name, class: property.class, shared, state }))
    }
    let ends = within.unwrap_or_else(|| shared.config.longest_failover());
    match name {
        "one-owner-per-message" => watch(property, shared, OneOwner { sizes: vec![0; nodes] }),
        "failed-queues-owned" => {
            let within = within.unwrap_or_else(|| shared.config.recovery());
            let owned = move |world: &World<Node>| queues_owned(&shared, world);
            Some(Box::new(Eventually::within(name, within, owned).and_stays()))
        }
        "no-acknowledged-send-lost" if shared.in_memory() => watch(
            property,
            shared,
            Replicated { replicated: vec![false; nodes], up: vec![false; nodes], ..Replicated::default() },
        ),
        "no-acknowledged-send-lost" => {
            Some(Box::new(NoLostWrite::always(name, move |world, write| is_safe(&shared, world, write))))
        }
        "one-consumer-per-message" => watch(property, shared, OneConsumer::default()),
        "clients-end-connected-or-failed" => {
            let fails_over = |node: &Node| {
                node.client().is_some_and(|c| !matches!(c.phase(), ClientPhase::Connected | ClientPhase::Failed))
            };
            Some(Box::new(BoundedWait::no_longer_than(name, ends, "failing over", fails_over)))
        }
        "clients-reconnect" => {
            let connected = move |world: &World<Node>| {
                let away = shared
                    .clients
                    .iter()
                    .find(|&&node| client(world, node).is_some_and(|client| client.phase() != ClientPhase::Connected));
                away.map_or(Ok(()), |&node| Err(format!("{} has no server", world.setup().name(node))))
            };
            // A client that has not noticed yet that its server is gone is connected as well.
            Some(Box::new(Eventually::within(name, ends, connected).and_stays()))
        }
        "valve-holds" => Some(Box::new(Always::on_each_node(name, |node: &Node| node.client().map_or(Ok(()), valve)))),
        "blocked-requests-bounded" => watch(property, shared, Bounded { stuck: vec![None; nodes] }),
        "delivery-ids-preserved" => watch(property, shared, SameDeliveries),
        "no-delivery-to-closed-consumer" => {
            Some(Box::new(Always::on_each_node(name, |node: &Node| match node.client().and_then(Client::stray) {
                Some(message) => Err(format!("its consumer was closed when it was sent message {message:#x}")),
                None => Ok(()),
            })))
        }
        "no-leak" => {
            let most = shared.config.max_hops;
            let idle =
                move |node: &Node| node.client().is_some_and(|c| c.phase() == ClientPhase::Failed || c.hops() > most);
            let objects = |node: &Node| {
                let held = node.client().map_or(0, |c| c.unacked().len() + c.invocations().len());
                if held > 0 { vec![format!("{held} messages and invocations")] } else { Vec::new() }
            };
            Some(Box::new(NoLeak::when(name, "through with its failover", idle).and(objects)))
        }
        _ => None,
    }
}

/// What a property remembers, and what it makes of a node that an event has touched.
trait State: Clone + Hash + Send + 'static {
    /// What is wrong, if anything is.
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String>;

    /// When time alone may break it.
    fn deadline(&self, shared: &Shared, world: &World<Node>) -> Option<Instant> {
        let _ = (shared, world);
        None
    }
}

#[derive(Clone, Hash)]
struct Watch<S> {
    name: &'static str,
    class: Class,
    shared: SharedRef,
    state: S,
}

impl<S: State> Invariant<Node> for Watch<S> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        self.class
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        let wrong = match touched {
            Touched::Node(node) => self.state.look(&self.shared, world, node),
            Touched::Any => world.node_ids().find_map(|node| self.state.look(&self.shared, world, node)),
        };
        match wrong {
            Some(why) => Check::Violated(why),
            None => self.state.deadline(&self.shared, world).map_or(Check::Holds, Check::AskAgain),
        }
    }
}

fn server(world: &World<Node>, node: NodeId) -> Option<&Server> {
    world.actor(node)?.server()
}

fn client(world: &World<Node>, node: NodeId) -> Option<&Client> {
    world.actor(node)?.client()
}

fn store<'a>(shared: &Shared, world: &'a World<Node>) -> Option<&'a Store> {
    world.actor(shared.store?)?.store()
}

/// The ids of all messages in a server's memory.
fn in_memory(server: &Server) -> impl Iterator<Item = MessageId> + '_ {
    let queued = server.queues().values().flat_map(|queue| queue.refs.iter().map(|item| item.id));
    let held = server.queues().values().flat_map(|queue| queue.held.keys().copied());
    let delivered = server.sessions().values().flat_map(|s| s.deliveries.values().map(|delivery| delivery.item.id));
    queued.chain(held).chain(delivered)
}

#[derive(Clone, Hash)]
struct OneOwner {
    /// By server, how many messages it had when it was last looked at.
    sizes: Vec<usize>,
}

impl State for OneOwner {
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let runs = |node| server(world, node).filter(|_| !world.is_paused(node));
        let here = runs(node)?;
        let size = in_memory(here).count();
        if std::mem::replace(&mut self.sizes[node.index()], size) >= size {
            return None; // Whatever it lost, it can have got nothing but in exchange.
        }
        let own: BTreeSet<MessageId> = in_memory(here).collect();
        let others = shared.servers.iter().copied().filter(|&other| other != node);
        for other in others {
            let twice = runs(other).and_then(|there| in_memory(there).find(|message| own.contains(message)));
            if let Some(message) = twice {
                let (name, other) = (world.setup().name(node), world.setup().name(other));
                return Some(format!("{name} and {other} both have message {message:#x}"));
            }
        }
        None
    }
}

fn queues_owned(shared: &Shared, world: &World<Node>) -> Result<(), String> {
    let name = |node: NodeId| world.setup().name(node);
    for &node in shared.servers.iter() {
        if let Some(server) = server(world, node)
            && (server.phase() != ServerPhase::Serving || server.is_taking_over())
        {
            let doing = if server.is_taking_over() { "failing over" } else { server.phase().role() };
            return Err(format!("{} is still {doing}", name(node)));
        }
    }
    let Some(store) = store(shared, world) else { return Ok(()) };
    for part in store.tables().bindings() {
        let (node, queue) = part;
        let has = |server: &Server| server.queues().get(&queue).is_some_and(|queue| queue.loaded);
        let running = || shared.servers.iter().filter_map(|&other| server(world, other));
        let left = |process: Address| running().any(|server| server.has_seen_leave(process));
        let owned = server(world, node).is_some_and(has)
            || !running().any(|server| server.queues().contains_key(&queue))
            || store.tables().process(node).is_some_and(left)
            || server(world, node).is_none() && !deployed_with_heir(shared, world, part);
        if !owned {
            return Err(format!("nobody owns {}'s part of queue {queue}", name(node)));
        }
    }
    Ok(())
}

/// Whether the queue is deployed on whoever failed over for the part's node.
fn deployed_with_heir(shared: &Shared, world: &World<Node>, (node, queue): (NodeId, u16)) -> bool {
    let heir = store(shared, world).and_then(|store| store.tables().taker_of(node));
    let heir = heir.and_then(|heir| server(world, heir.node));
    heir.is_none_or(|heir| heir.queues().contains_key(&queue))
}

/// Whether an acknowledged message is where a server will find it.
fn is_safe(shared: &Shared, world: &World<Node>, write: &AcknowledgedWrite) -> bool {
    let message = write.value;
    let mut clients = shared.clients.iter().filter_map(|&node| client(world, node));
    if clients.any(|client| client.has_processed(message)) {
        return true;
    }
    let Some(store) = store(shared, world) else { return true }; // Nobody can look.
    let Some((part, row)) = store.tables().part_of(message) else { return false };
    let mut servers = shared.servers.iter().filter_map(|&node| server(world, node));
    if servers.any(Server::is_taking_over) {
        return true; // It may be on its way.
    }
    if !store.tables().is_bound(part) {
        return false;
    }
    // A server that is down, or is not ready, will find it by its binding.
    let owner = server(world, part.0).filter(|owner| matches!(owner.phase(), ServerPhase::Serving));
    let Some((owner, queue)) = owner.and_then(|owner| Some((owner, owner.queues().get(&part.1)?))) else { return true };
    let paged = row.page.is_some_and(|page| (queue.paging.first..queue.paging.next).contains(&page));
    let registered = store.tables().process(part.0) == Some(owner.address());
    !registered
        || !queue.loaded
        || queue.paging.loading
        || paged
        || store.tables().is_prepared(message)
        || owner.has(part.1, message)
}

/// J2 with in-memory replication.
#[derive(Clone, Default, Hash)]
struct Replicated {
    read: usize,
    /// Messages that were acknowledged and not received since.
    safe: BTreeSet<MessageId>,
    /// By server, whether its failover node had all of its memory when it was last looked at.
    replicated: Vec<bool>,
    up: Vec<bool>,
    /// Messages that only a server had that was not fully replicated when it died.
    excused: BTreeSet<MessageId>,
}

impl State for Replicated {
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let has = |message: MessageId| {
            let clients = shared.clients.iter().filter_map(|&node| client(world, node));
            let servers = shared.servers.iter().filter_map(|&node| server(world, node));
            clients.into_iter().any(|client| client.has_processed(message))
                || servers.into_iter().any(|server| {
                    server.queues().keys().any(|&queue| server.has(queue, message))
                        || server.replicas().values().any(|replica| replica.has(message))
                })
        };
        let up = world.is_up(node);
        let died = std::mem::replace(&mut self.up[node.index()], up) && !up;
        let was_replicated = self.replicated[node.index()];
        self.replicated[node.index()] = server(world, node).is_some_and(|here| {
            // Copies of what is gone are nowhere else until they have been merged and replicated anew.
            let lives = |of: &Address| server(world, of.node).is_some_and(|there| there.address() == *of);
            here.is_replicated() && !here.is_taking_over() && here.replicas().keys().all(lives)
        });
        for note in &world.history().notes()[self.read..] {
            match note.operation {
                Operation { call: Call::Write { value, .. }, step: Step::Returned(_), .. } => {
                    self.safe.insert(value);
                }
                Operation { call: Call::Receive { .. }, step: Step::Returned(Some(value)), .. } => {
                    self.safe.remove(&value);
                }
                _ => {}
            }
        }
        self.read = world.history().notes().len();
        if !died {
            return None;
        }
        let gone: Vec<MessageId> = self.safe.iter().copied().filter(|&message| !has(message)).collect();
        for message in gone {
            self.safe.remove(&message);
            if was_replicated {
                let name = world.setup().name(node);
                return Some(format!(
                    "message {message:#x} was acknowledged, and went with {name}, which was replicated"
                ));
            }
            self.excused.insert(message);
        }
        None
    }
}

#[derive(Clone, Default, Hash)]
struct OneConsumer {
    read: usize,
    /// Messages whose consumer was told that they are done, and which consumer that was.
    acknowledged: BTreeMap<MessageId, NodeId>,
}

impl State for OneConsumer {
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        for note in &world.history().notes()[self.read..] {
            if let Operation { call: Call::Receive { .. }, step: Step::Returned(Some(message)), .. } = note.operation {
                self.acknowledged.insert(message, note.client);
            }
        }
        self.read = world.history().notes().len();
        let here = client(world, node)?;
        let name = |node| world.setup().name(node);
        for (delivery, held) in here.unacked() {
            let message = held.message;
            if let Some(&before) = self.acknowledged.get(&message) {
                return Some(format!(
                    "message {message:#x} is with {}, but {} has acknowledged it before",
                    name(node),
                    name(before)
                ));
            }
            if here.unacked().iter().any(|(other, held)| other != delivery && held.message == message) {
                return Some(format!("{} holds message {message:#x} twice", name(node)));
            }
            let elsewhere = shared.clients.iter().copied().find(|&other| {
                other != node
                    && client(world, other).is_some_and(|there| there.unacked().values().any(|h| h.message == message))
            });
            if let Some(other) = elsewhere {
                return Some(format!("{} and {} both hold message {message:#x}", name(node), name(other)));
            }
        }
        None
    }
}

fn valve(client: &Client) -> Result<(), String> {
    if let [before @ .., last] = client.failed_over()
        && before.contains(last)
    {
        return Err(format!("connection {last:?} was failed over twice"));
    }
    let Some(closed) = client.valve_closed() else { return Ok(()) };
    let passed = client.invocations().iter().find(|(_, progress)| progress.sent.is_some_and(|sent| sent > closed));
    match passed {
        Some((invocation, progress)) => {
            Err(format!("{invocation:?} has passed the valve that was closed at {closed}: {progress:?}"))
        }
        None => Ok(()),
    }
}

#[derive(Clone, Hash)]
struct Bounded {
    /// By server, since when two of its threads have waited for each other.
    stuck: Vec<Option<Instant>>,
}

impl Bounded {
    fn limit(shared: &Shared) -> Duration {
        shared.config.failover_start_timeout + shared.config.failover_complete_timeout + Duration::from_secs(1)
    }
}

impl State for Bounded {
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let stuck = &mut self.stuck[node.index()];
        let Some(server) = server(world, node).filter(|_| !world.is_paused(node)) else {
            *stuck = None;
            return None;
        };
        let name = world.setup().name(node);
        match (server.is_stuck(), *stuck) {
            (true, Some(since)) if world.now().since(since) > STUCK => {
                return Some(format!("two threads of {name} have waited for each other's locks since {since}"));
            }
            (true, since) => *stuck = since.or(Some(world.now())),
            (false, _) => *stuck = None,
        }
        let now = world.clock(node).now(world.now());
        let oldest = server.blocked().iter().find(|blocked| now.since(blocked.since) > Self::limit(shared))?;
        Some(format!("{name} has blocked a request since {} on its clock: {:?}", oldest.since, oldest.reason))
    }

    fn deadline(&self, _: &Shared, _: &World<Node>) -> Option<Instant> {
        self.stuck.iter().flatten().min().map(|&since| since + STUCK + Duration::from_nanos(1))
    }
}

#[derive(Clone, Hash)]
struct SameDeliveries;

impl State for SameDeliveries {
    fn look(&mut self, shared: &Shared, world: &World<Node>, _: NodeId) -> Option<String> {
        for &node in &shared.clients {
            let Some(client) = client(world, node) else { continue };
            let (session, Some(connection)) = client.session() else { continue };
            let known = shared.servers.iter().find_map(|&server_node| {
                let session = server(world, server_node)?.sessions().get(&session)?;
                (session.connection == Some(connection)).then_some((server_node, session))
            });
            let Some((server, session)) = known else { continue };
            for (delivery, held) in client.unacked() {
                if let Some(theirs) = session.deliveries.get(delivery).filter(|theirs| theirs.item.id != held.message) {
                    return Some(format!(
                        "delivery {delivery} is message {:#x} to {} and {:#x} to {}",
                        held.message,
                        world.setup().name(node),
                        theirs.item.id,
                        world.setup().name(server)
                    ));
                }
            }
        }
        None
    }
}
