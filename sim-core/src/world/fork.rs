//! What a search does to a world between two events: it plans one more fault, or decides what becomes of a message.
//!
//! Both go into the world's own schedule, so that what a search has found is a schedule like any other: whoever runs that
//! from the start comes to the same.

use std::sync::Arc;

use crate::copy::copy_shared;
use crate::links::Passage;
use crate::queue::Event;
use crate::world::glances::Glances;
use crate::{Actor, Deviation, Fault, Instant, Moment, NodeId, PlannedFault, Site, Trigger, World};

/// A message that a world has just sent, as its link knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub from: NodeId,
    pub to: NodeId,
    pub moment: Moment,
}

impl<A: Actor> Clone for World<A> {
    fn clone(&self) -> Self {
        World {
            setup: self.setup.clone(),
            schedule: self.schedule.clone(),
            now: self.now,
            queue: self.queue.clone(),
            nodes: self.nodes.clone(),
            links: self.links.clone(),
            flights: self.flights.clone(),
            pairs: self.pairs.clone(),
            randomness: self.randomness.clone(),
            plan: self.plan.clone(),
            events: self.events,
            hash: self.hash,
            history: self.history.clone(),
            marks: self.marks.clone(),
            handling: self.handling,
            effects: Vec::new(),
            pending: Vec::new(),
            recorder: self.recorder.clone(),
            glances: Glances::default(),
            hosted: self.hosted,
            // Nobody else brings about what happens in a copy.
            followed: None,
        }
    }

    fn clone_from(&mut self, source: &Self) {
        self.nodes.clone_from(&source.nodes);
        self.copy_all_but_nodes(source);
    }
}

impl<A: Actor> World<A> {
    /// Makes this world equal to one that it was a copy of, and which has not changed since.
    pub(crate) fn restore(&mut self, source: &Self) {
        self.nodes.restore(&source.nodes);
        self.copy_all_but_nodes(source);
    }

    fn copy_all_but_nodes(&mut self, source: &Self) {
        // All of them, or this does not compile.
        let World {
            setup,
            schedule,
            now,
            queue,
            nodes: _,
            links,
            flights,
            pairs,
            randomness,
            plan,
            events,
            hash,
            history,
            marks,
            handling,
            effects: _,
            pending: _,
            recorder,
            glances: _,
            hosted,
            followed: _,
        } = source;
        self.setup.clone_from(setup);
        // Whoever places faults has a schedule of its own.
        copy_shared(&mut self.schedule, schedule);
        self.queue.clone_from(queue);
        self.links.clone_from(links);
        self.flights.clone_from(flights);
        self.pairs.clone_from(pairs);
        self.randomness.clone_from(randomness);
        self.plan.clone_from(plan);
        self.history.clone_from(history);
        self.marks.clone_from(marks);
        self.recorder.clone_from(recorder);
        (self.now, self.events, self.hash, self.handling) = (*now, *events, *hash, *handling);
        self.hosted = *hosted;
        // A handler that panicked may have left some.
        self.effects.clear();
    }

    /// Plans a fault that strikes before anything else does that is still to come: at the time of the next event. `first`
    /// says that nothing has happened at that instant yet but faults that were planned like this one.
    ///
    /// # Panics
    /// If nothing is to come.
    pub(crate) fn strike_next(&mut self, fault: Fault, hold: Option<std::time::Duration>, first: bool) {
        let next = self.next_event_at().expect("a fault is planned before an event");
        let number = self.events + 1;
        let trigger = if first { Trigger::At(next) } else { Trigger::OnEvent(number) };
        let faults = &mut Arc::make_mut(&mut self.schedule).faults.faults;
        let id = faults.iter().map(|planned| planned.id + 1).max().unwrap_or(0);
        let index = faults.len() as u32;
        faults.push(PlannedFault { id, trigger, fault, hold });
        self.plan.add();
        if first {
            self.plan.at_known_time();
            // In front of all that was scheduled for that time since the run began.
            self.queue.push_at(next.as_nanos(), 0, Event::FaultBegins { fault: index });
        } else {
            self.plan.on_event(number, index);
        }
    }

    /// Decides what becomes of a message that is still to be sent.
    pub(crate) fn deviate(&mut self, sent: Sent, deviation: Deviation) {
        let site = Site::Link(sent.from, sent.to);
        Arc::make_mut(&mut self.schedule).deviations.insert(site, sent.moment, deviation);
        self.links.expect_deviation(sent.from, sent.to);
    }

    /// The messages that have been sent since this world was a clone of `before`, which is a step ago.
    pub(crate) fn sent_since(&self, before: &Self) -> Vec<Sent> {
        let at = Instant::from_nanos(self.now);
        let grown = self.links.grown_since(&before.links);
        grown
            .flat_map(|(from, to, ordinals)| {
                ordinals.map(move |ordinal| Sent { from, to, moment: Moment { at, ordinal } })
            })
            .collect()
    }

    /// How long a message from one node to another takes if nothing befalls it.
    pub(crate) fn calm_latency(&self, from: NodeId, to: NodeId) -> std::time::Duration {
        match self.links.calm_passage(from, to) {
            Passage::Once(latency) | Passage::Twice(latency, _) => std::time::Duration::from_nanos(latency),
            Passage::Lost => self.setup.network.retransmission_timeout,
        }
    }

    /// Whether a fault would have an effect if it struck now.
    pub(crate) fn would_strike(&self, fault: &Fault) -> bool {
        match fault {
            Fault::Crash { node } => self.is_up(*node),
            Fault::Pause { node } => self.is_up(*node) && !self.is_paused(*node),
            Fault::Cut { .. } | Fault::OneWay { .. } | Fault::Partition { .. } => {
                let mut any = false;
                fault.cut_links(|from, to| any |= !self.links.is_cut(from, to));
                any
            }
            _ => true,
        }
    }

    /// Whether the next entry of the queue is known to be one that no longer means anything.
    pub(crate) fn next_is_void(&self) -> bool {
        match self.queue.peek() {
            Some(entry) => match entry.event {
                Event::Timer { node, slot } => !self.nodes[node].timers.is_due(slot, entry.sequence),
                _ => false,
            },
            None => true,
        }
    }
}
