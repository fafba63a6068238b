//! Virtual time, and the clock that each node believes in.
//!
//! The world has one true clock, which only moves when an event is taken from the queue. Each node reads it
//! through a [`LocalClock`] of its own, which may be offset and may drift: a protocol that compares the clocks of
//! two machines, or that trusts a lease to end everywhere at once, is caught because they differ.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on one clock, in nanoseconds since that clock read zero.
///
/// The world's clock reads zero at the start of a run. A node's clock reads its own offset then; instants of
/// different nodes are therefore not comparable, just as on real machines.
///
/// ```
/// use sim_core::Instant;
/// use std::time::Duration;
/// let start = Instant::from_secs(14);
/// assert_eq!((start + Duration::from_millis(203)).to_string(), "14.203s");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instant(u64);

impl Instant {
    /// The moment at which every run starts.
    pub const ZERO: Instant = Instant(0);
    /// Later than anything that can happen: about 584 years.
    pub const MAX: Instant = Instant(u64::MAX);

    /// The instant `nanos` nanoseconds after zero.
    pub const fn from_nanos(nanos: u64) -> Self {
        Instant(nanos)
    }

    /// The instant `secs` seconds after zero; saturates at [`Instant::MAX`].
    pub const fn from_secs(secs: u64) -> Self {
        Instant(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since zero.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since zero, for display and statistics; decisions use whole nanoseconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Instant {
    fn from(since_zero: Duration) -> Self {
        Instant(nanos(since_zero))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(rhs)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        self.since(rhs)
    }
}

/// Seconds, with as many decimals as the instant has, so that a printed time can be pasted back exactly.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{secs}s");
        }
        let digits = format!("{nanos:09}");
        write!(f, "{secs}.{}s", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whole nanoseconds of a duration; saturates at about 584 years.
pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

/// How one node's clock differs from the world's, from the start of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClockSetting {
    /// What the node's clocks read when the world's reads zero.
    pub offset: Duration,
    /// Parts per million by which the node's clocks run fast (positive) or slow (negative); within
    /// ±[`ClockSetting::MAX_DRIFT_PPM`].
    pub drift_ppm: i32,
}

impl ClockSetting {
    /// The largest drift that can be asked for: a clock that runs at half or one and a half times true speed.
    pub const MAX_DRIFT_PPM: i32 = 500_000;
}

/// One node's clock: a straight line through an anchor, whose slope is the drift.
///
/// Two readings come from it. The *monotonic* clock ([`LocalClock::now`]) never goes back; timers run on it. The
/// *wall* clock ([`LocalClock::wall`]) is the same plus steps in either direction, as an operator or NTP makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalClock {
    /// World time of the anchor.
    anchor: u64,
    /// Local time of the anchor.
    local: u64,
    drift_ppm: i32,
    /// Sum of all steps of the wall clock, in nanoseconds.
    wall_steps: i64,
}

const MILLION: i128 = 1_000_000;

impl LocalClock {
    /// A clock as set at the start of a run.
    ///
    /// # Panics
    /// If the drift is beyond ±[`ClockSetting::MAX_DRIFT_PPM`].
    pub fn new(setting: ClockSetting) -> Self {
        assert_drift(setting.drift_ppm);
        LocalClock { anchor: 0, local: nanos(setting.offset), drift_ppm: setting.drift_ppm, wall_steps: 0 }
    }

    /// What the monotonic clock reads at world time `at`, which must not lie before the last change of drift.
    pub fn now(&self, at: Instant) -> Instant {
        let elapsed = at.0 - self.anchor;
        if self.drift_ppm == 0 {
            return Instant(self.local + elapsed);
        }
        let gained = i128::from(elapsed) * i128::from(self.drift_ppm) / MILLION;
        Instant((i128::from(self.local) + i128::from(elapsed) + gained) as u64)
    }

    /// What the wall clock reads at world time `at`; stops at zero if it was stepped back past it.
    pub fn wall(&self, at: Instant) -> Instant {
        Instant(self.now(at).0.saturating_add_signed(self.wall_steps))
    }

    /// The world time that passes while this clock counts `local`, rounded up so that a timer is never early on
    /// its own clock.
    pub fn world_duration(&self, local: Duration) -> Duration {
        if self.drift_ppm == 0 {
            return local;
        }
        let rate = MILLION + i128::from(self.drift_ppm);
        let scaled = i128::from(nanos(local)) * MILLION;
        Duration::from_nanos(((scaled + rate - 1) / rate) as u64)
    }

    /// Changes the drift from world time `at` on. The reading stays continuous; timers that are already armed keep
    /// the moment that was computed when they were set.
    ///
    /// # Panics
    /// If the drift is beyond ±[`ClockSetting::MAX_DRIFT_PPM`].
    pub fn set_drift(&mut self, at: Instant, drift_ppm: i32) {
        assert_drift(drift_ppm);
        self.local = self.now(at).0;
        self.anchor = at.0;
        self.drift_ppm = drift_ppm;
    }

    /// Steps the wall clock by `nanos`, in either direction. The monotonic clock does not notice.
    pub fn step_wall(&mut self, nanos: i64) {
        self.wall_steps = self.wall_steps.saturating_add(nanos);
    }

    /// The current drift in parts per million.
    pub fn drift_ppm(&self) -> i32 {
        self.drift_ppm
    }
}

fn assert_drift(drift_ppm: i32) {
    assert!(
        drift_ppm.abs() <= ClockSetting::MAX_DRIFT_PPM,
        "a drift of {drift_ppm} ppm is beyond the limit of {} ppm",
        ClockSetting::MAX_DRIFT_PPM
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_instant_keeps_every_digit() {
        assert_eq!(Instant::from_nanos(14_203_000_001).to_string(), "14.203000001s");
        assert_eq!(Instant::from_secs(3).to_string(), "3s");
    }

    #[test]
    fn a_fast_clock_fires_its_timers_early_in_world_time_but_never_early_on_itself() {
        let clock = LocalClock::new(ClockSetting { offset: Duration::from_secs(7), drift_ppm: 100_000 });
        let world = clock.world_duration(Duration::from_secs(11));
        assert_eq!(world, Duration::from_secs(10));
        let read = clock.now(Instant::ZERO + world);
        assert!(read.since(clock.now(Instant::ZERO)) >= Duration::from_secs(11));
    }

    #[test]
    fn a_change_of_drift_does_not_move_the_reading() {
        let mut clock = LocalClock::new(ClockSetting { offset: Duration::ZERO, drift_ppm: -200_000 });
        let at = Instant::from_secs(10);
        let before = clock.now(at);
        clock.set_drift(at, 300_000);
        assert_eq!(clock.now(at), before);
        assert_eq!(clock.now(at + Duration::from_secs(10)).since(before), Duration::from_secs(13));
    }

    #[test]
    fn a_step_moves_the_wall_clock_only() {
        let mut clock = LocalClock::new(ClockSetting::default());
        let at = Instant::from_secs(5);
        clock.step_wall(-2_000_000_000);
        assert_eq!(clock.now(at), at);
        assert_eq!(clock.wall(at), Instant::from_secs(3));
    }
}
