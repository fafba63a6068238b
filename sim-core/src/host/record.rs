//! What real processes write down of what came to them, and what they and their supervisor say to each other.
//!
//! A process notes each thing that comes to it before it does anything about it. An actor is a function of what comes to it,
//! so the notes of all processes are all that there is to know: whoever has them can go through the same states.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use crate::wire::{from_bytes, to_bytes};
use crate::world::Occurrence;
use crate::{Actor, CommandId, ConnectionEvent, ConnectionId, Instant, NodeId, SyncToken, Wire};

/// Names a note: which process wrote it, and its running number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// How many processes its node had before.
    pub process: u32,
    /// Counts the notes of the process.
    pub number: u64,
}

/// One thing that came to a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which note.
    pub stamp: Stamp,
    /// When it was taken up, on the clock of the process.
    pub began: Instant,
    /// When it had been handled.
    pub ended: Instant,
    /// What it was.
    pub came: Came,
    /// A hash of the actor's state after that; `None` if the handler panicked.
    pub state: Option<u64>,
}

/// What came. Values of the protocol are as [`Wire`] writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Came {
    /// The process started.
    Start {
        /// What was on its disk, oldest first. A process says that in pieces ([`Said::Found`]), and leaves it out here.
        disk: Vec<Vec<u8>>,
    },
    /// A message.
    Message {
        /// From whom.
        from: NodeId,
        /// During which note it was sent.
        sent: Stamp,
        /// On which connection; a datagram if on none.
        via: Option<ConnectionId>,
        /// The message.
        message: Vec<u8>,
    },
    /// A timer was due.
    Timer(Vec<u8>),
    /// A helper thread had finished.
    Job(Vec<u8>),
    /// Something happened to a connection.
    Connection {
        /// The other end.
        peer: NodeId,
        /// What.
        event: ConnectionEvent,
    },
    /// The peer had consumed something.
    Consumed {
        /// Of which connection.
        id: ConnectionId,
        /// How many bytes.
        bytes: u64,
    },
    /// A sync had ended.
    Synced {
        /// Which.
        token: SyncToken,
        /// Whether well.
        ok: bool,
        /// Bytes of the log that are sure to survive.
        length: u64,
    },
    /// Somebody asked for something.
    Command(CommandId),
    /// A fault of the plan that the process itself brings about began or ended.
    Fault {
        /// Its place in the plan.
        place: u32,
        /// Whether it began.
        begins: bool,
    },
}

impl Came {
    /// What it means to a world; `None` if it was not written by a process of this protocol.
    pub(crate) fn occurrence<A: Actor>(&self, process: u32, wire: &Wire<A>) -> Option<Occurrence<A>> {
        Some(match self {
            Came::Start { disk } => {
                let disk = disk.iter().map(|record| wire.record.read(record)).collect::<Option<_>>()?;
                Occurrence::Started { process, disk }
            }
            Came::Message { from, via, message, .. } => {
                Occurrence::Message { from: *from, via: *via, message: wire.message.read(message)? }
            }
            Came::Timer(timer) => Occurrence::Timer(wire.timer.read(timer)?),
            Came::Job(timer) => Occurrence::Job(wire.timer.read(timer)?),
            Came::Connection { peer, event } => Occurrence::Connection { peer: *peer, event: *event },
            Came::Consumed { id, bytes } => Occurrence::Consumed { id: *id, bytes: *bytes },
            Came::Synced { token, ok, .. } => Occurrence::Synced { token: *token, ok: *ok },
            Came::Command(id) => Occurrence::Command(*id),
            Came::Fault { place, begins } => Occurrence::Fault { place: *place, begins: *begins },
        })
    }
}

/// What a process says to its supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// These are on its disk, behind those that it has said before.
    Found(Vec<Vec<u8>>),
    /// It has said everything that is on its disk, listens, and waits to be told to begin.
    Ready,
    /// Something came to it.
    Note(Note),
    /// What its clock said when it was asked.
    Clock {
        /// The number of the question.
        question: u64,
        /// Its time.
        now: Instant,
    },
    /// A power board is to switch a machine; the process waits until it is done.
    Power {
        /// Whose machine.
        node: NodeId,
        /// On, or off.
        on: bool,
    },
    /// It cannot go on, and why.
    Failed(String),
}

/// What a supervisor says to a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// Begin: it is this late.
    Begin {
        /// What its clock is to say.
        now: Instant,
    },
    /// What does your clock say?
    Clock {
        /// A number for the answer.
        question: u64,
    },
    /// Somebody asks something of the actor.
    Command(CommandId),
    /// A fault of the plan that the process itself brings about begins or ends.
    Fault {
        /// Its place in the plan.
        place: u32,
        /// Whether it begins.
        begins: bool,
    },
    /// The machine has been switched.
    Switched,
}

/// Things that are sent as one frame each.
pub trait Framed: Serialize + DeserializeOwned {
    /// The kind of its frames.
    const KIND: u8;

    /// It, as a frame; `None` if it is too long for one.
    fn to_frame(&self) -> Option<Vec<u8>> {
        Frame::bytes(Self::KIND, &to_bytes(self))
    }

    /// It, if the frame holds one.
    fn from_frame(frame: &Frame) -> Option<Self> {
        if frame.kind == Self::KIND { from_bytes(&frame.payload) } else { None }
    }
}

impl Framed for Said {
    const KIND: u8 = 0x20;
}

impl Framed for Told {
    const KIND: u8 = 0x21;
}
