//! The event queue: what happens next.
//!
//! Ordered by time and, at one instant, by the order in which events were scheduled. A binary heap of small entries:
//! what an event carries is kept elsewhere, so that moving entries about stays cheap.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::NodeId;

/// What is to happen. Eight bytes: everything larger is in a slab that the event points into.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub time: u64,
    pub sequence: u64,
    pub event: Event,
}

impl Ord for Entry {
    /// Reversed, since the standard heap gives the greatest first.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.sequence).cmp(&(self.time, self.sequence))
    }
}

impl PartialOrd for Entry {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    sequence: u64,
}

impl Queue {
    /// Schedules an event behind all others of the same time; returns its place in the order.
    #[inline]
    pub fn push(&mut self, time: u64, event: Event) -> u64 {
        let sequence = self.next_sequence();
        self.heap.push(Entry { time, sequence, event });
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
        self.heap.push(Entry { time, sequence, event });
    }

    #[inline]
    pub fn pop(&mut self) -> Option<Entry> {
        self.heap.pop()
    }

    #[inline]
    pub fn next_time(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Event>(), 8);
        assert_eq!(size_of::<Entry>(), 24);
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
