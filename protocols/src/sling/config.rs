//! The settings of discovery and of the repository below it, with the defaults of the specification.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::services::repository;

/// What happens when a sync has waited for longer than its timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum OnSyncTimeout {
    /// It goes on waiting: safety before availability.
    #[default]
    Wait,
    /// Listeners get the view, marked as degraded: not all of its members are known to agree.
    Degrade,
    /// Listeners get the view as if all members had agreed. That is what upstream does.
    Succeed,
}

/// Settings of all nodes of a cluster.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How often an instance reads the discovery-lite descriptor.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub discovery_lite_check_interval: Duration,
    /// How long a changed view is waited with after TOPOLOGY_CHANGING, so that several changes become one.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub min_event_delay: Duration,
    /// How often a sync looks whether it is through; 2s if left out.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub cluster_sync_service_interval: Option<Duration>,
    /// How long each part of a sync waits before `on-sync-timeout` decides.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub cluster_sync_service_timeout: Duration,
    /// What happens then.
    pub on_sync_timeout: OnSyncTimeout,
    /// Whether members of a new view wait for each other at all.
    pub enable_sync_token: bool,
    /// Whether members also confirm to each other which view it is that they agree on. Without it, an instance that
    /// joins can be through before the others know of it, unless `joiner-delay` is long enough.
    pub second_token_round: bool,
    /// How long an instance that joins others holds its first TOPOLOGY_INIT back; zero for not at all.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub joiner_delay: Duration,
    /// Whether instances that have not started completely are left out of the view instead of making it undefined.
    pub suppress_partially_started_instances: bool,
    /// For how long at most; zero for as long as it takes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub suppression_timeout: Duration,
    /// The first part of every leader election id; the smallest id leads.
    pub leader_election_prefix: u64,
    /// Shortest time that each of the three steps of a start takes: before an instance writes its id, before it writes
    /// its leader election id, and before its discovery is active.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub startup_step_min: Duration,
    /// Longest time that each step of a start takes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub startup_step_max: Duration,
    /// Added to a step of the start by the command `stall-start`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub startup_stall: Duration,
    /// Listeners that each instance has from the start.
    pub listeners: u32,
    /// Shortest time that a listener needs for an event.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub listener_latency_min: Duration,
    /// Longest time that a listener needs for an event.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub listener_latency_max: Duration,
    /// Added to the time of the next event after the command `stall-listener`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub listener_stall: Duration,
    /// Longest time from when one part of a sync is through until the next begins on a thread of its own.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub sync_handover_max: Duration,
    /// Time between the two halves of the command `restart-discovery`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub discovery_restart_time: Duration,
    /// How often a job of some other service asks for the topology and blocks its thread until there is one; zero for
    /// no such jobs.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub client_job_interval: Duration,
    /// Threads of the scheduler's shared pool.
    pub scheduler_pool_size: u32,
    /// Whether the repository has a cluster id from the start, or none before the command `assign-cluster-id`.
    pub cluster_id_from_start: bool,
    /// How long a lease lasts from when the repository hears of it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lease_duration: Duration,
    /// How often a lease is renewed.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lease_update_interval: Duration,
    /// How much earlier than the repository an instance takes its own lease for lost, and stops.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lease_failure_margin: Duration,
    /// How often an instance publishes what it has written and reads what others have.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub async_delay: Duration,
    /// How long an instance waits for an answer of the repository before it asks again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub request_timeout: Duration,
    /// How long it takes to publish what a dead instance has left unpublished.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub recovery_time: Duration,
}

/// How often a sync looks whether it is through, unless the settings say otherwise.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(2);

impl Default for Config {
    fn default() -> Self {
        let (seconds, millis) = (Duration::from_secs, Duration::from_millis);
        let repository = repository::Config::default();
        Config {
            discovery_lite_check_interval: seconds(2),
            min_event_delay: seconds(3),
            cluster_sync_service_interval: None,
            cluster_sync_service_timeout: seconds(120),
            on_sync_timeout: OnSyncTimeout::default(),
            enable_sync_token: true,
            second_token_round: true,
            joiner_delay: Duration::ZERO,
            suppress_partially_started_instances: false,
            suppression_timeout: Duration::ZERO,
            leader_election_prefix: 1,
            startup_step_min: millis(100),
            startup_step_max: seconds(1),
            startup_stall: seconds(60),
            listeners: 1,
            listener_latency_min: millis(1),
            listener_latency_max: millis(100),
            listener_stall: seconds(10),
            sync_handover_max: millis(10),
            discovery_restart_time: seconds(1),
            client_job_interval: Duration::ZERO,
            scheduler_pool_size: 5,
            cluster_id_from_start: true,
            lease_duration: repository.lease_duration,
            lease_update_interval: repository.lease_update_interval,
            lease_failure_margin: repository.lease_failure_margin,
            async_delay: repository.async_delay,
            request_timeout: repository.request_timeout,
            recovery_time: repository.recovery_time,
        }
    }
}

impl Config {
    /// The settings of the repository.
    pub fn repository(&self) -> repository::Config {
        repository::Config {
            lease_duration: self.lease_duration,
            lease_update_interval: self.lease_update_interval,
            lease_failure_margin: self.lease_failure_margin,
            async_delay: self.async_delay,
            request_timeout: self.request_timeout,
            recovery_time: self.recovery_time,
        }
    }

    /// How long one round through the cluster takes when nothing is broken: what one instance has written is published,
    /// read, noticed, told to listeners and answered.
    fn round(&self) -> Duration {
        2 * (self.async_delay + self.request_timeout)
            + 2 * self.discovery_lite_check_interval
            + self.min_event_delay
            + 2 * self.cluster_sync_service_interval.unwrap_or(SYNC_INTERVAL)
            + 2 * (self.listener_latency_max * self.listeners.max(1) + self.sync_handover_max)
    }

    /// How long an instance may be kept without a view by another one that has not started completely: it has to
    /// notice, and an instance that is cut off while it starts is only found out when its lease ends.
    pub fn patience(&self) -> Duration {
        self.lease_duration + self.recovery_time + 2 * self.round()
    }

    /// The time that a cluster may need until all instances agree again: the lease of a dead process runs out, it starts
    /// again, and the others take note, one after the other.
    pub fn recovery(&self) -> Duration {
        self.lease_duration
            + self.recovery_time
            + 3 * self.startup_step_max
            + self.startup_stall
            + 2 * self.listener_stall
            + self.discovery_restart_time
            + self.joiner_delay
            + 4 * self.round()
    }

    /// Whether the settings make sense together.
    pub(super) fn validate(&self) -> Result<(), String> {
        let intervals = [
            ("discovery-lite-check-interval", Some(self.discovery_lite_check_interval)),
            ("cluster-sync-service-interval", self.cluster_sync_service_interval),
            ("cluster-sync-service-timeout", Some(self.cluster_sync_service_timeout)),
        ];
        for (name, value) in intervals {
            if value == Some(Duration::ZERO) {
                return Err(format!("`{name}` is zero, expected more, such as \"2s\""));
            }
        }
        for (shortest, longest, name) in [
            (self.startup_step_min, self.startup_step_max, "startup-step"),
            (self.listener_latency_min, self.listener_latency_max, "listener-latency"),
        ] {
            if shortest > longest {
                return Err(format!(
                    "`{name}-min` is {shortest:?}, expected at most `{name}-max`, which is {longest:?}"
                ));
            }
        }
        if self.scheduler_pool_size == 0 {
            return Err("`scheduler-pool-size` is 0, expected at least 1".to_owned());
        }
        if self.second_token_round && !self.enable_sync_token {
            return Err("`second-token-round` needs `enable-sync-token`; switch both on, or both off".to_owned());
        }
        if self.suppress_partially_started_instances && !self.enable_sync_token {
            return Err(
                "`suppress-partially-started-instances` needs `enable-sync-token`, which tells who has started; \
                 switch it on"
                    .to_owned(),
            );
        }
        self.repository().validate()
    }
}
