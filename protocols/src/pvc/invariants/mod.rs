//! What must hold, watched from outside the daemons.
//!
//! Several of these need an interval, because no design can do better, and each says which.
//!
//! * **P1** allows two nodes to hold what is the primary's for as long as a hand-over takes
//!   ([`Config::transition_grace`]). A node counts only while it can be told of the move: while its process runs and it
//!   has been able to reach the coordination service for long enough to find out that it can ([`Config::reconnect`]).
//! * **P2** protects a node that has been up and able to reach the coordination service for as long as an ordinary
//!   reconnection and one shot take. Whoever comes back later than that may be shot by what is on its way already.
//! * **P5** counts the time in which a node could reach the coordination service, whose locks and writes a transition
//!   consists of.
//! * **P6** counts a fence whose fencer can still act upon it: its clock says that its session is valid.
//! * **P7** allows two intervals between two reports: a keepalive may be quick and the next one slow.

mod boards;
mod ends;
mod exclusive;
mod key;
mod reach;
mod reports;

use std::sync::Arc;
use std::time::Duration;

use sim_core::library::{Always, BoundedWait, Eventually};
use sim_core::{Class, Cluster, Constant, Invariant, LookBack, NodeId, Property, World};

use super::addresses::Vip;
use super::config::Config;
use super::daemon::{Daemon, Life};
use super::layout::{NodeInfo, PRIMARY, Shared};
use super::protocol::Node;
use super::state::Router;
use boards::{FencedAfterSilence, LiveNodeIsNotFenced};
use ends::TransitionEnds;
use exclusive::Exclusive;
use key::{KeyLeavesFencedNode, NoFlap};
use reach::Reach;
use reports::{KeepaliveOnTime, OneFence, ServesWhenAnnounced, ShutdownStateIsKept};

const fn property(name: &'static str, class: Class, about: &'static str) -> Property {
    Property { name, class, about }
}

/// All of them.
pub const PROPERTIES: &[Property] = &[
    property(
        "at-most-one-primary",
        Class::Safety,
        "P1: no two nodes that can be reached take over or are primary at once, but for the time of a hand-over.",
    ),
    property(
        "one-holder-per-vip",
        Class::Safety,
        "P1: no two nodes that can be reached hold one virtual address, but for the time of a hand-over.",
    ),
    property(
        "no-primary-flap",
        Class::Safety,
        "P1: the primary key goes from one node to another only when an operator moves it, or by way of `none`.",
    ),
    property(
        "takeover-is-not-overwritten",
        Class::Safety,
        "P1: the primary key is not overwritten, but by an operator, while the node that it names takes over or is primary.",
    ),
    property(
        "primary-serves-when-announced",
        Class::Safety,
        "P1: a node that is announced as primary has all addresses and services, and one announced as secondary none.",
    ),
    property("primary-serves-all-networks", Class::Safety, "P1: a primary serves every network that it knows of."),
    property(
        "live-node-is-not-fenced",
        Class::Safety,
        "P2: nobody takes the power from a node that runs and can reach the coordination service, nor does it stop itself.",
    ),
    property(
        "fenced-only-after-silence",
        Class::Safety,
        "P2: no node loses its power sooner after its last report than the intervals and saving throws allow.",
    ),
    property("vm-runs-on-one-node", Class::Safety, "P3: no virtual machine runs on two nodes."),
    property(
        "vips-leave-only-a-fenced-node",
        Class::Safety,
        "P4: nobody takes the primary key from a node that holds virtual addresses.",
    ),
    property(
        "one-primary",
        Class::Liveness,
        "P5: in the end there is one primary, complete, if a coordinator runs, and nobody else holds an address.",
    ),
    property("vms-recover", Class::Liveness, "P5: in the end every virtual machine runs, if a node does."),
    property("shutdown-ends", Class::Liveness, "P5: a shutdown comes to an end."),
    property(
        "transition-ends",
        Class::Liveness,
        "P5: a takeover or a relinquishment comes to an end, if the node can reach the coordination service.",
    ),
    property("one-fence-at-a-time", Class::Safety, "P6: at most one fence is under way in the whole cluster."),
    property(
        "keepalive-on-time",
        Class::Safety,
        "P7: a node that can reach the coordination service reports in every interval, however slow its collectors are.",
    ),
    property("shutdown-state-is-kept", Class::Safety, "P7: no report of a node that shuts down says that it runs."),
];

/// The property called `name`.
pub fn build(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
    let shared = Constant(Arc::new(Shared::of(cluster)));
    let config = &cluster.config;
    let reach = Reach::of(&shared, cluster.members.len());
    let property = PROPERTIES.iter().find(|property| property.name == name)?;
    let name = property.name;
    Some(match name {
        "at-most-one-primary" => Box::new(Exclusive::with_grace(
            name,
            |daemon| u64::from(matches!(daemon.router(), Router::Takeover | Router::Primary)),
            |_| "taking over or primary".to_owned(),
            config,
            reach,
        )),
        "one-holder-per-vip" => Box::new(Exclusive::with_grace(
            name,
            |daemon| {
                Vip::ALL.iter().enumerate().map(|(bit, &vip)| u64::from(daemon.addresses().holds(vip)) << bit).sum()
            },
            |bit| format!("holding {}", Vip::ALL[bit as usize].name()),
            config,
            reach,
        )),
        "vm-runs-on-one-node" => Box::new(Exclusive::strict(
            name,
            |daemon| daemon.running_vms().map(|vm| 1 << vm).sum(),
            |bit| format!("running vm{}", bit + 1),
            reach,
        )),
        "no-primary-flap" => Box::new(NoFlap::new(name, &shared, |_| true)),
        "takeover-is-not-overwritten" => Box::new(NoFlap::new(name, &shared, Daemon::is_or_becomes_primary)),
        "fenced-only-after-silence" => Box::new(FencedAfterSilence::new(name, &shared)),
        "vips-leave-only-a-fenced-node" => Box::new(KeyLeavesFencedNode::new(name, &shared)),
        "primary-serves-when-announced" => Box::new(ServesWhenAnnounced::new(name, &shared)),
        "shutdown-state-is-kept" => Box::new(ShutdownStateIsKept::new(name, &shared)),
        "one-fence-at-a-time" => Box::new(OneFence::new(name, &shared)),
        "keepalive-on-time" => Box::new(KeepaliveOnTime::new(name, &shared, reach)),
        "live-node-is-not-fenced" => Box::new(LiveNodeIsNotFenced::new(name, &shared, reach)),
        "primary-serves-all-networks" => Box::new(Always::on_each_node(name, |node: &Node| {
            let Some(daemon) = node.daemon().filter(|daemon| daemon.router() == Router::Primary) else { return Ok(()) };
            let missing = daemon.networks_not_served();
            if missing.is_empty() {
                Ok(())
            } else {
                Err(format!("it is primary and does not serve {}", missing.join(", ")))
            }
        })),
        "shutdown-ends" => Box::new(BoundedWait::no_longer_than(
            name,
            within.unwrap_or(config.shutdown_wait + config.recovery()),
            "shutting down",
            |node: &Node| node.daemon().is_some_and(|daemon| daemon.life() == Life::Shutdown),
        )),
        "transition-ends" => {
            let bound = config.transition_time() + config.session_timeout + config.reconnect();
            Box::new(TransitionEnds::new(name, within.unwrap_or(bound), reach))
        }
        "one-primary" => {
            let within = within.unwrap_or_else(|| config.recovery());
            Box::new(
                Eventually::within(name, within, move |world| one_primary(world, &shared))
                    .and_stays()
                    .looking_back(LookBack::NOTHING),
            )
        }
        "vms-recover" => {
            let within = within.unwrap_or_else(|| config.recovery());
            Box::new(
                Eventually::within(name, within, move |world| all_vms_run(world, &shared))
                    .and_stays()
                    .looking_back(LookBack::NOTHING),
            )
        }
        _ => return None,
    })
}

/// Whether there is one primary and everything is in its place.
fn one_primary(world: &World<Node>, shared: &Shared) -> Result<(), String> {
    let Some(server) = world.actor(shared.service).and_then(Node::coordination) else {
        return Err("the coordination service is down".to_owned());
    };
    let daemons = || shared.nodes.iter().filter_map(|info| Some((info, world.actor(info.id)?.daemon()?)));
    let stopped = |info: &NodeInfo| !world.is_up(info.id) && server.tree().value(&info.daemon_state) == "stop";
    if shared.nodes.iter().filter(|info| info.coordinator).all(stopped) {
        return Ok(()); // All were shut down in good order.
    }
    let mut primaries = daemons().filter(|(_, daemon)| daemon.router() == Router::Primary);
    let Some((info, primary)) = primaries.next() else { return Err("nobody is primary".to_owned()) };
    if let Some((second, _)) = primaries.next() {
        return Err(format!("{} and {} are both primary", info.name, second.name));
    }
    if !primary.addresses().complete() {
        return Err(format!("{} is primary, but has not everything", info.name));
    }
    if let Some((other, _)) = daemons().find(|(other, daemon)| other.id != info.id && daemon.addresses().holds_any()) {
        return Err(format!("{} is primary, but {} holds addresses", info.name, other.name));
    }
    match server.tree().value(PRIMARY) {
        key if *key == *info.name => Ok(()),
        key => Err(format!("{} is primary, but the key says {key}", info.name)),
    }
}

/// Whether every virtual machine runs somewhere.
fn all_vms_run(world: &World<Node>, shared: &Shared) -> Result<(), String> {
    let daemon = |id: NodeId| world.actor(id).and_then(Node::daemon);
    if shared.nodes.iter().all(|info| daemon(info.id).is_none_or(|daemon| daemon.life() == Life::Shutdown)) {
        return Ok(());
    }
    for (number, vm) in shared.vms.iter().enumerate() {
        let runs = |id| daemon(id).is_some_and(|daemon| daemon.running_vms().any(|vm| usize::from(vm) == number));
        if !shared.nodes.iter().any(|info| runs(info.id)) {
            return Err(format!("{} runs nowhere", vm.name));
        }
    }
    Ok(())
}
