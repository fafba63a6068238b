//! A client's session as its server has it: the objects, and the delivery list.

use std::collections::{BTreeMap, BTreeSet};

use sim_core::{ConnectionId, Instant, NodeId};

use super::message::{DeliveryId, Item, Object, QueueId, SessionId};

/// A session.
#[derive(Clone, Debug, Hash)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The client's connection; `None` while it is lost and the lease runs.
    pub connection: Option<ConnectionId>,
    /// When the client was last heard, on the server's clock.
    pub heard: Instant,
    /// The server that the client was connected to before that one failed.
    pub home: Option<NodeId>,
    /// What the client has made.
    pub objects: BTreeSet<Object>,
    /// Whether messages are delivered to its consumer.
    pub started: bool,
    /// Whether its consumer is being closed.
    pub closing: bool,
    /// Where the client is being moved to: nothing more is delivered until it is there.
    pub moving: Option<NodeId>,
    /// The delivery list.
    pub deliveries: BTreeMap<DeliveryId, Delivery>,
    /// The next delivery's id.
    pub next: DeliveryId,
}

/// A message that was delivered and is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// The message.
    pub item: Item,
    /// The queue that it is of.
    pub queue: QueueId,
    /// What has become of it.
    pub state: DeliveryState,
}

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// The client has it, or will.
    Out,
    /// The client has acknowledged it, which is being stored.
    Acking,
    /// Its acknowledgement is part of a prepared transaction.
    Prepared(u64),
}

impl Session {
    /// A session without anything.
    pub fn new(id: SessionId, now: Instant) -> Self {
        Session {
            id,
            connection: None,
            heard: now,
            home: None,
            objects: BTreeSet::new(),
            started: false,
            closing: false,
            moving: None,
            deliveries: BTreeMap::new(),
            next: 1,
        }
    }

    /// The queue that its consumer is of, if it has one.
    pub fn consumes(&self) -> Option<QueueId> {
        self.objects.iter().find_map(|object| match object {
            Object::Consumer(queue) => Some(*queue),
            _ => None,
        })
    }

    /// Whether another message of the queue may be delivered to it.
    pub fn takes(&self, queue: QueueId, prefetch: usize) -> bool {
        self.consumes() == Some(queue)
            && self.started
            && !self.closing
            && self.moving.is_none()
            && self.connection.is_some()
            && self.deliveries.len() < prefetch
    }
}
