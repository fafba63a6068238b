//! A broker, `live` or `backup`: what it knows, and which part of it handles what.

mod activation;
mod copying;
mod replica;
mod serving;

use std::collections::BTreeMap;
use std::sync::Arc;

use sim_core::{ConnectionEvent, ConnectionId, Constant, NodeId, SyncToken};

use super::session::Session;
use super::{Event, LockId, Message, Node, Phase, Record, Settings, Timer};
use crate::artemis::journal::Journal;
use crate::transitions::StateMachine;

pub use copying::Link;

type Context<'a> = sim_core::Context<'a, Node>;

/// A broker.
#[derive(Clone, Debug, Hash)]
pub struct Broker {
    settings: Constant<Arc<Settings>>,
    me: NodeId,
    /// What it competes under: the coordination id, unless that has been lost.
    node_id: LockId,
    /// Counts the starts of this process, so that what an earlier one left behind is recognised.
    epoch: u32,
    phase: Phase,
    journal: Journal,
    /// `None` only before the start.
    session: Option<Session>,
    /// What waits for the disk.
    writes: BTreeMap<SyncToken, Written>,
    /// The counter as it was read last.
    counter: i64,
    /// LIVE: sends that have not been acknowledged, by duplicate-detection id.
    pending: BTreeMap<u64, Pending>,
    /// LIVE: sends that came while the clients were stalled.
    stalled: Vec<(u64, ConnectionId)>,
    /// LIVE: the replica.
    link: Link,
    /// LIVE: whether the sequence is being raised because the replica is gone.
    raising: bool,
    /// LIVE: whether a stop is on its way.
    stopping: bool,
    /// Backup: the connection to the live.
    source: Option<ConnectionId>,
}

/// What a sync makes durable.
#[derive(Clone, Copy, Debug, Hash)]
enum Written {
    /// A client's message, at the live.
    Message(u64),
    /// A client's message, at the replica.
    Replicated(u64),
    /// The end of the copy.
    Copy,
    /// The next activation sequence.
    Sequence(u64),
}

/// A send that has not been acknowledged.
#[derive(Clone, Debug, Default, Hash)]
struct Pending {
    clients: Vec<ConnectionId>,
    /// On this broker's disk.
    local: bool,
    /// On the replica's disk, or not needed there.
    remote: bool,
}

impl Broker {
    /// A broker that has not started.
    pub fn new(settings: Constant<Arc<Settings>>, me: NodeId) -> Self {
        Broker {
            settings,
            me,
            node_id: Settings::COORDINATION_ID,
            epoch: 0,
            phase: Phase::Joining,
            journal: Journal::default(),
            session: None,
            writes: BTreeMap::new(),
            counter: 0,
            pending: BTreeMap::new(),
            stalled: Vec::new(),
            link: Link::None,
            raising: false,
            stopping: false,
            source: None,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What it holds.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The connection to the lock manager or to the live.
    pub fn keeps(&self, connection: ConnectionId) -> bool {
        self.source == Some(connection) || self.on_session(connection)
    }

    fn on_session(&self, connection: ConnectionId) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_on(connection))
    }

    pub(super) fn role(&self) -> &'static str {
        match self.phase {
            Phase::Joining | Phase::Evaluating | Phase::Registering => "STARTING",
            Phase::Locking | Phase::Rechecking | Phase::Repairing | Phase::Claiming => "ACTIVATING",
            Phase::Recording | Phase::Committing | Phase::Loading | Phase::Confirming => "ACTIVATING",
            Phase::Live => "LIVE",
            Phase::Copying => "SYNCING",
            Phase::Replica => "BACKUP",
            Phase::HandingOver | Phase::AwaitingNext => "STOPPING",
        }
    }

    pub(super) fn start(&mut self, disk: &[Record], ctx: &mut Context) {
        self.journal = Journal::recover(disk.iter().filter_map(|record| match record {
            Record::Journal(record) => Some(*record),
            Record::Counter(..) | Record::Owner(..) => None,
        }));
        if disk.is_empty() && self.me == self.settings.backup {
            // A backup that has never had a copy has no sequence either: it must not compete.
            self.journal.begin_copy(ctx);
        }
        self.join(ctx);
    }

    fn join(&mut self, ctx: &mut Context) {
        // Acceptors open last, when there is something to serve.
        ctx.listen(false);
        self.session = Some(Session::open(self.settings.manager, ctx));
        ctx.set_timer(Timer::Renew, self.settings.config.session_lease / 3);
    }

    pub(super) fn message(&mut self, message: Message, ctx: &mut Context) {
        match message {
            Message::Attach => self.attach(ctx),
            Message::Send { id, .. } => self.send(id, ctx),
            Message::BackupRegistration { failback } => self.registration(failback, ctx),
            Message::SyncFinishedAck => self.copy_confirmed(ctx),
            Message::ReplicationResponse { id } => self.replicated(id, ctx),
            Message::RegistrationFailed => self.live_gone(ctx),
            Message::StartSync => self.copy_begins(ctx),
            Message::SyncFileChunk { ids, .. } => self.chunk(&ids, ctx),
            Message::Append { id, .. } => self.append(id, ctx),
            Message::SyncDone { activation } => self.copy_ends(activation, ctx),
            Message::PrimaryStopping(stopping) => self.live_stopping(stopping, ctx),
            Message::Ping => self.heard_from_live(ctx),
            Message::Renewed { at } => self.renewed(at, ctx),
            Message::SessionLost => self.session_lost(ctx),
            answer => {
                if self.session().answered(&answer) {
                    self.answered(answer, ctx);
                }
            }
        }
    }

    fn answered(&mut self, answer: Message, ctx: &mut Context) {
        match answer {
            Message::Counter(_, value) => self.counter_read(value, ctx),
            Message::Swapped(_, done) => self.swapped(done, ctx),
            Message::Locked(_, granted) => self.locked(granted, ctx),
            Message::Held(_, held) => self.confirmed(held, ctx),
            Message::Unlocked(_) => self.released(ctx),
            other => unreachable!("{other:?} answers nothing"),
        }
    }

    pub(super) fn timer(&mut self, timer: Timer, ctx: &mut Context) {
        match timer {
            Timer::Renew => {
                ctx.set_timer(Timer::Renew, self.settings.config.session_lease / 3);
                self.session().renew(ctx);
            }
            Timer::Reconnect => self.session().reconnect(ctx),
            Timer::SessionExpiry => self.session_lost(ctx),
            Timer::SelfStop(epoch) if epoch == self.epoch => self.restart(ctx),
            Timer::SelfStop(_) => {}
            Timer::LockPoll => self.poll(ctx),
            Timer::LockAcquire => self.lock_taken(ctx),
            Timer::Loaded(epoch) => self.loaded(epoch, ctx),
            Timer::RetryReplication => self.look_again(ctx),
            Timer::SyncTimeout | Timer::SlowReplica => self.drop_replica(ctx),
            Timer::FailureCheck => self.ping(ctx),
            Timer::ConnectionTtl => self.live_gone(ctx),
            Timer::FailbackWait => self.restart(ctx),
            Timer::Client(timer) => unreachable!("{timer:?} is a client's"),
        }
    }

    pub(super) fn connection(&mut self, event: ConnectionEvent, ctx: &mut Context) {
        match event {
            ConnectionEvent::Opened(id) if self.on_session(id) => self.session().opened(ctx),
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) if self.on_session(id) => {
                ctx.set_timer(Timer::Reconnect, self.settings.config.retry_interval);
                // Whether the counter was set is unknown. Starting over finds out; a broker that is being stopped does.
                if self.session().lost() && !self.stopping {
                    self.restart(ctx);
                }
            }
            ConnectionEvent::Opened(id) if self.source == Some(id) => self.register(id, ctx),
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) if self.source == Some(id) => {
                self.source = None;
                self.live_gone(ctx);
            }
            ConnectionEvent::Closed(id, _) => self.served_connection_closed(id, ctx),
            ConnectionEvent::Writable(id) => self.writable(id, ctx),
            // The acceptor may have been closed while this connection was being opened.
            ConnectionEvent::Accepted(id) if self.phase != Phase::Live => ctx.close(id),
            ConnectionEvent::Accepted(_) | ConnectionEvent::Opened(_) | ConnectionEvent::Refused(..) => {}
        }
    }

    pub(super) fn synced(&mut self, token: SyncToken, ctx: &mut Context) {
        match self.writes.remove(&token) {
            Some(Written::Message(id)) => self.stored(id, ctx),
            Some(Written::Replicated(id)) => self.respond(id, ctx),
            Some(Written::Copy) => self.up_to_date(ctx),
            Some(Written::Sequence(sequence)) => self.sequence_recorded(sequence, ctx),
            // Of an earlier start.
            None => {}
        }
    }

    fn renewed(&mut self, at: u64, ctx: &mut Context) {
        let expiry = self.settings.config.session_expiry;
        if self.session().renewed(at, expiry, ctx) {
            self.joined(ctx);
        }
    }

    /// The lock manager has forgotten this broker, or may have.
    fn session_lost(&mut self, ctx: &mut Context) {
        let passive = matches!(self.phase, Phase::Registering | Phase::Copying | Phase::Replica);
        ctx.mark("session-lost");
        if self.phase != Phase::Live {
            self.restart(ctx);
        } else if !self.stopping {
            // The listener that is told of the loss must not block, so another thread stops the broker.
            self.stopping = true;
            ctx.run_job(self.settings.config.self_stop, Timer::SelfStop(self.epoch));
        }
        if passive && self.settings.defects.coordination_id_lost {
            self.node_id = Settings::own_id_of(self.me); // ARTEMIS-3429
        }
    }

    /// Starts over, as after a restart of the process, with the journal as it is.
    fn restart(&mut self, ctx: &mut Context) {
        self.phase.step(Event::Restart);
        let connections: Vec<ConnectionId> = ctx.connections().iter().map(|c| c.id).collect();
        connections.into_iter().for_each(|id| ctx.close(id));
        for timer in [
            Timer::Reconnect,
            Timer::SessionExpiry,
            Timer::LockPoll,
            Timer::LockAcquire,
            Timer::RetryReplication,
            Timer::SyncTimeout,
            Timer::SlowReplica,
            Timer::FailureCheck,
            Timer::ConnectionTtl,
            Timer::FailbackWait,
        ] {
            ctx.cancel_timer(timer);
        }
        let journal = std::mem::take(&mut self.journal);
        *self = Broker { journal, epoch: self.epoch + 1, ..Broker::new(self.settings.clone(), self.me) };
        self.join(ctx);
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a broker that has started has a session")
    }

    fn sync(&mut self, written: Written, ctx: &mut Context) {
        let token = ctx.sync();
        self.writes.insert(token, written);
    }
}
