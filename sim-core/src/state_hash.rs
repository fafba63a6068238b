//! The hash by which states are told apart.
//!
//! A state is hundreds of small numbers. Foldhash packs them into words of 128 bits before it multiplies; that takes longer
//! than the multiplications that it saves, so each number is given to it as a word of its own.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::{FixedState, FoldHasher};

/// Deterministic, and good enough that states can be told apart by 64 bits.
pub(crate) struct StateHasher(FoldHasher<'static>);

pub(crate) fn hasher() -> StateHasher {
    StateHasher(FixedState::default().build_hasher())
}

/// The hash of one small value: what fits into a word or two is best packed. Searches without a clock try what can happen in the
/// order of it.
pub(crate) fn digest(value: impl Hash) -> u64 {
    FixedState::default().hash_one(value)
}

impl Hasher for StateHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0.write_u128(number.into());
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        self.0.write_u128(number);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    // What a variant of an enum is told by.
    #[inline]
    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(value: impl Hash) -> u64 {
        let mut hash = hasher();
        value.hash(&mut hash);
        hash.finish()
    }

    #[test]
    fn neighbours_are_told_apart_wherever_they_stand() {
        let mut seen = std::collections::BTreeSet::new();
        for place in 0..8 {
            for number in 0..=255_u8 {
                let mut numbers = [7_u8; 8];
                numbers[place] = number;
                // Only once is nothing changed in the other places.
                assert_eq!(seen.insert(hashed(numbers.map(u32::from))), number != 7 || place == 0);
            }
        }
    }

    #[test]
    fn the_order_of_numbers_counts() {
        assert_ne!(hashed((1_u64, 2_u64)), hashed((2_u64, 1_u64)));
        assert_ne!(hashed((0_u64, 0_u64)), hashed(0_u64));
        assert_ne!(hashed(("ab", "c")), hashed(("a", "bc")));
    }
}
