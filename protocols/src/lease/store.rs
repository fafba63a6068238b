//! What the lease protects: a store of one value that takes writes under the newest epoch only.

use std::collections::VecDeque;

use sim_core::{Constant, Context, SyncToken};

use super::{Defects, Node, Record};

/// The store.
#[derive(Clone, Debug, Hash)]
pub struct Store {
    defects: Constant<Defects>,
    /// The highest epoch of all writes that have arrived.
    fence: u64,
    /// Epoch and value of the last write that is durable, which is when it counts.
    stored: Option<(u64, u64)>,
    /// Writes that are not durable yet, oldest first.
    pending: VecDeque<(SyncToken, u64, u64)>,
}

impl Store {
    pub(super) fn new(defects: Defects) -> Self {
        Store { defects: Constant(defects), fence: 0, stored: None, pending: VecDeque::new() }
    }

    /// Epoch and value of the last write that counts.
    pub fn stored(&self) -> Option<(u64, u64)> {
        self.stored
    }

    pub(super) fn start(&mut self, disk: &[Record]) {
        if let Some(&Record::Written { epoch, value }) = disk.last() {
            self.fence = epoch;
            self.stored = Some((epoch, value));
        }
    }

    pub(super) fn write(&mut self, epoch: u64, value: u64, ctx: &mut Context<Node>) {
        // Defect no-fencing: there is no such comparison.
        if epoch < self.fence && !self.defects.no_fencing {
            ctx.mark("stale-write-refused");
            return;
        }
        self.fence = epoch;
        ctx.write(Record::Written { epoch, value });
        self.pending.push_back((ctx.sync(), epoch, value));
    }

    pub(super) fn synced(&mut self, token: SyncToken) {
        // A sync makes everything durable that was written before it, also what an earlier sync is still busy with.
        while let Some(&(pending, epoch, value)) = self.pending.front()
            && pending <= token
        {
            self.pending.pop_front();
            self.stored = Some((epoch, value));
        }
    }
}
