//! What a node knows of the writability of one connection, and who wants to be told of it.
//!
//! The transport says once that it has become writable. A listener that registers a moment later would wait for ever,
//! so the last word is remembered and given to whoever asks.

use sim_core::{Actor, ConnectionId, Context};

use super::locks::Thread;

/// Who wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    /// The bridge: its queue is to deliver again.
    Bridge,
    /// A client's producer: it sends on.
    Producer,
    /// A writer to the replica, which waits.
    Writer(Thread),
}

/// One connection as its writers see it.
#[derive(Clone, Debug, Hash)]
pub struct Channel {
    /// The connection.
    pub connection: ConnectionId,
    ready: bool,
    listeners: Vec<Listener>,
}

impl Channel {
    /// A connection that has just been opened.
    pub fn new(connection: ConnectionId) -> Self {
        Channel { connection, ready: true, listeners: Vec::new() }
    }

    /// Whether the connection can be written to. If not, `listener` will be told when it can.
    pub fn is_writable(&mut self, listener: Listener) -> bool {
        if !self.ready && !self.listeners.contains(&listener) {
            self.listeners.push(listener);
        }
        self.ready
    }

    /// Sends, and remembers whether there is room for more.
    pub fn send<A: Actor>(&mut self, message: A::Message, ctx: &mut Context<A>) {
        ctx.send_on(self.connection, message);
        self.ready &= ctx.is_writable(self.connection);
    }

    /// Whether the connection was ready when it was last heard of, for those who do not wait for it.
    pub fn was_writable(&self) -> bool {
        self.ready
    }

    /// The event loop has learnt that there is room. Returns who wanted to know.
    pub fn became_writable(&mut self) -> Vec<Listener> {
        self.ready = true;
        std::mem::take(&mut self.listeners)
    }
}
