//! A world whose events another engine brings about: time and the network are that engine's, everything at the nodes is
//! this world's.

use crate::connections::{Cargo, Flight, Packet, Side};
use crate::queue::{Entry, Event};
use crate::{Actor, ConnectionId, Context, Instant, NodeId, Touched, World};

/// What brings an event about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bringer {
    /// The plan of the run, which nothing stops.
    Plan,
    /// The machine of a node, whether or not its process is up.
    Machine(NodeId),
    /// The disk of a node, where one thing ends after the other.
    Disk(NodeId),
    /// The process of a node: if it dies, the event never happens; while it stalls, it waits.
    Process(NodeId),
    /// The network, which may lose it.
    Datagram { from: NodeId, to: NodeId },
    /// The network, which keeps the order of what goes the same way on the same connection, and loses none of it.
    Stream { from: NodeId, to: NodeId, pipe: Pipe },
}

/// What goes one way on one connection, and keeps its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pipe {
    connection: ConnectionId,
    /// The side that sends on it.
    sender: Side,
    /// Whether it carries acknowledgements, which overtake data and are overtaken by them.
    acks: bool,
}

impl<A: Actor> World<A> {
    /// Lets another engine carry datagrams: no link keeps one back that is cut in the plan, as that engine does.
    pub(crate) fn be_hosted(&mut self) {
        self.hosted = true;
    }

    /// Takes out everything that has been scheduled, in the order in which it would happen.
    pub(crate) fn take_scheduled(&mut self) -> impl Iterator<Item = Entry> + '_ {
        std::iter::from_fn(|| self.queue.pop())
    }

    /// Who brings about what was scheduled.
    pub(crate) fn bringer(&self, entry: Entry) -> Bringer {
        match entry.event {
            Event::Start { .. } | Event::FaultBegins { .. } | Event::FaultEnds { .. } => Bringer::Plan,
            Event::Timer { node, .. } | Event::Job { node, .. } | Event::Wake { node } => Bringer::Process(node),
            Event::Synced { node } => Bringer::Disk(node),
            Event::Flight { slot } => {
                let Flight { from, to, cargo, .. } = &self.flights[slot as usize];
                let (from, to) = (*from, *to);
                match *cargo {
                    Cargo::Datagram(_) => Bringer::Datagram { from, to },
                    Cargo::Packet { id: connection, sender, .. } => {
                        Bringer::Stream { from, to, pipe: Pipe { connection, sender, acks: false } }
                    }
                    Cargo::Ack { id: connection, sender, .. } => {
                        Bringer::Stream { from, to, pipe: Pipe { connection, sender: sender.other(), acks: true } }
                    }
                    Cargo::Broken { .. } => Bringer::Machine(to),
                    Cargo::Patience { .. } => Bringer::Machine(from),
                }
            }
        }
    }

    /// Lets something happen now that was scheduled, whenever that was to be. Says what it touched.
    pub(crate) fn happen(&mut self, now: Instant, entry: Entry) -> Option<Touched> {
        let time = now.as_nanos().max(self.now);
        self.dispatch(Entry { time, ..entry })
    }

    /// Lets the actor of a node see what the code that it stands for shows, unless that was an earlier process.
    pub(crate) fn show(
        &mut self,
        now: Instant,
        node: NodeId,
        incarnation: u32,
        what: impl FnOnce(&mut A, &mut Context<A>),
    ) -> Option<Touched> {
        self.now = self.now.max(now.as_nanos());
        if self.incarnation(node) != incarnation || !self.is_up(node) {
            return None;
        }
        self.begin(node, 11, 0);
        self.call(node, None, what)
    }

    /// A process ends by itself, unless it was an earlier one.
    pub(crate) fn halt(&mut self, now: Instant, node: NodeId, incarnation: u32) -> Option<Touched> {
        self.show(now, node, incarnation, |_, ctx| ctx.halt())
    }

    /// Lets a fault strike that was to strike as the next event, if there is one.
    pub(crate) fn strike_on_event(&mut self, now: Instant) -> Option<Touched> {
        self.now = self.now.max(now.as_nanos());
        let fault = self.plan.take_on_event(self.events + 1)?;
        self.fault_begins(fault)
    }

    /// Connections whose opening request has been sent and has not arrived: only the other engine knows when it will.
    pub(super) fn requests_on_the_way(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.flights.iter().filter_map(|(_, flight)| match flight.cargo {
            Cargo::Packet { id, packet: Packet::Syn, .. } => Some(id),
            _ => None,
        })
    }
}
