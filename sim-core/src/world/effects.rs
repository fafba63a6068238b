//! Carrying out what a handler asked for.

use crate::connections::{Cargo, Flight};
use crate::history::{Note, Operation};
use crate::links::{Action, Passage};
use crate::node::Job;
use crate::queue::Event;
use crate::schedule::scaled;
use crate::time::nanos;
use crate::trace::{Fate, What};
use crate::{Actor, Baseline, Deviation, Effect, Instant, Kind, Moment, NodeId, Site, SyncToken, Touched, World};

impl<A: Actor> World<A> {
    /// Empties the list of effects that the last handler filled, and says which nodes have changed.
    #[inline]
    pub(super) fn carry_out(&mut self, node: NodeId) -> Touched {
        if self.followed.is_some() {
            self.carry_out_elsewhere(node);
        }
        let mut effects = std::mem::take(&mut self.effects);
        self.hash.add(effects.len() as u64);
        let mut halt = false;
        let mut touched = Touched::Node(node);
        for effect in effects.drain(..) {
            match effect {
                Effect::Halt => halt = true,
                Effect::Power { .. } => touched = Touched::Any,
                _ => {}
            }
            self.effect(node, effect);
        }
        self.effects = effects;
        if halt {
            self.stop(node, Stop::Halt);
        }
        let state = &mut self.nodes[node];
        if state.slow_by > 0 && state.actor.is_some() {
            state.busy_until = state.busy_until.max(self.now) + state.slow_by;
        }
        touched
    }

    #[inline]
    fn effect(&mut self, node: NodeId, effect: Effect<A>) {
        let now = self.now;
        match effect {
            Effect::Send { to, message } => self.send_datagram(node, to, message),
            Effect::SetTimer(timer, after) => {
                let state = &mut self.nodes[node];
                let deadline = Instant::from_nanos(now) + state.clock.world_duration(after);
                state.timers.set(node, timer, deadline, self.events, &mut self.queue);
            }
            Effect::CancelTimer(timer) => self.nodes[node].timers.cancel(timer),
            Effect::Connect { peer, id } => self.open_connection(node, peer, id),
            Effect::SendOn { id, message } => self.send_on_connection(node, id, message),
            Effect::Close(id) => self.close_connection(node, id),
            Effect::Listen(accept) => self.nodes[node].listening = accept,
            Effect::Write(record) => self.nodes[node].disk.append(record),
            Effect::Truncate => self.nodes[node].disk.truncate(),
            Effect::Sync(token) => self.begin_sync(node, token),
            Effect::Busy(duration) => {
                let state = &mut self.nodes[node];
                state.busy_until = state.busy_until.max(now).saturating_add(nanos(duration));
            }
            Effect::RunJob(duration, timer) => {
                let state = &mut self.nodes[node];
                let ends = Instant::from_nanos(now) + state.clock.world_duration(duration);
                let entry = state.jobs.vacant_entry();
                let slot = entry.key() as u32;
                let sequence = self.queue.push(ends.as_nanos(), Event::Job { node, slot });
                entry.insert(Job { timer, sequence, cause: self.events });
            }
            Effect::Mark(name) => self.mark(node, name),
            Effect::Record(operation) => self.note(node, operation),
            Effect::Halt => {} // After everything else that the handler asked for.
            Effect::Power { node: machine, on } => {
                assert!(machine != node, "{node} switches its own power; a board is a node of its own");
                self.power(machine, on);
            }
        }
    }

    fn send_datagram(&mut self, from: NodeId, to: NodeId, message: A::Message) {
        assert!(to.index() < self.nodes.len(), "{from} sends to {to}, which is not in the set-up");
        let (drawn, moment) = self.links.decide(from, to, self.now, &self.schedule, &mut self.randomness);
        let rule = self.links.rule_for(message.kind(), from, to);
        let mut passage = drawn;
        if let Some((fault, action)) = rule {
            self.plan.fire(fault, Instant::from_nanos(self.now));
            match action {
                Action::Drop => passage = Passage::Lost,
                Action::Delay(by) => passage = passage.later(by),
            }
        }
        let cut = self.links.is_cut(from, to) && !self.hosted;
        if self.recorder.is_some() {
            let deviation = drawn.deviation_from(self.links.calm_passage(from, to));
            self.record_deviation(Site::Link(from, to), moment, deviation);
            let fate = match (rule, cut, passage) {
                (Some((fault, Action::Drop)), ..) => Fate::Dropped { fault: self.fault_id(fault) },
                (_, true, _) => Fate::Cut,
                (_, _, Passage::Lost) => Fate::Lost,
                _ if self.hosted => Fate::Waits,
                (_, _, Passage::Once(latency)) => Fate::Arrives(vec![Instant::from_nanos(self.now + latency)]),
                (_, _, Passage::Twice(a, b)) => {
                    Fate::Arrives([a, b].map(|latency| Instant::from_nanos(self.now + latency)).to_vec())
                }
            };
            self.record_sent(from, to, &message, false, fate);
        }
        if cut {
            self.hash.add(u64::from(to.0));
            return;
        }
        let sent = self.links.put_on_wire(from, to, message.bytes(), self.now, &self.setup.network);
        match passage {
            Passage::Lost => {}
            Passage::Once(latency) => {
                self.fly(sent + latency, Flight { from, to, cause: self.events, cargo: Cargo::Datagram(message) });
            }
            Passage::Twice(first, second) => {
                let copy = Flight { from, to, cause: self.events, cargo: Cargo::Datagram(message.clone()) };
                self.fly(sent + first, Flight { from, to, cause: self.events, cargo: Cargo::Datagram(message) });
                self.fly(sent + second, copy);
            }
        }
    }

    /// Puts something on its way.
    #[inline]
    pub(super) fn fly(&mut self, arrival: u64, flight: Flight<A::Message>) {
        let slot = self.flights.insert(flight) as u32;
        self.queue.push(arrival, Event::Flight { slot });
    }

    fn begin_sync(&mut self, node: NodeId, token: SyncToken) {
        if self.followed.is_some() {
            // A real disk says when it ends.
            self.nodes[node].disk.begin_sync(token, self.events, token.0);
            return;
        }
        let (shortest, longest) = self.setup.disk.sync;
        let span = nanos(longest).saturating_sub(nanos(shortest));
        let disk = &mut self.nodes[node].disk;
        let number = disk.decisions;
        disk.decisions += 1;
        let moment = Moment { at: Instant::from_nanos(self.now), ordinal: disk.ordinal_at(self.now) };
        let calm = nanos(shortest) + scaled(1 << 31, span);
        let drawn = match self.schedule.baseline {
            Baseline::Calm => calm,
            Baseline::Seeded => nanos(shortest) + scaled(self.randomness.draw(Site::Disk(node), number)[0], span),
        };
        let deviation = match self.schedule.deviations.is_empty() {
            true => None,
            false => self.schedule.deviations.get(Site::Disk(node), moment),
        };
        let latency = match deviation {
            Some(Deviation::Delayed(latency)) => nanos(latency),
            _ => drawn,
        };
        let ends = disk.busy_until.max(self.now + latency + disk.slow_by);
        disk.busy_until = ends;
        let sequence = self.queue.push(ends, Event::Synced { node });
        disk.begin_sync(token, self.events, sequence);
        if self.recorder.is_some() {
            let deviation = (latency != calm).then(|| Deviation::Delayed(std::time::Duration::from_nanos(latency)));
            self.record_deviation(Site::Disk(node), moment, deviation);
        }
    }

    fn mark(&mut self, node: NodeId, name: &'static str) {
        self.hash.add_text(name);
        match self.marks.binary_search_by_key(&name, |&(name, _)| name) {
            Ok(at) => self.marks[at].1 += 1,
            Err(at) => self.marks.insert(at, (name, 1)),
        }
        self.record_what(What::Mark { node, name });
        if self.plan.waits_for_mark {
            let (now, queue) = (Instant::from_nanos(self.now), &mut self.queue);
            self.plan.on_mark(&self.schedule, name, node, |fault, plus| {
                queue.push((now + plus).as_nanos(), Event::FaultBegins { fault });
            });
        }
    }

    fn note(&mut self, client: NodeId, operation: Operation) {
        self.history.push(Note { at: Instant::from_nanos(self.now), client, operation });
        self.record_what(What::Operation { node: client, operation });
    }

    /// A power board switches a machine.
    fn power(&mut self, node: NodeId, on: bool) {
        let state = &mut self.nodes[node];
        let was_off = std::mem::replace(&mut state.powered_off, !on);
        match on {
            true if was_off => _ = self.queue.push(self.now, Event::Start { node }),
            true => {}
            false => {
                self.does_not_start(node);
                self.stop(node, Stop::HostFailure);
                // Also if its process had died before: its machine has answered for it until now.
                self.nodes[node].host_down = true;
            }
        }
    }

    /// A process ends.
    pub(super) fn stop(&mut self, node: NodeId, how: Stop) {
        let baseline = self.schedule.baseline;
        let state = &mut self.nodes[node];
        if state.actor.is_none() {
            return;
        }
        state.clear_process();
        match how {
            Stop::Halt => state.disk.flush(),
            Stop::Crash | Stop::HostFailure => {
                let number = state.disk.decisions;
                state.disk.decisions += 1;
                let unsynced = state.disk.unsynced();
                let moment = Moment { at: Instant::from_nanos(self.now), ordinal: state.disk.ordinal_at(self.now) };
                let deviation = match self.schedule.deviations.is_empty() {
                    true => None,
                    false => self.schedule.deviations.get(Site::Disk(node), moment),
                };
                let (kept, tear) = match (deviation, baseline) {
                    (Some(Deviation::Kept { writes, torn }), _) => (writes as usize, torn),
                    (_, Baseline::Calm) => (0, false),
                    (_, Baseline::Seeded) => {
                        let draw = self.randomness.draw(Site::Disk(node), number);
                        (scaled(draw[1], unsynced as u64) as usize, draw[2] & 1 == 1)
                    }
                };
                state.disk.crash(kept, |edge| if tear { A::torn(edge) } else { None });
                let (writes, torn) = (kept.min(unsynced) as u32, tear && kept < unsynced);
                if self.recorder.is_some() {
                    let deviation = (writes > 0 || torn).then_some(Deviation::Kept { writes, torn });
                    self.record_deviation(Site::Disk(node), moment, deviation);
                }
            }
        }
        self.nodes[node].host_down = how == Stop::HostFailure;
        self.hash.add(0xdead << 16 | u64::from(node.0));
        self.record_what(What::Stopped { node, halted: how == Stop::Halt });
        self.sever(node, how);
    }
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// By itself: everything written is kept, connections are closed after what was sent on them.
    Halt,
    /// The unsynced tail is lost, peers see their connections reset.
    Crash,
    /// As a crash, but nobody is told.
    HostFailure,
}

impl Passage {
    pub(super) fn later(self, by: u64) -> Passage {
        match self {
            Passage::Once(latency) => Passage::Once(latency.saturating_add(by)),
            Passage::Twice(a, b) => Passage::Twice(a.saturating_add(by), b.saturating_add(by)),
            Passage::Lost => Passage::Lost,
        }
    }

    /// The deviation that turns `calm` into this.
    pub(super) fn deviation_from(self, calm: Passage) -> Option<Deviation> {
        let duration = std::time::Duration::from_nanos;
        (self != calm).then_some(match self {
            Passage::Once(latency) => Deviation::Delayed(duration(latency)),
            Passage::Twice(a, b) => Deviation::Duplicated { first: duration(a), second: duration(b) },
            Passage::Lost => Deviation::Lost,
        })
    }
}
