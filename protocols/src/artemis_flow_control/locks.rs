//! The locks of a broker as plain values: who owns them, and who waits in which order.
//!
//! A handler of the simulation never blocks, so a thread of the broker is a small state machine that asks for a lock and
//! goes on when it is given it. A deadlock is then a ring of owners and waiters that nothing will ever open, and it
//! can be read off this table.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sim_core::ConnectionId;

/// A thread of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Thread {
    /// Calls the ready listeners of all connections and (as was) their close listeners.
    EventLoop,
    /// Calls the close listeners of this connection, since ARTEMIS-1837. A thread each: behind one another, the listener
    /// of a client could wait for a synchronization that waits for the listener of its replica.
    FailureExecutor(ConnectionId),
    /// Writes what is waiting for page files.
    PageWriter,
    /// Brings the replica at the end of this connection up to date.
    Synchronization(ConnectionId),
    /// Handles the messages of the session on this connection, one after the other.
    Session(ConnectionId),
}

/// A lock of a broker. In the order in which a thread may take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lock {
    /// Shared by whoever writes to the journal; exclusive at the ends of a synchronization.
    Storage,
    /// Shared by whoever looks whether an address is paging; exclusive while page files are listed.
    Paging,
    /// Guards the stream to the replica.
    Replication,
    /// Guards the ready listeners of the connection to the replica.
    Connection,
}

impl Lock {
    /// All of them.
    pub const ALL: [Lock; 4] = [Lock::Storage, Lock::Paging, Lock::Replication, Lock::Connection];
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Together with others.
    Shared,
    /// Alone.
    Exclusive,
}

/// All locks of one broker.
#[derive(Clone, Debug, Default, Hash)]
pub struct Locks {
    table: [State; Lock::ALL.len()],
}

#[derive(Clone, Debug, Default, Hash)]
struct State {
    owners: Vec<(Thread, Mode)>,
    waiters: VecDeque<(Thread, Mode)>,
}

impl Locks {
    /// Gives `thread` the lock, or lines it up behind those who wait already. Returns whether it has it.
    ///
    /// # Panics
    /// If the thread owns it or waits for it already: none of these locks is re-entrant.
    pub fn acquire(&mut self, lock: Lock, mode: Mode, thread: Thread) -> bool {
        assert!(!self.owns(thread, lock) && !self.waits(thread, lock), "{thread:?} asks twice for {lock:?}");
        let state = &mut self.table[lock as usize];
        if state.waiters.is_empty() && state.admits(mode) {
            state.owners.push((thread, mode));
            return true;
        }
        state.waiters.push_back((thread, mode));
        false
    }

    /// Takes the lock from `thread` and returns those who have it now and had to wait for it.
    ///
    /// # Panics
    /// If the thread does not own it.
    pub fn release(&mut self, lock: Lock, thread: Thread) -> Vec<Thread> {
        let state = &mut self.table[lock as usize];
        let at = state.owners.iter().position(|&(owner, _)| owner == thread);
        state.owners.remove(at.unwrap_or_else(|| panic!("{thread:?} releases {lock:?}, which it does not own")));
        let mut granted = Vec::new();
        while let Some(&(next, mode)) = state.waiters.front()
            && state.admits(mode)
        {
            state.waiters.pop_front();
            state.owners.push((next, mode));
            granted.push(next);
        }
        granted
    }

    /// Whether `thread` owns `lock`.
    pub fn owns(&self, thread: Thread, lock: Lock) -> bool {
        self.table[lock as usize].owners.iter().any(|&(owner, _)| owner == thread)
    }

    /// The lock that `thread` waits for, if it waits for one.
    pub fn awaited_by(&self, thread: Thread) -> Option<Lock> {
        Lock::ALL.into_iter().find(|&lock| self.waits(thread, lock))
    }

    /// Everyone who owns or waits for some lock; more than once if for several.
    pub fn threads(&self) -> impl Iterator<Item = Thread> + '_ {
        self.table.iter().flat_map(|state| state.owners.iter().chain(&state.waiters)).map(|&(thread, _)| thread)
    }

    /// Whom `thread` has to wait for to get the lock it waits for: its owners, and those in front.
    pub fn blockers(&self, thread: Thread) -> Vec<Thread> {
        let Some(lock) = self.awaited_by(thread) else { return Vec::new() };
        let state = &self.table[lock as usize];
        let in_front = state.waiters.iter().take_while(|&&(waiter, _)| waiter != thread);
        state.owners.iter().chain(in_front).map(|&(blocker, _)| blocker).collect()
    }

    fn waits(&self, thread: Thread, lock: Lock) -> bool {
        self.table[lock as usize].waiters.iter().any(|&(waiter, _)| waiter == thread)
    }
}

impl State {
    fn admits(&self, mode: Mode) -> bool {
        match mode {
            Mode::Shared => self.owners.iter().all(|&(_, held)| held == Mode::Shared),
            Mode::Exclusive => self.owners.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn session(serial: u32) -> Thread {
        Thread::Session(ConnectionId { initiator: sim_core::NodeId(9), serial })
    }

    #[test]
    fn readers_share_and_a_waiting_writer_holds_up_later_readers() {
        let [a, b, c] = [session(0), session(1), session(2)];
        let mut locks = Locks::default();
        assert!(locks.acquire(Lock::Storage, Mode::Shared, a));
        assert!(!locks.acquire(Lock::Storage, Mode::Exclusive, b));
        assert!(!locks.acquire(Lock::Storage, Mode::Shared, c));
        assert_eq!(locks.blockers(c), [a, b]);
        assert_eq!(locks.release(Lock::Storage, a), [b]);
        assert_eq!(locks.release(Lock::Storage, b), [c]);
    }

    #[test]
    #[should_panic(expected = "asks twice")]
    fn a_lock_is_not_re_entrant() {
        let mut locks = Locks::default();
        locks.acquire(Lock::Paging, Mode::Exclusive, Thread::PageWriter);
        locks.acquire(Lock::Paging, Mode::Exclusive, Thread::PageWriter);
    }
}
