//! Two groups that meet: how their coordinators agree on one view.

use std::sync::Arc;

use sim_core::{Context, Instant};

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
        let strangers = !self.view().is_some_and(|view| view.has(theirs) || view.at(theirs.node).is_some());
        let free = self.merging.asked.is_none() && !self.merging.is_promised(ctx.now());
        if self.is_coordinator() && strangers && free && self.me < theirs {
            self.merging.asked = Some(theirs);
            ctx.send(theirs.node, Message::MergeRequest(self.me).into());
            ctx.set_timer(Timer::MergeCollect.into(), self.config.merge_timeout);
        }
    }

    pub(super) fn on_merge_request<A: Carrier>(&mut self, leader: Address, ctx: &mut Context<A>) {
        let Some(view) = self.view().cloned() else { return };
        if self.is_coordinator() && self.status == Status::Member && self.merging.asked.is_none() && !view.has(leader) {
            self.merging.promised_until = Some(ctx.now() + self.config.merge_timeout);
            ctx.send(leader.node, Message::MergeResponse(view).into());
        }
    }

    pub(super) fn on_merge_response<A: Carrier>(&mut self, theirs: Arc<View>, ctx: &mut Context<A>) {
        let Some(ours) = self.view().cloned() else { return };
        let expected = self.merging.asked.is_some_and(|asked| theirs.has(asked));
        if !expected || !self.is_coordinator() || self.status != Status::Member {
            return;
        }
        // A node that is in both views was restarted: its process in the one that it joined later is the one that
        // runs, and as nobody knows which that is, it stays out and joins again.
        let only = |one: &View, other: &View| -> Vec<Address> {
            one.members.iter().copied().filter(|member| other.at(member.node).is_none()).collect()
        };
        let mut members = only(&ours, &theirs);
        members.extend(only(&theirs, &ours));
        if !members.contains(&self.me) {
            return self.merging.give_up();
        }
        let previous = ours.members.iter().chain(&theirs.members).copied().collect();
        let id = ViewId { number: self.number.max(theirs.id.number) + 1, creator: self.me };
        let view = View { id, members, previous, left: Vec::new(), merged: true };
        self.publish(Arc::new(view), ctx);
    }
}
