//! Processes, machines, disks and planned faults, on nodes that do what they are told and keep a diary.

use std::sync::Arc;
use std::time::Duration;

use sim_core::library::Eventually;
use sim_core::{
    Actor, Check, Class, ClockSetting, CommandId, Context, Deviation, DiskTrouble, EVENT_BUDGET, Fault, HostId,
    Instant, Invariant, Kind, Limits, Moment, NO_EVENT_STORM, NO_PANIC, NodeId, Outcome, Run, Schedule, Select, Setup,
    Site, SyncToken, Touched, Trigger, World,
};

#[derive(Clone, Default, Hash)]
struct Diary {
    entries: Vec<String>,
}

#[derive(Clone, Debug, Hash)]
enum Message {
    Note(u32),
    /// Answered at once, for ever.
    Ball,
}
sim_core::kinds!(Message { Note, Ball });

/// A record of two halves; a torn write keeps the first.
#[derive(Clone, Debug, Hash)]
struct Record(u32, Option<u32>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    One,
    Two,
}

type Act = fn(&mut Diary, &mut Context<Diary>);

impl Diary {
    fn note(&mut self, ctx: &Context<Self>, text: impl std::fmt::Display) {
        self.entries.push(format!("{} {text}", ctx.now()));
    }
}

impl Actor for Diary {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Command = Act;

    fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Self>) {
        if ctx.now() > Instant::ZERO {
            self.note(ctx, format!("started with {disk:?}"));
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match message {
            Message::Note(number) => self.note(ctx, format!("note {number}")),
            Message::Ball => ctx.send(from, Message::Ball),
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        self.note(ctx, format!("{timer:?}"));
    }

    fn on_command(&mut self, act: Act, ctx: &mut Context<Self>) {
        act(self, ctx);
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        self.note(ctx, format!("synced {}", token.0));
    }

    fn on_disk_error(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        self.note(ctx, format!("sync {} failed", token.0));
    }

    fn torn(record: &Record) -> Option<Record> {
        Some(Record(record.0, None))
    }
}

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);

struct Story {
    setup: Setup<Diary>,
    schedule: Schedule,
    limits: Limits,
}

impl Story {
    /// Two nodes; every message takes 5 ms and every sync 1 ms.
    fn new() -> Self {
        let mut setup = Setup::new(["a", "b"], |_| Diary::default());
        setup.network.latency = (Duration::from_millis(5), Duration::from_millis(5));
        setup.disk.sync = (Duration::from_millis(1), Duration::from_millis(1));
        let limits = Limits { duration: Duration::from_secs(100), ..Limits::default() };
        Story { setup, schedule: Schedule::calm(1), limits }
    }

    fn act(self, at: u64, node: NodeId, act: Act) -> Self {
        let trigger = Trigger::At(Instant::from_nanos(at * 1_000_000));
        self.act_when(trigger, node, act)
    }

    fn act_when(mut self, trigger: Trigger, node: NodeId, act: Act) -> Self {
        let command = CommandId(self.setup.commands.len() as u32);
        self.setup.commands.push(act);
        self.schedule.faults.push(trigger, Fault::Command { node, command }, None);
        self
    }

    fn fault(mut self, at: u64, fault: Fault, hold: Option<u64>) -> Self {
        let trigger = Trigger::At(Instant::from_nanos(at * 1_000_000));
        self.schedule.faults.push(trigger, fault, hold.map(Duration::from_millis));
        self
    }

    fn play(self) -> (World<Diary>, Outcome) {
        let world = World::new(&Arc::new(self.setup), &Arc::new(self.schedule));
        let mut run = Run::new(world, Vec::new(), self.limits);
        let outcome = run.to_end();
        (run.world, outcome)
    }

    #[track_caller]
    fn expect(self, node: NodeId, diary: &[&str]) -> World<Diary> {
        let (world, outcome) = self.play();
        assert_eq!(outcome.violation, None);
        assert_eq!(world.actor(node).expect("the node is up").entries, diary);
        world
    }
}

fn pause(node: NodeId) -> Fault {
    Fault::Pause { node }
}

fn crash(node: NodeId) -> Fault {
    Fault::Crash { node }
}

fn two_notes(_: &mut Diary, ctx: &mut Context<Diary>) {
    ctx.send(B, Message::Note(1));
    ctx.send(B, Message::Note(2));
}

#[test]
fn a_busy_node_keeps_its_events_waiting_in_order() {
    Story::new()
        .act(0, B, |_, ctx| {
            ctx.set_timer(Timer::One, Duration::from_millis(7));
            ctx.busy(Duration::from_millis(50));
        })
        .act(1, A, two_notes)
        .expect(B, &["0.05s note 1", "0.05s note 2", "0.05s One"]);
}

#[test]
fn a_slow_node_spends_time_on_each_event() {
    Story::new()
        .fault(0, Fault::Slow { node: B, per_event: Duration::from_millis(10) }, Some(12))
        .act(1, A, two_notes)
        .act(20, A, two_notes)
        .expect(B, &["0.006s note 1", "0.016s note 2", "0.025s note 1", "0.025s note 2"]);
}

#[test]
fn a_pause_ends_in_a_burst_and_time_has_passed() {
    Story::new()
        .act(0, B, |_, ctx| ctx.set_timer(Timer::One, Duration::from_millis(30)))
        .fault(10, pause(B), Some(90))
        .act(20, A, two_notes)
        .expect(B, &["0.1s note 1", "0.1s note 2", "0.1s One"]);
}

#[test]
fn overlapping_pauses_end_with_the_last_and_a_crash_ends_them_all() {
    Story::new()
        .fault(10, pause(B), Some(90))
        .fault(20, pause(B), Some(180))
        .act(30, A, two_notes)
        .expect(B, &["0.2s note 1", "0.2s note 2"]);
    Story::new()
        .fault(10, pause(B), Some(1000))
        .fault(20, crash(B), Some(10))
        .fault(40, pause(B), Some(50))
        .act(50, A, two_notes)
        .expect(B, &["0.03s started with []", "0.09s note 1", "0.09s note 2"]);
}

#[test]
fn a_timer_can_be_cancelled_while_it_waits_behind_a_busy_thread() {
    Story::new()
        .act(0, B, |_, ctx| {
            ctx.set_timer(Timer::One, Duration::from_millis(20));
            ctx.set_timer(Timer::Two, Duration::from_millis(21));
        })
        .act(10, B, |_, ctx| ctx.busy(Duration::from_millis(50)))
        .act(15, B, |_, ctx| ctx.cancel_timer(Timer::One))
        .expect(B, &["0.06s Two"]);
}

#[test]
fn rearming_moves_a_timer_both_ways() {
    Story::new()
        .act(0, B, |_, ctx| {
            ctx.set_timer(Timer::One, Duration::from_millis(50));
            ctx.set_timer(Timer::Two, Duration::from_millis(50));
        })
        .act(10, B, |_, ctx| {
            ctx.set_timer(Timer::One, Duration::from_millis(10));
            ctx.set_timer(Timer::Two, Duration::from_millis(90));
        })
        .expect(B, &["0.02s One", "0.1s Two"]);
}

#[test]
fn a_job_ends_as_a_timer_even_while_another_of_the_name_is_set_and_dies_with_its_process() {
    let job: Act = |_, ctx| {
        ctx.run_job(Duration::from_millis(30), Timer::One);
        ctx.set_timer(Timer::One, Duration::from_millis(40));
        ctx.cancel_timer(Timer::One);
    };
    Story::new().act(0, B, job).expect(B, &["0.03s One"]);
    Story::new().act(0, B, job).fault(10, crash(B), Some(1)).expect(B, &["0.011s started with []"]);
}

#[test]
fn a_drifting_clock_moves_timers_and_reads_differently() {
    let mut story = Story::new();
    let fast = ClockSetting { offset: Duration::from_secs(1), drift_ppm: 100_000 };
    story.schedule.clocks.insert(B, fast);
    story
        .act(0, B, |_, ctx| ctx.set_timer(Timer::One, Duration::from_millis(1100)))
        .expect(B, &["1s started with []", "2.1s One"]);
}

#[test]
fn a_clock_step_moves_the_wall_clock_and_is_undone() {
    let read: Act = |diary, ctx| {
        let wall = ctx.wall_clock();
        diary.note(ctx, format!("wall {wall}"));
    };
    Story::new()
        .fault(1000, Fault::Clock { node: B, step: -500_000_000, drift_ppm: None }, Some(1000))
        .act(1500, B, read)
        .act(2500, B, read)
        .expect(B, &["1.5s wall 1s", "2.5s wall 2.5s"]);
}

fn write_three_sync_first(_: &mut Diary, ctx: &mut Context<Diary>) {
    ctx.write(Record(1, Some(1)));
    ctx.sync();
    ctx.write(Record(2, Some(2)));
    ctx.write(Record(3, Some(3)));
}

#[test]
fn a_calm_crash_loses_exactly_the_unsynced_tail() {
    Story::new()
        .act(0, B, write_three_sync_first)
        .fault(10, crash(B), Some(10))
        .expect(B, &["0.02s started with [Record(1, Some(1))]"]);
}

#[test]
fn seeds_decide_how_much_of_the_tail_survives_and_whether_its_edge_is_torn() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut story = Story::new().act(0, B, write_three_sync_first).fault(10, crash(B), Some(10));
        story.schedule = Schedule { faults: story.schedule.faults, ..Schedule::seeded(seed) };
        let (world, _) = story.play();
        seen.insert(world.actor(B).unwrap().entries[0].clone());
    }
    let expected = [
        "0.02s started with [Record(1, Some(1)), Record(2, None)]",
        "0.02s started with [Record(1, Some(1)), Record(2, Some(2)), Record(3, None)]",
        "0.02s started with [Record(1, Some(1)), Record(2, Some(2)), Record(3, Some(3))]",
        "0.02s started with [Record(1, Some(1)), Record(2, Some(2))]",
        "0.02s started with [Record(1, Some(1))]",
    ];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_halt_keeps_everything_that_was_written() {
    Story::new()
        .act(0, B, |_, ctx| {
            ctx.write(Record(1, None));
            ctx.halt();
        })
        .fault(10, Fault::Restart { node: B }, None)
        .expect(B, &["0.01s started with [Record(1, None)]"]);
}

#[test]
fn a_halt_comes_after_everything_else_that_the_handler_asked_for_and_leaves_nothing_behind() {
    let world = Story::new()
        .act(0, B, |_, ctx| {
            ctx.halt();
            ctx.set_timer(Timer::One, Duration::from_millis(50));
            ctx.run_job(Duration::from_millis(50), Timer::Two);
            ctx.send(A, Message::Note(1));
        })
        .fault(10, Fault::Restart { node: B }, None)
        .expect(B, &["0.01s started with []"]);
    assert_eq!(world.actor(A).unwrap().entries, ["0.005s note 1"]);
}

#[test]
fn a_new_process_does_not_wait_for_what_kept_the_old_one_busy() {
    Story::new()
        .act(0, B, |_, ctx| ctx.busy(Duration::from_secs(60)))
        .act(1, A, two_notes)
        .fault(10, crash(B), Some(10))
        .act(30, B, |_, ctx| ctx.busy(Duration::from_millis(20)))
        .act(31, A, two_notes)
        .expect(B, &["0.02s started with []", "0.05s note 1", "0.05s note 2"]);
}

#[test]
fn a_crash_takes_syncs_with_it_and_the_next_process_gets_only_its_own() {
    let sync: Act = |_, ctx| {
        ctx.write(Record(1, None));
        ctx.sync();
    };
    // The first process's sync would have ended at 1 ms, in the middle of the second's.
    let mut story = Story::new().act(0, B, sync);
    story.setup.disk.sync = (Duration::from_millis(10), Duration::from_millis(10));
    story.fault(5, crash(B), Some(1)).act(7, B, sync).expect(B, &["0.006s started with []", "0.017s synced 2"]);
}

#[test]
fn disks_can_be_slow_fail_or_lie() {
    let sync: Act = |_, ctx| {
        ctx.write(Record(1, None));
        ctx.sync();
    };
    let trouble = |trouble| Story::new().fault(0, Fault::Disk { node: B, trouble }, Some(50));
    trouble(DiskTrouble::Slow { by: Duration::from_millis(20) })
        .act(1, B, sync)
        .act(60, B, sync)
        .expect(B, &["0.022s synced 1", "0.061s synced 2"]);
    trouble(DiskTrouble::Failing)
        .act(1, B, sync)
        .act(60, B, sync)
        .expect(B, &["0.002s sync 1 failed", "0.061s synced 2"]);
    trouble(DiskTrouble::Lying).act(1, B, sync).fault(10, crash(B), Some(1)).expect(B, &["0.011s started with []"]);
}

#[test]
fn a_message_of_a_dead_sender_still_arrives_and_one_to_a_dead_node_is_lost() {
    Story::new().act(0, A, two_notes).fault(1, crash(A), None).expect(B, &["0.005s note 1", "0.005s note 2"]);
    Story::new()
        .act(0, A, two_notes)
        .fault(1, crash(B), Some(10))
        .act(20, A, two_notes)
        .expect(B, &["0.011s started with []", "0.025s note 1", "0.025s note 2"]);
}

#[test]
fn a_datagram_in_flight_when_the_cut_begins_arrives_and_one_sent_during_it_never_does() {
    Story::new()
        .act(0, A, |_, ctx| ctx.send(B, Message::Note(1)))
        .fault(1, Fault::Cut { from: A, to: B }, Some(3))
        .act(2, A, |_, ctx| ctx.send(B, Message::Note(2)))
        .act(5, A, |_, ctx| ctx.send(B, Message::Note(3)))
        .expect(B, &["0.005s note 1", "0.01s note 3"]);
}

#[test]
fn overlapping_cuts_end_with_the_last_and_healing_ends_them_all() {
    let cut = || Fault::Cut { from: A, to: B };
    let overlapping = || Story::new().fault(0, cut(), Some(50)).fault(10, cut(), Some(100));
    overlapping().act(60, A, two_notes).expect(B, &[]);
    overlapping().act(120, A, two_notes).expect(B, &["0.125s note 1", "0.125s note 2"]);
    let world =
        overlapping().fault(20, Fault::Heal, None).act(30, A, two_notes).expect(B, &["0.035s note 1", "0.035s note 2"]);
    assert_eq!(world.fired()[2].2.count, 1);
}

#[test]
fn the_next_messages_of_a_kind_are_dropped_or_delayed_and_counted() {
    let select = || Select { kind: Some("Note"), from: Some(A), to: None };
    let world = Story::new()
        .fault(0, Fault::Drop { select: select(), count: 1 }, None)
        .act(1, A, two_notes)
        .act(2, A, two_notes)
        .expect(B, &["0.006s note 2", "0.007s note 1", "0.007s note 2"]);
    assert_eq!(world.fired()[0].2.count, 1);
    Story::new()
        .fault(0, Fault::Delay { select: select(), count: 1, by: Duration::from_millis(20) }, None)
        .act(1, A, two_notes)
        .expect(B, &["0.006s note 2", "0.026s note 1"]);
    // Nothing to select, nothing fired.
    let world = Story::new()
        .fault(0, Fault::Drop { select: Select { kind: Some("Ball"), ..select() }, count: 1 }, None)
        .act(1, A, two_notes)
        .expect(B, &["0.006s note 1", "0.006s note 2"]);
    assert_eq!(world.fired()[0].2.count, 0);
}

#[test]
fn a_host_failure_takes_down_every_node_of_the_machine_and_brings_them_back() {
    let mut story = Story::new().fault(10, Fault::HostFailure { host: HostId(7) }, Some(10));
    story.setup.nodes.iter_mut().for_each(|node| node.host = HostId(7));
    let (world, outcome) = story.play();
    assert_eq!(outcome.fired[0].2.count, 1);
    for node in [A, B] {
        assert_eq!(world.actor(node).unwrap().entries, ["0.02s started with []"]);
    }
}

#[test]
fn a_crashed_process_does_not_come_back_on_a_machine_that_has_failed_meanwhile() {
    let play = |hold| {
        let failure = Fault::HostFailure { host: HostId(7) };
        let mut story = Story::new().fault(5, crash(A), Some(10)).fault(10, failure, hold);
        story.setup.nodes.iter_mut().for_each(|node| node.host = HostId(7));
        story.play().0
    };
    assert!(play(None).actor(A).is_none());
    for node in [A, B] {
        assert_eq!(play(Some(10)).actor(node).unwrap().entries, ["0.02s started with []"]);
    }
}

#[test]
fn a_fault_without_effect_does_not_count_as_fired() {
    let (_, outcome) = Story::new()
        .fault(0, crash(A), None)
        .fault(1, crash(A), Some(5))
        .fault(2, Fault::Resume { node: B }, None)
        .fault(3, Fault::Restart { node: B }, None)
        .fault(4, Fault::Reset { a: A, b: B }, None)
        .fault(5, Fault::Heal, None)
        .fault(6, pause(A), Some(1))
        .play();
    let counts: Vec<_> = outcome.fired.iter().map(|(_, kind, fired)| (*kind, fired.count)).collect();
    let none = |kind| (kind, 0);
    assert_eq!(counts[0], ("crash", 1));
    assert_eq!(counts[1..], ["crash", "resume", "restart", "reset", "heal", "pause"].map(none));
}

#[test]
fn faults_can_wait_for_a_mark_of_a_node_and_for_an_event() {
    let on_mark = |node| Trigger::OnMark { mark: "here", node, occurrence: 2, plus: Duration::from_millis(7) };
    let mark: Act = |_, ctx| ctx.mark("here");
    let note: Act = |diary, ctx| diary.note(ctx, "triggered");
    let story = |node| Story::new().act(10, A, mark).act(20, B, mark).act(30, A, mark).act_when(on_mark(node), B, note);
    story(None).expect(B, &["0.027s triggered"]);
    story(Some(A)).expect(B, &["0.037s triggered"]);
    // Two starts, then the command's beginning and its handling: the fifth event comes just before the next.
    Story::new()
        .act(10, A, mark)
        .act(20, A, two_notes)
        .act_when(Trigger::OnEvent(5), B, note)
        .expect(B, &["0.01s triggered", "0.025s note 1", "0.025s note 2"]);
}

#[test]
fn a_window_is_drawn_by_seed_and_stays_inside() {
    let (from, to) = (Instant::from_secs(10), Instant::from_secs(20));
    let struck = |seed| {
        let mut schedule = Schedule::seeded(seed);
        schedule.faults.push(Trigger::Window { from, to }, pause(A), None);
        let (_, outcome) = Story { schedule, ..Story::new() }.play();
        outcome.fired[0].2.first.expect("it struck")
    };
    let times: Vec<_> = (0..100).map(struck).collect();
    assert!(times.iter().all(|&at| from <= at && at <= to));
    assert!(times.iter().any(|&at| at < Instant::from_secs(12)) && times.iter().any(|&at| at > Instant::from_secs(18)));
}

#[test]
fn the_world_is_quiet_after_the_last_change() {
    let (world, _) = Story::new().fault(10, pause(A), Some(90)).act(50, B, |_, _| {}).play();
    assert_eq!(world.quiet_since(), Some(Instant::from_nanos(100_000_000)));
    let mut world =
        World::new(&Arc::new(Story::new().setup), &Arc::new(Story::new().fault(10, pause(A), None).schedule));
    assert_eq!(world.quiet_since(), None);
    while world.next_event_at().is_some() {
        world.step();
    }
    assert_eq!(world.quiet_since(), Some(Instant::from_nanos(10_000_000)));
}

#[test]
fn deviations_lose_duplicate_and_delay_single_messages() {
    let deviate = |ordinal, deviation| {
        let mut story = Story::new().act(1, A, two_notes);
        let moment = Moment { at: Instant::from_nanos(1_000_000), ordinal };
        story.schedule.deviations.insert(Site::Link(A, B), moment, deviation);
        story
    };
    let ms = Duration::from_millis;
    deviate(0, Deviation::Lost).expect(B, &["0.006s note 2"]);
    deviate(1, Deviation::Duplicated { first: ms(2), second: ms(9) })
        .expect(B, &["0.003s note 2", "0.006s note 1", "0.01s note 2"]);
    deviate(0, Deviation::Delayed(ms(30))).expect(B, &["0.006s note 2", "0.031s note 1"]);
}

#[test]
fn a_panic_is_a_violation_with_the_event_and_the_place() {
    let (_, outcome) = Story::new().act(10, B, |_, _| panic!("the journal is {}", "gone")).play();
    let violation = outcome.violation.expect("it panicked");
    assert_eq!((violation.invariant.as_str(), violation.event, violation.node), (NO_PANIC, 4, Some(B)));
    assert_eq!(violation.at, Instant::from_nanos(10_000_000));
    assert!(
        violation.message.contains("b panicked") && violation.message.contains("the journal is gone"),
        "{violation:?}"
    );
}

/// An invariant with a defect of its own.
#[derive(Clone, Hash)]
struct Faulty {
    /// Whether it is the last look that it does not survive, not the first.
    at_the_end: bool,
}

impl Invariant<Diary> for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, _: &World<Diary>, _: Touched) -> Check {
        assert!(self.at_the_end, "it cannot look");
        Check::Holds
    }

    fn finish(&mut self, _: &World<Diary>) -> Check {
        panic!("it cannot finish")
    }
}

#[test]
fn a_panic_of_an_invariant_is_a_violation_that_names_it() {
    let seen = |at_the_end| {
        let Story { setup, schedule, limits } = Story::new().act(10, B, |_, _| {});
        let world = World::new(&Arc::new(setup), &Arc::new(schedule));
        Run::new(world, vec![Box::new(Faulty { at_the_end })], limits).to_end().violation.expect("it panicked")
    };
    let at_once = seen(false);
    assert_eq!((at_once.invariant.as_str(), at_once.event, at_once.node), (NO_PANIC, 1, None));
    assert_eq!(at_once.message, "the invariant faulty panicked: it cannot look");
    let at_the_end = seen(true);
    // Two starts, the fault that brings the command, and the command.
    assert_eq!((at_the_end.invariant.as_str(), at_the_end.event, at_the_end.node), (NO_PANIC, 4, None));
    assert_eq!(at_the_end.at, Instant::from_nanos(100_000_000_000));
    assert_eq!(at_the_end.message, "the invariant faulty panicked: it cannot finish");
}

#[test]
fn a_fault_that_waits_for_an_event_that_never_comes_does_not_keep_a_run_from_ending() {
    let Story { setup, schedule, limits } = Story::new().act_when(Trigger::OnEvent(1_000), B, |_, _| {});
    let world = World::new(&Arc::new(setup), &Arc::new(schedule));
    let recovers = Eventually::within("recovers", Duration::from_secs(1), |_: &World<Diary>| true);
    let outcome = Run::new(world, vec![Box::new(recovers)], limits).to_end();
    assert_eq!(outcome.end, Instant::from_nanos(100_000_000_000));
    let message = outcome.violation.expect("nobody can tell").message;
    assert!(message.starts_with("it could not be decided"), "{message}");
}

#[test]
fn an_endless_loop_at_one_instant_is_a_violation() {
    let mut story = Story::new().act(10, A, |_, ctx| ctx.send(B, Message::Ball));
    story.setup.network.latency = (Duration::ZERO, Duration::ZERO);
    let (_, outcome) = story.play();
    let violation = outcome.violation.expect("it storms");
    assert_eq!((violation.invariant.as_str(), violation.at), (NO_EVENT_STORM, Instant::from_nanos(10_000_000)));
}

#[test]
fn an_exhausted_budget_of_events_is_a_violation() {
    let mut story = Story::new().act(10, A, |_, ctx| ctx.send(B, Message::Ball));
    story.limits.events = 1000;
    let violation = story.play().1.violation.expect("it goes on for ever");
    assert_eq!((violation.invariant.as_str(), violation.event), (EVENT_BUDGET, 1001));
}

#[test]
fn kinds_are_the_variants() {
    assert_eq!(Message::KINDS, ["Note", "Ball"]);
}
