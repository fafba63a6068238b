//! A broker's message journal: what it holds, in memory and on disk.
//!
//! Apart from the brokers because every Artemis variant keeps the same journal: the replicated pair copies it, the
//! shared store hands it over, the lock manager orders its copies by activation. It also keeps the few durable facts
//! by which a restarted broker knows what its copy is worth.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sim_core::{Actor, Context};

/// What a broker writes to its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JournalRecord {
    /// A durable message, by its duplicate-detection id.
    Message(u64),
    /// The copy was begun anew: what is on disk from here on is part of another broker's journal.
    CopyBegun,
    /// The copy holds all that its source held, as of the source's activation of this number.
    CopyComplete(u64),
    /// This broker became LIVE; activations of a NodeID are numbered from 1.
    Activated(u64),
    /// This broker handed its NodeID over and no longer claims it.
    Relinquished,
}

/// The journal as its broker knows it: an image of the disk, unsynced writes included.
#[derive(Clone, Debug, Hash)]
pub struct Journal {
    /// In ascending order: clients count their messages, so most are added near an end.
    ids: Vec<u64>,
    /// In the order of arrival, which is the order in which a copy is streamed.
    order: Vec<u64>,
    /// What was there when the last copy was begun, in order: upstream keeps replaced journals in folders of their own.
    set_aside: Vec<u64>,
    complete: bool,
    was_live: bool,
    activation: u64,
}

impl Default for Journal {
    /// An empty journal, which is a complete copy of nothing.
    fn default() -> Self {
        Journal {
            ids: Vec::new(),
            order: Vec::new(),
            set_aside: Vec::new(),
            complete: true,
            was_live: false,
            activation: 0,
        }
    }
}

impl Journal {
    /// Reads the journal back from what the disk kept.
    pub fn recover(records: impl IntoIterator<Item = JournalRecord>) -> Self {
        let mut journal = Journal::default();
        for record in records {
            journal.apply(record);
        }
        journal
    }

    fn apply(&mut self, record: JournalRecord) {
        match record {
            JournalRecord::Message(id) => {
                self.add(id);
            }
            JournalRecord::CopyBegun => {
                let set_aside = std::mem::take(&mut self.order);
                *self = Journal { set_aside, complete: false, ..Journal::default() };
            }
            JournalRecord::CopyComplete(activation) => {
                self.complete = true;
                self.activation = activation;
            }
            JournalRecord::Activated(activation) => {
                self.was_live = true;
                self.activation = activation;
            }
            JournalRecord::Relinquished => self.was_live = false,
        }
    }

    /// Adds a message to the image; returns false if it was there already.
    fn add(&mut self, id: u64) -> bool {
        let Err(place) = self.ids.binary_search(&id) else { return false };
        self.ids.insert(place, id);
        self.order.push(id);
        true
    }

    fn log<A: Actor<Record: From<JournalRecord>>>(&mut self, record: JournalRecord, ctx: &mut Context<A>) {
        self.apply(record);
        ctx.write(record.into());
    }

    /// Appends a message; durable after a sync. Returns false, and writes nothing, if it was there already.
    pub fn append<A: Actor<Record: From<JournalRecord>>>(&mut self, id: u64, ctx: &mut Context<A>) -> bool {
        let new = self.add(id);
        if new {
            ctx.write(JournalRecord::Message(id).into());
        }
        new
    }

    /// Throws everything away, on disk as well, to become a copy of another broker's journal.
    pub fn begin_copy<A: Actor<Record: From<JournalRecord>>>(&mut self, ctx: &mut Context<A>) {
        ctx.truncate();
        self.log(JournalRecord::CopyBegun, ctx);
    }

    /// Notes that the copy holds all that its source held; durable after a sync.
    pub fn complete_copy<A: Actor<Record: From<JournalRecord>>>(&mut self, activation: u64, ctx: &mut Context<A>) {
        self.log(JournalRecord::CopyComplete(activation), ctx);
    }

    /// Notes the next activation of the NodeID, by this broker; durable after a sync.
    pub fn activate<A: Actor<Record: From<JournalRecord>>>(&mut self, ctx: &mut Context<A>) {
        self.log(JournalRecord::Activated(self.activation + 1), ctx);
    }

    /// Notes an activation under a number that was agreed with others; durable after a sync.
    pub fn activate_as<A: Actor<Record: From<JournalRecord>>>(&mut self, activation: u64, ctx: &mut Context<A>) {
        self.log(JournalRecord::Activated(activation), ctx);
    }

    /// Notes that this broker no longer claims the NodeID; durable after a sync.
    pub fn relinquish<A: Actor<Record: From<JournalRecord>>>(&mut self, ctx: &mut Context<A>) {
        self.log(JournalRecord::Relinquished, ctx);
    }

    /// Replaces the image in memory by the first `count` messages of it, as a reload that started back then does.
    pub fn forget_after(&mut self, count: usize) {
        for id in self.order.drain(count..) {
            self.ids.retain(|&kept| kept != id);
        }
    }

    /// Whether a message was in the journal that was set aside for the present copy.
    pub fn has_set_aside(&self, id: u64) -> bool {
        self.set_aside.contains(&id)
    }

    /// Whether a message is there, durable or not.
    pub fn contains(&self, id: u64) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Up to `count` messages from the `from`-th on, to be sent as one chunk.
    pub fn chunk(&self, from: usize, count: usize) -> Arc<[u64]> {
        self.order[from..self.order.len().min(from + count)].into()
    }

    /// False between the beginning and the end of copying another broker's journal.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the last thing known of this broker is that it was LIVE and had not handed over.
    pub fn was_live(&self) -> bool {
        self.was_live
    }

    /// The number of the activation that this copy comes from; 0 before the first.
    pub fn activation(&self) -> u64 {
        self.activation
    }
}

#[cfg(test)]
mod tests {
    use super::JournalRecord::*;
    use super::*;

    #[test]
    fn a_restart_reads_back_what_was_written() {
        let journal = Journal::recover([Activated(1), Message(7), Message(8), Message(7)]);
        assert_eq!((journal.len(), journal.activation(), journal.was_live()), (2, 1, true));
        assert!(journal.contains(7) && journal.contains(8) && journal.is_complete());
        assert_eq!(*journal.chunk(1, 10), [8]);
    }

    #[test]
    fn a_copy_that_was_cut_short_is_known_as_such() {
        let journal = Journal::recover([Activated(1), Message(7), CopyBegun, Message(8)]);
        assert!(!journal.is_complete() && !journal.contains(7) && !journal.was_live());
        let journal = Journal::recover([CopyBegun, Message(8), CopyComplete(4)]);
        assert!(journal.is_complete());
        assert_eq!(journal.activation(), 4);
    }

    #[test]
    fn handing_over_ends_the_claim_but_keeps_the_messages() {
        let journal = Journal::recover([Activated(3), Message(7), Relinquished]);
        assert!(!journal.was_live() && journal.contains(7));
    }
}
