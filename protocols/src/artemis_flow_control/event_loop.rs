//! The event loop of a broker, one thread for all connections, and the close listeners.
//!
//! Everything that the transport has to tell passes through here in order, so whatever keeps the event loop waiting
//! also keeps the news from everyone who waits for it.

use std::collections::VecDeque;

use sim_core::{ConnectionId, Context};

use super::broker::Broker;
use super::channel::Listener;
use super::locks::{Lock, Mode, Thread};
use super::node::Node;

/// Something that the transport has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// A connection that was not writable is again.
    Writable(ConnectionId),
    /// A connection is gone.
    Closed(ConnectionId),
}

/// The event loop's thread.
#[derive(Clone, Debug, Default, Hash)]
pub struct EventLoop {
    /// What has happened and was not handled.
    queue: VecDeque<Happening>,
    stage: Stage,
}

#[derive(Clone, Debug, Default, Hash)]
enum Stage {
    /// Nothing to do.
    #[default]
    Idle,
    /// About to take the next from the queue.
    Next,
    /// With the connection lock: the replica's connection is writable.
    TellingReady(ConnectionId),
    /// With the replication lock: wakes the writers.
    WakingWriters(Vec<Listener>),
    /// As it was: the event loop calls the close listener itself.
    Closing(ConnectionId),
}

/// How far a close listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseStage {
    /// About to find out whose connection it was.
    Started,
    /// With the replication lock: the replica is gone.
    Replication,
    /// With the storage lock: a client or a bridge is gone.
    Storage,
}

impl Broker {
    /// Queues something for the event loop.
    pub(super) fn happened(&mut self, happening: Happening, ctx: &mut Context<Node>) {
        self.event_loop.queue.push_back(happening);
        if matches!(self.event_loop.stage, Stage::Idle) {
            self.next_happening(ctx);
        }
    }

    fn next_happening(&mut self, ctx: &mut Context<Node>) {
        if self.event_loop.queue.is_empty() {
            self.event_loop.stage = Stage::Idle;
        } else {
            self.event_loop.stage = Stage::Next;
            self.resume(Thread::EventLoop, ctx);
        }
    }

    /// The event loop goes on.
    pub(super) fn run_event_loop(&mut self, ctx: &mut Context<Node>) {
        match std::mem::take(&mut self.event_loop.stage) {
            Stage::Idle => {}
            Stage::Next => self.handle_happening(ctx),
            Stage::TellingReady(connection) => self.tell_ready(connection, ctx),
            Stage::WakingWriters(listeners) => self.wake_writers(&listeners, ctx),
            Stage::Closing(connection) => {
                self.event_loop.stage = Stage::Closing(connection);
                self.run_close_listener(connection, Thread::EventLoop, ctx);
            }
        }
    }

    fn handle_happening(&mut self, ctx: &mut Context<Node>) {
        match self.event_loop.queue.pop_front() {
            Some(Happening::Writable(connection)) if self.is_replica(connection) => {
                self.event_loop.stage = Stage::TellingReady(connection);
                self.lock(Lock::Connection, Mode::Exclusive, Thread::EventLoop, ctx);
            }
            Some(Happening::Writable(connection)) => {
                self.bridge_writable(connection, ctx);
                self.next_happening(ctx);
            }
            // ARTEMIS-1837: close listeners ran right here.
            Some(Happening::Closed(connection)) if self.defects.close_listeners_on_event_loop => {
                self.event_loop.stage = Stage::Closing(connection);
                self.start_close_listener(connection, Thread::EventLoop, ctx);
            }
            Some(Happening::Closed(connection)) => {
                self.start_close_listener(connection, Thread::FailureExecutor(connection), ctx);
                self.next_happening(ctx);
            }
            None => self.next_happening(ctx),
        }
    }

    fn tell_ready(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        let replication = self.replication.as_mut().filter(|r| r.channel.connection == connection);
        let listeners = replication.map(|r| r.channel.became_writable()).unwrap_or_default();
        // ARTEMIS-474: listeners were called under the connection lock, for which a writer that has the replication
        // lock may be waiting.
        if !self.defects.listeners_under_connection_lock {
            self.unlock(Lock::Connection, Thread::EventLoop, ctx);
        }
        self.event_loop.stage = Stage::WakingWriters(listeners);
        self.lock(Lock::Replication, Mode::Exclusive, Thread::EventLoop, ctx);
    }

    fn wake_writers(&mut self, listeners: &[Listener], ctx: &mut Context<Node>) {
        for listener in listeners {
            if let Listener::Writer(writer) = *listener {
                self.wake_writer(writer, ctx);
            }
        }
        self.unlock(Lock::Replication, Thread::EventLoop, ctx);
        if self.locks.owns(Thread::EventLoop, Lock::Connection) {
            self.unlock(Lock::Connection, Thread::EventLoop, ctx);
        }
        self.next_happening(ctx);
    }

    fn start_close_listener(&mut self, connection: ConnectionId, thread: Thread, ctx: &mut Context<Node>) {
        self.closing.insert(connection, CloseStage::Started);
        self.resume(thread, ctx);
    }

    /// A close listener goes on, on whichever thread it runs.
    pub(super) fn run_close_listener(&mut self, connection: ConnectionId, thread: Thread, ctx: &mut Context<Node>) {
        match self.closing[&connection] {
            CloseStage::Started if self.is_replica(connection) => {
                // Not under the storage lock: whoever holds that may be waiting for this very listener.
                self.closing.insert(connection, CloseStage::Replication);
                return self.lock(Lock::Replication, Mode::Exclusive, thread, ctx);
            }
            CloseStage::Started => {
                self.closing.insert(connection, CloseStage::Storage);
                return self.lock(Lock::Storage, Mode::Shared, thread, ctx);
            }
            CloseStage::Replication => {
                self.stop_replication(ctx);
                self.unlock(Lock::Replication, thread, ctx);
            }
            CloseStage::Storage => {
                self.close_session(connection);
                self.bridge_disconnected(connection, ctx);
                self.unlock(Lock::Storage, thread, ctx);
            }
        }
        self.closing.remove(&connection);
        if thread == Thread::EventLoop {
            self.next_happening(ctx);
        }
    }
}
