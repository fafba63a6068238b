//! A broker's session with the lock manager.
//!
//! A request that was under way when the connection broke is made again on the next one, except a compare-and-set:
//! whether that was done cannot be told from the counter, because another broker may have claimed the same number.

use std::time::Duration;

use sim_core::{ConnectionId, NodeId};

use super::{Message, Node, Timer};

type Context<'a> = sim_core::Context<'a, Node>;

/// The session of one start of a broker.
#[derive(Clone, Debug, Hash)]
pub struct Session {
    manager: NodeId,
    verifier: u64,
    connection: Option<ConnectionId>,
    /// Whether the lock manager has ever confirmed it.
    known: bool,
    /// Not answered, oldest first, and whether they have been sent.
    outstanding: Vec<(Message, bool)>,
}

impl Session {
    /// Begins to open a session.
    pub fn open(manager: NodeId, ctx: &mut Context) -> Self {
        let verifier = ctx.random();
        let connection = Some(ctx.connect(manager));
        Session { manager, verifier, connection, known: false, outstanding: Vec::new() }
    }

    /// Connects again.
    pub fn reconnect(&mut self, ctx: &mut Context) {
        self.connection = Some(ctx.connect(self.manager));
    }

    /// Whether this is the session's connection.
    pub fn is_on(&self, connection: ConnectionId) -> bool {
        self.connection == Some(connection)
    }

    /// The connection has come about.
    pub fn opened(&mut self, ctx: &mut Context) {
        let at = ctx.now().as_nanos();
        self.tell(Message::Session { verifier: self.verifier, resume: self.known, at }, ctx);
        for at in 0..self.outstanding.len() {
            let request = self.outstanding[at].0.clone();
            self.outstanding[at].1 = self.tell(request, ctx);
        }
    }

    /// The connection is gone. Returns whether it took the outcome of a compare-and-set with it.
    pub fn lost(&mut self) -> bool {
        self.connection = None;
        self.outstanding.iter().any(|(request, sent)| *sent && matches!(request, Message::CompareAndSet { .. }))
    }

    /// Makes a request that will be answered.
    pub fn ask(&mut self, request: Message, ctx: &mut Context) {
        let sent = self.tell(request.clone(), ctx);
        self.outstanding.push((request, sent));
    }

    /// Says that the session is alive.
    pub fn renew(&mut self, ctx: &mut Context) {
        let at = ctx.now().as_nanos();
        self.tell(Message::Renew { at }, ctx);
    }

    /// The lock manager has confirmed what was sent at `at`: the session is good for `expiry` from then on. Returns
    /// whether this is the first time.
    pub fn renewed(&mut self, at: u64, expiry: Duration, ctx: &mut Context) -> bool {
        let age = Duration::from_nanos(ctx.now().as_nanos().saturating_sub(at));
        ctx.set_timer(Timer::SessionExpiry, expiry.saturating_sub(age));
        !std::mem::replace(&mut self.known, true)
    }

    /// Takes note of an answer. Returns whether it was still waited for.
    pub fn answered(&mut self, answer: &Message) -> bool {
        let Some(at) = self.outstanding.iter().position(|(request, _)| answers(answer, request)) else { return false };
        self.outstanding.remove(at);
        true
    }

    fn tell(&mut self, message: Message, ctx: &mut Context) -> bool {
        self.connection.is_some_and(|connection| ctx.send_on(connection, message))
    }
}

fn answers(answer: &Message, request: &Message) -> bool {
    matches!(
        (answer, request),
        (Message::Counter(..), Message::ReadCounter(_))
            | (Message::Swapped(..), Message::CompareAndSet { .. })
            | (Message::Locked(..), Message::TryLock(_))
            | (Message::Held(..), Message::IsHeld(_))
            | (Message::Unlocked(_), Message::Unlock(_))
    )
}
