//! Connections that have fallen silent. A peer that stalls or vanishes closes nothing; it is dropped when it has not been
//! heard of for the connection's time to live.

use std::collections::BTreeMap;

use sim_core::{ConnectionId, Context, Instant};

use super::config::Config;
use super::messages::{Message, Timer};
use super::node::Node;

/// When each open connection was last heard of.
#[derive(Clone, Debug, Default, Hash)]
pub struct Heartbeats {
    heard: BTreeMap<ConnectionId, Instant>,
}

impl Heartbeats {
    /// Starts the checks.
    pub fn start(&self, config: &Config, ctx: &mut Context<Node>) {
        ctx.set_timer(Timer::FailureCheck, config.failure_check_period);
    }

    /// A connection is open, or something has come on it.
    pub fn heard(&mut self, connection: ConnectionId, now: Instant) {
        self.heard.insert(connection, now);
    }

    /// A connection is gone.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.heard.remove(&connection);
    }

    /// Pings the peers that this node has connected to, closes what has been silent for too long, and returns that.
    pub fn check(&mut self, config: &Config, ctx: &mut Context<Node>) -> Vec<ConnectionId> {
        self.start(config, ctx);
        let now = ctx.now();
        let silent: Vec<_> = self
            .heard
            .iter()
            .filter(|&(_, &last)| now.since(last) >= config.connection_ttl)
            .map(|(&connection, _)| connection)
            .collect();
        for &connection in &silent {
            self.heard.remove(&connection);
            ctx.close(connection);
        }
        let node = ctx.node();
        for &connection in self.heard.keys() {
            // A ping would only add to a buffer that is full, whose peer is bound to answer what is in it.
            if connection.initiator == node && ctx.is_writable(connection) {
                ctx.send_on(connection, Message::Ping);
            }
        }
        silent
    }

    /// Something has come on a connection; a ping from whoever opened it is answered.
    pub fn on_message(&mut self, message: &Message, ctx: &mut Context<Node>) {
        let Some(connection) = ctx.via() else { return };
        let now = ctx.now();
        self.heard(connection, now);
        if *message == Message::Ping && connection.initiator != ctx.node() {
            ctx.send_on(connection, Message::Ping);
        }
    }
}
