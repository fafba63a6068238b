//! What must hold, seen from outside the nodes: bounded buffers, writers that get on, nothing left behind, nothing lost.

use std::sync::Arc;
use std::time::Duration;

use sim_core::library::NoLostWrite;
use sim_core::{Check, Class, Instant, Invariant, NodeId, Touched, World};

use super::messages::Record;
use super::node::Node;

/// A5.
pub const OUTBOUND_BYTES_BOUNDED: &str = "outbound-bytes-bounded";
/// A6.
pub const BLOCKED_WRITERS_PROGRESS: &str = "blocked-writers-progress";
/// A7.
pub const NO_LEAK: &str = "no-leak";
/// A2, for messages on their way over a bridge.
pub const NO_ACKNOWLEDGED_SEND_LOST: &str = "no-acknowledged-send-lost";

/// A5: what waits on a connection is at most the high watermark and one packet.
#[derive(Clone, Copy, Debug, Hash)]
pub struct OutboundBytesBounded {
    /// The largest packet, in bytes on the wire.
    pub packet: u64,
}

impl Invariant<Node> for OutboundBytesBounded {
    fn name(&self) -> &str {
        OUTBOUND_BYTES_BOUNDED
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        let limit = world.setup().network.buffer.high + self.packet;
        for node in nodes_of(world, touched) {
            if let Some(full) = world.connections(node).iter().find(|c| c.buffered > limit) {
                return Check::Violated(format!(
                    "{} has {} bytes outstanding to {} on {:?}; the high watermark and one packet are {limit}",
                    world.setup().name(node),
                    full.buffered,
                    world.setup().name(full.peer),
                    full.id,
                ));
            }
        }
        Check::Holds
    }
}

/// A7: nothing outlives its owner. Each kind of thing has its own time to be released.
#[derive(Clone, Debug, Hash)]
pub struct NoLeak {
    /// How long a session of a connection that is gone, or a thread of a replica that is gone, may take to end.
    pub release: Duration,
    /// How long a run of a workload may take to end after the next has begun.
    pub run: Duration,
    open: Vec<Watched<String, ()>>,
}

impl NoLeak {
    /// With these times.
    pub fn new(release: Duration, run: Duration) -> Self {
        NoLeak { release, run, open: Vec::new() }
    }
}

impl Invariant<Node> for NoLeak {
    fn name(&self) -> &str {
        NO_LEAK
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        for node in nodes_of(world, touched) {
            let found = match world.actor(node) {
                Some(actor) if !world.is_paused(node) => self.leaks(actor, world, node),
                _ => Vec::new(),
            };
            note(&mut self.open, node, world, found);
        }
        let late = self.open.iter().find(|leak| world.now() >= leak.since + leak.limit);
        if let Some(leak) = late {
            return Check::Violated(format!("{} {}, since {}", world.setup().name(leak.node), leak.what, leak.since));
        }
        ask_again(self.open.iter().map(|leak| leak.since + leak.limit))
    }
}

impl NoLeak {
    fn leaks(&self, actor: &Node, world: &World<Node>, node: NodeId) -> Vec<(String, (), Duration)> {
        let mut found = Vec::new();
        match actor {
            Node::Broker(broker) => {
                let open = |id| world.connections(node).iter().any(|connection| connection.id == id);
                for factory in broker.failed_factories() {
                    found.push((format!("still has the failed session factory of {factory:?}"), Duration::ZERO));
                }
                for session in broker.credit_waiters_without_session() {
                    found.push((format!("keeps a credit request of the closed session {session:?}"), Duration::ZERO));
                }
                if broker.awaits_replica_in_vain() {
                    found.push(("has operations that wait for a replica that is gone".into(), Duration::ZERO));
                }
                for session in broker.sessions().filter(|&session| !open(session)) {
                    found.push((format!("still has the session of the lost connection {session:?}"), self.release));
                }
                for thread in broker.orphaned_threads() {
                    found.push((format!("still runs {thread:?}, whose owner is gone"), self.release));
                }
            }
            Node::Client(client) => {
                for run in client.leftovers() {
                    let possessions = run.possessions().join(", ");
                    found.push((format!("still has {possessions} of run {}, which has ended", run.number), self.run));
                }
            }
            Node::Replica(_) => {}
        }
        found.into_iter().map(|(what, limit)| (what, (), limit)).collect()
    }
}

/// A6: a blocked writer gets on, or its peer is dropped.
///
/// Whatever breaks, the peer that a writer waits for is dropped in time; and once nothing is broken any more, nobody
/// waits for long.
#[derive(Clone, Debug, Hash)]
pub struct BlockedWritersProgress {
    /// Within this time a replica that takes nothing has been dropped.
    pub slow_replica: Duration,
    /// Within this time any peer has been that is silent.
    pub silent_peer: Duration,
    /// The longest wait when nothing is broken.
    pub within: Duration,
    open: Vec<Watched<Writer, (u64, End)>>,
}

/// Something that writes, and may be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Writer {
    /// A thread of a broker.
    Thread(super::locks::Thread),
    /// A broker's bridge.
    Bridge,
    /// The producer of a client's run.
    Producer(u32),
}

/// A writer that cannot go on at the moment.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Blocked {
    /// Which.
    pub writer: Writer,
    /// Changes whenever it has got something done.
    pub progress: u64,
    /// What puts an end to its wait at the latest.
    pub end: End,
}

/// What puts an end to a wait at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The replica that it waits for is dropped for being slow.
    SlowReplica,
    /// A peer is dropped: that of the writer itself, or that of whoever keeps it waiting.
    SilentPeer,
    /// Something breaks no more: there is no connection, so nobody could be dropped.
    Repair,
}

impl BlockedWritersProgress {
    /// With these bounds.
    pub fn new(slow_replica: Duration, silent_peer: Duration, within: Duration) -> Self {
        BlockedWritersProgress { slow_replica, silent_peer, within, open: Vec::new() }
    }

    fn deadline(&self, blocked: &Watched<Writer, (u64, End)>, world: &World<Node>) -> Instant {
        let dropped = blocked.since + blocked.limit;
        match world.quiet_since() {
            Some(quiet) => dropped.min(blocked.since.max(quiet) + self.within),
            None => dropped,
        }
    }
}

impl Invariant<Node> for BlockedWritersProgress {
    fn name(&self) -> &str {
        BLOCKED_WRITERS_PROGRESS
    }

    fn class(&self) -> Class {
        Class::Liveness
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        for node in nodes_of(world, touched) {
            let found = match world.actor(node) {
                // A process that does not run cannot put an end to its wait.
                Some(actor) if !world.is_paused(node) => actor.blocked_writers(),
                _ => Vec::new(),
            };
            let found = found.into_iter().map(|Blocked { writer, progress, end }| match end {
                End::SlowReplica => (writer, (progress, end), self.slow_replica),
                End::SilentPeer => (writer, (progress, end), self.silent_peer),
                End::Repair => (writer, (progress, end), Duration::MAX),
            });
            let found = found.collect();
            note(&mut self.open, node, world, found);
        }
        let late = self.open.iter().find(|blocked| world.now() >= self.deadline(blocked, world));
        if let Some(blocked) = late {
            let name = world.setup().name(blocked.node);
            let why = world.actor(blocked.node).map(|actor| actor.explain(blocked.what)).unwrap_or_default();
            return Check::Violated(format!("{name} has got nothing done since {}: {why}", blocked.since));
        }
        ask_again(self.open.iter().map(|blocked| self.deadline(blocked, world)))
    }

    fn needs_until(&self, quiet: Instant) -> Option<Instant> {
        // Whoever is blocked at the end of the run is given its time as well.
        self.open.iter().map(|blocked| blocked.since.max(quiet) + self.within).chain([quiet + self.within]).max()
    }
}

/// A2: a message that a client was told is safe is on the disk of a broker that will deliver it, or has reached the
/// target.
pub fn no_acknowledged_send_lost(sources: Vec<NodeId>, targets: Vec<NodeId>) -> NoLostWrite<Node> {
    let (sources, targets) = (Arc::new(sources), Arc::new(targets));
    let held = move |world: &World<Node>, write: &sim_core::library::AcknowledgedWrite| {
        let accepted =
            |node| world.durable(node).any(|r| matches!(r, Record::Accepted { id, .. } if *id == write.value));
        let removed = |node| world.durable(node).any(|r| *r == Record::Removed { id: write.value });
        sources.iter().any(|&node| accepted(node) && (targets.is_empty() || !removed(node)))
            || targets.iter().any(|&node| accepted(node))
    };
    // Disks lose messages only when something breaks, and then all are looked at.
    NoLostWrite::always(NO_ACKNOWLEDGED_SEND_LOST, held).looking_at(0)
}

/// Something that must not last, on one node.
#[derive(Clone, Debug, Hash)]
struct Watched<W, P> {
    node: NodeId,
    what: W,
    progress: P,
    limit: Duration,
    since: Instant,
}

/// Brings the list up to date for a node: what has not changed keeps its time.
fn note<W: PartialEq, P: PartialEq>(
    open: &mut Vec<Watched<W, P>>,
    node: NodeId,
    world: &World<Node>,
    found: Vec<(W, P, Duration)>,
) {
    let same = |old: &Watched<W, P>, (what, progress, _): &(W, P, Duration)| {
        old.node == node && old.what == *what && old.progress == *progress
    };
    open.retain(|old| old.node != node || found.iter().any(|new| same(old, new)));
    for new in found {
        if !open.iter().any(|old| same(old, &new)) {
            let (what, progress, limit) = new;
            open.push(Watched { node, what, progress, limit, since: world.now() });
        }
    }
}

fn ask_again(deadlines: impl Iterator<Item = Instant>) -> Check {
    deadlines.min().map_or(Check::Holds, Check::AskAgain)
}

fn nodes_of(world: &World<Node>, touched: Touched) -> impl Iterator<Item = NodeId> {
    world.node_ids().filter(move |&node| touched.includes(node))
}
