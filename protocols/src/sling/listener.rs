//! Listeners, and the one thread that calls them: separate from who decides what they are told, because most of what
//! goes wrong happens while an event is on its way.

use std::collections::VecDeque;
use std::sync::Arc;

use super::view::TopologyView;

/// Names a listener of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

/// What a listener is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// TOPOLOGY_INIT: the first topology.
    Init,
    /// TOPOLOGY_CHANGING: the topology is not current any more.
    Changing,
    /// TOPOLOGY_CHANGED: there is another one.
    Changed,
    /// PROPERTIES_CHANGED: the same, but for its members' properties.
    Properties,
}

/// An event as a listener got it.
#[derive(Clone, Debug, Hash)]
pub struct Heard {
    /// Which binding of the listener it came by; every activation of discovery binds anew.
    pub binding: u32,
    /// What it was told.
    pub kind: EventKind,
    /// The topology that comes with it; with TOPOLOGY_CHANGING, the one that it is about.
    pub view: Arc<TopologyView>,
    /// With TOPOLOGY_CHANGING, what discovery saw instead; `None` if it saw no topology at all.
    pub instead: Option<Arc<TopologyView>>,
    /// Whether it was still registered.
    pub registered: bool,
}

/// A listener.
#[derive(Clone, Debug, Hash)]
pub struct Listener {
    /// Its name.
    pub id: ListenerId,
    /// Whether its owner has it registered.
    pub registered: bool,
    /// Whether discovery has it in its list.
    pub bound: bool,
    /// Whether TOPOLOGY_INIT is on its way to it or has come.
    pub initialized: bool,
    /// Counts how often discovery has bound it.
    pub binding: u32,
    /// What it may take for the current topology: from when it is called with one until it returns from
    /// TOPOLOGY_CHANGING.
    pub current: Option<Arc<TopologyView>>,
    /// All that it has been told.
    pub heard: Vec<Heard>,
}

impl Listener {
    pub(super) fn new(id: ListenerId) -> Self {
        Listener { id, registered: true, bound: true, initialized: false, binding: 0, current: None, heard: Vec::new() }
    }

    /// Discovery lets go of it.
    pub(super) fn reset(&mut self) {
        self.initialized = false;
        self.binding += 1;
        self.current = None;
    }
}

/// What listeners are to be told.
#[derive(Clone, Debug, Hash)]
pub(super) struct Event {
    pub kind: EventKind,
    pub view: Arc<TopologyView>,
    /// As in [`Heard::instead`].
    pub instead: Option<Arc<TopologyView>>,
}

/// An entry of the sender's queue.
#[derive(Clone, Debug, Hash)]
pub(super) enum Queued {
    /// An event for one listener.
    Event(ListenerId, Event),
    /// Everything in front of it has been heard: the sync of this view may begin.
    FlushMarker { view: Arc<TopologyView>, modifications: u64 },
}

/// A call of a listener that has not returned.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Call {
    pub to: ListenerId,
    pub kind: EventKind,
    pub binding: u32,
}

/// The thread that calls listeners, one event after the other.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Sender {
    pub queue: VecDeque<Queued>,
    pub call: Option<Call>,
    /// Whether the next event will take its listener long.
    pub stall: bool,
}
