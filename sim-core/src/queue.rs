//! The event queue: what happens next.
//!
//! Ordered by time and, at one instant, by the order in which events were scheduled. A binary heap of single words:
//! what an event carries is kept elsewhere, and time, order and event are packed into 128 bits, which processors move
//! and compare much faster than the struct that they stand for (a third of a run's time, measured).

use std::collections::BinaryHeap;

use crate::NodeId;
use crate::copy::copied_by_field;

/// What is to happen. Everything larger is in a slab that the event points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A process starts.
    Start { node: NodeId },
    /// Something arrives over the network.
    Flight { slot: u32 },
    /// A timer may be due.
    Timer { node: NodeId, slot: u32 },
    /// A helper thread has finished.
    Job { node: NodeId, slot: u32 },
    /// A sync ends.
    Synced { node: NodeId },
    /// A node can handle the next event that waits for it.
    Wake { node: NodeId },
    /// A planned fault strikes.
    FaultBegins { fault: u32 },
    /// A planned fault ends.
    FaultEnds { fault: u32 },
}

/// An event in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub time: u64,
    pub sequence: u64,
    pub event: Event,
}

/// World time that can be scheduled, in bits of nanoseconds: 834 days. What lies beyond never happens.
const TIME_BITS: u32 = 56;
const SEQUENCE_BITS: u32 = 40;
const EVENT_BITS: u32 = 32;
/// Of an event, what is left beside its kind; for a node and a slot together.
const PAYLOAD_BITS: u32 = 29;
const SLOT_BITS: u32 = 16;
/// Nodes that a world can have, timers and jobs that one node can have, and messages that can be under way.
pub(crate) const MAX_NODES: usize = 1 << (PAYLOAD_BITS - SLOT_BITS);
const MAX_SLOTS: u32 = 1 << SLOT_BITS;
const MAX_FLIGHTS: u32 = 1 << PAYLOAD_BITS;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Entries as packed words, inverted: the standard heap gives the greatest first.
    heap: BinaryHeap<u128>,
    sequence: u64,
}

copied_by_field! { impl[] Queue { heap, sequence } }

impl Queue {
    /// Schedules an event behind all others of the same time; returns its place in the order.
    #[inline]
    pub fn push(&mut self, time: u64, event: Event) -> u64 {
        let sequence = self.next_sequence();
        self.push_at(time, sequence, event);
        sequence
    }

    /// Takes a place in the order without scheduling anything yet.
    #[inline]
    pub fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Schedules an event at a place in the order that was taken before.
    #[inline]
    pub fn push_at(&mut self, time: u64, sequence: u64, event: Event) {
        if time >> TIME_BITS == 0 {
            let low = u128::from(sequence) << EVENT_BITS | u128::from(event.pack());
            self.heap.push(!(u128::from(time) << (SEQUENCE_BITS + EVENT_BITS) | low));
        }
    }

    #[inline]
    pub fn pop(&mut self) -> Option<Entry> {
        self.heap.pop().map(|word| Entry::unpack(!word))
    }

    /// Takes out an entry, wherever it stands.
    pub fn remove(&mut self, entry: Entry) {
        self.heap.retain(|&word| Entry::unpack(!word) != entry);
    }

    /// Takes out all entries that stand for timers.
    pub fn forget_timers(&mut self) {
        let is_timer = |word: u128| matches!(Event::unpack(!word as u32), Event::Timer { .. });
        if self.heap.iter().any(|&word| is_timer(word)) {
            self.heap.retain(|&word| !is_timer(word));
        }
    }

    /// What comes up next.
    pub fn peek(&self) -> Option<Entry> {
        self.heap.peek().map(|&word| Entry::unpack(!word))
    }

    /// Everything that is scheduled, in no order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.heap.iter().map(|&word| Entry::unpack(!word))
    }

    #[inline]
    pub fn next_time(&self) -> Option<u64> {
        self.heap.peek().map(|&word| time_of(!word))
    }
}

fn time_of(word: u128) -> u64 {
    (word >> (SEQUENCE_BITS + EVENT_BITS)) as u64
}

impl Entry {
    #[inline]
    fn unpack(word: u128) -> Self {
        Entry {
            time: time_of(word),
            sequence: (word >> EVENT_BITS) as u64 & ((1 << SEQUENCE_BITS) - 1),
            event: Event::unpack(word as u32),
        }
    }
}

impl Event {
    #[inline]
    fn pack(self) -> u32 {
        let node_slot = |node: NodeId, slot: u32| {
            assert!(slot < MAX_SLOTS, "{node} has more than {MAX_SLOTS} timers or jobs");
            u32::from(node.0) << SLOT_BITS | slot
        };
        let (kind, payload) = match self {
            Event::Flight { slot } => {
                assert!(slot < MAX_FLIGHTS, "more than {MAX_FLIGHTS} messages are under way");
                (0, slot)
            }
            Event::Timer { node, slot } => (1, node_slot(node, slot)),
            Event::Job { node, slot } => (2, node_slot(node, slot)),
            Event::Start { node } => (3, u32::from(node.0)),
            Event::Synced { node } => (4, u32::from(node.0)),
            Event::Wake { node } => (5, u32::from(node.0)),
            Event::FaultBegins { fault } => (6, fault),
            Event::FaultEnds { fault } => (7, fault),
        };
        kind << PAYLOAD_BITS | payload
    }

    #[inline]
    fn unpack(word: u32) -> Self {
        let payload = word & ((1 << PAYLOAD_BITS) - 1);
        let (node, slot) = (NodeId((payload >> SLOT_BITS) as u16), payload & (MAX_SLOTS - 1));
        let only = NodeId(payload as u16);
        match word >> PAYLOAD_BITS {
            0 => Event::Flight { slot: payload },
            1 => Event::Timer { node, slot },
            2 => Event::Job { node, slot },
            3 => Event::Start { node: only },
            4 => Event::Synced { node: only },
            5 => Event::Wake { node: only },
            6 => Event::FaultBegins { fault: payload },
            _ => Event::FaultEnds { fault: payload },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_out_as_it_went_in() {
        let (node, slot) = (NodeId(MAX_NODES as u16 - 1), MAX_SLOTS - 1);
        let events = [
            Event::Flight { slot: MAX_FLIGHTS - 1 },
            Event::Timer { node, slot },
            Event::Job { node, slot },
            Event::Start { node },
            Event::Synced { node },
            Event::Wake { node },
            Event::FaultBegins { fault: 77 },
            Event::FaultEnds { fault: 78 },
        ];
        let (time, sequence) = ((1 << TIME_BITS) - 1, (1 << SEQUENCE_BITS) - 1);
        for event in events {
            let mut queue = Queue::default();
            queue.push_at(time, sequence, event);
            assert_eq!(queue.next_time(), Some(time));
            assert_eq!(queue.pop(), Some(Entry { time, sequence, event }));
        }
    }

    #[test]
    fn what_lies_beyond_the_end_of_time_never_happens() {
        let mut queue = Queue::default();
        queue.push(u64::MAX, Event::Wake { node: NodeId(0) });
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn events_of_one_instant_come_in_the_order_in_which_they_were_scheduled() {
        let mut queue = Queue::default();
        for fault in 0..10 {
            queue.push(5, Event::FaultBegins { fault });
        }
        queue.push(4, Event::FaultBegins { fault: 99 });
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|entry| entry.event).collect();
        assert_eq!(order[0], Event::FaultBegins { fault: 99 });
        assert_eq!(order[1..], (0..10).map(|fault| Event::FaultBegins { fault }).collect::<Vec<_>>());
    }
}
