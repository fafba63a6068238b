//! Group membership against its own specification, on the simulated network with everything that can break.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use protocols::services::membership::{self, Address, Config, Event, Membership, Status, View, ViewId};
use sim_core::library::Eventually;
use sim_core::search::{Explorer, Menu, MessageMenu};
use sim_core::{
    Actor, Check, Class, ConnectionEvent, Context, Fault, FaultPlan, Instant, Invariant, Limits, NodeId, Outcome, Run,
    Schedule, Setup, Touched, Trigger, World,
};

const NODES: u16 = 4;

/// The smallest actor that embeds the service: it keeps what it was told.
#[derive(Clone, Hash)]
struct Member {
    group: Membership,
    /// All views of this process, and under which address it installed each.
    installed: Vec<(Address, Arc<View>)>,
    left: bool,
}

impl Member {
    fn take(&mut self, events: Vec<Event>, ctx: &mut Context<Self>) {
        for event in events {
            match event {
                Event::View(view) => {
                    if view.merged {
                        ctx.mark("merged");
                    }
                    if view.failed().next().is_some() {
                        ctx.mark("failure-seen");
                    }
                    self.installed.push((self.group.address(), view));
                }
                Event::Shunned => ctx.mark("shunned"),
                Event::Left => self.left = true,
            }
        }
    }
}

impl Actor for Member {
    type Message = membership::Message;
    type Timer = membership::Timer;
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) {
        self.group.start(ctx);
    }

    fn on_message(&mut self, from: NodeId, message: membership::Message, ctx: &mut Context<Self>) {
        let events = self.group.on_message(from, message, ctx);
        self.take(events, ctx);
    }

    fn on_timer(&mut self, timer: membership::Timer, ctx: &mut Context<Self>) {
        let events = self.group.on_timer(timer, ctx);
        self.take(events, ctx);
    }

    fn on_connection(&mut self, _: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        let events = self.group.on_connection(event, ctx).unwrap_or_default();
        self.take(events, ctx);
    }

    /// The only command: leave.
    fn on_command(&mut self, (): (), ctx: &mut Context<Self>) {
        let events = self.group.leave(ctx);
        self.take(events, ctx);
    }
}

/// Promises 1 to 4 of the specification.
#[derive(Clone, Default, Hash)]
struct Views {
    by_id: BTreeMap<ViewId, Arc<View>>,
    /// How many views of each process have been looked at.
    seen: BTreeMap<(NodeId, u32), usize>,
}

impl Views {
    fn look(
        &mut self,
        address: Address,
        view: &Arc<View>,
        before: Option<&(Address, Arc<View>)>,
    ) -> Result<(), String> {
        if !view.has(address) {
            return Err(format!("{address:?} installed {view:?}, which it is not in"));
        }
        let known = self.by_id.entry(view.id).or_insert_with(|| Arc::clone(view));
        if known != view {
            return Err(format!("two views have one id: {known:?} and {view:?}"));
        }
        if let Some((_, former)) = before.filter(|(former, _)| *former == address) {
            if former.id >= view.id {
                return Err(format!("{address:?} installed {:?} after {:?}", view.id, former.id));
            }
            let common = |one: &View, other: &View| -> Vec<Address> {
                one.members.iter().copied().filter(|&member| other.has(member)).collect()
            };
            if !view.merged && common(former, view) != common(view, former) {
                return Err(format!("the order changed from {former:?} to {view:?}"));
            }
        }
        let strangers = view.left.iter().any(|member| !view.previous.contains(member) || view.has(*member));
        if strangers || view.members.is_empty() {
            return Err(format!("{view:?} contradicts itself"));
        }
        Ok(())
    }
}

impl Invariant<Member> for Views {
    fn name(&self) -> &str {
        "views"
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Member>, touched: Touched) -> Check {
        let Touched::Node(node) = touched else { return Check::Holds };
        let Some(member) = world.actor(node) else { return Check::Holds };
        let seen = self.seen.insert((node, world.incarnation(node)), member.installed.len()).unwrap_or(0);
        for at in seen..member.installed.len() {
            let (address, view) = &member.installed[at];
            if let Err(wrong) = self.look(*address, view, at.checked_sub(1).map(|before| &member.installed[before])) {
                return Check::Violated(wrong);
            }
        }
        Check::Holds
    }
}

/// Promise 5: one view of exactly those that run.
fn one_view(world: &World<Member>) -> Result<(), String> {
    let running: Vec<&Member> =
        world.node_ids().filter_map(|node| world.actor(node)).filter(|member| !member.left).collect();
    let mut addresses: Vec<Address> = running.iter().map(|member| member.group.address()).collect();
    addresses.sort();
    for member in &running {
        let Some(view) = member.group.view() else { return Err(format!("{:?} has no view", member.group.address())) };
        let mut members = view.members.clone();
        members.sort();
        if members != addresses || Some(view) != running[0].group.view() {
            let views: Vec<_> = running.iter().map(|m| (m.group.address(), m.group.status(), m.group.view())).collect();
            return Err(format!("{addresses:?} run in different views: {views:#?}"));
        }
    }
    Ok(())
}

/// That nobody who is in a view takes it for failed whoever runs and is in another: true as long as no silence outlasts
/// detection.
#[derive(Clone, Default, Hash)]
struct NobodyBuried;

impl Invariant<Member> for NobodyBuried {
    fn name(&self) -> &str {
        "nobody-buried"
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Member>, touched: Touched) -> Check {
        let Touched::Node(node) = touched else { return Check::Holds };
        let Some((_, view)) = world.actor(node).and_then(|member| member.installed.last()) else { return Check::Holds };
        let runs =
            |address: &Address| world.actor(address.node).is_some_and(|member| member.group.address() == *address);
        match view.failed().find(runs) {
            Some(buried) => Check::Violated(format!("{buried:?} runs and has failed in {view:?}")),
            None => Check::Holds,
        }
    }
}

fn run(seed: u64, faults: FaultPlan, config: Config) -> Outcome {
    make(&Schedule { faults, ..Schedule::seeded(seed) }, config, Duration::from_secs(80), Vec::new()).to_end()
}

/// `further` are invariants beside those that always hold.
fn make(
    schedule: &Schedule,
    config: Config,
    duration: Duration,
    further: Vec<Box<dyn Invariant<Member>>>,
) -> Run<Member> {
    let candidates: Arc<[NodeId]> = (0..NODES).map(NodeId).collect();
    let recovery = config.recovery();
    let mut setup: Setup<Member> = Setup::new(["a", "b", "c", "d"], move |node| Member {
        group: Membership::new(node, Arc::clone(&candidates), config.clone()),
        installed: Vec::new(),
        left: false,
    });
    setup.commands.push(());
    let world = World::new(&Arc::new(setup), &Arc::new(schedule.clone()));
    let mut invariants: Vec<Box<dyn Invariant<Member>>> =
        vec![Box::new(Views::default()), Box::new(Eventually::within("one-view", recovery, one_view).and_stays())];
    invariants.extend(further);
    let limits = Limits { duration, ..Limits::default() };
    Run::new(world, invariants, limits)
}

/// Faults, each with when it begins and how long it lasts, in milliseconds.
fn plan(faults: Vec<(u64, Fault, u64)>) -> FaultPlan {
    let mut plan = FaultPlan::default();
    for (at, fault, hold) in faults {
        let at = Instant::from(Duration::from_millis(at));
        plan.push(Trigger::At(at), fault, Some(Duration::from_millis(hold)));
    }
    plan
}

fn groups(mask: u16) -> Vec<Vec<NodeId>> {
    let side = |bit| (0..NODES).filter(|n| (mask >> n & 1) == bit).map(NodeId).collect();
    vec![side(0), side(1)]
}

fn fault() -> impl Strategy<Value = (u64, Fault, u64)> {
    let node = (0..NODES).prop_map(NodeId);
    let two = (0..NODES, 1..NODES).prop_map(|(a, step)| (NodeId(a), NodeId((a + step) % NODES)));
    let kind = prop_oneof![
        node.clone().prop_map(|node| Fault::Crash { node }),
        node.clone().prop_map(|node| Fault::Pause { node }),
        (1..15u16).prop_map(|mask| Fault::Partition { groups: groups(mask) }),
        (1..15u16).prop_map(|mask| {
            let [from, to] = <[Vec<NodeId>; 2]>::try_from(groups(mask)).expect("there are two sides");
            Fault::OneWay { from, to }
        }),
        two.prop_map(|(a, b)| Fault::Reset { a, b }),
    ];
    (0..50_000u64, kind, 100..25_000u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn views_are_ordered_and_one_in_the_end(seed: u64, faults in prop::collection::vec(fault(), 0..7)) {
        let outcome = run(seed, plan(faults), Config::default());
        prop_assert_eq!(outcome.violation, None);
    }
}

/// Found by the test above, each once in tens of thousands of cases: a member took views for successors of its own that
/// are not.
#[test]
fn only_what_comes_after_a_view_follows_it() {
    let [a, b, c, d] = [0, 1, 2, 3].map(NodeId);
    let cases = [
        // A joiner is in views 4 to 6, out of 7 and 8, and in again in 9, and hears of all of them at once.
        (
            1_790_505_595_043_364_116,
            vec![
                (3_000, Fault::Crash { node: a }, 4_761),
                (5_006, Fault::OneWay { from: vec![b, d], to: vec![a, c] }, 12_149),
                (10_778, Fault::Pause { node: a }, 15_534),
            ],
        ),
        // A coordinator dies when it has let a member in, and the next one does not hear of that.
        (
            17_589_802_685_122_025_464,
            vec![
                (45_285, Fault::Crash { node: a }, 13_696),
                (44_559, Fault::OneWay { from: vec![b, c, d], to: vec![a] }, 14_428),
                (40_113, Fault::Crash { node: c }, 5_484),
                (47_350, Fault::Pause { node: b }, 16_696),
            ],
        ),
        // Two coordinators let the same member in, neither of which knows of the other's view.
        (
            6_939_517_187_683_412_062,
            vec![
                (29_395, Fault::OneWay { from: vec![b, d], to: vec![a, c] }, 20_741),
                (33_023, Fault::Reset { a, b }, 100),
                (18_569, Fault::Pause { node: a }, 5_510),
            ],
        ),
    ];
    for (seed, faults) in cases {
        assert_eq!(run(seed, plan(faults), Config::default()).violation, None, "seed {seed}");
    }
}

/// Two that do not hear of each other found a group each. Whoever asked both to let it in left the one as soon as it heard
/// from the other, for ever.
#[test]
fn there_is_one_view_whichever_message_is_lost_or_late_while_the_group_is_founded() {
    let late = vec![Duration::from_secs(2)];
    let messages = MessageMenu { lost: true, late, nodes: Vec::new(), kinds: Vec::new() };
    let menu = Menu { faults: Vec::new(), messages, window: Some((Instant::ZERO, Instant::from_secs(3))) };
    for seed in 0..2 {
        let start = |schedule: &Schedule| make(schedule, Config::default(), Duration::from_secs(10), Vec::new());
        let explored = Explorer::new(menu.clone(), 2).jobs(1).explore(&Schedule::calm(seed), start);
        let explored = explored.expect("a thread can be started");
        assert_eq!(explored.counterexample, None, "seed {seed}");
        assert!(explored.complete && explored.worlds() > 50, "seed {seed}: {} worlds", explored.worlds());
    }
}

/// Two groups, as two pairs do not hear of each other until 25 s.
fn founded_apart() -> Vec<(u64, Fault, u64)> {
    vec![(0, Fault::Partition { groups: groups(0b1100) }, 25_000)]
}

/// After a merge, whoever missed the view beats only to its former group, whose coordinator was nobody to ask any more: it
/// was taken for dead.
#[test]
fn whoever_misses_the_view_of_a_merge_is_given_it() {
    let messages = MessageMenu { lost: true, late: Vec::new(), nodes: Vec::new(), kinds: vec!["Install"] };
    let window = Some((Instant::from_secs(25), Instant::from_secs(50)));
    let menu = Menu { faults: Vec::new(), messages, window };
    for seed in 0..10 {
        let start = |schedule: &Schedule| {
            make(schedule, Config::default(), Duration::from_secs(80), vec![Box::new(NobodyBuried)])
        };
        let apart = Schedule { faults: plan(founded_apart()), ..Schedule::calm(seed) };
        let explored = Explorer::new(menu.clone(), 1).jobs(1).explore(&apart, start).expect("a thread can be started");
        assert_eq!(explored.counterexample, None, "seed {seed}");
        assert!(explored.complete && explored.worlds() >= 3, "seed {seed}: {} worlds", explored.worlds());
    }
}

/// One is alone and has the smallest address, and two are together.
#[test]
fn whoever_joins_while_there_are_two_groups_joins_the_one_that_most_are_in() {
    for seed in 0..20 {
        let alone = (0, Fault::Partition { groups: groups(0b0001) }, 25_000);
        let joins = (0, Fault::Crash { node: NodeId(3) }, 25_100);
        let schedule = Schedule { faults: plan(vec![alone, joins]), ..Schedule::seeded(seed) };
        let mut run = make(&schedule, Config::default(), Duration::from_secs(80), Vec::new());
        let first = |world: &World<Member>| Some(world.actor(NodeId(3))?.installed.first()?.1.id.creator.node);
        // Before that it is down, and afterwards the groups merge.
        assert_eq!(run.until(|world| first(world).is_some() && world.now() > Instant::from_secs(25)), None);
        assert_eq!(first(&run.world), Some(NodeId(1)), "seed {seed}");
        assert_eq!(run.to_end().violation, None, "seed {seed}");
    }
}

/// It is in the view of its old group still, and in that of the other again. A merge that left it out buried it alive.
#[test]
fn groups_do_not_merge_while_a_node_is_in_both() {
    for seed in 0..100 {
        let mut faults = founded_apart();
        faults.push((24_900, Fault::Crash { node: NodeId(3) }, 200));
        // With sockets the old group notices before the other lets it in.
        let config = Config { socket_detection: false, ..Config::default() };
        let schedule = Schedule { faults: plan(faults), ..Schedule::seeded(seed) };
        let mut run = make(&schedule, config, Duration::from_secs(80), vec![Box::new(NobodyBuried)]);
        let view = |world: &World<Member>, node| world.actor(NodeId(node)).and_then(|m| m.group.view().cloned());
        let is_in = |view: &View| view.members.iter().any(|member| member.node == NodeId(3));
        let is_in_both =
            |world: &World<Member>| [0, 2].iter().all(|&node| view(world, node).is_some_and(|view| is_in(&view)));
        assert_eq!(run.until(is_in_both), None, "seed {seed}");
        assert_ne!(view(&run.world, 0), view(&run.world, 2), "seed {seed}");
        let outcome = run.to_end();
        assert_eq!(outcome.violation, None, "seed {seed}");
        // The restarted process says that its former one is gone, and not that those who took that for a member are.
        assert_eq!(marks(&outcome, "shunned"), 0, "seed {seed}");
    }
}

fn marks(outcome: &Outcome, name: &str) -> u64 {
    outcome.marks.iter().find(|(mark, _)| *mark == name).map_or(0, |&(_, count)| count)
}

#[test]
fn members_that_start_together_are_in_one_view_in_the_order_of_their_nodes() {
    for seed in 0..100 {
        let outcome = run(seed, FaultPlan::default(), Config::default());
        assert_eq!(outcome.violation, None);
        assert_eq!(marks(&outcome, "failure-seen"), 0);
    }
}

#[test]
fn a_partition_that_outlasts_detection_ends_in_a_merge_of_all() {
    for seed in 0..100 {
        let mut plan = FaultPlan::default();
        let split = Fault::Partition { groups: groups(0b0110) };
        plan.push(Trigger::At(Instant::from_secs(5)), split, Some(Duration::from_secs(30)));
        let outcome = run(seed, plan, Config::default());
        assert_eq!(outcome.violation, None, "seed {seed}");
        // All four install it, unless a search was under way when the links came back.
        assert!(marks(&outcome, "merged") >= 4, "seed {seed}: {:?}", outcome.marks);
    }
}

#[test]
fn a_partition_that_ends_in_time_leaves_the_view_alone() {
    for seed in 0..100 {
        let mut plan = FaultPlan::default();
        let split = Fault::Partition { groups: groups(0b0011) };
        plan.push(Trigger::At(Instant::from_secs(5)), split, Some(Duration::from_secs(6)));
        let outcome = run(seed, plan, Config::default());
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(marks(&outcome, "failure-seen"), 0, "seed {seed}");
    }
}

#[test]
fn a_member_that_was_left_out_while_it_stood_still_joins_anew() {
    for seed in 0..100 {
        let mut plan = FaultPlan::default();
        let pause = Fault::Pause { node: NodeId(0) };
        plan.push(Trigger::At(Instant::from_secs(5)), pause, Some(Duration::from_secs(25)));
        let outcome = run(seed, plan, Config::default());
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(marks(&outcome, "shunned"), 1, "seed {seed}");
    }
}

#[test]
fn a_death_is_seen_at_once_over_the_socket_and_late_without_it() {
    for (socket_detection, millis, seen) in [(true, 3_000, true), (false, 3_000, false), (false, 17_000, true)] {
        let config = Config { socket_detection, ..Config::default() };
        let mut plan = FaultPlan::default();
        plan.push(Trigger::At(Instant::from_secs(10)), Fault::Crash { node: NodeId(2) }, None);
        // A view says so: cut the run short to see whether it is there in time.
        let candidates: Arc<[NodeId]> = (0..NODES).map(NodeId).collect();
        let setup: Setup<Member> = Setup::new(["a", "b", "c", "d"], move |node| Member {
            group: Membership::new(node, Arc::clone(&candidates), config.clone()),
            installed: Vec::new(),
            left: false,
        });
        let mut world = World::new(&Arc::new(setup), &Arc::new(Schedule { faults: plan, ..Schedule::seeded(1) }));
        let until = Instant::from_secs(10) + Duration::from_millis(millis);
        while world.next_event_at().is_some_and(|at| at <= until) {
            world.step();
        }
        assert_eq!(world.mark_count("failure-seen") > 0, seen, "sockets {socket_detection}, after {millis} ms");
    }
}

#[test]
fn whoever_leaves_in_good_order_has_not_failed() {
    for leaver in 0..NODES {
        let mut plan = FaultPlan::default();
        let leave = Fault::Command { node: NodeId(leaver), command: sim_core::CommandId(0) };
        plan.push(Trigger::At(Instant::from_secs(10)), leave, None);
        let outcome = run(u64::from(leaver), plan, Config::default());
        assert_eq!(outcome.violation, None);
        assert_eq!(marks(&outcome, "failure-seen"), 0);
    }
}

#[test]
fn a_member_that_has_not_started_has_no_view() {
    let candidates: Arc<[NodeId]> = [NodeId(0)].into();
    let member = Membership::new(NodeId(0), candidates, Config::default());
    assert_eq!((member.status(), member.view()), (Status::Idle, None));
}
