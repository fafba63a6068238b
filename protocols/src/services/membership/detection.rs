//! Who is dead: heartbeats, the connection to the next member, and the last chance of a suspect.

use std::collections::btree_map::Entry;

use sim_core::{ConnectionEvent, ConnectionId, Context};

use super::member::{Membership, Status};
use super::view::{Address, View};
use super::{Beat, Carrier, Message, Timer};

/// How often a suspect is asked within `verify-timeout`, as a question or an answer may be lost.
const ASKED: u32 = 4;

/// How sure a suspicion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Suspicion {
    /// It has been asked this many times and has not answered yet.
    Asked(u32),
    /// It has not answered in time, here or at another member.
    Verified,
}

/// The member after this one, and the connection that will tell of its death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Neighbour {
    address: Address,
    connection: ConnectionId,
}

impl Membership {
    /// Adapts to a new view.
    pub(super) fn watch<A: Carrier>(&mut self, view: &View, ctx: &mut Context<A>) {
        let now = ctx.now();
        self.heard.retain(|&member, _| view.has(member));
        for other in self.others() {
            self.heard.entry(other).or_insert(now);
        }
        for &gone in self.suspects.keys().filter(|&&suspect| !view.has(suspect)) {
            ctx.cancel_timer(Timer::Verify(gone).into());
        }
        self.suspects.retain(|&suspect, _| view.has(suspect));
        let next = view.after(self.me).filter(|_| self.config.socket_detection);
        if next != self.neighbour.map(|neighbour| neighbour.address) {
            if let Some(former) = self.neighbour.take() {
                ctx.close(former.connection);
            }
            self.neighbour = next.map(|address| Neighbour { address, connection: ctx.connect(address.node) });
        }
    }

    /// Stops all watching.
    pub(super) fn watch_nobody<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        for &suspect in self.suspects.keys() {
            ctx.cancel_timer(Timer::Verify(suspect).into());
        }
        self.suspects.clear();
        if let Some(former) = self.neighbour.take() {
            ctx.close(former.connection);
        }
    }

    /// Beats, looks who is silent, and repeats what may have been lost.
    pub(super) fn beat<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        let Some(view) = self.view() else { return };
        let (id, now) = (view.id, ctx.now());
        for other in self.others() {
            ctx.send(other.node, Message::Heartbeat(Beat { from: self.me, to: other, view: id }).into());
        }
        let silent = |since| now.since(since) > self.config.heartbeat_timeout;
        let suspects: Vec<Address> =
            self.heard.iter().filter(|&(_, &since)| silent(since)).map(|(&member, _)| member).collect();
        for member in suspects {
            self.suspect(member, ctx);
        }
        if self.status == Status::Leaving {
            self.say_goodbye(ctx);
        }
        ctx.set_timer(Timer::Heartbeat.into(), self.config.heartbeat_interval);
    }

    pub(super) fn on_heartbeat<A: Carrier>(&mut self, beat: Beat, ctx: &mut Context<A>) {
        let Some(view) = self.view() else { return };
        let ours = view.id;
        if view.has(beat.from) {
            self.lives(beat.from, ctx);
            // Not only the coordinator: after a merge, whoever has missed the view does not know the coordinator yet.
            if beat.view < ours {
                self.send_views(beat.from, ctx);
            }
        } else if beat.to != self.me {
            // Another group still takes this node's former process for a member. There is no better witness of its death.
            ctx.send(beat.from.node, Message::Suspect(beat.to).into());
        } else if beat.view < ours {
            ctx.send(beat.from.node, Message::Excluded(ours).into());
        }
    }

    /// A member has given a sign of life.
    pub(super) fn lives<A: Carrier>(&mut self, address: Address, ctx: &mut Context<A>) {
        let Some(heard) = self.heard.get_mut(&address) else { return };
        *heard = ctx.now();
        if self.suspects.remove(&address).is_some() {
            ctx.cancel_timer(Timer::Verify(address).into());
        }
        if let Some(neighbour) = &mut self.neighbour
            && neighbour.address == address
            && ctx.connection(neighbour.connection).is_none()
        {
            neighbour.connection = ctx.connect(address.node);
        }
    }

    /// Asks a member whether it lives. Without an answer it is dead.
    pub(super) fn suspect<A: Carrier>(&mut self, member: Address, ctx: &mut Context<A>) {
        if let Entry::Vacant(vacant) = self.suspects.entry(member) {
            vacant.insert(Suspicion::Asked(1));
            ctx.send(member.node, Message::AreYouDead(member).into());
            ctx.set_timer(Timer::Verify(member).into(), self.config.verify_timeout / ASKED);
        }
    }

    /// A suspect has not answered so far.
    pub(super) fn unanswered<A: Carrier>(&mut self, suspect: Address, ctx: &mut Context<A>) {
        match self.suspects.get_mut(&suspect) {
            Some(Suspicion::Asked(times)) if *times < ASKED => {
                *times += 1;
                ctx.send(suspect.node, Message::AreYouDead(suspect).into());
                ctx.set_timer(Timer::Verify(suspect).into(), self.config.verify_timeout / ASKED);
            }
            _ => self.verified(suspect, ctx),
        }
    }

    /// A suspect has not answered in time.
    fn verified<A: Carrier>(&mut self, suspect: Address, ctx: &mut Context<A>) {
        for other in self.others() {
            if other != suspect {
                ctx.send(other.node, Message::Suspect(suspect).into());
            }
        }
        self.on_suspect(suspect, ctx);
    }

    /// Somebody is sure that a member is dead.
    pub(super) fn on_suspect<A: Carrier>(&mut self, suspect: Address, ctx: &mut Context<A>) {
        if suspect == self.me || !self.view().is_some_and(|view| view.has(suspect)) {
            return;
        }
        self.suspects.insert(suspect, Suspicion::Verified);
        if self.is_coordinator() {
            ctx.set_timer(Timer::Bundle.into(), self.config.bundling);
        }
    }

    /// Says whether the connection is this service's.
    pub(super) fn on_neighbour<A: Carrier>(&mut self, event: ConnectionEvent, ctx: &mut Context<A>) -> bool {
        let Some(neighbour) = self.neighbour else { return false };
        match event {
            ConnectionEvent::Opened(id) => id == neighbour.connection,
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) if id == neighbour.connection => {
                self.suspect(neighbour.address, ctx);
                true
            }
            _ => false,
        }
    }
}
