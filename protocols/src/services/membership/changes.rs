//! The next view: who asks for a change, and how the coordinator makes one view of all that was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sim_core::{Context, NodeId};

use super::detection::Suspicion;
use super::member::{Membership, Status};
use super::view::{Address, View, ViewId};
use super::{Carrier, Message, Timer};

/// What the next view has to reflect.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Changes {
    /// By node, who wants to join: of two processes of one node the one that asked last.
    joins: BTreeMap<NodeId, Address>,
    leaves: BTreeSet<Address>,
}

impl Changes {
    /// Forgets what a view has done.
    pub(super) fn reflected_in(&mut self, view: &View) {
        self.joins.retain(|_, &mut joiner| !view.has(joiner));
        self.leaves.retain(|&leaver| view.has(leaver));
    }
}

impl Membership {
    pub(super) fn on_join<A: Carrier>(&mut self, joiner: Address, ctx: &mut Context<A>) {
        if self.view().is_some_and(|view| view.has(joiner)) {
            return self.send_views(joiner, ctx); // It has missed the view that lets it in.
        }
        match self.coordinator() {
            Some(coordinator) if coordinator == self.me => {
                self.changes.joins.insert(joiner.node, joiner);
                ctx.set_timer(Timer::Bundle.into(), self.config.bundling);
            }
            Some(coordinator) => ctx.send(coordinator.node, Message::Join(joiner).into()),
            None => {}
        }
    }

    pub(super) fn on_leave<A: Carrier>(&mut self, leaver: Address, ctx: &mut Context<A>) {
        let Some(view) = self.view() else { return };
        if !view.has(leaver) {
            ctx.send(leaver.node, Message::Excluded(view.id).into()); // It has missed the view without it.
        } else if self.is_coordinator() {
            self.changes.leaves.insert(leaver);
            ctx.set_timer(Timer::Bundle.into(), self.config.bundling);
        }
    }

    /// Tells the coordinator that this member leaves.
    pub(super) fn say_goodbye<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        match self.coordinator() {
            Some(coordinator) if coordinator != self.me => ctx.send(coordinator.node, Message::Leave(self.me).into()),
            _ => self.on_leave(self.me, ctx),
        }
    }

    /// The time to collect changes is over.
    pub(super) fn make_view<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        if !self.is_coordinator() {
            return self.changes = Changes::default(); // Whoever is will be asked again.
        }
        if self.merging.is_promised(ctx.now()) {
            return ctx.set_timer(Timer::Bundle.into(), self.config.merge_timeout);
        }
        let Some(present) = self.view().cloned() else { return };
        let stays = |member: &Address| {
            self.suspects.get(member) != Some(&Suspicion::Verified)
                && !self.changes.leaves.contains(member)
                // A node that joins again has lost the process that is in the view.
                && !self.changes.joins.contains_key(&member.node)
        };
        let mut members: Vec<Address> = present.members.iter().copied().filter(stays).collect();
        // In the order of their nodes, so that members that start together are in the same order every time.
        members.extend(self.changes.joins.values().copied());
        if members == present.members {
            return;
        }
        let left = self.changes.leaves.iter().copied().collect();
        let id = ViewId { number: self.number + 1, creator: self.me };
        let view = View { id, members, previous: present.members.clone(), left, merged: false };
        self.publish(Arc::new(view), ctx);
    }

    /// Installs a view here and sends it to all that are in it.
    pub(super) fn publish<A: Carrier>(&mut self, view: Arc<View>, ctx: &mut Context<A>) {
        let staying = view.has(self.me);
        let mut chain = self.views.clone();
        chain.push(Arc::clone(&view));
        for &member in view.members.iter().filter(|&&member| member != self.me) {
            ctx.send(member.node, Message::Install(chain.clone()).into());
        }
        if staying {
            self.install(view, ctx);
        } else if self.status == Status::Leaving {
            self.out(ctx);
        }
    }

    pub(super) fn send_views<A: Carrier>(&mut self, to: Address, ctx: &mut Context<A>) {
        ctx.send(to.node, Message::Install(self.views.clone()).into());
    }
}
