//! The settings of replicated pairs, with the defaults of the specification.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of all brokers and clients of a cluster.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How long a LIVE broker waits, with its clients stalled, for the replica to confirm the end of the initial
    /// synchronization.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub initial_replication_sync_timeout: Duration,
    /// Whether an acting live hands the NodeID back to the returning primary.
    pub allow_failback: bool,
    /// How long an acting live that fails back waits for the other backup's announcement before it stays LIVE.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub backup_announcement_timeout: Duration,
    /// The sleep that once stood where the synchronization's end is now confirmed. Used with ARTEMIS-256a only.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub failback_delay: Duration,
    /// How long a client waits for the answer to a send, and how long a replica's connection may stay unwritable
    /// before the replica counts as too slow.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// How long a backup waits for FAIL_OVER after STOP_CALLED before it activates on its own.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub forced_failover_timeout: Duration,
    /// How long a stopping live waits for the replica to confirm what is still on its way.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub token_release_timeout: Duration,
    /// How often a backup that lost its live votes before it gives up.
    pub vote_retries: u32,
    /// Pause between two votes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub vote_retry_wait: Duration,
    /// How long one vote of a backup, or of a starting primary, waits for replies.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub quorum_vote_wait: Duration,
    /// How long a live's vote to stay LIVE waits for replies.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub stay_live_vote_wait: Duration,
    /// The cluster size that majorities are counted in, in NodeIDs; -1 for as many as the cluster is configured with.
    #[schemars(range(min = -1))]
    pub quorum_size: i32,
    /// Whether a LIVE broker that loses its replica asks the others whether it may stay LIVE.
    pub vote_on_replication_failure: bool,
    /// Pause before a backup tries again to register, and before a stopped broker starts again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub retry_replication_wait: Duration,
    /// Pause before a LIVE broker tries again to reach a member of the cluster, and between two start-up probes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub cluster_retry_interval: Duration,
    /// How long a LIVE broker hears nothing from a peer before it takes the connection for dead.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub connection_ttl: Duration,
    /// How often connections are pinged and looked at; a backup that heard nothing for two of these lost its live.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub client_failure_check_period: Duration,
    /// How long a starting broker looks for a broker that already serves its NodeID.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub startup_probe_timeout: Duration,
    /// Names of the nodes that are pinged to tell a dead peer from an isolated self; none to do without.
    pub network_check_list: Vec<String>,
    /// How long a ping may take.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub network_check_timeout: Duration,
    /// Messages in one chunk of the initial synchronization, at least 1.
    #[schemars(range(min = 1))]
    pub sync_chunk_messages: usize,
    /// Time to read one chunk.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub sync_chunk_time: Duration,
    /// Time for which a broker loads its journal before it is LIVE.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub activation_time: Duration,
    /// Time for which a replica applies what it was sent before it confirms the end of the synchronization.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub apply_time: Duration,
    /// Time from a replica's confirmation to its announcement as backup.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub backup_announce_time: Duration,
    /// Time from the acknowledgement of one message to a client's next.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub send_interval: Duration,
    /// Size of a message's body in bytes.
    pub message_bytes: u32,
    /// Pause before a client tries again to connect.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub client_retry_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        Config {
            initial_replication_sync_timeout: seconds(30),
            allow_failback: true,
            backup_announcement_timeout: seconds(60),
            failback_delay: seconds(5),
            call_timeout: seconds(30),
            forced_failover_timeout: seconds(60),
            token_release_timeout: seconds(30),
            vote_retries: 12,
            vote_retry_wait: seconds(5),
            quorum_vote_wait: seconds(30),
            stay_live_vote_wait: seconds(5),
            quorum_size: -1,
            vote_on_replication_failure: false,
            retry_replication_wait: seconds(2),
            cluster_retry_interval: millis(500),
            connection_ttl: seconds(60),
            client_failure_check_period: seconds(30),
            startup_probe_timeout: seconds(5),
            network_check_list: Vec::new(),
            network_check_timeout: seconds(1),
            sync_chunk_messages: 8,
            sync_chunk_time: millis(10),
            activation_time: millis(100),
            apply_time: millis(100),
            backup_announce_time: millis(50),
            send_interval: seconds(1),
            message_bytes: 1024,
            client_retry_interval: seconds(2),
        }
    }
}

impl Config {
    /// The longest time for which two brokers of one NodeID may both be LIVE although nothing is wrong with the
    /// protocol: an isolated live cannot know that it has been replaced before its connections time out and its vote
    /// to stay is lost. Without that vote it would never know, so nothing is allowed.
    pub fn overlap(&self) -> Duration {
        if !self.vote_on_replication_failure {
            return Duration::ZERO;
        }
        self.connection_ttl + self.client_failure_check_period + self.stay_live_vote_wait
    }
}
