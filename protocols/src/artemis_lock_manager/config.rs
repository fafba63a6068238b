//! Settings: every timer, and the defects that are switched on.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use sim_core::{Cluster, NodeId};

use super::LockId;

/// The settings of a cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema, Hash)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// For how long a broker tries to get the lock.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lock_acquire: Duration,
    /// Between attempts at the lock, and between looks at the counter.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lock_poll: Duration,
    /// For the peer's next committed sequence after handing over; then the former acting live restarts anyway.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub failback_wait: Duration,
    /// After which the lock manager takes a silent broker's lock away.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub session_lease: Duration,
    /// After which a broker takes its own session for lost. Safe only if it is shorter than `session-lease`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub session_expiry: Duration,
    /// From the loss of the session until the stop, which is another thread's, runs.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub self_stop: Duration,
    /// How long the live stalls its clients for the replica's confirmation.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub initial_replication_sync_timeout: Duration,
    /// For any response of the replica, and for a client's call.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// Between attempts to find a live to replicate.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub retry_replication_wait: Duration,
    /// After which a live that says nothing is gone.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub connection_ttl: Duration,
    /// How often a live says something to its replica.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub failure_check: Duration,
    /// Between attempts to connect, of brokers to the lock manager and of clients.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub retry_interval: Duration,
    /// What loading a journal takes, however short it is.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub journal_load: Duration,
    /// What each message adds to that.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub journal_load_per_message: Duration,
    /// Between an acknowledgement and the client's next message.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub send_interval: Duration,
    /// Size of a message's body in bytes.
    pub message_bytes: u32,
    /// Messages in one chunk of the initial copy.
    pub chunk_messages: usize,
    /// Whether an acting live gives the place back to the `live` broker.
    pub allow_failback: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            lock_acquire: Duration::from_millis(2000),
            lock_poll: Duration::from_millis(200),
            failback_wait: Duration::from_millis(4000),
            session_lease: Duration::from_secs(18),
            session_expiry: Duration::from_secs(12),
            self_stop: Duration::from_millis(100),
            initial_replication_sync_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(30),
            retry_replication_wait: Duration::from_millis(2000),
            connection_ttl: Duration::from_secs(60),
            failure_check: Duration::from_secs(30),
            retry_interval: Duration::from_millis(500),
            journal_load: Duration::from_millis(1500),
            journal_load_per_message: Duration::from_millis(1),
            send_interval: Duration::from_secs(1),
            message_bytes: 1024,
            chunk_messages: 16,
            allow_failback: true,
        }
    }
}

/// The historical bugs, by what they make a broker do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Defects {
    /// ARTEMIS-2716: whoever gets the lock activates, whatever its data is worth, a copy that was cut short included.
    pub lock_alone_decides: bool,
    /// ARTEMIS-3429: a backup that restarts because the lock manager was out of reach forgets its coordination id.
    pub coordination_id_lost: bool,
    /// ARTEMIS-3340: a live that loses its replica acknowledges at once, and the absent replica stays fresh.
    pub sequence_not_raised: bool,
    /// ARTEMIS-5017: a backup that gives a live up forgets the connection to it without closing it.
    pub source_left_open: bool,
}

impl Defects {
    /// Those that a scenario has switched on, by upstream id.
    pub fn of(ids: &BTreeSet<String>) -> Self {
        Defects {
            lock_alone_decides: ids.contains("ARTEMIS-2716"),
            coordination_id_lost: ids.contains("ARTEMIS-3429"),
            sequence_not_raised: ids.contains("ARTEMIS-3340"),
            source_left_open: ids.contains("ARTEMIS-5017"),
        }
    }
}

/// What every node of a cluster knows from its configuration files.
#[derive(Clone, Debug, Hash)]
pub struct Settings {
    /// Timers.
    pub config: Config,
    /// What is broken on purpose.
    pub defects: Defects,
    /// The lock manager.
    pub manager: NodeId,
    /// The broker that normally serves.
    pub live: NodeId,
    /// The broker that normally waits.
    pub backup: NodeId,
}

impl Settings {
    /// The NodeID that both brokers go by.
    pub const COORDINATION_ID: LockId = 1;

    /// Those of a cluster that has one lock manager, one live and one backup.
    ///
    /// # Panics
    /// If it has not; [`sim_core::Protocol::validate`] refuses such a cluster.
    pub fn of(cluster: &Cluster<Config>) -> Self {
        let only = |role| cluster.with_role(role).next().unwrap_or_else(|| panic!("the cluster has no {role}"));
        Settings {
            config: cluster.config.clone(),
            defects: Defects::of(&cluster.defects),
            manager: only("lock-manager"),
            live: only("live"),
            backup: only("backup"),
        }
    }

    /// The other broker.
    pub fn peer_of(&self, broker: NodeId) -> NodeId {
        if broker == self.live { self.backup } else { self.live }
    }

    /// The NodeID that a broker makes up for itself when it has not been given one.
    pub fn own_id_of(broker: NodeId) -> LockId {
        1000 + u64::from(broker.0)
    }
}
