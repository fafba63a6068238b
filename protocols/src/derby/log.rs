//! A transaction log with its instants, and what redoing it comes to.
//!
//! An instant is a position in the log in bytes. Replication stands or falls with both sides having the same record at
//! the same instant, so a record knows the instant that it was first written at, and a log knows where it ends.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use super::message::Record;

/// What a log record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body {
    /// A transaction has changed something.
    Update(u64),
    /// A transaction has committed.
    Commit(u64),
    /// A transaction has been rolled back.
    Abort(u64),
    /// Everything before is in the data files: older log can be pruned.
    Checkpoint,
}

/// A log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Where it begins, in bytes.
    pub instant: u64,
    /// Its length in bytes.
    pub length: u32,
    /// What it says.
    pub body: Body,
}

impl Entry {
    /// Where the next record begins.
    pub fn end(&self) -> u64 {
        self.instant + u64::from(self.length)
    }
}

/// The end of a log, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The highest instant.
    pub instant: u64,
    /// Checksum of all records up to it.
    pub checksum: u64,
}

impl Position {
    /// Of an empty log.
    pub const START: Position = Position { instant: 0, checksum: 0xcbf2_9ce4_8422_2325 };

    /// After one more record.
    fn after(self, entry: &Entry) -> Position {
        let (kind, transaction) = match entry.body {
            Body::Update(transaction) => (1, transaction),
            Body::Commit(transaction) => (2, transaction),
            Body::Abort(transaction) => (3, transaction),
            Body::Checkpoint => (4, 0),
        };
        let mut checksum = self.checksum;
        for word in [entry.instant, u64::from(entry.length), kind, transaction] {
            checksum = (checksum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
        Position { instant: entry.end(), checksum }
    }
}

/// A log and the content of the database that it leads to.
#[derive(Clone, Debug, Default, Hash)]
pub struct Log {
    /// Each record with the checksum up to its end.
    entries: Vec<(Entry, u64)>,
    /// Where the oldest record begins that recovery needs.
    pruned_to: u64,
    /// Transactions that have changed something and neither committed nor rolled back.
    open: BTreeSet<u64>,
    /// Transactions whose changes are in the database for good.
    held: BTreeSet<u64>,
}

impl Log {
    /// What a disk holds.
    pub fn recover(disk: &[Record]) -> Log {
        let mut log = Log::default();
        for record in disk {
            match *record {
                Record::Log(entry) => log.push(entry),
                Record::Page(transaction) => log.write_page(transaction),
                Record::Pruned(instant) => log.prune(instant),
                Record::Superseded(_) | Record::Fenced | Record::Promoted(_) => {}
            }
        }
        log
    }

    /// Where it ends.
    pub fn position(&self) -> Position {
        self.entries
            .last()
            .map_or(Position::START, |(entry, checksum)| Position { instant: entry.end(), checksum: *checksum })
    }

    /// The position whose instant is `instant`, if a record ends there.
    pub fn position_at(&self, instant: u64) -> Option<Position> {
        if instant == 0 {
            return Some(Position::START);
        }
        let at = self.entries.binary_search_by_key(&instant, |(entry, _)| entry.end()).ok()?;
        Some(Position { instant, checksum: self.entries[at].1 })
    }

    /// Writes a record at the end and returns it.
    pub fn append(&mut self, body: Body, length: u32) -> Entry {
        let entry = Entry { instant: self.position().instant, length, body };
        self.push(entry);
        entry
    }

    fn push(&mut self, entry: Entry) {
        let position = self.position().after(&entry);
        self.entries.push((entry, position.checksum));
        match entry.body {
            Body::Update(transaction) => _ = self.open.insert(transaction),
            Body::Commit(transaction) => {
                if self.open.remove(&transaction) {
                    self.held.insert(transaction);
                }
            }
            Body::Abort(transaction) => _ = self.open.remove(&transaction),
            Body::Checkpoint => {}
        }
    }

    /// A transaction changes a data file without a log record.
    pub fn write_page(&mut self, transaction: u64) {
        self.open.insert(transaction);
    }

    /// Forgets what is older than a checkpoint.
    pub fn prune(&mut self, instant: u64) {
        self.pruned_to = instant;
    }

    /// How much of the log recovery has to keep, in bytes.
    pub fn kept(&self) -> u64 {
        self.position().instant - self.pruned_to
    }

    /// Transactions to undo.
    pub fn open(&self) -> Vec<u64> {
        self.open.iter().copied().collect()
    }

    /// Whether a transaction has committed here, with what it changed.
    pub fn holds(&self, transaction: u64) -> bool {
        self.held.contains(&transaction)
    }

    /// All records, oldest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter().map(|(entry, _)| entry)
    }

    /// The record with this number, counted from 0.
    pub fn entry(&self, number: usize) -> Option<&Entry> {
        self.entries.get(number).map(|(entry, _)| entry)
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// The log as a copy of the database holds it: every page is in the data files.
    pub fn records(&self) -> Vec<Record> {
        let pages = self.held.iter().chain(&self.open).map(|&transaction| Record::Page(transaction));
        pages.chain(self.entries().map(|&entry| Record::Log(entry))).chain([Record::Pruned(self.pruned_to)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_counts_only_with_what_was_changed() {
        let mut log = Log::default();
        log.append(Body::Update(1), 100);
        log.append(Body::Commit(1), 100);
        log.append(Body::Commit(2), 100);
        log.append(Body::Update(3), 100);
        assert!(log.holds(1) && !log.holds(2) && !log.holds(3));
        assert_eq!(log.open(), [3]);
        assert_eq!(log.position().instant, 400);
    }

    #[test]
    fn a_copy_is_the_same_database_at_the_same_position() {
        let mut log = Log::default();
        log.write_page(7);
        log.append(Body::Commit(7), 100);
        log.append(Body::Update(8), 100);
        log.append(Body::Checkpoint, 50);
        log.prune(200);
        let copy = Log::recover(&log.records());
        assert_eq!(copy.position(), log.position());
        assert!(copy.holds(7));
        assert_eq!((copy.open(), copy.kept()), (vec![8], 50));
    }

    #[test]
    fn equal_instants_of_different_logs_have_different_checksums() {
        let (mut one, mut other) = (Log::default(), Log::default());
        one.append(Body::Update(1), 100);
        other.append(Body::Update(2), 100);
        assert_eq!(one.position().instant, other.position().instant);
        assert_ne!(one.position(), other.position());
        assert_eq!(one.position_at(100), Some(one.position()));
        assert_eq!(one.position_at(99), None);
    }
}
