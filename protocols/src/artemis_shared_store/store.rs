//! The store: a file system on the network, with locks that lapse.
//!
//! A request is carried out in memory when it arrives and answered when everything before it is on disk, so no answer
//! tells of what a crash of the store could undo.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sim_core::{CloseReason, ConnectionEvent, ConnectionId, Constant, Instant, NodeId, SyncToken};

use super::{Lock, LockState, Message, Node, RECORDS_PER_READ, Record, Settings};

type Context<'a> = sim_core::Context<'a, Node>;

/// The file system.
#[derive(Clone, Debug, Hash)]
pub struct Store {
    settings: Constant<Arc<Settings>>,
    state: LockState,
    modified: u64,
    journal: Journal,
    locks: BTreeMap<Lock, Owner>,
    /// Who had each lock last, released or not: nobody else can reclaim it.
    last_owners: BTreeMap<Lock, (NodeId, u64)>,
    mounts: BTreeMap<NodeId, Mount>,
    answers: VecDeque<Answer>,
    stray_write: Option<StrayWrite>,
}

/// Who owns a lock, and when the store last heard from it.
#[derive(Clone, Copy, Debug, Hash)]
struct Owner {
    broker: NodeId,
    verifier: u64,
    /// On the store's clock; `None` after a restart of the store until it has served a first request.
    heard: Option<Instant>,
}

/// A broker's latest mount. What comes on any other connection of that broker is left over from an earlier one.
#[derive(Clone, Copy, Debug, Hash)]
struct Mount {
    verifier: u64,
    connection: ConnectionId,
}

#[derive(Clone, Debug, Hash)]
struct Answer {
    /// The sync that it waits for, if that has not ended yet.
    after: Option<SyncToken>,
    on: ConnectionId,
    message: Message,
}

/// A journal write that was accepted from a broker without the primary lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StrayWrite {
    /// Who wrote.
    pub writer: NodeId,
    /// Who has the primary lock.
    pub owner: Option<NodeId>,
}

impl Store {
    /// An empty file system.
    pub fn new(settings: Constant<Arc<Settings>>) -> Self {
        Store {
            settings,
            state: LockState::default(),
            modified: 0,
            journal: Journal::default(),
            locks: BTreeMap::new(),
            last_owners: BTreeMap::new(),
            mounts: BTreeMap::new(),
            answers: VecDeque::new(),
            stray_write: None,
        }
    }

    /// Whether the journal holds a message.
    pub fn holds(&self, value: u64) -> bool {
        self.journal.holds(value)
    }

    /// The first journal write that was accepted from a broker without the primary lock.
    pub fn stray_write(&self) -> Option<StrayWrite> {
        self.stray_write
    }

    pub(super) fn start(&mut self, disk: &[Record]) {
        for record in disk {
            match *record {
                Record::State(state) => self.state = state,
                Record::Modified(modified) => self.modified = modified,
                Record::Message { position, value } => self.journal.write(position, value),
                Record::Owner(lock, None) => {
                    self.locks.remove(&lock);
                }
                Record::Owner(lock, Some((broker, verifier))) => {
                    self.locks.insert(lock, Owner { broker, verifier, heard: None });
                    self.last_owners.insert(lock, (broker, verifier));
                }
            }
        }
    }

    pub(super) fn request(&mut self, from: NodeId, message: Message, ctx: &mut Context) {
        let Some(on) = ctx.via() else { return };
        if let Message::Mount { verifier, held } = message {
            return self.mount(from, Mount { verifier, connection: on }, &held, ctx);
        }
        let Some(mount) = self.mounts.get(&from).copied().filter(|mount| mount.connection == on) else { return };
        self.hear(from, mount, ctx.now());
        match message {
            Message::TryLock(lock) => {
                let granted = self.try_lock(lock, from, mount, ctx);
                self.answer(on, Message::Locked(lock, granted), granted, ctx);
            }
            Message::Unlock(lock) => {
                if self.owns(lock, from, mount) {
                    self.release(lock, ctx);
                }
                self.answer(on, Message::Unlocked(lock), true, ctx);
            }
            Message::ReadState => self.answer(on, Message::State(self.state), false, ctx),
            Message::WriteState(state) => {
                self.state = state;
                ctx.write(Record::State(state));
                self.answer(on, Message::StateWritten(state), true, ctx);
            }
            Message::Touch => {
                self.modified += 1;
                ctx.write(Record::Modified(self.modified));
                self.answer(on, Message::Touched(self.modified), true, ctx);
            }
            Message::ReadTimes => self.answer(on, Message::Times(self.modified), false, ctx),
            Message::ReadJournal { from } => {
                let values = self.journal.read(from);
                self.answer(on, Message::Records { from, values }, false, ctx);
            }
            Message::Append { position, value } => self.append(from, mount, position, value, ctx),
            Message::Renew => {}
            other => unreachable!("{other:?} is not for the store"),
        }
    }

    pub(super) fn connection(&mut self, peer: NodeId, event: ConnectionEvent, ctx: &mut Context) {
        let ConnectionEvent::Closed(connection, reason) = event else { return };
        let Some(mount) = self.mounts.get(&peer).copied().filter(|mount| mount.connection == connection) else {
            return;
        };
        // When a process ends, its machine closes its files, and the locks go with them. A connection that merely
        // broke says nothing about the process: the lease decides.
        if matches!(reason, CloseReason::Finished | CloseReason::Reset) {
            self.release_all_of(peer, |verifier| verifier == mount.verifier, ctx);
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

    /// A broker's new connection. A new verifier is a new process, so the locks of the old one are void.
    fn mount(&mut self, from: NodeId, mount: Mount, held: &[Lock], ctx: &mut Context) {
        // What an earlier process sent and the network kept back is not the word of a new one.
        if self.mounts.get(&from).is_some_and(|known| known.connection > mount.connection) {
            return;
        }
        self.mounts.insert(from, mount);
        self.release_all_of(from, |verifier| verifier != mount.verifier, ctx);
        for lock in held {
            // A lock that another has had meanwhile cannot be reclaimed, even if it is free again. The broker is not
            // told: that is how it loses a lock unawares.
            if self.last_owners.get(lock) == Some(&(from, mount.verifier)) {
                self.try_lock(*lock, from, mount, ctx);
            }
        }
        self.hear(from, mount, ctx.now());
    }

    fn try_lock(&mut self, lock: Lock, from: NodeId, mount: Mount, ctx: &mut Context) -> bool {
        let now = ctx.now();
        if let Some(owner) = self.locks.get_mut(&lock) {
            let own = owner.broker == from && owner.verifier == mount.verifier;
            // A lease starts anew when the store does, as it cannot tell how long it was down.
            let heard = *owner.heard.get_or_insert(now);
            if !own && now.since(heard) <= self.settings.config.lock_lease {
                return false;
            }
        }
        self.locks.insert(lock, Owner { broker: from, verifier: mount.verifier, heard: Some(now) });
        self.last_owners.insert(lock, (from, mount.verifier));
        ctx.write(Record::Owner(lock, Some((from, mount.verifier))));
        true
    }

    fn append(&mut self, from: NodeId, mount: Mount, position: u64, value: u64, ctx: &mut Context) {
        if !self.owns(Lock::Primary, from, mount) {
            if self.settings.config.journal_fencing {
                return self.answer(mount.connection, Message::Refused { position }, false, ctx);
            }
            let owner = self.locks.get(&Lock::Primary).map(|owner| owner.broker);
            self.stray_write.get_or_insert(StrayWrite { writer: from, owner });
        }
        self.journal.write(position, value);
        ctx.write(Record::Message { position, value });
        self.answer(mount.connection, Message::Appended { position }, true, ctx);
    }

    fn owns(&self, lock: Lock, broker: NodeId, mount: Mount) -> bool {
        self.locks.get(&lock).is_some_and(|owner| owner.broker == broker && owner.verifier == mount.verifier)
    }

    fn hear(&mut self, broker: NodeId, mount: Mount, now: Instant) {
        for owner in self.locks.values_mut() {
            if owner.broker == broker && owner.verifier == mount.verifier {
                owner.heard = Some(now);
            }
        }
    }

    fn release_all_of(&mut self, broker: NodeId, which: impl Fn(u64) -> bool, ctx: &mut Context) {
        for lock in [Lock::Primary, Lock::Backup] {
            if self.locks.get(&lock).is_some_and(|owner| owner.broker == broker && which(owner.verifier)) {
                self.release(lock, ctx);
            }
        }
    }

    fn release(&mut self, lock: Lock, ctx: &mut Context) {
        self.locks.remove(&lock);
        ctx.write(Record::Owner(lock, None));
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

/// The journal: records at positions that its writer chooses. Writing to a position again replaces what was there.
#[derive(Clone, Debug, Default, Hash)]
pub struct Journal {
    records: Vec<u64>,
    /// What is in them, in ascending order: one short search for each of many questions.
    known: Vec<u64>,
}

impl Journal {
    /// Whether a record is there.
    pub fn holds(&self, value: u64) -> bool {
        self.known.binary_search(&value).is_ok()
    }

    /// The position after the last.
    pub fn end(&self) -> u64 {
        self.records.len() as u64
    }

    /// Writes a record at a position up to the end; one further on would leave a hole and is ignored.
    pub fn write(&mut self, position: u64, value: u64) {
        if position > self.end() {
            return;
        }
        if position == self.end() {
            self.records.push(value);
        } else {
            let replaced = std::mem::replace(&mut self.records[position as usize], value);
            if let Ok(at) = self.known.binary_search(&replaced) {
                self.known.remove(at);
            }
        }
        if let Err(at) = self.known.binary_search(&value) {
            self.known.insert(at, value);
        }
    }

    /// Up to [`RECORDS_PER_READ`] records from a position on.
    fn read(&self, from: u64) -> Vec<u64> {
        self.records.iter().skip(from as usize).take(RECORDS_PER_READ).copied().collect()
    }
}
