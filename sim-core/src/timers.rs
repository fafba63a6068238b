//! The timers of one node.
//!
//! A timer that is re-armed to fire later keeps its place in the event queue; when that place comes up too early,
//! the timer is scheduled again for its real time, at the place in the order that it was given when it was armed.
//! Heartbeat protocols re-arm their timers at every message: without this, stale entries make up most of the queue.

use crate::copy::copied_by_field;
use crate::queue::{Event, Queue};
use crate::{Instant, NodeId};

#[derive(Debug)]
pub(crate) struct Timers<T> {
    slots: Vec<Slot<T>>,
}

#[derive(Clone, Copy, Debug)]
struct Slot<T> {
    timer: T,
    /// When it is to fire, if it is armed.
    armed: Option<Armed>,
    /// The entry in the queue that stands for this slot: its time and place in the order.
    queued: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    deadline: u64,
    /// Place in the order; also tells this arming from earlier ones.
    sequence: u64,
    /// The event during which it was armed.
    cause: u64,
}

/// A timer that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub slot: u32,
    pub sequence: u64,
    pub cause: u64,
}

copied_by_field! { impl[T: Copy] Timers<T> { slots } }

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Timers { slots: Vec::new() }
    }
}

impl<T: Copy + Ord> Timers<T> {
    /// Arms a timer, or arms it anew.
    pub fn set(&mut self, node: NodeId, timer: T, deadline: Instant, cause: u64, queue: &mut Queue) {
        let deadline = deadline.as_nanos();
        let sequence = queue.next_sequence();
        let index = self.slot_for(timer);
        let slot = &mut self.slots[index];
        slot.armed = Some(Armed { deadline, sequence, cause });
        if slot.queued.is_none_or(|(time, _)| time > deadline) {
            slot.queued = Some((deadline, sequence));
            queue.push_at(deadline, sequence, Event::Timer { node, slot: index as u32 });
        }
    }

    fn slot_for(&mut self, timer: T) -> usize {
        if let Some(index) = self.slots.iter().position(|slot| slot.timer == timer) {
            return index;
        }
        let unused = self.slots.iter().position(|slot| slot.armed.is_none() && slot.queued.is_none());
        match unused {
            Some(index) => {
                self.slots[index].timer = timer;
                index
            }
            None => {
                self.slots.push(Slot { timer, armed: None, queued: None });
                self.slots.len() - 1
            }
        }
    }

    /// Disarms a timer.
    pub fn cancel(&mut self, timer: T) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.timer == timer) {
            slot.armed = None;
        }
    }

    /// An entry of the queue has come up: whether a timer is due. It stays armed until [`Timers::fire`].
    pub fn pop(&mut self, node: NodeId, index: u32, sequence: u64, queue: &mut Queue) -> Option<Due> {
        let slot = self.slots.get_mut(index as usize)?;
        if slot.queued.is_none_or(|(_, queued)| queued != sequence) {
            return None; // Left behind by a timer that was re-armed to fire earlier, or by an earlier process.
        }
        slot.queued = None;
        let armed = slot.armed?;
        if armed.sequence != sequence {
            slot.queued = Some((armed.deadline, armed.sequence));
            queue.push_at(armed.deadline, armed.sequence, Event::Timer { node, slot: index });
            return None;
        }
        Some(Due { slot: index, sequence, cause: armed.cause })
    }

    /// Disarms a due timer and returns it, unless it was cancelled or armed anew since.
    pub fn fire(&mut self, due: Due) -> Option<T> {
        let slot = self.slots.get_mut(due.slot as usize)?;
        if slot.armed.is_none_or(|armed| armed.sequence != due.sequence) {
            return None;
        }
        slot.armed = None;
        Some(slot.timer)
    }

    /// Forgets all timers; entries that are still in the queue will not be recognised.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// Whether an entry of the queue that comes up now would let a timer fire.
    pub fn is_due(&self, index: u32, sequence: u64) -> bool {
        self.slots.get(index as usize).is_some_and(|slot| {
            slot.queued.is_some_and(|(_, queued)| queued == sequence)
                && slot.armed.is_some_and(|armed| armed.sequence == sequence)
        })
    }

    /// The armed timers, each with its deadline and place in the order.
    pub fn deadlines(&self) -> impl Iterator<Item = (T, u64, u64)> + '_ {
        self.slots.iter().filter_map(|slot| slot.armed.map(|armed| (slot.timer, armed.deadline, armed.sequence)))
    }

    /// The armed timers, each as if it were due.
    pub fn all_due(&self) -> impl Iterator<Item = (T, Due)> + '_ {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let Armed { sequence, cause, .. } = slot.armed?;
            Some((slot.timer, Due { slot: index as u32, sequence, cause }))
        })
    }

    /// The timer that is due, unless it was cancelled or armed anew since.
    pub fn still_due(&self, due: Due) -> Option<T> {
        let slot = self.slots.get(due.slot as usize)?;
        slot.armed.filter(|armed| armed.sequence == due.sequence).map(|_| slot.timer)
    }

    /// The armed timers.
    pub fn armed(&self) -> impl Iterator<Item = T> + '_ {
        self.slots.iter().filter(|slot| slot.armed.is_some()).map(|slot| slot.timer)
    }
}
