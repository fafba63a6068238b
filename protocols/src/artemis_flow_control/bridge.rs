//! The core bridge: takes messages from its broker's queue to another broker, over a connection that its session
//! factory opens anew whenever it is lost.
//!
//! The queue delivers until the bridge says that it is busy: because the transport is not writable, or because the
//! session was told to pause. What ends either also makes the queue deliver again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sim_core::{ConnectionId, Context, NodeId};

use super::address_cache::CreditsCache;
use super::broker::Broker;
use super::channel::{Channel, Listener};
use super::credits::Flavour;
use super::messages::{Message, Timer};
use super::node::Node;
use super::operations::Stored;
use super::outgoing::Outgoing;

/// A bridge.
#[derive(Clone, Debug, Hash)]
pub struct Bridge {
    target: NodeId,
    /// The session factories that are registered with the locator, each with the connection that it has made, and
    /// whether that has failed.
    factories: BTreeMap<ConnectionId, FactoryState>,
    link: Option<Link>,
    /// Sent and not confirmed, in that order.
    in_flight: VecDeque<Stored>,
    outgoing: Option<Outgoing>,
    scheduled: bool,
    /// What the handler last told the queue.
    busy: bool,
    connected_before: bool,
    /// Packets sent, confirmations received and connections lost.
    progress: u64,
}

/// What has become of a session factory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum FactoryState {
    Open,
    Failed,
}

#[derive(Clone, Debug, Hash)]
struct Link {
    channel: Channel,
    credits: CreditsCache,
    /// Whether the target has made the session.
    session: bool,
}

impl Bridge {
    /// A bridge that is not connected yet.
    pub fn new(target: NodeId) -> Self {
        Bridge {
            target,
            factories: BTreeMap::new(),
            link: None,
            in_flight: VecDeque::new(),
            outgoing: None,
            scheduled: false,
            busy: false,
            connected_before: false,
            progress: 0,
        }
    }

    /// The factories that are registered although their connections have failed.
    pub fn failed_factories(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.factories.iter().filter(|&(_, &state)| state == FactoryState::Failed).map(|(&connection, _)| connection)
    }

    /// Counts what the bridge has got done, if it has anything left to do; `queued` is what its queue still holds.
    pub fn unfinished(&self, queued: usize) -> Option<u64> {
        (queued > 0 || !self.in_flight.is_empty() || self.outgoing.is_some()).then_some(self.progress)
    }

    /// Whether the bridge has a connection, or thinks so.
    pub fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// What the bridge waits for, in words.
    pub fn describe_wait(&self) -> &'static str {
        match &self.link {
            None => "is not connected",
            Some(link) if !link.session => "waits for its session",
            Some(link) if link.credits.paused() => "is paused for want of credits",
            Some(link) if !link.channel.was_writable() => "waits for the transport to become writable",
            Some(_) => "waits for confirmations",
        }
    }

    fn is_link(&self, connection: ConnectionId) -> bool {
        self.link.as_ref().is_some_and(|link| link.channel.connection == connection)
    }
}

impl Broker {
    /// Opens a connection by a new session factory, unless there is one.
    pub(super) fn connect_bridge(&mut self, ctx: &mut Context<Node>) {
        let Some(bridge) = &mut self.bridge else { return };
        let connecting = bridge.factories.values().any(|&state| state == FactoryState::Open);
        if !connecting {
            bridge.factories.insert(ctx.connect(bridge.target), FactoryState::Open);
        }
    }

    /// The connection is open: now for the session.
    pub(super) fn bridge_connected(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        let Some(bridge) = self.bridge.as_mut().filter(|bridge| bridge.factories.contains_key(&connection)) else {
            return;
        };
        let credits = CreditsCache::new(Flavour::Asynchronous, &self.config, self.defects);
        bridge.link = Some(Link { channel: Channel::new(connection), credits, session: false });
        ctx.send_on(connection, Message::CreateSession);
    }

    /// The connection did not come about.
    pub(super) fn bridge_refused(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        let Some(bridge) = &mut self.bridge else { return };
        // ARTEMIS-5017: the factory stayed with the locator, closed.
        if self.defects.failed_factory_stays_registered {
            bridge.factories.insert(connection, FactoryState::Failed);
        } else {
            bridge.factories.remove(&connection);
        }
        ctx.set_timer(Timer::Retry, self.config.retry_interval);
    }

    /// The close listener of the bridge: what was not confirmed goes back to the queue, in order.
    pub(super) fn bridge_disconnected(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        let Some(bridge) = &mut self.bridge else { return };
        if bridge.factories.remove(&connection).is_none() {
            return;
        }
        bridge.link = None;
        bridge.busy = false;
        bridge.progress += 1;
        let unsent = bridge.outgoing.take().map(|outgoing| outgoing.stored);
        for stored in bridge.in_flight.drain(..).chain(unsent).rev() {
            self.queue.push_front(stored);
        }
        ctx.cancel_timer(Timer::SweepCredits);
        ctx.set_timer(Timer::Retry, self.config.retry_interval);
    }

    /// The target has something to say.
    pub(super) fn on_bridge_message(&mut self, connection: ConnectionId, message: Message, ctx: &mut Context<Node>) {
        let Some(bridge) = self.bridge.as_mut().filter(|bridge| bridge.is_link(connection)) else { return };
        let Some(link) = &mut bridge.link else { return };
        match message {
            Message::SessionCreated => {
                link.session = true;
                ctx.mark(if bridge.connected_before { "bridge-reconnected" } else { "bridge-connected" });
                bridge.connected_before = true;
            }
            Message::ProducerCredits { address, credits } => link.credits.receive(address, credits),
            Message::SendResponse { id } => {
                bridge.progress += 1;
                if let Some(at) = bridge.in_flight.iter().position(|stored| stored.id == id)
                    && let Some(stored) = bridge.in_flight.remove(at)
                {
                    self.remove(stored, ctx);
                }
                return;
            }
            _ => return,
        }
        self.schedule_delivery(ctx);
    }

    /// The event loop says that a connection is writable again.
    pub(super) fn bridge_writable(&mut self, connection: ConnectionId, ctx: &mut Context<Node>) {
        let Some(bridge) = self.bridge.as_mut().filter(|bridge| bridge.is_link(connection)) else { return };
        let listeners = bridge.link.as_mut().map(|link| link.channel.became_writable()).unwrap_or_default();
        if listeners.contains(&Listener::Bridge) {
            ctx.mark("bridge-writable");
            self.schedule_delivery(ctx);
        }
    }

    /// Lets the queue deliver, on a thread of its own.
    pub(super) fn schedule_delivery(&mut self, ctx: &mut Context<Node>) {
        let Some(bridge) = &mut self.bridge else { return };
        if !bridge.scheduled {
            bridge.scheduled = true;
            let slice: Duration = ctx.random_duration(self.config.thread_slice);
            ctx.run_job(slice, Timer::Deliver);
        }
    }

    /// The queue delivers until the bridge is busy or nothing is left.
    pub(super) fn deliver(&mut self, ctx: &mut Context<Node>) {
        let Some(bridge) = &mut self.bridge else { return };
        bridge.scheduled = false;
        let Some(link) = bridge.link.as_mut().filter(|link| link.session) else { return };
        loop {
            // ARTEMIS-262: nobody asked.
            if !self.defects.bridge_ignores_writability && !link.channel.is_writable(Listener::Bridge) {
                if !bridge.busy {
                    ctx.mark("bridge-busy");
                }
                bridge.busy = true;
                break;
            }
            bridge.busy = false;
            if let Some((address, credits)) = link.credits.next_request() {
                link.channel.send(Message::RequestProducerCredits { address, credits }, ctx);
                continue;
            }
            // The packets of a large message do not wait for credits; the session pauses after them.
            if link.credits.paused() && !bridge.outgoing.is_some_and(|outgoing| outgoing.begun()) {
                ctx.mark("bridge-paused");
                break;
            }
            let Some(outgoing) = bridge.outgoing.or_else(|| self.queue.pop_front().map(Outgoing::new)) else { break };
            let packet = outgoing.next(&self.config);
            link.credits.acquire(outgoing.stored.address, packet.credits);
            link.channel.send(packet.message, ctx);
            bridge.progress += 1;
            bridge.outgoing = packet.rest;
            if packet.rest.is_none() {
                bridge.in_flight.push_back(outgoing.stored);
            }
        }
        if link.credits.overfull() {
            ctx.mark("credits-cache-full");
            self.schedule_sweep(ctx);
        }
    }

    fn schedule_sweep(&mut self, ctx: &mut Context<Node>) {
        let Some(link) = self.bridge.as_mut().and_then(|bridge| bridge.link.as_mut()) else { return };
        if link.credits.start_sweeping() {
            ctx.set_timer(Timer::SweepCredits, self.config.credits_cache_sweep);
        }
    }

    /// Idle entries leave an overfull cache.
    pub(super) fn sweep_credits(&mut self, ctx: &mut Context<Node>) {
        let Some(link) = self.bridge.as_mut().and_then(|bridge| bridge.link.as_mut()) else { return };
        if link.credits.sweep() > 0 {
            ctx.mark("credits-swept");
        }
        if link.credits.overfull() {
            self.schedule_sweep(ctx);
        }
    }
}
