//! What must hold of the pair, seen from outside.

use std::time::Duration;

use sim_core::library::{Always, AtMostOne, Eventually, NoLeak, NoLostWrite};
use sim_core::{Invariant, LookBack, NodeId, World};

use super::broker::Broker;
use super::{Config, Node, Phase, Record, Settings, Timer};
use crate::artemis::journal::Journal;
use crate::clients::blocked_clients_progress;

/// A lease, the copy, the way back, and a client's way to the right broker, with room for attempts that began while
/// the network was broken.
const RECOVERY: Duration = Duration::from_secs(150);

type Cluster = sim_core::Cluster<Config>;

/// The property called `name`.
pub fn build(name: &str, cluster: &Cluster, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
    let within = within.unwrap_or(RECOVERY);
    let brokers: Vec<NodeId> = cluster.with_role("live").chain(cluster.with_role("backup")).collect();
    Some(match name {
        "at-most-one-live" => Box::new(at_most_one_live(&cluster.config)),
        "no-acknowledged-send-lost" => {
            Box::new(no_acknowledged_send_lost(cluster.with_role("lock-manager").next(), brokers))
        }
        "backup-activates-only-if-up-to-date" => {
            Box::new(Always::on_each_node("backup-activates-only-if-up-to-date", |node: &Node| match broker(node) {
                Some(broker) if broker.phase() == Phase::Live && !broker.journal().is_complete() => {
                    Err("it is LIVE with a copy that was cut short".to_owned())
                }
                _ => Ok(()),
            }))
        }
        "one-live-one-backup" => Box::new(one_live_one_backup(brokers, within)),
        "blocked-clients-progress" => Box::new(blocked_clients_progress(cluster, within)),
        "no-leak" => Box::new(no_leak()),
        _ => return None,
    })
}

fn broker(node: &Node) -> Option<&Broker> {
    match node {
        Node::Broker(broker) => Some(broker),
        Node::Manager(_) | Node::Client(_) => None,
    }
}

fn is_live(node: &Node) -> bool {
    broker(node).is_some_and(|broker| broker.phase() == Phase::Live)
}

/// Whoever is LIVE and running, under whatever NodeID: the pair is to be one server. The grace is what a broker that
/// wakes from a long pause needs to stop itself.
fn at_most_one_live(config: &Config) -> AtMostOne<Node> {
    AtMostOne::in_world("at-most-one-live", "LIVE", |world: &World<Node>, id, node: &Node| {
        is_live(node) && !world.is_paused(id)
    })
    .looking_back(LookBack::NOTHING)
    .with_grace(config.self_stop + config.lock_poll)
}

/// Every acknowledged message is on some broker's disk and, if the owner of the lock serves, with that one. A broker
/// that believes itself LIVE without the lock, as one that sleeps or has just woken does, has not been served from since.
fn no_acknowledged_send_lost(manager: Option<NodeId>, brokers: Vec<NodeId>) -> NoLostWrite<Node> {
    NoLostWrite::always("no-acknowledged-send-lost", move |world: &World<Node>, write| {
        let owner = manager.and_then(|manager| owner(world, manager));
        match owner.and_then(|owner| world.actor(owner)).filter(|node| is_live(node)).and_then(broker) {
            Some(serving) => serving.journal().contains(write.value),
            None => brokers.iter().any(|&id| match world.actor(id).and_then(broker) {
                Some(running) => running.journal().contains(write.value),
                None => on_disk(world, id).contains(write.value),
            }),
        }
    })
    .looking_at(1)
    .looking_back(LookBack::NOTHING)
}

/// Who owns the lock, whether or not the lock manager is up.
fn owner(world: &World<Node>, manager: NodeId) -> Option<NodeId> {
    if let Some(Node::Manager(running)) = world.actor(manager) {
        return running.owner(Settings::COORDINATION_ID);
    }
    let mut stopped = None;
    for record in world.disk(manager) {
        if let Record::Owner(Settings::COORDINATION_ID, owner) = record {
            stopped = owner.map(|(broker, _)| broker);
        }
    }
    stopped
}

fn on_disk(world: &World<Node>, id: NodeId) -> Journal {
    Journal::recover(world.disk(id).filter_map(|record| match record {
        Record::Journal(record) => Some(*record),
        Record::Counter(..) | Record::Owner(..) => None,
    }))
}

/// Of the brokers that are up, one is LIVE and any other is up to date.
fn one_live_one_backup(brokers: Vec<NodeId>, within: Duration) -> Eventually<Node> {
    Eventually::within("one-live-one-backup", within, move |world: &World<Node>| {
        let phases: Vec<Phase> =
            brokers.iter().filter_map(|&id| world.actor(id)).filter_map(broker).map(Broker::phase).collect();
        let count = |wanted| phases.iter().filter(|&&phase| phase == wanted).count();
        count(Phase::Live) == 1 && count(Phase::Replica) == phases.len() - 1
    })
    .and_stays()
    .looking_back(LookBack::NOTHING)
}

/// A broker that does not serve keeps its session and its source, and none of the timers of one that does.
fn no_leak() -> NoLeak<Node> {
    let passive = |node: &Node| {
        use Phase::{AwaitingNext, Copying, Registering, Replica};
        broker(node).is_some_and(|b| matches!(b.phase(), Registering | Copying | Replica | AwaitingNext))
    };
    let of_a_live = [Timer::SyncTimeout, Timer::SlowReplica, Timer::FailureCheck];
    NoLeak::when("no-leak", "not serving", passive)
        .except_timers(move |timer| !of_a_live.contains(&timer))
        .except_connections(|node, kept| broker(node).is_some_and(|broker| broker.keeps(kept.id)))
}
