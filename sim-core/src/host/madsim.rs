//! Actors on [madsim](https://docs.rs/madsim), a simulator of asynchronous programs that has nothing in common with this
//! crate's engine: its scheduler decides what happens first, its clock says when, its network carries what nodes say.
//!
//! A node is two of madsim's: a machine, to which messages are addressed, and a process, which is killed, restarted, paused
//! and resumed. All that is to happen later is a task of one of them that sleeps, or a message on its way.
//!
//! # What means the same, and what does not
//! | fault | here |
//! |---|---|
//! | crash, restart, host failure, power | madsim kills and restarts the process; what the disk keeps is drawn as elsewhere |
//! | pause, resume | madsim pauses the process. What waited for it comes in an order of madsim's |
//! | partition, one-way, cut, heal | madsim clogs the links. As elsewhere, what is under way arrives |
//! | slow, clock, disk, command, reset | the same |
//! | drop, delay, degrade, duplication, bandwidth | the same, before madsim sends; latency and loss of a sound network are madsim's |
//!
//! Everything takes a little longer: madsim sleeps for at least a millisecond, so a datagram takes two more than its latency, a
//! timer may be a millisecond late, and messages that are sent at once on one connection come a millisecond apart. Time never
//! stands still: no two events have the same moment, and a storm of events at one instant cannot be. What was planned for one
//! moment still comes in its order. Deviations, which name single messages of the native engine, mean nothing here, and
//! nothing here can be forked, so whatever searches is the native engine's.
//!
//! # Nodes that are code
//! A node can be asynchronous code instead of an actor ([`Program`]). It is killed, restarted, paused and cut off like any
//! other, and has the latency and the loss of the network. Slowness, odd clocks, troubled disks and bad links cannot reach it: a
//! schedule with those for such a node is refused. What it writes to madsim's file system survives a crash.
//!
//! # Determinism
//! One seed is one run, on every thread and in every process. madsim keeps the seeds of hash maps in the thread, so each run
//! has a thread of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use madsim::net::{Endpoint, NetSim};
use madsim::plugin::simulator;
use madsim::runtime::{Handle, NodeHandle, Runtime};
use madsim::time::{TimeHandle, sleep, timeout};
use madsim::{Config, task};
use tokio::sync::mpsc;

use super::program::{Probe, Program};
use super::stage::{Errand, Stage, until};
use crate::queue::Entry;
use crate::search::attempt;
use crate::trace::Trace;
use crate::world::{Bringer, Pipe};
use crate::{Actor, Context, Fault, Instant, NodeId, Outcome, Run, Schedule, Setup, World};

/// Runs a schedule to its end or to the first violation. What madsim decides by chance is drawn from `schedule.seed` too.
/// `make` puts invariants beside a world that has not started; `program` says which nodes are asynchronous code. If it is to be recorded, the trace says everything that
/// happened but when a message was to arrive, which nobody knows before; otherwise it is empty.
///
/// What a schedule says about single messages ([`Schedule::deviations`]) means nothing here: no message of another engine
/// is the one that was meant.
///
/// # Panics
/// If the operating system refuses the thread, or a planned fault cannot reach the asynchronous code that it is meant for.
pub fn run<A: Actor>(
    setup: &Setup<A>,
    schedule: &Schedule,
    make: impl FnOnce(World<A>) -> Run<A> + Send,
    program: impl Fn(NodeId) -> Option<Program<A>> + Sync,
    record: bool,
) -> (Outcome, Trace)
where
    A::Command: Send + Sync,
{
    thread::scope(|scope| {
        let simulation = scope.spawn(|| attempt(|| simulate(setup, schedule, make, &program, record)));
        // On this thread, where somebody may expect it.
        simulation.join().expect("a panic is caught there").unwrap_or_else(|panic| panic!("{panic}"))
    })
}

fn simulate<A: Actor>(
    setup: &Setup<A>,
    schedule: &Schedule,
    make: impl FnOnce(World<A>) -> Run<A>,
    program: &dyn Fn(NodeId) -> Option<Program<A>>,
    record: bool,
) -> (Outcome, Trace) {
    let mut config = Config::default();
    let (shortest, longest) = setup.network.latency;
    config.net.send_latency = shortest..longest.max(shortest + Duration::from_nanos(1));
    config.net.packet_loss_rate = setup.network.loss;
    // What is left to this crate's network is what is planned for single links and messages.
    let mut bare = setup.clone();
    bare.network.latency = (Duration::ZERO, Duration::ZERO);
    bare.network.loss = 0.0;
    let mut run = make(World::new(&Arc::new(bare), &Arc::new(schedule.clone())));
    if record {
        run.world.record();
    }
    let runtime = Runtime::with_seed_and_config(schedule.seed, config);
    let programs: Vec<Option<Program<A>>> = setup.node_ids().map(program).collect();
    refuse_what_cannot_be(setup, schedule, |node| programs[node.index()].is_some());
    runtime.block_on(Engine::play(Stage::new(run), programs))
}

/// A fault that cannot be brought about must not look like one that changed nothing.
fn refuse_what_cannot_be<A: Actor>(setup: &Setup<A>, schedule: &Schedule, is_program: impl Fn(NodeId) -> bool) {
    for planned in &schedule.faults.faults {
        let nodes = match &planned.fault {
            Fault::Slow { node, .. } | Fault::Clock { node, .. } | Fault::Disk { node, .. } => vec![*node],
            Fault::Degrade { from, to, .. } => vec![*from, *to],
            _ => Vec::new(),
        };
        if let Some(node) = nodes.into_iter().find(|&node| is_program(node)) {
            let (fault, name) = (planned.fault.kind(), setup.name(node));
            panic!("{fault} cannot reach {name}, which is asynchronous code: plan it for actors only");
        }
    }
    let odd = schedule.clocks.keys().find(|&&node| is_program(node));
    assert!(odd.is_none(), "the clock of asynchronous code is madsim's: plan odd clocks for actors only");
}

const PORT: u16 = 1;
const TAG: u64 = 1;
/// Between two looks whether something is due, if nothing happens.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Where messages of actors go.
fn address(node: NodeId) -> SocketAddr {
    let [high, low] = node.0.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1 + high, low, 1)), PORT)
}

/// Where asynchronous code is reached.
pub(super) fn address_of_process(node: NodeId) -> SocketAddr {
    SocketAddr::new(
        IpAddr::V4(Ipv4Addr::from_bits(u32::from_be_bytes([10, 128, 0, 1]) + u32::from(node.0) * 256)),
        PORT,
    )
}

/// What code shows to the actor that stands for it.
type Showing<A> = Box<dyn FnOnce(&mut A, &mut Context<A>) + Send>;

/// Something that has come about.
pub(super) enum Happened<A: Actor> {
    Entry(Entry),
    /// The code of a process shows something.
    Shown(NodeId, u32, Showing<A>),
    /// It has come to its end.
    Returned(NodeId, u32),
}

/// The cluster as madsim knows it.
struct Engine<A: Actor> {
    handle: Handle,
    start: Duration,
    /// What no node does by itself, by its time and place in the order.
    plan: BTreeMap<(u64, u64), Entry>,
    machines: Vec<Machine>,
    /// madsim's numbers of the processes.
    processes: Vec<task::NodeId>,
    /// The code of those nodes that are asynchronous code.
    programs: Vec<Option<Program<A>>>,
    /// The sending ends of connections.
    pipes: BTreeMap<Pipe, mpsc::UnboundedSender<Entry>>,
    /// Where events go that have come about.
    happened: mpsc::UnboundedSender<Happened<A>>,
}

struct Machine {
    node: NodeHandle,
    endpoint: Endpoint,
    /// Where the syncs of the present process go, in their order; none before its first.
    disk: Option<mpsc::UnboundedSender<Entry>>,
}

impl<A: Actor> Engine<A> {
    /// Plays a run to its end.
    async fn play(mut stage: Stage<A>, programs: Vec<Option<Program<A>>>) -> (Outcome, Trace) {
        let (happened, mut events) = mpsc::unbounded_channel();
        let mut engine = Engine::new(programs, happened).await;
        loop {
            for errand in stage.errands() {
                engine.carry_out(errand);
            }
            let planned = engine.plan.first_key_value().map_or(u64::MAX, |(&(time, _), _)| time);
            let due = planned.min(stage.look_at().as_nanos());
            let event = match until(engine.now(), due).min(LONGEST_WAIT) {
                Duration::ZERO => None,
                wait => timeout(wait, events.recv()).await.ok().flatten(),
            };
            let now = engine.now();
            if now >= stage.look_at() {
                stage.look(now);
            }
            let due =
                engine.plan.first_entry().filter(|first| first.key().0 <= now.as_nanos()).map(|first| first.remove());
            for happened in event.into_iter().chain(due.map(Happened::Entry)) {
                if !stage.has_ended() {
                    match happened {
                        Happened::Entry(entry) => stage.bring(now, entry),
                        Happened::Shown(node, incarnation, what) => stage.show(now, node, incarnation, what),
                        Happened::Returned(node, incarnation) => stage.halt(now, node, incarnation),
                    }
                }
            }
            if let Some(outcome) = stage.outcome() {
                engine.end().await;
                return outcome;
            }
        }
    }

    async fn new(programs: Vec<Option<Program<A>>>, happened: mpsc::UnboundedSender<Happened<A>>) -> Self {
        let handle = Handle::current();
        let mut machines = Vec::new();
        let mut processes = Vec::new();
        for node in (0..programs.len() as u16).map(NodeId) {
            let machine = handle.create_node().name(format!("machine {node}")).ip(address(node).ip()).build();
            let endpoint = machine.spawn(Endpoint::bind(address(node))).await;
            let endpoint = endpoint.expect("the machine is up").expect("the address is free");
            machine.spawn(receive(endpoint.clone(), happened.clone()));
            machine.spawn(accept(endpoint.clone(), happened.clone()));
            machines.push(Machine { node: machine, endpoint, disk: None });
            let process = handle.create_node().name(format!("process {node}")).ip(address_of_process(node).ip());
            processes.push(process.build().id());
        }
        let start = TimeHandle::current().elapsed();
        Engine { handle, start, plan: BTreeMap::new(), machines, processes, programs, pipes: BTreeMap::new(), happened }
    }

    /// Time since the run began.
    fn now(&self) -> Instant {
        now_since(self.start)
    }

    fn carry_out(&mut self, errand: Errand) {
        let network = simulator::<NetSim>();
        let machine = |node: NodeId| self.machines[node.index()].node.id();
        let process = |node: NodeId| self.processes[node.index()];
        match errand {
            Errand::Kill(node) => {
                self.handle.kill(self.processes[node.index()]);
                // What the next one syncs does not wait for this one.
                self.machines[node.index()].disk = None;
            }
            Errand::Start(node, incarnation) => self.start(node, incarnation),
            Errand::Pause(node) => self.handle.pause(self.processes[node.index()]),
            Errand::Resume(node) => self.handle.resume(self.processes[node.index()]),
            Errand::Cut(from, to) => {
                network.clog_link(machine(from), machine(to));
                network.clog_link(process(from), process(to));
            }
            Errand::Mend(from, to) => {
                network.unclog_link(machine(from), machine(to));
                network.unclog_link(process(from), process(to));
            }
            Errand::Bring(entry, bringer) => self.bring(entry, bringer),
        }
    }

    /// A new process starts.
    fn start(&mut self, node: NodeId, incarnation: u32) {
        let id = self.processes[node.index()];
        // One that is restarted without being killed keeps what it had.
        self.handle.kill(id);
        self.handle.restart(id);
        if let (Some(program), Some(process)) = (&self.programs[node.index()], self.handle.get_node(id)) {
            let probe = Probe { node, incarnation, happened: self.happened.clone() };
            let happened = self.happened.clone();
            let code = program(probe);
            process.spawn(async move {
                code.await;
                _ = happened.send(Happened::Returned(node, incarnation));
            });
        }
    }

    fn bring(&mut self, entry: Entry, bringer: Bringer) {
        let wait = until(self.now(), entry.time);
        let happened = self.happened.clone();
        match bringer {
            Bringer::Plan => _ = self.plan.insert((entry.time, entry.sequence), entry),
            Bringer::Machine(node) => _ = self.machines[node.index()].node.spawn(later(wait, entry, happened)),
            Bringer::Disk(node) => {
                let Machine { node, disk, .. } = &mut self.machines[node.index()];
                let syncs = disk.get_or_insert_with(|| {
                    let (sender, syncs) = mpsc::unbounded_channel();
                    node.spawn(in_turn(self.start, syncs, happened));
                    sender
                });
                // Its task lives as long as its machine, which nobody kills.
                _ = syncs.send(entry);
            }
            Bringer::Process(node) => {
                // Of its present life.
                let process = self.handle.get_node(self.processes[node.index()]);
                process.expect("every process is known").spawn(later(wait, entry, happened));
            }
            Bringer::Datagram { from, to } => {
                let Machine { node, endpoint, .. } = &self.machines[from.index()];
                node.spawn(send(endpoint.clone(), to, wait, entry));
            }
            Bringer::Stream { from, to, pipe } => {
                let Machine { node, endpoint, .. } = &self.machines[from.index()];
                let sender = self.pipes.entry(pipe).or_insert_with(|| {
                    let (sender, entries) = mpsc::unbounded_channel();
                    node.spawn(stream(endpoint.clone(), to, self.start, entries));
                    sender
                });
                // Its task lives as long as its machine, which nobody kills.
                _ = sender.send(entry);
            }
        }
    }

    /// Kills everybody: a runtime that is dropped leaks what the tasks of living nodes hold.
    async fn end(self) {
        let machines = self.machines.iter().map(|machine| machine.node.id());
        machines.chain(self.processes.iter().copied()).for_each(|node| self.handle.kill(node));
        // For the executor to drop their tasks.
        sleep(Duration::from_millis(1)).await;
    }
}

/// One thing after the other, each at its time.
async fn in_turn<A: Actor>(
    start: Duration,
    mut entries: mpsc::UnboundedReceiver<Entry>,
    happened: mpsc::UnboundedSender<Happened<A>>,
) {
    while let Some(entry) = entries.recv().await {
        later(until(now_since(start), entry.time), entry, happened.clone()).await;
    }
}

fn now_since(start: Duration) -> Instant {
    Instant::from(TimeHandle::current().elapsed() - start)
}

/// Sleeps, or does nothing at all: even no sleep takes a millisecond.
async fn wait_for(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

async fn later<A: Actor>(wait: Duration, entry: Entry, happened: mpsc::UnboundedSender<Happened<A>>) {
    wait_for(wait).await;
    _ = happened.send(Happened::Entry(entry));
}

async fn send(endpoint: Endpoint, to: NodeId, wait: Duration, entry: Entry) {
    wait_for(wait).await;
    _ = endpoint.send_to_raw(address(to), TAG, Box::new(entry)).await;
}

async fn receive<A: Actor>(endpoint: Endpoint, happened: mpsc::UnboundedSender<Happened<A>>) {
    while let Ok((payload, _)) = endpoint.recv_from_raw(TAG).await {
        if let Ok(entry) = payload.downcast::<Entry>() {
            _ = happened.send(Happened::Entry(*entry));
        }
    }
}

/// One direction of a connection, at its sending end.
async fn stream(endpoint: Endpoint, to: NodeId, start: Duration, mut entries: mpsc::UnboundedReceiver<Entry>) {
    let mut channel = None;
    while let Some(entry) = entries.recv().await {
        wait_for(until(now_since(start), entry.time)).await;
        while channel.is_none() {
            match endpoint.connect1(address(to)).await {
                Ok(connected) => channel = Some(connected),
                // Lost, or the link is cut. As the machine below would, it tries again.
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
        if let Some((sender, _)) = &channel {
            _ = sender.send(Box::new(entry)).await;
        }
    }
}

async fn accept<A: Actor>(endpoint: Endpoint, happened: mpsc::UnboundedSender<Happened<A>>) {
    while let Ok((sender, mut receiver, _)) = endpoint.accept1().await {
        let happened = happened.clone();
        task::spawn(async move {
            // The way back is not used, and must not be closed.
            let _sender = sender;
            while let Ok(payload) = receiver.recv().await {
                if let Ok(entry) = payload.downcast::<Entry>() {
                    _ = happened.send(Happened::Entry(*entry));
                }
            }
        });
    }
}
