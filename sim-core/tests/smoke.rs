//! The kernel as a whole, on an actor that does a little of everything.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Actor, Connection, ConnectionEvent, ConnectionId, Context, Fault, Kind, Limits, NodeId, Run, Schedule, Setup,
    SyncToken, Trigger, World,
};

const SECOND: Duration = Duration::from_secs(1);

/// Heartbeats to all, streams to its right-hand neighbour, writes now and then.
#[derive(Clone, Default, Hash)]
struct Busybody {
    stream: Option<ConnectionId>,
    received: u64,
    on_stream: Vec<u64>,
    next: u64,
    synced: u64,
}

#[derive(Clone, Debug, Hash)]
enum Message {
    Beat,
    Line { number: u64 },
}
sim_core::kinds!(Message { Beat, Line });

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Beat,
    Reconnect,
}

const NODES: u16 = 3;

impl Busybody {
    fn neighbour(ctx: &Context<Self>) -> NodeId {
        NodeId((ctx.node().0 + 1) % NODES)
    }
}

impl Actor for Busybody {
    type Message = Message;
    type Timer = Timer;
    type Record = u64;
    type Command = ();

    fn on_start(&mut self, disk: &[u64], ctx: &mut Context<Self>) {
        self.next = disk.last().map_or(0, |last| last + 1);
        ctx.set_timer(Timer::Beat, Duration::from_millis(100));
        ctx.connect(Self::neighbour(ctx));
    }

    fn on_message(&mut self, _from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match message {
            Message::Beat => self.received += 1,
            Message::Line { number } => {
                assert!(ctx.via().is_some());
                self.on_stream.push(number);
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match timer {
            Timer::Beat => {
                let this = ctx.node();
                for node in (0..NODES).map(NodeId).filter(|&node| node != this) {
                    ctx.send(node, Message::Beat);
                }
                if let Some(stream) = self.stream {
                    ctx.send_on(stream, Message::Line { number: self.next });
                    ctx.write(self.next);
                    ctx.sync();
                    self.next += 1;
                }
                ctx.set_timer(Timer::Beat, Duration::from_millis(100));
            }
            Timer::Reconnect => {
                ctx.connect(Self::neighbour(ctx));
            }
        }
    }

    fn on_connection(&mut self, _peer: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        match event {
            ConnectionEvent::Opened(id) => self.stream = Some(id),
            ConnectionEvent::Accepted(_) => self.on_stream.clear(),
            ConnectionEvent::Refused(..) => ctx.set_timer(Timer::Reconnect, SECOND),
            ConnectionEvent::Closed(id, _) if self.stream == Some(id) => {
                self.stream = None;
                ctx.set_timer(Timer::Reconnect, SECOND);
            }
            ConnectionEvent::Closed(..) | ConnectionEvent::Writable(_) => {}
        }
    }

    fn on_synced(&mut self, token: SyncToken, _ctx: &mut Context<Self>) {
        assert!(token.0 > self.synced);
        self.synced = token.0;
    }
}

fn setup() -> Arc<Setup<Busybody>> {
    Arc::new(Setup::new(["a", "b", "c"], |_| Busybody::default()))
}

fn run(schedule: Schedule) -> Run<Busybody> {
    let world = World::new(&setup(), &Arc::new(schedule));
    Run::new(world, Vec::new(), Limits { duration: 60 * SECOND, ..Limits::default() })
}

fn troubled(seed: u64) -> Schedule {
    let mut schedule = Schedule::seeded(seed);
    let node = NodeId((seed % 3) as u16);
    let at = |secs| Trigger::At(sim_core::Instant::from_secs(secs));
    schedule.faults.push(at(10), Fault::Crash { node }, Some(3 * SECOND));
    schedule.faults.push(at(20), Fault::Cut { from: NodeId(0), to: NodeId(1) }, Some(5 * SECOND));
    schedule.faults.push(at(30), Fault::Pause { node }, Some(4 * SECOND));
    let groups = vec![vec![NodeId(0)], vec![NodeId(1), NodeId(2)]];
    schedule.faults.push(at(40), Fault::Partition { groups }, Some(3 * SECOND));
    schedule
}

#[test]
fn the_same_seed_takes_the_same_course() {
    for seed in 0..20 {
        let (one, two) = (run(troubled(seed)).to_end(), run(troubled(seed)).to_end());
        assert_eq!(one, two);
        assert_eq!(one.violation, None);
        assert!(one.fired.iter().all(|(_, _, fired)| fired.count == 1), "{:?}", one.fired);
        assert!(one.events > 3000, "{}", one.events);
    }
}

#[test]
fn recording_does_not_change_the_course() {
    let plain = run(troubled(3)).to_end();
    let mut recorded = run(troubled(3));
    recorded.world.record();
    assert_eq!(recorded.to_end(), plain);
    assert!(recorded.world.trace().is_some_and(|trace| trace.entries.len() > 3000));
}

#[test]
fn a_clone_goes_on_like_the_original() {
    let mut original = run(troubled(5));
    assert_eq!(original.until(|world| world.events() == 2000), None);
    let mut clone = original.clone();
    assert_eq!(original.to_end(), clone.to_end());
}

#[test]
fn a_seeded_run_is_a_calm_run_with_its_recorded_deviations() {
    let mut seeded = run(troubled(8));
    seeded.world.record();
    let outcome = seeded.to_end();
    let mut schedule =
        Schedule { deviations: seeded.world.observed_deviations().unwrap().clone(), ..Schedule::calm(8) };
    schedule.faults = seeded.world.schedule().faults.clone();
    assert!(schedule.deviations.len() > 1000);
    // What survives a crash of the unsynced tail is the seed's, and not a deviation: nothing is unsynced here then.
    assert_eq!(run(schedule).to_end().trace_hash, outcome.trace_hash);
}

#[test]
fn connections_keep_order_through_trouble_and_come_back() {
    for seed in 0..50 {
        let mut run = run(troubled(seed));
        run.to_end();
        for node in run.world.node_ids() {
            let actor = run.world.actor(node).unwrap();
            let lines = &actor.on_stream;
            assert!(lines.is_sorted_by(|a, b| a + 1 == *b), "{node} of seed {seed}: {lines:?}");
            assert!(!lines.is_empty(), "{node} of seed {seed} hears nothing");
            let open = |c: &&Connection| c.open;
            assert_eq!(run.world.connections(node).iter().filter(open).count(), 2, "{node} of seed {seed}");
        }
    }
}

#[test]
fn kinds_are_named_after_variants() {
    assert_eq!(Message::KINDS, ["Beat", "Line"]);
}
