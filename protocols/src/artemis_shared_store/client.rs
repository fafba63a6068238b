//! A client: durable messages, one at a time, to whichever broker serves.

use std::sync::Arc;

use sim_core::history::{Call, Operation, Step};
use sim_core::{ConnectionEvent, ConnectionId, Constant, NodeId};

use super::{Message, Node, Settings, Timer};

type Context<'a> = sim_core::Context<'a, Node>;

/// The queue that all messages go to.
const QUEUE: u64 = 1;

/// A client.
#[derive(Clone, Debug, Hash)]
pub struct Client {
    settings: Constant<Arc<Settings>>,
    /// The broker that it uses, or tries.
    broker: NodeId,
    connection: Option<ConnectionId>,
    open: bool,
    /// The message that has not been acknowledged.
    pending: Option<u64>,
}

impl Client {
    /// A client that has not started.
    pub fn new(settings: Constant<Arc<Settings>>) -> Self {
        let broker = settings.live;
        Client { settings, broker, connection: None, open: false, pending: None }
    }

    pub(super) fn start(&mut self, ctx: &mut Context) {
        self.connection = Some(ctx.connect(self.broker));
        ctx.set_timer(Timer::NextSend, self.settings.config.send_interval);
    }

    pub(super) fn message(&mut self, message: Message, ctx: &mut Context) {
        let Message::Sent { value } = message else { unreachable!("{message:?} is not for a client") };
        if self.pending != Some(value) {
            return;
        }
        self.pending = None;
        ctx.cancel_timer(Timer::CallTimeout);
        ctx.set_timer(Timer::NextSend, self.settings.config.send_interval);
        note(value, Step::Returned(None), ctx);
    }

    pub(super) fn timer(&mut self, timer: Timer, ctx: &mut Context) {
        match timer {
            Timer::NextSend => {
                // The node's clock never shows the same twice, not even across restarts.
                let value = (u64::from(ctx.node().0) << 48) | ((ctx.now().as_nanos() >> 10) & ((1 << 48) - 1));
                self.pending = Some(value);
                note(value, Step::Invoked, ctx);
                self.send(ctx);
            }
            Timer::CallTimeout => {
                if let Some(connection) = self.connection.take() {
                    ctx.close(connection);
                }
                self.fail_over(ctx);
            }
            Timer::Reconnect => self.connection = Some(ctx.connect(self.broker)),
            other => unreachable!("{other:?} is a broker's"),
        }
    }

    pub(super) fn connection(&mut self, event: ConnectionEvent, ctx: &mut Context) {
        match event {
            ConnectionEvent::Opened(id) if self.connection == Some(id) => {
                self.open = true;
                self.send(ctx);
            }
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) if self.connection == Some(id) => {
                self.connection = None;
                self.fail_over(ctx);
            }
            _ => {}
        }
    }

    /// Sends what is pending, as soon as there is a connection. The broker recognises what it has already.
    fn send(&mut self, ctx: &mut Context) {
        if let (true, Some(connection), Some(value)) = (self.open, self.connection, self.pending) {
            ctx.send_on(connection, Message::Send { value });
            ctx.set_timer(Timer::CallTimeout, self.settings.config.call_timeout);
        }
    }

    fn fail_over(&mut self, ctx: &mut Context) {
        self.open = false;
        self.broker = self.settings.peer_of(self.broker);
        ctx.cancel_timer(Timer::CallTimeout);
        ctx.set_timer(Timer::Reconnect, self.settings.config.retry_interval);
    }
}

fn note(value: u64, step: Step, ctx: &mut Context) {
    ctx.record(Operation { id: value, call: Call::Write { key: QUEUE, value }, step });
}
