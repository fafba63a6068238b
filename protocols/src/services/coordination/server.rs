//! The server half: sessions, the order of transactions, and who is told what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sim_core::{Actor, ConnectionEvent, ConnectionId, Context, Instant, NodeId, SyncToken};

use super::{Answer, Change, Error, Message, Record, Request, SessionId, Text, Timer, Tree};

/// An actor that embeds a server.
pub trait ServerHost: Actor<Message: From<Message>, Timer: From<Timer>, Record: From<Record>> {}
impl<A: Actor<Message: From<Message>, Timer: From<Timer>, Record: From<Record>>> ServerHost for A {}

/// The server. All instants are readings of its own clock.
#[derive(Clone, Debug, Hash)]
pub struct Server {
    tree: Tree,
    sessions: BTreeMap<SessionId, Session>,
    /// Which session a connection belongs to.
    attached: BTreeMap<ConnectionId, SessionId>,
    /// Who watches a node, by connection; on one that is not there, whether it comes.
    node_watches: BTreeMap<Text, BTreeSet<ConnectionId>>,
    /// Who watches a node's children.
    child_watches: BTreeMap<Text, BTreeSet<ConnectionId>>,
    /// What waits to be durable, and what must not overtake it.
    pipeline: VecDeque<(SyncToken, Work)>,
    /// Counts sessions.
    serial: u32,
}

#[derive(Clone, Debug, Hash)]
struct Session {
    timeout: Duration,
    /// When it ends, unless something is heard before.
    deadline: Instant,
    connection: Option<ConnectionId>,
    /// Its end is decided and on its way to the disk.
    ending: bool,
}

/// What the pipeline carries.
#[derive(Clone, Debug, Hash)]
enum Work {
    /// To be applied, and answered if somebody waits.
    Commit { record: Record, reply: Option<(ConnectionId, u64)> },
    /// To be answered after what came before.
    Read { connection: ConnectionId, xid: u64, request: Request },
    /// The same, for a ping.
    Pong { connection: ConnectionId },
}

impl Server {
    /// A server whose tree has these nodes from the beginning; parents come before children.
    pub fn new(initial: &[(Text, Text)]) -> Self {
        Server {
            tree: Tree::with(initial),
            sessions: BTreeMap::new(),
            attached: BTreeMap::new(),
            node_watches: BTreeMap::new(),
            child_watches: BTreeMap::new(),
            pipeline: VecDeque::new(),
            serial: 0,
        }
    }

    /// What has been applied.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The sessions that have not ended.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.keys().copied()
    }

    /// The process has started. Nobody knows how long it was away, so every session has its full timeout again.
    pub fn on_start<'a, A: ServerHost>(&mut self, log: impl IntoIterator<Item = &'a Record>, ctx: &mut Context<A>) {
        for record in log {
            _ = self.apply(record, ctx);
        }
        self.arm(ctx);
    }

    /// A message has arrived on a connection.
    pub fn on_message<A: ServerHost>(&mut self, from: NodeId, message: Message, ctx: &mut Context<A>) {
        let connection = ctx.via().expect("clients talk to the server on connections");
        if let Message::Connect { session, timeout } = message {
            return self.connect(from, connection, session, timeout, ctx);
        }
        let Some(id) = self.attached.get(&connection).copied() else {
            return self.refuse(connection, ctx);
        };
        let now = ctx.now();
        match self.sessions.get_mut(&id) {
            Some(session) if !session.ending => session.deadline = now + session.timeout,
            _ => return self.refuse(connection, ctx),
        }
        match message {
            Message::Ping => self.in_order(Work::Pong { connection }, ctx),
            Message::Request { xid, request: Request::Transaction(ops) } => {
                self.propose(Record::Transaction { session: id, ops }, Some((connection, xid)), ctx);
            }
            Message::Request { xid, request } => self.in_order(Work::Read { connection, xid, request }, ctx),
            Message::SetWatches { since, nodes, children } => self.set_watches(connection, since, nodes, children, ctx),
            Message::CloseSession => self.end_session(id, ctx),
            message => panic!("{message:?} was sent to the server"),
        }
    }

    /// A connection has changed.
    pub fn on_connection(&mut self, event: ConnectionEvent) {
        if let ConnectionEvent::Closed(connection, _) = event {
            self.detach(connection);
        }
    }

    /// A timer has fired.
    pub fn on_timer<A: ServerHost>(&mut self, timer: Timer, ctx: &mut Context<A>) {
        assert_eq!(timer, Timer::Expiry, "the server arms one timer");
        let now = ctx.now();
        let silent = self.sessions.iter().filter(|(_, session)| !session.ending && session.deadline <= now);
        for id in silent.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.end_session(id, ctx);
        }
        self.arm(ctx);
    }

    /// Something is durable: it counts now, and everybody is told.
    pub fn on_synced<A: ServerHost>(&mut self, token: SyncToken, ctx: &mut Context<A>) {
        while let Some(&(after, _)) = self.pipeline.front()
            && after <= token
        {
            let (_, work) = self.pipeline.pop_front().expect("the front was there just now");
            self.carry_out(work, ctx);
        }
    }

    fn connect<A: ServerHost>(
        &mut self,
        from: NodeId,
        connection: ConnectionId,
        session: Option<SessionId>,
        timeout: Duration,
        ctx: &mut Context<A>,
    ) {
        let Some(id) = session else {
            self.serial += 1;
            let session = SessionId { client: from, serial: self.serial };
            return self.propose(Record::Opened { session, timeout }, Some((connection, 0)), ctx);
        };
        let now = ctx.now();
        match self.sessions.get_mut(&id) {
            Some(session) if !session.ending => {
                session.deadline = now + session.timeout;
                let before = session.connection.replace(connection);
                if let Some(before) = before {
                    self.detach(before);
                    ctx.close(before);
                }
                self.attached.insert(connection, id);
                ctx.send_on(connection, Message::Connected { session: id }.into());
            }
            _ => self.refuse(connection, ctx),
        }
    }

    fn refuse<A: ServerHost>(&mut self, connection: ConnectionId, ctx: &mut Context<A>) {
        ctx.send_on(connection, Message::SessionExpired.into());
        self.detach(connection);
        ctx.close(connection);
    }

    /// Forgets a connection, and the watches with it: the client sets them again on its next one.
    fn detach(&mut self, connection: ConnectionId) {
        if let Some(id) = self.attached.remove(&connection)
            && let Some(session) = self.sessions.get_mut(&id)
            && session.connection == Some(connection)
        {
            session.connection = None;
        }
        for watches in [&mut self.node_watches, &mut self.child_watches] {
            watches.retain(|_, watchers| {
                watchers.remove(&connection);
                !watchers.is_empty()
            });
        }
    }

    fn end_session<A: ServerHost>(&mut self, id: SessionId, ctx: &mut Context<A>) {
        if let Some(session) = self.sessions.get_mut(&id)
            && !std::mem::replace(&mut session.ending, true)
        {
            self.propose(Record::Closed { session: id }, None, ctx);
        }
    }

    /// Arms the timer for the session that may end first.
    fn arm<A: ServerHost>(&mut self, ctx: &mut Context<A>) {
        let open = self.sessions.values().filter(|session| !session.ending);
        if let Some(first) = open.map(|session| session.deadline).min() {
            ctx.set_timer(Timer::Expiry.into(), first.since(ctx.now()));
        }
    }

    /// Writes a transaction down. It counts when it is durable.
    fn propose<A: ServerHost>(&mut self, record: Record, reply: Option<(ConnectionId, u64)>, ctx: &mut Context<A>) {
        ctx.write(record.clone().into());
        self.pipeline.push_back((ctx.sync(), Work::Commit { record, reply }));
    }

    /// Does something after everything that was proposed before it.
    fn in_order<A: ServerHost>(&mut self, work: Work, ctx: &mut Context<A>) {
        match self.pipeline.back() {
            Some(&(after, _)) => self.pipeline.push_back((after, work)),
            None => self.carry_out(work, ctx),
        }
    }

    fn carry_out<A: ServerHost>(&mut self, work: Work, ctx: &mut Context<A>) {
        match work {
            Work::Pong { connection } => _ = ctx.send_on(connection, Message::Pong.into()),
            Work::Read { connection, xid, request } => self.read(connection, xid, request, ctx),
            Work::Commit { record, reply } => {
                let result = self.apply(&record, ctx);
                match (record, reply) {
                    (Record::Opened { session, .. }, Some((connection, _))) => {
                        if ctx.send_on(connection, Message::Connected { session }.into()) {
                            self.attached.insert(connection, session);
                            let opened = self.sessions.get_mut(&session).expect("it was opened just now");
                            opened.connection = Some(connection);
                        }
                        self.arm(ctx);
                    }
                    (_, Some((connection, xid))) => self.reply(connection, xid, result, ctx),
                    (_, None) => {}
                }
            }
        }
    }

    fn reply<A: ServerHost>(
        &mut self,
        connection: ConnectionId,
        xid: u64,
        result: Result<Answer, Error>,
        ctx: &mut Context<A>,
    ) {
        ctx.send_on(connection, Message::Reply { xid, zxid: self.tree.zxid(), result }.into());
    }

    fn read<A: ServerHost>(&mut self, connection: ConnectionId, xid: u64, request: Request, ctx: &mut Context<A>) {
        // A watch that nobody could be told of is not set.
        let alive = self.attached.contains_key(&connection);
        let result = match request {
            Request::Read { paths, watch } => {
                if watch && alive {
                    for path in &paths {
                        self.node_watches.entry(path.clone()).or_default().insert(connection);
                    }
                }
                let read = |path: &Text| self.tree.get(path).map(|(data, stat)| (data.clone(), *stat));
                Ok(Answer::Read(paths.iter().map(read).collect()))
            }
            Request::Children { path, watch } => match self.tree.get(&path) {
                None => Err(Error::NoNode(path)),
                Some(_) => {
                    let names = self.tree.children(&path);
                    if watch && alive {
                        self.child_watches.entry(path).or_default().insert(connection);
                    }
                    Ok(Answer::Children(names))
                }
            },
            Request::Transaction(_) => unreachable!("transactions are proposed and not read"),
        };
        self.reply(connection, xid, result, ctx);
    }

    fn set_watches<A: ServerHost>(
        &mut self,
        connection: ConnectionId,
        since: u64,
        nodes: Vec<(Text, bool)>,
        children: Vec<Text>,
        ctx: &mut Context<A>,
    ) {
        let zxid = self.tree.zxid();
        let mut missed = Vec::new();
        for (path, was_there) in nodes {
            match (self.tree.get(&path), was_there) {
                (Some((_, stat)), true) if stat.mzxid <= since => {
                    self.node_watches.entry(path).or_default().insert(connection);
                }
                (None, false) => _ = self.node_watches.entry(path).or_default().insert(connection),
                (Some(_), true) => missed.push((path, Change::Data)),
                (Some(_), false) => missed.push((path, Change::Created)),
                (None, true) => missed.push((path, Change::Deleted)),
            }
        }
        // Whether children came and went is not kept, so the client looks again.
        missed.extend(children.into_iter().map(|path| (path, Change::Children)));
        for (path, change) in missed {
            ctx.send_on(connection, Message::WatchEvent { path, change, zxid }.into());
        }
    }

    /// Applies a transaction that is durable, and tells those who watch.
    fn apply<A: ServerHost>(&mut self, record: &Record, ctx: &mut Context<A>) -> Result<Answer, Error> {
        match record {
            &Record::Opened { session, timeout } => {
                self.tree.note_transaction();
                self.serial = self.serial.max(session.serial);
                let deadline = ctx.now() + timeout;
                self.sessions.insert(session, Session { timeout, deadline, connection: None, ending: false });
                Ok(Answer::Done(Vec::new()))
            }
            &Record::Closed { session } => {
                let changes = self.tree.end_session(session);
                let ended = self.sessions.remove(&session);
                self.fire(changes, ctx);
                if let Some(connection) = ended.and_then(|session| session.connection) {
                    self.refuse(connection, ctx);
                }
                Ok(Answer::Done(Vec::new()))
            }
            Record::Transaction { session, ops } => {
                if !self.sessions.contains_key(session) {
                    self.tree.note_transaction();
                    return Err(Error::SessionExpired); // It ended between the proposal and now.
                }
                let (done, changes) = self.tree.apply(*session, ops)?;
                self.fire(changes, ctx);
                Ok(Answer::Done(done))
            }
        }
    }

    fn fire<A: ServerHost>(&mut self, changes: Vec<(Text, Change)>, ctx: &mut Context<A>) {
        let zxid = self.tree.zxid();
        for (path, change) in changes {
            let watchers = match change {
                Change::Children => self.child_watches.remove(&path),
                _ => self.node_watches.remove(&path),
            };
            for connection in watchers.into_iter().flatten() {
                ctx.send_on(connection, Message::WatchEvent { path: path.clone(), change, zxid }.into());
            }
        }
    }
}
