//! A client that sends durable messages, one after the other, and is told of each.
//!
//! Apart from the brokers and generic over the actor that carries it, because every Artemis variant has the same
//! clients. A client attaches to the broker that it believes to be LIVE, sends, and waits for the answer. If the
//! connection fails or the answer does not come within the call timeout, it goes to the pair's other broker and sends
//! the same message again, with the same duplicate-detection id, until somebody has acknowledged it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sim_core::history::{Call, Operation, Step};
use sim_core::{Actor, ConnectionEvent, ConnectionId, Context, NodeId};

/// What clients and brokers say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientMessage {
    /// Client to broker, first on each connection: here is a client.
    Attach,
    /// Broker to client: who is LIVE and who is backup of the NodeID, as far as the broker knows.
    Topology {
        /// The LIVE broker.
        live: NodeId,
        /// Its backup, if one has been announced.
        backup: Option<NodeId>,
    },
    /// Client to broker: store this.
    Send {
        /// Duplicate-detection id: the same whenever the same message is sent again.
        id: u64,
        /// Size of its body in bytes.
        size: u32,
    },
    /// Broker to client: stored.
    Sent {
        /// The id of the message.
        id: u64,
    },
}

/// A client's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClientTimer {
    /// The next message is due.
    Next,
    /// The answer to a send, or to an attempt to connect, is overdue.
    CallTimeout,
    /// Time to try to connect again.
    Reconnect,
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, Hash)]
pub struct ClientConfig {
    /// Time from the acknowledgement of one message to the sending of the next.
    pub send_interval: Duration,
    /// Size of a message's body in bytes.
    pub message_bytes: u32,
    /// How long to wait for an answer.
    pub call_timeout: Duration,
    /// How long to wait before the next attempt to connect.
    pub retry_interval: Duration,
    /// ARTEMIS-1304: a send whose outcome is unknown is given up.
    pub forgets_unanswered_sends: bool,
}

/// An actor that can carry a [`Client`].
pub trait Carrier: Actor<Message: From<ClientMessage>, Timer: From<ClientTimer>> {}
impl<A: Actor<Message: From<ClientMessage>, Timer: From<ClientTimer>>> Carrier for A {}

/// The client's state.
#[derive(Clone, Debug, Hash)]
pub struct Client {
    config: ClientConfig,
    /// The queue it sends to, as histories call it.
    queue: u64,
    /// The brokers to try, in turn; those that its configuration names, until a topology tells better.
    brokers: [NodeId; 2],
    /// Which of them is next.
    next: usize,
    link: Link,
    /// Messages begun so far.
    begun: u32,
    /// The message that has not been acknowledged yet.
    outstanding: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Link {
    Down,
    Opening(ConnectionId),
    Up(ConnectionId),
}

impl Client {
    /// A client that sends to `queue` by way of `brokers`, the first of which it tries first.
    pub fn new(config: ClientConfig, queue: u64, brokers: [NodeId; 2]) -> Self {
        Client { config, queue, brokers, next: 0, link: Link::Down, begun: 0, outstanding: None }
    }

    /// The message that has not been acknowledged yet.
    pub fn outstanding(&self) -> Option<u64> {
        self.outstanding
    }

    /// The process has started.
    pub fn on_start<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        // A restarted client draws a new range of ids: one that it has used must not come back with another message.
        self.begun = (ctx.random() as u32 & 0xffff) << 12;
        self.connect(ctx);
        let first = ctx.random_duration(self.config.send_interval);
        ctx.set_timer(ClientTimer::Next.into(), first);
    }

    /// A message has come from a broker.
    pub fn on_message<A: Carrier>(&mut self, message: ClientMessage, ctx: &mut Context<A>) {
        let current = matches!((self.link, ctx.via()), (Link::Up(up), Some(via)) if up == via);
        match message {
            ClientMessage::Sent { id } if self.outstanding == Some(id) => {
                self.outstanding = None;
                self.note(id, Step::Returned(None), ctx);
                ctx.cancel_timer(ClientTimer::CallTimeout.into());
                ctx.set_timer(ClientTimer::Next.into(), self.config.send_interval);
            }
            ClientMessage::Topology { live, backup } if current => self.follow(live, backup, ctx),
            _ => {}
        }
    }

    /// A timer has ended.
    pub fn on_timer<A: Carrier>(&mut self, timer: ClientTimer, ctx: &mut Context<A>) {
        match timer {
            ClientTimer::Next => self.begin(ctx),
            ClientTimer::Reconnect => self.connect(ctx),
            ClientTimer::CallTimeout => {
                if let Link::Opening(id) | Link::Up(id) = self.link {
                    ctx.close(id);
                }
                self.lost(ctx);
            }
        }
    }

    /// A connection has changed.
    pub fn on_connection<A: Carrier>(&mut self, event: ConnectionEvent, ctx: &mut Context<A>) {
        match event {
            ConnectionEvent::Opened(id) if self.link == Link::Opening(id) => {
                self.link = Link::Up(id);
                ctx.cancel_timer(ClientTimer::CallTimeout.into());
                ctx.send_on(id, ClientMessage::Attach.into());
                self.transmit(ctx);
            }
            ConnectionEvent::Refused(id, _) if self.link == Link::Opening(id) => {
                ctx.cancel_timer(ClientTimer::CallTimeout.into());
                self.retry(ctx);
            }
            ConnectionEvent::Closed(id, _) if self.link == Link::Up(id) => {
                ctx.cancel_timer(ClientTimer::CallTimeout.into());
                self.lost(ctx);
            }
            _ => {}
        }
    }

    fn begin<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        let id = u64::from(ctx.node().0) << 32 | u64::from(self.begun);
        self.begun += 1;
        self.outstanding = Some(id);
        self.note(id, Step::Invoked, ctx);
        self.transmit(ctx);
    }

    fn transmit<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        if let (Link::Up(connection), Some(id)) = (self.link, self.outstanding) {
            ctx.send_on(connection, ClientMessage::Send { id, size: self.config.message_bytes }.into());
            ctx.set_timer(ClientTimer::CallTimeout.into(), self.config.call_timeout);
        }
    }

    /// The connection is gone, and with it perhaps the answer to a send.
    fn lost<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        if let (true, Link::Up(_), Some(id)) = (self.config.forgets_unanswered_sends, self.link, self.outstanding) {
            // ARTEMIS-1304: the exception was none that the sender knew, so it did not send again. The fix reports
            // the outcome as unknown, and the sender repeats the message with its id.
            self.outstanding = None;
            self.note(id, Step::Unknown, ctx);
            ctx.set_timer(ClientTimer::Next.into(), self.config.send_interval);
        }
        self.retry(ctx);
    }

    fn retry<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        self.link = Link::Down;
        self.next = (self.next + 1) % self.brokers.len();
        ctx.set_timer(ClientTimer::Reconnect.into(), self.config.retry_interval);
    }

    fn connect<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        self.link = Link::Opening(ctx.connect(self.brokers[self.next]));
        ctx.set_timer(ClientTimer::CallTimeout.into(), self.config.call_timeout);
    }

    /// Goes where the broker says that the LIVE one is.
    fn follow<A: Carrier>(&mut self, live: NodeId, backup: Option<NodeId>, ctx: &mut Context<A>) {
        let (Link::Up(connection), here) = (self.link, self.brokers[self.next]) else { return };
        self.brokers = [live, backup.unwrap_or(if here == live { self.brokers[1 - self.next] } else { here })];
        self.next = 0;
        if here != live {
            ctx.close(connection);
            ctx.cancel_timer(ClientTimer::CallTimeout.into());
            self.connect(ctx);
        }
    }

    fn note<A: Carrier>(&self, id: u64, step: Step, ctx: &mut Context<A>) {
        ctx.record(Operation { id, call: Call::Write { key: self.queue, value: id }, step });
    }
}
