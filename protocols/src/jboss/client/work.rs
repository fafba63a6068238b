//! What an application does with its connection: it sends, processes what it gets, browses, and closes its consumer.

use sim_core::history::{Call, Operation, Step};

use super::{Client, Ctx, Held, Invocation};
use crate::jboss::message::{DeliveryId, Item, Message, MessageId, QueueId, Timer};
use crate::jboss::state::ClientPhase;

impl Client {
    pub(super) fn next_send(&mut self, ctx: &mut Ctx<'_>) {
        let config = &self.shared.config;
        if self.outgoing.is_some() || config.messages > 0 && self.sent >= config.messages {
            return;
        }
        self.sent += 1;
        let every = config.non_persistent_every;
        let persistent = every == 0 || !self.sent.is_multiple_of(every);
        let [node, process, sent] = [self.me.0.into(), u64::from(self.process), u64::from(self.sent)];
        let item = Item { id: node << 48 | process << 32 | sent, persistent };
        self.outgoing = Some(item);
        self.note_send(item.id, Step::Invoked, ctx);
        self.invoke(Invocation::Send(item.id), ctx);
    }

    pub(super) fn note_send(&self, id: MessageId, step: Step, ctx: &mut Ctx<'_>) {
        let call = Call::Write { key: self.queue.into(), value: id };
        ctx.record(Operation { id, call, step });
    }

    fn note_received(&self, id: MessageId, ctx: &mut Ctx<'_>) {
        let call = Call::Receive { key: self.queue.into() };
        ctx.record(Operation { id, call, step: Step::Returned(Some(id)) });
    }

    pub(super) fn on_sent(&mut self, id: MessageId, ctx: &mut Ctx<'_>) {
        if let Some(item) = self.outgoing.take_if(|item| item.id == id) {
            // Nobody promises to keep what is not persistent.
            let step = if item.persistent { Step::Returned(None) } else { Step::Unknown };
            self.note_send(id, step, ctx);
            ctx.set_timer(Timer::Send, self.shared.config.send_interval);
            self.answered(Invocation::Send(id), ctx);
        }
    }

    pub(super) fn on_deliver(&mut self, delivery: DeliveryId, queue: QueueId, item: Item, ctx: &mut Ctx<'_>) {
        if self.phase != ClientPhase::Connected {
            return; // It leaves, and the message goes back.
        }
        if !self.consumer_open {
            self.stray = Some(item.id);
            return;
        }
        self.unacked.insert(delivery, Held { message: item.id, queue, done: false });
        self.process(ctx);
    }

    /// Takes up the next message, one at a time.
    pub(super) fn process(&mut self, ctx: &mut Ctx<'_>) {
        if self.processing.is_none()
            && let Some((&delivery, _)) = self.unacked.iter().find(|(_, held)| !held.done)
        {
            self.processing = Some(delivery);
            ctx.set_timer(Timer::Process, self.shared.config.processing_time);
        }
    }

    pub(super) fn processed_one(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(delivery) = self.processing.take()
            && let Some(held) = self.unacked.get_mut(&delivery)
        {
            held.done = true;
            self.processed.insert(held.message);
            if self.shared.config.transaction_size == 0 {
                self.invoke(Invocation::Acknowledge(delivery), ctx);
            } else {
                self.batch.push(delivery);
            }
            if self.batch.len() >= self.shared.config.transaction_size.max(1) {
                self.begun_transactions += 1;
                let number = self.begun_transactions;
                self.transactions.insert(number, std::mem::take(&mut self.batch));
                self.invoke(Invocation::Prepare(number), ctx);
            }
        }
        self.process(ctx);
    }

    pub(super) fn on_acknowledged(&mut self, delivery: DeliveryId, ctx: &mut Ctx<'_>) {
        if let Some(held) = self.unacked.remove(&delivery) {
            self.note_received(held.message, ctx);
        }
        self.answered(Invocation::Acknowledge(delivery), ctx);
    }

    pub(super) fn on_prepared(&mut self, number: u64, ctx: &mut Ctx<'_>) {
        if self.transactions.contains_key(&number) && !self.prepared.contains(&number) {
            self.prepared.push_back(number);
            ctx.mark("transaction-prepared");
            ctx.set_timer(Timer::Commit, self.shared.config.commit_delay);
        }
        self.answered(Invocation::Prepare(number), ctx);
    }

    pub(super) fn commit(&mut self, ctx: &mut Ctx<'_>) {
        for number in std::mem::take(&mut self.prepared) {
            self.invoke(Invocation::Commit(number), ctx);
        }
    }

    pub(super) fn on_committed(&mut self, number: u64, ctx: &mut Ctx<'_>) {
        for delivery in self.transactions.remove(&number).unwrap_or_default() {
            if let Some(held) = self.unacked.remove(&delivery) {
                self.note_received(held.message, ctx);
            }
        }
        self.answered(Invocation::Commit(number), ctx);
    }

    pub(super) fn browse(&mut self, ctx: &mut Ctx<'_>) {
        ctx.set_timer(Timer::Browse, self.shared.config.browse_interval);
        self.invoke(Invocation::Browse, ctx);
    }

    pub(super) fn toggle_consumer(&mut self, ctx: &mut Ctx<'_>) {
        ctx.set_timer(Timer::Consumer, self.shared.config.consumer_interval);
        let next = if self.consumer_open { Invocation::CloseConsumer } else { Invocation::OpenConsumer };
        let changing = [Invocation::CloseConsumer, Invocation::OpenConsumer];
        if !changing.iter().any(|change| self.invocations.contains_key(change)) {
            self.invoke(next, ctx);
        }
    }

    pub(super) fn on_consumer_closed(&mut self, ctx: &mut Ctx<'_>) {
        self.consumer_open = false;
        if let Some(connection) = self.connection {
            ctx.send_on(connection, Message::RemoveConsumer);
        }
        self.answered(Invocation::CloseConsumer, ctx);
    }

    pub(super) fn consumer_opened(&mut self, ctx: &mut Ctx<'_>) {
        self.consumer_open = true;
        self.answered(Invocation::OpenConsumer, ctx);
    }
}
