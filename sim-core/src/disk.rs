//! One node's disk: a log of records, of which a tail is not yet durable.
//!
//! Durable records are kept in shared immutable chunks, so that a clone of a world shares them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::copy::{Line, copied_by_field};
use crate::state_hash::hasher;
use crate::{Baseline, SyncToken};

/// Records in a chunk at most: what one write copies when its chunk is shared with a clone.
const CHUNK: usize = 64;

#[derive(Debug)]
pub(crate) struct Disk<R> {
    durable: Log<R>,
    /// Written and not yet durable.
    tail: Line<Write<R>>,
    /// Writes that have become durable so far: the number of the first write of the tail.
    written: u64,
    /// Syncs under way, oldest first.
    syncs: Line<PendingSync>,
    /// When the last sync under way will end: syncs end in order.
    pub busy_until: u64,
    /// Running number of this disk's decisions.
    pub decisions: u32,
    /// When the last sync was called or the machine last stopped, and how many such there were at that instant before.
    last_call: (u64, u32),
    /// Sum of the delays of all troubles in force.
    pub slow_by: u64,
    /// How many troubles in force make syncs fail.
    pub failing: u32,
    /// How many troubles in force make syncs lie.
    pub lying: u32,
}

#[derive(Clone, Debug, Hash)]
enum Write<R> {
    Append(R),
    Truncate,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingSync {
    pub token: SyncToken,
    /// The event that called it.
    pub cause: u64,
    /// Of its entry in the event queue: tells it from a sync of an earlier process.
    sequence: u64,
    /// All writes with smaller numbers become durable.
    up_to: u64,
}

#[derive(Debug)]
struct Log<R> {
    chunks: Vec<Arc<Vec<R>>>,
    /// Hash of the first so many records, for as long as there are any; brought up to date when somebody asks.
    digest: (usize, u64),
}

copied_by_field! {
    impl[R: Clone] Disk<R> {
        durable, tail, written, syncs, busy_until, decisions, last_call, slow_by, failing, lying,
    }
}

copied_by_field! { impl[R] Log<R> { chunks, digest } }

impl<R: Clone> Log<R> {
    fn push(&mut self, record: R) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => match Arc::get_mut(last) {
                Some(own) => own.push(record),
                None => {
                    // With room for this record and for the next: a clone as such has none.
                    let mut copy = Vec::with_capacity((last.len() + 2).min(CHUNK));
                    copy.extend_from_slice(last);
                    copy.push(record);
                    *last = Arc::new(copy);
                }
            },
            _ => self.chunks.push(Arc::new(vec![record])),
        }
    }

    fn apply(&mut self, write: Write<R>) {
        match write {
            Write::Append(record) => self.push(record),
            Write::Truncate => *self = Log::default(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &R> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

impl<R> Default for Log<R> {
    fn default() -> Self {
        Log { chunks: Vec::new(), digest: (0, 0) }
    }
}

impl<R: Clone + Hash> Log<R> {
    /// A hash of all records. Only what was added since the last call is looked at.
    fn digest(&mut self) -> (usize, u64) {
        let (known, mut digest) = self.digest;
        let (chunk, within) = (known / CHUNK, known % CHUNK);
        let mut count = known;
        for (number, records) in self.chunks.iter().enumerate().skip(chunk) {
            for record in &records[if number == chunk { within } else { 0 }..] {
                let mut hash = hasher();
                (digest, record).hash(&mut hash);
                digest = hash.finish();
                count += 1;
            }
        }
        self.digest = (count, digest);
        self.digest
    }
}

impl<R: Clone + Hash> Disk<R> {
    /// Adds to a hash what decides what becomes of the disk, whenever that is.
    pub fn hash_lasting(&mut self, hash: &mut impl Hasher) {
        self.durable.digest().hash(hash);
        hash.write_usize(self.tail.len());
        self.tail.iter().for_each(|write| write.hash(hash));
        for sync in self.syncs.iter() {
            (sync.token, sync.up_to - self.written).hash(hash);
        }
        (self.slow_by, self.failing, self.lying).hash(hash);
    }

    /// What else decides what becomes of it from the moment `soon` on: until when it is busy, what it was asked to do at that
    /// moment already, and what it has decided by chance.
    pub fn passing(&self, soon: u64, baseline: Baseline) -> (u64, u32, u32) {
        (
            if self.busy_until > soon { self.busy_until } else { 0 },
            if self.last_call.0 == soon { self.last_call.1 + 1 } else { 0 },
            if baseline == Baseline::Seeded { self.decisions } else { 0 },
        )
    }
}

impl<R> Default for Disk<R> {
    fn default() -> Self {
        Disk {
            durable: Log::default(),
            tail: Line::default(),
            written: 0,
            syncs: Line::default(),
            busy_until: 0,
            decisions: 0,
            last_call: (u64::MAX, 0),
            slow_by: 0,
            failing: 0,
            lying: 0,
        }
    }
}

impl<R: Clone> Disk<R> {
    /// A disk with these records, all durable.
    pub fn holding(records: impl IntoIterator<Item = R>) -> Self {
        let mut disk = Disk::default();
        records.into_iter().for_each(|record| disk.durable.push(record));
        disk
    }

    pub fn append(&mut self, record: R) {
        self.tail.push_back(Write::Append(record));
    }

    pub fn truncate(&mut self) {
        self.tail.push_back(Write::Truncate);
    }

    /// Begins a sync of everything written so far.
    pub fn begin_sync(&mut self, token: SyncToken, cause: u64, sequence: u64) {
        let up_to = self.written + self.tail.len() as u64;
        self.syncs.push_back(PendingSync { token, cause, sequence, up_to });
    }

    /// How many syncs and crashes there were at this instant before the one that comes now.
    pub fn ordinal_at(&mut self, now: u64) -> u32 {
        let (at, ordinal) = self.last_call;
        self.last_call = (now, if at == now { ordinal + 1 } else { 0 });
        self.last_call.1
    }

    /// Ends the oldest sync under way. What it covers is durable unless the disk fails or lies.
    pub fn end_sync(&mut self, sequence: u64) -> Option<(PendingSync, bool)> {
        let sync = self.syncs.pop_front_if(|sync| sync.sequence == sequence)?;
        if self.failing > 0 {
            return Some((sync, false));
        }
        if self.lying == 0 {
            while self.written < sync.up_to {
                let write = self.tail.pop_front().expect("the tail holds every write that is not durable");
                self.durable.apply(write);
                self.written += 1;
            }
        }
        Some((sync, true))
    }

    /// The oldest sync under way has ended, well or not; `None` if it is another one.
    pub fn sync_ended(&mut self, token: SyncToken, ok: bool) -> Option<()> {
        let oldest = self.syncs.front().filter(|sync| sync.token == token)?.sequence;
        self.failing += u32::from(!ok);
        let ended = self.end_sync(oldest);
        self.failing -= u32::from(!ok);
        ended.map(|_| ())
    }

    /// Which of the syncs under way an entry of the event queue will end.
    pub fn place_of_sync(&self, sequence: u64) -> Option<usize> {
        self.syncs.iter().position(|sync| sync.sequence == sequence)
    }

    /// How many writes are not durable.
    pub fn unsynced(&self) -> usize {
        self.tail.len()
    }

    /// The process stops in good order: the operating system writes everything back.
    pub fn flush(&mut self) {
        self.settle(usize::MAX, |_| None);
    }

    /// The machine stops: the first `kept` unsynced writes survive, and of the one at the edge what `torn` says.
    pub fn crash(&mut self, kept: usize, torn: impl FnOnce(&R) -> Option<R>) {
        self.settle(kept, torn);
    }

    fn settle(&mut self, kept: usize, torn: impl FnOnce(&R) -> Option<R>) {
        self.written += self.tail.len() as u64;
        let mut tail = std::mem::take(&mut *self.tail).into_iter();
        for write in tail.by_ref().take(kept) {
            self.durable.apply(write);
        }
        if let Some(Write::Append(edge)) = tail.next()
            && let Some(rest) = torn(&edge)
        {
            self.durable.push(rest);
        }
        self.syncs.clear();
        self.busy_until = 0;
    }

    /// What would survive if nothing of the tail did, oldest first.
    pub fn durable(&self) -> impl Iterator<Item = &R> {
        self.durable.iter()
    }

    /// All that was written and not truncated, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &R> {
        let truncated = self.tail.iter().rposition(|write| matches!(write, Write::Truncate));
        let durable = if truncated.is_some() { None } else { Some(self.durable.iter()) };
        let from = truncated.map_or(0, |at| at + 1);
        durable.into_iter().flatten().chain(self.tail.iter().skip(from).filter_map(|write| match write {
            Write::Append(record) => Some(record),
            Write::Truncate => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with(durable: u32, unsynced: u32) -> Disk<u32> {
        let mut disk = Disk::default();
        (0..durable).for_each(|n| disk.append(n));
        disk.begin_sync(SyncToken(1), 0, 1);
        disk.end_sync(1);
        (durable..durable + unsynced).for_each(|n| disk.append(n));
        disk
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_a_prefix_of_the_rest() {
        let mut disk = disk_with(100, 5);
        disk.crash(2, |_| None);
        assert_eq!(disk.durable().copied().collect::<Vec<_>>(), (0..102).collect::<Vec<_>>());
        assert_eq!(disk.unsynced(), 0);
    }

    #[test]
    fn the_write_at_the_edge_may_be_torn() {
        let mut disk = disk_with(0, 3);
        disk.crash(1, |edge| Some(edge + 1000));
        assert_eq!(disk.durable().copied().collect::<Vec<_>>(), [0, 1001]);
    }

    #[test]
    fn a_truncation_is_only_as_durable_as_a_write() {
        let mut disk = disk_with(3, 0);
        disk.truncate();
        disk.append(9);
        assert_eq!(disk.all().copied().collect::<Vec<_>>(), [9]);
        let mut crashed = disk.clone();
        crashed.crash(0, |_| None);
        assert_eq!(crashed.durable().copied().collect::<Vec<_>>(), [0, 1, 2]);
        disk.flush();
        assert_eq!(disk.durable().copied().collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_was_called() {
        let mut disk = disk_with(0, 1);
        disk.begin_sync(SyncToken(2), 0, 2);
        disk.append(1);
        disk.end_sync(2);
        assert_eq!(disk.durable().copied().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn a_lying_disk_reports_success_and_keeps_nothing() {
        let mut disk = disk_with(0, 2);
        disk.lying = 1;
        disk.begin_sync(SyncToken(2), 0, 2);
        assert!(disk.end_sync(2).is_some_and(|(_, ok)| ok));
        disk.crash(0, |_| None);
        assert_eq!(disk.durable().count(), 0);
    }
}
