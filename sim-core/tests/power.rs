//! Power boards: what it means to a node that another one switches its machine off and on.

use std::sync::Arc;
use std::time::Duration;

use sim_core::library::AtMostOne;
use sim_core::{
    Actor, CloseReason, CommandId, ConnectionEvent, Context, Fault, Instant, Limits, NodeId, Outcome, Run, Schedule,
    Setup, Touched, Trigger, World,
};

/// Keeps a diary, of starts and of what becomes of its connections.
#[derive(Clone, Default, Hash)]
struct Machine {
    disk: Vec<u32>,
    serving: bool,
    lost: Option<CloseReason>,
}

type Act = fn(&mut Machine, &mut Context<Machine>);

impl Actor for Machine {
    type Message = ();
    type Timer = ();
    type Record = u32;
    type Command = Act;

    fn on_start(&mut self, disk: &[u32], _: &mut Context<Self>) {
        self.disk = disk.to_vec();
    }
    fn on_message(&mut self, _: NodeId, (): (), _: &mut Context<Self>) {}
    /// Switches the server off.
    fn on_timer(&mut self, (): (), ctx: &mut Context<Self>) {
        ctx.power_off(SERVER);
    }
    fn on_command(&mut self, act: Act, ctx: &mut Context<Self>) {
        act(self, ctx);
    }
    fn on_connection(&mut self, _: NodeId, event: ConnectionEvent, _: &mut Context<Self>) {
        if let ConnectionEvent::Closed(_, reason) = event {
            self.lost = Some(reason);
        }
    }
}

const BOARD: NodeId = NodeId(0);
const SERVER: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);

struct Story {
    setup: Setup<Machine>,
    schedule: Schedule,
}

impl Story {
    fn new() -> Self {
        Story { setup: Setup::new(["board", "server", "peer"], |_| Machine::default()), schedule: Schedule::calm(1) }
    }

    fn act(mut self, at: u64, node: NodeId, act: Act) -> Self {
        let command = CommandId(self.setup.commands.len() as u32);
        self.setup.commands.push(act);
        self.fault(at, Fault::Command { node, command }, None)
    }

    fn off(self, at: u64) -> Self {
        self.act(at, BOARD, |_, ctx| ctx.power_off(SERVER))
    }

    fn on(self, at: u64) -> Self {
        self.act(at, BOARD, |_, ctx| ctx.power_on(SERVER))
    }

    fn fault(mut self, at: u64, fault: Fault, hold: Option<u64>) -> Self {
        let trigger = Trigger::At(Instant::from_secs(at));
        self.schedule.faults.push(trigger, fault, hold.map(Duration::from_secs));
        self
    }

    fn world(self) -> World<Machine> {
        World::new(&Arc::new(self.setup), &Arc::new(self.schedule))
    }

    /// The world a minute later.
    fn play(self) -> World<Machine> {
        let mut world = self.world();
        while world.next_event_at().is_some_and(|at| at < Instant::from_secs(60)) {
            world.step();
        }
        world
    }
}

#[test]
fn a_machine_without_power_is_down_until_it_is_switched_on_again() {
    let world = Story::new().off(1).play();
    assert!(!world.is_up(SERVER) && !world.has_power(SERVER) && world.has_power(PEER));
    let world = Story::new().off(1).on(5).play();
    assert!(world.is_up(SERVER) && world.has_power(SERVER));
}

#[test]
fn a_paused_process_dies_with_its_machine_and_the_pause_with_it() {
    let world = Story::new().fault(1, Fault::Pause { node: SERVER }, Some(50)).off(2).on(3).play();
    assert!(world.is_up(SERVER) && !world.is_paused(SERVER));
}

#[test]
fn no_fault_starts_a_process_on_a_machine_without_power() {
    for (fault, hold) in [
        (Fault::Crash { node: SERVER }, Some(10)),
        (Fault::HostFailure { host: sim_core::HostId(1) }, Some(10)),
        (Fault::Restart { node: SERVER }, None),
    ] {
        let kind = fault.kind();
        let world = Story::new().fault(2, fault, hold).off(if hold.is_some() { 5 } else { 1 }).play();
        assert!(!world.is_up(SERVER), "{kind}");
        if hold.is_none() {
            let restart = world.fired()[0].2;
            assert_eq!(restart.count, 0, "a restart without power must not be reported as one");
        }
    }
}

#[test]
fn power_on_starts_nothing_on_a_machine_that_has_power() {
    let world = Story::new().fault(1, Fault::Crash { node: SERVER }, None).on(2).play();
    assert!(!world.is_up(SERVER), "the process has crashed, and no reset was made");
    let world = Story::new().fault(1, Fault::Crash { node: SERVER }, None).off(2).on(3).play();
    assert!(world.is_up(SERVER), "the machine has booted");
}

#[test]
fn what_was_synced_survives_and_what_was_not_is_lost() {
    let world = Story::new()
        .act(1, SERVER, |_, ctx| {
            ctx.write(1);
            ctx.sync();
        })
        .act(2, SERVER, |_, ctx| ctx.write(2))
        .off(3)
        .on(4)
        .play();
    assert_eq!(world.actor(SERVER).unwrap().disk, [1]);
}

#[test]
fn peers_are_not_told_before_the_machine_is_back_to_tell_them() {
    let connected = || Story::new().act(1, PEER, |_, ctx| _ = ctx.connect(SERVER));
    assert_eq!(connected().off(3).play().actor(PEER).unwrap().lost, None);
    // A process that crashes is another matter: its machine resets the connection at once.
    let crashed = connected().fault(3, Fault::Crash { node: SERVER }, None).play();
    assert_eq!(crashed.actor(PEER).unwrap().lost, Some(CloseReason::Reset));
}

#[test]
fn invariants_look_at_the_machine_that_was_switched() {
    let later: Act = |_, ctx| ctx.set_timer((), Duration::from_secs(1));
    let mut world = Story::new().act(1, BOARD, later).world();
    let mut touched = Vec::new();
    while world.next_event_at().is_some() {
        touched.extend(world.step());
    }
    // The board is the node whose event it was, but it is not the one that has changed.
    assert_eq!(touched.last(), Some(&Touched::Any));

    let serve: Act = |machine, _| machine.serving = true;
    let one = AtMostOne::new("at-most-one", "serving", |machine: &Machine| machine.serving);
    let story = Story::new().act(1, SERVER, serve).act(1, BOARD, later).act(3, PEER, serve);
    let outcome: Outcome = Run::new(story.world(), vec![Box::new(one)], Limits::default()).to_end();
    assert_eq!(outcome.violation, None, "the server was off when its peer began to serve");
}

#[test]
fn the_same_story_takes_the_same_course_and_a_clone_goes_on_alike() {
    let story = || Story::new().fault(1, Fault::Pause { node: SERVER }, Some(3)).off(2).on(6).off(7).on(8);
    let mut first = story().world();
    for _ in 0..6 {
        first.step();
    }
    let mut copy = first.clone();
    for world in [&mut first, &mut copy] {
        while world.next_event_at().is_some() {
            world.step();
        }
    }
    assert_eq!(first.trace_hash(), copy.trace_hash());
    assert_eq!(first.trace_hash(), story().play().trace_hash());
    assert_ne!(first.trace_hash(), Story::new().play().trace_hash());
}

#[test]
#[should_panic(expected = "switches its own power")]
fn a_node_cannot_switch_its_own_power() {
    Story::new().act(1, BOARD, |_, ctx| ctx.power_off(BOARD)).play();
}
