//! What one step of a search draws: a function of the search's seed and the number of the step, and of nothing else.

use std::time::Duration;

use sim_core::{Randomness, Site};

/// Tells the draws of a search from those of the run with the same seed.
const SALT: u64 = 0x6775_6964_6564;

pub struct Dice {
    randomness: Randomness,
    site: Site,
    drawn: u32,
}

impl Dice {
    pub fn new(seed: u64, step: u64) -> Self {
        // A key for each four billion steps, and a stream for each step of them.
        let key = seed ^ SALT ^ (step >> 32).rotate_left(48);
        Dice { randomness: Randomness::new(key), site: Site::Plan(step as u32), drawn: 0 }
    }

    pub fn word(&mut self) -> u64 {
        let draw = self.randomness.draw(self.site, self.drawn);
        self.drawn += 1;
        u64::from(draw[0]) << 32 | u64::from(draw[1])
    }

    /// Evenly from `0..end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(end)) >> 64) as u64
    }

    /// From nothing to `least` doubled `doublings` times, each order of magnitude as likely as the next.
    pub fn span(&mut self, least: Duration, doublings: u64) -> Duration {
        let most = (least.as_nanos() as u64) << self.below(doublings);
        Duration::from_nanos(self.below(most))
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        (!list.is_empty()).then(|| &list[self.below(list.len() as u64) as usize])
    }
}
