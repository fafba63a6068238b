//! What an exploration may break, and when.

use std::time::Duration;

use crate::{Fault, Instant, NodeId};

/// What an exploration tries at every place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Menu {
    /// Faults that strike before an event, each with how long it holds.
    pub faults: Vec<(Fault, Option<Duration>)>,
    /// What becomes of single messages.
    pub messages: MessageMenu,
    /// From when to when something breaks; the end is not part of it. What breaks within it may hold longer.
    pub window: Option<(Instant, Instant)>,
}

/// What an exploration does to a message, at the moment when it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageMenu {
    /// It is lost; on a connection, it is sent again after the retransmission timeout.
    pub lost: bool,
    /// It takes this much longer than it would have, once for each of these.
    pub late: Vec<Duration>,
    /// Only messages from or to one of these nodes; all if empty.
    pub nodes: Vec<NodeId>,
    /// Only messages of these kinds, if it is not empty. What a machine sends by itself to open or close a connection is
    /// of no kind.
    pub kinds: Vec<&'static str>,
}

impl MessageMenu {
    pub(super) fn is_empty(&self) -> bool {
        !self.lost && self.late.is_empty()
    }
}

impl Menu {
    pub(super) fn is_open(&self, at: Instant) -> bool {
        self.window.is_none_or(|(from, to)| from <= at && at < to)
    }

    pub(super) fn is_over(&self, at: Instant) -> bool {
        self.window.is_some_and(|(_, to)| to <= at)
    }
}
