// A cluster that does exactly what a test tells it, to the nanosecond.
//
// Shared by the integration tests, as a module, and by the examples in the documentation, which include this file;
// hence no inner documentation comment.

use std::sync::Arc;
use std::time::Duration;

use sim_core::history::{Call, Operation, Step};
use sim_core::{
    Actor, Context, Fault, FaultPlan, Instant, Invariant, Kind, Limits, NodeId, Outcome, Run, Schedule, Setup, Trigger,
    World,
};

/// A server without a will of its own.
#[derive(Clone, Default, Hash)]
pub struct Server {
    pub live: bool,
    pub group: Option<u64>,
    pub number: u64,
    pub waiting: bool,
    pub stopped: bool,
    pub resources: Vec<String>,
    pub held: Vec<u64>,
    pub view: Option<Vec<&'static str>>,
    /// What to do when the timer [`Timer::Later`] fires.
    pub put_off: Option<Act>,
}

/// Something of a certain size.
#[derive(Clone, Debug, Hash)]
pub struct Packet {
    pub bytes: u32,
}

impl Kind for Packet {
    const KINDS: &'static [&'static str] = &["Packet"];
    fn kind(&self) -> &'static str {
        "Packet"
    }
    fn bytes(&self) -> u32 {
        self.bytes
    }
}

/// The timers of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Means nothing.
    Tick,
    /// Lets the server do what it has put off.
    Later,
}

/// What a server is told to do.
pub type Act = fn(&mut Server, &mut Context<Server>);

impl Actor for Server {
    type Message = Packet;
    type Timer = Timer;
    type Record = ();
    type Command = Act;

    fn on_start(&mut self, _: &[()], _: &mut Context<Self>) {}
    fn on_message(&mut self, _: NodeId, _: Packet, _: &mut Context<Self>) {}
    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        if let (Timer::Later, Some(act)) = (timer, self.put_off) {
            act(self, ctx);
        }
    }
    fn on_command(&mut self, act: Act, ctx: &mut Context<Self>) {
        act(self, ctx);
    }
    fn role(&self) -> &'static str {
        if self.live { "LIVE" } else { "BACKUP" }
    }
}

/// What happens in a run, by time.
pub struct Script {
    nodes: Vec<&'static str>,
    acts: Vec<Act>,
    faults: FaultPlan,
    duration: Duration,
}

impl Script {
    /// Nothing happens to these nodes; the run lasts a minute.
    pub fn new(nodes: impl IntoIterator<Item = &'static str>) -> Self {
        Script {
            nodes: nodes.into_iter().collect(),
            acts: Vec::new(),
            faults: FaultPlan::default(),
            duration: secs(60),
        }
    }

    /// At this moment, a node acts.
    pub fn at(mut self, at: Duration, node: &str, act: Act) -> Self {
        let command = sim_core::CommandId(self.acts.len() as u32);
        self.acts.push(act);
        let node = self.node(node);
        self.fault(at, Fault::Command { node, command }, None)
    }

    /// At this moment something breaks, for so long or for ever.
    pub fn fault(mut self, at: Duration, fault: Fault, hold: Option<Duration>) -> Self {
        self.faults.push(Trigger::At(Instant::from(at)), fault, hold);
        self
    }

    /// The run ends then, unless an invariant needs longer.
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// The node with this name.
    pub fn node(&self, name: &str) -> NodeId {
        NodeId(self.nodes.iter().position(|&node| node == name).expect("the node is in the script") as u16)
    }

    /// Runs it with an invariant beside.
    pub fn check(self, invariant: impl Invariant<Server> + 'static) -> Outcome {
        let mut setup = Setup::new(self.nodes.iter().copied(), |_| Server::default());
        setup.commands = self.acts;
        let schedule = Schedule { faults: self.faults, ..Schedule::calm(1) };
        let world = World::new(&Arc::new(setup), &Arc::new(schedule));
        let limits = Limits { duration: self.duration, ..Limits::default() };
        Run::new(world, vec![Box::new(invariant)], limits).to_end()
    }
}

/// So many seconds.
pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Notes a write that begins and succeeds at once.
pub fn acknowledged_write(ctx: &mut Context<Server>, key: u64, value: u64) {
    whole(ctx, Call::Write { key, value }, None);
}

/// Notes a read that begins and ends at once.
pub fn read(ctx: &mut Context<Server>, key: u64, value: Option<u64>) {
    whole(ctx, Call::Read { key }, value);
}

/// Notes that a message was received.
pub fn receive(ctx: &mut Context<Server>, key: u64, value: u64) {
    whole(ctx, Call::Receive { key }, Some(value));
}

fn whole(ctx: &mut Context<Server>, call: Call, result: Option<u64>) {
    for step in [Step::Invoked, Step::Returned(result)] {
        note(ctx, 0, call, step);
    }
}

/// Notes one step of an operation.
pub fn note(ctx: &mut Context<Server>, id: u64, call: Call, step: Step) {
    ctx.record(Operation { id, call, step });
}
