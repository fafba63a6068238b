//! The client half: a session that goes on over broken connections, and requests that are answered or not.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sim_core::{Actor, ConnectionEvent, ConnectionId, Context, Instant, NodeId};

use super::lock::{Asked, Lock};
use super::observe::Observed;
use super::{Answer, Change, Error, LockId, Message, Request, SessionId, Text, Timer};

/// An actor that embeds a client.
pub trait ClientHost: Actor<Message: From<Message>, Timer: From<Timer>> {}
impl<A: Actor<Message: From<Message>, Timer: From<Timer>>> ClientHost for A {}

/// The settings of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientConfig {
    /// After how long of silence the server is to end the session. The client gives a connection up, and ceases to
    /// trust the session, after two thirds of it.
    pub session_timeout: Duration,
    /// Twice the longest pause before the first attempt to connect again; doubled with each. Pauses are drawn.
    pub first_retry: Duration,
    /// Longest pause between two attempts, but for half of the first.
    pub last_retry: Duration,
}

impl Default for ClientConfig {
    /// Ten seconds, as of ZooKeeper's and Kazoo's defaults; retries after 100 ms to 1 s.
    fn default() -> Self {
        ClientConfig {
            session_timeout: Duration::from_secs(10),
            first_retry: Duration::from_millis(100),
            last_retry: Duration::from_secs(1),
        }
    }
}

/// What a client tells its owner. `T` is the owner's: what it gave along with a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<T> {
    /// The session or its connection has changed.
    Session(SessionChange),
    /// A request was answered, or never will be.
    Reply {
        /// What the owner gave along.
        call: T,
        /// What came of it.
        result: Result<Answer, Error>,
    },
    /// A watch that a read or a list of the owner's has set.
    Watch {
        /// Of this node.
        path: Text,
        /// What has changed.
        change: Change,
    },
    /// A node that is observed has a value that is new to this client.
    Observed(Text),
    /// The children of an observed node have changed.
    ChildrenObserved(Text),
    /// A lock is held.
    Locked(LockId),
    /// A lock was not to be had in time.
    LockTimedOut(LockId),
    /// A lock, or the place in the queue for it, has gone with the session.
    LockLost(LockId),
}

/// What has become of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionChange {
    /// It is connected: for the first time, or again.
    Connected {
        /// Whether it is a new session, of which the server knows nothing yet.
        new: bool,
    },
    /// The connection is lost; the session may go on. The client tries to connect again by itself.
    Suspended,
    /// The session has expired. The owner decides whether to open another one, by [`Client::start`].
    Lost,
}

/// Where the client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Not started, or the session is lost.
    Idle,
    /// A connection is being opened, or waits to be.
    Connecting,
    /// Requests can be sent.
    Connected,
}

/// A client. All instants are readings of its own clock.
#[derive(Clone, Debug, Hash)]
pub struct Client<T> {
    server: NodeId,
    config: ClientConfig,
    phase: Phase,
    session: Option<SessionId>,
    connection: Option<ConnectionId>,
    /// Attempts since the last success.
    attempts: u32,
    xid: u64,
    /// What was sent and has to be answered, oldest first: when it was sent, and for whom. The server answers in
    /// order.
    awaited: VecDeque<(Instant, Awaited<T>)>,
    sent: Instant,
    heard: Instant,
    /// When the last message was sent that has been answered.
    contact: Instant,
    /// The last transaction that it has seen.
    zxid: u64,
    /// The owner's watches that have not fired: nodes, and whether each was there.
    watches: BTreeMap<Text, bool>,
    child_watches: BTreeMap<Text, ()>,
    pub(super) observed: BTreeMap<Text, Observed>,
    pub(super) locks: BTreeMap<LockId, Lock>,
    pub(super) next_lock: u32,
    /// What the owner is to be told.
    pub(super) events: Vec<Event<T>>,
}

/// For whom an answer is.
#[derive(Clone, Debug, Hash)]
enum Awaited<T> {
    Session,
    Ping,
    Owner { call: T, watched: Option<Watched> },
    Recipe(Recipe),
}

/// Which watches a request of the owner's sets.
#[derive(Clone, Debug, Hash)]
enum Watched {
    Nodes(Vec<Text>),
    Children(Text),
}

/// For which recipe an answer is.
#[derive(Clone, Debug, Hash)]
pub(super) enum Recipe {
    Observe(Vec<Text>),
    ObserveChildren(Text),
    Lock(LockId, Asked),
}

impl<T: Clone> Client<T> {
    /// A client of the server at `server`. Nothing happens before [`Client::start`].
    pub fn new(server: NodeId, config: ClientConfig) -> Self {
        Client {
            server,
            config,
            phase: Phase::Idle,
            session: None,
            connection: None,
            attempts: 0,
            xid: 0,
            awaited: VecDeque::new(),
            sent: Instant::ZERO,
            heard: Instant::ZERO,
            contact: Instant::ZERO,
            zxid: 0,
            watches: BTreeMap::new(),
            child_watches: BTreeMap::new(),
            observed: BTreeMap::new(),
            locks: BTreeMap::new(),
            next_lock: 0,
            events: Vec::new(),
        }
    }

    /// Opens a session, unless there is one. What was observed is observed again.
    pub fn start<A: ClientHost>(&mut self, ctx: &mut Context<A>) {
        if self.phase == Phase::Idle {
            self.phase = Phase::Connecting;
            self.connect(ctx);
        }
    }

    /// Whether requests can be sent.
    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    /// The session, if there is one as far as the client knows.
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Whether the session is sure not to have expired when the client's clock reads `now`, as long as no clock is
    /// off by a third: less than two thirds of its timeout ago, something was sent that the server has answered.
    /// Unlike what the client remembers, this is true of a process that has just woken from a long pause as well.
    pub fn trusts(&self, now: Instant) -> bool {
        self.session.is_some() && now < self.contact + self.patience()
    }

    /// When the last message was sent that the server has answered.
    pub fn last_contact(&self) -> Instant {
        self.contact
    }

    /// For how long the client puts up with silence.
    fn patience(&self) -> Duration {
        self.config.session_timeout * 2 / 3
    }

    /// Asks for something; the answer comes as [`Event::Reply`] with `call`. Returns whether it was sent: if the
    /// client is not connected, nothing is, and no answer comes.
    pub fn request<A: ClientHost>(&mut self, request: Request, call: T, ctx: &mut Context<A>) -> bool {
        let watched = match &request {
            Request::Read { paths, watch: true } => Some(Watched::Nodes(paths.clone())),
            Request::Children { path, watch: true } => Some(Watched::Children(path.clone())),
            _ => None,
        };
        self.send_request(request, Awaited::Owner { call, watched }, ctx)
    }

    pub(super) fn ask<A: ClientHost>(&mut self, request: Request, recipe: Recipe, ctx: &mut Context<A>) -> bool {
        self.send_request(request, Awaited::Recipe(recipe), ctx)
    }

    fn send_request<A: ClientHost>(&mut self, request: Request, awaited: Awaited<T>, ctx: &mut Context<A>) -> bool {
        if self.phase != Phase::Connected {
            return false;
        }
        self.xid += 1;
        self.send(Message::Request { xid: self.xid, request }, Some(awaited), ctx)
    }

    /// Sends on the connection.
    fn send<A: ClientHost>(&mut self, message: Message, awaited: Option<Awaited<T>>, ctx: &mut Context<A>) -> bool {
        let Some(connection) = self.connection else { return false };
        if !ctx.send_on(connection, message.into()) {
            return false;
        }
        self.sent = ctx.now();
        self.awaited.extend(awaited.map(|awaited| (self.sent, awaited)));
        true
    }

    /// Ends the session in good order.
    pub fn close<A: ClientHost>(&mut self, ctx: &mut Context<A>) {
        self.send(Message::CloseSession, None, ctx);
        self.end_session();
        self.drop_connection(ctx);
        self.events.clear();
        self.phase = Phase::Idle;
        ctx.cancel_timer(Timer::Session.into());
        ctx.cancel_timer(Timer::Retry.into());
    }

    /// A message from the server has arrived.
    pub fn on_message<A: ClientHost>(&mut self, message: Message, ctx: &mut Context<A>) -> Vec<Event<T>> {
        if ctx.via() != self.connection {
            return Vec::new(); // Of a connection that was given up.
        }
        self.heard = ctx.now();
        match message {
            Message::Connected { session } => self.connected(session, ctx),
            Message::SessionExpired => self.expired(ctx),
            Message::Pong => _ = self.answered(),
            Message::Reply { xid: _, zxid, result } => {
                self.zxid = self.zxid.max(zxid);
                self.replied(result, ctx);
            }
            Message::WatchEvent { path, change, zxid } => {
                self.zxid = self.zxid.max(zxid);
                self.watch_fired(path, change, ctx);
            }
            message => panic!("{message:?} was sent to a client"),
        }
        std::mem::take(&mut self.events)
    }

    /// A connection to the server has changed.
    pub fn on_connection<A: ClientHost>(&mut self, event: ConnectionEvent, ctx: &mut Context<A>) -> Vec<Event<T>> {
        match event {
            ConnectionEvent::Opened(id) if self.connection == Some(id) => {
                let connect = Message::Connect { session: self.session, timeout: self.config.session_timeout };
                self.send(connect, Some(Awaited::Session), ctx);
            }
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) if self.connection == Some(id) => {
                self.disconnected(ctx);
            }
            _ => {}
        }
        std::mem::take(&mut self.events)
    }

    /// A timer has fired.
    pub fn on_timer<A: ClientHost>(&mut self, timer: Timer, ctx: &mut Context<A>) -> Vec<Event<T>> {
        match timer {
            Timer::Session => self.look_at_connection(ctx),
            Timer::Retry => self.connect(ctx),
            Timer::Lock(id) => self.lock_times_out(id, ctx),
            Timer::Expiry => panic!("clients do not arm the server's timer"),
        }
        std::mem::take(&mut self.events)
    }

    fn connect<A: ClientHost>(&mut self, ctx: &mut Context<A>) {
        if self.phase != Phase::Connecting || self.connection.is_some() {
            return;
        }
        self.attempts += 1;
        self.connection = Some(ctx.connect(self.server));
        (self.sent, self.heard) = (ctx.now(), ctx.now());
        ctx.set_timer(Timer::Session.into(), self.patience());
    }

    fn connected<A: ClientHost>(&mut self, session: SessionId, ctx: &mut Context<A>) {
        self.answered();
        let new = self.session.replace(session) != Some(session);
        self.phase = Phase::Connected;
        self.attempts = 0;
        ctx.set_timer(Timer::Session.into(), self.config.session_timeout / 3);
        if !self.watches.is_empty() || !self.child_watches.is_empty() {
            let nodes = self.watches.iter().map(|(path, &there)| (path.clone(), there)).collect();
            let children = self.child_watches.keys().cloned().collect();
            self.send(Message::SetWatches { since: self.zxid, nodes, children }, None, ctx);
        }
        self.events.push(Event::Session(SessionChange::Connected { new }));
        self.resume_locks(ctx);
        self.resume_observing(ctx);
    }

    /// Takes who waits for the next answer; the server must have been alive when that was sent.
    fn answered(&mut self) -> Option<Awaited<T>> {
        let (sent, awaited) = self.awaited.pop_front()?;
        self.contact = sent;
        Some(awaited)
    }

    fn replied<A: ClientHost>(&mut self, result: Result<Answer, Error>, ctx: &mut Context<A>) {
        match self.answered() {
            Some(Awaited::Owner { call, watched }) => {
                match (watched, &result) {
                    (Some(Watched::Nodes(paths)), Ok(Answer::Read(read))) => {
                        self.watches.extend(paths.into_iter().zip(read.iter().map(Option::is_some)));
                    }
                    (Some(Watched::Children(path)), Ok(_)) => _ = self.child_watches.insert(path, ()),
                    _ => {}
                }
                self.events.push(Event::Reply { call, result });
            }
            Some(Awaited::Recipe(recipe)) => match recipe {
                Recipe::Observe(paths) => self.observed_nodes(paths, result),
                Recipe::ObserveChildren(path) => self.observed_children(path, result),
                Recipe::Lock(id, asked) => self.lock_replied(id, asked, result, ctx),
            },
            other => panic!("the server answers in order, but {:?} was answered", other.is_some()),
        }
    }

    fn watch_fired<A: ClientHost>(&mut self, path: Text, change: Change, ctx: &mut Context<A>) {
        self.look_again(&path, change, ctx);
        self.predecessor_changed(&path, change, ctx);
        let mine = match change {
            Change::Children => self.child_watches.remove(&path).is_some(),
            _ => self.watches.remove(&path).is_some(),
        };
        if mine {
            self.events.push(Event::Watch { path, change });
        }
    }

    /// Pings if there was nothing else to say; gives the connection up if the server has been silent for too long.
    fn look_at_connection<A: ClientHost>(&mut self, ctx: &mut Context<A>) {
        let now = ctx.now();
        if self.connection.is_none() {
            return;
        }
        let (ping_at, give_up_at) = (self.sent + self.config.session_timeout / 3, self.heard + self.patience());
        if now >= give_up_at {
            self.drop_connection(ctx);
            return self.disconnected(ctx);
        }
        if self.phase == Phase::Connected && now >= ping_at {
            self.send(Message::Ping, Some(Awaited::Ping), ctx);
            let next = (now + self.config.session_timeout / 3).min(give_up_at);
            return ctx.set_timer(Timer::Session.into(), next.since(now));
        }
        let next = if self.phase == Phase::Connected { ping_at.min(give_up_at) } else { give_up_at };
        ctx.set_timer(Timer::Session.into(), next.since(now));
    }

    fn drop_connection<A: ClientHost>(&mut self, ctx: &mut Context<A>) {
        if let Some(connection) = self.connection.take() {
            ctx.close(connection);
        }
    }

    /// The connection is gone. What was not answered is in doubt.
    fn disconnected<A: ClientHost>(&mut self, ctx: &mut Context<A>) {
        self.connection = None;
        let was_connected = self.phase == Phase::Connected;
        if self.phase == Phase::Idle {
            return;
        }
        self.phase = Phase::Connecting;
        for (_, awaited) in std::mem::take(&mut self.awaited) {
            if let Awaited::Owner { call, .. } = awaited {
                self.events.push(Event::Reply { call, result: Err(Error::ConnectionLoss) });
            }
        }
        if was_connected {
            self.events.push(Event::Session(SessionChange::Suspended));
        }
        // Drawn, so that not everybody comes back at once.
        let doubled = self.config.first_retry.saturating_mul(1 << self.attempts.min(20));
        let pause = self.config.first_retry / 2 + ctx.random_duration(doubled.min(self.config.last_retry));
        ctx.cancel_timer(Timer::Session.into());
        ctx.set_timer(Timer::Retry.into(), pause);
    }

    /// The server has ended the session.
    fn expired<A: ClientHost>(&mut self, ctx: &mut Context<A>) {
        self.drop_connection(ctx);
        self.disconnected(ctx);
        self.phase = Phase::Idle;
        ctx.cancel_timer(Timer::Retry.into());
        self.end_session();
        self.events.push(Event::Session(SessionChange::Lost));
    }

    /// Forgets what belonged to the session.
    fn end_session(&mut self) {
        self.session = None;
        self.attempts = 0;
        self.awaited.clear();
        self.watches.clear();
        self.child_watches.clear();
        self.lose_locks();
    }
}
