//! Power boards by themselves: what they promise when they are honest, and what their moods do.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use protocols::services::power::{
    self, Action, Board, BoardConfig, Message, Mood, Record, Refusal, Remote, RemoteConfig,
};
use sim_core::library::Always;
use sim_core::{
    Actor, CommandId, Context, Fault, FaultPlan, Instant, Limits, NodeId, Outcome, Run, Schedule, Setup, Trigger, World,
};

const BOARD: NodeId = NodeId(0);
const MACHINE: NodeId = NodeId(1);
const OPERATOR: NodeId = NodeId(2);

#[derive(Clone, Hash)]
enum Node {
    Board(Board),
    Machine,
    Operator { remote: Remote<u32>, asked: u32, told: Vec<(u32, Result<Arc<str>, Refusal>)> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Timer(power::Timer);

impl From<power::Timer> for Timer {
    fn from(timer: power::Timer) -> Self {
        Timer(timer)
    }
}

#[derive(Clone, Copy, Debug, Hash)]
enum Command {
    Ask(Action),
    Mood(Mood),
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Command = Command;

    fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Self>) {
        if let Node::Board(board) = self {
            board.on_start(disk, ctx);
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match self {
            Node::Board(board) => board.on_message(from, message, ctx),
            Node::Operator { remote, told, .. } => told.extend(remote.on_message(message, ctx)),
            Node::Machine => panic!("nobody talks to the machine"),
        }
    }

    fn on_timer(&mut self, Timer(timer): Timer, ctx: &mut Context<Self>) {
        match self {
            Node::Board(board) => board.on_timer(timer, ctx),
            Node::Operator { remote, told, .. } => told.extend(remote.on_timer(timer, ctx)),
            Node::Machine => panic!("the machine waits for nothing"),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        match (self, command) {
            (Node::Operator { remote, asked, .. }, Command::Ask(action)) => {
                *asked += 1;
                remote.ask(BOARD, action, *asked, ctx);
            }
            (Node::Board(board), Command::Mood(mood)) => board.set_mood(mood),
            _ => panic!("{command:?} was asked of the wrong node"),
        }
    }
}

struct Story {
    setup: Setup<Node>,
    faults: FaultPlan,
    asked: u32,
}

impl Story {
    fn new() -> Self {
        let setup = Setup::new(["board", "machine", "operator"], |node| match node {
            BOARD => Node::Board(Board::new(MACHINE, BoardConfig::default())),
            MACHINE => Node::Machine,
            _ => Node::Operator { remote: Remote::new(RemoteConfig::default()), asked: 0, told: Vec::new() },
        });
        Story { setup, faults: FaultPlan::default(), asked: 0 }
    }

    fn ask(mut self, at: u64, action: Action) -> Self {
        self.asked += 1;
        self.command(at, OPERATOR, Command::Ask(action))
    }

    fn mood(self, at: u64, mood: Mood) -> Self {
        self.command(at, BOARD, Command::Mood(mood))
    }

    fn command(mut self, at: u64, node: NodeId, command: Command) -> Self {
        let id = CommandId(self.setup.commands.len() as u32);
        self.setup.commands.push(command);
        self.fault(at, Fault::Command { node, command: id }, None)
    }

    /// At so many milliseconds.
    fn fault(mut self, at: u64, fault: Fault, hold: Option<u64>) -> Self {
        let at = Trigger::At(Instant::from(Duration::from_millis(at)));
        self.faults.push(at, fault, hold.map(Duration::from_millis));
        self
    }

    fn play(self, seed: u64) -> (World<Node>, Outcome) {
        let dark = Always::in_world("off-means-off", |world: &World<Node>| match world.actor(BOARD) {
            Some(Node::Board(board)) if !board.relay() => !world.is_up(MACHINE) && !world.has_power(MACHINE),
            _ => true,
        });
        let schedule = Arc::new(Schedule { faults: self.faults, ..Schedule::seeded(seed) });
        let world = World::new(&Arc::new(self.setup), &schedule);
        let limits = Limits { duration: Duration::from_secs(120), ..Limits::default() };
        let mut run = Run::new(world, vec![Box::new(dark)], limits);
        let outcome = run.to_end();
        (run.world, outcome)
    }

    /// Who is up in the end, and what the operator was told.
    fn end(self) -> (bool, Vec<String>) {
        let (world, outcome) = self.play(1);
        assert_eq!(outcome.violation, None);
        let told = told(&world).iter().map(|(_, said)| match said {
            Ok(text) => text.to_string(),
            Err(refusal) => format!("{refusal:?}"),
        });
        (world.is_up(MACHINE), told.collect())
    }
}

fn told(world: &World<Node>) -> &[(u32, Result<Arc<str>, Refusal>)] {
    match world.actor(OPERATOR) {
        Some(Node::Operator { told, .. }) => told,
        _ => panic!("the operator is up"),
    }
}

const OFF: &str = "Chassis Power is off\n";
const ON: &str = "Chassis Power is on\n";

#[test]
fn off_is_off_until_on_and_a_boot() {
    let (up, said) = Story::new().ask(1_000, Action::Off).ask(2_000, Action::Status).end();
    assert!(!up);
    assert_eq!(said[1], OFF);
    let (up, said) = Story::new().ask(1_000, Action::Off).ask(2_000, Action::On).ask(3_000, Action::Status).end();
    assert!(up);
    assert_eq!(said[2], ON);
}

#[test]
fn a_reset_needs_power_and_a_machine_that_is_on_is_left_alone() {
    let (up, said) = Story::new().ask(1_000, Action::Off).ask(2_000, Action::Reset).end();
    assert!(!up && said[1].contains("not supported in present state"), "{said:?}");
    let paused = Story::new().fault(500, Fault::Pause { node: MACHINE }, None);
    let (world, _) = paused.ask(1_000, Action::Reset).play(1);
    assert!(world.is_up(MACHINE) && !world.is_paused(MACHINE), "what hung was reset");
    let (up, _) = Story::new().fault(500, Fault::Crash { node: MACHINE }, None).ask(1_000, Action::On).end();
    assert!(!up, "the machine has power, so there is nothing to switch");
}

#[test]
fn each_mood_fails_in_its_own_way() {
    let off_and_status = |mood| Story::new().mood(500, mood).ask(1_000, Action::Off).ask(20_000, Action::Status).end();
    let failed = |said: &str| said.starts_with("Failed");
    let (up, said) = off_and_status(Mood::RefusesOff);
    assert!(up && failed(&said[0]) && said[1] == ON, "{said:?}");
    let (up, said) = off_and_status(Mood::ClaimsOff);
    assert!(up && !failed(&said[0]) && said[1] == OFF, "a lie: {said:?}");
    let (up, said) = off_and_status(Mood::ClaimsFailure);
    assert!(!up && failed(&said[0]) && said[1] == OFF, "{said:?}");
    let (up, said) = off_and_status(Mood::Slow);
    assert!(!up && said == ["NoAnswer", "NoAnswer"], "{said:?}");
    let (up, said) = Story::new().mood(500, Mood::RefusesOn).ask(1_000, Action::Reset).ask(2_000, Action::Status).end();
    assert!(!up && failed(&said[0]) && said[1] == OFF, "{said:?}");
}

#[test]
fn a_board_that_cannot_be_reached_is_given_up_once() {
    let cut = Fault::Partition { groups: vec![vec![BOARD], vec![OPERATOR]] };
    let (up, said) = Story::new().fault(500, cut, None).ask(1_000, Action::Off).end();
    assert!(up);
    assert_eq!(said, ["NoAnswer"]);
}

#[test]
fn a_board_that_restarts_knows_its_relay() {
    let story = || Story::new().ask(1_000, Action::Off).fault(2_000, Fault::Crash { node: BOARD }, Some(1_000));
    let (up, said) = story().ask(5_000, Action::Status).end();
    assert!(!up && said[1] == OFF, "{said:?}");
    // It dies between power-on and the end of the boot, which nobody but it would finish.
    let (up, _) = Story::new()
        .ask(1_000, Action::Off)
        .ask(2_000, Action::On)
        .fault(5_000, Fault::Crash { node: BOARD }, Some(1_000))
        .end();
    assert!(up);
}

fn actions() -> impl Strategy<Value = Vec<(u64, Action)>> {
    let action = prop_oneof![Just(Action::Off), Just(Action::On), Just(Action::Reset), Just(Action::Status)];
    proptest::collection::vec((500..60_000_u64, action), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_request_is_told_of_once_and_a_copy_is_not_obeyed(
        seed: u64,
        mut actions in actions(),
        crashes in proptest::collection::vec((500..60_000_u64, 100..5_000_u64), 0..3),
        loss in 0.0..0.5_f64,
    ) {
        actions.sort_by_key(|&(at, _)| at);
        // One after the other, so that the operator knows in which order they arrive.
        for (number, (at, _)) in actions.iter_mut().enumerate() {
            *at += 4_000 * number as u64;
        }
        let calm = crashes.is_empty() && loss < 0.25;
        let mut story = Story::new();
        story.setup.network.duplication = 0.3;
        story.setup.network.latency = (Duration::from_millis(1), Duration::from_millis(900));
        story.setup.network.loss = if calm { 0.0 } else { loss };
        for &(at, action) in &actions {
            story = story.ask(at, action);
        }
        for &(at, hold) in &crashes {
            story = story.fault(at, Fault::Crash { node: BOARD }, Some(hold));
        }
        let asked = story.asked;
        let (world, outcome) = story.play(seed);
        prop_assert_eq!(outcome.violation, None);
        let mut numbers: Vec<u32> = told(&world).iter().map(|&(number, _)| number).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (1..=asked).collect::<Vec<_>>());
        if calm {
            // What is on in the end is what the last order that means anything has made of it.
            let expected = actions.iter().fold(true, |on, (_, action)| match action {
                Action::Off => false,
                Action::On => true,
                Action::Reset | Action::Status => on,
            });
            let Some(Node::Board(board)) = world.actor(BOARD) else { panic!("the board is up") };
            prop_assert_eq!(board.relay(), expected);
        }
    }
}
