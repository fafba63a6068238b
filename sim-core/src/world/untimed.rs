//! A world without a clock: what can happen next is everything that is under way, and a search chooses.
//!
//! Time stands still at zero. A message can arrive, a timer can fire, a sync can end at any moment after it was sent, armed
//! or called, whatever the delays; on a connection what was sent first arrives first. A message is delivered once: the
//! network is a set with repetitions, without order or duplication.

use std::hash::Hasher;

use crate::connections::{Cargo, Side};
use crate::node::Input;
use crate::queue::{Entry, Event};
use crate::state_hash::{StateHasher, digest};
use crate::timers::Due;
use crate::{Actor, ConnectionId, LookBack, NodeId, Touched, World};

/// Something that can happen next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// An entry of the queue comes up.
    Entry(Entry),
    /// A timer fires.
    Timer(NodeId, Due),
}

impl<A: Actor> World<A> {
    /// Lets every process start, in the order of the nodes: nothing else happens before.
    pub(crate) fn start_all(&mut self) {
        while self.queue.peek().is_some_and(|entry| entry.time == 0 && matches!(entry.event, Event::Start { .. })) {
            self.step();
        }
    }

    /// Everything that can happen next, each with what tells it from the others: things that do the same are one choice.
    pub(crate) fn choices(&self, choices: &mut Vec<(u64, Choice)>) {
        choices.clear();
        // Of each pipe, the first on the wire.
        let mut heads: Vec<(ConnectionId, Side, u64, u64)> = Vec::new();
        if !self.pairs.is_empty() {
            for entry in self.queue.entries() {
                if let Some((id, side)) = self.pipe_of(entry) {
                    match heads.iter_mut().find(|head| (head.0, head.1) == (id, side)) {
                        Some(head) => (head.2, head.3) = (head.2, head.3).min((entry.time, entry.sequence)),
                        None => heads.push((id, side, entry.time, entry.sequence)),
                    }
                }
            }
        }
        for entry in self.queue.entries() {
            let waits =
                self.pipe_of(entry).is_some_and(|(id, side)| !heads.contains(&(id, side, entry.time, entry.sequence)));
            if !waits && let Some(what) = self.digest_of(entry) {
                choices.push((what, Choice::Entry(entry)));
            }
        }
        for (node, state) in self.setup.node_ids().zip(self.nodes.iter()) {
            choices.extend(
                state.timers.all_due().map(|(timer, due)| (digest((0_u8, node, timer)), Choice::Timer(node, due))),
            );
        }
        choices.sort_unstable_by_key(|&(what, _)| what);
        choices.dedup_by_key(|&mut (what, _)| what);
    }

    /// The pipe that a packet is on.
    fn pipe_of(&self, entry: Entry) -> Option<(ConnectionId, Side)> {
        let Event::Flight { slot } = entry.event else { return None };
        match self.flights[slot as usize].cargo {
            Cargo::Packet { id, sender, .. } => Some((id, sender)),
            _ => None,
        }
    }

    /// Lets one of the choices happen.
    pub(crate) fn choose(&mut self, choice: Choice) -> Option<Touched> {
        let touched = match choice {
            Choice::Entry(entry) => {
                self.queue.remove(entry);
                if let Event::Wake { node } | Event::Synced { node } = entry.event {
                    // However long it was to be busy, that is over.
                    self.nodes[node].busy_until = 0;
                }
                self.dispatch(Entry { time: 0, ..entry })
            }
            Choice::Timer(node, due) => self.input(node, Input::Timer(due), due.cause),
        };
        // Timers are found where they are armed.
        self.queue.forget_timers();
        touched
    }

    /// Adds the state to a hash: as [`World::hash_state`] does, without anything that only a clock tells.
    pub(crate) fn hash_untimed(&mut self, back: LookBack, hash: &mut StateHasher) {
        // In no order. Which timers are armed is told by the nodes.
        let (mut count, mut sum) = (0, 0_u64);
        for what in self.queue.entries().filter_map(|entry| self.digest_of(entry)) {
            (count, sum) = (count + 1, sum.wrapping_add(what));
        }
        hash.write_usize(count);
        hash.write_u64(sum);
        if !self.pairs.is_empty() {
            // Where the order on the wire matters, it is part of the state.
            let mut packets: Vec<_> = self
                .queue
                .entries()
                .filter_map(|entry| Some((self.pipe_of(entry)?.0, entry.time, entry.sequence, self.digest_of(entry)?)))
                .collect();
            packets.sort_unstable();
            packets.iter().for_each(|packet| hash.write_u64(packet.3));
        }
        // No moment is later than this one, but the one that stands for none.
        self.hash_parts(u64::MAX - 1, back, hash);
    }
}
