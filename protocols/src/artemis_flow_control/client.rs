//! A client of the source broker: a producer that sends one message after another, and waits for credits and for the
//! transport. What the test harness around it does at the end of a run stands in `teardown.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sim_core::history::{Call, Operation, Step};
use sim_core::{ConnectionEvent, ConnectionId, Constant, Context, NodeId};

use super::address_cache::CreditsCache;
use super::channel::{Channel, Listener};
use super::config::Config;
use super::credits::Flavour;
use super::defects::Defects;
use super::heartbeat::Heartbeats;
use super::messages::{Command, Message, MessageId, Timer};
use super::node::Node;
use super::operations::Stored;
use super::outgoing::Outgoing;
use super::teardown::Harness;

/// A client and the harness around it.
#[derive(Clone, Debug, Hash)]
pub struct Client {
    pub(super) config: Constant<Arc<Config>>,
    pub(super) defects: Defects,
    broker: NodeId,
    heartbeats: Heartbeats,
    /// The present run of the workload last. Before it only what earlier ones have left behind.
    pub(super) runs: Vec<Run>,
    pub(super) harness: Harness,
}

/// One run of the workload, and everything that it owns.
#[derive(Clone, Debug, Hash)]
pub struct Run {
    /// Counts the runs of this client.
    pub number: u32,
    /// Whether the session factory is open: then it replaces a lost connection.
    pub(super) factory: bool,
    connecting: Option<ConnectionId>,
    pub(super) session: Option<Session>,
    session_closed: bool,
    pub(super) producer: Producer,
    credits: CreditsCache,
    /// What the producer is sending, and whether it has the credits for the next packet.
    pub(super) outgoing: Option<(Outgoing, bool)>,
    /// Sent and not answered.
    unanswered: BTreeMap<MessageId, Stored>,
    /// What was sent on a lost connection and is to be sent again, without credits.
    replay: VecDeque<Outgoing>,
    made: u32,
    /// Packets sent and connections lost.
    progress: u64,
}

/// A session and the connection that it is on, or was on.
#[derive(Clone, Debug, Hash)]
pub(super) struct Session {
    pub(super) channel: Channel,
    created: bool,
    /// The connection has failed; the factory will replace it.
    pub(super) disposed: bool,
}

/// The thread of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Producer {
    /// Sends, or waits for something.
    Running,
    /// Was told to stop.
    Stopping,
    /// Has ended.
    Ended,
}

impl Client {
    /// A client of `broker`.
    pub fn new(config: Constant<Arc<Config>>, defects: Defects, broker: NodeId) -> Self {
        Client {
            config,
            defects,
            broker,
            heartbeats: Heartbeats::default(),
            runs: Vec::new(),
            harness: Harness::default(),
        }
    }

    /// Starts the first run.
    pub fn start(&mut self, ctx: &mut Context<Node>) {
        self.heartbeats.start(&self.config, ctx);
        // A process that was restarted goes on with other ids.
        let number = (ctx.random() & 0x7fff) as u32;
        self.start_run(number, ctx);
    }

    /// What earlier runs have left behind.
    pub fn leftovers(&self) -> &[Run] {
        self.runs.split_last().map_or(&[], |(_, earlier)| earlier)
    }

    /// All runs that are not cleaned up.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(super) fn start_run(&mut self, number: u32, ctx: &mut Context<Node>) {
        self.runs.push(Run {
            number,
            factory: true,
            connecting: Some(ctx.connect(self.broker)),
            session: None,
            session_closed: false,
            producer: Producer::Running,
            credits: CreditsCache::new(Flavour::Blocking, &self.config, self.defects),
            outgoing: None,
            unanswered: BTreeMap::new(),
            replay: VecDeque::new(),
            made: 0,
            progress: 0,
        });
        ctx.set_timer(Timer::Produce, self.config.send_interval);
    }

    /// The broker has something to say.
    pub fn on_message(&mut self, message: Message, ctx: &mut Context<Node>) {
        let Some(connection) = ctx.via() else { return };
        self.heartbeats.on_message(&message, ctx);
        let Some(run) = self.runs.iter_mut().find(|run| run.is_on(connection)) else { return };
        match message {
            Message::SessionCreated => run.attached(ctx),
            Message::ProducerCredits { address, credits } => run.credits.receive(address, credits),
            Message::SendResponse { id } => {
                if let Some(stored) = run.unanswered.remove(&id) {
                    ctx.record(operation(stored, Step::Returned(None)));
                }
                return;
            }
            _ => return,
        }
        run.send(&self.config, ctx);
    }

    /// A timer or a job has ended.
    pub fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Node>) {
        match timer {
            Timer::Produce => self.produce(ctx),
            Timer::Retry => {
                for run in &mut self.runs {
                    let lost = run.session.as_ref().is_none_or(|session| session.disposed);
                    if run.factory && run.connecting.is_none() && lost {
                        run.connecting = Some(ctx.connect(self.broker));
                    }
                }
            }
            Timer::FailureCheck => {
                let config = self.config.clone();
                for silent in self.heartbeats.check(&config, ctx) {
                    self.disconnected(silent, ctx);
                }
            }
            Timer::TearDown(step) => self.tear_down(step, ctx),
            Timer::ProducerEnded => self.producer_ended(),
            Timer::RescanLeaks => self.look_for_leaks(ctx),
            _ => {}
        }
    }

    /// A connection has changed.
    pub fn on_connection(&mut self, event: ConnectionEvent, ctx: &mut Context<Node>) {
        match event {
            ConnectionEvent::Opened(connection) => {
                let now = ctx.now();
                self.heartbeats.heard(connection, now);
                // A session that was closed meanwhile is not made anew; the factory closes the connection.
                let run = self.runs.iter_mut().find(|run| run.connecting == Some(connection) && !run.session_closed);
                if let Some(run) = run {
                    ctx.send_on(connection, Message::CreateSession);
                    run.connecting = None;
                    run.session = Some(Session { channel: Channel::new(connection), created: false, disposed: false });
                }
            }
            ConnectionEvent::Writable(connection) => {
                if let Some(run) = self.runs.iter_mut().find(|run| run.is_on(connection)) {
                    if let Some(session) = &mut run.session {
                        session.channel.became_writable();
                    }
                    run.send(&self.config, ctx);
                }
            }
            ConnectionEvent::Refused(connection, _) | ConnectionEvent::Closed(connection, _) => {
                self.disconnected(connection, ctx);
            }
            ConnectionEvent::Accepted(_) => {}
        }
    }

    /// An operator or the harness asks for something.
    pub fn on_command(&mut self, command: Command, ctx: &mut Context<Node>) {
        match command {
            Command::TearDown => self.begin_tear_down(ctx),
            Command::Disconnect => {
                let connections: Vec<_> = self.runs.iter().filter_map(Run::connection).collect();
                for connection in connections {
                    ctx.mark("client-disconnected");
                    ctx.close(connection);
                    self.disconnected(connection, ctx);
                }
            }
        }
    }

    fn produce(&mut self, ctx: &mut Context<Node>) {
        let node = ctx.node();
        for run in &mut self.runs {
            if run.producer == Producer::Running && run.outgoing.is_none() && run.made < self.config.messages {
                let stored = Stored {
                    id: u64::from(node.0) << 48 | u64::from(run.number) << 32 | u64::from(run.made),
                    address: run.made % self.config.addresses,
                    body: self.config.body_of(run.made),
                    paged: false,
                };
                run.made += 1;
                run.outgoing = Some((Outgoing::new(stored), false));
                run.unanswered.insert(stored.id, stored);
                ctx.record(operation(stored, Step::Invoked));
                run.send(&self.config, ctx);
            }
        }
    }

    fn disconnected(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        self.heartbeats.forget(connection);
        for run in &mut self.runs {
            if run.connecting == Some(connection) {
                run.connecting = None;
            } else if run.is_on(connection) {
                run.lose_connection();
            } else {
                continue;
            }
            ctx.set_timer(Timer::Retry, self.config.retry_interval);
        }
    }
}

impl Run {
    /// Whether the producer waits: for credits, the transport, or a connection.
    pub fn is_blocked(&self) -> bool {
        self.producer == Producer::Running && (self.outgoing.is_some() || !self.replay.is_empty())
    }

    /// Whether the session has a connection, or thinks so.
    pub fn is_connected(&self) -> bool {
        self.connection().is_some()
    }

    /// Counts what the producer has got done.
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// What the run still has, in words; empty if nothing.
    pub fn possessions(&self) -> Vec<&'static str> {
        [
            ("a session", self.session.is_some()),
            ("a session factory", self.factory || self.connecting.is_some()),
            ("a producer thread", self.producer != Producer::Ended),
            ("a credit waiter", self.outgoing.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, held)| held.then_some(name))
        .collect()
    }

    /// The connection of the session, if it has not failed.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.session.as_ref().filter(|session| !session.disposed).map(|session| session.channel.connection)
    }

    /// Gives up the session; its connection, if it has one, is closed already.
    pub(super) fn drop_session(&mut self) {
        self.session = None;
        self.session_closed = true;
    }

    /// Closes the session factory, and the connection that it may be opening.
    pub(super) fn close_factory(&mut self, ctx: &mut Context<Node>) {
        self.factory = false;
        if let Some(connection) = self.connecting.take() {
            ctx.close(connection);
        }
    }

    /// Nobody will wait for the answers any more.
    pub(super) fn give_up(&mut self, ctx: &mut Context<Node>) {
        for stored in std::mem::take(&mut self.unanswered).into_values() {
            ctx.record(operation(stored, Step::Unknown));
        }
    }

    fn is_on(&self, connection: ConnectionId) -> bool {
        self.connection() == Some(connection)
    }

    fn lose_connection(&mut self) {
        self.progress += 1;
        if let Some(session) = &mut self.session {
            session.disposed = true;
        }
        // The broker has forgotten the packets of a message that was not complete.
        if let Some((outgoing, credited)) = &mut self.outgoing {
            *outgoing = Outgoing::new(outgoing.stored);
            *credited = false;
        }
    }

    /// The broker has made the session, or has made it anew after a failover.
    fn attached(&mut self, ctx: &mut Context<Node>) {
        let Some(session) = &mut self.session else { return };
        session.created = true;
        if self.progress == 0 {
            return;
        }
        ctx.mark("client-reconnected");
        self.credits.reset();
        let outgoing = self.outgoing.map(|(outgoing, _)| outgoing.stored.id);
        let sent = self.unanswered.values().filter(|stored| Some(stored.id) != outgoing);
        self.replay = sent.copied().map(Outgoing::new).collect();
    }

    /// The producer goes on as far as it can.
    pub(super) fn send(&mut self, config: &Config, ctx: &mut Context<Node>) {
        let Some(session) = self.session.as_mut().filter(|session| session.created && !session.disposed) else {
            return;
        };
        if self.producer != Producer::Running {
            return;
        }
        loop {
            if !session.channel.is_writable(Listener::Producer) {
                ctx.mark("producer-blocked-by-transport");
                return;
            }
            if let Some(replayed) = self.replay.pop_front() {
                let packet = replayed.next(config);
                session.channel.send(packet.message, ctx);
                self.progress += 1;
                if let Some(rest) = packet.rest {
                    self.replay.push_front(rest);
                }
                continue;
            }
            let packet = self.outgoing.map(|(outgoing, _)| outgoing.next(config));
            if let (Some(packet), Some((outgoing, credited))) = (packet, &mut self.outgoing)
                && !*credited
            {
                *credited = self.credits.acquire(outgoing.stored.address, packet.credits);
            }
            if let Some((address, credits)) = self.credits.next_request() {
                session.channel.send(Message::RequestProducerCredits { address, credits }, ctx);
                continue;
            }
            let (Some(packet), Some((_, credited))) = (packet, self.outgoing) else { return };
            if !credited {
                ctx.mark("producer-blocked");
                return;
            }
            session.channel.send(packet.message, ctx);
            self.progress += 1;
            self.outgoing = packet.rest.map(|rest| (rest, false));
            if self.outgoing.is_none() && self.made < config.messages {
                ctx.set_timer(Timer::Produce, config.send_interval);
            }
        }
    }
}

fn operation(stored: Stored, step: Step) -> Operation {
    Operation { id: stored.id, call: Call::Write { key: u64::from(stored.address), value: stored.id }, step }
}
