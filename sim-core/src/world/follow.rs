//! A world that follows what real processes do: they have the time, the network and the disks, and what came to each of them
//! comes here too, in the same order, to be handled by the same actors.
//!
//! The process itself keeps such a world, of which only its own node ever does anything: what its actor asks for is kept for
//! whoever has the sockets. Whoever looks on keeps another, to which all of them report. That the two cannot differ is the
//! reason why the invariants of a simulation can be asked of real processes.

use crate::disk::Disk;
use crate::node::Input;
use crate::queue::Event;
use crate::trace::{Fate, What};
use crate::{
    Actor, CommandId, Connection, ConnectionEvent, ConnectionId, Effect, Fault, Instant, NodeId, SyncToken, Touched,
    World,
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
        match occurrence {
            Occurrence::Started { .. } => unreachable!("it has been dealt with"),
            Occurrence::Message { from, message, via } => self.deliver(node, from, message, via, cause),
            Occurrence::Timer(timer) => {
                state.timers.cancel(timer);
                self.handle(node, Input::Job(timer), cause)
            }
            Occurrence::Job(timer) => {
                let slot = state.jobs.iter().find(|(_, job)| job.timer == timer).map(|(slot, _)| slot);
                state.jobs.remove(slot?);
                self.handle(node, Input::Job(timer), cause)
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
                self.handle(node, Input::Connection { peer, event }, cause)
            }
            Occurrence::Consumed { id, bytes } => self.consumed_by_peer(node, id, bytes, cause),
            Occurrence::Synced { token, ok } => {
                state.disk.sync_ended(token, ok)?;
                self.handle(node, Input::Synced { token, ok }, cause)
            }
            Occurrence::Command(id) => self.handle(node, Input::Command(id), cause),
        }
    }

    fn process_started(&mut self, node: NodeId, process: u32, disk: Vec<A::Record>) -> Option<Touched> {
        let followed = self.followed.as_mut().expect("only a world that follows is told of a start");
        followed.starting[node.index()] = false;
        let state = &mut self.nodes[node];
        if state.actor.is_some() || state.powered_off {
            return None;
        }
        state.disk = Disk::holding(disk.iter().cloned());
        state.counters = crate::actor::NodeCounters::of_process(process);
        state.host_down = false;
        state.actor = Some((self.setup.factory)(node));
        self.begin(node, 1, 0);
        self.record_caused(0, || What::Started { node });
        self.call(node, None, |actor, ctx| actor.on_start(&disk, ctx))
    }

    fn consumed_by_peer(&mut self, node: NodeId, id: ConnectionId, bytes: u64, cause: u64) -> Option<Touched> {
        let low = self.setup.network.buffer.low;
        let connection = self.nodes[node].connections.iter_mut().find(|c| c.id == id)?;
        let peer = connection.peer;
        connection.buffered = connection.buffered.saturating_sub(bytes);
        if connection.writable || connection.buffered > low {
            return Some(Touched::Node(node));
        }
        connection.writable = true;
        self.handle(node, Input::Connection { peer, event: ConnectionEvent::Writable(id) }, cause)
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

    /// Carries out what can be seen here of something that a handler asked for; the rest is the process's.
    pub(super) fn effect_elsewhere(&mut self, node: NodeId, effect: Effect<A>) {
        if let Some(followed) = self.followed.as_mut().filter(|followed| followed.keeps) {
            followed.effects.push(effect.clone());
        }
        match effect {
            Effect::Send { to, message } => self.record_sent(node, to, &message, false, Fate::Waits),
            Effect::SendOn { id, message } => {
                let peer = self.nodes[node].connections.iter().find(|c| c.id == id).map(|c| c.peer);
                if let Some(peer) = peer {
                    self.record_sent(node, peer, &message, true, Fate::Waits);
                }
            }
            Effect::Connect { .. } | Effect::Close(_) | Effect::Busy(_) => {}
            Effect::Sync(token) => self.nodes[node].disk.begin_sync(token, self.events, token.0),
            other => self.effect(node, other),
        }
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
            | Fault::Command { .. } => None,
            Fault::Slow { .. } => Some("the processor of a real process cannot be slowed down"),
            Fault::Clock { .. } => Some("the clock of a real machine is nobody's to set"),
            Fault::Reset { .. } => Some("nobody resets the connections of others"),
            Fault::Degrade { .. } => Some("a real link is as good as it is"),
            Fault::Drop { .. } | Fault::Delay { .. } => Some("no single message of a real network can be singled out"),
            Fault::Disk { .. } => Some("a real disk works"),
        }
    }

    /// Whether it needs a network that can be taken apart.
    pub fn needs_networks(&self) -> bool {
        matches!(
            self,
            Fault::Partition { .. } | Fault::OneWay { .. } | Fault::Cut { .. } | Fault::HostFailure { .. }
        )
    }
}
