//! The states that an exploration has been to, in little memory: eight bytes a state and at most a quarter of that again
//! for room to grow.
//!
//! What is kept of a state is its fingerprint of 64 bits. Two different states with the same fingerprint would be taken
//! for one; [`odds_of_confusion`] says how likely that is for so many states.

use std::sync::{Mutex, PoisonError};

/// A set of fingerprints: open addressing in as many tables as keep growing cheap.
///
/// Zero marks a free place, so the fingerprint 0 is kept as 1.
#[derive(Debug)]
pub(super) struct Fingerprints {
    tables: Vec<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// As long as it has to be, not a power of two: a place is found by multiplication.
    places: Vec<u64>,
    taken: usize,
}

/// How many tables there are: one grows at a time, and only its own places are held twice meanwhile.
const TABLES: usize = 64;

impl Default for Fingerprints {
    fn default() -> Self {
        let mut tables = Vec::new();
        tables.resize_with(TABLES, Table::default);
        Fingerprints { tables }
    }
}

/// Which table a fingerprint belongs to, by bits that do not choose its place there.
const fn table_of(fingerprint: u64) -> usize {
    fingerprint as usize % TABLES
}

impl Fingerprints {
    pub fn contains(&self, fingerprint: u64) -> bool {
        self.tables[table_of(fingerprint)].contains(fingerprint)
    }

    /// Adds one; false if it was there.
    pub fn insert(&mut self, fingerprint: u64) -> bool {
        self.tables[table_of(fingerprint)].insert(fingerprint)
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        self.tables.iter().map(|table| table.places.capacity() * size_of::<u64>()).sum()
    }
}

impl Table {
    /// Where to start looking: the high bits of the fingerprint, scaled to the table.
    fn home(&self, fingerprint: u64) -> usize {
        ((u128::from(fingerprint) * self.places.len() as u128) >> 64) as usize
    }

    /// Where a fingerprint is, or the free place where it would be.
    fn find(&self, fingerprint: u64) -> usize {
        let mut at = self.home(fingerprint);
        while self.places[at] != 0 && self.places[at] != fingerprint {
            at = if at + 1 == self.places.len() { 0 } else { at + 1 };
        }
        at
    }

    fn contains(&self, fingerprint: u64) -> bool {
        let fingerprint = fingerprint.max(1);
        !self.places.is_empty() && self.places[self.find(fingerprint)] == fingerprint
    }

    fn insert(&mut self, fingerprint: u64) -> bool {
        let fingerprint = fingerprint.max(1);
        // One place in seven stays free, or looking for what is not there would take long.
        if (self.taken + 1) * 7 > self.places.len() * 6 {
            self.grow();
        }
        let at = self.find(fingerprint);
        let new = self.places[at] == 0;
        if new {
            self.places[at] = fingerprint;
            self.taken += 1;
        }
        new
    }

    /// Grows by an eighth: it costs each fingerprint to be moved a handful of times, and saves the half of a table that
    /// doubling leaves empty.
    fn grow(&mut self) {
        let length = (self.places.len() + self.places.len() / 8).max(self.places.len() + 4);
        let old = std::mem::replace(&mut self.places, vec![0; length]);
        for fingerprint in old.into_iter().filter(|&fingerprint| fingerprint != 0) {
            let at = self.find(fingerprint);
            self.places[at] = fingerprint;
        }
    }
}

/// What several threads have been to: what is known from before, which nobody changes meanwhile, and what they add.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    before: &'a Fingerprints,
    added: Vec<Mutex<Table>>,
}

impl<'a> Seen<'a> {
    pub fn new(before: &'a Fingerprints) -> Self {
        let mut added = Vec::new();
        added.resize_with(TABLES, Mutex::default);
        Seen { before, added }
    }

    /// Adds a state; false if somebody has been there.
    pub fn insert(&self, fingerprint: u64) -> bool {
        let table = &self.added[table_of(fingerprint)];
        // A thread that panicked while it held the lock left nothing half done: adding cannot panic.
        !self.before.contains(fingerprint) && table.lock().unwrap_or_else(PoisonError::into_inner).insert(fingerprint)
    }

    /// What was added.
    pub fn into_added(self) -> Vec<u64> {
        let tables = self.added.into_iter().map(|table| table.into_inner().unwrap_or_else(PoisonError::into_inner));
        tables.flat_map(|table| table.places).filter(|&fingerprint| fingerprint != 0).collect()
    }
}

/// The probability that among so many different states some two have the same fingerprint.
pub fn odds_of_confusion(states: u64) -> f64 {
    let states = states as f64;
    -f64::exp_m1(-states * states / 2.0 / 2_f64.powi(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_what_was_added_and_nothing_else() {
        let mut set = Fingerprints::default();
        let number = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for n in 0..20_000 {
            assert!(!set.contains(number(n)));
            assert!(set.insert(number(n)));
            assert!(!set.insert(number(n)));
        }
        assert!((0..20_000).all(|n| set.contains(number(n))) && !set.contains(number(20_000)));
        assert!(set.bytes() < 20_000 * 11, "{} bytes", set.bytes());
    }

    #[test]
    fn fingerprints_that_fall_together_are_kept_apart() {
        let mut set = Fingerprints::default();
        // The same table and, as only the low bits differ, the same place in it; the last of them at its end.
        for n in 0..100 {
            assert!(set.insert(u64::MAX - n * TABLES as u64));
        }
        assert!((0..100).all(|n| set.contains(u64::MAX - n * TABLES as u64)));
    }

    #[test]
    fn threads_add_to_what_was_known() {
        let mut before = Fingerprints::default();
        before.insert(7);
        let seen = Seen::new(&before);
        assert!(!seen.insert(7));
        assert!(seen.insert(8));
        assert!(!seen.insert(8));
        assert_eq!(seen.into_added(), [8]);
    }

    #[test]
    fn a_billion_states_are_unlikely_to_be_confused() {
        assert_eq!(odds_of_confusion(0), 0.0);
        let odds = odds_of_confusion(1_000_000_000);
        assert!(odds > 0.02 && odds < 0.03, "{odds}");
    }
}
