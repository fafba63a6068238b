//! What machines do about connections, on behalf of their processes.

use crate::connections::{Cargo, End, Flight, Item, Packet, Pair, Pipe, Side};
use crate::links::{Action, Passage};
use crate::node::Input;
use crate::time::nanos;
use crate::trace::Fate;
use crate::world::effects::Stop;
use crate::{
    Actor, CloseReason, Connection, ConnectionEvent, ConnectionId, Instant, Kind, NodeId, Site, Touched, World,
};

impl<A: Actor> World<A> {
    /// Where a connection is kept. It stays there until a connection is forgotten: look once for each packet.
    #[inline]
    fn index_of(&self, id: ConnectionId) -> Option<usize> {
        self.pairs.iter().position(|(pair, _)| *pair == id)
    }

    fn pair(&mut self, id: ConnectionId) -> Option<&mut Pair<A::Message>> {
        self.index_of(id).map(|at| &mut self.pairs[at].1)
    }

    /// Drops a connection that neither end needs any more.
    fn forget_if_dead(&mut self, id: ConnectionId) {
        self.pairs.retain(|(pair, state)| *pair != id || !state.is_dead());
    }

    /// A process opens a connection.
    pub(super) fn open_connection(&mut self, node: NodeId, peer: NodeId, id: ConnectionId) {
        assert!(peer.index() < self.nodes.len(), "{node} connects to {peer}, which is not in the set-up");
        assert!(node != peer, "{node} connects to itself");
        self.pairs.push((id, Pair::new(node, peer)));
        let latency = self.next_latency(node, peer);
        self.post(id, Side::Initiator, Packet::Syn, 0, latency);
        self.expect_answer(id, Side::Initiator);
    }

    /// A process sends on a connection that was open when its handler ran.
    pub(super) fn send_on_connection(&mut self, node: NodeId, id: ConnectionId, message: A::Message) {
        let Some(at) = self.index_of(id) else { return };
        let pair = &self.pairs[at].1;
        let side = pair.side_of(node);
        if pair.end(side) != End::Open {
            return;
        }
        let to = pair.node(side.other());
        let bytes = message.bytes();
        let mut latency = self.next_latency(node, to);
        let rule = self.links.rule_for(message.kind(), node, to);
        if let Some((fault, action)) = rule {
            self.plan.fire(fault, Instant::from_nanos(self.now));
            match action {
                Action::Delay(by) => latency = latency.saturating_add(by),
                Action::Drop => {
                    if self.recorder.is_some() {
                        let fault = self.fault_id(fault);
                        self.record_sent(node, to, &message, true, Fate::Dropped { fault });
                    }
                    self.break_connection(id);
                    return;
                }
            }
        }
        if self.recorder.is_some() {
            self.record_sent(node, to, &message, true, Fate::Waits);
        }
        let buffered = self.nodes[node].connections.iter().find(|c| c.id == id).map_or(0, |c| c.buffered);
        if buffered > self.setup.network.buffer.capacity {
            self.send_reset(id, side);
            self.find_broken(id, side, CloseReason::Overflow);
            return;
        }
        self.post_at(at, side, Packet::Data(message), bytes, latency);
    }

    /// A process closes its end, which it does not see any more.
    pub(super) fn close_connection(&mut self, node: NodeId, id: ConnectionId) {
        let Some(pair) = self.pair(id) else { return };
        let side = pair.side_of(node);
        let peer = pair.node(side.other());
        pair.set_end(side, End::Closed);
        let latency = self.next_latency(node, peer);
        self.post(id, side, Packet::Fin, 0, latency);
        self.expect_answer(id, side);
        self.forget_if_dead(id);
    }

    /// Decides how long the next packet from one node to another takes. What is lost is sent again.
    fn next_latency(&mut self, from: NodeId, to: NodeId) -> u64 {
        let (passage, moment) = self.links.decide(from, to, self.now, &self.schedule, &mut self.randomness);
        if self.recorder.is_some() {
            let deviation = passage.deviation_from(self.links.calm_passage(from, to));
            self.record_deviation(Site::Link(from, to), moment, deviation);
        }
        match passage {
            Passage::Once(latency) | Passage::Twice(latency, _) => latency,
            Passage::Lost => {
                let network = &self.setup.network;
                nanos(network.retransmission_timeout) + self.links.middling_latency(from, to, network)
            }
        }
    }

    /// Queues a packet behind those that wait.
    fn post(&mut self, id: ConnectionId, side: Side, packet: Packet<A::Message>, bytes: u32, latency: u64) {
        if let Some(at) = self.index_of(id) {
            self.post_at(at, side, packet, bytes, latency);
        }
    }

    #[inline]
    fn post_at(&mut self, at: usize, side: Side, packet: Packet<A::Message>, bytes: u32, latency: u64) {
        let item = Item { packet, bytes, latency, cause: self.events };
        let pair = &mut self.pairs[at].1;
        let cut = self.links.is_cut(pair.node(side), pair.node(side.other()));
        let pipe = pair.pipe(side);
        // Most packets find nothing in their way and need not be moved through the queue.
        if !cut && pipe.waiting.is_empty() && pipe.has_room(bytes, self.setup.network.window) {
            self.launch(at, side, item);
        } else {
            pipe.waiting.push_back(item);
            self.pump(at, side);
        }
    }

    /// Puts on the wire what the window has room for.
    fn pump(&mut self, at: usize, side: Side) {
        loop {
            let (id, pair) = &mut self.pairs[at];
            let (id, from, to) = (*id, pair.node(side), pair.node(side.other()));
            let pipe = pair.pipe(side);
            let Some(item) = pipe.waiting.front() else { return };
            if self.links.is_cut(from, to) {
                self.expect_answer(id, side);
                return;
            }
            if !pipe.has_room(item.bytes, self.setup.network.window) {
                return;
            }
            let item = pipe.waiting.pop_front().expect("it was there a line ago");
            self.launch(at, side, item);
        }
    }

    /// Puts one packet on the wire, behind those that are there.
    #[inline]
    fn launch(&mut self, at: usize, side: Side, item: Item<A::Message>) {
        let (id, pair) = &mut self.pairs[at];
        let (id, from, to) = (*id, pair.node(side), pair.node(side.other()));
        let pipe = pair.pipe(side);
        let sent = self.links.put_on_wire(from, to, item.bytes, self.now, &self.setup.network);
        let arrival = (sent + item.latency).max(pipe.last_arrival);
        pipe.last_arrival = arrival;
        pipe.in_flight += u64::from(item.bytes);
        let cargo = Cargo::Packet { id, sender: side, packet: item.packet };
        self.fly(arrival, Flight { from, to, cause: item.cause, cargo });
    }

    /// One end has sent something and hears nothing from now on: it will not wait for ever.
    fn expect_answer(&mut self, id: ConnectionId, side: Side) {
        let (now, timeout) = (self.now, nanos(self.setup.network.connection_timeout));
        let cause = self.events;
        let Some(pair) = self.pair(id) else { return };
        let (from, to) = (pair.node(side), pair.node(side.other()));
        let pipe = pair.pipe(side);
        if pipe.silent_since.is_none() {
            pipe.silent_since = Some(now);
            let cargo = Cargo::Patience { id, sender: side, silent_since: now };
            self.fly(now + timeout, Flight { from, to, cause, cargo });
        }
    }

    /// An end has waited for as long as the connection timeout.
    pub(super) fn patience_ends(&mut self, id: ConnectionId, side: Side, since: u64) -> Option<Touched> {
        let pair = self.pair(id)?;
        if pair.pipe(side).silent_since != Some(since) {
            return None; // It has heard something meanwhile.
        }
        self.send_reset(id, side);
        self.drop_end(id, side, CloseReason::TimedOut)
    }

    /// Sends a reset behind what is on the wire, unless the link is cut: nobody repeats it.
    fn send_reset(&mut self, id: ConnectionId, side: Side) {
        let now = self.now;
        let cause = self.events;
        let Some(at) = self.index_of(id) else { return };
        let pair = &mut self.pairs[at].1;
        let (from, to) = (pair.node(side), pair.node(side.other()));
        if self.links.is_cut(from, to) {
            return;
        }
        let latency = self.links.middling_latency(from, to, &self.setup.network);
        let pipe = pair.pipe(side);
        let arrival = (now + latency).max(pipe.last_arrival);
        pipe.last_arrival = arrival;
        let cargo = Cargo::Packet { id, sender: side, packet: Packet::Reset };
        self.fly(arrival, Flight { from, to, cause, cargo });
    }

    /// One end is gone. Its process, if it has not closed the end itself, is told why after all that arrived before.
    pub(super) fn drop_end(&mut self, id: ConnectionId, side: Side, reason: CloseReason) -> Option<Touched> {
        let cause = self.events;
        let pair = self.pair(id)?;
        let (node, peer) = (pair.node(side), pair.node(side.other()));
        let was = pair.end(side);
        pair.set_end(side, End::Closed);
        let pipe = pair.pipe(side);
        pipe.waiting.clear();
        pipe.silent_since = None;
        self.forget_if_dead(id);
        let connection = self.nodes[node].connections.iter_mut().find(|c| c.id == id)?;
        connection.open = false;
        let event = match was {
            End::Opening => ConnectionEvent::Refused(id, reason),
            End::Open => ConnectionEvent::Closed(id, reason),
            End::Closed => return None, // Told before; the process has not come to it yet.
        };
        self.input(node, Input::Connection { peer, event }, cause)
    }

    /// A process comes to an event of a connection; says whether it still wants to know. With the news that it is
    /// gone the process loses sight of it.
    pub(super) fn process_sees(&mut self, node: NodeId, event: ConnectionEvent) -> bool {
        let connections = &mut self.nodes[node].connections;
        match event {
            ConnectionEvent::Opened(id) | ConnectionEvent::Accepted(id) => connections.iter().any(|c| c.id == id),
            ConnectionEvent::Writable(id) => connections.iter().any(|c| c.id == id && c.open),
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) => {
                let at = connections.iter().position(|c| c.id == id);
                at.map(|at| connections.remove(at)).is_some()
            }
        }
    }

    /// Lets a machine find, as an event of its own at this very instant, that a connection is gone.
    fn find_broken(&mut self, id: ConnectionId, receiver: Side, reason: CloseReason) {
        let cause = self.events;
        let Some(pair) = self.pair(id) else { return };
        let (to, from) = (pair.node(receiver), pair.node(receiver.other()));
        self.fly(self.now, Flight { from, to, cause, cargo: Cargo::Broken { id, receiver, reason } });
    }

    /// Both ends find at once that the connection is gone.
    fn break_connection(&mut self, id: ConnectionId) {
        self.find_broken(id, Side::Initiator, CloseReason::Reset);
        self.find_broken(id, Side::Acceptor, CloseReason::Reset);
    }

    /// Breaks all connections between two nodes; says whether there were any.
    pub(super) fn reset_connections(&mut self, a: NodeId, b: NodeId) -> bool {
        let ids: Vec<_> = self.pairs.iter().filter(|(_, pair)| pair.joins(a, b)).map(|&(id, _)| id).collect();
        ids.iter().for_each(|&id| self.break_connection(id));
        !ids.is_empty()
    }

    /// Something arrives on a connection.
    pub(super) fn packet_arrives(
        &mut self,
        id: ConnectionId,
        sender: Side,
        packet: Packet<A::Message>,
        cause: u64,
    ) -> Option<Touched> {
        let receiver = sender.other();
        let at = self.index_of(id)?;
        let pair = &self.pairs[at].1;
        let (from, to) = (pair.node(sender), pair.node(receiver));
        let end = pair.end(receiver);
        let machine = &self.nodes[to];
        if machine.host_down {
            // Nobody answers; the sender will run out of patience.
            self.expect_answer(id, sender);
            return None;
        }
        if !matches!(packet, Packet::Syn | Packet::Reset) {
            self.heard(at, sender);
        }
        let machine = &self.nodes[to];
        match packet {
            Packet::Syn => {
                if machine.actor.is_none() || !machine.listening {
                    self.send_reset(id, receiver);
                    return None;
                }
                self.pair(id)?.set_end(receiver, End::Open);
                let connection = Connection { id, peer: from, open: true, buffered: 0, writable: true };
                self.nodes[to].connections.push(connection);
                let latency = self.next_latency(to, from);
                self.post(id, receiver, Packet::Accept, 0, latency);
                self.input(to, Input::Connection { peer: from, event: ConnectionEvent::Accepted(id) }, cause)
            }
            Packet::Accept => {
                if end != End::Opening {
                    self.send_reset(id, receiver);
                    return None;
                }
                let pair = self.pair(id)?;
                pair.set_end(receiver, End::Open);
                pair.pipe(receiver).silent_since = None;
                let connection = self.nodes[to].connections.iter_mut().find(|c| c.id == id)?;
                connection.open = true;
                self.input(to, Input::Connection { peer: from, event: ConnectionEvent::Opened(id) }, cause)
            }
            Packet::Data(message) => {
                if end != End::Open {
                    self.undeliverable(from, to, &message, cause);
                    self.send_reset(id, receiver);
                    return None;
                }
                self.input(to, Input::Message { from, message, via: Some(id) }, cause)
            }
            Packet::Fin => self.drop_end(id, receiver, CloseReason::Finished),
            Packet::Reset => self.drop_end(id, receiver, CloseReason::Reset),
        }
    }

    /// The receiving machine has got something from `sender` and says so, unless the way back is cut.
    #[inline]
    fn heard(&mut self, at: usize, sender: Side) {
        let (id, pair) = &mut self.pairs[at];
        if self.links.is_cut(pair.node(sender.other()), pair.node(sender)) {
            let id = *id;
            self.expect_answer(id, sender);
        } else {
            pair.pipe(sender).silent_since = None;
        }
    }

    /// A process takes a message off a connection; says whether it has not closed its end itself.
    pub(super) fn consume(&mut self, node: NodeId, id: ConnectionId, message: &A::Message) -> bool {
        if !self.nodes[node].connections.iter().any(|c| c.id == id) {
            return false;
        }
        if let Some(at) = self.index_of(id) {
            let pair = &mut self.pairs[at].1;
            let sender = pair.side_of(node).other();
            pair.pipe(sender).held_acks += u64::from(message.bytes());
            self.acknowledge(at, sender);
        }
        true
    }

    /// Tells a sender what its peer has consumed, unless the way back is cut.
    fn acknowledge(&mut self, at: usize, sender: Side) {
        let (id, pair) = &mut self.pairs[at];
        let (id, from, to) = (*id, pair.node(sender.other()), pair.node(sender));
        let pipe = pair.pipe(sender);
        if pipe.held_acks == 0 {
            return;
        }
        if self.links.is_cut(from, to) {
            self.expect_answer(id, sender);
            return;
        }
        let bytes = std::mem::take(&mut pipe.held_acks);
        let latency = self.links.middling_latency(from, to, &self.setup.network);
        let flight = Flight { from, to, cause: self.events, cargo: Cargo::Ack { id, sender, bytes } };
        self.fly(self.now + latency, flight);
    }

    /// A sender hears that its peer has consumed something.
    pub(super) fn ack_arrives(&mut self, id: ConnectionId, sender: Side, bytes: u64, cause: u64) -> Option<Touched> {
        let low = self.setup.network.buffer.low;
        let at = self.index_of(id)?;
        let pair = &mut self.pairs[at].1;
        let (node, peer) = (pair.node(sender), pair.node(sender.other()));
        let pipe = pair.pipe(sender);
        pipe.in_flight -= bytes;
        pipe.silent_since = None;
        let connection = self.nodes[node].connections.iter_mut().find(|c| c.id == id);
        let mut writable = false;
        if let Some(connection) = connection {
            connection.buffered -= bytes;
            if !connection.writable && connection.buffered <= low {
                connection.writable = true;
                writable = true;
            }
        }
        self.pump(at, sender);
        if writable {
            return self.input(node, Input::Connection { peer, event: ConnectionEvent::Writable(id) }, cause);
        }
        None
    }

    /// Links have healed: what waited for them goes on.
    pub(super) fn resume_connections(&mut self) {
        let ids: Vec<_> = self.pairs.iter().map(|&(id, _)| id).collect();
        for id in ids {
            for side in [Side::Initiator, Side::Acceptor] {
                let Some(at) = self.index_of(id) else { continue };
                let pair = &self.pairs[at].1;
                if !self.links.is_cut(pair.node(side), pair.node(side.other())) {
                    self.pump(at, side);
                }
                self.acknowledge(at, side);
                self.hear_again(at, side);
            }
        }
    }

    /// Both ways are open again: a machine that answers makes the silence end, even if its process consumes nothing. If the
    /// process that knew the connection has died and nobody heard of that, the machine says so now, or another process
    /// accepts the request that is repeated.
    fn hear_again(&mut self, at: usize, sender: Side) {
        let (id, pair) = &mut self.pairs[at];
        let (id, from, to) = (*id, pair.node(sender), pair.node(sender.other()));
        if self.links.is_cut(from, to) || self.links.is_cut(to, from) {
            return;
        }
        match (pair.end(sender), pair.end(sender.other())) {
            (End::Open, End::Open) => pair.pipe(sender).silent_since = None,
            (End::Open, End::Closed) if self.is_unknown(at, sender.other()) => self.send_reset(id, sender.other()),
            (End::Opening, End::Closed) if self.is_unknown(at, sender.other()) => {
                let latency = self.links.middling_latency(from, to, &self.setup.network);
                self.post_at(at, sender, Packet::Syn, 0, latency);
            }
            _ => {}
        }
    }

    /// A process is gone: its machine tells the peers, if there still is a machine.
    pub(super) fn sever(&mut self, node: NodeId, how: Stop) {
        self.nodes[node].connections.clear();
        let ids: Vec<_> =
            self.pairs.iter().filter(|(_, pair)| pair.node(pair.side_of(node)) == node).map(|&(id, _)| id).collect();
        for id in ids {
            let Some(pair) = self.pair(id) else { continue };
            let side = pair.side_of(node);
            if pair.end(side) == End::Closed {
                continue;
            }
            let peer = pair.node(side.other());
            pair.set_end(side, End::Closed);
            if how != Stop::Halt {
                pair.pipe(side).waiting.clear();
                // What was consumed and could not be acknowledged is sent again, to a machine that does not know it.
                pair.pipe(side.other()).held_acks = 0;
            }
            match how {
                Stop::Halt => {
                    let latency = self.next_latency(node, peer);
                    self.post(id, side, Packet::Fin, 0, latency);
                    self.expect_answer(id, side);
                }
                Stop::Crash => self.send_reset(id, side),
                Stop::HostFailure => {
                    // A peer that waits for room in the window probes for it, and hears nothing from now on.
                    if !pair.pipe(side.other()).waiting.is_empty() {
                        self.expect_answer(id, side.other());
                    }
                }
            }
            self.forget_if_dead(id);
        }
    }

    /// A machine is back that knows nothing of its old connections: whoever still sends to it is told at the next
    /// retransmission.
    pub(super) fn reset_stalled_peers(&mut self, node: NodeId) {
        let stalled: Vec<(ConnectionId, Side)> = (0..self.pairs.len())
            .map(|at| (at, self.pairs[at].1.side_of(node)))
            .filter(|&(at, side)| self.pairs[at].1.node(side) == node && self.is_unknown(at, side))
            .map(|(at, side)| (self.pairs[at].0, side))
            .collect();
        for (id, side) in stalled {
            self.send_reset(id, side);
        }
    }

    /// Whether the peer waits for an answer on a connection of which the machine at this side knows nothing and has
    /// nothing more to say. A request for a new connection that has yet to arrive is none of those.
    fn is_unknown(&self, at: usize, side: Side) -> bool {
        let (id, pair) = &self.pairs[at];
        let (own, peers) = (pair.pipe_of(side), pair.pipe_of(side.other()));
        let to_come = |pipe: &Pipe<A::Message>| pipe.last_arrival >= self.now || !pipe.waiting.is_empty();
        let requested = pair.end(side.other()) == End::Opening
            && (to_come(peers) || self.hosted && self.requests_on_the_way().any(|request| request == *id));
        let up = !self.nodes[pair.node(side)].host_down;
        up && pair.end(side) == End::Closed && peers.silent_since.is_some() && !requested && !to_come(own)
    }
}
