//! Failing over for a node: its queues are merged into the queues of the same name here, one after the other.

use std::collections::VecDeque;

use super::{Ctx, Purpose, Server};
use crate::jboss::database::{Answer, Part, Statement};
use crate::jboss::message::{Message, QueueId, Timer};
use crate::jboss::queue::{Held, Paging};
use crate::jboss::state::ServerPhase;
use crate::services::membership::Address;

/// A takeover.
#[derive(Clone, Debug, Hash)]
pub struct Takeover {
    /// The process that is gone.
    pub failed: Address,
    /// Whose queues come with it: those that the failed one had not finished failing over for.
    granted: Vec<Address>,
    /// Whether it has begun.
    pub(super) begun: bool,
    /// The parts that are still to be merged, once the database has granted them.
    parts: VecDeque<Part>,
    /// What has been merged and is being loaded; the binding is deleted after that.
    loading: Option<Part>,
}

impl Server {
    /// Fails over for a process, as soon as this server can.
    pub(super) fn take_over(&mut self, failed: Address, ctx: &mut Ctx<'_>) {
        let known = self.takeovers.iter().any(|takeover| takeover.failed == failed);
        if !known && !self.failed_over_for.contains(&failed) {
            self.takeovers.push_back(Takeover {
                failed,
                granted: Vec::new(),
                begun: false,
                parts: VecDeque::new(),
                loading: None,
            });
            self.begin_takeover(ctx);
        }
    }

    /// Begins with the next, if one waits and this server is ready.
    pub(super) fn begin_takeover(&mut self, ctx: &mut Ctx<'_>) {
        let ready = matches!(self.phase, ServerPhase::Serving | ServerPhase::Draining);
        let (Some(takeover), true) = (self.takeovers.front_mut(), ready) else { return };
        if takeover.begun {
            return;
        }
        takeover.begun = true;
        let failed = takeover.failed;
        ctx.mark("takeover-started");
        self.tell_members(&Message::FailoverStart(failed), ctx);
        if self.shared.in_memory() {
            return self.take_copy(failed, ctx);
        }
        let heir = self.address();
        self.database.ask(Statement::BeginTakeover { failed, heir }, Purpose::BeginTakeover, ctx);
    }

    fn tell_members(&self, message: &Message, ctx: &mut Ctx<'_>) {
        let Some(view) = self.group.view() else { return };
        for member in view.members.iter().filter(|member| member.node != self.me) {
            ctx.send(member.node, message.clone());
        }
    }

    /// The database has reassigned the transactions and told which parts there are.
    pub(super) fn granted(&mut self, answer: Answer, ctx: &mut Ctx<'_>) {
        let Some(takeover) = self.takeovers.front_mut() else { return };
        match answer {
            Answer::Granted(granted, parts, transactions) => {
                takeover.granted = granted;
                takeover.parts = parts.into();
                for transaction in transactions {
                    self.prepared.insert(transaction.id, Vec::new());
                }
                self.next_part(ctx);
            }
            Answer::Refused(heirs) => self.refused(heirs, ctx),
            other => unreachable!("{other:?} to the beginning of a takeover"),
        }
    }

    /// Another has the failed process's queues: its own next process, or whoever failed over for it before this server
    /// became the heir.
    fn refused(&mut self, heirs: Vec<(Address, Address)>, ctx: &mut Ctx<'_>) {
        self.takeovers.pop_front();
        self.heirs.extend(heirs.iter().copied());
        // Everybody sends clients there. If that one is gone too, the queues come with those of that one.
        self.tell_members(&Message::Heirs(heirs), ctx);
        self.unblock(ctx);
        self.begin_takeover(ctx);
    }

    /// The failed process's own next one has bound its queues anew meanwhile. The database knows whose they are.
    pub(super) fn takeover_interrupted(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(takeover) = self.takeovers.front() {
            self.database.ask(Statement::FindHeirs { of: takeover.failed }, Purpose::EndTakeover, ctx);
        }
    }

    pub(super) fn end_takeover(&mut self, answer: Answer, ctx: &mut Ctx<'_>) {
        let Answer::Heirs(heirs) = answer else { unreachable!("{answer:?} to a question for heirs") };
        // What had been merged before stays where it is.
        let is_heir = heirs.first().is_some_and(|&(_, heir)| heir == self.address());
        if is_heir { self.taken_over(ctx) } else { self.refused(heirs, ctx) }
    }

    fn next_part(&mut self, ctx: &mut Ctx<'_>) {
        let Some(takeover) = self.takeovers.front_mut() else { return };
        while let Some(part) = takeover.parts.pop_front() {
            let Some(queue) = self.queues.get(&part.1) else {
                // It is not deployed here, which is a warning and no more: the part stays bound to its node.
                ctx.mark("queue-skipped");
                if self.shared.defects.jbm_1457 {
                    return; // Defect JBMESSAGING-1457: an exception, and the rest is not done.
                }
                continue;
            };
            let heir = self.group.address();
            // Defect JBMESSAGING-1113: the binding goes first.
            if self.shared.defects.jbm_1113 {
                takeover.loading = Some(part);
                return self.database.ask(Statement::DropBinding { part, heir }, Purpose::DropBinding(part), ctx);
            }
            let room = queue.room(self.shared.config.full_size);
            let next = queue.paging.next;
            return self.database.ask(Statement::Merge { part, heir, room, next }, Purpose::Merge(part, next), ctx);
        }
        self.database.ask(Statement::CleanNodes { heir: self.address() }, Purpose::CleanNodes, ctx);
    }

    /// A part's messages belong to this server. They are held, as the clients of the failed node may have had them.
    pub(super) fn part_merged(&mut self, part: Part, from: u64, answer: Answer, ctx: &mut Ctx<'_>) {
        let Answer::Merged(items, paged) = answer else { unreachable!("{answer:?} to a merge") };
        let room = self.queues.get(&part.1).map_or(0, |queue| queue.room(self.shared.config.full_size));
        if let Some(queue) = self.queues.get_mut(&part.1) {
            let until = ctx.now() + self.shared.config.recover_deliveries_timeout;
            queue.held.extend(items.iter().map(|&item| (item.id, Held { item, session: None, until })));
            queue.paging.next = queue.paging.next.max(from + paged);
            // Defect JBMESSAGING-1722: as memory is not full, the queue is taken not to be paging.
            if self.shared.defects.jbm_1722 && room > items.len() as u64 {
                queue.paging = Paging::default();
            }
        }
        self.arm_unclaimed(part.1, ctx);
        if let Some(takeover) = self.takeovers.front_mut() {
            takeover.loading = Some(part);
        }
        ctx.run_job(self.shared.config.merge_time, Timer::Merged);
    }

    /// What was merged has been loaded, or the time for that has passed.
    pub(super) fn merged(&mut self, ctx: &mut Ctx<'_>) {
        let heir = self.address();
        let Some(takeover) = self.takeovers.front_mut() else { return };
        let Some(part) = takeover.loading.take() else {
            return self.merge_copy(ctx);
        };
        if self.shared.defects.jbm_1113 {
            // The binding went first, and now comes the merge. There is nothing left to delete after that.
            let (room, next) = self
                .queues
                .get(&part.1)
                .map_or((0, 0), |queue| (queue.room(self.shared.config.full_size), queue.paging.next));
            return self.database.ask(Statement::Merge { part, heir, room, next }, Purpose::Merge(part, next), ctx);
        }
        self.database.ask(Statement::DropBinding { part, heir }, Purpose::DropBinding(part), ctx);
    }

    pub(super) fn binding_dropped(&mut self, _part: Part, ctx: &mut Ctx<'_>) {
        if self.shared.defects.jbm_1113 {
            return ctx.run_job(self.shared.config.merge_time, Timer::Merged);
        }
        self.next_part(ctx);
    }

    /// The takeover is complete: whoever waits for it need not any longer.
    pub(in crate::jboss) fn taken_over(&mut self, ctx: &mut Ctx<'_>) {
        let Some(takeover) = self.takeovers.pop_front() else { return };
        // Defect JBM-L1: there is one slot for it.
        if self.shared.defects.l1 {
            self.failed_over_for.clear();
        }
        self.failed_over_for.extend(takeover.granted.iter().chain([&takeover.failed]));
        ctx.mark("takeover-complete");
        self.tell_members(&Message::FailoverEnd(takeover.failed), ctx);
        self.unblock(ctx);
        self.begin_takeover(ctx);
    }

    /// Sees to it that what is held is returned to the queue when nobody claims it.
    pub(in crate::jboss) fn arm_unclaimed(&self, queue: QueueId, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let first = self.queues.get(&queue).and_then(|queue| queue.held.values().map(|held| held.until).min());
        if let Some(first) = first {
            ctx.set_timer(Timer::Unclaimed(queue), first.since(now));
        }
    }

    pub(super) fn return_unclaimed(&mut self, queue: QueueId, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        if let Some(held) = self.queues.get_mut(&queue)
            && held.release(|held| held.until <= now)
        {
            ctx.mark("unclaimed-returned");
            self.deliver(queue, ctx);
        }
        self.arm_unclaimed(queue, ctx);
    }
}
