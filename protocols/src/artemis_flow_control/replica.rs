//! The replica of the source broker: registers, takes in what it is sent at the pace of its disk, and confirms it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sim_core::{ConnectionEvent, ConnectionId, Constant, Context, NodeId, SyncToken};

use super::config::Config;
use super::heartbeat::Heartbeats;
use super::messages::{Message, Record, Timer};
use super::node::Node;

/// A replica.
#[derive(Clone, Debug, Hash)]
pub struct Replica {
    config: Constant<Arc<Config>>,
    live: NodeId,
    connection: Option<ConnectionId>,
    heartbeats: Heartbeats,
    /// What to answer when a sync has ended.
    answers: BTreeMap<SyncToken, (ConnectionId, Message)>,
}

impl Replica {
    /// A replica of `live`.
    pub fn new(config: Constant<Arc<Config>>, live: NodeId) -> Self {
        Replica { config, live, connection: None, heartbeats: Heartbeats::default(), answers: BTreeMap::new() }
    }

    /// Connects to the live.
    pub fn start(&mut self, ctx: &mut Context<Node>) {
        self.heartbeats.start(&self.config, ctx);
        self.connection = Some(ctx.connect(self.live));
    }

    /// The live has something to say.
    pub fn on_message(&mut self, message: Message, ctx: &mut Context<Node>) {
        let Some(connection) = ctx.via() else { return };
        self.heartbeats.on_message(&message, ctx);
        match message {
            Message::RegistrationFailed => {
                ctx.close(connection);
                self.disconnected(connection, ctx);
            }
            Message::StartSync { .. } => {
                // What it holds from before may be out of date.
                ctx.truncate();
            }
            Message::SyncFileChunk { .. } => ctx.busy(self.config.chunk_apply_time),
            Message::SyncDone => self.answer_when_durable(connection, Message::SyncFinished, ctx),
            Message::Record { token, id, body } => {
                ctx.write(Record::Accepted { id, address: 0, body });
                self.answer_when_durable(connection, Message::ReplicationResponse { token }, ctx);
            }
            _ => {}
        }
    }

    /// A timer has ended.
    pub fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Node>) {
        match timer {
            Timer::Retry if self.connection.is_none() => self.connection = Some(ctx.connect(self.live)),
            Timer::FailureCheck => {
                let config = self.config.clone();
                for silent in self.heartbeats.check(&config, ctx) {
                    self.disconnected(silent, ctx);
                }
            }
            _ => {}
        }
    }

    /// A connection has changed.
    pub fn on_connection(&mut self, event: ConnectionEvent, ctx: &mut Context<Node>) {
        match event {
            ConnectionEvent::Opened(connection) => {
                let now = ctx.now();
                self.heartbeats.heard(connection, now);
                ctx.send_on(connection, Message::BackupRegistration);
            }
            ConnectionEvent::Refused(connection, _) | ConnectionEvent::Closed(connection, _) => {
                self.disconnected(connection, ctx);
            }
            ConnectionEvent::Accepted(_) | ConnectionEvent::Writable(_) => {}
        }
    }

    /// What was written is durable.
    pub fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Node>) {
        if let Some((connection, answer)) = self.answers.remove(&token) {
            ctx.send_on(connection, answer);
        }
    }

    fn answer_when_durable(&mut self, connection: ConnectionId, answer: Message, ctx: &mut Context<Node>) {
        self.answers.insert(ctx.sync(), (connection, answer));
    }

    fn disconnected(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        self.heartbeats.forget(connection);
        self.answers.retain(|_, (to, _)| *to != connection);
        if self.connection == Some(connection) {
            self.connection = None;
            ctx.set_timer(Timer::Retry, self.config.retry_interval);
        }
    }
}
