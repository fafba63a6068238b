//! The store: how it answers clients, and how it finds leases that have run out.
//!
//! What it is asked to change it writes first, and takes for true when it is durable, in the order in which it was
//! written. Then it answers.

use std::collections::VecDeque;

use sim_core::{Context, NodeId, SyncToken};

use super::{Config, Host, LeaseId, Ledger, Message, Record, State, Timer};

/// A question that is answered when a record is durable.
#[derive(Clone, Copy, Debug, Hash)]
struct Question {
    from: NodeId,
    /// Which time of asking it was.
    round: u64,
}

/// The database below the cluster.
#[derive(Clone, Debug, Hash)]
pub struct Store {
    config: Config,
    ledger: Ledger,
    /// Records that are not durable yet, oldest first.
    pending: VecDeque<(SyncToken, Record, Option<Question>)>,
}

impl Store {
    /// An empty store.
    pub fn new(config: Config) -> Self {
        Store { config, ledger: Ledger::default(), pending: VecDeque::new() }
    }

    /// What it knows.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The process has started; `disk` is what it had written.
    pub fn on_start<A: Host>(&mut self, disk: impl IntoIterator<Item = Record>, ctx: &mut Context<'_, A>) {
        let disk: Vec<Record> = disk.into_iter().collect();
        self.ledger = Ledger::of(&disk);
        for (lease, _) in self.ledger.leases(State::Recovering) {
            ctx.set_timer(Timer::Recovery(lease.node).into(), self.config.recovery_time);
        }
        self.watch_leases(ctx);
    }

    /// A client asks.
    pub fn on_message<A: Host>(&mut self, from: NodeId, message: Message, ctx: &mut Context<'_, A>) {
        let question = |round| Some(Question { from, round });
        match message {
            Message::Acquire { machine, nonce } => {
                let end = ctx.now() + self.config.lease_duration;
                self.write(Record::Leased { machine, nonce, end }, question(0), ctx);
            }
            Message::Release { lease } if !self.ledger.holds(lease) => {
                // It has been given back before, or has run out; either way there is nothing left of it.
                ctx.send(from, Message::Released { lease }.into());
            }
            Message::Release { lease } => self.write(Record::Released { lease }, question(0), ctx),
            Message::Renew { lease, .. }
            | Message::Commit { lease, .. }
            | Message::Background { lease, .. }
            | Message::ReadView { lease, .. }
                if !self.ledger.holds(lease) =>
            {
                ctx.send(from, Message::Fenced { lease }.into());
            }
            Message::Renew { lease, round } => {
                let end = ctx.now() + self.config.lease_duration;
                self.write(Record::Renewed { lease, end }, question(round), ctx);
            }
            Message::Commit { lease, number, path, value } => {
                self.write(Record::Committed { lease, number, path, value }, question(number), ctx);
            }
            Message::Background { lease, publish, seen } => {
                if publish > self.ledger.published(lease.node) {
                    self.write(Record::Published { lease, upto: publish }, None, ctx);
                }
                ctx.send(from, Message::Changes { lease, published: self.ledger.changes(&seen) }.into());
            }
            Message::ReadView { lease, round } => {
                ctx.send(from, Message::ViewRead { lease, round, view: self.ledger.view() }.into());
            }
            answer => panic!("{answer:?} was sent to the store"),
        }
    }

    /// One of the store's timers has ended.
    pub fn on_timer<A: Host>(&mut self, timer: Timer, ctx: &mut Context<'_, A>) {
        match timer {
            Timer::Expiry => {
                let now = ctx.now();
                let over: Vec<_> = self.ledger.leases(State::Active).filter(|&(_, end)| end <= now).collect();
                if over.is_empty() {
                    // A clock that drifts can be a moment early.
                    self.watch_leases(ctx);
                }
                for (lease, end) in over {
                    self.write(Record::Expired { lease, end }, None, ctx);
                }
            }
            Timer::Recovery(node) => {
                let lease = self.ledger.leases(State::Recovering).map(|(lease, _)| lease).find(|l| l.node == node);
                let lease = lease.expect("an id that was being recovered is, until this says that it is done");
                self.write(Record::Recovered { lease }, None, ctx);
            }
            timer => panic!("a store has no timer {timer:?}"),
        }
    }

    /// Gives the cluster another id than it had.
    pub fn assign_cluster_id<A: Host>(&mut self, ctx: &mut Context<'_, A>) {
        let cluster_id = self.ledger.cluster_id().map_or(1, |id| id + 1);
        self.write(Record::Assigned { cluster_id }, None, ctx);
    }

    /// What was written before a sync is durable.
    pub fn on_synced<A: Host>(&mut self, token: SyncToken, ctx: &mut Context<'_, A>) {
        while let Some((_, record, question)) = self.pending.pop_front_if(|(pending, ..)| *pending <= token) {
            let valid = self.ledger.apply(&record);
            if let Record::Expired { lease, .. } = record
                && valid
            {
                ctx.mark("lease-expired");
                ctx.set_timer(Timer::Recovery(lease.node).into(), self.config.recovery_time);
            }
            if let Some(question) = question {
                ctx.send(question.from, self.answer(&record, valid, question.round).into());
            }
        }
        self.watch_leases(ctx);
    }

    fn answer(&self, record: &Record, valid: bool, round: u64) -> Message {
        let fenced = |lease: LeaseId| Message::Fenced { lease };
        match *record {
            Record::Leased { machine, nonce, .. } => match self.ledger.lease_of(machine, nonce) {
                Some((lease, committed)) => Message::Acquired { nonce, lease, committed },
                None => Message::Occupied { nonce },
            },
            Record::Renewed { lease, .. } if valid => Message::Renewed { lease, round },
            // A release that is void comes after another one, or after the lease's end.
            Record::Released { lease } => Message::Released { lease },
            Record::Committed { lease, number, .. } if valid => match self.ledger.revision_of(lease.node, number) {
                Some(revision) => Message::Committed { lease, number, revision },
                None => fenced(lease),
            },
            Record::Renewed { lease, .. } | Record::Committed { lease, .. } => fenced(lease),
            ref record => panic!("nobody asks for {record:?}"),
        }
    }

    fn write<A: Host>(&mut self, record: Record, question: Option<Question>, ctx: &mut Context<'_, A>) {
        ctx.write(record.clone().into());
        self.pending.push_back((ctx.sync(), record, question));
    }

    fn watch_leases<A: Host>(&self, ctx: &mut Context<'_, A>) {
        match self.ledger.next_end() {
            Some(end) => ctx.set_timer(Timer::Expiry.into(), end.since(ctx.now())),
            None => ctx.cancel_timer(Timer::Expiry.into()),
        }
    }
}
