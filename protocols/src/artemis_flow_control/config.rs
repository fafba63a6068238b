//! Every size and timer, with upstream's default. Apart from the rest so that a scenario's `config` can be read against
//! one table.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// Bytes that a message has on the wire beyond its body.
pub const HEADER: u32 = 64;

/// Settings of a cluster of bridged brokers. Durations are written as `"30s"`, sizes in bytes.
#[derive(Clone, Debug, Deserialize, JsonSchema, Hash)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Messages that each client sends in one run of its workload.
    pub messages: u32,
    /// Time between two of them.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub send_interval: Duration,
    /// Body of an ordinary message.
    pub message_size: u32,
    /// Body of a large message, which a bridge sends in chunks.
    pub large_message_size: u32,
    /// Every how many messages one is large; never if 0.
    pub large_message_every: u32,
    /// Addresses that the messages go to in turn.
    pub addresses: u32,

    /// A producer's window of credits for one address; it asks for half a window at a time.
    pub producer_window_size: u32,
    /// Addresses whose credits a session keeps when nobody refers to them.
    pub credits_cache_size: usize,
    /// How often a session that keeps more looks for idle ones to drop.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub credits_cache_sweep: Duration,

    /// Memory that the messages of one address may take.
    pub max_size_bytes: u32,
    /// What a broker does when an address is full.
    pub address_full_policy: AddressFullPolicy,
    /// How long the consumer at the target takes for one message.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub consume_interval: Duration,
    /// Bytes that may wait for the page writer.
    pub page_writer_credits: u32,
    /// How long the page writer collects before it writes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub page_sync_timeout: Duration,

    /// Largest packet of a large message.
    pub min_large_message_size: u32,
    /// Wait before a bridge, a client or a replica connects anew.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub retry_interval: Duration,
    /// How long a connection may be silent.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub connection_ttl: Duration,
    /// How often both ends send a ping and look for silent connections.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub failure_check_period: Duration,

    /// Files of the live's journal that a new replica has to be sent.
    pub journal_files: u32,
    /// Size of one of them.
    pub journal_file_size: u32,
    /// Largest packet of a file.
    pub sync_chunk_size: u32,
    /// How long a replica takes to apply one packet of a file.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub chunk_apply_time: Duration,
    /// How long the live holds up its clients for the replica's answer that it has everything.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub initial_replication_sync_timeout: Duration,
    /// How long a packet may wait for a slow replica before that is dropped.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// How often slow replicas are looked for.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub slow_replication_check: Duration,

    /// Longest time that a thread runs between two points at which another can overtake it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub thread_slice: Duration,
    /// Time between two steps of a test harness's tear-down, and between two looks for what it left behind.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub leak_rescan_interval: Duration,
    /// How long the harness looks for it before it reports a leak.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub leak_rescan_timeout: Duration,
}

/// What a broker does with messages for an address that is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum AddressFullPolicy {
    /// Writes them to page files.
    Page,
    /// Grants producers no more credits until consumers have made room.
    Block,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            messages: 60,
            send_interval: Duration::from_millis(50),
            message_size: 10 << 10,
            large_message_size: 1 << 20,
            large_message_every: 0,
            addresses: 1,
            producer_window_size: 1 << 20,
            credits_cache_size: 1000,
            credits_cache_sweep: Duration::from_secs(30),
            max_size_bytes: 10 << 20,
            address_full_policy: AddressFullPolicy::Page,
            consume_interval: Duration::from_millis(1),
            page_writer_credits: 10 << 20,
            page_sync_timeout: Duration::from_nanos(3_333_333),
            min_large_message_size: 100 << 10,
            retry_interval: Duration::from_secs(2),
            connection_ttl: Duration::from_secs(60),
            failure_check_period: Duration::from_secs(30),
            journal_files: 2,
            journal_file_size: 10 << 20,
            sync_chunk_size: 128 << 10,
            chunk_apply_time: Duration::from_millis(1),
            initial_replication_sync_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(30),
            slow_replication_check: Duration::from_secs(1),
            thread_slice: Duration::from_micros(200),
            leak_rescan_interval: Duration::from_millis(100),
            leak_rescan_timeout: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Body of the `number`-th message of a workload, counted from 0.
    pub fn body_of(&self, number: u32) -> u32 {
        let large = self.large_message_every > 0 && (number + 1).is_multiple_of(self.large_message_every);
        if large { self.large_message_size } else { self.message_size }
    }

    /// Whether a body is sent in chunks.
    pub fn is_large(&self, body: u32) -> bool {
        body > self.min_large_message_size
    }

    /// Largest packet that one node may send another, in bytes on the wire.
    pub fn largest_packet(&self) -> u32 {
        let file = if self.journal_files > 0 { self.sync_chunk_size } else { 0 };
        HEADER + file.max(self.min_large_message_size).max(self.message_size)
    }

    /// The longest that a writer may wait for a replica that takes nothing, or does not answer.
    pub fn slow_replica_limit(&self) -> Duration {
        self.call_timeout.max(self.initial_replication_sync_timeout) + self.slow_replication_check
    }

    /// The longest that a peer may be silent, or that anyone may wait for someone who waits for a peer.
    pub fn silent_peer_limit(&self) -> Duration {
        // A client may have to wait for a writer, and then for the end of a synchronization.
        (2 * self.slow_replica_limit()).max(self.connection_ttl + self.failure_check_period)
    }

    /// What the settings contradict, if anything.
    pub fn problem(&self) -> Option<String> {
        let positive = [
            ("send-interval", self.send_interval),
            ("credits-cache-sweep", self.credits_cache_sweep),
            ("consume-interval", self.consume_interval),
            ("page-sync-timeout", self.page_sync_timeout),
            ("retry-interval", self.retry_interval),
            ("failure-check-period", self.failure_check_period),
            ("slow-replication-check", self.slow_replication_check),
            ("leak-rescan-interval", self.leak_rescan_interval),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| value.is_zero()) {
            return Some(format!("`{key}` must be longer than zero"));
        }
        let sizes = [
            ("message-size", self.message_size),
            ("addresses", self.addresses),
            ("min-large-message-size", self.min_large_message_size),
            ("sync-chunk-size", self.sync_chunk_size),
            ("page-writer-credits", self.page_writer_credits),
            ("max-size-bytes", self.max_size_bytes),
        ];
        if let Some((key, _)) = sizes.iter().find(|(_, value)| *value == 0) {
            return Some(format!("`{key}` must be at least 1"));
        }
        if self.producer_window_size < 2 {
            return Some("`producer-window-size` must be at least 2: producers ask for half of it at a time".into());
        }
        if self.connection_ttl < self.failure_check_period {
            return Some(
                "`connection-ttl` must not be shorter than `failure-check-period`: pings keep it alive".into(),
            );
        }
        None
    }
}
