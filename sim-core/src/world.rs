//! The event loop.

use std::sync::Arc;

use crate::history::History;
use crate::trace::Trace;
use crate::{Actor, Connection, Fired, HostId, Instant, NodeId, Schedule, Setup, Touched};

/// A cluster in the middle of a run.
#[derive(Clone)]
pub struct World<A: Actor> {
    setup: Arc<Setup<A>>,
}

#[allow(missing_docs, unused_variables)]
impl<A: Actor> World<A> {
    pub fn new(setup: &Arc<Setup<A>>, schedule: &Arc<Schedule>) -> Self {
        todo!()
    }
    /// Records everything from here on.
    pub fn record(&mut self) {
        todo!()
    }
    pub fn trace(&self) -> Option<&Trace> {
        todo!()
    }
    /// Handles the next event. None if it was only bookkeeping.
    pub fn step(&mut self) -> Option<Touched> {
        todo!()
    }
    pub fn next_event_at(&self) -> Option<Instant> {
        todo!()
    }
    pub fn advance_to(&mut self, at: Instant) {
        todo!()
    }
    pub fn now(&self) -> Instant {
        todo!()
    }
    pub fn events(&self) -> u64 {
        todo!()
    }
    pub fn trace_hash(&self) -> u64 {
        todo!()
    }
    /// The node whose handler is running or ran last.
    pub fn handling(&self) -> Option<NodeId> {
        todo!()
    }
    pub fn setup(&self) -> &Setup<A> {
        &self.setup
    }
    pub fn schedule(&self) -> &Schedule {
        todo!()
    }
    /// Number of nodes and iteration.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<A> {
        self.setup.node_ids()
    }
    /// The actor of a node whose process is up (paused counts as up).
    pub fn actor(&self, node: NodeId) -> Option<&A> {
        todo!()
    }
    pub fn is_up(&self, node: NodeId) -> bool {
        todo!()
    }
    pub fn is_paused(&self, node: NodeId) -> bool {
        todo!()
    }
    /// All that is on a node's disk, unsynced writes included, oldest first.
    pub fn disk(&self, node: NodeId) -> impl Iterator<Item = &A::Record> {
        std::iter::empty()
    }
    /// What would survive a crash now.
    pub fn durable(&self, node: NodeId) -> impl Iterator<Item = &A::Record> {
        std::iter::empty()
    }
    pub fn connections(&self, node: NodeId) -> &[Connection] {
        todo!()
    }
    /// Timers armed at a node.
    pub fn timers(&self, node: NodeId) -> Vec<A::Timer> {
        todo!()
    }
    /// Jobs running at a node.
    pub fn jobs(&self, node: NodeId) -> usize {
        todo!()
    }
    pub fn history(&self) -> &History {
        todo!()
    }
    /// How often each mark was set by any node, sorted by name.
    pub fn marks(&self) -> &[(&'static str, u64)] {
        todo!()
    }
    /// How often one mark was set.
    pub fn mark_count(&self, name: &str) -> u64 {
        todo!()
    }
    /// What became of each planned fault (id, kind, fired), in the order of the plan.
    pub fn fired(&self) -> Vec<(u32, &'static str, Fired)> {
        todo!()
    }
    /// Since when nothing is going on any more: no fault is in force that will end by itself and none is still to come at a known time.
    /// None while that is not so.
    pub fn quiet_since(&self) -> Option<Instant> {
        todo!()
    }
    /// Whether messages from one node to the other are cut now.
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        todo!()
    }
    pub fn hosts(&self, node: NodeId) -> HostId {
        self.setup.nodes[node.index()].host
    }
}
