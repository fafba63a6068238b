//! A broker's mount of the store: requests that survive a broken connection.
//!
//! As with a hard mount, a request is repeated on each new connection until it is answered; none ever fails. Only the
//! lock monitor loses patience.

use sim_core::{ConnectionId, NodeId};

use super::{Lock, Message, Node};

type Context<'a> = sim_core::Context<'a, Node>;

/// The mount of one start of a broker.
#[derive(Clone, Debug, Hash)]
pub struct Mount {
    store: NodeId,
    verifier: u64,
    connection: Option<ConnectionId>,
    /// Sent and not answered, oldest first.
    outstanding: Vec<Message>,
    /// Locks that the store has granted, as far as the broker knows.
    held: Vec<Lock>,
}

impl Mount {
    /// Begins to mount the store.
    pub fn open(store: NodeId, ctx: &mut Context) -> Self {
        let verifier = ctx.random();
        let connection = Some(ctx.connect(store));
        Mount { store, verifier, connection, outstanding: Vec::new(), held: Vec::new() }
    }

    /// Connects again.
    pub fn reopen(&mut self, ctx: &mut Context) {
        self.connection = Some(ctx.connect(self.store));
    }

    /// Whether this is the mount's connection.
    pub fn is_on(&self, connection: ConnectionId) -> bool {
        self.connection == Some(connection)
    }

    /// The connection is gone.
    pub fn lost(&mut self) {
        self.connection = None;
    }

    /// The connection has come about: says whose it is, and repeats what has not been answered.
    pub fn opened(&mut self, ctx: &mut Context) {
        self.tell(Message::Mount { verifier: self.verifier, held: self.held.clone() }, ctx);
        for request in self.outstanding.clone() {
            self.tell(request, ctx);
        }
    }

    /// Makes a request that will be answered, unless the very same is being made already.
    pub fn ask(&mut self, request: Message, ctx: &mut Context) {
        if !self.is_asking(&request) {
            self.outstanding.push(request.clone());
            self.tell(request, ctx);
        }
    }

    /// Whether a request has been made and not answered.
    pub fn is_asking(&self, request: &Message) -> bool {
        self.outstanding.contains(request)
    }

    /// Sends without expecting an answer.
    pub fn tell(&mut self, message: Message, ctx: &mut Context) {
        if let Some(connection) = self.connection {
            ctx.send_on(connection, message);
        }
    }

    /// Takes note of an answer. Returns whether it was still waited for.
    pub fn answered(&mut self, answer: &Message) -> bool {
        let Some(at) = self.outstanding.iter().position(|request| answers(answer, request)) else { return false };
        self.outstanding.remove(at);
        match *answer {
            Message::Locked(lock, true) if !self.held.contains(&lock) => self.held.push(lock),
            Message::Unlocked(lock) => self.held.retain(|&held| held != lock),
            _ => {}
        }
        true
    }
}

fn answers(answer: &Message, request: &Message) -> bool {
    match (answer, request) {
        (Message::Locked(a, _), Message::TryLock(r)) | (Message::Unlocked(a), Message::Unlock(r)) => a == r,
        (Message::StateWritten(a), Message::WriteState(r)) => a == r,
        (Message::State(_), Message::ReadState)
        | (Message::Touched(_), Message::Touch)
        | (Message::Times(_), Message::ReadTimes) => true,
        (Message::Records { from: a, .. }, Message::ReadJournal { from: r }) => a == r,
        (Message::Appended { position: a } | Message::Refused { position: a }, Message::Append { position: r, .. }) => {
            a == r
        }
        _ => false,
    }
}
