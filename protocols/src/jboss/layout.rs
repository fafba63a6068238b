//! Who is who in a cluster, worked out once from the roles of its members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sim_core::{Cluster, Constant, HostId, NodeId};

use super::config::{Config, Replication};
use super::defects::Defects;
use super::mapper::Mapper;
use super::message::QueueId;
use crate::services::membership::Address;

/// What all nodes of a cluster know from their configuration files.
#[derive(Clone, Debug, Hash)]
pub struct Shared {
    /// The settings.
    pub config: Config,
    /// Which historical bugs are there.
    pub defects: Defects,
    /// The servers.
    pub servers: Arc<[NodeId]>,
    /// The clients.
    pub clients: Vec<NodeId>,
    /// The database, if there is one.
    pub store: Option<NodeId>,
    /// The machine of each node.
    hosts: Vec<HostId>,
    /// By server, the queues that are not deployed there.
    absent: BTreeMap<NodeId, BTreeSet<QueueId>>,
}

/// A reference to what all nodes share.
pub type SharedRef = Constant<Arc<Shared>>;

impl Shared {
    /// Reads a cluster.
    pub fn of(cluster: &Cluster<Config>) -> Self {
        let node = |name: &String| cluster.members.iter().position(|m| m.name == *name).map(|n| NodeId(n as u16));
        let absent = cluster.config.absent_queues.iter();
        Shared {
            defects: Defects::of(&cluster.defects),
            servers: cluster.with_role("server").collect(),
            clients: cluster.with_role("client").collect(),
            store: cluster.with_role("store").next(),
            hosts: cluster.members.iter().map(|member| member.host).collect(),
            absent: absent.filter_map(|(name, queues)| Some((node(name)?, queues.clone()))).collect(),
            config: cluster.config.clone(),
        }
    }

    /// The queues that are deployed on a server.
    pub fn deployed(&self, server: NodeId) -> impl Iterator<Item = QueueId> + '_ {
        let absent = self.absent.get(&server);
        (0..self.config.queues).filter(move |queue| !absent.is_some_and(|absent| absent.contains(queue)))
    }

    /// The failover nodes of a member, best first.
    pub fn successors(&self, of: Address, members: &[Address]) -> Vec<Address> {
        // Defect JBM-DESIGN-5: the choice does not look at machines.
        let mapper = if self.defects.design_5 { Mapper::Circular } else { self.config.mapper };
        mapper.successors(of, members, |member| self.hosts[member.node.index()])
    }

    /// Whether messages are kept in the memory of two servers instead of the database.
    pub fn in_memory(&self) -> bool {
        self.config.replication == Replication::InMemory
    }

    /// The queue that a client uses.
    pub fn queue_of(&self, client: NodeId) -> QueueId {
        let number = self.clients.iter().position(|&other| other == client).unwrap_or(0);
        number as u16 % self.config.queues
    }

    /// The server that a client connects to first.
    pub fn first_server(&self, client: NodeId) -> usize {
        let number = self.clients.iter().position(|&other| other == client).unwrap_or(0);
        if self.config.clients_on_first { 0 } else { number % self.servers.len() }
    }
}

/// Checks that a cluster makes sense.
///
/// # Errors
/// What is wrong and what to write instead.
pub fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
    let config = &cluster.config;
    if cluster.with_role("server").next().is_none() {
        return Err(
            "there is no server; give at least one node the role \"server\", such as `alpha = \"server\"`".to_owned()
        );
    }
    let stores = cluster.with_role("store").count();
    match config.replication {
        Replication::None if stores != 1 => {
            return Err(format!(
                "servers that do not replicate need one database to share, but there are {stores}; add one node such as \
                 `db = \"store\"`, or set `replication = \"in-memory\"`"
            ));
        }
        Replication::InMemory if stores > 0 => {
            return Err(
                "with `replication = \"in-memory\"` nothing is stored; remove the node with the role \"store\""
                    .to_owned(),
            );
        }
        _ => {}
    }
    config.validate()?;
    for (name, queues) in &config.absent_queues {
        if !cluster.members.iter().any(|member| member.name == *name && member.role == "server") {
            return Err(format!("absent-queues names \"{name}\", which is no server of the cluster"));
        }
        if let Some(unknown) = queues.iter().find(|&&queue| queue >= config.queues) {
            return Err(format!(
                "absent-queues names queue {unknown}, but with `queues = {}` they are numbered from 0 to {}",
                config.queues,
                config.queues - 1
            ));
        }
    }
    Ok(())
}
