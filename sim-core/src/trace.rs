//! What happened: a rolling hash always, everything with causes when recording.

use crate::{Deviations, Instant, Moment, NodeId, Site};

/// Folds words into 64 bits, one multiplication each. Equal traces have equal hashes on every machine; it is not
/// meant to withstand an adversary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollingHash(u64);

impl Default for RollingHash {
    fn default() -> Self {
        RollingHash(0xcbf2_9ce4_8422_2325)
    }
}

impl RollingHash {
    /// Adds a word.
    #[inline]
    pub fn add(&mut self, word: u64) {
        // The halves of the 128-bit product, folded: high bits of the input reach low bits of the result and back.
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ word.rotate_left(29);
    }

    /// Adds a text.
    #[inline]
    pub fn add_text(&mut self, text: &str) {
        let (chunks, rest) = text.as_bytes().as_chunks::<8>();
        for chunk in chunks {
            self.add(u64::from_le_bytes(*chunk));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // The length tells "a" from "a\0".
        self.add(u64::from_le_bytes(last) ^ (text.len() as u64) << 56);
    }

    /// The hash so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

/// What a world keeps while it records.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    /// Everything that happened; `None` if only what chance decides is of interest.
    pub trace: Option<Trace>,
    /// How the run differs from a calm one.
    pub deviations: Deviations,
    /// Every send, sync and crash that could have gone otherwise, in order.
    pub decisions: Vec<(Site, Moment)>,
    /// Each node's role after its last event.
    pub roles: Vec<&'static str>,
}

impl Recorder {
    pub fn new(trace: Option<Trace>, roles: Vec<&'static str>) -> Self {
        Recorder { trace, deviations: Deviations::default(), decisions: Vec::new(), roles }
    }
}

/// Everything that happened in a recorded run, in order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The entries.
    pub entries: Vec<Entry>,
}

impl Trace {
    /// A hash of everything recorded, the contents of messages included; the rolling hash of a run knows only their
    /// kinds.
    pub fn digest(&self) -> u64 {
        let mut hash = RollingHash::default();
        self.entries.iter().for_each(|entry| hash.add_text(&format!("{entry:?}")));
        hash.value()
    }

    /// The marks that were set, each once, in the order in which they were first set.
    pub fn marks_in_order(&self) -> Vec<&'static str> {
        let mut marks = Vec::new();
        for entry in &self.entries {
            if let What::Mark { name, .. } = entry.what
                && !marks.contains(&name)
            {
                marks.push(name);
            }
        }
        marks
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The event during which it happened; the first event of a run is number 1, and 0 is the set-up.
    pub event: u64,
    /// World time.
    pub at: Instant,
    /// The event that caused this one: the sending of a message, the arming of a timer. 0 if it was the set-up.
    pub cause: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A process started.
    Started {
        /// The node.
        node: NodeId,
    },
    /// A message was sent.
    Sent {
        /// Sender.
        from: NodeId,
        /// Receiver.
        to: NodeId,
        /// The message's kind.
        kind: &'static str,
        /// The message as `Debug` shows it.
        message: String,
        /// Whether it went over a connection.
        connection: bool,
        /// What will become of it, as decided when it was sent.
        fate: Fate,
    },
    /// A message was handled by its receiver.
    Delivered {
        /// Sender.
        from: NodeId,
        /// Receiver.
        to: NodeId,
        /// The message's kind.
        kind: &'static str,
        /// The message as `Debug` shows it.
        message: String,
    },
    /// A message reached a node that is down, or a connection that is gone.
    Undeliverable {
        /// Sender.
        from: NodeId,
        /// Receiver.
        to: NodeId,
        /// The message's kind.
        kind: &'static str,
    },
    /// A timer fired or a job ended.
    Timer {
        /// The node.
        node: NodeId,
        /// The timer as `Debug` shows it.
        timer: String,
    },
    /// A connection changed.
    Connection {
        /// The node that was told.
        node: NodeId,
        /// The other end.
        peer: NodeId,
        /// What changed.
        event: crate::ConnectionEvent,
    },
    /// A sync ended.
    Synced {
        /// The node.
        node: NodeId,
        /// Whether what was written is durable.
        ok: bool,
    },
    /// A node was asked for something.
    Command {
        /// The node.
        node: NodeId,
        /// The command as `Debug` shows it.
        command: String,
    },
    /// A node set a mark.
    Mark {
        /// The node.
        node: NodeId,
        /// The mark.
        name: &'static str,
    },
    /// A node's role changed.
    Role {
        /// The node.
        node: NodeId,
        /// What it was.
        from: &'static str,
        /// What it is now.
        to: &'static str,
    },
    /// A process ended.
    Stopped {
        /// The node.
        node: NodeId,
        /// Whether it stopped by itself, in good order.
        halted: bool,
    },
    /// A planned fault took effect.
    FaultBegan {
        /// Its id in the plan.
        id: u32,
        /// What broke, in words.
        text: String,
    },
    /// A planned fault ended.
    FaultEnded {
        /// Its id in the plan.
        id: u32,
        /// What had broken, in words.
        text: String,
    },
    /// A client noted a step of an operation.
    Operation {
        /// The client.
        node: NodeId,
        /// The step.
        operation: crate::history::Operation,
    },
}

/// What becomes of a message, as decided when it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at these moments: one, or two if it was duplicated.
    Arrives(Vec<Instant>),
    /// It waits behind others on its connection, or for a link to heal.
    Waits,
    /// It is lost, by chance or by a deviation.
    Lost,
    /// It is lost to a cut link.
    Cut,
    /// It is lost to a planned drop.
    Dropped {
        /// The fault's id.
        fault: u32,
    },
}
