//! The settings of a replicated database, with the defaults of the specification.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of both databases and of the clients.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How many log buffers the master has.
    #[schemars(range(min = 2))]
    pub log_buffers: u32,
    /// Size of a log buffer in bytes, from 8 KiB to 1 MiB.
    #[schemars(range(min = 8192, max = 1_048_576))]
    pub log_buffer_size: u32,
    /// Pause between two chunks when more than a tenth of the log buffers is full; none when four fifths are.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub ship_interval_min: Duration,
    /// Pause between two chunks otherwise.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub ship_interval_max: Duration,
    /// How long a log record waits for a free buffer, and how long a flush of all buffers may take.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub force_flush_wait: Duration,
    /// How long a master waits for the slave to accept a connection.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// Pause before a master that lost its connection, or was refused, connects again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub reconnect_pause: Duration,
    /// How long a master waits for the slave's answer to anything.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub reply_wait: Duration,
    /// How long a slave without a connection sits in one call of accept: the time it takes to notice a command.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub accept_timeout: Duration,
    /// How long a slave that wants to know whether it is connected waits for the answer to its ping.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub ping_timeout: Duration,
    /// For how long, at most, the shipping thread is preempted after it has sent a chunk.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub thread_slice: Duration,
    /// Time from a slave's first contact with its master to slave mode.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub slave_boot_time: Duration,
    /// Time that a slave needs to redo the end of its log before it can take over.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub redo_time: Duration,
    /// Time that it then needs to undo what was not committed.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub undo_time: Duration,
    /// Time from one checkpoint to the next.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub checkpoint_interval: Duration,
    /// The version of the replication protocol that the master speaks.
    pub master_version: u32,
    /// The version that the slave speaks.
    pub slave_version: u32,
    /// Size of a log record in bytes.
    #[schemars(range(min = 1))]
    pub record_bytes: u32,
    /// Every how manieth transaction of a client builds an index instead of changing a row; 0 for none.
    pub index_build_every: u32,
    /// Time to build an index.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub index_build_time: Duration,
    /// Time from the end of a client's transaction to the beginning of its next.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub transaction_pause: Duration,
    /// How long a client waits for an answer before it drops the connection.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub client_timeout: Duration,
    /// Pause before a client that lost its connection, or was refused, tries the other database.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub client_retry_pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        Config {
            log_buffers: 10,
            log_buffer_size: 32 << 10,
            ship_interval_min: millis(100),
            ship_interval_max: seconds(5),
            force_flush_wait: seconds(5),
            connect_timeout: seconds(5),
            reconnect_pause: seconds(1),
            reply_wait: seconds(30),
            accept_timeout: seconds(1),
            ping_timeout: seconds(5),
            thread_slice: millis(1),
            slave_boot_time: millis(200),
            redo_time: millis(200),
            undo_time: millis(300),
            checkpoint_interval: seconds(20),
            master_version: 1,
            slave_version: 1,
            record_bytes: 1024,
            index_build_every: 0,
            index_build_time: seconds(1),
            transaction_pause: seconds(1),
            client_timeout: seconds(60),
            client_retry_pause: seconds(1),
        }
    }
}

impl Config {
    /// What messages, disks and other threads may add to a wait whose timers are all kept.
    const LEEWAY: Duration = Duration::from_secs(2);

    /// The longest that a database may be frozen: a start with a copy of the database asks the slave three times; a
    /// failover flushes and asks once.
    pub fn longest_freeze(&self) -> Duration {
        self.longest_operation()
    }

    /// The longest that a command of an operator may take: the sum of the timers on its way, whichever it is.
    pub fn longest_operation(&self) -> Duration {
        let start = self.connect_timeout + 3 * self.reply_wait;
        let failover = self.force_flush_wait + self.reply_wait;
        let slave_failover = self.accept_timeout + self.ping_timeout + self.redo_time + self.undo_time;
        start.max(failover).max(slave_failover) + Self::LEEWAY
    }

    /// The longest that a log record may wait for a free buffer.
    pub fn longest_append(&self) -> Duration {
        self.force_flush_wait + Self::LEEWAY
    }

    /// How long it may take until a master and its slave are together again once nothing breaks any more.
    pub fn recovery(&self) -> Duration {
        self.longest_operation() + self.reconnect_pause + self.ship_interval_max
    }

    /// What the settings contradict, if anything.
    pub fn problem(&self) -> Option<String> {
        let positive = [
            ("ship-interval-min", self.ship_interval_min),
            ("force-flush-wait", self.force_flush_wait),
            ("connect-timeout", self.connect_timeout),
            ("reconnect-pause", self.reconnect_pause),
            ("reply-wait", self.reply_wait),
            ("ping-timeout", self.ping_timeout),
            ("checkpoint-interval", self.checkpoint_interval),
            ("transaction-pause", self.transaction_pause),
            ("client-timeout", self.client_timeout),
            ("client-retry-pause", self.client_retry_pause),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| value.is_zero()) {
            return Some(format!("`{key}` is zero, expected more, such as \"1s\""));
        }
        if !(8 << 10..=1 << 20).contains(&self.log_buffer_size) {
            return Some(format!(
                "`log-buffer-size` is {}, expected 8192 (8 KiB) to 1048576 (1 MiB), such as 32768",
                self.log_buffer_size
            ));
        }
        if self.log_buffers < 2 {
            return Some(format!(
                "`log-buffers` is {}, expected at least 2: one is filled while another is shipped",
                self.log_buffers
            ));
        }
        if self.record_bytes == 0 || self.record_bytes > self.log_buffer_size {
            return Some(format!(
                "`record-bytes` is {}, expected 1 to {}, the `log-buffer-size`",
                self.record_bytes, self.log_buffer_size
            ));
        }
        if self.ship_interval_min > self.ship_interval_max {
            return Some(format!(
                "`ship-interval-min` is {:?}, expected at most {:?}, the `ship-interval-max`",
                self.ship_interval_min, self.ship_interval_max
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        assert_eq!(Config::default().problem(), None);
        let problem = |config: Config| config.problem().expect("a problem");
        assert!(problem(Config { log_buffers: 1, ..Config::default() }).contains("`log-buffers` is 1"));
        assert!(problem(Config { log_buffer_size: 4096, ..Config::default() }).contains("8192"));
        assert!(problem(Config { record_bytes: 40_000, ..Config::default() }).contains("`record-bytes`"));
        assert!(problem(Config { reply_wait: Duration::ZERO, ..Config::default() }).contains("`reply-wait`"));
        let late = Config { ship_interval_min: Duration::from_secs(9), ..Config::default() };
        assert!(problem(late).contains("`ship-interval-max`"));
    }
}
