//! A client: its connection, its invocations and the valve in front of them.
//!
//! In the order of the specification: `failover.rs` (detection, the valve, hopping), `restore.rs` (making objects
//! again, moving), and `work.rs` (what an application does with it). Here are the fields and who handles what.

mod failover;
mod restore;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sim_core::{ConnectionEvent, ConnectionId, Context, Instant, NodeId};

use super::layout::SharedRef;
use super::message::{DeliveryId, Item, Message, MessageId, Object, QueueId, SessionId, Timer};
use super::protocol::Node;
use super::state::ClientPhase;
use crate::services::membership::Address;

use failover::{Attempt, Hop};
use restore::Leaving;

pub(super) type Ctx<'a> = Context<'a, Node>;

/// A client. All instants are readings of its own clock.
#[derive(Clone, Debug, Hash)]
pub struct Client {
    shared: SharedRef,
    me: NodeId,
    phase: ClientPhase,
    /// Since when the valve is closed; `None` if it is open.
    valve_closed: Option<Instant>,
    session: SessionId,
    queue: QueueId,
    /// Who fails over for whom, as far as it was ever told.
    map: BTreeMap<Address, Vec<Address>>,
    /// The server that it is or was connected to last.
    server: Option<Address>,
    connection: Option<ConnectionId>,
    /// The control channel, and to whom.
    control: Option<(NodeId, ConnectionId)>,
    /// When anything was last heard on the connection.
    heard: Instant,

    /// The connection that was last marked as failed.
    failed_connection: Option<ConnectionId>,
    /// All connections that were failed over, oldest first.
    failed_over: Vec<ConnectionId>,
    /// The server that it fails over from.
    failed: Option<Address>,
    /// Whom another server has named for it, and who was not to be reached.
    unreachable: Option<Address>,
    attempt: Option<Attempt>,
    /// What to do after the pause.
    next_hop: Option<Hop>,
    /// Hops of the present failover, or the last.
    hops: u32,
    /// Servers to try when nobody says better, the next first.
    guesses: VecDeque<NodeId>,
    /// Objects that are still to be made.
    to_make: VecDeque<Object>,
    /// Why and where to it leaves its server of its own accord.
    leaving: Option<Leaving>,

    /// What it asks of its server.
    invocations: BTreeMap<Invocation, Progress>,
    /// Messages that it holds, by delivery id.
    unacked: BTreeMap<DeliveryId, Held>,
    /// Messages that it has processed.
    processed: BTreeSet<MessageId>,
    processing: Option<DeliveryId>,
    /// The message that is being sent.
    outgoing: Option<Item>,
    /// Part of the ids of the messages that it sends: a client that was started again sends others.
    process: u16,
    sent: u32,
    transactions: BTreeMap<u64, Vec<DeliveryId>>,
    /// Transactions that are prepared, the next to commit first.
    prepared: VecDeque<u64>,
    /// Deliveries for the next transaction.
    batch: Vec<DeliveryId>,
    begun_transactions: u64,
    consumer_open: bool,
    /// A message that came to a consumer that was closed.
    stray: Option<MessageId>,
}

/// Something that it asks of its server and that has to pass the valve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invocation {
    /// Acknowledge a delivery.
    Acknowledge(DeliveryId),
    /// Prepare a transaction.
    Prepare(u64),
    /// Commit a transaction.
    Commit(u64),
    /// Close the consumer.
    CloseConsumer,
    /// Make the consumer again.
    OpenConsumer,
    /// Send the message.
    Send(MessageId),
    /// Look how many messages there are.
    Browse,
    /// Look whether the server answers.
    Ping,
}

/// How far an invocation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// When it was sent; `None` while it waits at the valve.
    pub sent: Option<Instant>,
    /// Whether it has been sent before.
    pub tried: bool,
}

/// A message that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The message.
    pub message: MessageId,
    /// The queue.
    pub queue: QueueId,
    /// Whether it has been processed.
    pub done: bool,
}

impl Client {
    pub(super) fn new(shared: &SharedRef, me: NodeId) -> Self {
        Client {
            me,
            phase: ClientPhase::default(),
            valve_closed: Some(Instant::ZERO),
            session: SessionId { client: me, serial: 0 },
            queue: shared.queue_of(me),
            map: BTreeMap::new(),
            server: None,
            connection: None,
            control: None,
            heard: Instant::ZERO,
            failed_connection: None,
            failed_over: Vec::new(),
            failed: None,
            unreachable: None,
            attempt: None,
            next_hop: None,
            hops: 0,
            guesses: VecDeque::new(),
            to_make: VecDeque::new(),
            leaving: None,
            invocations: BTreeMap::new(),
            unacked: BTreeMap::new(),
            processed: BTreeSet::new(),
            processing: None,
            outgoing: None,
            process: 0,
            sent: 0,
            transactions: BTreeMap::new(),
            prepared: VecDeque::new(),
            batch: Vec::new(),
            begun_transactions: 0,
            consumer_open: true,
            stray: None,
            shared: shared.clone(),
        }
    }

    /// Where its connection stands.
    pub fn phase(&self) -> ClientPhase {
        self.phase
    }

    /// Since when, on its own clock, its valve is closed.
    pub fn valve_closed(&self) -> Option<Instant> {
        self.valve_closed
    }

    /// What it asks of its server.
    pub fn invocations(&self) -> &BTreeMap<Invocation, Progress> {
        &self.invocations
    }

    /// The messages that it holds.
    pub fn unacked(&self) -> &BTreeMap<DeliveryId, Held> {
        &self.unacked
    }

    /// Whether it has processed a message.
    pub fn has_processed(&self, message: MessageId) -> bool {
        self.processed.contains(&message)
    }

    /// Its session, and the connection that it is on.
    pub fn session(&self) -> (SessionId, Option<ConnectionId>) {
        (self.session, self.connection)
    }

    /// All connections that it has failed over, oldest first.
    pub fn failed_over(&self) -> &[ConnectionId] {
        &self.failed_over
    }

    /// How many hops its present failover has made, or the last.
    pub fn hops(&self) -> u32 {
        self.hops
    }

    /// A message that came to its consumer after that had been closed.
    pub fn stray(&self) -> Option<MessageId> {
        self.stray
    }

    pub(super) fn start(&mut self, ctx: &mut Ctx<'_>) {
        self.session.serial = ctx.random() as u32;
        self.process = self.session.serial as u16;
        self.connect_anew(ctx);
        ctx.set_timer(Timer::Check, self.shared.config.validator_period);
        let config = &self.shared.config;
        let first_send = ctx.random_duration(config.send_interval);
        let repeated = [
            (Timer::Browse, config.browse_interval),
            (Timer::Consumer, config.consumer_interval),
            (Timer::Session, config.session_interval),
        ];
        ctx.set_timer(Timer::Send, first_send);
        for (timer, interval) in repeated {
            if !interval.is_zero() {
                ctx.set_timer(timer, interval);
            }
        }
    }

    pub(super) fn on_message(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        if let Message::MapPush(map) = message {
            return self.on_map(map);
        }
        if self.attempt.is_some_and(|attempt| Some(attempt.connection) == ctx.via()) {
            return self.on_attempt_answered(message, ctx);
        }
        if self.connection.is_none() || self.connection != ctx.via() {
            return; // Of a connection that it has left.
        }
        self.heard = ctx.now();
        match message {
            Message::Created(object) => self.on_created(object, ctx),
            Message::Recovered => self.recovered(ctx),
            Message::Deliver(delivery, queue, item) => self.on_deliver(delivery, queue, item, ctx),
            Message::Sent(id) => self.on_sent(id, ctx),
            Message::Acknowledged(delivery) => self.on_acknowledged(delivery, ctx),
            Message::Prepared(number) => self.on_prepared(number, ctx),
            Message::Committed(number) => self.on_committed(number, ctx),
            Message::ConsumerClosed => self.on_consumer_closed(ctx),
            Message::Browsed(_) => self.answered(Invocation::Browse, ctx),
            Message::Pong => self.answered(Invocation::Ping, ctx),
            Message::Move(to) => self.on_move(to, ctx),
            other => unreachable!("{other:?} is not for a client"),
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer, ctx: &mut Ctx<'_>) {
        match timer {
            Timer::Send => self.next_send(ctx),
            Timer::Process => self.processed_one(ctx),
            Timer::Commit => self.commit(ctx),
            Timer::Check => self.check(ctx),
            Timer::Detect(connection, _) => self.detect(connection, ctx),
            Timer::Attempt => self.attempt_failed(ctx),
            Timer::Hop => self.hop(ctx),
            Timer::Browse => self.browse(ctx),
            Timer::Consumer => self.toggle_consumer(ctx),
            Timer::Session => self.renew_session(ctx),
            Timer::Restart(connection) => self.restart(connection, ctx),
            timer => unreachable!("clients do not arm {timer:?}"),
        }
    }

    pub(super) fn on_connection(&mut self, event: ConnectionEvent, ctx: &mut Ctx<'_>) {
        match event {
            ConnectionEvent::Opened(id) if self.attempt.is_some_and(|attempt| attempt.connection == id) => {
                self.attempt_opened(ctx);
            }
            ConnectionEvent::Opened(id) if self.control.is_some_and(|(_, control)| control == id) => {
                ctx.send_on(id, Message::Subscribe);
            }
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) => {
                if self.control.is_some_and(|(_, control)| control == id) {
                    self.control = None;
                } else if self.attempt.is_some_and(|attempt| attempt.connection == id) {
                    self.attempt_failed(ctx);
                } else if self.connection == Some(id) {
                    self.connection_broken(id, ctx);
                }
            }
            _ => {}
        }
    }

    /// Sends what waits, if the valve is open.
    fn flush(&mut self, ctx: &mut Ctx<'_>) {
        if self.valve_closed.is_some() || self.phase != ClientPhase::Connected {
            return;
        }
        let Some(connection) = self.connection else { return };
        let waiting: Vec<Invocation> =
            self.invocations.iter().filter(|(_, progress)| progress.sent.is_none()).map(|(&i, _)| i).collect();
        for invocation in waiting {
            let tried = self.invocations[&invocation].tried;
            let message = match invocation {
                Invocation::Acknowledge(delivery) => Message::Acknowledge(delivery),
                Invocation::Prepare(number) => {
                    Message::Prepare(number, self.transactions.get(&number).cloned().unwrap_or_default())
                }
                Invocation::Commit(number) => Message::Commit(number),
                Invocation::CloseConsumer => Message::CloseConsumer,
                Invocation::OpenConsumer => Message::Create(Object::Consumer(self.queue)),
                Invocation::Send(_) => match self.outgoing {
                    Some(item) => Message::Send(self.queue, item, tried),
                    None => continue,
                },
                Invocation::Browse => Message::Browse(self.queue),
                Invocation::Ping => Message::Ping,
            };
            ctx.send_on(connection, message);
            self.invocations.insert(invocation, Progress { sent: Some(ctx.now()), tried: true });
        }
    }

    fn invoke(&mut self, invocation: Invocation, ctx: &mut Ctx<'_>) {
        if self.phase != ClientPhase::Failed {
            self.invocations.entry(invocation).or_default();
            self.flush(ctx);
        }
    }

    /// An invocation has come to its end.
    fn answered(&mut self, invocation: Invocation, ctx: &mut Ctx<'_>) {
        self.invocations.remove(&invocation);
        self.leave_if_quiet(ctx);
    }

    fn in_flight(&self) -> impl Iterator<Item = Instant> + '_ {
        self.invocations.values().filter_map(|progress| progress.sent)
    }

    /// Looks whether the server answers, and after the control channel.
    fn check(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase == ClientPhase::Failed {
            return;
        }
        ctx.set_timer(Timer::Check, self.shared.config.validator_period);
        let (now, timeout) = (ctx.now(), self.shared.config.call_timeout);
        let Some(connection) = self.connection else { return };
        let overdue = match self.phase {
            ClientPhase::Restoring => now.since(self.heard) > timeout,
            _ => self.in_flight().any(|sent| now.since(sent) > timeout),
        };
        if overdue {
            return self.connection_broken(connection, ctx);
        }
        self.invoke(Invocation::Ping, ctx);
        self.keep_control(ctx);
    }

    /// Opens a control channel to a server other than its own.
    fn keep_control(&mut self, ctx: &mut Ctx<'_>) {
        let here = self.server.map(|server| server.node);
        if let Some((node, connection)) = self.control {
            if Some(node) != here {
                return;
            }
            ctx.close(connection);
            self.control = None;
        }
        let servers = &self.shared.servers;
        let at = here.and_then(|here| servers.iter().position(|&server| server == here)).unwrap_or(0);
        let turn = 1 + ctx.random_below(servers.len().max(2) as u64 - 1) as usize;
        let node = servers[(at + turn) % servers.len()];
        if Some(node) != here {
            self.control = Some((node, ctx.connect(node)));
        }
    }

    /// The failover map has changed.
    fn on_map(&mut self, map: Vec<(Address, Vec<Address>)>) {
        // What is known of servers that are gone is needed just now. Defect JBMESSAGING-1041: it is thrown away.
        if self.shared.defects.jbm_1041 {
            self.map.clear();
        }
        self.map.extend(map);
    }
}
