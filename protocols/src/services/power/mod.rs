//! Out-of-band power control after IPMI: a board beside every machine that can take its power away, whatever the
//! machine's own software does.
//!
//! # Roles
//! A [`Board`] is a node of its own: it has its own power and its own place on the network, and it can be cut off, slow
//! or down like any other. A [`Remote`] is what a node embeds to ask boards for something.
//!
//! # What it promises
//! * **B1** a machine whose board says, honestly, that it is off runs nothing.
//! * **B2** a request is carried out at most once for each time that it was asked for, in the order of asking: a copy
//!   that comes late is not obeyed.
//! * **B3** a remote is told of every request exactly once: what the board said, or that it did not answer in time.
//!   No answer does not mean that nothing was done.
//! * **B4** a board that restarts sets its relay to what it had last written down.
//!
//! # What can be wrong with a board
//! See [`Mood`]: it refuses, it is slow, it claims to have switched off what still runs, or it claims to have failed
//! when it has not. What it says is text for people, as that of `ipmitool` is, with a line feed behind it.
//!
//! # Messages
//! | message | from, to | means |
//! |---|---|---|
//! | `PowerRequest` | remote to board | do this, or tell the state |
//! | `PowerAnswer` | board to remote | what came of it |
//!
//! Both are datagrams. A remote asks again until it is answered.
//!
//! # Timers
//! | timer | default | when it fires |
//! |---|---|---|
//! | board `Boot` | 10 s after power-on | the machine has booted: its process starts |
//! | board `Answer` | when the board is slow | an answer is ready |
//! | remote `Patience` | 1 s, three times | ask again, or give up |
//!
//! Files: `board.rs` and `remote.rs` are the two halves.

mod board;
mod remote;

use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub use board::{Board, BoardConfig, BoardHost, Mood};
pub use remote::{Remote, RemoteConfig, RemoteHost};

/// What a board can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Take the power away.
    Off,
    /// Give power.
    On,
    /// Off and on again in one request. Refused by a machine that is off.
    Reset,
    /// Tell whether there is power.
    Status,
}

/// What was said, or why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The board says that it has failed.
    Failed(Arc<str>),
    /// The board has not answered in time.
    NoAnswer,
}

/// What remotes and boards say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Asks a board for something.
    PowerRequest {
        /// Larger than that of every request before it from the same node.
        id: u64,
        /// For what.
        action: Action,
    },
    /// Answers a request.
    PowerAnswer {
        /// As in the request.
        id: u64,
        /// What the board says.
        said: Result<Arc<str>, Refusal>,
    },
}

sim_core::kinds!(Message { PowerRequest, PowerAnswer });

/// The timers of both halves; the table is in the module above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// At a board: the machine has booted.
    Boot,
    /// At a board: the oldest answer is ready.
    Answer,
    /// At a remote: a board has not answered.
    Patience(u64),
}

/// What is on a board's disk. Only the last record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// The relay was switched.
    Relay {
        /// Whether it is closed, so that the machine has power.
        on: bool,
    },
}
