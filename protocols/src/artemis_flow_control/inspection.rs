//! What invariants can see of a broker: who is blocked, and what is left of things that have ended.

use sim_core::ConnectionId;

use super::bridge::Bridge;
use super::broker::Broker;
use super::invariants::{Blocked, End, Writer};
use super::locks::Thread;

impl Broker {
    /// Threads that wait for somebody, and the bridge if it has something left to do.
    pub fn blocked_writers(&self) -> Vec<Blocked> {
        let threads = self.waiting.iter().map(|(&thread, &wait)| Blocked {
            writer: Writer::Thread(thread),
            progress: wait,
            end: if self.waits_for_replica(thread) { End::SlowReplica } else { End::SilentPeer },
        });
        let bridge = self.bridge.as_ref().and_then(|bridge| {
            let progress = bridge.unfinished(self.queue.len())?;
            let end = if bridge.is_connected() { End::SilentPeer } else { End::Repair };
            Some(Blocked { writer: Writer::Bridge, progress, end })
        });
        threads.chain(bridge).collect()
    }

    /// Whether a thread that waits does so for the replica itself, and not for somebody else here.
    fn waits_for_replica(&self, thread: Thread) -> bool {
        self.locks.awaited_by(thread).is_none() && !self.page_writer.is_awaited_by(thread)
    }

    /// What the bridge waits for, in words.
    pub fn explain_bridge(&self) -> &'static str {
        self.bridge.as_ref().map_or("does not exist", Bridge::describe_wait)
    }

    /// Session factories that stay registered although their connections have failed.
    pub fn failed_factories(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.bridge.iter().flat_map(Bridge::failed_factories)
    }

    /// Sessions that exist no more and whose requests for credits still wait.
    pub fn credit_waiters_without_session(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.addresses.waiters().filter(|session| !self.sessions.contains_key(session))
    }

    /// Whether operations wait for the answer of a replica when there is none.
    pub fn awaits_replica_in_vain(&self) -> bool {
        self.replication.is_none() && self.operations.await_replica()
    }

    /// The connections of all sessions.
    pub fn sessions(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.sessions.keys().copied()
    }

    /// Threads that own locks or wait for something although what they work for has ended.
    pub fn orphaned_threads(&self) -> impl Iterator<Item = Thread> + '_ {
        self.locks.threads().chain(self.waiting.keys().copied()).filter(|&thread| match thread {
            Thread::Session(session) => !self.sessions.contains_key(&session),
            Thread::Synchronization(replica) => !self.is_synchronizing(replica),
            Thread::FailureExecutor(connection) => !self.closing.contains_key(&connection),
            Thread::EventLoop | Thread::PageWriter => false,
        })
    }
}
