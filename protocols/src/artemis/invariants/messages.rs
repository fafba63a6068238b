//! A2 and A6: what clients were told of their messages is true, and they are told in the end.

use std::time::Duration;

use sim_core::history::{Call, Operation, Step};
use sim_core::{Instant, NodeId, World};

use super::{State, after, broker};
use crate::artemis::journal::JournalRecord;
use crate::artemis::layout::Shared;
use crate::artemis::protocol::Node;
use crate::artemis::state::Phase;

#[derive(Clone, Hash)]
pub(super) struct NoAcknowledgedSendLost {
    /// How many notes of the history have been read.
    read: usize,
    /// By NodeID, what at least two disks held when it was acknowledged.
    safe: Vec<Vec<u64>>,
    /// Who was LIVE when last looked at.
    live: Vec<bool>,
}

impl NoAcknowledgedSendLost {
    pub(super) fn new(pairs: usize, nodes: usize) -> Self {
        NoAcknowledgedSendLost { read: 0, safe: vec![Vec::new(); pairs], live: vec![false; nodes] }
    }

    fn acknowledged(&mut self, shared: &Shared, world: &World<Node>, key: u64, id: u64) -> Option<String> {
        let members = shared.pairs.get(key as usize)?;
        let holds = |&node: &NodeId| match broker(world, node) {
            Some(broker) => broker.journal().contains(id),
            None => world.durable(node).any(|record| *record == JournalRecord::Message(id)),
        };
        let has_set_aside = |&&node: &&NodeId| broker(world, node).is_some_and(|b| b.journal().has_set_aside(id));
        let holders = members.iter().filter(|node| holds(node)).count();
        match Standing::of(holders, members.iter().filter(has_set_aside).count()) {
            Standing::Lost => {
                let number = key + 1;
                return Some(format!("message {id:#x} was acknowledged, but no broker of node-id {number} holds it"));
            }
            Standing::Alone => {}
            Standing::Safe => self.safe[key as usize].push(id),
        }
        None
    }
}

/// What becomes of a message that a client has just been told is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Standing {
    /// It is gone, and must not be.
    Lost,
    /// One disk has or had it, and it may be lost with that one: the case that the specification allows.
    Alone,
    /// It must be there for ever.
    Safe,
}

impl Standing {
    /// `holders` have it in their journals, `set_aside` had it in the journal that they gave up for a copy.
    fn of(holders: usize, set_aside: usize) -> Self {
        match (holders, set_aside) {
            // The word of a live that held it alone was still on its way when that live was replaced: the case that is
            // allowed, seen late. Had its replica held it too, that would have had to keep it.
            (0, 1) | (1, _) => Standing::Alone,
            (0, _) => Standing::Lost,
            _ => Standing::Safe,
        }
    }
}

impl State for NoAcknowledgedSendLost {
    /// Clients, as they are told, and brokers that can lose what they were told.
    fn concerns(&self, shared: &Shared, node: NodeId) -> bool {
        shared.pair_of(node).is_none() || shared.peer_of(node).is_some()
    }

    #[inline(always)]
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let notes = world.history().notes();
        while let Some(note) = notes.get(self.read) {
            self.read += 1;
            if let Operation { call: Call::Write { key, value }, step: Step::Returned(_), .. } = note.operation
                && let Some(wrong) = self.acknowledged(shared, world, key, value)
            {
                return Some(wrong);
            }
        }
        let pair = shared.pair_of(node)?;
        let serving = broker(world, node).filter(|b| b.phase() == Phase::Live);
        let was_live = std::mem::replace(&mut self.live[node.index()], serving.is_some());
        let (serving, false) = (serving?, was_live) else { return None };
        let lost = self.safe[pair.0 as usize].iter().find(|&&id| !serving.journal().contains(id))?;
        let name = world.setup().name(node);
        Some(format!("{name} is LIVE without message {lost:#x}, which two brokers held when it was acknowledged"))
    }
}

#[derive(Clone, Hash)]
pub(super) struct NoSendForgotten {
    read: usize,
    /// By client, the message that it was not told of yet.
    open: Vec<Option<u64>>,
}

impl NoSendForgotten {
    pub(super) fn new(nodes: usize) -> Self {
        NoSendForgotten { read: 0, open: vec![None; nodes] }
    }
}

impl State for NoSendForgotten {
    fn concerns(&self, shared: &Shared, node: NodeId) -> bool {
        shared.pair_of(node).is_none()
    }

    #[inline(always)]
    fn look(&mut self, _: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        if broker(world, node).is_some() {
            return None;
        }
        if !world.is_up(node) {
            // A client that dies takes what it was about to send with it.
            self.open[node.index()] = None;
        }
        while let Some(note) = world.history().notes().get(self.read) {
            self.read += 1;
            let open = &mut self.open[note.client.index()];
            match note.operation.step {
                Step::Invoked => {
                    if let Some(forgotten) = open.replace(note.operation.id) {
                        let client = world.setup().name(note.client);
                        return Some(format!("{client} was never told of message {forgotten:#x}, and goes on"));
                    }
                }
                Step::Returned(_) | Step::Refused => *open = None,
                Step::Unknown => {}
            }
        }
        None
    }
}

#[derive(Clone, Hash)]
pub(super) struct ClientsProgress {
    within: Duration,
    /// By client, what it waits for and since when.
    waiting: Vec<Option<(u64, Instant)>>,
    /// When the client that waits longest has waited for too long, as far as the faults that are known to end allow.
    deadline: Option<Instant>,
}

impl ClientsProgress {
    pub(super) fn new(nodes: usize, within: Duration) -> Self {
        ClientsProgress { within, waiting: vec![None; nodes], deadline: None }
    }
}

impl State for ClientsProgress {
    fn concerns(&self, shared: &Shared, node: NodeId) -> bool {
        shared.pair_of(node).is_none()
    }

    #[inline(always)]
    fn look(&mut self, _: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let outstanding = match world.actor(node) {
            Some(Node::Broker(_)) => return None,
            Some(Node::Client(client)) => client.outstanding(),
            None => None,
        };
        let waiting = &mut self.waiting[node.index()];
        match (outstanding, &waiting) {
            (Some(id), Some((known, _))) if id == *known => {}
            (outstanding, _) => *waiting = outstanding.map(|id| (id, world.now())),
        }
        let quiet = world.quiet_since();
        let longest = self.waiting.iter().flatten().map(|&(_, since)| since).min();
        self.deadline = longest.zip(quiet).map(|(since, quiet)| after(since.max(quiet), self.within));
        let ((id, since), quiet) = (self.waiting[node.index()]?, quiet?);
        (world.now().since(since.max(quiet)) > self.within).then(|| {
            let name = world.setup().name(node);
            format!("{name} has waited for message {id:#x} to be acknowledged since {since}")
        })
    }

    fn deadline(&self, _: &Shared) -> Option<Instant> {
        self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::Standing;

    #[test]
    fn a_message_may_go_with_the_only_disk_that_had_it_and_not_otherwise() {
        assert_eq!(Standing::of(0, 0), Standing::Lost);
        assert_eq!(Standing::of(0, 1), Standing::Alone);
        assert_eq!(Standing::of(1, 0), Standing::Alone);
        assert_eq!(Standing::of(1, 1), Standing::Alone);
        // Both had it, and both gave it up for a copy of the other.
        assert_eq!(Standing::of(0, 2), Standing::Lost);
        assert_eq!(Standing::of(2, 0), Standing::Safe);
    }
}
