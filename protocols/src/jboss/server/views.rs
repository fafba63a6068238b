//! What a server makes of a view: the failover map, who fails over for whom, and who has to be told.

use std::sync::Arc;

use sim_core::NodeId;

use super::{Ctx, Server};
use crate::jboss::database::{Answer, Statement};
use crate::jboss::message::{Message, QueueId, Timer};
use crate::jboss::queue::{Held, Paging, Queue};
use crate::jboss::server::Purpose;
use crate::jboss::state::{ServerEvent, ServerPhase};
use crate::services::membership::{Address, Event, View};

impl Server {
    pub(in crate::jboss) fn on_group(&mut self, events: Vec<Event>, ctx: &mut Ctx<'_>) {
        for event in events {
            match event {
                Event::View(view) => self.on_view(&view, ctx),
                Event::Shunned => self.forget(ctx),
                Event::Left => self.stopped(ctx),
            }
        }
    }

    fn on_view(&mut self, view: &Arc<View>, ctx: &mut Ctx<'_>) {
        // First what the map of the view before says about those that are gone, then the new map.
        for gone in view.previous.iter().filter(|&&member| !view.has(member)) {
            let left = view.left.contains(gone);
            if left {
                self.departed.insert(*gone);
            }
            let order = self.shared.successors(*gone, &view.previous);
            // Defect JBM-L2: the first in the map, dead or not.
            let survivor = |member: &&Address| self.shared.defects.l2 || view.has(**member);
            if let Some(&heir) = order.iter().find(survivor) {
                self.heirs.insert(*gone, heir);
            }
        }
        self.map = view.members.iter().map(|&of| (of, self.shared.successors(of, &view.members))).collect();
        if self.phase == ServerPhase::Joining {
            self.step(ServerEvent::LetIn);
            self.load(ctx);
        }
        for gone in view.previous.iter().copied().filter(|&member| !view.has(member)) {
            self.inherit(gone, view, ctx);
        }
        self.on_new_members(view, ctx);
        self.map_changed(ctx);
        self.unblock(ctx);
    }

    /// Fails over for a member that is gone, and for all that it was the heir of, if this server is the heir.
    fn inherit(&mut self, gone: Address, view: &View, ctx: &mut Ctx<'_>) {
        self.hand_over_copy(gone, ctx);
        if self.heirs.get(&gone) != Some(&self.address()) {
            return;
        }
        // Whoever went in this very view has an heir that has not.
        let earlier = |process: &Address| !view.previous.contains(process);
        let inherited = self.heirs.iter().filter(|&(before, heir)| *heir == gone && earlier(before));
        let before: Vec<Address> = inherited.map(|(&before, _)| before).collect();
        let left = self.departed.contains(&gone);
        if left && !self.shared.config.failover_on_node_leave && !self.shared.in_memory() {
            self.failed_over_for.insert(gone); // There is nothing to wait for.
        } else {
            self.take_over(gone, ctx);
        }
        for before in before {
            self.heirs.insert(before, self.address());
            if self.departed.contains(&before) && !self.shared.config.failover_on_node_leave {
                self.failed_over_for.insert(before);
            } else {
                self.take_over(before, ctx);
            }
        }
    }

    fn on_new_members(&mut self, view: &View, ctx: &mut Ctx<'_>) {
        if view.merged {
            for &member in &view.members {
                self.tell_heirs(member.node, ctx);
            }
            return;
        }
        let joined: Vec<Address> = view.joined().filter(|&member| member != self.address()).collect();
        for &member in &joined {
            if self.group.is_coordinator() {
                self.tell_heirs(member.node, ctx);
            }
        }
        self.share_with(&joined, view.members.len(), ctx);
    }

    fn tell_heirs(&self, to: NodeId, ctx: &mut Ctx<'_>) {
        if to != self.me {
            let heirs = self.heirs.iter().map(|(&gone, &heir)| (gone, heir)).collect();
            ctx.send(to, Message::Heirs(heirs));
        }
    }

    /// Another server knows who failed over for whom.
    pub(in crate::jboss) fn on_heirs(&mut self, from: NodeId, heirs: Vec<(Address, Address)>, ctx: &mut Ctx<'_>) {
        if heirs.iter().any(|(gone, heir)| *gone == self.address() && *heir != self.address()) {
            return self.reboot(ctx); // The other side of a partition has failed over for this server.
        }
        for (gone, heir) in heirs {
            // Whoever was to be the heir knows best who is.
            if self.heirs.get(&gone).is_none_or(|known| known.node == from) {
                self.heirs.insert(gone, heir);
            }
        }
        self.unblock(ctx);
    }

    /// Another server fails over for a process, or has done so.
    pub(in crate::jboss) fn on_failover(&mut self, from: NodeId, failed: Address, ctx: &mut Ctx<'_>) {
        if let Some(heir) = self.group.view().and_then(|view| view.at(from)) {
            self.heirs.insert(failed, heir);
        }
        if failed == self.address() {
            self.reboot(ctx);
        }
    }

    /// Tells all listeners of the failover map that it has changed.
    pub(in crate::jboss) fn map_changed(&mut self, ctx: &mut Ctx<'_>) {
        self.choose_replica(ctx);
        let clients = self.sessions.values().filter_map(|session| session.connection);
        let listeners: Vec<_> = self.subscribers.iter().copied().chain(clients).collect();
        for listener in listeners {
            self.push_map(listener, ctx);
        }
    }

    pub(in crate::jboss) fn push_map(&self, to: sim_core::ConnectionId, ctx: &mut Ctx<'_>) {
        let map = self.map.iter().map(|(&of, successors)| (of, successors.clone())).collect();
        ctx.send_on(to, Message::MapPush(map));
    }

    /// The group has let this server in: registers with the database, or serves at once if there is none.
    fn load(&mut self, ctx: &mut Ctx<'_>) {
        if self.shared.in_memory() {
            for queue in self.queues.values_mut() {
                queue.loaded = true;
            }
            return self.activated(ctx);
        }
        let members = self.group.view().map(|view| view.members.clone()).unwrap_or_default();
        self.database.ask(Statement::Register(self.address(), members), Purpose::Register, ctx);
    }

    pub(in crate::jboss) fn registered(&mut self, answer: Answer, ctx: &mut Ctx<'_>) {
        match answer {
            Answer::Registered(heirs, transactions) => {
                self.heirs.extend(heirs);
                for transaction in transactions {
                    self.prepared.insert(transaction.id, Vec::new());
                }
                let full_size = self.shared.config.full_size;
                for queue in self.queues.keys().copied().collect::<Vec<_>>() {
                    let statement = Statement::Bind(self.address(), queue, full_size);
                    self.database.ask(statement, Purpose::Bind(queue), ctx);
                }
            }
            // Another server is failing over for this node's last process. It will be done soon.
            _ => ctx.set_timer(Timer::Loaded(QueueId::MAX), self.shared.config.merge_time),
        }
    }

    /// A queue's messages have been read. Whoever had some of them delivered may come back, so all are held.
    pub(in crate::jboss) fn bound(&mut self, queue: QueueId, answer: Answer, ctx: &mut Ctx<'_>) {
        let Answer::Loaded(items, first, next) = answer else { unreachable!("{answer:?} to a binding") };
        let until = ctx.now() + self.shared.config.recover_deliveries_timeout;
        let held = items.into_iter().map(|item| (item.id, Held { item, session: None, until })).collect();
        let queue_loaded = Queue { held, paging: Paging { first, next, loading: false }, ..Queue::default() };
        self.loading.insert(queue, queue_loaded);
        ctx.run_job(self.shared.config.merge_time, Timer::Loaded(queue));
        self.unblock(ctx);
    }

    /// A queue is ready. Only now it takes its place.
    pub(in crate::jboss) fn activate(&mut self, queue: QueueId, ctx: &mut Ctx<'_>) {
        if queue == QueueId::MAX {
            return if self.phase == ServerPhase::Loading {
                self.load(ctx)
            };
        }
        let Some(loaded) = self.loading.remove(&queue) else { return };
        self.queues.insert(queue, Queue { loaded: true, ..loaded });
        self.arm_unclaimed(queue, ctx);
        if self.queues.values().all(|queue| queue.loaded) && self.phase == ServerPhase::Loading {
            self.activated(ctx);
        }
    }

    fn activated(&mut self, ctx: &mut Ctx<'_>) {
        self.step(ServerEvent::Activated);
        ctx.mark("serving");
        self.begin_takeover(ctx);
        self.unblock(ctx);
    }

    /// The others have gone on without this process: what it has is void. It starts anew, in the same group or not.
    pub(in crate::jboss) fn reboot(&mut self, ctx: &mut Ctx<'_>) {
        self.forget(ctx);
        self.group.rejoin(ctx);
    }

    fn forget(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase == ServerPhase::Stopped {
            return;
        }
        ctx.mark("server-reset");
        let clients = self.sessions.values().filter_map(|session| session.connection);
        let blocked = self.blocked.iter().map(|blocked| blocked.connection);
        let all: Vec<_> = clients.chain(blocked).chain(self.subscribers.iter().copied()).collect();
        for connection in all {
            ctx.close(connection);
        }
        self.replicator.stop(ctx);
        self.step(ServerEvent::Excluded);
        let fresh = Server::new(&self.shared, self.me);
        let (group, mut database) = (self.group.clone(), self.database.clone());
        let (mut heirs, departed) = (std::mem::take(&mut self.heirs), std::mem::take(&mut self.departed));
        // It is not the heir of those for whom it has not failed over by now: it could not, or others do.
        let former = self.map.keys().copied().find(|member| member.node == self.me);
        heirs.retain(|gone, heir| Some(*heir) != former || self.failed_over_for.contains(gone));
        database.clear();
        *self = Server { group, database, heirs, departed, phase: self.phase, ..fresh };
    }
}
