//! A world that follows what real processes do: they have the time, the network and the disks, and what came to each of them
//! comes here too, in the same order, to be handled by the same actors.
//!
//! The process itself keeps such a world, of which only its own node ever does anything: what its actor asks for is kept for
//! whoever has the sockets. Whoever looks on keeps another, to which all of them report. That the two cannot differ is the
//! reason why the invariants of a simulation can be asked of real processes.

use std::time::Duration;

use crate::actor::NodeCounters;
use crate::disk::Disk;
use crate::links::{Action, Passage, Rule};
use crate::node::Input;
use crate::queue::Event;
use crate::time::nanos;
use crate::trace::Fate;
use crate::{
    Actor, CommandId, Connection, ConnectionEvent, ConnectionId, Effect, Fault, Instant, Kind, LocalClock, NodeId,
    Select, SyncToken, Touched, World,
};

/// Something that has come to a process.
#[derive(Clone, Debug)]
pub(crate) enum Occurrence<A: Actor> {
    /// It has started, as the how-manieth of its node, and found this on its disk.
    Started { process: u32, disk: Vec<A::Record> },
    /// A message, as a datagram or on a connection.
    Message { from: NodeId, message: A::Message, via: Option<ConnectionId> },
    /// A timer is due.
    Timer(A::Timer),
    /// A helper thread has finished.
    Job(A::Timer),
    /// Something has happened to a connection.
    Connection { peer: NodeId, event: ConnectionEvent },
    /// The peer has consumed so many bytes of what was sent on a connection.
    Consumed { id: ConnectionId, bytes: u64 },
    /// A sync has ended, well or not.
    Synced { token: SyncToken, ok: bool },
    /// An operator or a workload asks for something.
    Command(CommandId),
    /// The fault at this place of the plan, which the process itself brings about, strikes or ends.
    Fault { place: u32, begins: bool },
}

/// What becomes of something that a process sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It is sent, this much later.
    After(Duration),
    /// It is sent twice.
    Twice(Duration, Duration),
    /// It is lost, by chance.
    Lost,
    /// It is lost because the plan says so.
    Dropped,
}

/// What a world that follows others keeps for them.
pub(super) struct Followed<A: Actor> {
    /// What the clock of the process says that handles something.
    pub(super) local: Instant,
    /// Whether to keep what the actors ask for.
    keeps: bool,
    effects: Vec<Effect<A>>,
    /// What has been asked of a process by a fault of the plan.
    commands: Vec<(NodeId, CommandId)>,
    /// Processes that are to start and have not said that they have.
    starting: Vec<bool>,
    /// Which processes are to suffer from which fault, or no longer.
    sufferings: Vec<(NodeId, u32, bool)>,
}

impl<A: Actor> World<A> {
    /// Lets other processes bring everything about. If it `keeps` what actors ask for, [`World::take_effects`] has it.
    pub(crate) fn follow_others(&mut self, keeps: bool) {
        let starting = vec![false; self.nodes.len()];
        self.followed = Some(Box::new(Followed {
            local: Instant::ZERO,
            keeps,
            effects: Vec::new(),
            commands: Vec::new(),
            starting,
            sufferings: Vec::new(),
        }));
    }

    /// Lets a process handle what has come to it at `now`, when its own machine said that it was `local`. `cause` is the event
    /// that brought it about, if that is known. Says what it touched; `None` if it was nothing to that process any more.
    pub(crate) fn follow(
        &mut self,
        now: Instant,
        local: Instant,
        node: NodeId,
        occurrence: Occurrence<A>,
        cause: u64,
    ) -> Option<Touched> {
        self.now = self.now.max(now.as_nanos());
        if let Some(followed) = &mut self.followed {
            followed.local = local;
        }
        if let Occurrence::Started { process, disk } = occurrence {
            return self.process_started(node, process, disk);
        }
        let state = &mut self.nodes[node];
        state.actor.as_ref()?;
        let input = match occurrence {
            Occurrence::Started { .. } => unreachable!("it has been dealt with"),
            Occurrence::Message { from, message, via } => Input::Message { from, message, via },
            Occurrence::Timer(timer) => {
                state.timers.cancel(timer);
                Input::Job(timer)
            }
            Occurrence::Job(timer) => {
                let slot = state.jobs.iter().find(|(_, job)| job.timer == timer).map(|(slot, _)| slot);
                state.jobs.remove(slot?);
                Input::Job(timer)
            }
            Occurrence::Connection { peer, event } => {
                match event {
                    ConnectionEvent::Opened(id) => state.connections.iter_mut().find(|c| c.id == id)?.open = true,
                    ConnectionEvent::Accepted(id) => {
                        let connection = Connection { id, peer, open: true, buffered: 0, writable: true };
                        state.connections.push(connection);
                    }
                    _ => {}
                }
                Input::Connection { peer, event }
            }
            Occurrence::Consumed { id, bytes } => match self.consumed_by_peer(node, id, bytes)? {
                Some(input) => input,
                None => return Some(Touched::Node(node)),
            },
            Occurrence::Synced { token, ok } => {
                state.disk.sync_ended(token, ok)?;
                Input::Synced { token, ok }
            }
            Occurrence::Command(id) => Input::Command(id),
            Occurrence::Fault { place, begins } => {
                self.suffer(local, node, place, begins);
                return Some(Touched::Node(node));
            }
        };
        self.handle(node, input, cause)
    }

    fn process_started(&mut self, node: NodeId, process: u32, disk: Vec<A::Record>) -> Option<Touched> {
        let followed = self.followed.as_mut().expect("only a world that follows is told of a start");
        followed.starting[node.index()] = false;
        let state = &mut self.nodes[node];
        if state.actor.is_some() || state.powered_off {
            return None;
        }
        state.disk = Disk::holding(disk);
        state.counters = NodeCounters::of_process(process);
        // What its predecessor suffered from by itself, it is told of again.
        state.clock = LocalClock::new(self.schedule.clocks.get(&node).copied().unwrap_or_default());
        state.slow_by = 0;
        self.links.forget_sender(node);
        self.begin_process(node)
    }

    /// The peer has consumed something; what the process hears of that, if it hears of it. `None` if the connection is gone.
    fn consumed_by_peer(&mut self, node: NodeId, id: ConnectionId, bytes: u64) -> Option<Option<Input<A>>> {
        let low = self.setup.network.buffer.low;
        let connection = self.nodes[node].connections.iter_mut().find(|c| c.id == id)?;
        let peer = connection.peer;
        connection.buffered = connection.buffered.saturating_sub(bytes);
        let writable = !connection.writable && connection.buffered <= low;
        connection.writable |= writable;
        Some(writable.then_some(Input::Connection { peer, event: ConnectionEvent::Writable(id) }))
    }

    /// Lets a fault begin or end that one process brings about by itself.
    fn suffer(&mut self, local: Instant, node: NodeId, place: u32, begins: bool) {
        let schedule = self.schedule.clone();
        let Some(planned) = schedule.faults.faults.get(place as usize) else { return };
        match &planned.fault {
            Fault::Slow { per_event, .. } => {
                let slow_by = &mut self.nodes[node].slow_by;
                let by = nanos(*per_event);
                *slow_by = if begins { slow_by.saturating_add(by) } else { slow_by.saturating_sub(by) };
            }
            Fault::Clock { step, drift_ppm, .. } => {
                let usual = self.schedule.clocks.get(&node).map_or(0, |setting| setting.drift_ppm);
                match begins {
                    true => self.change_clock(local, node, *step, *drift_ppm),
                    false => self.change_clock(local, node, step.saturating_neg(), drift_ppm.map(|_| usual)),
                }
            }
            Fault::Degrade { from, to, degradation } if begins => self.links.degrade(place, *from, *to, *degradation),
            Fault::Degrade { .. } => self.links.restore(place),
            Fault::Drop { select, count } if begins => self.obey(node, place, select, *count, Action::Drop),
            Fault::Delay { select, count, by } if begins => {
                self.obey(node, place, select, *count, Action::Delay(nanos(*by)));
            }
            Fault::Drop { .. } | Fault::Delay { .. } => self.links.remove_rules(place),
            // Its connections are the process's.
            _ => {}
        }
    }

    /// Each sender loses and delays what it sends itself, and counts for itself.
    fn obey(&mut self, node: NodeId, fault: u32, select: &Select, remaining: u32, action: Action) {
        let select = Select { from: Some(node), ..select.clone() };
        self.links.add_rule(Rule { fault, select, remaining, action });
    }

    /// What becomes of a message that the process which lives here sends.
    pub(crate) fn depart(&mut self, from: NodeId, to: NodeId, message: &A::Message) -> Departure {
        let now = self.now;
        let (mut passage, _) = self.links.decide(from, to, now, &self.schedule, &mut self.randomness);
        match self.links.rule_for(message.kind(), from, to) {
            Some((_, Action::Drop)) => return Departure::Dropped,
            Some((_, Action::Delay(by))) => passage = passage.later(by),
            None => {}
        }
        let wait = self.links.put_on_wire(from, to, message.bytes(), now, &self.setup.network) - now;
        let after = |latency: u64| Duration::from_nanos(latency.saturating_add(wait));
        match passage {
            Passage::Once(latency) => Departure::After(after(latency)),
            Passage::Twice(first, second) => Departure::Twice(after(first), after(second)),
            Passage::Lost => Departure::Lost,
        }
    }

    /// Leaves a fault to the processes that bring it about, if others do: says then whether it takes effect.
    pub(super) fn is_suffered_elsewhere(&mut self, place: u32, fault: &Fault, begins: bool) -> Option<bool> {
        let followed = self.followed.as_mut()?;
        let connected = |a: NodeId, b: NodeId| self.nodes[a].connections.iter().any(|c| c.peer == b);
        let (sufferers, strikes) = match fault {
            Fault::Slow { node, .. } | Fault::Clock { node, .. } => (vec![*node], true),
            Fault::Reset { a, b } => (vec![*a, *b], connected(*a, *b) || connected(*b, *a)),
            Fault::Degrade { from, .. } => (vec![*from], true),
            Fault::Drop { select, .. } | Fault::Delay { select, .. } => match select.from {
                Some(from) => (vec![from], true),
                None => (self.setup.node_ids().collect(), true),
            },
            _ => return None,
        };
        followed.sufferings.extend(sufferers.into_iter().map(|node| (node, place, begins)));
        if begins && matches!(fault, Fault::Degrade { .. }) {
            // In force until it ends or everything is healed, even without an end of its own.
            self.plan.state(place).active = true;
        }
        Some(strikes)
    }

    /// Which processes are to suffer from which fault, or no longer, since the last call.
    pub(crate) fn take_sufferings(&mut self) -> Vec<(NodeId, u32, bool)> {
        self.followed.as_mut().map(|followed| std::mem::take(&mut followed.sufferings)).unwrap_or_default()
    }

    /// How much longer each event takes at a node that is slow.
    pub(crate) fn slow_by(&self, node: NodeId) -> Duration {
        Duration::from_nanos(self.nodes[node].slow_by)
    }

    /// The nodes between which a fault resets connections.
    pub(crate) fn reset_by(&self, place: u32) -> Option<(NodeId, NodeId)> {
        match self.schedule.faults.faults.get(place as usize)?.fault {
            Fault::Reset { a, b } => Some((a, b)),
            _ => None,
        }
    }

    /// What is due by now at the node that lives here: a timer, or the end of a job. It is not disarmed before
    /// [`World::follow`].
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(NodeId, Occurrence<A>)> {
        while self.queue.next_time().is_some_and(|time| time <= now.as_nanos()) {
            let entry = self.queue.pop()?;
            match entry.event {
                Event::Timer { node, slot } => {
                    let timers = &mut self.nodes[node].timers;
                    let due = timers.pop(node, slot, entry.sequence, &mut self.queue);
                    if let Some(timer) = due.and_then(|due| timers.still_due(due)) {
                        return Some((node, Occurrence::Timer(timer)));
                    }
                }
                Event::Job { node, slot } => {
                    let job = self.nodes[node].jobs.get(slot as usize);
                    if let Some(job) = job.filter(|job| job.sequence == entry.sequence) {
                        return Some((node, Occurrence::Job(job.timer)));
                    }
                }
                // What the plan wants is none of a single process's business.
                _ => {}
            }
        }
        None
    }

    /// What the actors have asked for since the last call, in order.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect<A>> {
        self.followed.as_mut().map(|followed| std::mem::take(&mut followed.effects)).unwrap_or_default()
    }

    /// What faults of the plan have asked processes for since the last call.
    pub(crate) fn take_commands(&mut self) -> Vec<(NodeId, CommandId)> {
        self.followed.as_mut().map(|followed| std::mem::take(&mut followed.commands)).unwrap_or_default()
    }

    /// Whether a process is to be there: it is up, or is to start.
    pub(crate) fn is_wanted(&self, node: NodeId) -> bool {
        self.is_up(node) || self.followed.as_ref().is_some_and(|followed| followed.starting[node.index()])
    }

    /// Whether nobody hears from the machine of a node.
    pub(crate) fn has_vanished(&self, node: NodeId) -> bool {
        self.nodes[node].host_down
    }

    /// What a process that has died left on its disk.
    pub(crate) fn found_on_disk(&mut self, node: NodeId, records: impl IntoIterator<Item = A::Record>) {
        self.nodes[node].disk = Disk::holding(records);
    }

    /// Notes that a process is to start, if others bring that about; says whether they do.
    pub(super) fn is_started_elsewhere(&mut self, node: NodeId) -> bool {
        match &mut self.followed {
            Some(followed) => {
                followed.starting[node.index()] = true;
                self.nodes[node].host_down = false;
                true
            }
            None => false,
        }
    }

    /// Notes that a process is not to start any more.
    pub(super) fn does_not_start(&mut self, node: NodeId) {
        if let Some(followed) = &mut self.followed {
            followed.starting[node.index()] = false;
        }
    }

    /// Notes what a fault asks of a process, if others bring that about; says whether they do.
    pub(super) fn is_asked_elsewhere(&mut self, node: NodeId, command: CommandId) -> bool {
        match &mut self.followed {
            Some(followed) => {
                followed.commands.push((node, command));
                true
            }
            None => false,
        }
    }

    /// Leaves to the process what is its own of what a handler asked for. What is to be seen of the rest stays to be carried
    /// out here.
    #[cold]
    pub(super) fn carry_out_elsewhere(&mut self, node: NodeId) {
        let effects = std::mem::take(&mut self.effects);
        if let Some(followed) = self.followed.as_mut().filter(|followed| followed.keeps) {
            followed.effects.extend(effects.iter().cloned());
        }
        self.effects = effects.into_iter().filter(|effect| !self.is_done_elsewhere(node, effect)).collect();
    }

    fn is_done_elsewhere(&mut self, node: NodeId, effect: &Effect<A>) -> bool {
        match effect {
            Effect::Send { to, message } => self.sent_elsewhere(node, *to, message, false),
            Effect::SendOn { id, message } => {
                let peer = self.nodes[node].connections.iter().find(|c| c.id == *id).map(|c| c.peer);
                if let Some(peer) = peer {
                    self.sent_elsewhere(node, peer, message, true);
                }
            }
            Effect::Connect { .. } | Effect::Close(_) | Effect::Busy(_) => {}
            _ => return false,
        }
        true
    }

    /// A process has sent something. Whoever only looks on notes which planned loss or delay it met there.
    fn sent_elsewhere(&mut self, from: NodeId, to: NodeId, message: &A::Message, connection: bool) {
        let looks_on = self.followed.as_ref().is_some_and(|followed| !followed.keeps);
        let rule = if looks_on { self.links.rule_for(message.kind(), from, to) } else { None };
        let fate = match rule {
            Some((fault, action)) => {
                self.plan.fire(fault, Instant::from_nanos(self.now));
                match action {
                    Action::Drop => Fate::Dropped { fault: self.fault_id(fault) },
                    Action::Delay(_) => Fate::Waits,
                }
            }
            None => Fate::Waits,
        };
        self.record_sent(from, to, message, connection, fate);
    }
}

impl Fault {
    /// Why real processes cannot be made to suffer it; `None` if they can.
    pub fn objection_if_real(&self) -> Option<&'static str> {
        match self {
            Fault::Crash { .. }
            | Fault::Restart { .. }
            | Fault::Pause { .. }
            | Fault::Resume { .. }
            | Fault::Partition { .. }
            | Fault::OneWay { .. }
            | Fault::Cut { .. }
            | Fault::Heal
            | Fault::HostFailure { .. }
            | Fault::Command { .. }
            | Fault::Slow { .. }
            | Fault::Clock { .. }
            | Fault::Reset { .. }
            | Fault::Degrade { .. }
            | Fault::Drop { .. }
            | Fault::Delay { .. } => None,
            Fault::Disk { .. } => Some("a real disk works"),
        }
    }

    /// Whether it needs a network that can be taken apart.
    pub fn needs_networks(&self) -> bool {
        matches!(self, Fault::Partition { .. } | Fault::OneWay { .. } | Fault::Cut { .. } | Fault::HostFailure { .. })
    }
}
