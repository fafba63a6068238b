//! The session threads of a broker: each takes the messages of one connection in turn, finds out whether their address
//! is paging, and stores them in the journal or hands them to the page writer.

use std::collections::VecDeque;

use sim_core::{ConnectionId, Context};

use super::broker::Broker;
use super::locks::{Lock, Mode, Thread};
use super::messages::{Message, MessageId, Record};
use super::node::Node;
use super::operations::Stored;

/// A session of a client or of another broker's bridge.
#[derive(Clone, Debug, Default, Hash)]
pub struct Session {
    inbox: VecDeque<Stored>,
    stage: Stage,
    /// The connection is gone; the thread only finishes what it is doing.
    closed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Stage {
    /// Nothing to do.
    #[default]
    Idle,
    /// With the paging lock: is the address paging?
    LookingForPaging(Stored),
    /// With the page writer's credits, when there are enough: to the page writer.
    TakingPageCredits(Stored),
    /// With the storage lock: into the journal.
    Storing(Stored),
}

impl Broker {
    /// Someone who connected wants a session.
    pub(super) fn create_session(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        self.sessions.entry(connection).or_default();
        ctx.send_on(connection, Message::SessionCreated);
    }

    /// A message has come on a session. A large one counts when its last packet is there.
    pub(super) fn receive(&mut self, connection: ConnectionId, message: Message, ctx: &mut Context<Node>) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let (id, address, body) = match message {
            Message::Send { id, address, body } => (id, address, body),
            Message::SendContinuation { id, address, last_of, .. } if last_of > 0 => (id, address, last_of),
            _ => return,
        };
        session.inbox.push_back(Stored { id, address, body, paged: false });
        if session.stage == Stage::Idle {
            self.next_message(connection, ctx);
        }
    }

    /// The close listener of a session: what waits for its owner is given up.
    pub(super) fn close_session(&mut self, connection: ConnectionId) {
        self.addresses.forget(connection);
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.closed = true;
            session.inbox.clear();
            if session.stage == Stage::Idle {
                self.sessions.remove(&connection);
            }
        }
    }

    fn next_message(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        if let Some(stored) = session.inbox.pop_front() {
            session.stage = Stage::LookingForPaging(stored);
            return self.lock(Lock::Paging, Mode::Shared, Thread::Session(connection), ctx);
        }
        session.stage = Stage::Idle;
        if session.closed {
            self.sessions.remove(&connection);
        }
    }

    /// The session's thread goes on.
    pub(super) fn run_session(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        match self.sessions.get(&connection).map(|session| session.stage) {
            None | Some(Stage::Idle) => {}
            Some(Stage::LookingForPaging(stored)) => self.look_for_paging(connection, stored, ctx),
            Some(Stage::TakingPageCredits(stored)) => self.hand_to_page_writer(connection, stored, ctx),
            Some(Stage::Storing(stored)) => self.store(connection, stored, ctx),
        }
    }

    fn look_for_paging(&mut self, connection: ConnectionId, stored: Stored, ctx: &mut Context<Node>) {
        let thread = Thread::Session(connection);
        let paging = self.addresses.is_paging(stored.address);
        // ARTEMIS-5441: credits were taken under the paging lock. Whoever gives them back may depend on it.
        if !(paging && self.defects.page_credits_under_paging_lock) {
            self.unlock(Lock::Paging, thread, ctx);
        }
        if paging {
            self.set_stage(connection, Stage::TakingPageCredits(stored));
            self.take_page_credits(stored.body, thread, ctx);
        } else {
            self.set_stage(connection, Stage::Storing(stored));
            self.lock(Lock::Storage, Mode::Shared, thread, ctx);
        }
    }

    fn hand_to_page_writer(&mut self, connection: ConnectionId, stored: Stored, ctx: &mut Context<Node>) {
        let thread = Thread::Session(connection);
        if self.locks.owns(thread, Lock::Paging) {
            self.unlock(Lock::Paging, thread, ctx);
        }
        if self.is_new(stored.id, connection, ctx) {
            self.add_page_event(connection, Stored { paged: true, ..stored }, ctx);
        } else {
            self.give_back_page_credits(stored.body, ctx);
        }
        self.next_message(connection, ctx);
    }

    fn store(&mut self, connection: ConnectionId, stored: Stored, ctx: &mut Context<Node>) {
        let Stored { id, address, body, .. } = stored;
        if !self.is_new(id, connection, ctx) {
            return self.message_stored(connection, ctx);
        }
        self.addresses.add(address, body);
        let forwarded = self.write_record(connection, stored, ctx);
        match forwarded {
            Some(record) => self.replicate(record, Thread::Session(connection), ctx),
            None => self.message_stored(connection, ctx),
        }
    }

    /// Writes a message to the disk. Returns the record that has to go to the replica as well, if there is one.
    pub(super) fn write_record(
        &mut self,
        session: ConnectionId,
        stored: Stored,
        ctx: &mut Context<Node>,
    ) -> Option<Message> {
        let Stored { id, address, body, .. } = stored;
        ctx.write(Record::Accepted { id, address, body });
        let forwarding = self.replication.as_ref().is_some_and(|replication| replication.forwarding);
        self.operations.begin(session, stored, ctx.sync(), forwarding);
        forwarding.then(|| Message::Record { token: self.operations.replicating(id), id, body })
    }

    /// The session's message is in the journal and with the replica.
    pub(super) fn message_stored(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        self.unlock(Lock::Storage, Thread::Session(connection), ctx);
        self.next_message(connection, ctx);
    }

    /// Whether a message has not come before. One that has is answered as soon as it is safe.
    fn is_new(&mut self, id: MessageId, connection: ConnectionId, ctx: &mut Context<Node>) -> bool {
        if self.known.insert(id) {
            return true;
        }
        ctx.mark("duplicate-detected");
        if !self.operations.answer_to(id, connection) && !self.page_writer.answer_to(id, connection) {
            ctx.send_on(connection, Message::SendResponse { id });
        }
        false
    }

    fn set_stage(&mut self, connection: ConnectionId, stage: Stage) {
        self.sessions.get_mut(&connection).expect("a running thread has its session").stage = stage;
    }
}
