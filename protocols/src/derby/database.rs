//! One database: its transactions, its freeze, its log. What replication adds is in the other files.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use sim_core::{ConnectionEvent, ConnectionId, Constant, Context, NodeId, SyncToken};

use super::config::Config;
use super::defects::Defects;
use super::log::{Body, Log, Position};
use super::master::Master;
use super::message::{Command, Message, Promotion, Record, Timer};
use super::protocol::Node;
use super::slave::Slave;
use super::state::{Happening, Phase};
use crate::transitions::StateMachine;

pub(super) type Ctx<'a> = Context<'a, Node>;

/// Length of a checkpoint's log record in bytes.
const CHECKPOINT_BYTES: u32 = 64;

/// What every node knows from its configuration.
#[derive(Clone, Debug, Hash)]
pub struct Shared {
    /// Settings.
    pub config: Config,
    /// What is broken on purpose.
    pub defects: Defects,
    /// The database that is replicated.
    pub master: NodeId,
    /// The database that it is replicated to.
    pub slave: NodeId,
    /// A machine without a database, for an operator who mistypes.
    pub wrong_host: Option<NodeId>,
}

/// A database.
#[derive(Clone, Debug, Hash)]
pub struct Server {
    pub(super) shared: Constant<Arc<Shared>>,
    pub(super) phase: Phase,
    pub(super) log: Log,
    /// Since which wait clients' work is held up, if it is.
    pub(super) frozen: Option<u64>,
    /// The transaction of each client connection.
    sessions: Vec<(ConnectionId, u64)>,
    /// Work that came while the database was frozen or the log was held.
    blocked: VecDeque<Request>,
    /// Transactions in progress whose changes are in no log.
    unlogged: BTreeSet<u64>,
    /// Commits that are not durable yet, oldest first.
    commits: VecDeque<(SyncToken, ConnectionId, u64)>,
    /// What goes on when a sync has ended, oldest first.
    durable: VecDeque<(SyncToken, Durable)>,
    /// What the operator has asked for and not been answered, and which wait it is.
    pub(super) operation: Option<(u64, Command)>,
    /// Counts the waits of this process.
    waits: u64,
    pub(super) master: Master,
    pub(super) slave: Slave,
}

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    Execute { via: ConnectionId, transaction: u64, index_build: bool },
    IndexBuilt { via: ConnectionId, transaction: u64 },
    Commit { via: ConnectionId, transaction: u64 },
    Rollback { transaction: u64 },
}

/// What follows on a log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Then {
    Nothing,
    Executed(ConnectionId, u64),
    Commit(ConnectionId, u64),
}

/// What follows on a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Durable {
    /// Master: it is given up in favour of a slave at this position.
    Decision(Position),
    /// Master: the checkpoint before a shutdown.
    LastCheckpoint,
    /// Master: it is out of the way.
    Fence,
    /// Slave: a copy of the database, of which that connection is to be told.
    Copy(ConnectionId),
    /// Slave: the log from which it takes over.
    Recovery,
    /// Slave: it serves.
    Promotion(Promotion),
}

impl Server {
    pub(super) fn new(shared: Constant<Arc<Shared>>, node: NodeId) -> Self {
        let phase = if node == shared.slave { Phase::Pre } else { Phase::Normal };
        Server {
            master: Master::new(&shared),
            slave: Slave::default(),
            phase,
            log: Log::default(),
            frozen: None,
            sessions: Vec::new(),
            blocked: VecDeque::new(),
            unlogged: BTreeSet::new(),
            commits: VecDeque::new(),
            durable: VecDeque::new(),
            operation: None,
            waits: 0,
            shared,
        }
    }

    /// What the database is doing.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Whether it accepts clients' work at this moment.
    pub fn accepts_work(&self) -> bool {
        self.phase.serves() && self.frozen.is_none()
    }

    /// The freeze that is in force, by the number of the wait.
    pub fn freeze(&self) -> Option<u64> {
        self.frozen
    }

    /// What the operator has asked for and not been answered, by the number of the wait.
    pub fn operation(&self) -> Option<(u64, Command)> {
        self.operation
    }

    pub(super) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(super) fn step(&mut self, happening: Happening) {
        self.phase.step(happening);
    }

    pub(super) fn next_wait(&mut self) -> u64 {
        self.waits += 1;
        self.waits
    }

    pub(super) fn start(&mut self, disk: &[Record], ctx: &mut Ctx<'_>) {
        self.log = Log::recover(disk);
        let interval = self.config().checkpoint_interval;
        let first = ctx.random_duration(interval);
        ctx.set_timer(Timer::Checkpoint, first);
        if self.phase == Phase::Pre {
            self.boot_slave(disk, ctx);
        } else {
            self.boot_master(disk, ctx);
        }
    }

    /// Rolls back what was in progress when the process died or the slave took over.
    pub(super) fn undo(&mut self, ctx: &mut Ctx<'_>) {
        for transaction in self.log.open() {
            self.write(Body::Abort(transaction), ctx);
        }
    }

    pub(super) fn on_connection(&mut self, peer: NodeId, event: ConnectionEvent, ctx: &mut Ctx<'_>) {
        match event {
            ConnectionEvent::Opened(id) => self.on_link_opened(id, ctx),
            ConnectionEvent::Accepted(id) => self.on_accepted(peer, id, ctx),
            ConnectionEvent::Refused(id, _) => self.on_link_closed(id, ctx),
            ConnectionEvent::Closed(id, _) => {
                self.on_link_closed(id, ctx);
                self.on_master_closed(id, ctx);
                self.on_client_closed(id, ctx);
            }
            ConnectionEvent::Writable(id) => self.on_writable(id, ctx),
        }
    }

    // Transactions.

    pub(super) fn on_execute(&mut self, transaction: u64, index_build: bool, ctx: &mut Ctx<'_>) {
        let Some(via) = ctx.via() else { return };
        self.request(Request::Execute { via, transaction, index_build }, ctx);
    }

    pub(super) fn on_index_built(&mut self, transaction: u64, ctx: &mut Ctx<'_>) {
        if let Some(&(via, _)) = self.sessions.iter().find(|(_, t)| *t == transaction) {
            self.request(Request::IndexBuilt { via, transaction }, ctx);
        }
    }

    pub(super) fn on_commit(&mut self, transaction: u64, ctx: &mut Ctx<'_>) {
        let Some(via) = ctx.via() else { return };
        self.request(Request::Commit { via, transaction }, ctx);
    }

    fn on_client_closed(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if let Some(at) = self.sessions.iter().position(|(via, _)| *via == id) {
            let (_, transaction) = self.sessions.remove(at);
            self.request(Request::Rollback { transaction }, ctx);
        }
    }

    fn request(&mut self, request: Request, ctx: &mut Ctx<'_>) {
        if !self.phase.serves() {
            self.refuse(request, ctx);
        } else if self.frozen.is_some() || self.master.holds_log() {
            self.blocked.push_back(request);
        } else {
            self.perform(request, ctx);
        }
    }

    fn refuse(&mut self, request: Request, ctx: &mut Ctx<'_>) {
        if let Request::Execute { via, transaction, .. }
        | Request::IndexBuilt { via, transaction }
        | Request::Commit { via, transaction } = request
        {
            self.sessions.retain(|(session, _)| *session != via);
            ctx.send_on(via, Message::Refused { transaction });
        }
    }

    fn perform(&mut self, request: Request, ctx: &mut Ctx<'_>) {
        match request {
            Request::Execute { via, transaction, index_build } => {
                self.sessions.push((via, transaction));
                if !index_build {
                    return self.append(Body::Update(transaction), Then::Executed(via, transaction), ctx);
                }
                // DERBY-3551: what needs no log for a restart was not logged for the slave either.
                if !self.is_replicated() || self.shared.defects.derby_3551 {
                    self.unlogged.insert(transaction);
                }
                ctx.set_timer(Timer::IndexBuilt(transaction), self.config().index_build_time);
            }
            Request::IndexBuilt { via, transaction } if self.unlogged.contains(&transaction) => {
                self.log.write_page(transaction);
                ctx.write(Record::Page(transaction));
                self.after(Then::Executed(via, transaction), ctx);
            }
            Request::IndexBuilt { via, transaction } => {
                ctx.mark("index-build-logged");
                self.append(Body::Update(transaction), Then::Executed(via, transaction), ctx);
            }
            // The connection may have closed, and its transaction rolled back, since this was asked.
            Request::Commit { via, transaction } if self.sessions.contains(&(via, transaction)) => {
                self.unlogged.remove(&transaction);
                self.append(Body::Commit(transaction), Then::Commit(via, transaction), ctx);
            }
            Request::Commit { .. } => self.refuse(request, ctx),
            Request::Rollback { transaction } => {
                self.unlogged.remove(&transaction);
                ctx.cancel_timer(Timer::IndexBuilt(transaction));
                self.append(Body::Abort(transaction), Then::Nothing, ctx);
            }
        }
    }

    /// What follows on a log record that has been written, and buffered for the slave if there is one.
    pub(super) fn after(&mut self, then: Then, ctx: &mut Ctx<'_>) {
        match then {
            Then::Nothing => {}
            Then::Executed(via, transaction) => _ = ctx.send_on(via, Message::Executed { transaction }),
            Then::Commit(via, transaction) => {
                self.sessions.retain(|(session, _)| *session != via);
                self.commits.push_back((ctx.sync(), via, transaction));
            }
        }
    }

    /// Whether operations in progress leave no trace in the log.
    pub(super) fn has_unlogged_operations(&self) -> bool {
        !self.unlogged.is_empty()
    }

    // The log.

    /// Writes a log record, ships it if the database is replicated, and goes on. The log is held while the record
    /// waits for a free buffer.
    fn append(&mut self, body: Body, then: Then, ctx: &mut Ctx<'_>) {
        let entry = self.write(body, ctx);
        self.buffer(entry, then, ctx);
    }

    /// Writes a log record.
    pub(super) fn write(&mut self, body: Body, ctx: &mut Ctx<'_>) -> super::log::Entry {
        let length = if body == Body::Checkpoint { CHECKPOINT_BYTES } else { self.config().record_bytes };
        let entry = self.log.append(body, length);
        ctx.write(Record::Log(entry));
        entry
    }

    pub(super) fn on_checkpoint_due(&mut self, ctx: &mut Ctx<'_>) {
        ctx.set_timer(Timer::Checkpoint, self.config().checkpoint_interval);
        let due = match self.phase {
            Phase::Normal | Phase::Master | Phase::Promoted => self.frozen.is_none() && !self.master.holds_log(),
            // DERBY-3475: a slave's own checkpoint makes its log another than its master's.
            Phase::Pre => self.shared.defects.derby_3475,
            _ => false,
        };
        if due {
            self.checkpoint(ctx);
        }
    }

    /// Writes a checkpoint: older log is not needed any more.
    pub(super) fn checkpoint(&mut self, ctx: &mut Ctx<'_>) {
        let instant = self.log.position().instant;
        self.append(Body::Checkpoint, Then::Nothing, ctx);
        self.prune(instant, ctx);
    }

    pub(super) fn prune(&mut self, instant: u64, ctx: &mut Ctx<'_>) {
        self.log.prune(instant);
        ctx.write(Record::Pruned(instant));
    }

    /// Starts a sync after which `what` goes on.
    pub(super) fn make_durable(&mut self, what: Durable, ctx: &mut Ctx<'_>) {
        self.durable.push_back((ctx.sync(), what));
    }

    pub(super) fn on_synced(&mut self, token: SyncToken, ctx: &mut Ctx<'_>) {
        while let Some((_, via, transaction)) = self.commits.pop_front_if(|(awaited, ..)| *awaited <= token) {
            ctx.send_on(via, Message::Committed { transaction });
        }
        while let Some((_, what)) = self.durable.pop_front_if(|(awaited, _)| *awaited <= token) {
            match what {
                Durable::Decision(position) => self.on_decided(position, ctx),
                Durable::LastCheckpoint => self.on_shut_down(ctx),
                Durable::Fence => self.finish_operation(),
                Durable::Copy(via) => self.on_copy_durable(via, ctx),
                Durable::Recovery => self.on_recovery_durable(ctx),
                Durable::Promotion(promotion) => self.on_promoted(promotion, ctx),
            }
        }
    }

    // The freeze.

    /// Holds up clients' work.
    pub(super) fn freeze_work(&mut self) {
        self.frozen = Some(self.next_wait());
    }

    /// Lets clients' work go on; refuses it if the database does not serve any more.
    pub(super) fn unfreeze(&mut self, ctx: &mut Ctx<'_>) {
        self.frozen = None;
        self.resume_work(ctx);
    }

    pub(super) fn resume_work(&mut self, ctx: &mut Ctx<'_>) {
        while self.frozen.is_none()
            && !self.master.holds_log()
            && let Some(request) = self.blocked.pop_front()
        {
            self.request(request, ctx);
        }
    }

    // The operator.

    pub(super) fn on_command(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        // A console does one thing at a time; putting a database out of the way does not wait.
        if self.operation.is_some() && command != Command::Fence && command != Command::ConfirmFenced {
            return ctx.mark("command-refused");
        }
        let is_new = self.operation.is_none();
        if is_new {
            self.operation = Some((self.next_wait(), command));
        }
        let is_slave = ctx.node() == self.shared.slave;
        let accepted = if is_slave { self.slave_command(command, ctx) } else { self.master_command(command, ctx) };
        if !accepted {
            ctx.mark("command-refused");
            if is_new {
                self.finish_operation();
            }
        }
    }

    /// The operator has an answer.
    pub(super) fn finish_operation(&mut self) {
        self.operation = None;
    }
}
