//! A client: one transaction after the other, each a change and a commit, at whichever database takes them.

use std::sync::Arc;

use sim_core::history::{Call, Operation, Step};
use sim_core::{ConnectionEvent, ConnectionId, Constant};

use super::database::{Ctx, Shared};
use super::message::{Message, Timer};

/// The client's state.
#[derive(Clone, Debug, Hash)]
pub struct Client {
    shared: Constant<Arc<Shared>>,
    /// Whether the slave's database is the one to try.
    at_slave: bool,
    link: Link,
    /// Transactions begun so far.
    begun: u32,
    /// The transaction in progress, and whether its commit has been asked for.
    transaction: Option<(u64, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Link {
    Down,
    Opening(ConnectionId),
    Up(ConnectionId),
}

impl Client {
    pub(super) fn new(shared: Constant<Arc<Shared>>) -> Self {
        Client { shared, at_slave: false, link: Link::Down, begun: 0, transaction: None }
    }

    pub(super) fn start(&mut self, ctx: &mut Ctx<'_>) {
        // A restarted client must not use a transaction's number again.
        self.begun = (ctx.random() as u32 & 0xffff) << 12;
        self.connect(ctx);
    }

    fn connect(&mut self, ctx: &mut Ctx<'_>) {
        let database = if self.at_slave { self.shared.slave } else { self.shared.master };
        self.link = Link::Opening(ctx.connect(database));
        ctx.set_timer(Timer::Answer, self.shared.config.client_timeout);
    }

    pub(super) fn on_connection(&mut self, event: ConnectionEvent, ctx: &mut Ctx<'_>) {
        match event {
            ConnectionEvent::Opened(id) if self.link == Link::Opening(id) => {
                self.link = Link::Up(id);
                ctx.cancel_timer(Timer::Answer);
                let first = ctx.random_duration(self.shared.config.transaction_pause);
                ctx.set_timer(Timer::Next, first);
            }
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _)
                if self.link == Link::Opening(id) || self.link == Link::Up(id) =>
            {
                self.lost(ctx);
            }
            // There is no database here.
            ConnectionEvent::Accepted(id) => ctx.close(id),
            _ => {}
        }
    }

    pub(super) fn on_next(&mut self, ctx: &mut Ctx<'_>) {
        let Link::Up(id) = self.link else { return };
        let transaction = u64::from(ctx.node().0) << 32 | u64::from(self.begun);
        let every = self.shared.config.index_build_every;
        self.begun += 1;
        self.transaction = Some((transaction, false));
        let index_build = every > 0 && self.begun.is_multiple_of(every);
        self.ask(id, Message::Execute { transaction, index_build }, ctx);
    }

    fn ask(&self, id: ConnectionId, message: Message, ctx: &mut Ctx<'_>) {
        ctx.send_on(id, message);
        ctx.set_timer(Timer::Answer, self.shared.config.client_timeout);
    }

    pub(super) fn on_message(&mut self, message: &Message, ctx: &mut Ctx<'_>) {
        let Link::Up(id) = self.link else { return };
        if ctx.via() != Some(id) {
            return;
        }
        match (message, self.transaction) {
            (Message::Executed { transaction }, Some((own, false))) if *transaction == own => {
                self.transaction = Some((own, true));
                note(own, Step::Invoked, ctx);
                self.ask(id, Message::Commit { transaction: own }, ctx);
            }
            (Message::Committed { transaction }, Some((own, true))) if *transaction == own => {
                self.transaction = None;
                note(own, Step::Returned(None), ctx);
                ctx.cancel_timer(Timer::Answer);
                ctx.set_timer(Timer::Next, self.shared.config.transaction_pause);
            }
            (Message::Refused { transaction }, Some((own, asked))) if *transaction == own => {
                if asked {
                    note(own, Step::Refused, ctx);
                }
                self.transaction = None;
                ctx.close(id);
                self.lost(ctx);
            }
            _ => {}
        }
    }

    pub(super) fn on_answer_overdue(&mut self, ctx: &mut Ctx<'_>) {
        if let Link::Opening(id) | Link::Up(id) = self.link {
            ctx.close(id);
        }
        self.lost(ctx);
    }

    /// The connection is gone: tries the other database after a pause.
    fn lost(&mut self, ctx: &mut Ctx<'_>) {
        if let Some((transaction, true)) = self.transaction.take() {
            note(transaction, Step::Unknown, ctx);
        }
        self.link = Link::Down;
        self.at_slave = !self.at_slave;
        ctx.cancel_timer(Timer::Answer);
        ctx.cancel_timer(Timer::Next);
        ctx.set_timer(Timer::Retry, self.shared.config.client_retry_pause);
    }

    pub(super) fn on_retry(&mut self, ctx: &mut Ctx<'_>) {
        self.connect(ctx);
    }
}

fn note(transaction: u64, step: Step, ctx: &mut Ctx<'_>) {
    ctx.record(Operation { id: transaction, call: Call::Write { key: 0, value: transaction }, step });
}
