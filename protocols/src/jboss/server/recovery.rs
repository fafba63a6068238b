//! What a client does after it has connected: it makes its objects, and says which deliveries it holds.

use std::collections::BTreeSet;

use super::{Ctx, Server};
use crate::jboss::message::{DeliveryId, Item, Message, Object, QueueId, SessionId, Unacked};
use crate::jboss::session::{Delivery, DeliveryState};

impl Server {
    pub(super) fn on_create(&mut self, id: SessionId, object: Object, ctx: &mut Ctx<'_>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.objects.insert(object);
        if matches!(object, Object::Consumer(_)) {
            session.closing = false;
        }
        self.reply(id, Message::Created(object), ctx);
        if let Object::Consumer(queue) = object {
            self.deliver(queue, ctx);
        }
    }

    /// The client says what it holds unacknowledged, and under which delivery ids.
    pub(super) fn on_recover(&mut self, id: SessionId, unacked: &[Unacked], ctx: &mut Ctx<'_>) {
        let mut touched: BTreeSet<QueueId> = self.drop_unknown_deliveries(id, unacked);
        // What this session does not have yet is in the recovery maps. What is in neither is done, or was taken for
        // abandoned, and is left out.
        let mut found: Vec<(DeliveryId, QueueId, Item)> = Vec::new();
        for claim in unacked {
            let Some(session) = self.sessions.get(&id) else { return };
            if session.deliveries.contains_key(&claim.delivery) {
                continue;
            }
            if let Some(item) = self.queues.get_mut(&claim.queue).and_then(|queue| queue.claim(claim.message)) {
                found.push((claim.delivery, claim.queue, item));
            }
        }
        // Defect JBM-L3: the n-th that was found is paired with the n-th delivery id, whatever was left out between.
        if self.shared.defects.l3 {
            for (found, claim) in found.iter_mut().zip(unacked) {
                found.0 = claim.delivery;
            }
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for &(delivery, queue, item) in &found {
            session.deliveries.insert(delivery, Delivery { item, queue, state: DeliveryState::Out });
        }
        let last = unacked.iter().map(|claim| claim.delivery).max().unwrap_or(0);
        session.next = session.next.max(last + 1);
        if !found.is_empty() {
            ctx.mark("deliveries-recovered");
        }
        for (_, queue, item) in found {
            self.note_delivery(queue, item, id, ctx);
        }
        // What was held for this session and is not claimed goes back to the queues.
        for (&number, queue) in &mut self.queues {
            let returned: Vec<Item> =
                queue.held.values().filter(|held| held.session == Some(id)).map(|held| held.item).collect();
            if queue.release(|held| held.session == Some(id)) {
                touched.insert(number);
                self.replicator.note_returned(number, &returned);
            }
        }
        self.flush_replicator(ctx);
        self.reply(id, Message::Recovered, ctx);
        for queue in touched {
            self.deliver(queue, ctx);
        }
    }

    /// Returns to the queues what this session was sent and its client never got, or is done with.
    fn drop_unknown_deliveries(&mut self, id: SessionId, unacked: &[Unacked]) -> BTreeSet<QueueId> {
        let Some(session) = self.sessions.get_mut(&id) else { return BTreeSet::new() };
        let claimed: BTreeSet<DeliveryId> = unacked.iter().map(|claim| claim.delivery).collect();
        let unknown: Vec<DeliveryId> = session
            .deliveries
            .iter()
            .filter(|(id, delivery)| !claimed.contains(id) && delivery.state == DeliveryState::Out)
            .map(|(&id, _)| id)
            .collect();
        let mut touched = BTreeSet::new();
        for delivery in unknown.into_iter().rev() {
            if let Some(Delivery { item, queue, .. }) = session.deliveries.remove(&delivery) {
                touched.insert(queue);
                if let Some(queue) = self.queues.get_mut(&queue) {
                    queue.refs.push_front(item);
                }
                self.replicator.note_returned(queue, &[item]);
            }
        }
        touched
    }

    /// Everything is as the client wants it: its consumers get messages from now on.
    pub(super) fn on_start_session(&mut self, id: SessionId, ctx: &mut Ctx<'_>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.started = true;
        session.closing = false; // Every consumer of the connection is started, also one that is being closed.
        if let Some(queue) = session.consumes() {
            self.deliver(queue, ctx);
        }
        self.share_on_start(id, ctx);
    }
}
