//! P1, P6 and P7: what a node says of itself, that it says it in time, and who fences.

use std::time::Duration;

use sim_core::{Check, Class, Instant, Invariant, LookBack, NodeId, Touched, World};

use super::reach::Reach;
use crate::pvc::daemon::{Daemon, Life};
use crate::pvc::layout::{NodeInfo, SharedRef};
use crate::pvc::protocol::Node;
use crate::pvc::state::Router;

fn daemon(world: &World<Node>, node: NodeId) -> Option<&Daemon> {
    world.actor(node).and_then(Node::daemon)
}

/// The nodes that an event may have put at odds with the coordination service.
fn touched(shared: &SharedRef, touched: Touched) -> impl Iterator<Item = &NodeInfo> {
    let all = touched.includes(shared.service);
    shared.nodes.iter().filter(move |info| all || touched.includes(info.id))
}

/// What is announced is true.
#[derive(Clone, Hash)]
pub(super) struct ServesWhenAnnounced {
    name: &'static str,
    shared: SharedRef,
}

impl ServesWhenAnnounced {
    pub fn new(name: &'static str, shared: &SharedRef) -> Self {
        ServesWhenAnnounced { name, shared: shared.clone() }
    }
}

impl Invariant<Node> for ServesWhenAnnounced {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, by: Touched) -> Check {
        let Some(server) = world.actor(self.shared.service).and_then(Node::coordination) else { return Check::Holds };
        for info in touched(&self.shared, by) {
            let Some(daemon) = daemon(world, info.id) else { continue };
            let (router, addresses) = (daemon.router(), daemon.addresses());
            match server.tree().value(&info.router_state) {
                "primary" if matches!(router, Router::Takeover | Router::Primary) && !addresses.complete() => {
                    return Check::Violated(format!(
                        "{} is announced as primary, but it does not have all addresses and services",
                        info.name
                    ));
                }
                "secondary" if router == Router::Relinquish && addresses.holds_any() => {
                    return Check::Violated(format!(
                        "{} is announced as secondary, but it still holds addresses",
                        info.name
                    ));
                }
                _ => {}
            }
        }
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}

/// A node that shuts down is not said to run.
#[derive(Clone, Hash)]
pub(super) struct ShutdownStateIsKept {
    name: &'static str,
    shared: SharedRef,
    /// Whether each node is known to shut down.
    announced: Vec<bool>,
}

impl ShutdownStateIsKept {
    pub fn new(name: &'static str, shared: &SharedRef) -> Self {
        ShutdownStateIsKept { name, shared: shared.clone(), announced: Vec::new() }
    }
}

impl Invariant<Node> for ShutdownStateIsKept {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, by: Touched) -> Check {
        self.announced.resize(world.setup().nodes.len(), false);
        let Some(server) = world.actor(self.shared.service).and_then(Node::coordination) else { return Check::Holds };
        for info in touched(&self.shared, by) {
            let announced = &mut self.announced[info.id.index()];
            if daemon(world, info.id).is_none_or(|daemon| daemon.life() != Life::Shutdown) {
                *announced = false;
                continue;
            }
            match server.tree().value(&info.daemon_state) {
                "shutdown" => *announced = true,
                "run" if *announced => {
                    return Check::Violated(format!("{} is shutting down, but its state says `run` again", info.name));
                }
                _ => {}
            }
        }
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}

/// At most one fence at a time.
#[derive(Clone, Hash)]
pub(super) struct OneFence {
    name: &'static str,
    shared: SharedRef,
}

impl OneFence {
    pub fn new(name: &'static str, shared: &SharedRef) -> Self {
        OneFence { name, shared: shared.clone() }
    }
}

impl Invariant<Node> for OneFence {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, by: Touched) -> Check {
        // A fence begins by an event at its fencer.
        let begun = |info: &&NodeInfo| {
            by.includes(info.id)
                && daemon(world, info.id).is_some_and(|daemon| daemon.monitor().targets().next().is_some())
        };
        if !self.shared.nodes.iter().any(|info| begun(&info)) {
            return Check::Holds;
        }
        let mut open = Vec::new();
        for info in &self.shared.nodes {
            let Some(daemon) = daemon(world, info.id) else { continue };
            if daemon.trusts_session(world.clock(info.id).now(world.now())) {
                open.extend(daemon.monitor().targets().map(|target| (&info.name, target)));
            }
        }
        if open.len() < 2 {
            return Check::Holds;
        }
        let each = open.iter().map(|(fencer, target)| format!("{fencer} fences {}", world.setup().name(*target)));
        Check::Violated(each.collect::<Vec<_>>().join(" while "))
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}

/// Every node reports in time.
#[derive(Clone, Hash)]
pub(super) struct KeepaliveOnTime {
    name: &'static str,
    shared: SharedRef,
    reach: Reach,
    /// How often each node has reported, and when it last did.
    reports: Vec<(u32, Instant)>,
}

impl KeepaliveOnTime {
    pub fn new(name: &'static str, shared: &SharedRef, reach: Reach) -> Self {
        KeepaliveOnTime { name, shared: shared.clone(), reach, reports: Vec::new() }
    }

    /// When a node must have reported; `None` if it need not.
    fn deadline(&self, world: &World<Node>, info: &NodeInfo) -> Option<Instant> {
        let config = &self.shared.config;
        let interval = 2 * config.keepalive_interval + Duration::from_secs(1);
        let since = self.reach.since(info.id)?;
        daemon(world, info.id)?;
        let last = self.reports[info.id.index()].1;
        Some((last + interval).max(since + config.reconnect() + config.startup_time + interval))
    }
}

impl Invariant<Node> for KeepaliveOnTime {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, by: Touched) -> Check {
        self.reports.resize(world.setup().nodes.len(), (0, Instant::ZERO));
        self.reach.update(world, by);
        let mut ask = None;
        for info in &self.shared.nodes {
            if by.includes(info.id) {
                let count = daemon(world, info.id).map_or(0, |daemon| daemon.keepalive().reports());
                let known = &mut self.reports[info.id.index()];
                if count != known.0 {
                    *known = (count, world.now());
                }
            }
            let Some(deadline) = self.deadline(world, info) else { continue };
            if world.now() > deadline {
                return Check::Violated(format!(
                    "{} runs and can reach the coordination service, but has reported last at {}",
                    info.name,
                    self.reports[info.id.index()].1
                ));
            }
            ask = Some(ask.map_or(deadline, |ask: Instant| ask.min(deadline)));
        }
        ask.map_or(Check::Holds, |deadline| Check::AskAgain(deadline + Duration::from_nanos(1)))
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}
