//! What clients asked for and what they were told.
//!
//! A client notes each step of an operation with [`crate::Context::record`]. Invariants compare the notes with what
//! the servers hold: an acknowledged write must be somewhere, a read must return what a legal order of the writes
//! allows.

use std::hash::{Hash, Hasher};

use crate::copy::copied_by_field;
use crate::state_hash::hasher;
use crate::{Instant, NodeId};

/// One step of a client operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Tells the operation apart from the client's others; the same in all its steps.
    pub id: u64,
    /// What was asked for.
    pub call: Call,
    /// Which step this is.
    pub step: Step,
}

/// What an operation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Store a value under a key: a register write, or a message sent to the queue `key`.
    Write {
        /// Register or queue.
        key: u64,
        /// What to store; workloads use each value once, so that it can be recognised.
        value: u64,
    },
    /// Read the register `key`; what was read comes with [`Step::Returned`].
    Read {
        /// Register.
        key: u64,
    },
    /// Take a message off the queue `key`; which one comes with [`Step::Returned`].
    Receive {
        /// Queue.
        key: u64,
    },
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The client has sent the request.
    Invoked,
    /// The client was told of success; a read or a receive says what it got.
    Returned(Option<u64>),
    /// The client was told that it was not done, and that it never will be.
    Refused,
    /// The client gave up waiting: it may or may not have been done, or may yet be.
    Unknown,
}

/// A note in the history of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    /// World time.
    pub at: Instant,
    /// The client.
    pub client: NodeId,
    /// The step.
    pub operation: Operation,
}

/// All steps of all client operations of a run, in the order in which they were noted.
#[derive(Debug, Default, Hash)]
pub struct History {
    notes: Vec<Note>,
    /// Hash of the notes from one number up to another, brought up to date when somebody asks.
    digest: (usize, usize, u64),
}

copied_by_field! { impl[] History { notes, digest } }

impl History {
    /// All notes so far.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// A hash of the notes from number `from` on. Only what was noted since the last call is looked at.
    pub(crate) fn digest_from(&mut self, from: usize) -> u64 {
        if self.digest.0 != from {
            self.digest = (from, from, 0);
        }
        let (_, known, mut digest) = self.digest;
        for note in self.notes.iter().skip(known) {
            let mut hash = hasher();
            (digest, note).hash(&mut hash);
            digest = hash.finish();
        }
        self.digest = (from, self.notes.len().max(from), digest);
        digest
    }

    pub(crate) fn push(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// The values of all writes to `key` that a client was told had succeeded, in the order in which it was told.
    pub fn acknowledged_writes(&self, key: u64) -> impl Iterator<Item = u64> + '_ {
        self.notes.iter().filter_map(move |note| match note.operation {
            Operation { call: Call::Write { key: k, value }, step: Step::Returned(_), .. } if k == key => Some(value),
            _ => None,
        })
    }
}
