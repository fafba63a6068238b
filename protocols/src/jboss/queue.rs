//! A server's part of a queue: what is in memory, what is held for sessions that may come back, and what is paged.

use std::collections::{BTreeMap, VecDeque};

use sim_core::Instant;

use super::message::{Item, MessageId, SessionId};

/// One part of a queue.
#[derive(Clone, Debug, Default, Hash)]
pub struct Queue {
    /// To be delivered, in this order.
    pub refs: VecDeque<Item>,
    /// The recovery map: delivered by a server that failed, or perhaps delivered.
    pub held: BTreeMap<MessageId, Held>,
    /// What is in the database only.
    pub paging: Paging,
    /// Whether its messages have been loaded.
    pub loaded: bool,
}

/// A message that waits for the session that had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The message.
    pub item: Item,
    /// Which session had it, if that is known.
    pub session: Option<SessionId>,
    /// When it is returned to the queue if nobody claims it.
    pub until: Instant,
}

/// The paging orders of the messages that are in the database only: from the first to, not including, the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Paging {
    /// The order of the oldest.
    pub first: u64,
    /// The order that the next will get.
    pub next: u64,
    /// Whether some of them are being loaded.
    pub loading: bool,
}

impl Paging {
    /// Whether anything is paged.
    pub fn is_active(&self) -> bool {
        self.first < self.next
    }
}

impl Queue {
    /// How many more messages there is room for in memory.
    pub fn room(&self, full_size: u64) -> u64 {
        full_size.saturating_sub(self.refs.len() as u64)
    }

    /// Whether a message is in memory, to be delivered or held.
    pub fn has(&self, message: MessageId) -> bool {
        self.held.contains_key(&message) || self.refs.iter().any(|item| item.id == message)
    }

    /// Takes a message out of the recovery map.
    pub fn claim(&mut self, message: MessageId) -> Option<Item> {
        self.held.remove(&message).map(|held| held.item)
    }

    /// Returns to the queue what `which` selects of the recovery map; whether there was anything.
    pub fn release(&mut self, which: impl Fn(&Held) -> bool) -> bool {
        let released: Vec<MessageId> = self.held.iter().filter(|(_, held)| which(held)).map(|(&id, _)| id).collect();
        for id in released.iter().rev() {
            if let Some(item) = self.claim(*id) {
                self.refs.push_front(item);
            }
        }
        !released.is_empty()
    }
}
