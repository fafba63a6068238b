//! A1 and the end of A4: how many brokers of a NodeID are LIVE, and that in the end one is, with a backup.

use sim_core::{Instant, NodeId, World};

use super::{State, after, broker};
use crate::artemis::broker::Broker;
use crate::artemis::layout::Shared;
use crate::artemis::protocol::Node;
use crate::artemis::state::Phase;

#[derive(Clone, Hash)]
pub(super) struct AtMostOneLive {
    /// Since when a NodeID has had two running LIVE brokers.
    overlaps: Vec<Option<Instant>>,
}

impl AtMostOneLive {
    pub(super) fn new(pairs: usize) -> Self {
        AtMostOneLive { overlaps: vec![None; pairs] }
    }
}

impl State for AtMostOneLive {
    #[inline(always)]
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let pair = shared.pair_of(node)?;
        let serves = |n| !world.is_paused(n) && broker(world, n).is_some_and(|b| b.phase() == Phase::Live);
        let overlap = &mut self.overlaps[pair.0 as usize];
        if !serves(node) || !shared.peer_of(node).is_some_and(serves) {
            *overlap = None;
            return None;
        }
        let (since, allowed) = (*overlap.get_or_insert(world.now()), shared.config.overlap());
        if !allowed.is_zero() && world.now().since(since) <= allowed {
            return None;
        }
        let names: Vec<&str> = shared.members(pair).iter().map(|&n| world.setup().name(n)).collect();
        let lasting =
            if allowed.is_zero() { String::new() } else { format!(", since {since}, longer than {allowed:?}") };
        Some(format!("{} are both LIVE for node-id {}{lasting}", names.join(" and "), pair.0 + 1))
    }

    fn deadline(&self, shared: &Shared) -> Option<Instant> {
        self.overlaps.iter().flatten().min().map(|&since| after(since, shared.config.overlap()))
    }
}

pub(super) fn one_live_one_backup(world: &World<Node>, shared: &Shared) -> Result<(), String> {
    for (number, members) in shared.pairs.iter().enumerate().filter(|(_, members)| members.len() == 2) {
        let is = |node: NodeId, wanted: fn(&Broker) -> bool| broker(world, node).is_some_and(wanted);
        let served = |live, backup| is(live, Broker::has_replica) && is(backup, |b| b.phase() == Phase::UpToDate);
        if !served(members[0], members[1]) && !served(members[1], members[0]) {
            return Err(format!("node-id {} does not have one LIVE broker and one backup", number + 1));
        }
    }
    Ok(())
}
