//! What a world is made of: the part that is the same for every seed.

use std::sync::Arc;
use std::time::Duration;

use crate::{Actor, BufferLimits, HostId, NodeId};

/// The cluster, its network and its disks, and how to build an actor for each node. Shared by all runs of a
/// campaign.
#[derive(Clone)]
pub struct Setup<A: Actor> {
    /// The nodes, in the order of their numbers.
    pub nodes: Vec<NodeSetup>,
    /// The network between them.
    pub network: NetworkConfig,
    /// Their disks.
    pub disk: DiskConfig,
    /// Builds the actor of a node, at every start of its process.
    pub factory: Factory<A>,
    /// What [`crate::Fault::Command`] can ask, by [`crate::CommandId`].
    pub commands: Vec<A::Command>,
}

/// Builds the actor of a node.
pub type Factory<A> = Arc<dyn Fn(NodeId) -> A + Send + Sync>;

/// One node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSetup {
    /// Its name in files and reports.
    pub name: String,
    /// The machine that it runs on.
    pub host: HostId,
}

impl<A: Actor> Setup<A> {
    /// A cluster of the named nodes, each on a machine of its own, with the default network and disks.
    pub fn new<S: Into<String>>(
        names: impl IntoIterator<Item = S>,
        factory: impl Fn(NodeId) -> A + Send + Sync + 'static,
    ) -> Self {
        let nodes = names
            .into_iter()
            .enumerate()
            .map(|(number, name)| NodeSetup { name: name.into(), host: HostId(number as u16) })
            .collect();
        Setup {
            nodes,
            network: NetworkConfig::default(),
            disk: DiskConfig::default(),
            factory: Arc::new(factory),
            commands: Vec::new(),
        }
    }

    /// The name of a node, for messages to people.
    pub fn name(&self, node: NodeId) -> &str {
        &self.nodes[node.index()].name
    }

    /// All nodes.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<A> {
        (0..self.nodes.len() as u16).map(NodeId)
    }
}

/// How the network behaves when nothing is broken.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// Shortest and longest time that a message takes from one node to another; drawn evenly.
    pub latency: (Duration, Duration),
    /// Probability from 0 to 1 that a datagram is lost; on a connection it is sent again after a timeout.
    pub loss: f64,
    /// Probability from 0 to 1 that a datagram arrives twice.
    pub duplication: f64,
    /// Bytes a second on each directed link; without limit if `None`.
    pub bandwidth: Option<u64>,
    /// Send buffers of connections.
    pub buffer: BufferLimits,
    /// Bytes on their way on one connection, sent and not yet consumed by the receiving process; the rest waits in
    /// the send buffer.
    pub window: u64,
    /// How long a connection waits for a sign of life before it breaks: while it is being opened, and while data
    /// sent on it is not acknowledged because a link is cut.
    pub connection_timeout: Duration,
    /// How much later a lost message of a connection is sent again.
    pub retransmission_timeout: Duration,
}

impl Default for NetworkConfig {
    /// 1 to 10 ms, nothing lost, no limit of bandwidth, a window of 64 KiB, connections break after 30 s and
    /// retransmit after 200 ms.
    fn default() -> Self {
        NetworkConfig {
            latency: (Duration::from_millis(1), Duration::from_millis(10)),
            loss: 0.0,
            duplication: 0.0,
            bandwidth: None,
            buffer: BufferLimits::default(),
            window: 64 << 10,
            connection_timeout: Duration::from_secs(30),
            retransmission_timeout: Duration::from_millis(200),
        }
    }
}

/// How disks behave when nothing is broken.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskConfig {
    /// Shortest and longest time that a sync takes; drawn evenly.
    pub sync: (Duration, Duration),
}

impl Default for DiskConfig {
    /// 100 us to 2 ms.
    fn default() -> Self {
        DiskConfig { sync: (Duration::from_micros(100), Duration::from_millis(2)) }
    }
}
