//! A server: its fields, and which file handles what reaches it.
//!
//! In the order of the specification: `views.rs` (views, the failover map, its listeners), `takeover.rs` (merging the
//! queues of a failed node), `connect.rs` (who may connect, and who has to wait or go elsewhere), `recovery.rs`
//! (a client's objects and its delivery list), `delivery.rs` (messages), `closing.rs` (the end of a session) and
//! `moving.rs` (moving connections on purpose). Replication in memory is in `../replication.rs`.

mod closing;
mod connect;
mod delivery;
mod moving;
mod recovery;
mod takeover;
mod views;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use sim_core::{ConnectionEvent, ConnectionId, Context, NodeId};

use super::database::{Answer, Part};
use super::layout::SharedRef;
use super::link::Link;
use super::message::{Command, DeliveryId, Item, Message, MessageId, QueueId, SessionId, Timer};
use super::protocol::Node;
use super::queue::Queue;
use super::replication::{Replica, Replicator};
use super::session::Session;
use super::state::{ServerEvent, ServerPhase};
use crate::services::membership::{Address, Membership};
use crate::transitions::StateMachine;

pub use closing::Closing;
pub use connect::Blocked;
pub use takeover::Takeover;

pub(super) type Ctx<'a> = Context<'a, Node>;

/// A server.
#[derive(Clone, Debug, Hash)]
pub struct Server {
    pub(super) shared: SharedRef,
    pub(super) me: NodeId,
    pub(super) phase: ServerPhase,
    pub(super) group: Membership,
    pub(super) database: Link<Purpose>,
    /// The parts of queues that are deployed here.
    pub(super) queues: BTreeMap<QueueId, Queue>,
    /// Parts that have been read and are being made ready.
    pub(super) loading: BTreeMap<QueueId, Queue>,
    /// Who fails over for whom, best first, in the present view.
    pub(super) map: BTreeMap<Address, Vec<Address>>,
    /// For those that are gone, who was to fail over for them.
    pub(super) heirs: BTreeMap<Address, Address>,
    /// Those of them that left in good order.
    pub(super) departed: BTreeSet<Address>,
    /// For whom this server has failed over.
    pub(super) failed_over_for: BTreeSet<Address>,
    /// For whom it is failing over, the first of them now.
    pub(super) takeovers: VecDeque<Takeover>,
    /// Requests to connect that have to wait.
    pub(super) blocked: Vec<Blocked>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    /// Control channels: connections that want to know of the failover map.
    pub(super) subscribers: Vec<ConnectionId>,
    /// Latest ids of messages that were taken without the database, oldest first.
    pub(super) recent: VecDeque<MessageId>,
    /// Deliveries of prepared transactions whose session is gone.
    pub(super) prepared: BTreeMap<(SessionId, u64), Vec<(QueueId, Item)>>,
    /// The session that is being closed.
    pub(super) closing: Closing,
    /// What is replicated to this server's failover node.
    pub(super) replicator: Replicator,
    /// What is replicated to this server, by whose memory it is a copy of.
    pub(super) replicas: BTreeMap<Address, Replica>,
}

/// What has to be safe before something else may happen, be it in the database or in another's memory.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Purpose {
    /// The process is registered.
    Register,
    /// A queue can be loaded.
    Bind(QueueId),
    /// A message can be put into a queue and its sender told.
    Insert(SessionId, QueueId, Item, Option<u64>),
    /// A delivery is done and the consumer can be told.
    Delete(SessionId, DeliveryId),
    /// A message can be delivered.
    HandOut(SessionId, DeliveryId),
    /// Paged messages can be put into a queue.
    LoadPage(QueueId),
    /// A client can be told that it is prepared.
    Prepare(SessionId, u64),
    /// A client can be told that it has committed.
    Commit(SessionId, u64),
    /// It is known where to send the clients of a process that is gone.
    FindHeirs(Address),
    /// It is known how a takeover ends that was interrupted.
    EndTakeover,
    /// A takeover can begin.
    BeginTakeover,
    /// A part has been merged; it was to be paged from here on.
    Merge(Part, u64),
    /// A part's binding is gone.
    DropBinding(Part),
    /// The takeover is complete.
    CleanNodes,
    /// Nothing waits for it.
    Nothing,
}

impl Server {
    pub(super) fn new(shared: &SharedRef, me: NodeId) -> Self {
        let group = Membership::new(me, Arc::clone(&shared.servers), shared.config.group.clone());
        Server {
            me,
            phase: ServerPhase::Joining,
            group,
            database: Link::new(shared.store),
            queues: shared.deployed(me).map(|queue| (queue, Queue::default())).collect(),
            loading: BTreeMap::new(),
            map: BTreeMap::new(),
            heirs: BTreeMap::new(),
            departed: BTreeSet::new(),
            failed_over_for: BTreeSet::new(),
            takeovers: VecDeque::new(),
            blocked: Vec::new(),
            sessions: BTreeMap::new(),
            subscribers: Vec::new(),
            recent: VecDeque::new(),
            prepared: BTreeMap::new(),
            closing: Closing::default(),
            replicator: Replicator::default(),
            replicas: BTreeMap::new(),
            shared: shared.clone(),
        }
    }

    /// What it is doing.
    pub fn phase(&self) -> ServerPhase {
        self.phase
    }

    /// Its present address in the group.
    pub fn address(&self) -> Address {
        self.group.address()
    }

    /// Its parts of queues.
    pub fn queues(&self) -> &BTreeMap<QueueId, Queue> {
        &self.queues
    }

    /// Its sessions.
    pub fn sessions(&self) -> &BTreeMap<SessionId, Session> {
        &self.sessions
    }

    /// Deliveries of prepared transactions whose session is gone.
    pub fn prepared(&self) -> &BTreeMap<(SessionId, u64), Vec<(QueueId, Item)>> {
        &self.prepared
    }

    /// Requests to connect that have to wait.
    pub fn blocked(&self) -> &[Blocked] {
        &self.blocked
    }

    /// Whether it is failing over for somebody.
    pub fn is_taking_over(&self) -> bool {
        !self.takeovers.is_empty()
    }

    /// Whether it knows that a process left in good order.
    pub fn has_seen_leave(&self, process: Address) -> bool {
        self.departed.contains(&process)
    }

    /// Copies of others' memory.
    pub fn replicas(&self) -> &BTreeMap<Address, Replica> {
        &self.replicas
    }

    /// Whether its failover node has all that is in its memory.
    pub fn is_replicated(&self) -> bool {
        self.replicator.is_synced()
    }

    pub(super) fn start(&mut self, ctx: &mut Ctx<'_>) {
        self.group.start(ctx);
        self.open_database(ctx);
    }

    pub(super) fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Ctx<'_>) {
        match message {
            Message::Group(message) => {
                let events = self.group.on_message(from, message, ctx);
                self.on_group(events, ctx);
            }
            Message::CreateConnection(session, reason, unreachable) => {
                self.on_create_connection(session, reason, unreachable, ctx);
            }
            Message::Subscribe => self.on_subscribe(ctx),
            Message::Result(number, answer) => {
                if let Some(purpose) = self.database.answered(number) {
                    self.done(purpose, answer, ctx);
                }
            }
            Message::FailoverStart(failed) | Message::FailoverEnd(failed) => self.on_failover(from, failed, ctx),
            Message::Heirs(heirs) => self.on_heirs(from, heirs, ctx),
            Message::Replicate(number, change) => self.on_replicate(number, change, ctx),
            Message::Replicated(number) => self.on_replicated(number, ctx),
            Message::AddAllReplicatedDeliveries(of, number, all) => self.on_add_all(of, number, &all, ctx),
            Message::AckAllReplicatedDeliveries => self.on_ack_all(ctx),
            Message::HandOver(of, all) => self.on_hand_over(of, &all, ctx),
            message => self.on_invocation(message, ctx),
        }
    }

    /// What a client asks for within its session; without a session, the connection is closed.
    fn on_invocation(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        let Some(connection) = ctx.via() else { return };
        let Some(id) = self.session_on(connection) else { return ctx.close(connection) };
        if let Some(session) = self.sessions.get_mut(&id) {
            session.heard = ctx.now();
        }
        match message {
            Message::Create(object) => self.on_create(id, object, ctx),
            Message::RecoverDeliveries(unacked) => self.on_recover(id, &unacked, ctx),
            Message::Start => self.on_start_session(id, ctx),
            Message::Send(queue, item, retry) => self.on_send(id, queue, item, retry, ctx),
            Message::Acknowledge(delivery) => self.on_acknowledge(id, delivery, ctx),
            Message::Prepare(transaction, deliveries) => self.on_prepare(id, transaction, &deliveries, ctx),
            Message::Commit(transaction) => self.on_commit(id, transaction, ctx),
            Message::CloseConsumer => self.on_close_consumer(id, ctx),
            Message::RemoveConsumer => self.on_remove_consumer(id),
            Message::Browse(queue) => {
                let known = self.queues.get(&queue).map_or(0, |queue| queue.refs.len() + queue.held.len());
                self.reply(id, Message::Browsed(known as u64), ctx);
            }
            Message::CloseConnection => self.close_session(id, ctx),
            Message::Ping => self.reply(id, Message::Pong, ctx),
            other => unreachable!("{other:?} is not for a server"),
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer, ctx: &mut Ctx<'_>) {
        match timer {
            Timer::Group(timer) => {
                let events = self.group.on_timer(timer, ctx);
                self.on_group(events, ctx);
            }
            Timer::Database => self.database.reopen(ctx),
            Timer::Loaded(queue) => self.activate(queue, ctx),
            Timer::Merged => self.merged(ctx),
            Timer::Blocked => self.unblock(ctx),
            Timer::Lease(session) => self.lease_ends(session, ctx),
            Timer::Unclaimed(queue) => self.return_unclaimed(queue, ctx),
            Timer::Replica => self.replicate_anew(ctx),
            Timer::Copy => self.no_copy_came(ctx),
            Timer::Closing => self.go_on_closing(ctx),
            timer => unreachable!("servers do not arm {timer:?}"),
        }
    }

    pub(super) fn on_connection(&mut self, event: ConnectionEvent, ctx: &mut Ctx<'_>) {
        if let Some(events) = self.group.on_connection(event, ctx) {
            return self.on_group(events, ctx);
        }
        if self.database.on_connection(event, ctx) || self.on_replica_connection(event, ctx) {
            return;
        }
        if let ConnectionEvent::Closed(connection, _) = event {
            self.subscribers.retain(|&subscriber| subscriber != connection);
            self.blocked.retain(|blocked| blocked.connection != connection);
            if let Some(id) = self.session_on(connection) {
                self.connection_lost(id);
            }
        }
    }

    pub(super) fn on_command(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        match command {
            Command::TakeDown => self.take_down(ctx),
        }
    }

    /// What was to be made safe is, or cannot be.
    pub(super) fn done(&mut self, purpose: Purpose, answer: Answer, ctx: &mut Ctx<'_>) {
        if answer == Answer::Fenced {
            return match purpose {
                Purpose::Merge(..) | Purpose::DropBinding(_) => self.takeover_interrupted(ctx),
                _ => self.reboot(ctx), // Somebody has failed over for this process.
            };
        }
        match purpose {
            Purpose::Register => self.registered(answer, ctx),
            Purpose::Bind(queue) => self.bound(queue, answer, ctx),
            Purpose::Insert(session, queue, item, page) => self.inserted(session, queue, item, page, answer, ctx),
            Purpose::Delete(session, delivery) => self.deleted(session, delivery, ctx),
            Purpose::HandOut(session, delivery) => self.hand_out(session, delivery, ctx),
            Purpose::LoadPage(queue) => self.page_loaded(queue, answer, ctx),
            Purpose::Prepare(session, transaction) => self.reply(session, Message::Prepared(transaction), ctx),
            Purpose::Commit(session, transaction) => self.committed(session, transaction, ctx),
            Purpose::FindHeirs(of) => self.heirs_found(of, answer, ctx),
            Purpose::EndTakeover => self.end_takeover(answer, ctx),
            Purpose::BeginTakeover => self.granted(answer, ctx),
            Purpose::Merge(part, from) => self.part_merged(part, from, answer, ctx),
            Purpose::DropBinding(part) => self.binding_dropped(part, ctx),
            Purpose::CleanNodes => self.taken_over(ctx),
            Purpose::Nothing => {}
        }
    }

    /// The session whose client is connected so.
    pub(super) fn session_on(&self, connection: ConnectionId) -> Option<SessionId> {
        self.sessions.values().find(|session| session.connection == Some(connection)).map(|session| session.id)
    }

    /// Says something to a session's client, if it is connected.
    pub(super) fn reply(&self, session: SessionId, message: Message, ctx: &mut Ctx<'_>) {
        if let Some(connection) = self.sessions.get(&session).and_then(|session| session.connection) {
            ctx.send_on(connection, message);
        }
    }

    pub(super) fn step(&mut self, event: ServerEvent) {
        self.phase.step(event);
    }

    /// Remembers the id of a message that the database does not know.
    pub(super) fn remember(&mut self, message: MessageId) {
        self.recent.push_back(message);
        if self.recent.len() > self.shared.config.id_cache_size {
            self.recent.pop_front();
        }
    }

    fn open_database(&mut self, ctx: &mut Ctx<'_>) {
        let first = u64::from(self.address().incarnation) << 24;
        self.database.open(first, ctx);
    }
}
