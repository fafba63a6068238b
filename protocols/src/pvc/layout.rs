//! Who is in the cluster, and where in the coordination service everything is kept.

use std::sync::Arc;

use sim_core::{Cluster, Constant, NodeId};

use super::config::Config;
use super::defects::Defects;
use crate::services::coordination::Text;

/// The role of a node that contends for the addresses.
pub(super) const COORDINATOR: &str = "coordinator";
/// The role of a node that only runs virtual machines.
pub(super) const HYPERVISOR: &str = "hypervisor";
/// The role of the coordination service.
pub(super) const COORDINATION: &str = "coordination";
/// The role of a power board.
pub(super) const BOARD: &str = "board";

/// Which node is primary.
pub const PRIMARY: &str = "/primary_node";
/// The exclusive lock of the primary key.
pub const PRIMARY_LOCK: &str = "/primary_node/lock";
/// The lock by which a transition goes in step.
pub const SYNC_LOCK: &str = "/primary_node/sync_lock";
/// Whoever has it may fence.
pub const FENCE_LOCK: &str = "/fence_lock";
/// Whether fencing is suspended.
pub const MAINTENANCE: &str = "/maintenance";
/// Above the virtual networks.
pub const NETWORKS: &str = "/networks";
/// What the primary key holds when there is none.
pub const NONE: &str = "none";

/// What is the same for all nodes.
#[derive(Debug)]
pub struct Shared {
    /// The settings.
    pub config: Config,
    /// The defects that are switched on.
    pub defects: Defects,
    /// Every node with a daemon, in order.
    pub nodes: Vec<NodeInfo>,
    /// Whether each of `nodes` contends.
    pub service: NodeId,
    /// The virtual machines.
    pub vms: Vec<VmPaths>,
    /// Well-known paths.
    pub paths: Paths,
}

/// A node with a daemon.
#[derive(Clone, Debug, Hash)]
pub struct NodeInfo {
    /// Its number.
    pub id: NodeId,
    /// Its name.
    pub name: Text,
    /// Whether it contends for the addresses.
    pub coordinator: bool,
    /// Its power board.
    pub board: NodeId,
    /// Where its daemon's state is kept: run, shutdown, stop, dead, fenced.
    pub daemon_state: Text,
    /// Where its router's state is kept.
    pub router_state: Text,
    /// Where it is kept what becomes of its virtual machines.
    pub domain_state: Text,
    /// Where its last report is kept.
    pub keepalive: Text,
}

/// A virtual machine.
#[derive(Clone, Debug, Hash)]
pub struct VmPaths {
    /// Its name.
    pub name: Text,
    /// Where it is kept on which node it belongs.
    pub record: Text,
    /// The lock of its storage. The lock table of the storage cluster is kept with the coordination service here.
    pub storage: Text,
}

/// Well-known paths, ready to be sent.
#[derive(Clone, Debug, Hash)]
pub struct Paths {
    /// `/primary_node`: which node is primary.
    pub primary: Text,
    /// `/primary_node/lock`: the exclusive lock of the primary key.
    pub primary_lock: Text,
    /// `/primary_node/sync_lock`: the lock by which a transition goes in step.
    pub sync_lock: Text,
    /// `/fence_lock`: whoever has it may fence.
    pub fence_lock: Text,
    /// `/maintenance`: whether fencing is suspended.
    pub maintenance: Text,
    /// `/networks`: above the virtual networks.
    pub networks: Text,
}

impl Shared {
    /// What the nodes of a cluster have in common.
    pub fn of(cluster: &Cluster<Config>) -> Self {
        let boards: Vec<NodeId> = cluster.with_role(BOARD).collect();
        let has_daemon = |role: &str| role == COORDINATOR || role == HYPERVISOR;
        let members = cluster.members.iter().enumerate().filter(|(_, member)| has_daemon(&member.role));
        let node = |(place, (number, member)): (usize, (usize, &sim_core::Member))| {
            let below = |key: &str| Text::from(format!("/nodes/{}/{key}", member.name));
            NodeInfo {
                id: NodeId(number as u16),
                name: member.name.as_str().into(),
                coordinator: member.role == COORDINATOR,
                board: boards.get(place).copied().unwrap_or_default(),
                daemon_state: below("daemonstate"),
                router_state: below("routerstate"),
                domain_state: below("domainstate"),
                keepalive: below("keepalive"),
            }
        };
        let vm = |number: u32| VmPaths {
            name: format!("vm{number}").into(),
            record: format!("/vms/vm{number}").into(),
            storage: format!("/storage/vm{number}").into(),
        };
        Shared {
            defects: Defects::of(&cluster.defects),
            nodes: members.enumerate().map(node).collect(),
            service: cluster.with_role(COORDINATION).next().unwrap_or_default(),
            vms: (1..=cluster.config.vms).map(vm).collect(),
            paths: Paths {
                primary: PRIMARY.into(),
                primary_lock: PRIMARY_LOCK.into(),
                sync_lock: SYNC_LOCK.into(),
                fence_lock: FENCE_LOCK.into(),
                maintenance: MAINTENANCE.into(),
                networks: NETWORKS.into(),
            },
            config: cluster.config.clone(),
        }
    }

    /// A node by its number.
    pub fn node(&self, id: NodeId) -> &NodeInfo {
        self.nodes.iter().find(|node| node.id == id).expect("only nodes with a daemon are asked for")
    }

    /// A node by its name.
    pub fn named(&self, name: &str) -> Option<&NodeInfo> {
        self.nodes.iter().find(|node| &*node.name == name)
    }

    /// How many nodes contend.
    pub fn coordinators(&self) -> usize {
        self.nodes.iter().filter(|node| node.coordinator).count()
    }

    /// The tree of a cluster that was set up and not started yet.
    pub fn initial_tree(&self) -> Vec<(Text, Text)> {
        let mut tree: Vec<(Text, Text)> = [
            (PRIMARY, NONE),
            (PRIMARY_LOCK, ""),
            (SYNC_LOCK, ""),
            (FENCE_LOCK, ""),
            (MAINTENANCE, "false"),
            (NETWORKS, ""),
            ("/nodes", ""),
            ("/vms", ""),
            ("/storage", ""),
        ]
        .map(|(path, value)| (path.into(), value.into()))
        .into();
        for number in 1..=self.config.networks {
            tree.push((format!("{NETWORKS}/net{number}").into(), "".into()));
        }
        for node in &self.nodes {
            let router = if node.coordinator { "secondary" } else { "client" };
            tree.push((format!("/nodes/{}", node.name).into(), "".into()));
            tree.push((node.daemon_state.clone(), "stop".into()));
            tree.push((node.router_state.clone(), router.into()));
            tree.push((node.domain_state.clone(), "ready".into()));
            tree.push((node.keepalive.clone(), "0".into()));
        }
        for (number, vm) in self.vms.iter().enumerate() {
            let host = &self.nodes[number % self.nodes.len()].name;
            tree.push((vm.record.clone(), Placement::Start(host.clone()).text()));
        }
        tree
    }
}

/// Where a virtual machine belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// It runs on this node, or should.
    Start(Text),
    /// It is being moved from the first node, where it runs, to the second.
    Migrate(Text, Text),
    /// It was on this node, which was fenced, and its storage is being freed.
    Recovering(Text),
}

impl Placement {
    /// As it is kept.
    pub fn text(&self) -> Text {
        match self {
            Placement::Start(node) => format!("{node} start").into(),
            Placement::Migrate(from, to) => format!("{from} migrate {to}").into(),
            Placement::Recovering(node) => format!("{node} recovering").into(),
        }
    }

    /// What is kept, read again; `None` if it is none of these.
    pub fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            [node, "start"] => Some(Placement::Start(node.into())),
            [from, "migrate", to] => Some(Placement::Migrate(from.into(), to.into())),
            [node, "recovering"] => Some(Placement::Recovering(node.into())),
            _ => None,
        }
    }

    /// The node that has it or had it.
    pub fn host(&self) -> &Text {
        match self {
            Placement::Start(node) | Placement::Migrate(node, _) | Placement::Recovering(node) => node,
        }
    }
}

/// What all nodes share.
pub type SharedRef = Constant<Arc<Shared>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_is_read_as_it_was_written() {
        let (a, b): (Text, Text) = ("a".into(), "b".into());
        for placement in [Placement::Start(a.clone()), Placement::Migrate(a.clone(), b), Placement::Recovering(a)] {
            assert_eq!(Placement::read(&placement.text()), Some(placement));
        }
        assert_eq!(Placement::read("nonsense"), None);
    }
}
