//! The states that an exploration has been to, in little memory: eight bytes a state, and for room to grow on average a
//! quarter of that again.
//!
//! What is kept of a state is its fingerprint of 64 bits. Two different states with the same fingerprint would be taken
//! for one; [`odds_of_confusion`] says how likely that is for so many states.

use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// How many places a table has of whose memory nobody takes notice: half a million in all tables.
const SMALL: usize = 1 << 13;

/// Which table a fingerprint belongs to, by bits that do not choose its place there.
const fn table_of(fingerprint: u64) -> usize {
    fingerprint as usize % TABLES
}

impl Fingerprints {
    /// Adds one; false if it was there.
    pub fn insert(&mut self, fingerprint: u64) -> bool {
        self.tables[table_of(fingerprint)].insert(fingerprint)
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        self.tables.iter().map(Table::bytes).sum()
    }
}

/// The same for several threads.
#[derive(Debug)]
pub(super) struct Seen {
    tables: Vec<Mutex<Table>>,
}

impl Default for Seen {
    fn default() -> Self {
        let mut tables = Vec::new();
        tables.resize_with(TABLES, Mutex::default);
        Seen { tables }
    }
}

impl Seen {
    fn table(&self, number: usize) -> MutexGuard<'_, Table> {
        // A thread that panicked while it held the lock left nothing half done: adding cannot panic.
        self.tables[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a state; false if somebody has been there.
    pub fn insert(&self, fingerprint: u64) -> bool {
        self.table(table_of(fingerprint)).insert(fingerprint)
    }

    /// Forgets states as if nobody had been there: slowly.
    pub fn forget(&self, fingerprints: &[u64]) {
        let mut forgotten = vec![Vec::new(); TABLES];
        fingerprints.iter().for_each(|&fingerprint| forgotten[table_of(fingerprint)].push(fingerprint.max(1)));
        for (number, mut forgotten) in forgotten.into_iter().enumerate() {
            forgotten.sort_unstable();
            let mut table = self.table(number);
            let mut kept = std::mem::take(&mut *table).places;
            kept.retain(|place| *place != 0 && forgotten.binary_search(place).is_err());
            // They come in the order of their homes: in a table that grew meanwhile all would want to be at its beginning.
            table.places = vec![0; length_for(kept.len())];
            kept.into_iter().for_each(|fingerprint| _ = table.insert(fingerprint));
        }
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        (0..TABLES).map(|number| self.table(number).bytes()).sum()
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

    fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<u64>()
    }

    fn insert(&mut self, fingerprint: u64) -> bool {
        let fingerprint = fingerprint.max(1);
        if self.places.is_empty() {
            self.grow();
        }
        let mut at = self.find(fingerprint);
        if self.places[at] != 0 {
            return false;
        }
        // One place in seven stays free, or looking for what is not there would take long. Grows for new ones only, so that
        // its size depends on nothing but their number.
        if (self.taken + 1) * 7 > self.places.len() * 6 {
            self.grow();
            at = self.find(fingerprint);
        }
        self.places[at] = fingerprint;
        self.taken += 1;
        true
    }

    /// Grows by an eighth: it costs each fingerprint to be moved a handful of times, and saves the half of a table that
    /// doubling leaves empty. By a quarter while that is not much memory.
    fn grow(&mut self) {
        let length = grown(self.places.len());
        let old = std::mem::replace(&mut self.places, vec![0; length]);
        for fingerprint in old.into_iter().filter(|&fingerprint| fingerprint != 0) {
            let at = self.find(fingerprint);
            self.places[at] = fingerprint;
        }
    }
}

/// The next larger length of a table.
fn grown(length: usize) -> usize {
    let room = if length < SMALL { length / 4 } else { length / 8 };
    length + room.max(4)
}

/// The length that a table has grown to when it has taken so many.
fn length_for(taken: usize) -> usize {
    let lengths = std::iter::successors(Some(0), |&length| Some(grown(length)));
    lengths.into_iter().find(|length| taken * 7 <= length * 6).expect("lengths have no end")
}

/// The probability that among so many different states some two have the same fingerprint.
pub fn odds_of_confusion(states: u64) -> f64 {
    let states = states as f64;
    -f64::exp_m1(-states * states / 2.0 / 2_f64.powi(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn forgetting_leaves_a_table_as_if_nobody_had_been_there() {
        let (seen, fresh) = (Seen::default(), Seen::default());
        let count = 400_000;
        (0..count).for_each(|n| assert!(seen.insert(number(n))));
        seen.forget(&(0..count).filter(|n| n % 10 == 0).map(number).collect::<Vec<_>>());
        (0..count).filter(|n| n % 10 != 0).for_each(|n| assert!(fresh.insert(number(n))));
        assert_eq!(seen.bytes(), fresh.bytes());
        (0..count).for_each(|n| assert_eq!(seen.insert(number(n)), n % 10 == 0, "{n}"));
    }

    #[test]
    fn it_knows_what_was_added_and_nothing_else() {
        let mut set = Fingerprints::default();
        assert!((0..20_000).all(|n| set.insert(number(n)) && !set.insert(number(n))));
        assert!((0..20_000).all(|n| !set.insert(number(n))) && set.insert(number(20_000)));
        assert!(set.bytes() < 20_000 * 11, "{} bytes", set.bytes());
    }

    #[test]
    fn fingerprints_that_fall_together_are_kept_apart() {
        let mut set = Fingerprints::default();
        // The same table and, as only the low bits differ, the same place in it; the last of them at its end.
        assert!((0..100).all(|n| set.insert(u64::MAX - n * TABLES as u64)));
        assert!((0..100).all(|n| !set.insert(u64::MAX - n * TABLES as u64)));
    }

    #[test]
    fn zero_is_a_fingerprint_too() {
        let seen = Seen::default();
        assert!(seen.insert(0) && !seen.insert(0));
        seen.forget(&[0]);
        assert!(seen.insert(0));
    }

    #[test]
    fn what_is_forgotten_is_new_and_the_rest_is_not() {
        let seen = Seen::default();
        (0..1_000).for_each(|n| assert!(seen.insert(number(n))));
        seen.forget(&(500..1_000).map(number).collect::<Vec<_>>());
        assert!((0..500).all(|n| !seen.insert(number(n))));
        assert!((500..1_000).all(|n| seen.insert(number(n))));
    }

    #[test]
    fn a_billion_states_are_unlikely_to_be_confused() {
        assert_eq!(odds_of_confusion(0), 0.0);
        let odds = odds_of_confusion(1_000_000_000);
        assert!(odds > 0.02 && odds < 0.03, "{odds}");
    }
}
