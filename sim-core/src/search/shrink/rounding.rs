//! Round numbers: 3 s rather than 2.87341 s.

use std::time::Duration;

use crate::time::nanos;

/// Whole seconds are round enough.
const ROUND: u64 = 1_000_000_000;
/// What other times are rounded to, the roundest first, in nanoseconds.
const STEPS: &[u64] = &[
    10_000_000_000,
    5_000_000_000,
    1_000_000_000,
    500_000_000,
    100_000_000,
    50_000_000,
    10_000_000,
    5_000_000,
    1_000_000,
    500_000,
    100_000,
    10_000,
    1_000,
];

/// Rounder times near this one, the roundest first; none if there is none or it is as round as can be. Zero is not
/// among them.
pub(super) fn rounder(time: Duration) -> Vec<Duration> {
    rounder_nanos(nanos(time)).into_iter().map(Duration::from_nanos).collect()
}

/// The same in nanoseconds.
pub(super) fn rounder_nanos(time: u64) -> Vec<u64> {
    let mut found = Vec::new();
    if time.is_multiple_of(ROUND) {
        return found;
    }
    for &step in STEPS {
        if time.is_multiple_of(step) {
            break; // It is as round as this itself.
        }
        let below = time - time % step;
        let above = below.saturating_add(step);
        let nearest_first = if time - below <= above - time { [below, above] } else { [above, below] };
        found.extend(nearest_first.into_iter().filter(|&other| other > 0 && other / 2 <= time));
    }
    found.dedup();
    found
}

/// Round times that are shorter than this one, the shortest first.
pub(super) fn shorter(time: Duration) -> Vec<Duration> {
    let ladder = [1_u64, 10, 100, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000];
    ladder.into_iter().map(Duration::from_millis).filter(|&shorter| shorter < time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roundest_comes_first_and_a_round_time_stays() {
        let rounder = |text: u64| rounder(Duration::from_micros(text));
        assert_eq!(rounder(2_873_410)[..3], [5, 3, 2].map(Duration::from_secs));
        assert_eq!(rounder(3_000_000), []);
        assert_eq!(rounder(500_000), [Duration::from_secs(1)]);
        assert_eq!(rounder(1), []);
    }
}
