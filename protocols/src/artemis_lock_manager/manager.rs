//! The lock manager: sessions with a lease, a lock and a counter for each id.
//!
//! Locks and counters are durable; every answer waits until what it tells is on disk. A session ends when the broker
//! closes it, or when nothing is heard of it for the lease; a connection that merely breaks does not end it, so a
//! broker's lock outlives its process, as a ZooKeeper session does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sim_core::{CloseReason, ConnectionEvent, ConnectionId, Constant, Instant, NodeId, SyncToken};

use super::{LockId, Message, Node, Record, Settings};

type Context<'a> = sim_core::Context<'a, Node>;

/// A broker and the verifier of its session.
type SessionKey = (NodeId, u64);

/// The lock manager.
#[derive(Clone, Debug, Hash)]
pub struct Manager {
    settings: Constant<Arc<Settings>>,
    counters: BTreeMap<LockId, i64>,
    locks: BTreeMap<LockId, SessionKey>,
    sessions: BTreeMap<SessionKey, Session>,
    answers: VecDeque<Answer>,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Session {
    connection: Option<ConnectionId>,
    /// On the manager's clock; `None` after a restart, which gives every session a new lease.
    heard: Option<Instant>,
}

#[derive(Clone, Debug, Hash)]
struct Answer {
    /// The sync that it waits for, if that has not ended yet.
    after: Option<SyncToken>,
    on: ConnectionId,
    message: Message,
}

impl Manager {
    /// A lock manager that has never run.
    pub fn new(settings: Constant<Arc<Settings>>) -> Self {
        Manager {
            settings,
            counters: BTreeMap::new(),
            locks: BTreeMap::new(),
            sessions: BTreeMap::new(),
            answers: VecDeque::new(),
        }
    }

    /// The broker whose session owns a lock.
    pub fn owner(&self, lock: LockId) -> Option<NodeId> {
        self.locks.get(&lock).map(|&(broker, _)| broker)
    }

    pub(super) fn start(&mut self, disk: &[Record]) {
        for record in disk {
            match *record {
                Record::Counter(lock, value) => {
                    self.counters.insert(lock, value);
                }
                Record::Owner(lock, None) => {
                    self.locks.remove(&lock);
                }
                Record::Owner(lock, Some(owner)) => {
                    self.locks.insert(lock, owner);
                }
                Record::Journal(_) => unreachable!("the lock manager has no journal"),
            }
        }
        let owners = self.locks.values();
        self.sessions = owners.map(|&owner| (owner, Session { connection: None, heard: None })).collect();
    }

    pub(super) fn request(&mut self, from: NodeId, message: Message, ctx: &mut Context) {
        let Some(on) = ctx.via() else { return };
        self.expire(ctx);
        if let Message::Session { verifier, resume, at } = message {
            return self.open((from, verifier), resume, at, on, ctx);
        }
        let now = ctx.now();
        let Some((&key, session)) = self.sessions.iter_mut().find(|(_, session)| session.connection == Some(on)) else {
            return self.answer(on, Message::SessionLost, false, ctx);
        };
        session.heard = Some(now);
        match message {
            Message::Renew { at } => self.answer(on, Message::Renewed { at }, false, ctx),
            Message::ReadCounter(lock) => self.answer(on, Message::Counter(lock, self.counter(lock)), false, ctx),
            Message::CompareAndSet { lock, expected, new } => {
                let done = self.counter(lock) == expected;
                if done {
                    self.counters.insert(lock, new);
                    ctx.write(Record::Counter(lock, new));
                }
                self.answer(on, Message::Swapped(lock, done), done, ctx);
            }
            Message::TryLock(lock) => {
                let granted = *self.locks.entry(lock).or_insert(key) == key;
                if granted {
                    ctx.write(Record::Owner(lock, Some(key)));
                }
                self.answer(on, Message::Locked(lock, granted), granted, ctx);
            }
            Message::IsHeld(lock) => {
                self.answer(on, Message::Held(lock, self.locks.get(&lock) == Some(&key)), false, ctx);
            }
            Message::Unlock(lock) => {
                if self.locks.get(&lock) == Some(&key) {
                    self.release(lock, ctx);
                }
                self.answer(on, Message::Unlocked(lock), true, ctx);
            }
            other => unreachable!("{other:?} is not for the lock manager"),
        }
    }

    pub(super) fn connection(&mut self, event: ConnectionEvent, ctx: &mut Context) {
        let ConnectionEvent::Closed(closed, reason) = event else { return };
        let Some((&key, session)) = self.sessions.iter_mut().find(|(_, s)| s.connection == Some(closed)) else {
            return;
        };
        session.connection = None;
        if reason == CloseReason::Finished {
            self.end(key, ctx);
        }
    }

    pub(super) fn synced(&mut self, token: SyncToken, ctx: &mut Context) {
        for answer in &mut self.answers {
            answer.after = answer.after.filter(|&waits_for| waits_for > token);
        }
        while let Some(answer) = self.answers.pop_front_if(|answer| answer.after.is_none()) {
            ctx.send_on(answer.on, answer.message);
        }
    }

    fn open(&mut self, key: SessionKey, resume: bool, at: u64, on: ConnectionId, ctx: &mut Context) {
        if resume && !self.sessions.contains_key(&key) {
            return self.answer(on, Message::SessionLost, false, ctx);
        }
        self.sessions.insert(key, Session { connection: Some(on), heard: Some(ctx.now()) });
        self.answer(on, Message::Renewed { at }, false, ctx);
    }

    /// Ends the sessions that have been silent for longer than the lease.
    fn expire(&mut self, ctx: &mut Context) {
        let (now, lease) = (ctx.now(), self.settings.config.session_lease);
        let silent = |session: &mut Session| now.since(*session.heard.get_or_insert(now)) > lease;
        let expired: Vec<SessionKey> =
            self.sessions.iter_mut().filter_map(|(&key, session)| silent(session).then_some(key)).collect();
        expired.into_iter().for_each(|key| self.end(key, ctx));
    }

    fn end(&mut self, key: SessionKey, ctx: &mut Context) {
        self.sessions.remove(&key);
        let held: Vec<LockId> = self.locks.iter().filter(|&(_, owner)| *owner == key).map(|(&lock, _)| lock).collect();
        held.into_iter().for_each(|lock| self.release(lock, ctx));
    }

    fn release(&mut self, lock: LockId, ctx: &mut Context) {
        self.locks.remove(&lock);
        ctx.write(Record::Owner(lock, None));
    }

    fn counter(&self, lock: LockId) -> i64 {
        self.counters.get(&lock).copied().unwrap_or(0)
    }

    fn answer(&mut self, on: ConnectionId, message: Message, durable: bool, ctx: &mut Context) {
        let after = if durable { Some(ctx.sync()) } else { self.answers.back().and_then(|last| last.after) };
        if after.is_none() && self.answers.is_empty() {
            ctx.send_on(on, message);
        } else {
            self.answers.push_back(Answer { after, on, message });
        }
    }
}
