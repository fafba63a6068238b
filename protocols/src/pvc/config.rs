//! The settings, with the defaults of the specification.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// What becomes of the virtual machines of a node after its fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// They are started elsewhere.
    Migrate,
    /// They wait for their node.
    None,
}

/// Settings of all nodes of a cluster.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How often a node reports that it is alive, and looks at the others.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub keepalive_interval: Duration,
    /// After how many intervals without a report a node is dead.
    pub fence_intervals: u32,
    /// How many intervals more a dead node has for reporting before it is shot.
    pub saving_throws: u32,
    /// How long the outcome of a fence is left to settle before it is acted upon.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub post_fence_hold: Duration,
    /// From asking a board to switch off to asking it whether it has.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub ipmi_off_wait: Duration,
    /// From asking a board to switch on to asking it whether it has.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub ipmi_on_wait: Duration,
    /// How long a board may take to answer before it is asked again; it is asked three times.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub ipmi_patience: Duration,
    /// From power-on to the start of a node's daemon.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub boot_time: Duration,
    /// How much later a board answers that was told to be slow.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub slow_board_time: Duration,
    /// What becomes of the virtual machines of a node that was fenced.
    pub successful_fence: Policy,
    /// What becomes of the virtual machines of a node that could not be fenced.
    pub failed_fence: Policy,
    /// After how many intervals without contact to the coordination service a node stops itself; never if zero.
    pub suicide_intervals: u32,
    /// How long a contender waits for the exclusive lock.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub contention_lock_timeout: Duration,
    /// Whether a contender checks, under the lock, that the key has not been written since it saw `none`.
    pub contention_failsafe: bool,
    /// Longest pause, drawn at random, before a contender that lost without a winner tries again; at least half of it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub contention_retry: Duration,
    /// From learning who is primary to acting upon it. Longer than the lock timeout, so that no contender is left when a takeover begins.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub transition_delay: Duration,
    /// From the end of a transition's work to its announcement, for everything to have started.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub transition_end_wait: Duration,
    /// How long the new primary holds the lock of phase A, in which the old one has to appear.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub phase_a_wait: Duration,
    /// How long the new primary holds the lock of phase B before its work.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub phase_b_wait: Duration,
    /// How long the new primary holds the lock of each later phase before its work, for the old one to queue up.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub phase_wait: Duration,
    /// Pause of the old primary between two phases, for the new one to take its lock.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub reader_wait: Duration,
    /// How long a reader waits for the lock of a phase before it goes on without.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub reader_lock_timeout: Duration,
    /// Time to add or to remove one virtual address.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub address_time: Duration,
    /// The same on a node that was told that its network is slow.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub slow_address_time: Duration,
    /// Time that the services of a primary take to start.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub service_start_time: Duration,
    /// Time that the switch of the database leader takes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub database_time: Duration,
    /// How often the switch of the database leader is tried.
    pub database_retries: u32,
    /// Pause between two tries.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub database_retry_wait: Duration,
    /// Time that a collector of statistics takes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub collector_time: Duration,
    /// How much less than an interval a keepalive waits for its collectors.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub collector_margin: Duration,
    /// How long a keepalive waits for the result of a collector that has ended.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub queue_wait: Duration,
    /// How long a trouble lasts that a node was told to have.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub trouble_time: Duration,
    /// From the start of a daemon to the announcement of its state.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub startup_time: Duration,
    /// How long a primary that shuts down waits for somebody else to take over.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub shutdown_wait: Duration,
    /// Number of virtual machines, at first spread evenly over the nodes.
    pub vms: u32,
    /// Number of virtual networks at first.
    pub networks: u32,
    /// Time that a live migration takes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub vm_migration_time: Duration,
    /// After how long a live migration is ended by force: the machine is stopped and started elsewhere.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub vm_migration_timeout: Duration,
    /// Pause before a node tries again to start a virtual machine whose storage is locked.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub vm_retry: Duration,
    /// After how long of silence the coordination service ends a session.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub session_timeout: Duration,
    /// Longest pause before a node tries again to reach the coordination service.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub reconnect_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        Config {
            keepalive_interval: seconds(5),
            fence_intervals: 6,
            saving_throws: 6,
            post_fence_hold: seconds(5),
            ipmi_off_wait: seconds(5),
            ipmi_on_wait: seconds(2),
            ipmi_patience: seconds(1),
            boot_time: seconds(10),
            slow_board_time: seconds(10),
            successful_fence: Policy::Migrate,
            failed_fence: Policy::None,
            suicide_intervals: 0,
            contention_lock_timeout: millis(400),
            contention_failsafe: true,
            contention_retry: seconds(2),
            transition_delay: millis(500),
            transition_end_wait: seconds(2),
            phase_a_wait: seconds(1),
            phase_b_wait: millis(500),
            phase_wait: millis(200),
            reader_wait: millis(100),
            reader_lock_timeout: seconds(5),
            address_time: millis(20),
            slow_address_time: seconds(3),
            service_start_time: seconds(1),
            database_time: millis(200),
            database_retries: 5,
            database_retry_wait: seconds(5),
            collector_time: millis(300),
            collector_margin: seconds(1),
            queue_wait: millis(100),
            trouble_time: seconds(60),
            startup_time: seconds(1),
            shutdown_wait: seconds(120),
            vms: 0,
            networks: 1,
            vm_migration_time: seconds(2),
            vm_migration_timeout: seconds(900),
            vm_retry: seconds(1),
            session_timeout: seconds(10),
            reconnect_wait: seconds(1),
        }
    }
}

impl Config {
    /// For how long a keepalive waits for its collectors.
    pub fn collector_timeout(&self) -> Duration {
        self.keepalive_interval.saturating_sub(self.collector_margin)
    }

    /// How long a fencer waits for the lock that lets it fence.
    pub fn fence_lock_timeout(&self) -> Duration {
        self.keepalive_interval.saturating_sub(Duration::from_secs(1))
    }

    /// After how long without a report a node is dead.
    pub fn dead_after(&self) -> Duration {
        self.keepalive_interval * self.fence_intervals
    }

    /// How long a node may take at most to be heard again once it can reach the coordination service: it finds out
    /// that its connection is dead, tries again, and reports.
    pub fn reconnect(&self) -> Duration {
        self.session_timeout * 2 / 3 + 2 * self.reconnect_wait + Duration::from_secs(1)
    }

    /// How long two nodes that can be reached may both hold what belongs to the primary: one learns of the move, waits,
    /// and waits for the other once.
    pub fn transition_grace(&self) -> Duration {
        self.transition_delay + self.reader_lock_timeout
    }

    /// How long a fence takes from the last report of its target to its end.
    pub fn fence_time(&self) -> Duration {
        let boards = self.ipmi_off_wait + self.ipmi_on_wait + 12 * self.ipmi_patience;
        self.dead_after() + self.keepalive_interval * (self.saving_throws + 2) + boards + self.post_fence_hold
    }

    /// How long a takeover or a relinquishment takes when nobody is slow.
    pub fn transition_time(&self) -> Duration {
        let database = (self.database_time + self.database_retry_wait) * self.database_retries;
        let waits = self.phase_a_wait + self.phase_b_wait + 5 * self.phase_wait + 8 * self.reader_wait;
        self.transition_delay
            + waits
            + 4 * self.address_time
            + database
            + self.transition_end_wait
            + 6 * self.reader_lock_timeout
    }

    /// How long it takes at most, but for very bad luck, until the cluster is whole again once nothing breaks any more:
    /// two fences, one after the other, of nodes that boot afterwards; the session of a dead lock holder; two
    /// transitions.
    pub fn recovery(&self) -> Duration {
        2 * self.fence_time()
            + self.boot_time
            + self.startup_time
            + self.session_timeout
            + self.reconnect()
            + 2 * self.transition_time()
            + 2 * self.contention_retry
    }

    /// Whether the settings make sense together.
    pub fn validate(&self) -> Result<(), String> {
        if self.keepalive_interval <= Duration::from_secs(1) {
            return Err(format!(
                "`keepalive-interval` is {:?}, expected more than a second, such as \"5s\"",
                self.keepalive_interval
            ));
        }
        if self.collector_margin >= self.keepalive_interval {
            return Err(format!(
                "`collector-margin` is {:?}, expected less than `keepalive-interval`, {:?}, such as \"1s\"",
                self.collector_margin, self.keepalive_interval
            ));
        }
        for (name, value) in [("fence-intervals", self.fence_intervals), ("database-retries", self.database_retries)] {
            if value == 0 {
                return Err(format!("`{name}` is 0, expected at least 1"));
            }
        }
        if self.vms > 32 {
            return Err(format!("`vms` is {}, expected at most 32", self.vms));
        }
        if self.session_timeout.is_zero() {
            return Err("`session-timeout` is zero, expected more, such as \"10s\"".to_owned());
        }
        Ok(())
    }
}
