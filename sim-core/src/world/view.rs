//! What can be seen of a world from outside: by invariants, searches and reports.

use crate::history::History;
use crate::trace::{Entry, Fate, Recorder, Trace, What};
use crate::world::glances::Past;
use crate::{
    Actor, Baseline, Connection, Deviation, Deviations, Fired, HostId, Instant, Kind, LocalClock, Moment, NodeId,
    Schedule, Setup, Site, World,
};

impl<A: Actor> World<A> {
    /// The world's true time.
    #[inline]
    pub fn now(&self) -> Instant {
        Instant::from_nanos(self.now)
    }

    /// When the next event will happen; `None` if nothing is left to happen.
    #[inline]
    pub fn next_event_at(&self) -> Option<Instant> {
        if self.events + 1 >= self.plan.next_on_event {
            return Some(self.now());
        }
        self.queue.next_time().map(Instant::from_nanos)
    }

    /// How many events have happened: calls of handlers, and beginnings and ends of faults.
    #[inline]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The rolling hash of everything that has happened.
    pub fn trace_hash(&self) -> u64 {
        self.hash.value()
    }

    /// The node whose handler is running or ran last; `None` if it was a fault.
    pub fn handling(&self) -> Option<NodeId> {
        self.handling
    }

    /// What the world is made of.
    pub fn setup(&self) -> &Setup<A> {
        &self.setup
    }

    /// What decides how it goes.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// All nodes.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<A> {
        self.setup.node_ids()
    }

    /// The actor of a node whose process is up; a paused process is up.
    #[inline]
    pub fn actor(&self, node: NodeId) -> Option<&A> {
        self.nodes[node].actor.as_ref()
    }

    /// Whether a node's process is up.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes[node].actor.is_some()
    }

    /// Whether a node's machine has power; only a power board ([`crate::Context::power_off`]) takes it away.
    pub fn has_power(&self, node: NodeId) -> bool {
        !self.nodes[node].powered_off
    }

    /// Whether a node's process is paused.
    pub fn is_paused(&self, node: NodeId) -> bool {
        self.nodes[node].pauses > 0
    }

    /// Counts the starts and stops of a node's process: tells one process of a node from the next.
    pub fn incarnation(&self, node: NodeId) -> u32 {
        self.glances.note(Past::Incarnations);
        self.nodes[node].incarnation
    }

    /// A node's clocks; `world.clock(node).now(world.now())` is what its process would read at this moment.
    pub fn clock(&self, node: NodeId) -> LocalClock {
        self.nodes[node].clock
    }

    /// All that is on a node's disk, unsynced writes included, oldest first.
    pub fn disk(&self, node: NodeId) -> impl Iterator<Item = &A::Record> {
        self.nodes[node].disk.all()
    }

    /// What of a node's disk is sure to survive a crash, oldest first.
    pub fn durable(&self, node: NodeId) -> impl Iterator<Item = &A::Record> {
        self.nodes[node].disk.durable()
    }

    /// A node's ends of its connections, oldest first.
    pub fn connections(&self, node: NodeId) -> &[Connection] {
        &self.nodes[node].connections
    }

    /// The timers that are armed at a node, jobs not included.
    pub fn timers(&self, node: NodeId) -> Vec<A::Timer> {
        self.nodes[node].timers.armed().collect()
    }

    /// How many helper threads are at work at a node.
    pub fn jobs(&self, node: NodeId) -> usize {
        self.nodes[node].jobs.len()
    }

    /// How many events wait for a node's process to be free.
    pub fn waiting(&self, node: NodeId) -> usize {
        self.nodes[node].inbox.len()
    }

    /// What clients have asked for and been told.
    pub fn history(&self) -> &History {
        self.glances.note(Past::Notes);
        &self.history
    }

    /// How often each mark has been set, by any node; sorted by name.
    pub fn marks(&self) -> &[(&'static str, u64)] {
        self.glances.note(Past::Marks);
        &self.marks
    }

    /// How often one mark has been set, by any node.
    pub fn mark_count(&self, name: &str) -> u64 {
        self.glances.note(Past::Marks);
        self.marks.binary_search_by_key(&name, |&(name, _)| name).map_or(0, |at| self.marks[at].1)
    }

    /// What became of each planned fault so far, in the order of the plan: id, kind, effect.
    pub fn fired(&self) -> Vec<(u32, &'static str, Fired)> {
        self.glances.note(Past::Fired);
        let faults = self.schedule.faults.faults.iter().enumerate();
        faults.map(|(index, fault)| (fault.id, fault.fault.kind(), self.plan.fired(index))).collect()
    }

    /// Since when nothing is being broken or mended: the last time that a fault began, took effect or ended, if no
    /// beginning or end is still to come at a known time. Faults without an end count as a state, not as activity;
    /// so do those that wait for a mark or a message that may never come.
    pub fn quiet_since(&self) -> Option<Instant> {
        self.glances.note(Past::Quiet);
        self.quiet()
    }

    /// The same, for who looks at it and whose future does not depend on it.
    pub(crate) fn quiet(&self) -> Option<Instant> {
        self.plan.quiet_since()
    }

    /// Whether what is sent from one node to another is cut off at present.
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.links.is_cut(from, to)
    }

    /// The machine that a node runs on.
    pub fn host(&self, node: NodeId) -> HostId {
        self.setup.nodes[node.index()].host
    }

    /// Records everything from here on. A recorded run takes the same course, more slowly.
    pub fn record(&mut self) {
        let roles = self.nodes.iter().map(|node| node.actor.as_ref().map_or("", A::role)).collect();
        let recorder = self.recorder.get_or_insert_with(|| Box::new(Recorder::new(None, roles)));
        recorder.trace.get_or_insert_default();
    }

    /// Notes from here on what chance decides, and nothing else: a fraction of the cost of [`World::record`].
    pub fn observe(&mut self) {
        self.recorder.get_or_insert_with(|| Box::new(Recorder::new(None, Vec::new())));
    }

    /// Whether everything is being recorded.
    pub(super) fn is_recording(&self) -> bool {
        self.recorder.as_ref().is_some_and(|recorder| recorder.trace.is_some())
    }

    /// What has been recorded; `None` if nothing is.
    pub fn trace(&self) -> Option<&Trace> {
        self.recorder.as_ref().and_then(|recorder| recorder.trace.as_ref())
    }

    /// How the recorded part of the run differed from a calm one: on a calm baseline with these deviations it takes
    /// the same course. `None` if nothing is recorded.
    pub fn observed_deviations(&self) -> Option<&Deviations> {
        self.recorder.as_ref().map(|recorder| &recorder.deviations)
    }

    /// Every send, sync and crash of the recorded part of the run that could have gone otherwise, in order. `None` if
    /// nothing is recorded.
    pub fn observed_decisions(&self) -> Option<&[(Site, Moment)]> {
        self.recorder.as_ref().map(|recorder| &*recorder.decisions)
    }

    /// The run so far as a schedule that leaves nothing to chance: on a calm baseline, with every deviation from it,
    /// every moment of a fault and every number that a node drew. It takes the same course, whatever the generator of
    /// random numbers. `None` if the run was not recorded, which must be from its beginning.
    pub fn explicit_schedule(&self) -> Option<Schedule> {
        let deviations = self.recorder.as_ref()?.deviations.clone();
        let mut randomness = self.randomness.clone();
        let drawn = |node: NodeId| (node, self.nodes[node].counters.random.so_far(node, &mut randomness));
        let draws = self.node_ids().map(drawn).filter(|(_, draws)| !draws.is_empty()).collect();
        Some(Schedule { baseline: Baseline::Calm, deviations, draws, ..self.schedule.with_moments() })
    }

    /// Records something that the present event brought about.
    #[inline]
    pub(super) fn record_what(&mut self, what: What) {
        self.record_caused(self.events, || what);
    }

    /// Records something that an earlier event caused.
    #[inline]
    pub(super) fn record_caused(&mut self, cause: u64, what: impl FnOnce() -> What) {
        let (event, at) = (self.events, self.now());
        if let Some(trace) = self.recorder.as_mut().and_then(|recorder| recorder.trace.as_mut()) {
            trace.entries.push(Entry { event, at, cause, what: what() });
        }
    }

    pub(super) fn record_role(&mut self, node: NodeId) {
        let to = self.nodes[node].actor.as_ref().map_or("", A::role);
        let Some(recorder) = self.recorder.as_mut().filter(|recorder| recorder.trace.is_some()) else { return };
        let from = std::mem::replace(&mut recorder.roles[node.index()], to);
        if from != to {
            self.record_what(What::Role { node, from, to });
        }
    }

    pub(super) fn record_sent(&mut self, from: NodeId, to: NodeId, message: &A::Message, connection: bool, fate: Fate) {
        if !self.is_recording() {
            return;
        }
        let (kind, message) = (message.kind(), format!("{message:?}"));
        self.record_what(What::Sent { from, to, kind, message, connection, fate });
    }

    pub(super) fn record_deviation(&mut self, site: Site, moment: Moment, deviation: Option<Deviation>) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.decisions.push((site, moment));
        if let Some(deviation) = deviation {
            recorder.deviations.insert(site, moment, deviation);
        }
    }

    #[cold]
    pub(super) fn undeliverable(&mut self, from: NodeId, to: NodeId, message: &A::Message, cause: u64) {
        self.hash.add(10 << 32 | u64::from(to.0) << 16 | u64::from(from.0));
        let kind = message.kind();
        self.record_caused(cause, || What::Undeliverable { from, to, kind });
    }
}
