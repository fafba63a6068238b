//! The settings, with the defaults of the specification where it gives one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::mapper::Mapper;
use super::message::QueueId;
use crate::services::membership;

/// Where a message is that has to survive its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Replication {
    /// In the database that all servers share.
    #[default]
    None,
    /// In the memory of the failover node as well.
    InMemory,
}

/// Settings of all servers and clients of a cluster.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The group of the servers.
    pub group: membership::Config,
    /// Where a message is that has to survive its server.
    pub replication: Replication,
    /// How failover nodes are chosen.
    pub mapper: Mapper,
    /// Whether a server that leaves in good order is failed over for. With in-memory replication it always is, as its
    /// messages are nowhere else.
    pub failover_on_node_leave: bool,
    /// How many hops a client makes before it gives up.
    #[schemars(range(min = 1))]
    pub max_hops: u32,
    /// Whether connections go back to a server that has returned.
    pub move_back: bool,
    /// Whether servers give a new member its share of their connections.
    pub rebalance: bool,
    /// Number of queues, each distributed over all servers. The k-th client uses the k-th queue, and so on in turn.
    #[schemars(range(min = 1))]
    pub queues: QueueId,
    /// By the name of a server, the queues that are not deployed there; queues are numbered from 0.
    pub absent_queues: BTreeMap<String, BTreeSet<QueueId>>,
    /// Whether all clients connect to the first server at first, instead of each to another in turn.
    pub clients_on_first: bool,
    /// Unacknowledged messages that a consumer may have.
    #[schemars(range(min = 1))]
    pub prefetch: usize,
    /// Messages of a queue that are kept in memory; more are paged.
    #[schemars(range(min = 1))]
    pub full_size: u64,
    /// Message ids that the database, and each server, remembers in order to know a repetition.
    pub id_cache_size: usize,
    /// Messages in a client's transaction; without transactions if zero.
    pub transaction_size: usize,
    /// One in so many messages is not persistent; none if zero.
    pub non_persistent_every: u32,
    /// How many messages each client sends; without end if zero.
    pub messages: u32,
    /// How long a server blocks a client that says its server failed, if no failover has been seen.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub failover_start_timeout: Duration,
    /// How long a server blocks a client while the failover for its server is under way.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub failover_complete_timeout: Duration,
    /// How long messages of a failed server are held for the sessions that may have had them.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub recover_deliveries_timeout: Duration,
    /// Pause of a client between two hops.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub hop_pause: Duration,
    /// How long a server keeps the session of a client whose connection is lost. Longer than a client may take to
    /// come back to the same server, `failover-start-timeout` included, or its messages go to others meanwhile.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub client_lease: Duration,
    /// How long a client waits for the answer to an invocation.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// How long a client waits for a connection to open.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How often a client looks whether its server answers.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub validator_period: Duration,
    /// Time from a client's preparing of a transaction to its commit.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub commit_delay: Duration,
    /// Time for which a server loads one queue that it has merged, or one of its own.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub merge_time: Duration,
    /// How long the failover node of a failed server without a copy of its memory waits for one that another has.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub replica_wait: Duration,
    /// How long at most it takes until another thread of a process runs, drawn at random.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub thread_switch: Duration,
    /// Time from the answer to one send to a client's next.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub send_interval: Duration,
    /// Time for which a client processes a message before it acknowledges it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub processing_time: Duration,
    /// How often a client browses its queue; never if zero.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub browse_interval: Duration,
    /// How often a client closes its consumer or opens it again; never if zero.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub consumer_interval: Duration,
    /// How often a client closes its connection and opens another; never if zero.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub session_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        Config {
            group: membership::Config::default(),
            replication: Replication::None,
            mapper: Mapper::default(),
            failover_on_node_leave: false,
            max_hops: 10,
            move_back: true,
            rebalance: true,
            queues: 1,
            absent_queues: BTreeMap::new(),
            clients_on_first: false,
            prefetch: 3,
            full_size: 75_000,
            id_cache_size: 500,
            transaction_size: 0,
            non_persistent_every: 0,
            messages: 0,
            failover_start_timeout: seconds(60),
            failover_complete_timeout: seconds(300),
            recover_deliveries_timeout: seconds(300),
            hop_pause: seconds(2),
            client_lease: seconds(90),
            call_timeout: seconds(10),
            connect_timeout: seconds(5),
            validator_period: seconds(5),
            commit_delay: millis(500),
            merge_time: millis(50),
            replica_wait: seconds(5),
            thread_switch: millis(5),
            send_interval: seconds(2),
            processing_time: millis(300),
            browse_interval: seconds(0),
            consumer_interval: seconds(0),
            session_interval: seconds(0),
        }
    }
}

impl Config {
    /// How long a client's failover may take: each hop may be blocked until it is clear that no failover comes, and
    /// one of them until the failover is complete.
    pub fn longest_failover(&self) -> Duration {
        let hop = self.connect_timeout + self.failover_start_timeout + self.hop_pause + self.call_timeout;
        hop * (self.max_hops + 2) + self.failover_complete_timeout
    }

    /// How long the servers may take to be one group that has all queues once nothing breaks any more.
    pub fn recovery(&self) -> Duration {
        self.group.recovery()
            + self.replica_wait
            + (self.merge_time * 2 + Duration::from_secs(2)) * u32::from(self.queues)
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn validate(&self) -> Result<(), String> {
        self.group.validate().map_err(|wrong| format!("in `group`: {wrong}"))?;
        let positive: [(&str, u64); 5] = [
            ("max-hops", self.max_hops.into()),
            ("queues", self.queues.into()),
            ("prefetch", self.prefetch as u64),
            ("full-size", self.full_size),
            ("validator-period", self.validator_period.as_nanos() as u64),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("`{name}` is zero, expected more"));
        }
        if self.transaction_size > self.prefetch {
            return Err(format!(
                "`transaction-size` is {}, but with `prefetch = {}` a consumer never has that many messages",
                self.transaction_size, self.prefetch
            ));
        }
        Ok(())
    }
}
