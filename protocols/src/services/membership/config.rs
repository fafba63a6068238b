//! The settings of a group.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of all members of a group.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How often each member tells all others that it lives.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub heartbeat_interval: Duration,
    /// For how long a member may be silent before it is suspected.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub heartbeat_timeout: Duration,
    /// How long a suspect has to answer before the others are told.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub verify_timeout: Duration,
    /// Whether each member also watches a connection to the one after it.
    pub socket_detection: bool,
    /// How long a member that starts looks for a group before it founds one.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub discovery_timeout: Duration,
    /// How long a member waits to be let in before it looks for the coordinator again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub join_timeout: Duration,
    /// How long a member that leaves waits for the view without it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub leave_timeout: Duration,
    /// How long the coordinator collects changes for one view.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub bundling: Duration,
    /// Shortest time between two searches of a coordinator for other groups.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub merge_interval_min: Duration,
    /// Longest time between two such searches; drawn at random.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub merge_interval_max: Duration,
    /// How long a coordinator that merges waits for the other's view.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub merge_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Config {
            heartbeat_interval: seconds(3),
            heartbeat_timeout: seconds(10),
            verify_timeout: seconds(2),
            socket_detection: true,
            discovery_timeout: seconds(2),
            join_timeout: seconds(3),
            leave_timeout: seconds(5),
            bundling: Duration::from_millis(50),
            merge_interval_min: seconds(5),
            merge_interval_max: seconds(20),
            merge_timeout: seconds(5),
        }
    }
}

impl Config {
    /// How long a member that has died silently can stay in the view: until it is suspected, verified and left out.
    pub fn detection(&self) -> Duration {
        self.heartbeat_timeout + self.heartbeat_interval + self.verify_timeout + self.bundling
    }

    /// How long it takes, but for very bad luck, until all that run are in one view once nothing breaks any more.
    pub fn recovery(&self) -> Duration {
        3 * (self.detection() + self.join_timeout + self.discovery_timeout)
            + 2 * (self.merge_interval_max + self.merge_timeout)
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn validate(&self) -> Result<(), String> {
        if self.heartbeat_interval.is_zero() || self.heartbeat_timeout <= self.heartbeat_interval {
            return Err(format!(
                "`heartbeat-timeout` is {:?}, expected more than `heartbeat-interval`, {:?}, and that more than zero",
                self.heartbeat_timeout, self.heartbeat_interval
            ));
        }
        if self.merge_interval_min.is_zero() || self.merge_interval_max < self.merge_interval_min {
            return Err(format!(
                "`merge-interval-max` is {:?}, expected at least `merge-interval-min`, {:?}, and that more than zero",
                self.merge_interval_max, self.merge_interval_min
            ));
        }
        if self.discovery_timeout.is_zero() || self.join_timeout.is_zero() {
            return Err("`discovery-timeout` and `join-timeout` must be longer than zero, such as \"2s\"".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        assert_eq!(Config::default().validate(), Ok(()));
        let never = Config { heartbeat_timeout: Duration::from_secs(3), ..Config::default() };
        assert!(never.validate().unwrap_err().contains("`heartbeat-timeout` is 3s"));
        let reversed = Config { merge_interval_max: Duration::from_secs(1), ..Config::default() };
        assert!(reversed.validate().unwrap_err().contains("`merge-interval-max` is 1s"));
    }
}
