//! The end of a session: its deliveries are cancelled one after the other, while other threads go on.
//!
//! A server has threads and locks. A delivery takes the lock of its queue and then that of the session that gets the
//! message. Closing a session needs the session's list and, for each delivery, the queue's lock: if it kept the
//! session's lock meanwhile, the two would wait for each other. So it copies the list first.

use std::collections::{BTreeSet, VecDeque};

use super::{Ctx, Server};
use crate::jboss::message::{Item, MessageId, QueueId, SessionId, Timer};
use crate::jboss::session::{Delivery, DeliveryState};

/// Deliveries that are being cancelled.
#[derive(Clone, Debug, Default, Hash)]
pub struct Closing {
    /// Of whom, into which queue, which message; the next first.
    cancelled: VecDeque<(SessionId, QueueId, Item)>,
    /// Sessions whose lock is kept until their deliveries are cancelled.
    locked: BTreeSet<SessionId>,
    /// Queues whose lock is kept by a thread that waits for a session's.
    stuck: BTreeSet<QueueId>,
}

impl Closing {
    /// Whether a message is on its way back into its queue.
    pub fn has(&self, message: MessageId) -> bool {
        self.cancelled.iter().any(|(_, _, item)| item.id == message)
    }

    /// Whether the session's lock is taken.
    pub fn locks(&self, session: SessionId) -> bool {
        self.locked.contains(&session)
    }

    /// Whether the queue's lock is kept by a thread that waits.
    pub fn has_locked(&self, queue: QueueId) -> bool {
        self.stuck.contains(&queue)
    }

    /// Whether a thread waits for a lock while it keeps another.
    pub fn is_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    /// A thread that has the queue's lock waits for a session's.
    pub fn wait_for_session(&mut self, queue: QueueId) {
        self.stuck.insert(queue);
    }
}

impl Server {
    /// Whether some thread waits for a lock while it keeps another.
    pub fn is_stuck(&self) -> bool {
        self.closing.is_stuck()
    }

    /// Whether nothing is being cancelled.
    pub(super) fn closing_is_over(&self) -> bool {
        self.closing.cancelled.is_empty()
    }

    /// What is being cancelled.
    pub(in crate::jboss) fn closing_items(&self) -> impl Iterator<Item = (QueueId, Item)> + '_ {
        self.closing.cancelled.iter().map(|&(_, queue, item)| (queue, item))
    }

    /// A client's connection is lost. The session stays until the lease ends, as the client may come back.
    pub(super) fn connection_lost(&mut self, id: SessionId) {
        // A session that is being closed goes its way.
        if let Some(session) = self.sessions.get_mut(&id).filter(|_| !self.closing.locks(id)) {
            session.connection = None;
            session.started = false;
        }
    }

    /// Closes the session of a client that has not been heard for as long as the lease; otherwise looks again then.
    pub(super) fn lease_ends(&mut self, id: SessionId, ctx: &mut Ctx<'_>) {
        let (Some(session), lease) = (self.sessions.get(&id), self.shared.config.client_lease) else { return };
        let silent = ctx.now().since(session.heard);
        if silent < lease {
            return ctx.set_timer(Timer::Lease(id), lease - silent);
        }
        ctx.mark("lease-expired");
        if let Some(connection) = session.connection {
            ctx.close(connection);
        }
        self.close_session(id, ctx);
    }

    /// Cancels what the session holds and ends it.
    pub(super) fn close_session(&mut self, id: SessionId, ctx: &mut Ctx<'_>) {
        ctx.cancel_timer(Timer::Lease(id));
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let mut kept = Vec::new();
        for (_, Delivery { item, queue, state }) in std::mem::take(&mut session.deliveries) {
            match state {
                DeliveryState::Acking => {} // It is done, whether the client is told or not.
                // Prepared is prepared. Defect JBMESSAGING-1440: it is cancelled like any other.
                DeliveryState::Prepared(number) if !self.shared.defects.jbm_1440 => kept.push((number, queue, item)),
                DeliveryState::Out | DeliveryState::Prepared(_) => self.closing.cancelled.push_back((id, queue, item)),
            }
        }
        // Defect JBMESSAGING-836: the session keeps its lock, and its place, until all are cancelled.
        if self.shared.defects.jbm_836 && !self.closing.cancelled.is_empty() {
            self.closing.locked.insert(id);
        } else {
            self.sessions.remove(&id);
        }
        for (number, queue, item) in kept {
            self.prepared.entry((id, number)).or_default().push((queue, item));
        }
        if !self.closing.cancelled.is_empty() {
            ctx.set_timer(Timer::Closing, self.shared.config.thread_switch);
        }
        self.stop_if_drained(ctx);
    }

    /// Cancels one delivery more.
    pub(super) fn go_on_closing(&mut self, ctx: &mut Ctx<'_>) {
        let Some(&(id, queue, item)) = self.closing.cancelled.front() else { return };
        if self.closing.has_locked(queue) {
            return; // Waits for the queue's lock.
        }
        self.closing.cancelled.pop_front();
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.refs.push_front(item);
        }
        self.replicator.note_returned(queue, &[item]);
        self.flush_replicator(ctx);
        if !self.closing.cancelled.iter().any(|(other, ..)| *other == id) && self.closing.locked.remove(&id) {
            self.sessions.remove(&id);
        }
        if !self.closing.cancelled.is_empty() {
            ctx.set_timer(Timer::Closing, self.shared.config.thread_switch);
        }
        self.deliver(queue, ctx);
        self.stop_if_drained(ctx);
    }
}
