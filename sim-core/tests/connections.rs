//! Connections under every kind of trouble, on nodes that keep a diary. Every link takes 5 ms.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Actor, BufferLimits, CommandId, ConnectionEvent, ConnectionId, Context, Fault, Instant, Kind, Limits, NodeId, Run,
    Schedule, Select, Setup, Trigger, World,
};

#[derive(Clone, Default, Hash)]
struct Diary {
    entries: Vec<String>,
    connection: Option<ConnectionId>,
}

#[derive(Clone, Debug, Hash)]
struct Line {
    number: u32,
    bytes: u32,
}

impl Kind for Line {
    const KINDS: &'static [&'static str] = &["Line"];
    fn kind(&self) -> &'static str {
        "Line"
    }
    fn bytes(&self) -> u32 {
        self.bytes
    }
}

type Act = fn(&mut Diary, &mut Context<Diary>);

impl Diary {
    fn note(&mut self, ctx: &Context<Self>, text: impl std::fmt::Display) {
        self.entries.push(format!("{} {text}", ctx.now()));
    }

    fn send(&self, ctx: &mut Context<Self>, number: u32) {
        let open = ctx.send_on(self.connection.expect("connected"), Line { number, bytes: 100 });
        assert!(open, "line {number} had no connection to go on");
    }
}

impl Actor for Diary {
    type Message = Line;
    type Timer = ();
    type Record = ();
    type Command = Act;

    fn on_start(&mut self, _: &[()], _: &mut Context<Self>) {}

    fn on_message(&mut self, _: NodeId, line: Line, ctx: &mut Context<Self>) {
        self.note(ctx, format!("line {}", line.number));
    }

    fn on_timer(&mut self, (): (), _: &mut Context<Self>) {}

    fn on_command(&mut self, act: Act, ctx: &mut Context<Self>) {
        act(self, ctx);
    }

    fn on_connection(&mut self, _: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        match event {
            ConnectionEvent::Opened(id) | ConnectionEvent::Accepted(id) => {
                self.connection = Some(id);
                self.note(ctx, "connected");
            }
            ConnectionEvent::Refused(_, reason) => self.note(ctx, format!("refused {reason:?}")),
            ConnectionEvent::Closed(_, reason) => self.note(ctx, format!("closed {reason:?}")),
            ConnectionEvent::Writable(_) => self.note(ctx, "writable"),
        }
    }
}

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);

/// Two nodes, what they do and what breaks, by time in milliseconds.
struct Story {
    setup: Setup<Diary>,
    schedule: Schedule,
}

impl Story {
    /// `a` connects to `b` at once.
    fn connected() -> Self {
        Story::new().act(0, A, connect)
    }

    fn new() -> Self {
        let mut setup = Setup::new(["a", "b"], |_| Diary::default());
        let latency = Duration::from_millis(5);
        setup.network.latency = (latency, latency);
        Story { setup, schedule: Schedule::calm(1) }
    }

    fn act(mut self, at: u64, node: NodeId, act: Act) -> Self {
        let command = CommandId(self.setup.commands.len() as u32);
        self.setup.commands.push(act);
        self.fault(at, Fault::Command { node, command }, None)
    }

    fn fault(mut self, at: u64, fault: Fault, hold: Option<u64>) -> Self {
        let at = Trigger::At(Instant::from_nanos(at * 1_000_000));
        self.schedule.faults.push(at, fault, hold.map(Duration::from_millis));
        self
    }

    fn run(self) -> World<Diary> {
        let world = World::new(&Arc::new(self.setup), &Arc::new(self.schedule));
        let mut run = Run::new(world, Vec::new(), Limits { duration: Duration::from_secs(200), ..Limits::default() });
        assert_eq!(run.to_end().violation, None);
        run.world
    }

    /// Runs it and compares both diaries.
    #[track_caller]
    fn expect(self, a: &[&str], b: &[&str]) {
        let world = self.run();
        let diary = |node| world.actor(node).map_or(&[] as &[String], |diary| &diary.entries);
        assert_eq!(diary(A), a, "the diary of a");
        assert_eq!(diary(B), b, "the diary of b");
    }
}

fn connect(_: &mut Diary, ctx: &mut Context<Diary>) {
    let peer = NodeId(1 - ctx.node().0);
    ctx.connect(peer);
}

fn cut(from: NodeId, to: NodeId) -> Fault {
    Fault::Cut { from, to }
}

fn partition() -> Fault {
    Fault::Partition { groups: vec![vec![A], vec![B]] }
}

#[test]
fn a_connection_takes_a_round_trip_to_open_and_carries_lines_in_order() {
    Story::connected()
        .act(20, A, |diary, ctx| (1..=3).for_each(|number| diary.send(ctx, number)))
        .expect(&["0.01s connected"], &["0.005s connected", "0.025s line 1", "0.025s line 2", "0.025s line 3"]);
}

#[test]
fn a_node_that_does_not_listen_refuses() {
    Story::new()
        .act(0, B, |_, ctx| ctx.listen(false))
        .act(1, A, connect)
        .act(20, B, |_, ctx| ctx.listen(true))
        .act(30, A, connect)
        .expect(&["0.011s refused Reset", "0.04s connected"], &["0.035s connected"]);
}

#[test]
fn a_process_that_is_down_refuses_and_a_machine_that_is_gone_does_not_answer() {
    Story::new().fault(0, Fault::Crash { node: B }, None).act(1, A, connect).expect(&["0.011s refused Reset"], &[]);
    Story::new()
        .fault(0, Fault::HostFailure { host: sim_core::HostId(1) }, None)
        .act(1, A, connect)
        .expect(&["30.001s refused TimedOut"], &[]);
}

#[test]
fn opening_waits_for_a_cut_link_to_heal_but_not_for_ever() {
    Story::new().fault(0, cut(A, B), Some(2000)).act(1, A, connect).expect(&["2.01s connected"], &["2.005s connected"]);
    Story::new().fault(0, cut(A, B), None).act(1, A, connect).expect(&["30.001s refused TimedOut"], &[]);
    // Only the way back is cut: the acceptor has a connection that its peer knows nothing of, until it gives up too.
    Story::new()
        .fault(0, cut(B, A), None)
        .act(1, A, connect)
        .expect(&["30.001s refused TimedOut"], &["0.006s connected", "30.006s closed TimedOut"]);
}

#[test]
fn a_crash_resets_the_peers_behind_what_is_on_the_wire() {
    Story::connected()
        .act(20, A, |diary, ctx| diary.send(ctx, 1))
        .fault(21, Fault::Crash { node: A }, None)
        .expect(&[], &["0.005s connected", "0.025s line 1", "0.026s closed Reset"]);
}

#[test]
fn a_crash_behind_a_partition_leaves_the_peer_half_open_until_it_sends() {
    Story::connected()
        .fault(20, partition(), Some(1000))
        .fault(30, Fault::Crash { node: A }, Some(100))
        .act(5000, B, |diary, ctx| diary.send(ctx, 1))
        .expect(&[], &["0.005s connected", "5.01s closed Reset"]);
}

#[test]
fn a_machine_that_vanishes_is_noticed_only_by_who_sends_to_it() {
    let vanish = || Story::connected().fault(20, Fault::HostFailure { host: sim_core::HostId(0) }, None);
    vanish().expect(&[], &["0.005s connected"]);
    vanish().act(50, B, |diary, ctx| diary.send(ctx, 1)).expect(&[], &["0.005s connected", "30.055s closed TimedOut"]);
}

#[test]
fn a_machine_that_comes_back_resets_who_still_sends_to_it() {
    Story::connected()
        .fault(20, Fault::HostFailure { host: sim_core::HostId(0) }, Some(1000))
        .act(50, B, |diary, ctx| diary.send(ctx, 1))
        .expect(&[], &["0.005s connected", "1.025s closed Reset"]);
}

#[test]
fn a_crash_that_nobody_heard_of_is_told_to_who_still_sends_when_the_way_back_is_open() {
    let unheard = |at, restarted| {
        Story::connected().fault(at, cut(B, A), Some(1000)).fault(40, Fault::Crash { node: B }, restarted)
    };
    for restarted in [None, Some(2000)] {
        unheard(20, restarted)
            .act(30, A, |diary, ctx| diary.send(ctx, 1)) // Read, and never acknowledged.
            .expect(&["0.01s connected", "1.025s closed Reset"], &[]);
        // It was accepted, and A does not know.
        unheard(2, restarted).expect(&["1.012s refused Reset"], &[]);
    }
    unheard(2, Some(100)).expect(&["1.012s connected"], &["1.007s connected"]);
}

#[test]
fn a_machine_that_is_gone_acknowledges_nothing_when_the_way_back_is_open() {
    Story::connected()
        .fault(20, cut(B, A), Some(1000))
        .act(30, A, |diary, ctx| diary.send(ctx, 1))
        .fault(40, Fault::HostFailure { host: sim_core::HostId(1) }, None)
        .expect(&["0.01s connected", "30.035s closed TimedOut"], &[]);
}

#[test]
fn lines_wait_for_a_cut_link_to_heal() {
    Story::connected()
        .act(19, A, |diary, ctx| diary.send(ctx, 1)) // On the wire when the cut begins: it arrives.
        .fault(20, cut(A, B), Some(5000))
        .act(30, A, |diary, ctx| diary.send(ctx, 2))
        .act(40, A, |diary, ctx| diary.send(ctx, 3))
        .expect(&["0.01s connected"], &["0.005s connected", "0.024s line 1", "5.025s line 2", "5.025s line 3"]);
}

#[test]
fn a_sender_whose_lines_get_no_answer_gives_up_and_its_peer_stays_half_open() {
    Story::connected()
        .fault(20, partition(), Some(60_000))
        .act(30, A, |diary, ctx| diary.send(ctx, 1))
        .act(90_000, B, |diary, ctx| diary.send(ctx, 2))
        .expect(&["0.01s connected", "30.03s closed TimedOut"], &["0.005s connected", "90.01s closed Reset"]);
}

#[test]
fn a_sender_that_hears_no_acknowledgement_gives_up_although_its_lines_arrive() {
    Story::connected().fault(20, cut(B, A), None).act(30, A, |diary, ctx| diary.send(ctx, 1)).expect(
        &["0.01s connected", "30.035s closed TimedOut"],
        &["0.005s connected", "0.035s line 1", "30.04s closed Reset"],
    );
}

#[test]
fn a_short_cut_of_the_way_back_does_no_harm() {
    let world = Story::connected()
        .fault(20, cut(B, A), Some(10_000))
        .act(30, A, |diary, ctx| diary.send(ctx, 1))
        .act(100_000, A, |diary, ctx| diary.send(ctx, 2))
        .run();
    assert_eq!(world.actor(B).unwrap().entries, ["0.005s connected", "0.035s line 1", "100.005s line 2"]);
    assert_eq!(world.actor(A).unwrap().entries, ["0.01s connected"]);
    assert!(world.connections(A).iter().all(|c| c.buffered == 0 && c.open));
}

#[test]
fn closing_delivers_everything_first() {
    Story::connected()
        .act(20, A, |diary, ctx| {
            diary.send(ctx, 1);
            ctx.close(diary.connection.unwrap());
        })
        .expect(&["0.01s connected"], &["0.005s connected", "0.025s line 1", "0.025s closed Finished"]);
}

#[test]
fn what_arrives_at_a_closed_end_resets_the_sender() {
    // The line crosses the closing on its way.
    Story::connected()
        .act(20, A, |diary, ctx| ctx.close(diary.connection.unwrap()))
        .act(21, B, |diary, ctx| diary.send(ctx, 1))
        .expect(&["0.01s connected"], &["0.005s connected", "0.025s closed Finished"]);
}

#[test]
fn a_paused_process_finds_everything_in_order_when_it_resumes() {
    Story::connected()
        .fault(20, Fault::Pause { node: B }, Some(40_000))
        .act(30, A, |diary, ctx| diary.send(ctx, 1))
        .act(40, A, |diary, ctx| {
            diary.send(ctx, 2);
            ctx.close(diary.connection.unwrap());
        })
        .expect(
            &["0.01s connected"],
            &["0.005s connected", "40.02s line 1", "40.02s line 2", "40.02s closed Finished"],
        );
}

#[test]
fn a_machine_accepts_for_a_paused_process() {
    Story::new()
        .fault(0, Fault::Pause { node: B }, Some(2000))
        .act(1, A, connect)
        .expect(&["0.011s connected"], &["2s connected"]);
}

#[test]
fn a_line_can_only_be_dropped_with_its_connection() {
    let select = Select { kind: Some("Line"), from: Some(A), to: None };
    let world = Story::connected()
        .fault(20, Fault::Drop { select, count: 1 }, None)
        .act(30, A, |diary, ctx| diary.send(ctx, 1))
        .run();
    assert_eq!(world.actor(A).unwrap().entries, ["0.01s connected", "0.03s closed Reset"]);
    assert_eq!(world.actor(B).unwrap().entries, ["0.005s connected", "0.03s closed Reset"]);
    assert_eq!(world.fired()[1].2.count, 1);
}

#[test]
fn a_delayed_line_holds_up_those_behind_it() {
    let select = Select { kind: Some("Line"), ..Select::default() };
    Story::connected()
        .fault(20, Fault::Delay { select, count: 1, by: Duration::from_secs(1) }, None)
        .act(30, A, |diary, ctx| diary.send(ctx, 1))
        .act(40, A, |diary, ctx| diary.send(ctx, 2))
        .expect(&["0.01s connected"], &["0.005s connected", "1.035s line 1", "1.035s line 2"]);
}

#[test]
fn a_reset_tells_both_ends() {
    Story::connected()
        .fault(20, Fault::Reset { a: B, b: A }, None)
        .expect(&["0.01s connected", "0.02s closed Reset"], &["0.005s connected", "0.02s closed Reset"]);
}

/// Fills the connection until it is not writable, and notes how much that was.
fn fill(diary: &mut Diary, ctx: &mut Context<Diary>) {
    let id = diary.connection.unwrap();
    let mut number = 0;
    while ctx.is_writable(id) {
        ctx.send_on(id, Line { number, bytes: 1000 });
        number += 1;
    }
    diary.note(ctx, format!("full at {}", ctx.connection(id).unwrap().buffered));
}

fn small_buffers(mut story: Story) -> Story {
    story.setup.network.buffer = BufferLimits { low: 2000, high: 5000, capacity: 10_000 };
    story.setup.network.window = 3000;
    story
}

#[test]
fn a_full_buffer_is_writable_again_at_the_low_watermark() {
    // Three lines fill the window; each round trip lets as many follow as were consumed. Four of six are
    // acknowledged when the buffer has fallen to the low watermark.
    let world = small_buffers(Story::connected()).act(20, A, fill).run();
    assert_eq!(world.actor(A).unwrap().entries, ["0.01s connected", "0.02s full at 6000", "0.04s writable"]);
    assert_eq!(world.actor(B).unwrap().entries.len(), 1 + 6);
    assert_eq!(world.connections(A)[0].buffered, 0);
}

#[test]
fn a_paused_reader_blocks_the_writer_without_breaking_the_connection() {
    let world =
        small_buffers(Story::connected()).fault(20, Fault::Pause { node: B }, Some(100_000)).act(30, A, fill).run();
    let diary = &world.actor(A).unwrap().entries;
    assert_eq!(diary[1..], ["0.03s full at 6000", "100.035s writable"]);
}

#[test]
fn a_writer_that_waits_for_a_full_window_notices_that_the_reader_s_machine_is_gone() {
    let story = |back| {
        small_buffers(Story::connected())
            .fault(20, Fault::Pause { node: B }, None)
            .act(30, A, fill)
            .fault(100, Fault::HostFailure { host: sim_core::HostId(1) }, back)
            .run()
    };
    assert_eq!(story(None).actor(A).unwrap().entries[2..], ["30.1s closed TimedOut"]);
    assert_eq!(story(Some(1000)).actor(A).unwrap().entries[2..], ["1.105s closed Reset"]);
}

#[test]
fn a_writer_that_ignores_the_watermark_loses_the_connection() {
    let world = small_buffers(Story::connected())
        .act(20, A, |diary, ctx| {
            let id = diary.connection.unwrap();
            (0..11).for_each(|number| assert!(ctx.send_on(id, Line { number, bytes: 1000 })));
        })
        .run();
    assert_eq!(world.actor(A).unwrap().entries[1..], ["0.02s closed Overflow"]);
    assert!(world.actor(B).unwrap().entries.last().unwrap().ends_with("closed Reset"));
    assert!(world.connections(A).is_empty() && world.connections(B).is_empty());
}

#[test]
fn bandwidth_spreads_lines_over_time() {
    let mut story = Story::connected();
    story.setup.network.bandwidth = Some(10_000); // A line of 100 bytes takes 10 ms.
    story
        .act(20, A, |diary, ctx| (1..=3).for_each(|number| diary.send(ctx, number)))
        .expect(&["0.01s connected"], &["0.005s connected", "0.035s line 1", "0.045s line 2", "0.055s line 3"]);
}

#[test]
fn a_halted_process_closes_in_good_order() {
    Story::connected()
        .act(20, A, |diary, ctx| {
            diary.send(ctx, 1);
            ctx.halt();
        })
        .expect(&[], &["0.005s connected", "0.025s line 1", "0.025s closed Finished"]);
}
