//! The page writer: takes messages for addresses that are full and writes them to page files in batches.
//!
//! What may wait for it is bounded by credits, which it gives back when it has written. For that it needs the storage
//! lock, so nobody may wait for its credits who holds up those who hold up that lock.

use std::collections::VecDeque;

use sim_core::{ConnectionId, Context};

use super::broker::Broker;
use super::config::Config;
use super::locks::{Lock, Mode, Thread};
use super::messages::{Message, MessageId, Timer};
use super::node::Node;
use super::operations::Stored;

/// The page writer of a broker.
#[derive(Clone, Debug, Hash)]
pub struct PageWriter {
    limit: u32,
    credits: u32,
    waiters: VecDeque<(Thread, u32)>,
    /// What has been handed over and is not written.
    events: VecDeque<Event>,
    /// What is being written: records that have to go to the replica, and the credits of the whole batch.
    records: VecDeque<Message>,
    batch: u32,
    busy: bool,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Event {
    session: ConnectionId,
    stored: Stored,
}

impl PageWriter {
    /// An idle page writer.
    pub fn new(config: &Config) -> Self {
        let limit = config.page_writer_credits;
        PageWriter {
            limit,
            credits: limit,
            waiters: VecDeque::new(),
            events: VecDeque::new(),
            records: VecDeque::new(),
            batch: 0,
            busy: false,
        }
    }

    /// A message that was handed over has come again, on a session that is to be answered instead. Returns whether it
    /// still waits here.
    pub fn answer_to(&mut self, id: MessageId, session: ConnectionId) -> bool {
        let event = self.events.iter_mut().find(|event| event.stored.id == id);
        event.map(|event| event.session = session).is_some()
    }

    /// Whether `thread` waits for credits.
    pub fn is_awaited_by(&self, thread: Thread) -> bool {
        self.waiters.iter().any(|&(waiter, _)| waiter == thread)
    }

    /// A message larger than everything takes everything.
    fn price(&self, body: u32) -> u32 {
        body.min(self.limit)
    }
}

impl Broker {
    /// Lets a thread go on when it has credits for this many bytes.
    pub(super) fn take_page_credits(&mut self, body: u32, thread: Thread, ctx: &mut Context<Node>) {
        let price = self.page_writer.price(body);
        if self.page_writer.waiters.is_empty() && self.page_writer.credits >= price {
            self.page_writer.credits -= price;
            self.resume(thread, ctx);
        } else {
            ctx.mark("page-credits-exhausted");
            self.page_writer.waiters.push_back((thread, price));
            self.wait(thread);
        }
    }

    /// Gives back credits that were not used, or whose message is written.
    pub(super) fn give_back_page_credits(&mut self, body: u32, ctx: &mut Context<Node>) {
        self.page_writer.credits += self.page_writer.price(body);
        while let Some(&(thread, price)) = self.page_writer.waiters.front()
            && self.page_writer.credits >= price
        {
            self.page_writer.waiters.pop_front();
            self.page_writer.credits -= price;
            self.resume(thread, ctx);
        }
    }

    /// Hands a message to the page writer, whose credits it has.
    pub(super) fn add_page_event(&mut self, session: ConnectionId, stored: Stored, ctx: &mut Context<Node>) {
        self.page_writer.events.push_back(Event { session, stored });
        self.collect_pages(ctx);
    }

    fn collect_pages(&mut self, ctx: &mut Context<Node>) {
        if !self.page_writer.busy && !self.page_writer.events.is_empty() {
            self.page_writer.busy = true;
            ctx.set_timer(Timer::WritePages, self.config.page_sync_timeout);
        }
    }

    /// The page writer has collected long enough.
    pub(super) fn write_pages(&mut self, ctx: &mut Context<Node>) {
        self.lock(Lock::Storage, Mode::Shared, Thread::PageWriter, ctx);
    }

    /// The page writer has the storage lock: it writes what has been handed over.
    pub(super) fn run_page_writer(&mut self, ctx: &mut Context<Node>) {
        ctx.mark("page-written");
        for Event { session, stored } in std::mem::take(&mut self.page_writer.events) {
            let record = self.write_record(session, stored, ctx);
            self.page_writer.records.extend(record);
            self.page_writer.batch += self.page_writer.price(stored.body);
        }
        self.replicate_next_page(ctx);
    }

    /// Sends the next record of the batch to the replica; after the last, the credits are free again.
    pub(super) fn replicate_next_page(&mut self, ctx: &mut Context<Node>) {
        if let Some(record) = self.page_writer.records.pop_front() {
            return self.replicate(record, Thread::PageWriter, ctx);
        }
        self.unlock(Lock::Storage, Thread::PageWriter, ctx);
        let batch = std::mem::take(&mut self.page_writer.batch);
        self.page_writer.busy = false;
        self.give_back_page_credits(batch, ctx);
        self.collect_pages(ctx);
    }
}
