//! What each part of the sync chain does for an instance, and how one leads to the next.

use std::sync::Arc;
use std::time::Duration;

use sim_core::Context;

use super::joiner_delay::Verdict;
use super::{BackgroundCheck, Chain, Execution, Link, Part};
use crate::services::repository::{ClusterNodeId, Value};
use crate::sling::config::OnSyncTimeout;
use crate::sling::instance::Instance;
use crate::sling::node::{Node, Timer};
use crate::sling::pool::Task;
use crate::sling::reader::{id_map, sync_token, view_token};
use crate::sling::view::{ElectionId, Member, SlingId, TopologyView};

impl Instance {
    /// Begins to sync a view; an earlier sync is discarded.
    pub(in crate::sling) fn begin_sync(
        &mut self,
        view: Arc<TopologyView>,
        modifications: u64,
        ctx: &mut Context<Node>,
    ) {
        let execution = self.chain.begin(view, modifications);
        self.begin_link(execution, 0, ctx);
    }

    /// Discards whatever sync there is.
    pub(in crate::sling) fn cancel_sync(&mut self, ctx: &mut Context<Node>) {
        if self.chain.cancel() {
            ctx.mark("sync-cancelled");
        }
        for part in [Part::Backlog, Part::SyncToken, Part::ViewToken] {
            ctx.cancel_timer(Timer::Check(part));
        }
        ctx.cancel_timer(Timer::JoinerDelay);
    }

    fn begin_link(&mut self, execution: Execution, index: usize, ctx: &mut Context<Node>) {
        match Chain::links(&self.shared.config, self.shared.defects).get(index) {
            None => self.synced(execution.view, execution.modifications, ctx),
            Some(&Link::Checked(part)) => {
                let check = BackgroundCheck { execution, since: ctx.now(), store: None };
                self.chain.checks.insert(part, check);
                self.check(part, ctx);
            }
            Some(Link::Delay) => match self.chain.delay.sync(execution) {
                Verdict::Through(execution) => self.hand_over(execution, Link::Delay, ctx),
                Verdict::After(delay) => {
                    ctx.mark("joiner-delayed");
                    ctx.set_timer(Timer::JoinerDelay, delay);
                }
            },
        }
    }

    /// A part is through: a thread brings the sync to the next one.
    fn hand_over(&mut self, execution: Execution, from: Link, ctx: &mut Context<Node>) {
        let links = Chain::links(&self.shared.config, self.shared.defects);
        let next = links.iter().position(|&link| link == from).map_or(links.len(), |at| at + 1);
        let thread = self.chain.hand_over(execution, next);
        let time = ctx.random_duration(self.shared.config.sync_handover_max + Duration::from_nanos(1));
        ctx.run_job(time, Timer::Handover(thread));
    }

    pub(in crate::sling) fn handed_over(&mut self, thread: u64, ctx: &mut Context<Node>) {
        let (execution, next) = self.chain.handed_over(thread).expect("each thread ends once");
        // SLING-10353: cancelling reached only the part that had just ended. SLING-5173: nothing was cancelled.
        let goes_on = self.shared.defects.sling_10353 || self.shared.defects.sling_5173_cancel;
        if self.chain.can_execute(&execution) || goes_on {
            self.begin_link(execution, next, ctx);
        }
    }

    pub(in crate::sling) fn joiner_delay_over(&mut self, ctx: &mut Context<Node>) {
        if !self.has_thread(Task::JoinerDelay) {
            return;
        }
        if let Some(execution) = self.chain.delay.over() {
            self.hand_over(execution, Link::Delay, ctx);
        }
    }

    /// A commit of this instance is durable; its own token may be.
    pub(in crate::sling) fn on_stored(&mut self, number: u64, ctx: &mut Context<Node>) {
        let stored = |(&part, check): (&Part, &BackgroundCheck)| (check.store == Some(number)).then_some(part);
        if let Some(part) = self.chain.checks.iter().find_map(stored) {
            self.check(part, ctx);
        }
    }

    /// Looks whether a part is through, and if not, when to look again.
    pub(in crate::sling) fn check(&mut self, part: Part, ctx: &mut Context<Node>) {
        let Some(view) = self.synced_view(part).cloned() else { return };
        let is_through = match part {
            Part::Backlog => !self.has_backlog(&view),
            Part::SyncToken | Part::ViewToken => {
                self.store_token(part, &view, ctx) && self.is_late(part, &view).is_empty()
            }
        };
        if is_through {
            return self.end_check(part, false, ctx);
        }
        let check = self.chain.checks.get(&part).expect("it has just been looked at");
        let config = &self.shared.config;
        if ctx.now().since(check.since) > config.cluster_sync_service_timeout {
            ctx.mark("sync-timed-out");
            // SLING-L1: upstream knows no other policy than this one.
            let policy = if self.shared.defects.sling_l1 { OnSyncTimeout::Succeed } else { config.on_sync_timeout };
            match policy {
                OnSyncTimeout::Wait => {}
                OnSyncTimeout::Degrade => return self.end_check(part, true, ctx),
                OnSyncTimeout::Succeed => return self.end_check(part, false, ctx),
            }
        }
        ctx.set_timer(Timer::Check(part), Chain::interval(config, self.shared.defects));
    }

    fn end_check(&mut self, part: Part, degraded: bool, ctx: &mut Context<Node>) {
        ctx.cancel_timer(Timer::Check(part));
        let BackgroundCheck { mut execution, .. } =
            self.chain.checks.remove(&part).expect("it has just been looked at");
        if degraded {
            execution.view = Arc::new(TopologyView { degraded, ..TopologyView::clone(&execution.view) });
        }
        self.hand_over(execution, Link::Checked(part), ctx);
    }

    /// Whether somebody is deactivating, or active without being in the view or left out of it on purpose.
    fn has_backlog(&self, view: &TopologyView) -> bool {
        let Some(descriptor) = &self.descriptor else { return true };
        let is_known = |node: &ClusterNodeId| {
            let name = self.client.read(id_map(*node)).map(|Value([name, ..])| SlingId(name));
            view.partially_started.contains(node) || view.members.iter().any(|m| Some(m.election.sling_id) == name)
        };
        !descriptor.deactivating.is_empty() || !descriptor.active.iter().all(is_known)
    }

    /// Sees to it that this instance's own token is written; whether it is durable.
    fn store_token(&mut self, part: Part, view: &TopologyView, ctx: &mut Context<Node>) -> bool {
        let (path, token) = match part {
            Part::ViewToken => (view_token(self.name), self.next_view_token(view)),
            _ => {
                let election = self.election.expect("whoever syncs has announced itself");
                (sync_token(self.name), election.token(view.seq, self.shared.defects))
            }
        };
        if self.client.read(path) == Some(token) && !self.client.is_queued(path) {
            self.has_token = true;
            return true;
        }
        let check = self.chain.checks.get_mut(&part).expect("it has just been looked at");
        // What it has written may be of too early a round by now.
        if check.store.is_none() || !self.client.is_queued(path) {
            check.store = Some(self.client.commit(path, token, ctx));
        }
        false
    }

    /// The token by which this instance agrees to a view: number, digest and round.
    ///
    /// Members can agree to a view, then to another of the same number, and then to the first again. Whoever sees only
    /// the oldest of these tokens would take it for the latest, so each change of mind begins a round that is higher than
    /// all that were seen, and only tokens of one round count together.
    fn next_view_token(&self, view: &TopologyView) -> Value {
        let digest = view.digest();
        let vote = |Value([seq, digest, round])| (seq == view.seq).then_some((digest, round));
        let own = self.client.read_queued(view_token(self.name)).and_then(vote);
        let seen = view.members.iter().filter_map(|m| self.client.read(view_token(m.election.sling_id)).and_then(vote));
        let votes: Vec<(u64, u64)> = seen.chain(own).collect();
        let rounds_for_it = votes.iter().filter(|vote| vote.0 == digest).map(|vote| vote.1);
        // Its own vote for another view is not taken back by joining a round from before it.
        let joined = rounds_for_it.max().filter(|&round| own.is_none_or(|own| own.0 == digest || own.1 < round));
        let round = joined.unwrap_or_else(|| votes.iter().map(|vote| vote.1 + 1).max().unwrap_or_default());
        Value([view.seq, digest, round])
    }

    /// The members of a view whose tokens are still to be seen.
    fn is_late(&self, part: Part, view: &TopologyView) -> Vec<ClusterNodeId> {
        let agreed = (part == Part::ViewToken).then(|| self.next_view_token(view));
        let is_late = |member: &&Member| {
            let ElectionId { sling_id, .. } = member.election;
            let (path, wanted) = match agreed {
                Some(token) => (view_token(sling_id), token),
                None => (sync_token(sling_id), member.election.token(view.seq, self.shared.defects)),
            };
            self.client.read(path) != Some(wanted)
        };
        view.members.iter().filter(is_late).map(|member| member.node).collect()
    }

    /// Those for whose tokens it waits at present.
    pub(in crate::sling) fn late_members(&self) -> Vec<ClusterNodeId> {
        let late = |(&part, check): (&Part, &BackgroundCheck)| match part {
            Part::Backlog => Vec::new(),
            part => self.is_late(part, &check.execution.view),
        };
        self.chain.checks.iter().flat_map(late).collect()
    }
}
