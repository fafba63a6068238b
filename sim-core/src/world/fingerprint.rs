//! What tells the state of one world from that of another.
//!
//! Two worlds are in the same state if nothing that can still happen to them differs. So everything goes into the hash
//! that decides the future, and nothing that only tells of the past: running numbers of events and of places in the
//! queue, causes, slots, the rolling hash. What would only be a cache is left out too; what is a bookmark into the past
//! counts only where somebody still looks there ([`LookBack`]).
//!
//! Times are absolute. A world is not the same as one that does the same a second later: actors hold readings of their
//! clocks, and the run ends at a moment.
//!
//! Computed when asked for and never kept up to date, so that a run that nobody compares pays nothing.

use std::hash::{Hash, Hasher};

use crate::connections::Cargo;
use crate::node::{Input, Node, Waiting};
use crate::queue::{Entry, Event};
use crate::state_hash::{StateHasher, digest, hasher};
use crate::{Actor, Baseline, Fault, LookBack, World};

impl<A: Actor> World<A> {
    /// A hash of the state that the world is in, and of what of the past `back` says that somebody looks at. Two worlds
    /// of one set-up and baseline that have the same fingerprint do the same from here on, at the same times.
    /// [`crate::Run::fingerprint`] is for a world with invariants beside it.
    pub fn fingerprint(&mut self, back: LookBack) -> u64 {
        let mut hash = hasher();
        self.hash_state(back, &mut hash);
        hash.finish()
    }

    /// Adds the state to a hash. Of the past, only what somebody looks back at.
    pub(crate) fn hash_state(&mut self, back: LookBack, hash: &mut StateHasher) {
        // Nothing can look at a moment before this one.
        let soon = self.next_event_at().map_or(u64::MAX, |at| at.as_nanos());
        self.hash_pending(hash);
        self.hash_parts(soon, back, hash);
    }

    /// Everything but what is to happen, from the moment `soon` on.
    pub(super) fn hash_parts(&mut self, soon: u64, back: LookBack, hash: &mut StateHasher) {
        self.nodes.hash_lasting(hash);
        for (number, node) in self.nodes.iter().enumerate() {
            let passing = node.passing(soon, self.schedule.baseline, back);
            if passing != Default::default() {
                (number, passing).hash(hash);
            }
        }
        hash.write_usize(self.nodes.len());
        self.links.hash_state(soon, &self.schedule, hash);
        for (id, pair) in &self.pairs {
            id.hash(hash);
            pair.hash_state(soon, hash);
        }
        self.hash_faults(back, hash);
        if back.marks {
            self.marks.hash(hash);
        }
        if back.notes < usize::MAX {
            hash.write_u64(self.history.digest_from(back.notes));
        }
    }

    /// What is to happen, in the order in which it will.
    fn hash_pending(&mut self, hash: &mut StateHasher) {
        // One number is compared faster than two.
        let place = |time: u64, sequence: u64| u128::from(time) << 64 | u128::from(sequence);
        let mut pending = std::mem::take(&mut self.pending);
        for entry in self.queue.entries() {
            if let Some(what) = self.digest_of(entry) {
                pending.push((place(entry.time, entry.sequence), what));
            }
        }
        // A timer that was armed anew stands where it will fire, not where its old entry still is.
        for (number, node) in self.nodes.iter().enumerate() {
            pending.extend(node.timers.deadlines().map(|(timer, deadline, sequence)| {
                let what = digest((0_u8, number, timer));
                (place(deadline, sequence), what)
            }));
        }
        pending.sort_unstable_by_key(|&(place, _)| place);
        hash.write_usize(pending.len());
        for (place, what) in pending.drain(..) {
            hash.write_u64((place >> 64) as u64);
            hash.write_u64(what);
        }
        self.pending = pending;
    }

    /// What an entry of the queue stands for; `None` if it will not be recognised when it comes up.
    pub(super) fn digest_of(&self, Entry { sequence, event, .. }: Entry) -> Option<u64> {
        match event {
            Event::Flight { slot } => {
                let flight = &self.flights[slot as usize];
                Some(match &flight.cargo {
                    Cargo::Datagram(message) => digest((1_u8, flight.from, flight.to, message)),
                    cargo => digest((2_u8, cargo)),
                })
            }
            Event::Timer { .. } => None,
            Event::Wake { node } => Some(digest((3_u8, node))),
            Event::Start { node } => Some(digest((4_u8, node))),
            Event::Synced { node } => {
                let place = self.nodes[node].disk.place_of_sync(sequence)?;
                Some(digest((5_u8, node, place)))
            }
            Event::Job { node, slot } => {
                let job = self.nodes[node].jobs.get(slot as usize)?;
                (job.sequence == sequence).then(|| digest((6_u8, node, job.timer)))
            }
            Event::FaultBegins { fault } => {
                let planned = &self.schedule.faults.faults[fault as usize];
                Some(digest((7_u8, &planned.fault, planned.hold)))
            }
            Event::FaultEnds { fault } => {
                let (state, planned) = (self.plan.look(fault), &self.schedule.faults.faults[fault as usize]);
                let recognised = match planned.fault {
                    Fault::Crash { node } | Fault::Pause { node } => state.incarnation == self.nodes[node].incarnation,
                    _ => true,
                };
                Some(digest((8_u8, &planned.fault, state.active, recognised)))
            }
        }
    }

    /// How far the plan is: what is in force, what waits for something, and what became of the rest.
    fn hash_faults(&self, back: LookBack, hash: &mut StateHasher) {
        let plan = &self.plan;
        for (index, planned) in self.schedule.faults.faults.iter().enumerate() {
            let state = plan.look(index as u32);
            if state.active {
                (1_u8, &planned.fault).hash(hash);
            }
            if let Some(seen) = plan.marks_seen(index as u32, &planned.trigger) {
                (2_u8, index, seen).hash(hash);
            }
            if back.fired && state.fired.count > 0 {
                (3_u8, &planned.fault, state.fired).hash(hash);
            }
        }
        for (number, index) in plan.waiting_for_events() {
            let planned = &self.schedule.faults.faults[index as usize];
            // Such a fault strikes at the time of the event before it.
            (4_u8, self.now, number - self.events, &planned.fault, planned.hold).hash(hash);
        }
        if back.quiet {
            plan.quiet_since().hash(hash);
        }
    }
}

impl<A: Actor> Node<A> {
    /// A hash of what nothing but an event at the node changes.
    pub(crate) fn lasting_hash(&mut self) -> u64 {
        let mut lasting = hasher();
        let hash = &mut lasting;
        self.actor.hash(hash);
        let flags = [self.host_down, self.powered_off, self.wake_scheduled, self.listening];
        (flags, self.pauses, self.slow_by, self.clock, self.counters).hash(hash);
        hash.write_usize(self.inbox.len());
        for Waiting { input, .. } in self.inbox.iter() {
            match input {
                Input::Message { from, message, via } => (0_u8, from, message, via).hash(hash),
                Input::Timer(due) => (1_u8, self.timers.still_due(*due)).hash(hash),
                Input::Job(timer) => (2_u8, timer).hash(hash),
                Input::Connection { peer, event } => (3_u8, peer, event).hash(hash),
                Input::Synced { token, ok } => (4_u8, token, ok).hash(hash),
                Input::Command(id) => (5_u8, id).hash(hash),
            }
        }
        // Which timers are armed, in no order: when they fire is told with all that is to happen.
        hash.write_u64(self.timers.armed().map(digest).fold(0, u64::wrapping_add));
        self.connections.hash(hash);
        self.disk.hash_lasting(hash);
        lasting.finish()
    }

    /// What else decides what becomes of the node from the moment `soon` on; zeros for most nodes at most times.
    fn passing(&self, soon: u64, baseline: Baseline, back: LookBack) -> (u32, u64, (u64, u32, u32)) {
        let incarnation = if back.incarnations { self.incarnation } else { 0 };
        // Being busy until before anything can happen is being free.
        let busy_until = if self.busy_until > soon { self.busy_until } else { 0 };
        (incarnation, busy_until, self.disk.passing(soon, baseline))
    }
}

impl<M: Hash> Hash for Cargo<M> {
    fn hash<H: Hasher>(&self, hash: &mut H) {
        match self {
            Cargo::Datagram(message) => (0_u8, message).hash(hash),
            Cargo::Packet { id, sender, packet } => (1_u8, id, sender, packet).hash(hash),
            Cargo::Ack { id, sender, bytes } => (2_u8, id, sender, bytes).hash(hash),
            Cargo::Broken { id, receiver, reason } => (3_u8, id, receiver, reason).hash(hash),
            Cargo::Patience { id, sender, silent_since } => (4_u8, id, sender, silent_since).hash(hash),
        }
    }
}
