//! Two groups that meet: how their coordinators agree on one view.

use std::sync::Arc;

use sim_core::{Context, Instant, NodeId};

use super::member::{Membership, Status};
use super::view::{Address, View, ViewId};
use super::{Carrier, Message, Standing, Timer};

/// A coordinator's part in a merge.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Merging {
    /// The coordinator that was asked for its view.
    asked: Option<Address>,
    /// Until when another coordinator's merge is waited for.
    promised_until: Option<Instant>,
}

impl Merging {
    /// Whether no view may be made because another coordinator is about to.
    pub(super) fn is_promised(&self, now: Instant) -> bool {
        self.promised_until.is_some_and(|until| now < until)
    }

    /// The other coordinator has not answered.
    pub(super) fn give_up(&mut self) {
        self.asked = None;
    }

    /// A view has been installed, by whomever.
    pub(super) fn settled(&mut self) {
        *self = Merging::default();
    }
}

impl Membership {
    pub(super) fn schedule_search<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        let (least, most) = (self.config.merge_interval_min, self.config.merge_interval_max);
        let wait = least + ctx.random_duration(most - least);
        ctx.set_timer(Timer::Merge.into(), wait);
    }

    pub(super) fn look_for_groups<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        if self.is_coordinator() {
            self.discover(ctx);
            self.schedule_search(ctx);
        }
    }

    /// Hears of somebody, who may belong to another group.
    pub(super) fn meets<A: Carrier>(&mut self, other: Standing, ctx: &mut Context<A>) {
        let (Some(theirs), Status::Member) = (other.coordinator, self.status) else { return };
        let Some(view) = self.view().cloned() else { return };
        let strangers = !view.has(theirs) && view.at(theirs.node).is_none();
        let free = self.merging.asked.is_none() && !self.merging.is_promised(ctx.now());
        if self.is_coordinator() && strangers && free && self.me < theirs {
            self.merging.asked = Some(theirs);
            ctx.send(theirs.node, Message::MergeRequest(view).into());
            ctx.set_timer(Timer::MergeCollect.into(), self.config.merge_timeout);
        }
    }

    /// `theirs` is the view of the coordinator that merges.
    pub(super) fn on_merge_request<A: Carrier>(&mut self, leader: NodeId, theirs: &View, ctx: &mut Context<A>) {
        let Some(ours) = self.view().cloned() else { return };
        let strangers = theirs.at(leader).is_some_and(|leader| !ours.has(leader));
        let free = self.status == Status::Member && self.merging.asked.is_none();
        if self.is_coordinator() && strangers && free && !self.contradicts(&ours, theirs, ctx) {
            self.merging.promised_until = Some(ctx.now() + self.config.merge_timeout);
            ctx.send(leader, Message::MergeResponse(ours).into());
        }
    }

    pub(super) fn on_merge_response<A: Carrier>(&mut self, theirs: Arc<View>, ctx: &mut Context<A>) {
        let Some(ours) = self.view().cloned() else { return };
        let expected = self.merging.asked.is_some_and(|asked| theirs.has(asked));
        if !expected || !self.is_coordinator() || self.status != Status::Member {
            return;
        }
        if self.contradicts(&ours, &theirs, ctx) {
            return self.merging.give_up();
        }
        let members: Vec<Address> = ours.members.iter().chain(&theirs.members).copied().collect();
        let id = ViewId { number: self.number.max(theirs.id.number) + 1, creator: self.me };
        let view = View { id, members: members.clone(), previous: members, left: Vec::new(), merged: true };
        self.publish(Arc::new(view), ctx);
    }

    /// Whether a node is in both views. It was restarted then, or has gone over to the other group, and is in one of them
    /// no longer. Nobody knows in which, and whoever left out a process that runs would take it for dead: so each
    /// coordinator asks its own member whether it lives. The groups can merge once one has gone on without it.
    fn contradicts<A: Carrier>(&mut self, ours: &View, theirs: &View, ctx: &mut Context<A>) -> bool {
        let both: Vec<Address> =
            ours.members.iter().copied().filter(|member| theirs.at(member.node).is_some()).collect();
        for &member in &both {
            if member != self.me {
                self.suspect(member, ctx);
            }
        }
        !both.is_empty()
    }
}
