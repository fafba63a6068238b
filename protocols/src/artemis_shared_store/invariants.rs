//! What must hold of the pair, seen from outside.

use std::time::Duration;

use sim_core::library::{Always, AtMostOne, Eventually, NoLeak, NoLostWrite};
use sim_core::{Invariant, LookBack, NodeId, World};

use super::store::Journal;
use super::{Config, Node, Phase, Record, Timer};
use crate::clients::blocked_clients_progress;

/// The lease, the announcement, both brokers' start and a client's way to the right one, with room for a connection
/// attempt that began while the network was broken.
const RECOVERY: Duration = Duration::from_secs(150);

type Cluster = sim_core::Cluster<Config>;

/// The property called `name`.
pub fn build(name: &str, cluster: &Cluster, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
    let within = within.unwrap_or(RECOVERY);
    Some(match name {
        "at-most-one-live" => Box::new(at_most_one_live(&cluster.config)),
        "at-most-one-writer" => Box::new(Always::on_each_node("at-most-one-writer", |node: &Node| match node {
            Node::Store(store) => store.stray_write().map_or(Ok(()), |stray| {
                Err(format!("it took a journal write from {}, owner of the lock: {:?}", stray.writer, stray.owner))
            }),
            _ => Ok(()),
        })),
        "no-acknowledged-send-lost" => Box::new(no_acknowledged_send_lost(cluster)),
        "one-live-one-backup" => Box::new(one_live_one_backup(cluster, within)),
        "blocked-clients-progress" => Box::new(blocked_clients_progress(cluster, within)),
        "no-leak" => Box::new(no_leak()),
        _ => return None,
    })
}

/// Whoever is LIVE and running. The grace is what a broker that wakes from a long pause needs to learn that it has
/// lost its lock.
fn at_most_one_live(config: &Config) -> AtMostOne<Node> {
    AtMostOne::in_world("at-most-one-live", "LIVE", |world: &World<Node>, id, node: &Node| {
        phase(node) == Some(Phase::Live) && !world.is_paused(id)
    })
    .looking_back(LookBack::NOTHING)
    .with_grace(config.lock_monitor + config.store_timeout)
}

/// The store's journal holds every acknowledged message, whether or not the store is up.
fn no_acknowledged_send_lost(cluster: &Cluster) -> NoLostWrite<Node> {
    let store = cluster.with_role("store").next();
    NoLostWrite::always("no-acknowledged-send-lost", move |world: &World<Node>, write| match store {
        None => true,
        Some(store) => match world.actor(store) {
            Some(Node::Store(running)) => running.holds(write.value),
            _ => journal_on_disk(world, store).holds(write.value),
        },
    })
    .looking_at(1)
    .looking_back(LookBack::NOTHING)
}

fn journal_on_disk(world: &World<Node>, store: NodeId) -> Journal {
    let mut journal = Journal::default();
    for record in world.disk(store) {
        if let Record::Message { position, value } = *record {
            journal.write(position, value);
        }
    }
    journal
}

/// Of the brokers that are up, one is LIVE and any other is its backup.
fn one_live_one_backup(cluster: &Cluster, within: Duration) -> Eventually<Node> {
    let brokers: Vec<NodeId> = cluster.with_role("live").chain(cluster.with_role("backup")).collect();
    Eventually::within("one-live-one-backup", within, move |world: &World<Node>| {
        let phases: Vec<Phase> = brokers.iter().filter_map(|&broker| world.actor(broker)).filter_map(phase).collect();
        let live = phases.iter().filter(|&&phase| phase == Phase::Live).count();
        let backups = phases.iter().filter(|&&phase| matches!(phase, Phase::Passive | Phase::Verifying)).count();
        live == 1 && backups == phases.len() - 1
    })
    .and_stays()
    .looking_back(LookBack::NOTHING)
}

/// A broker that has given up its place keeps the mount and nothing else.
fn no_leak() -> NoLeak<Node> {
    let of_the_wait = [Timer::Poll, Timer::Renew, Timer::Remount, Timer::FailbackDelay];
    NoLeak::when("no-leak", "without its place", |node: &Node| phase(node) == Some(Phase::AwaitingPeer))
        .except_timers(move |timer| of_the_wait.contains(&timer))
        .except_connections(|node, kept| matches!(node, Node::Broker(broker) if broker.mounted_on(kept.id)))
}

fn phase(node: &Node) -> Option<Phase> {
    match node {
        Node::Broker(broker) => Some(broker.phase()),
        Node::Store(_) | Node::Client(_) => None,
    }
}
