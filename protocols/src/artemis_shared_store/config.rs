//! Settings: every timer, what the store refuses, and the defects that are switched on.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use sim_core::{Cluster, NodeId};

/// The settings of a cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema, Hash)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Between attempts at a lock, and between looks at the state byte.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub store_poll: Duration,
    /// Between looks of an acting live for a request to fail back.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub failback_check: Duration,
    /// Between looks of a serving broker at the time stamp of the lock file.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lock_monitor: Duration,
    /// For the announcement of the peer before failing back; after that, the acting live stays.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub announcement_wait: Duration,
    /// The sleep before the former acting live restarts, which upstream removed. Only ARTEMIS-256b uses it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub failback_delay: Duration,
    /// After which the locks of a silent mount can be taken by another. Safe only if it is longer than `lock-monitor`
    /// and `store-timeout` together.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lock_lease: Duration,
    /// After which an unanswered look at the lock file counts as a lost lock.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub store_timeout: Duration,
    /// What loading a journal takes, however short it is.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub journal_load: Duration,
    /// What each record adds to that.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub journal_load_per_record: Duration,
    /// Between attempts to connect, of brokers and of clients.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub retry_interval: Duration,
    /// How long a client waits for an answer before it tries the other broker.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// Between an acknowledgement and the client's next message.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub send_interval: Duration,
    /// Whether an acting live gives the place back to the `live` broker.
    pub allow_failback: bool,
    /// Whether the backup takes over when the serving broker is shut down in good order.
    pub failover_on_shutdown: bool,
    /// Whether the store refuses journal writes of a mount that does not own the primary lock.
    pub journal_fencing: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            store_poll: Duration::from_secs(2),
            failback_check: Duration::from_secs(1),
            lock_monitor: Duration::from_secs(2),
            announcement_wait: Duration::from_secs(60),
            failback_delay: Duration::from_secs(5),
            lock_lease: Duration::from_secs(30),
            store_timeout: Duration::from_secs(5),
            journal_load: Duration::from_millis(1500),
            journal_load_per_record: Duration::from_millis(1),
            retry_interval: Duration::from_millis(500),
            call_timeout: Duration::from_secs(30),
            send_interval: Duration::from_secs(1),
            allow_failback: true,
            failover_on_shutdown: false,
            journal_fencing: true,
        }
    }
}

/// The historical bugs, by what they make a broker do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Defects {
    /// ARTEMIS-256b: LIVE is written before anyone serves, and a sleep stands in for waiting until the peer does.
    pub live_before_serving: bool,
    /// ARTEMIS-256c: an acting live gives up its place without having heard from the peer.
    pub no_wait_for_announcement: bool,
    /// ARTEMIS-423: a broker takes its own entry in the topology for the peer's announcement.
    pub own_entry_counts: bool,
    /// ARTEMIS-4143: a lost lock goes unnoticed.
    pub lost_lock_unnoticed: bool,
    /// ART-L6: a `live` broker that found nobody serving never announces itself, even if somebody serves by now.
    pub announces_once: bool,
    /// ARTEMIS-1842: the look-out for a request to fail back is not told that the broker has stopped serving.
    pub checker_not_stopped: bool,
}

impl Defects {
    /// Those that a scenario has switched on, by upstream id.
    pub fn of(ids: &BTreeSet<String>) -> Self {
        Defects {
            live_before_serving: ids.contains("ARTEMIS-256b"),
            no_wait_for_announcement: ids.contains("ARTEMIS-256c"),
            own_entry_counts: ids.contains("ARTEMIS-423"),
            lost_lock_unnoticed: ids.contains("ARTEMIS-4143"),
            announces_once: ids.contains("ART-L6"),
            checker_not_stopped: ids.contains("ARTEMIS-1842"),
        }
    }
}

/// What every node of a cluster knows from its configuration files.
#[derive(Clone, Debug, Hash)]
pub struct Settings {
    /// Timers and switches.
    pub config: Config,
    /// What is broken on purpose.
    pub defects: Defects,
    /// The file system.
    pub store: NodeId,
    /// The broker that normally serves.
    pub live: NodeId,
    /// The broker that normally waits.
    pub backup: NodeId,
}

impl Settings {
    /// Those of a cluster that has one store, one live and one backup.
    ///
    /// # Panics
    /// If it has not; [`sim_core::Protocol::validate`] refuses such a cluster.
    pub fn of(cluster: &Cluster<Config>) -> Self {
        let only = |role| cluster.with_role(role).next().unwrap_or_else(|| panic!("the cluster has no {role}"));
        Settings {
            config: cluster.config.clone(),
            defects: Defects::of(&cluster.defects),
            store: only("store"),
            live: only("live"),
            backup: only("backup"),
        }
    }

    /// The other broker.
    pub fn peer_of(&self, broker: NodeId) -> NodeId {
        if broker == self.live { self.backup } else { self.live }
    }
}
