//! A3: who serves has a complete copy, and a backup knows when it has none.

use std::time::Duration;

use sim_core::{Instant, NodeId, World};

use super::{State, after, broker, peer};
use crate::artemis::broker::Broker;
use crate::artemis::config::Config;
use crate::artemis::layout::Shared;
use crate::artemis::protocol::Node;
use crate::artemis::state::Phase;

#[derive(Clone, Hash)]
pub(super) struct ActivatesUpToDate {
    phases: Vec<Phase>,
}

impl ActivatesUpToDate {
    pub(super) fn new(nodes: usize) -> Self {
        ActivatesUpToDate { phases: vec![Phase::Stopped; nodes] }
    }
}

impl State for ActivatesUpToDate {
    fn concerns(&self, shared: &Shared, node: NodeId) -> bool {
        shared.pair_of(node).is_some()
    }

    #[inline(always)]
    fn look(&mut self, _: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let broker = broker(world, node);
        let phase = broker.map_or(Phase::Stopped, Broker::phase);
        let before = std::mem::replace(&mut self.phases[node.index()], phase);
        let serves = matches!(phase, Phase::Activating | Phase::Live);
        let incomplete = broker.is_some_and(|b| !b.journal().is_complete());
        let behind = matches!(before, Phase::Searching | Phase::Syncing);
        (serves && (incomplete || behind)).then(|| {
            let name = world.setup().name(node);
            format!("{name} activates from {before:?} without a complete copy")
        })
    }
}

#[derive(Clone, Hash)]
pub(super) struct KnowsItIsBehind {
    /// By node, since when it has taken itself for UP_TO_DATE without being counted on.
    since: Vec<Option<Instant>>,
}

impl KnowsItIsBehind {
    pub(super) fn new(nodes: usize) -> Self {
        KnowsItIsBehind { since: vec![None; nodes] }
    }

    /// Until then either the live's confirmation or the backup's failure check is due.
    fn limit(config: &Config) -> Duration {
        config.initial_replication_sync_timeout + config.connection_ttl + 2 * config.client_failure_check_period
    }
}

impl State for KnowsItIsBehind {
    #[inline(always)]
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        for backup in [node, shared.peer_of(node)?] {
            let believes = broker(world, backup).is_some_and(|b| b.phase() == Phase::UpToDate)
                && !world.is_paused(backup)
                && peer(world, shared, backup).is_some_and(|live| live.phase() == Phase::Live && !live.has_replica());
            let since = &mut self.since[backup.index()];
            if !believes {
                *since = None;
            } else if world.now().since(*since.get_or_insert(world.now())) > Self::limit(&shared.config) {
                let name = world.setup().name(backup);
                return Some(format!("{name} takes itself for up to date, but its live has given it up"));
            }
        }
        None
    }

    fn deadline(&self, shared: &Shared) -> Option<Instant> {
        self.since.iter().flatten().min().map(|&since| after(since, Self::limit(&shared.config)))
    }
}
