//! Time, clocks and timers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sim_core::trace::What;
use sim_core::{
    Actor, ClockSetting, CommandId, Context, Fault, FaultPlan, Instant, LocalClock, NodeId, Schedule, Setup, Trigger,
    World,
};

use crate::chatter::{goes_on, run, scenes};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn time_and_every_clock_only_move_forward(scene in scenes()) {
        let mut world = scene.world();
        let reading = |world: &World<_>| -> Vec<Instant> {
            world.node_ids().map(|node| world.clock(node).now(world.now())).collect()
        };
        let (mut now, mut clocks) = (world.now(), reading(&world));
        while goes_on(&world) {
            let next = world.next_event_at().expect("it goes on");
            world.step();
            prop_assert_eq!(world.now(), next, "the event happens when it was announced");
            prop_assert!(world.now() >= now);
            let elapsed = world.now().since(now).as_nanos();
            let read = reading(&world);
            for (node, (&before, &after)) in clocks.iter().zip(&read).enumerate() {
                prop_assert!(after >= before, "n{node} went from {before} back to {after}");
                let counted = after.since(before).as_nanos();
                // Half to one and a half times true speed, but for what is rounded to whole nanoseconds.
                prop_assert!(counted + 1 >= elapsed / 2 && counted <= elapsed * 3 / 2 + 1, "n{node}");
            }
            (now, clocks) = (world.now(), read);
        }
    }

    #[test]
    fn the_number_of_an_event_orders_it_in_time_and_after_its_cause(scene in scenes()) {
        let mut world = scene.world();
        world.record();
        run(&mut world);
        let entries = &world.trace().expect("it records").entries;
        for pair in entries.windows(2) {
            prop_assert!(pair[0].event <= pair[1].event && pair[0].at <= pair[1].at, "{pair:?}");
        }
        for entry in entries {
            prop_assert!(entry.cause <= entry.event, "{entry:?}");
        }
    }

    #[test]
    fn what_happens_at_the_same_instant_happens_in_the_order_in_which_it_was_caused(
        seed: u64,
        plans in prop::collection::vec((0..4_u64, 1..4_u64), 1..60),
    ) {
        // Timers and messages that all take whole milliseconds, so that many fall together.
        let factory = move |node: NodeId| Ticker { node, plans: plans.clone(), next: 0 };
        let mut setup = Setup::new(["a", "b", "c"], factory);
        setup.network.latency = (Duration::from_millis(2), Duration::from_millis(2));
        let mut world = World::new(&Arc::new(setup), &Arc::new(Schedule::seeded(seed)));
        world.record();
        while world.next_event_at().is_some() {
            world.step();
        }
        let mut last = (Instant::ZERO, 0);
        for entry in &world.trace().expect("it records").entries {
            if matches!(entry.what, What::Timer { .. } | What::Delivered { .. }) {
                prop_assert!(last.0 < entry.at || last.1 <= entry.cause, "{entry:?} after one of event {}", last.1);
                last = (entry.at, entry.cause);
            }
        }
    }

    #[test]
    fn timers_behave_like_a_list_of_deadlines(
        acts in prop::collection::vec((0..40_u64, act()), 1..40),
        drift_ppm in prop_oneof![Just(0), -500_000..=500_000],
    ) {
        let clock = ClockSetting { offset: Duration::from_secs(3), drift_ppm };
        let (fired, expected) = (alarms(&acts, clock), model(&acts, clock));
        prop_assert_eq!(fired, expected);
    }
}

/// Sets timers and sends messages by plan, and does so again with each event.
#[derive(Clone, Hash)]
struct Ticker {
    node: NodeId,
    plans: Vec<(u64, u64)>,
    next: usize,
}

impl Ticker {
    fn act(&mut self, ctx: &mut Context<Self>) {
        for _ in 0..2 {
            let Some(&(what, delay)) = self.plans.get(self.next) else { return };
            self.next += 1;
            match what {
                0 => ctx.send(NodeId((self.node.0 + 1) % 3), ()),
                timer => ctx.set_timer(timer as u8, Duration::from_millis(delay)),
            }
        }
    }
}

impl Actor for Ticker {
    type Message = ();
    type Timer = u8;
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) {
        self.act(ctx);
    }
    fn on_message(&mut self, _: NodeId, (): (), ctx: &mut Context<Self>) {
        self.act(ctx);
    }
    fn on_timer(&mut self, _: u8, ctx: &mut Context<Self>) {
        self.act(ctx);
    }
}

/// What an operator asks of the node with the alarms. Durations are milliseconds.
#[derive(Clone, Copy, Debug, Hash)]
enum Act {
    /// On the node's own clock.
    Set(u8, u64),
    Cancel(u8),
    /// In world time: work takes as long as it takes, whatever the clock says.
    Busy(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..3_u8, 0..20_u64).prop_map(|(timer, after)| Act::Set(timer, after)),
        2 => (0..3_u8).prop_map(Act::Cancel),
        1 => (0..15_u64).prop_map(Act::Busy),
    ]
}

/// What fired, and when in world time.
type Fired = Vec<(Instant, u8)>;

/// Notes what fires.
#[derive(Clone, Default, Hash)]
struct Alarms;

impl Actor for Alarms {
    type Message = ();
    type Timer = u8;
    type Record = ();
    type Command = Act;

    fn on_start(&mut self, _: &[()], _: &mut Context<Self>) {}
    fn on_message(&mut self, _: NodeId, (): (), _: &mut Context<Self>) {}
    fn on_timer(&mut self, timer: u8, ctx: &mut Context<Self>) {
        ctx.mark(["0", "1", "2"][timer as usize]);
    }
    fn on_command(&mut self, act: Act, ctx: &mut Context<Self>) {
        match act {
            Act::Set(timer, after) => ctx.set_timer(timer, Duration::from_millis(after)),
            Act::Cancel(timer) => ctx.cancel_timer(timer),
            Act::Busy(time) => ctx.busy(Duration::from_millis(time)),
        }
    }
}

/// The kernel's answer.
fn alarms(acts: &[(u64, Act)], clock: ClockSetting) -> Fired {
    let mut setup = Setup::new(["n0"], |_| Alarms);
    setup.commands = acts.iter().map(|&(_, act)| act).collect();
    let mut faults = FaultPlan::default();
    for (number, &(at, _)) in acts.iter().enumerate() {
        let fault = Fault::Command { node: NodeId(0), command: CommandId(number as u32) };
        faults.push(Trigger::At(Instant::from(Duration::from_millis(at))), fault, None);
    }
    let clocks = BTreeMap::from([(NodeId(0), clock)]);
    let mut world = World::new(&Arc::new(setup), &Arc::new(Schedule { faults, clocks, ..Schedule::calm(0) }));
    world.record();
    while world.next_event_at().is_some() {
        world.step();
    }
    let marks = world.trace().expect("it records").entries.iter().filter_map(|entry| match entry.what {
        What::Mark { name, .. } => Some((entry.at, name.parse().expect("a mark is a number"))),
        _ => None,
    });
    marks.collect()
}

/// What is to happen to the node of the model.
#[derive(Clone, Copy, Debug, Hash)]
enum Due {
    Asked(Act),
    /// The timer, and which of its settings: an older one does not count.
    Timer(u8, u64),
}

/// The same in the simplest way: a list of all that is to come, and one of what waits for the node to be free.
fn model(acts: &[(u64, Act)], clock: ClockSetting) -> Fired {
    let clock = LocalClock::new(clock);
    let mut coming: Vec<(Instant, u64, Due)> = Vec::new();
    for (number, &(at, act)) in acts.iter().enumerate() {
        coming.push((Instant::from(Duration::from_millis(at)), number as u64, Due::Asked(act)));
    }
    let (mut order, mut busy_until) = (acts.len() as u64, Instant::ZERO);
    let mut waiting: Vec<Due> = Vec::new();
    let mut current: BTreeMap<u8, u64> = BTreeMap::new();
    let mut fired = Fired::new();
    loop {
        coming.sort_by_key(|&(at, order, _)| (at, order));
        let next = coming.first().map(|&(at, _, _)| at);
        let (now, due) = if !waiting.is_empty() && next.is_none_or(|next| busy_until <= next) {
            (busy_until, waiting.remove(0))
        } else if next.is_some() {
            let (at, _, due) = coming.remove(0);
            if at < busy_until || !waiting.is_empty() {
                waiting.push(due);
                continue;
            }
            (at, due)
        } else {
            return fired;
        };
        match due {
            Due::Timer(timer, setting) if current.get(&timer) == Some(&setting) => {
                current.remove(&timer);
                fired.push((now, timer));
            }
            Due::Timer(..) => {}
            Due::Asked(Act::Set(timer, after)) => {
                order += 1;
                current.insert(timer, order);
                let at = now + clock.world_duration(Duration::from_millis(after));
                coming.push((at, order, Due::Timer(timer, order)));
            }
            Due::Asked(Act::Cancel(timer)) => _ = current.remove(&timer),
            Due::Asked(Act::Busy(time)) => busy_until = now + Duration::from_millis(time),
        }
    }
}
