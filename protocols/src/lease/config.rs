//! The settings of a lease, and the arithmetic that makes it safe on clocks that drift.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use sim_core::ClockSetting;

/// The settings; every member must have the same.
#[derive(Clone, Debug, Deserialize, JsonSchema, Hash)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// For how long a member promises, on its own clock, to support nobody else.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub term: Duration,
    /// How often the holder asks again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub renew_every: Duration,
    /// How long at most, drawn at random, a member waits before it tries to get a lease that may be free. What keeps
    /// members from asking at the same time and blocking each other.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub backoff: Duration,
    /// How often the holder writes to the store.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub write_every: Duration,
    /// How far from true speed any clock may be, in parts per million. The lease is safe up to this much.
    pub max_drift_ppm: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            term: Duration::from_secs(3),
            renew_every: Duration::from_secs(1),
            backoff: Duration::from_secs(2),
            write_every: Duration::from_secs(1),
            max_drift_ppm: 50_000,
        }
    }
}

impl Config {
    /// For how long after asking a holder may trust its lease, on its own clock.
    ///
    /// The slowest allowed clock counts `usable` while `usable / (1 - drift)` passes; the fastest one ends its
    /// promise after `term / (1 + drift)`. The first must not be longer than the second.
    pub fn usable(&self) -> Duration {
        let (million, drift) = (1_000_000, u128::from(self.max_drift_ppm));
        let nanos = self.term.as_nanos() * (million - drift) / (million + drift);
        Duration::from_nanos(nanos as u64)
    }

    /// How long it takes at most, but for very bad luck, until there is a holder once nothing breaks any more: ten
    /// rounds of old promises that run out and a wait before the next try.
    pub fn recovery(&self) -> Duration {
        10 * (self.term + self.backoff)
    }

    /// Whether the settings make sense together.
    pub fn validate(&self) -> Result<(), String> {
        if self.max_drift_ppm > ClockSetting::MAX_DRIFT_PPM as u32 {
            return Err(format!(
                "`max-drift-ppm` is {}, expected at most {}",
                self.max_drift_ppm,
                ClockSetting::MAX_DRIFT_PPM
            ));
        }
        if self.write_every.is_zero() {
            return Err("`write-every` is zero, expected more, such as \"1s\"".to_owned());
        }
        if self.renew_every.is_zero() || self.renew_every >= self.usable() {
            return Err(format!(
                "`renew-every` is {:?}, expected more than zero and less than {:?}, the part of `term` that a holder \
                 can use on clocks that drift by {} ppm",
                self.renew_every,
                self.usable(),
                self.max_drift_ppm
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_on_the_slowest_clock_ends_before_a_promise_on_the_fastest() {
        for max_drift_ppm in [0, 1, 50_000, 500_000] {
            let config = Config { max_drift_ppm, ..Config::default() };
            let drift = f64::from(max_drift_ppm) / 1e6;
            let lease = config.usable().as_secs_f64() / (1.0 - drift);
            let promise = config.term.as_secs_f64() / (1.0 + drift);
            assert!(lease <= promise + 1e-9, "{max_drift_ppm} ppm: {lease} s, {promise} s");
            assert!(lease > promise - 1e-6, "{max_drift_ppm} ppm: the margin is larger than it must be");
        }
    }

    #[test]
    fn renewing_too_late_is_refused_with_the_limit() {
        let config = Config { renew_every: Duration::from_secs(3), ..Config::default() };
        assert!(config.validate().unwrap_err().contains("`renew-every` is 3s"));
        assert_eq!(Config::default().validate(), Ok(()));
    }
}
