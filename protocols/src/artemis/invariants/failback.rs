//! A4 while a NodeID is handed back: to whom, and without a vote.

use sim_core::{ConnectionId, NodeId, World};

use super::{State, broker};
use crate::artemis::broker::Broker;
use crate::artemis::layout::Shared;
use crate::artemis::protocol::Node;
use crate::artemis::state::Phase;

#[derive(Clone, Hash)]
pub(super) struct ReadyBackup {
    /// By node, the connection on which it last announced itself. A copy and its announcement belong to one
    /// connection, so what a broker said of an earlier copy never counts for a later one; and a connection that the
    /// backup has lost while its announcement was on the way still counts, as the live cannot know.
    announced: Vec<Option<ConnectionId>>,
    failing_back: Vec<bool>,
}

impl ReadyBackup {
    pub(super) fn new(nodes: usize) -> Self {
        ReadyBackup { announced: vec![None; nodes], failing_back: vec![false; nodes] }
    }
}

impl State for ReadyBackup {
    #[inline(always)]
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let broker = broker(world, node)?;
        if broker.is_announced() {
            self.announced[node.index()] = broker.replication_connection().or(self.announced[node.index()]);
        }
        let was = std::mem::replace(&mut self.failing_back[node.index()], broker.is_failing_back());
        let other = shared.peer_of(node).filter(|_| broker.is_failing_back() && !was)?;
        let copied_over = broker.replication_connection();
        let (name, other_name) = (world.setup().name(node), world.setup().name(other));
        (copied_over.is_none() || self.announced[other.index()] != copied_over).then(|| {
            format!("{name} stops so that {other_name} can take over, but {other_name} has not announced itself")
        })
    }
}

/// A primary has no reason to vote once it was told that the live hands over: FAIL_OVER or its timeout decides. It
/// has none before that either, if it leaves a connection over which the live is handing over and was heard of late.
#[derive(Clone, Hash)]
pub(super) struct FailbackWithoutVote {
    /// By node, the connection over which it hands its NodeID back, until it starts again or dies.
    handing_back: Vec<Option<ConnectionId>>,
    /// By node, whether it had been told of that when it was last looked at.
    told: Vec<bool>,
}

impl FailbackWithoutVote {
    pub(super) fn new(nodes: usize) -> Self {
        FailbackWithoutVote { handing_back: vec![None; nodes], told: vec![false; nodes] }
    }
}

impl State for FailbackWithoutVote {
    #[inline(always)]
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let broker = broker(world, node);
        let handing_back = &mut self.handing_back[node.index()];
        *handing_back = match broker {
            Some(live) if live.is_failing_back() => live.replication_connection().or(*handing_back),
            Some(live) if matches!(live.phase(), Phase::Stopping | Phase::Stopped) => *handing_back,
            _ => None,
        };
        let told = std::mem::replace(&mut self.told[node.index()], broker.is_some_and(Broker::is_told_of_handover));
        let primary = broker.filter(|b| b.is_primary() && matches!(b.phase(), Phase::Voting | Phase::Activating))?;
        let (parting, other) = (primary.parting()?, shared.peer_of(node)?);
        let left = parting.connection.is_some() && parting.connection == self.handing_back[other.index()];
        let heard = parting.silence <= shared.config.client_failure_check_period;
        let (name, other) = (world.setup().name(node), world.setup().name(other));
        (told || left && heard).then(|| format!("{name} votes although {other} is handing over to it"))
    }
}
