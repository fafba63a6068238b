//! Connections between nodes, below the processes: what a kernel keeps of a TCP connection.
//!
//! A connection has two ends and a pipe in each direction. A pipe keeps order and loses nothing as long as it lives:
//! what a link loses is sent again after a timeout, what meets a cut link waits for it to heal. A pipe that makes no
//! progress for the connection timeout breaks at the sender's end; the other end knows nothing of it (half-open) and
//! is reset when it next sends.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use crate::{CloseReason, ConnectionId, NodeId};

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    Initiator,
    Acceptor,
}

impl Side {
    pub const fn other(self) -> Side {
        match self {
            Side::Initiator => Side::Acceptor,
            Side::Acceptor => Side::Initiator,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// State of one end, as its machine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Closed,
    Opening,
    Open,
}

#[derive(Clone, Debug)]
pub(crate) struct Pair<M> {
    nodes: [NodeId; 2],
    ends: [End; 2],
    pipes: [Pipe<M>; 2],
}

/// One direction of a connection, as its sender's machine knows it.
#[derive(Clone, Debug)]
pub(crate) struct Pipe<M> {
    /// Sent by the process and not yet on the wire.
    pub waiting: VecDeque<Item<M>>,
    /// Bytes on the wire, not yet consumed by the receiving process.
    pub in_flight: u64,
    /// When the last item on the wire arrives: no later one may overtake it.
    pub last_arrival: u64,
    /// Since when nothing has been heard of what was sent, if that is so.
    pub silent_since: Option<u64>,
    /// Bytes that the receiver has consumed but cannot acknowledge because the way back is cut.
    pub held_acks: u64,
}

/// What a pipe carries.
#[derive(Clone, Debug)]
pub(crate) struct Item<M> {
    pub packet: Packet<M>,
    /// Size that counts against window and buffer.
    pub bytes: u32,
    /// As decided when it was sent.
    pub latency: u64,
    /// The event that sent it.
    pub cause: u64,
}

#[derive(Clone, Debug, Hash)]
pub(crate) enum Packet<M> {
    /// Asks the peer to accept.
    Syn,
    /// Accepts.
    Accept,
    Data(M),
    /// The sender has closed its end in good order.
    Fin,
    /// There is no such connection at the sender.
    Reset,
}

impl<M> Pair<M> {
    pub fn new(initiator: NodeId, acceptor: NodeId) -> Self {
        Pair { nodes: [initiator, acceptor], ends: [End::Opening, End::Closed], pipes: [Pipe::new(), Pipe::new()] }
    }

    pub fn node(&self, side: Side) -> NodeId {
        self.nodes[side.index()]
    }

    /// The side of a node. A connection of a node with itself is seen from its initiating side.
    pub fn side_of(&self, node: NodeId) -> Side {
        if self.nodes[0] == node { Side::Initiator } else { Side::Acceptor }
    }

    pub fn end(&self, side: Side) -> End {
        self.ends[side.index()]
    }

    pub fn set_end(&mut self, side: Side, end: End) {
        self.ends[side.index()] = end;
    }

    /// The pipe that carries what `side` sends.
    pub fn pipe(&mut self, side: Side) -> &mut Pipe<M> {
        &mut self.pipes[side.index()]
    }

    /// The same, to look at.
    pub fn pipe_of(&self, side: Side) -> &Pipe<M> {
        &self.pipes[side.index()]
    }

    /// Adds to a hash what decides how it goes on from the moment `soon` on.
    pub fn hash_state(&self, soon: u64, hash: &mut impl Hasher)
    where
        M: Hash,
    {
        (self.nodes, self.ends).hash(hash);
        for pipe in &self.pipes {
            hash.write_usize(pipe.waiting.len());
            for item in &pipe.waiting {
                (&item.packet, item.bytes, item.latency).hash(hash);
            }
            // What arrived before does not hold anything up.
            let last_arrival = if pipe.last_arrival >= soon { pipe.last_arrival } else { 0 };
            (pipe.in_flight, last_arrival, pipe.silent_since, pipe.held_acks).hash(hash);
        }
    }

    /// Whether nobody needs it any more.
    pub fn is_dead(&self) -> bool {
        self.ends == [End::Closed; 2] && self.pipes.iter().all(|pipe| pipe.waiting.is_empty())
    }

    /// The two nodes.
    pub fn joins(&self, a: NodeId, b: NodeId) -> bool {
        self.nodes == [a, b] || self.nodes == [b, a]
    }
}

impl<M> Pipe<M> {
    fn new() -> Self {
        Pipe { waiting: VecDeque::new(), in_flight: 0, last_arrival: 0, silent_since: None, held_acks: 0 }
    }

    /// Whether the next waiting item fits into the window. One item always does, however large.
    pub fn has_room(&self, bytes: u32, window: u64) -> bool {
        self.in_flight == 0 || self.in_flight + u64::from(bytes) <= window || bytes == 0
    }
}

/// Something on its way through the network.
#[derive(Clone, Debug)]
pub(crate) struct Flight<M> {
    pub from: NodeId,
    pub to: NodeId,
    /// The event that sent it.
    pub cause: u64,
    pub cargo: Cargo<M>,
}

#[derive(Clone, Debug)]
pub(crate) enum Cargo<M> {
    Datagram(M),
    /// Toward the end that is not `sender`.
    Packet {
        id: ConnectionId,
        sender: Side,
        packet: Packet<M>,
    },
    /// The receiver has consumed so many bytes of what `sender` sent.
    Ack {
        id: ConnectionId,
        sender: Side,
        bytes: u64,
    },
    /// Not a message: the machine finds that the connection is gone.
    Broken {
        id: ConnectionId,
        receiver: Side,
        reason: CloseReason,
    },
    /// Not a message: `sender` looks whether it has heard anything since.
    Patience {
        id: ConnectionId,
        sender: Side,
        silent_since: u64,
    },
}
