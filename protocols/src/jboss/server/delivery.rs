//! Messages: taking them from producers, handing them to consumers, and being told that they are done.

use super::{Ctx, Purpose, Server};
use crate::jboss::database::{Answer, PreparedTransaction, Row, Statement};
use crate::jboss::message::{DeliveryId, Item, Message, Object, QueueId, SessionId};
use crate::jboss::replication::Copied;
use crate::jboss::session::{Delivery, DeliveryState};

impl Server {
    /// A producer's message. It is acknowledged when it is safe.
    pub(super) fn on_send(&mut self, id: SessionId, number: QueueId, item: Item, retry: bool, ctx: &mut Ctx<'_>) {
        let Some(queue) = self.queues.get_mut(&number) else { return };
        // Defect JBMESSAGING-809: a repetition is not known as one.
        let check = retry && !self.shared.defects.jbm_809;
        if self.shared.in_memory() || !item.persistent {
            if check && self.is_being_added(item.id) {
                return;
            }
            if check && self.recent.contains(&item.id) {
                ctx.mark("duplicate-dropped");
                return self.reply(id, Message::Sent(item.id), ctx);
            }
            self.remember(item.id);
            let purpose = Purpose::Insert(id, number, item, None);
            return self.replicate(Copied::Add(number, item), purpose, ctx);
        }
        // What memory has no room for, or what comes after something that it had none for, is paged.
        let pages = queue.paging.is_active() || queue.room(self.shared.config.full_size) == 0;
        let page = pages.then_some(queue.paging.next);
        if pages {
            queue.paging.next += 1;
            ctx.mark("paged");
        }
        let statement = Statement::Insert { by: self.address(), queue: number, row: Row { item, page }, check };
        self.database.ask(statement, Purpose::Insert(id, number, item, page), ctx);
    }

    /// A message is safe.
    pub(super) fn inserted(
        &mut self,
        session: SessionId,
        number: QueueId,
        item: Item,
        page: Option<u64>,
        answer: Answer,
        ctx: &mut Ctx<'_>,
    ) {
        if answer == Answer::Duplicate {
            ctx.mark("duplicate-dropped");
        } else if page.is_none()
            && let Some(queue) = self.queues.get_mut(&number)
        {
            queue.refs.push_back(item);
        }
        self.reply(session, Message::Sent(item.id), ctx);
        self.deliver(number, ctx);
    }

    /// Hands the messages of a queue to its consumers, in turn to whoever has least.
    pub(in crate::jboss) fn deliver(&mut self, number: QueueId, ctx: &mut Ctx<'_>) {
        let prefetch = self.shared.config.prefetch;
        loop {
            if self.closing.has_locked(number) {
                return; // Another thread is in here.
            }
            let Some(queue) = self.queues.get_mut(&number) else { return };
            let takers = self.sessions.values_mut().filter(|session| session.takes(number, prefetch));
            let Some(session) = takers.min_by_key(|session| (session.deliveries.len(), session.id)) else { break };
            if queue.refs.is_empty() {
                break;
            }
            if self.closing.locks(session.id) {
                return self.closing.wait_for_session(number);
            }
            let Some(item) = queue.refs.pop_front() else { break };
            let (id, delivery) = (session.id, session.next);
            session.next += 1;
            session.deliveries.insert(delivery, Delivery { item, queue: number, state: DeliveryState::Out });
            self.replicate(Copied::Delivery(number, item, id), Purpose::HandOut(id, delivery), ctx);
        }
        self.load_page(number, ctx);
    }

    /// The delivery is known to the failover node, if there is one that has to know.
    pub(super) fn hand_out(&mut self, id: SessionId, delivery: DeliveryId, ctx: &mut Ctx<'_>) {
        let Some(&Delivery { item, queue, .. }) = self.sessions.get(&id).and_then(|s| s.deliveries.get(&delivery))
        else {
            return; // Returned to the queue meanwhile.
        };
        self.reply(id, Message::Deliver(delivery, queue, item), ctx);
    }

    /// Reads paged messages when there is room for them.
    fn load_page(&mut self, number: QueueId, ctx: &mut Ctx<'_>) {
        let by = self.address();
        let Some(queue) = self.queues.get_mut(&number) else { return };
        let room = queue.room(self.shared.config.full_size);
        if !queue.paging.is_active() || queue.paging.loading || room == 0 {
            return;
        }
        queue.paging.loading = true;
        let (from, to) = (queue.paging.first, queue.paging.next.min(queue.paging.first + room));
        self.database.ask(Statement::LoadPage { by, queue: number, from, to }, Purpose::LoadPage(number), ctx);
    }

    pub(super) fn page_loaded(&mut self, number: QueueId, answer: Answer, ctx: &mut Ctx<'_>) {
        let Answer::Loaded(items, _, to) = answer else { unreachable!("{answer:?} to a read") };
        let Some(queue) = self.queues.get_mut(&number) else { return };
        queue.paging.loading = false;
        queue.paging.first = queue.paging.first.max(to);
        queue.refs.extend(items);
        ctx.mark("page-loaded");
        self.deliver(number, ctx);
    }

    /// A consumer is done with a message.
    pub(super) fn on_acknowledge(&mut self, id: SessionId, delivery: DeliveryId, ctx: &mut Ctx<'_>) {
        let by = self.address();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match session.deliveries.get_mut(&delivery) {
            // Noted before, by this server or by the one that failed.
            None => self.reply(id, Message::Acknowledged(delivery), ctx),
            Some(known) if known.state == DeliveryState::Out => {
                known.state = DeliveryState::Acking;
                let Delivery { item, queue, .. } = *known;
                let purpose = Purpose::Delete(id, delivery);
                if item.persistent && !self.shared.in_memory() {
                    self.database.ask(Statement::Delete { by, queue, message: item.id }, purpose, ctx);
                } else {
                    self.replicate(Copied::Ack(item.id), purpose, ctx);
                }
            }
            Some(_) => {} // Being stored.
        }
    }

    pub(super) fn deleted(&mut self, id: SessionId, delivery: DeliveryId, ctx: &mut Ctx<'_>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let removed = session.deliveries.remove(&delivery);
        self.reply(id, Message::Acknowledged(delivery), ctx);
        if let Some(Delivery { queue, .. }) = removed {
            self.deliver(queue, ctx);
        }
        self.go_on_moving(id, ctx);
    }

    /// The client wants to be able to acknowledge these in one transaction, come what may.
    pub(super) fn on_prepare(&mut self, id: SessionId, number: u64, deliveries: &[DeliveryId], ctx: &mut Ctx<'_>) {
        let by = self.address();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let mut messages = Vec::new();
        let mut of = 0;
        for delivery in deliveries {
            if let Some(known) = session.deliveries.get_mut(delivery) {
                known.state = DeliveryState::Prepared(number);
                messages.push(known.item.id);
                of = known.queue;
            }
        }
        if messages.is_empty() {
            // Prepared before, by this server or by the one that failed.
            return self.reply(id, Message::Prepared(number), ctx);
        }
        ctx.mark("prepared");
        let transaction = PreparedTransaction { id: (id, number), owner: (self.me, of), messages };
        self.database.ask(Statement::Prepare(by, transaction), Purpose::Prepare(id, number), ctx);
    }

    pub(super) fn on_commit(&mut self, id: SessionId, number: u64, ctx: &mut Ctx<'_>) {
        let statement = Statement::Commit(self.address(), (id, number));
        self.database.ask(statement, Purpose::Commit(id, number), ctx);
    }

    pub(super) fn committed(&mut self, id: SessionId, number: u64, ctx: &mut Ctx<'_>) {
        self.prepared.remove(&(id, number));
        if let Some(session) = self.sessions.get_mut(&id) {
            session.deliveries.retain(|_, delivery| delivery.state != DeliveryState::Prepared(number));
        }
        self.reply(id, Message::Committed(number), ctx);
        if let Some(queue) = self.sessions.get(&id).and_then(|session| session.consumes()) {
            self.deliver(queue, ctx);
        }
        self.go_on_moving(id, ctx);
    }

    /// The consumer is stopped first; it is removed when the client knows that nothing more will come.
    pub(super) fn on_close_consumer(&mut self, id: SessionId, ctx: &mut Ctx<'_>) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.closing = true;
            self.reply(id, Message::ConsumerClosed, ctx);
        }
    }

    pub(super) fn on_remove_consumer(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.objects.retain(|object| !matches!(object, Object::Consumer(_)));
        }
    }

    /// Whether the server has a message in its memory, wherever: what is not found here and is not paged will never
    /// be delivered by it.
    pub fn has(&self, queue: QueueId, message: u64) -> bool {
        let in_queue = self.queues.get(&queue).is_some_and(|queue| queue.has(message));
        let delivered = || self.sessions.values().any(|s| s.deliveries.values().any(|d| d.item.id == message));
        let prepared = || self.prepared.values().flatten().any(|(_, item)| item.id == message);
        in_queue || delivered() || prepared() || self.closing.has(message)
    }
}
