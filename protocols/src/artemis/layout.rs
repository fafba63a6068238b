//! Who belongs to whom: the pairs of a cluster, worked out once from the roles of its members.

use std::collections::BTreeSet;
use std::sync::Arc;

use sim_core::{Cluster, Constant, NodeId};

use super::client::ClientConfig;
use super::config::Config;
use super::defects::Defects;
use super::message::PairId;

/// What all nodes of a cluster know from their configuration files.
#[derive(Clone, Debug, Hash)]
pub struct Shared {
    /// The settings.
    pub config: Config,
    /// Which historical bugs are there.
    pub defects: Defects,
    /// The brokers of each NodeID, the primary first: pairs, then single voters.
    pub pairs: Vec<Vec<NodeId>>,
    /// The nodes of the network check list.
    pub ping_targets: Vec<NodeId>,
    /// By node, the NodeID that it was configured for and the other broker of it.
    places: Vec<(Option<PairId>, Option<NodeId>)>,
}

impl Shared {
    /// Reads a cluster. The k-th `live` and the k-th `backup` are a pair, each `voter` is alone.
    pub fn of(cluster: &Cluster<Config>) -> Self {
        let mut backups = cluster.with_role("backup");
        let mut pairs: Vec<Vec<NodeId>> =
            cluster.with_role("live").map(|live| [live].into_iter().chain(backups.next()).collect()).collect();
        pairs.extend(cluster.with_role("voter").map(|voter| vec![voter]));
        let named = |name: &String| cluster.members.iter().position(|m| m.name == *name).map(|n| NodeId(n as u16));
        let place = |node: usize| {
            let node = NodeId(node as u16);
            let pair = pairs.iter().position(|pair| pair.contains(&node));
            let peer = pair.and_then(|pair| pairs[pair].iter().copied().find(|&other| other != node));
            (pair.map(|pair| PairId(pair as u16)), peer)
        };
        Shared {
            places: (0..cluster.members.len()).map(place).collect(),
            config: cluster.config.clone(),
            defects: Defects::of(&cluster.defects),
            pairs,
            ping_targets: cluster.config.network_check_list.iter().filter_map(named).collect(),
        }
    }

    /// The NodeID that a broker was configured for.
    pub fn pair_of(&self, broker: NodeId) -> Option<PairId> {
        self.places[broker.index()].0
    }

    /// The other broker of the same NodeID.
    pub fn peer_of(&self, broker: NodeId) -> Option<NodeId> {
        self.places[broker.index()].1
    }

    /// The brokers of a NodeID, the primary first.
    pub fn members(&self, pair: PairId) -> &[NodeId] {
        &self.pairs[pair.0 as usize]
    }

    /// How the clients are set.
    pub fn client(&self) -> ClientConfig {
        ClientConfig {
            send_interval: self.config.send_interval,
            message_bytes: self.config.message_bytes,
            call_timeout: self.config.call_timeout,
            retry_interval: self.config.client_retry_interval,
            forgets_unanswered_sends: self.defects.artemis_1304,
        }
    }
}

/// Checks that a cluster makes sense.
///
/// # Errors
/// What is wrong and what to write instead.
pub fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
    let (lives, backups) = (cluster.with_role("live").count(), cluster.with_role("backup").count());
    if lives == 0 {
        return Err("a replicated pair needs a node with the role \"live\"".to_owned());
    }
    if lives != backups {
        return Err(format!(
            "each \"live\" forms a pair with one \"backup\", in the order of the nodes, but there are {lives} and \
             {backups}"
        ));
    }
    let config = &cluster.config;
    if config.sync_chunk_messages == 0 {
        return Err("sync-chunk-messages must be at least 1".to_owned());
    }
    if config.quorum_size < -1 || config.quorum_size == 0 {
        return Err(format!(
            "quorum-size = {} makes no sense; write the number of NodeIDs in the cluster, or -1 for as many as it is \
             configured with",
            config.quorum_size
        ));
    }
    if config.client_failure_check_period.is_zero() || config.cluster_retry_interval.is_zero() {
        return Err("client-failure-check-period and cluster-retry-interval must be longer than zero".to_owned());
    }
    let names: BTreeSet<&str> = cluster.members.iter().map(|m| m.name.as_str()).collect();
    if let Some(unknown) = config.network_check_list.iter().find(|name| !names.contains(name.as_str())) {
        return Err(format!(
            "network-check-list names \"{unknown}\", which is no node of the cluster; its nodes are {}",
            names.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(())
}

/// A reference to what all nodes share.
pub type SharedRef = Constant<Arc<Shared>>;
