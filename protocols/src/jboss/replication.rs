//! In-memory replication: a server tells its failover node of every message, delivery and acknowledgement, and waits for
//! the other to have noted it before anybody else is told.
//!
//! The failover node's copy is what it takes over from. When the failover node changes, all is sent to the new one
//! before the old one is told to forget; if the server dies in between, the old one hands its copy to the new one.
//!
//! Without in-memory replication nothing is told to anybody, and everything is safe at once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sim_core::{ConnectionEvent, ConnectionId};

use super::database::Answer;
use super::message::{Item, Message, MessageId, QueueId, SessionId, Timer};
use super::queue::Held;
use super::server::{Ctx, Purpose, Server};
use super::state::ServerPhase;
use crate::services::membership::Address;

/// Pause before a server tries again to reach its failover node.
const RETRY: Duration = Duration::from_secs(1);

/// One change of what is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Copied {
    /// A message is in a queue, or back in it.
    Add(QueueId, Item),
    /// A message was delivered to a session, or is held for it.
    Delivery(QueueId, Item, SessionId),
    /// A message is held for whichever session may have had it.
    Held(QueueId, Item),
    /// A message is done.
    Ack(MessageId),
    /// A message of this id was there.
    Known(MessageId),
}

/// A copy of another server's memory.
#[derive(Clone, Debug, Default, Hash)]
pub struct Replica {
    /// The connection that it comes over; `None` if another server has handed it over.
    source: Option<ConnectionId>,
    /// Each message, and whether it is held, for whom.
    messages: BTreeMap<MessageId, (QueueId, Item, Copy)>,
    /// Ids of messages that were there, oldest first.
    known: Vec<MessageId>,
}

/// What is known of a copied message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Copy {
    Queued,
    Held(Option<SessionId>),
}

impl Replica {
    /// Whether it has a message.
    pub fn has(&self, message: MessageId) -> bool {
        self.messages.contains_key(&message)
    }

    fn apply(&mut self, change: Copied) {
        match change {
            Copied::Add(queue, item) => {
                self.known.push(item.id);
                self.messages.insert(item.id, (queue, item, Copy::Queued));
            }
            Copied::Delivery(queue, item, session) => {
                self.messages.insert(item.id, (queue, item, Copy::Held(Some(session))));
            }
            Copied::Held(queue, item) => _ = self.messages.insert(item.id, (queue, item, Copy::Held(None))),
            Copied::Ack(message) => _ = self.messages.remove(&message),
            Copied::Known(message) => self.known.push(message),
        }
    }

    fn of(all: &[Copied]) -> Self {
        let mut replica = Replica::default();
        all.iter().for_each(|&change| replica.apply(change));
        replica
    }

    fn all(&self) -> Vec<Copied> {
        let messages = self.messages.values().map(|&(queue, item, copy)| match copy {
            Copy::Queued => Copied::Add(queue, item),
            Copy::Held(Some(session)) => Copied::Delivery(queue, item, session),
            Copy::Held(None) => Copied::Held(queue, item),
        });
        self.known.iter().map(|&id| Copied::Known(id)).chain(messages).collect()
    }
}

/// A server's side of replication.
#[derive(Clone, Debug, Default, Hash)]
pub struct Replicator {
    /// The failover node.
    target: Option<Address>,
    connection: Option<ConnectionId>,
    /// Whether the failover node has all.
    synced: bool,
    /// The connection to the failover node before, until the new one has all.
    former: Option<ConnectionId>,
    number: u64,
    /// What the failover node has not confirmed, oldest first, and what waits for that.
    outstanding: VecDeque<(u64, Copied, Purpose)>,
    /// What it has to be told although nothing waits for it.
    unsaid: Vec<Copied>,
}

impl Replicator {
    /// Whether there is a failover node and it has all that is in memory.
    pub fn is_synced(&self) -> bool {
        self.target.is_some() && self.synced && self.outstanding.is_empty()
    }

    /// Messages have gone back into a queue.
    pub fn note_returned(&mut self, queue: QueueId, items: &[Item]) {
        if self.target.is_some() {
            self.unsaid.extend(items.iter().map(|&item| Copied::Add(queue, item)));
        }
    }

    /// Ends all replication.
    pub fn stop(&mut self, ctx: &mut Ctx<'_>) {
        for connection in [self.connection.take(), self.former.take()].into_iter().flatten() {
            ctx.close(connection);
        }
        *self = Replicator { number: self.number, ..Replicator::default() };
    }
}

impl Server {
    /// Tells the failover node of a change; `purpose` may go on when it has noted it.
    pub(super) fn replicate(&mut self, change: Copied, purpose: Purpose, ctx: &mut Ctx<'_>) {
        if self.replicator.target.is_none() {
            return self.done(purpose, Answer::Done, ctx);
        }
        let replicator = &mut self.replicator;
        replicator.number += 1;
        replicator.outstanding.push_back((replicator.number, change, purpose));
        if let Some(connection) = replicator.connection {
            ctx.send_on(connection, Message::Replicate(replicator.number, change));
        }
    }

    /// Whether a message has been taken that is not safe yet; its sender is told when it is.
    pub(super) fn is_being_added(&self, message: MessageId) -> bool {
        let is = |change: &Copied| matches!(change, Copied::Add(_, item) if item.id == message);
        self.replicator.outstanding.iter().any(|(_, change, _)| is(change))
    }

    /// Tells the failover node of what nothing waits for.
    pub(super) fn flush_replicator(&mut self, ctx: &mut Ctx<'_>) {
        for change in std::mem::take(&mut self.replicator.unsaid) {
            self.replicate(change, Purpose::Nothing, ctx);
        }
    }

    /// The client has said that it holds a delivery.
    pub(super) fn note_delivery(&mut self, queue: QueueId, item: Item, session: SessionId, ctx: &mut Ctx<'_>) {
        if self.shared.in_memory() {
            self.replicate(Copied::Delivery(queue, item, session), Purpose::Nothing, ctx);
        }
    }

    /// The failover map has changed, and with it perhaps this server's failover node.
    pub(super) fn choose_replica(&mut self, ctx: &mut Ctx<'_>) {
        if !self.shared.in_memory() {
            return;
        }
        let target = self.map.get(&self.address()).and_then(|successors| successors.first()).copied();
        if target == self.replicator.target {
            return;
        }
        let replicator = &mut self.replicator;
        if replicator.synced {
            if let Some(former) = std::mem::replace(&mut replicator.former, replicator.connection.take()) {
                ctx.close(former);
            }
        } else if let Some(unfinished) = replicator.connection.take() {
            ctx.close(unfinished);
        }
        replicator.target = target;
        replicator.synced = false;
        match target {
            Some(target) => replicator.connection = Some(ctx.connect(target.node)),
            None => {
                // Alone: nothing is left to wait for.
                for (_, _, purpose) in std::mem::take(&mut self.replicator.outstanding) {
                    self.done(purpose, Answer::Done, ctx);
                }
            }
        }
    }

    pub(super) fn replicate_anew(&mut self, ctx: &mut Ctx<'_>) {
        if let (Some(target), None) = (self.replicator.target, self.replicator.connection) {
            self.replicator.connection = Some(ctx.connect(target.node));
        }
    }

    /// Whether the connection is one of replication, and what to do about it.
    pub(super) fn on_replica_connection(&mut self, event: ConnectionEvent, ctx: &mut Ctx<'_>) -> bool {
        let replicator = &mut self.replicator;
        match event {
            ConnectionEvent::Opened(id) if replicator.connection == Some(id) => {
                self.send_all(id, ctx);
                true
            }
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) if replicator.connection == Some(id) => {
                replicator.connection = None;
                replicator.synced = false;
                ctx.set_timer(Timer::Replica, RETRY);
                true
            }
            ConnectionEvent::Closed(id, _) if replicator.former == Some(id) => {
                replicator.former = None;
                true
            }
            _ => false,
        }
    }

    /// Sends all that is in memory, and what is outstanding with it.
    fn send_all(&mut self, connection: ConnectionId, ctx: &mut Ctx<'_>) {
        let mut all: Vec<Copied> = self.recent.iter().map(|&id| Copied::Known(id)).collect();
        for (&number, queue) in &self.queues {
            all.extend(queue.refs.iter().map(|&item| Copied::Add(number, item)));
            all.extend(queue.held.values().map(|held| match held.session {
                Some(session) => Copied::Delivery(number, held.item, session),
                None => Copied::Held(number, held.item),
            }));
        }
        all.extend(self.closing_items().map(|(queue, item)| Copied::Add(queue, item)));
        for session in self.sessions.values() {
            let deliveries = session.deliveries.values();
            all.extend(deliveries.map(|delivery| Copied::Delivery(delivery.queue, delivery.item, session.id)));
        }
        self.replicator.unsaid.clear();
        all.extend(self.replicator.outstanding.iter().map(|&(_, change, _)| change));
        let number = self.replicator.number;
        ctx.send_on(connection, Message::AddAllReplicatedDeliveries(self.address(), number, all));
    }

    pub(super) fn on_add_all(&mut self, of: Address, number: u64, all: &[Copied], ctx: &mut Ctx<'_>) {
        let Some(on) = ctx.via() else { return };
        self.replicas.insert(of, Replica { source: Some(on), ..Replica::of(all) });
        ctx.send_on(on, Message::Replicated(number));
    }

    pub(super) fn on_replicate(&mut self, number: u64, change: Copied, ctx: &mut Ctx<'_>) {
        let Some(on) = ctx.via() else { return };
        if let Some(replica) = self.replicas.values_mut().find(|replica| replica.source == Some(on)) {
            replica.apply(change);
            ctx.send_on(on, Message::Replicated(number));
        }
    }

    pub(super) fn on_replicated(&mut self, number: u64, ctx: &mut Ctx<'_>) {
        if ctx.via() != self.replicator.connection {
            return;
        }
        if !std::mem::replace(&mut self.replicator.synced, true) {
            ctx.mark("replica-synced");
            if let Some(former) = self.replicator.former.take() {
                ctx.send_on(former, Message::AckAllReplicatedDeliveries);
                ctx.close(former);
            }
        }
        while let Some((_, _, purpose)) = self.replicator.outstanding.pop_front_if(|(noted, ..)| *noted <= number) {
            self.done(purpose, Answer::Done, ctx);
        }
    }

    /// The sender has another failover node by now.
    pub(super) fn on_ack_all(&mut self, ctx: &mut Ctx<'_>) {
        self.replicas.retain(|_, replica| replica.source.is_none() || replica.source != ctx.via());
    }

    /// A member is gone. If its copy is here and another is to fail over for it, the copy goes there.
    pub(super) fn hand_over_copy(&mut self, gone: Address, ctx: &mut Ctx<'_>) {
        let heir = self.heirs.get(&gone).copied();
        if heir != Some(self.address())
            && let (Some(heir), Some(replica)) = (heir, self.replicas.remove(&gone))
        {
            ctx.mark("copy-handed-over");
            ctx.send(heir.node, Message::HandOver(gone, replica.all()));
        }
    }

    pub(super) fn on_hand_over(&mut self, of: Address, all: &[Copied], ctx: &mut Ctx<'_>) {
        if !self.replicas.contains_key(&of) && !self.failed_over_for.contains(&of) {
            self.replicas.insert(of, Replica::of(all));
            if self.takeovers.front().is_some_and(|takeover| takeover.failed == of) {
                ctx.cancel_timer(Timer::Copy);
                self.take_copy(of, ctx);
            }
        }
    }

    /// Begins to take over from a copy, or waits for one that another has.
    pub(super) fn take_copy(&mut self, failed: Address, ctx: &mut Ctx<'_>) {
        if self.replicas.contains_key(&failed) {
            ctx.run_job(self.shared.config.merge_time, Timer::Merged);
        } else {
            ctx.set_timer(Timer::Copy, self.shared.config.replica_wait);
        }
    }

    pub(super) fn no_copy_came(&mut self, ctx: &mut Ctx<'_>) {
        ctx.mark("no-copy");
        self.taken_over(ctx);
    }

    /// Puts what was copied where it belongs: there is nothing to load.
    pub(super) fn merge_copy(&mut self, ctx: &mut Ctx<'_>) {
        let Some(failed) = self.takeovers.front().map(|takeover| takeover.failed) else { return };
        let replica = self.replicas.remove(&failed).unwrap_or_default();
        let until = ctx.now() + self.shared.config.recover_deliveries_timeout;
        for &id in &replica.known {
            self.remember(id);
        }
        for (number, item, copy) in replica.messages.into_values() {
            let Some(queue) = self.queues.get_mut(&number) else {
                ctx.mark("queue-skipped");
                continue;
            };
            let change = match copy {
                Copy::Queued => {
                    queue.refs.push_back(item);
                    Copied::Add(number, item)
                }
                Copy::Held(session) => {
                    queue.held.insert(item.id, Held { item, session, until });
                    session.map_or(Copied::Held(number, item), |session| Copied::Delivery(number, item, session))
                }
            };
            self.replicate(change, Purpose::Nothing, ctx);
        }
        let queues: Vec<QueueId> = self.queues.keys().copied().collect();
        for queue in queues {
            self.arm_unclaimed(queue, ctx);
            if self.phase == ServerPhase::Serving {
                self.deliver(queue, ctx);
            }
        }
        self.taken_over(ctx);
    }
}
