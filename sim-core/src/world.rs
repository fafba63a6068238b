//! The event loop, and nothing else: it takes the earliest event, hands it to one actor, and carries out what the
//! actor asked for. What connections and faults do to the world is in the modules below.

mod connections;
mod effects;
mod faults;
mod fingerprint;
mod follow;
mod fork;
mod glances;
mod hosted;
mod untimed;
mod view;

use std::sync::Arc;

pub(crate) use follow::{Departure, Occurrence};
pub(crate) use fork::Sent;
pub(crate) use hosted::{Bringer, Pipe};
use slab::Slab;
use tracing::level_filters::LevelFilter;
pub(crate) use untimed::Choice;

use crate::connections::{Cargo, Flight, Pair};
use crate::history::History;
use crate::links::Links;
use crate::node::{Input, Node, Waiting};
use crate::nodes::Nodes;
use crate::plan::Plan;
use crate::queue::{Entry, Event, MAX_NODES, Queue};
use crate::trace::{Recorder, RollingHash, What};
use crate::{
    Actor, ClockSetting, ConnectionId, Context, Effect, Instant, Kind, LocalClock, NodeId, Randomness, Schedule, Setup,
    Touched,
};

/// A cluster in the middle of a run.
///
/// A pure function of its set-up and schedule: two worlds made from the same two values go through the same states.
/// A clone is cheap and goes its own way; take it between two steps.
///
/// ```
/// use std::sync::Arc;
/// use sim_core::{Actor, Context, NodeId, Schedule, Setup, World};
///
/// /// Counts the greetings that it hears.
/// #[derive(Clone, Default, Hash)]
/// struct Greeter { heard: u32 }
/// #[derive(Clone, Debug, Hash)]
/// enum Message { Hello }
/// sim_core::kinds!(Message { Hello });
///
/// impl Actor for Greeter {
///     type Message = Message;
///     type Timer = ();
///     type Record = ();
///     type Command = ();
///     fn on_start(&mut self, _disk: &[()], ctx: &mut Context<Self>) {
///         let peer = NodeId(1 - ctx.node().0);
///         ctx.send(peer, Message::Hello);
///     }
///     fn on_message(&mut self, _from: NodeId, _message: Message, _ctx: &mut Context<Self>) {
///         self.heard += 1;
///     }
///     fn on_timer(&mut self, _timer: (), _ctx: &mut Context<Self>) {}
/// }
///
/// let setup = Arc::new(Setup::new(["left", "right"], |_| Greeter::default()));
/// let mut world = World::new(&setup, &Arc::new(Schedule::seeded(7)));
/// while world.next_event_at().is_some() {
///     world.step();
/// }
/// assert_eq!(world.actor(NodeId(0)).unwrap().heard, 1);
/// assert_eq!(world.events(), 4); // Two starts, two greetings.
/// ```
pub struct World<A: Actor> {
    setup: Arc<Setup<A>>,
    schedule: Arc<Schedule>,
    now: u64,
    queue: Queue,
    nodes: Nodes<A>,
    links: Links,
    flights: Slab<Flight<A::Message>>,
    /// By identity, oldest first; a handful at a time.
    pairs: Vec<(ConnectionId, Pair<A::Message>)>,
    randomness: Randomness,
    plan: Plan,
    /// Events so far.
    events: u64,
    hash: RollingHash,
    history: History,
    marks: Vec<(&'static str, u64)>,
    handling: Option<NodeId>,
    /// Filled by one handler, emptied before the next; kept for its memory.
    effects: Vec<Effect<A>>,
    /// Filled and emptied by each hash of the state; kept for its memory.
    pending: Vec<(u128, u64)>,
    recorder: Option<Box<Recorder>>,
    /// What of the past was asked for; of no consequence.
    glances: glances::Glances,
    /// Whether another engine carries datagrams.
    hosted: bool,
    /// What there is to do for processes that bring everything about, if this world follows them.
    followed: Option<Box<follow::Followed<A>>>,
}

impl<A: Actor> World<A> {
    /// A cluster at the beginning of a run: every process starts at time zero, in the order of the nodes.
    ///
    /// # Panics
    /// If there are more than 8192 nodes, or the schedule names a node, host or command that the set-up does not have, or a drift out of range.
    pub fn new(setup: &Arc<Setup<A>>, schedule: &Arc<Schedule>) -> Self {
        let count = setup.nodes.len();
        assert!(count <= MAX_NODES, "a world has at most {MAX_NODES} nodes, not {count}");
        let mut queue = Queue::default();
        let mut randomness = Randomness::for_nodes(schedule.seed, count);
        randomness.list(&schedule.draws);
        for node in setup.node_ids() {
            queue.push(0, Event::Start { node });
        }
        let plan = Plan::new(schedule, &mut randomness, |fault, at| {
            queue.push(at, Event::FaultBegins { fault });
        });
        assert!(
            schedule.clocks.keys().all(|node| node.index() < count),
            "the schedule sets the clock of a node that is not in the set-up"
        );
        let clock = |node: NodeId| match schedule.clocks.is_empty() {
            true => ClockSetting::default(),
            false => schedule.clocks.get(&node).copied().unwrap_or_default(),
        };
        World {
            setup: setup.clone(),
            schedule: schedule.clone(),
            now: 0,
            queue,
            nodes: setup.node_ids().map(|node| Node::new(LocalClock::new(clock(node)))).collect(),
            links: Links::new(count, &setup.network, schedule),
            flights: Slab::new(),
            pairs: Vec::new(),
            randomness,
            plan,
            events: 0,
            hash: RollingHash::default(),
            history: History::default(),
            marks: Vec::new(),
            handling: None,
            effects: Vec::new(),
            pending: Vec::new(),
            recorder: None,
            glances: glances::Glances::default(),
            hosted: false,
            followed: None,
        }
    }

    /// Takes the next event from the queue and lets it happen. Returns what it touched; `None` if it was bookkeeping
    /// that no actor and no invariant can see, or if there is nothing left to happen.
    #[inline]
    pub fn step(&mut self) -> Option<Touched> {
        if self.events + 1 >= self.plan.next_on_event
            && let Some(fault) = self.plan.take_on_event(self.events + 1)
        {
            return self.fault_begins(fault);
        }
        let entry = self.queue.pop()?;
        self.dispatch(entry)
    }

    /// Lets an entry of the queue happen, at its time. Always inlined: left to itself, the compiler makes it a function of its own
    /// that costs a run a fiftieth more.
    #[inline(always)]
    fn dispatch(&mut self, entry: Entry) -> Option<Touched> {
        self.now = entry.time;
        match entry.event {
            Event::Flight { slot } => self.arrive(slot),
            Event::Timer { node, slot } => {
                let timers = &mut self.nodes[node].timers;
                let due = timers.pop(node, slot, entry.sequence, &mut self.queue)?;
                self.input(node, Input::Timer(due), due.cause)
            }
            Event::Wake { node } => self.wake(node),
            Event::Synced { node } => {
                let (sync, ok) = self.nodes[node].disk.end_sync(entry.sequence)?;
                self.input(node, Input::Synced { token: sync.token, ok }, sync.cause)
            }
            Event::Job { node, slot } => {
                let state = &mut self.nodes[node];
                let job = state.jobs.get(slot as usize).copied()?;
                if job.sequence != entry.sequence {
                    return None; // Of an earlier process.
                }
                state.jobs.remove(slot as usize);
                self.input(node, Input::Job(job.timer), job.cause)
            }
            Event::Start { node } => self.start(node),
            Event::FaultBegins { fault } => self.fault_begins(fault),
            Event::FaultEnds { fault } => self.fault_ends(fault),
        }
    }

    /// Something has crossed the network.
    #[inline]
    fn arrive(&mut self, slot: u32) -> Option<Touched> {
        let Flight { from, to, cause, cargo } = self.flights.remove(slot as usize);
        match cargo {
            Cargo::Datagram(message) => {
                let state = &self.nodes[to];
                if state.actor.is_none() {
                    self.undeliverable(from, to, &message, cause);
                    return None;
                }
                if state.is_free(self.now) {
                    return self.deliver(to, from, message, None, cause);
                }
                self.input(to, Input::Message { from, message, via: None }, cause)
            }
            Cargo::Packet { id, sender, packet } => self.packet_arrives(id, sender, packet, cause),
            Cargo::Ack { id, sender, bytes } => self.ack_arrives(id, sender, bytes, cause),
            Cargo::Broken { id, receiver, reason } => self.drop_end(id, receiver, reason),
            Cargo::Patience { id, sender, silent_since } => self.patience_ends(id, sender, silent_since),
        }
    }

    /// An event has reached a node: its process handles it now, or when it can.
    #[inline]
    fn input(&mut self, node: NodeId, input: Input<A>, cause: u64) -> Option<Touched> {
        let state = &mut self.nodes[node];
        state.actor.as_ref()?; // The process died while this was on its way.
        if state.is_free(self.now) {
            return self.handle(node, input, cause);
        }
        state.inbox.push_back(Waiting { input, cause });
        self.schedule_wake(node);
        None
    }

    fn schedule_wake(&mut self, node: NodeId) {
        let state = &mut self.nodes[node];
        if !state.wake_scheduled && state.pauses == 0 && !state.inbox.is_empty() {
            state.wake_scheduled = true;
            self.queue.push(state.busy_until.max(self.now), Event::Wake { node });
        }
    }

    /// The node may be free for the next event that waits.
    fn wake(&mut self, node: NodeId) -> Option<Touched> {
        let state = &mut self.nodes[node];
        state.wake_scheduled = false;
        let mut touched = None;
        if state.pauses == 0
            && state.busy_until <= self.now
            && let Some(Waiting { input, cause }) = state.inbox.pop_front()
        {
            touched = self.handle(node, input, cause);
        }
        self.schedule_wake(node);
        touched
    }

    /// Lets a process that is free handle an event, unless it only looked like one.
    fn handle(&mut self, node: NodeId, input: Input<A>, cause: u64) -> Option<Touched> {
        match input {
            Input::Message { from, message, via } => self.deliver(node, from, message, via, cause),
            Input::Timer(due) => {
                let timer = self.nodes[node].timers.fire(due)?;
                self.begin(node, 3, due.slot as u16);
                self.record_caused(cause, || What::Timer { node, timer: format!("{timer:?}") });
                self.call(node, None, |actor, ctx| actor.on_timer(timer, ctx))
            }
            Input::Job(timer) => {
                self.begin(node, 4, 0);
                self.record_caused(cause, || What::Timer { node, timer: format!("{timer:?}") });
                self.call(node, None, |actor, ctx| actor.on_timer(timer, ctx))
            }
            Input::Connection { peer, event } => {
                if !self.process_sees(node, event) {
                    return None;
                }
                self.begin(node, 5, peer.0);
                self.record_caused(cause, || What::Connection { node, peer, event });
                self.call(node, None, |actor, ctx| actor.on_connection(peer, event, ctx))
            }
            Input::Synced { token, ok } => {
                self.begin(node, 6, u16::from(ok));
                self.record_caused(cause, || What::Synced { node, ok });
                self.call(node, None, |actor, ctx| match ok {
                    true => actor.on_synced(token, ctx),
                    false => actor.on_disk_error(token, ctx),
                })
            }
            Input::Command(id) => {
                let command = self.setup.commands[id.0 as usize].clone();
                self.begin(node, 7, id.0 as u16);
                self.record_caused(cause, || What::Command { node, command: format!("{command:?}") });
                self.call(node, None, |actor, ctx| actor.on_command(command, ctx))
            }
        }
    }

    /// Hands a message to a process that is free.
    #[inline]
    fn deliver(
        &mut self,
        node: NodeId,
        from: NodeId,
        message: A::Message,
        via: Option<ConnectionId>,
        cause: u64,
    ) -> Option<Touched> {
        if let Some(id) = via
            && !self.consume(node, id, &message)
        {
            self.undeliverable(from, node, &message, cause);
            return None;
        }
        self.begin(node, 2, from.0);
        self.hash.add_text(message.kind());
        self.record_caused(cause, || {
            let (kind, message) = (message.kind(), format!("{message:?}"));
            What::Delivered { from, to: node, kind, message }
        });
        self.call(node, via, |actor, ctx| actor.on_message(from, message, ctx))
    }

    /// Counts an event at a node and adds it to the rolling hash: what it is, and what tells it from its like.
    #[inline]
    fn begin(&mut self, node: NodeId, what: u64, detail: u16) {
        self.events += 1;
        self.handling = Some(node);
        self.hash.add(self.now);
        self.hash.add(what << 32 | u64::from(node.0) << 16 | u64::from(detail));
    }

    /// Runs one handler of one actor and carries out what it asked for.
    #[inline]
    fn call(
        &mut self,
        node: NodeId,
        via: Option<ConnectionId>,
        handler: impl FnOnce(&mut A, &mut Context<A>),
    ) -> Option<Touched> {
        let _span = self.enter_span(node);
        let world_now = self.followed.as_ref().map_or(Instant::from_nanos(self.now), |followed| followed.local);
        let state = &mut self.nodes[node];
        let actor = state.actor.as_mut().expect("only a process that is up handles events");
        let mut ctx = Context {
            node,
            world_now,
            clock: state.clock,
            via,
            effects: &mut self.effects,
            connections: &mut state.connections,
            limits: self.setup.network.buffer,
            counters: &mut state.counters,
            randomness: &mut self.randomness,
        };
        handler(actor, &mut ctx);
        let touched = self.carry_out(node);
        if self.recorder.is_some() {
            self.record_role(node);
        }
        Some(touched)
    }

    /// A process starts, unless it is up already, its machine has no power, or the node is absent.
    fn start(&mut self, node: NodeId) -> Option<Touched> {
        let state = &mut self.nodes[node];
        if state.actor.is_some() || state.powered_off || self.schedule.absent.contains(&node) {
            return None;
        }
        if self.is_started_elsewhere(node) {
            return None;
        }
        self.begin_process(node)
    }

    /// A process begins with what is on its disk.
    fn begin_process(&mut self, node: NodeId) -> Option<Touched> {
        let state = &mut self.nodes[node];
        state.actor = Some((self.setup.factory)(node));
        state.host_down = false;
        self.reset_stalled_peers(node);
        let disk: Vec<_> = self.nodes[node].disk.durable().cloned().collect();
        self.begin(node, 1, 0);
        self.record_caused(0, || What::Started { node });
        self.call(node, None, |actor, ctx| actor.on_start(&disk, ctx))
    }

    /// Moves time forward to a moment before the next event; no effect if it lies in the past.
    ///
    /// # Panics
    /// If something is to happen before that moment.
    pub fn advance_to(&mut self, at: Instant) {
        assert!(
            self.next_event_at().is_none_or(|next| at <= next),
            "time cannot pass over an event that has not happened"
        );
        self.now = self.now.max(at.as_nanos());
    }

    /// A span that stamps what a handler logs with virtual time and node, when somebody listens.
    #[inline]
    fn enter_span(&self, node: NodeId) -> Option<tracing::span::EnteredSpan> {
        if LevelFilter::current() == LevelFilter::OFF {
            return None;
        }
        let span = tracing::info_span!("event", at = %self.now(), node = self.setup.name(node), number = self.events);
        let entered = span.entered();
        tracing::trace!("handled");
        Some(entered)
    }
}
