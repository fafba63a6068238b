//! The repository on the simulated network, with a tiny actor around each half: what its specification promises holds
//! under random faults, at whatever moment one looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use protocols::services::repository::{
    Client, ClusterNodeId, Config, Descriptor, Event, Folder, Message, Path, Record, Standing, State, Store, Timer,
    Value,
};
use sim_core::{
    Actor, ClockSetting, Context, DiskTrouble, Fault, FaultPlan, Instant, NodeId, Schedule, Select, Setup, SyncToken,
    Trigger, World,
};

const STORE: NodeId = NodeId(0);
const USERS: u16 = 3;

fn config() -> Config {
    Config {
        lease_duration: Duration::from_secs(10),
        lease_update_interval: Duration::from_secs(2),
        lease_failure_margin: Duration::from_secs(2),
        ..Config::default()
    }
}

/// Commits a number every so often, looks who is there, and gives its lease back when it is told to.
#[derive(Clone, Hash)]
struct User {
    client: Client,
    /// The numbers that were acknowledged, in this life.
    acknowledged: u64,
    commits: u64,
    descriptor: Option<Descriptor>,
    halted: bool,
}

#[derive(Clone, Hash)]
enum Node {
    Store(Box<Store>),
    User(Box<User>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Clock {
    Repository(Timer),
    Work,
}

impl From<Timer> for Clock {
    fn from(timer: Timer) -> Self {
        Clock::Repository(timer)
    }
}

impl User {
    fn on_event(&mut self, event: Option<Event>, ctx: &mut Context<Node>) {
        match event {
            // It may have been told to give the lease back before it had it for good.
            Some(Event::Opened) if matches!(self.client.standing(), Standing::Releasing(_)) => {}
            Some(Event::Opened) => {
                ctx.mark("opened");
                ctx.set_timer(Clock::Work, Duration::ZERO);
            }
            Some(Event::Committed(number)) => self.acknowledged = number,
            Some(Event::Descriptor(descriptor)) => {
                if !descriptor.is_final {
                    ctx.mark("backlog");
                }
                self.descriptor = Some(descriptor);
            }
            Some(Event::Released | Event::Fenced) => self.halt(ctx),
            None => {}
        }
    }

    fn halt(&mut self, ctx: &mut Context<Node>) {
        self.halted = true;
        ctx.mark("ended");
        ctx.halt();
    }

    fn work(&mut self, ctx: &mut Context<Node>) {
        // Two documents in turn: who sees the second must have seen the first.
        self.commits += 1;
        let path = Path { folder: Folder::named("doc"), name: u64::from(ctx.node().0) * 2 + self.commits % 2 };
        self.client.commit(path, Value([self.commits, 0, 0]), ctx);
        self.client.read_view(ctx);
        ctx.set_timer(Clock::Work, Duration::from_millis(700));
    }
}

impl Actor for Node {
    type Message = Message;
    type Timer = Clock;
    type Record = Record;
    /// Give the lease back.
    type Command = ();

    fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Self>) {
        match self {
            Node::Store(store) => store.on_start(disk.to_vec(), ctx),
            Node::User(user) => user.client.acquire(ctx),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match self {
            Node::Store(store) => store.on_message(from, message, ctx),
            Node::User(user) if user.client.is_over(ctx.now()) => ctx.halt(),
            Node::User(user) => {
                let event = user.client.on_message(message, ctx);
                user.on_event(event, ctx);
            }
        }
    }

    fn on_timer(&mut self, timer: Clock, ctx: &mut Context<Self>) {
        match (self, timer) {
            (Node::Store(store), Clock::Repository(timer)) => store.on_timer(timer, ctx),
            (Node::Store(_), Clock::Work) => unreachable!("a store does not work"),
            (Node::User(user), _) if user.client.is_over(ctx.now()) => ctx.halt(),
            (Node::User(user), Clock::Repository(timer)) => {
                let event = user.client.on_timer(timer, ctx);
                user.on_event(event, ctx);
            }
            (Node::User(user), Clock::Work) => user.work(ctx),
        }
    }

    fn on_command(&mut self, (): (), ctx: &mut Context<Self>) {
        if let Node::User(user) = self
            && !user.client.is_over(ctx.now())
        {
            ctx.cancel_timer(Clock::Work);
            user.client.release(ctx);
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        match self {
            Node::Store(store) => store.on_synced(token, ctx),
            Node::User(_) => {}
        }
    }
}

fn setup(config: Config) -> Arc<Setup<Node>> {
    let mut setup = Setup::new(["store", "u1", "u2", "u3"], move |node| match node {
        STORE => Node::Store(Box::new(Store::new(config))),
        node => Node::User(Box::new(User {
            client: Client::new(STORE, u64::from(node.0), config),
            acknowledged: 0,
            commits: 0,
            descriptor: None,
            halted: false,
        })),
    });
    setup.commands = vec![()];
    Arc::new(setup)
}

/// What the tests have seen of a run.
#[derive(Default)]
struct Seen {
    /// By number of a descriptor, who was active.
    active: BTreeMap<u64, Vec<ClusterNodeId>>,
    /// By reader, life and writer, how many commits had been seen.
    read: BTreeMap<(u16, u32, ClusterNodeId), u64>,
}

/// Checks the specification, sentence by sentence.
fn check(world: &World<Node>, seen: &mut Seen) -> Result<(), TestCaseError> {
    let users: Vec<(NodeId, &User)> = world
        .node_ids()
        .filter_map(|node| match world.actor(node) {
            Some(Node::User(user)) if !user.halted => Some((node, &**user)),
            _ => None,
        })
        .collect();
    // What the store has taken for true is durable. While it is down, there is nobody to compare with.
    let Some(Node::Store(store)) = world.actor(STORE) else { return Ok(()) };
    let ledger = store.ledger();
    for &(node, user) in &users {
        let name = world.setup().name(node);
        // Leases, 3: as long as a process may use its lease, nobody takes it for dead.
        if let Some(lease) = user.client.lease()
            && user.client.has_lease(world.clock(node).now(world.now()))
        {
            prop_assert!(ledger.holds(lease), "{name} uses {lease:?}, which has ended");
            // Documents, 1: what was acknowledged is durable.
            let commits = ledger.commits(lease.node).len() as u64;
            prop_assert!(commits >= user.acknowledged, "{name} lost commits after {commits}");
        }
        for id in (1..=USERS).map(ClusterNodeId) {
            let upto = user.client.seen(id);
            // Documents, 4: what was seen stays seen.
            let before = seen.read.insert((node.0, world.incarnation(node), id), upto).unwrap_or_default();
            prop_assert!(before <= upto, "{name} had seen {before} commits of {id}, and now {upto}");
            // Documents, 2: others see what was published.
            let is_own = user.client.lease().is_some_and(|lease| lease.node == id);
            prop_assert!(is_own || upto <= ledger.published(id), "{name} sees too much of {id}");
            // Documents, 3: it sees exactly what the writer's first so many commits amount to.
            let mut documents = BTreeMap::new();
            for commit in &ledger.commits(id)[..upto as usize] {
                documents.insert(commit.path, commit.value);
            }
            for (path, value) in documents {
                prop_assert_eq!(user.client.read(path), Some(value), "{} after {} commits of {}", name, upto, id);
            }
        }
        let Some(descriptor) = &user.descriptor else { continue };
        // Descriptor: the same number means the same active ids for everybody.
        let active = seen.active.entry(descriptor.seq).or_insert_with(|| descriptor.active.clone());
        prop_assert_eq!(&*active, &descriptor.active, "two descriptors have number {}", descriptor.seq);
        // Descriptor: without anybody deactivating, all that the inactive ids ever committed has been seen.
        if descriptor.deactivating.is_empty() && descriptor.seq == ledger.view().seq {
            for &id in &descriptor.inactive {
                let (has, all) = (user.client.seen(id), ledger.commits(id).len() as u64);
                prop_assert!(has >= all, "{name} takes {id} for gone, but has seen only {has} of {all} commits");
            }
        }
    }
    Ok(())
}

/// A fault that strikes in the first forty seconds and lasts for up to twelve.
fn fault() -> impl Strategy<Value = (Instant, Fault, Option<Duration>)> {
    let node = (0..=USERS).prop_map(NodeId);
    let millis = |from: u64, to: u64| (from..to).prop_map(Duration::from_millis);
    let fault = prop_oneof![
        node.clone().prop_map(|node| Fault::Crash { node }),
        node.clone().prop_map(|node| Fault::Pause { node }),
        (1..=USERS).prop_map(|user| Fault::Cut { from: NodeId(user), to: STORE }),
        (1..=USERS).prop_map(|user| Fault::Cut { from: STORE, to: NodeId(user) }),
        (1..=USERS).prop_map(|user| Fault::Partition { groups: vec![vec![STORE], vec![NodeId(user)]] }),
        (millis(0, 4_000), 0..Message::KINDS_COUNT).prop_map(|(by, kind)| Fault::Delay {
            select: kind_of(kind),
            count: 3,
            by
        }),
        (0..Message::KINDS_COUNT).prop_map(|kind| Fault::Drop { select: kind_of(kind), count: 3 }),
        millis(10, 2_000).prop_map(|by| Fault::Disk { node: STORE, trouble: DiskTrouble::Slow { by } }),
        (1..=USERS).prop_map(|user| Fault::Command { node: NodeId(user), command: sim_core::CommandId(0) }),
    ];
    (millis(0, 40_000), fault, millis(100, 12_000)).prop_map(|(at, fault, hold)| (Instant::from(at), fault, Some(hold)))
}

/// How many kinds of messages there are to aim at.
trait Kinds {
    const KINDS_COUNT: usize;
}

impl Kinds for Message {
    const KINDS_COUNT: usize = <Message as sim_core::Kind>::KINDS.len();
}

fn kind_of(index: usize) -> Select {
    Select { kind: Some(<Message as sim_core::Kind>::KINDS[index]), from: None, to: None }
}

fn run(
    config: Config,
    seed: u64,
    faults: &[(Instant, Fault, Option<Duration>)],
    drift: [i32; 4],
) -> Result<World<Node>, TestCaseError> {
    let mut plan = FaultPlan::default();
    for (at, fault, hold) in faults {
        plan.push(Trigger::At(*at), fault.clone(), *hold);
    }
    // Whoever has stopped because its lease had ended starts again.
    for (user, at) in (1..=USERS).flat_map(|user| [20, 60].map(|at| (user, at))) {
        plan.push(Trigger::At(Instant::from_secs(at)), Fault::Restart { node: NodeId(user) }, None);
    }
    let clock = |(node, drift_ppm): (usize, i32)| {
        (NodeId(node as u16), ClockSetting { offset: Duration::from_secs(node as u64 * 100), drift_ppm })
    };
    let clocks = drift.into_iter().enumerate().map(clock).collect();
    let schedule = Schedule { clocks, faults: plan, ..Schedule::seeded(seed) };
    let mut world = World::new(&setup(config), &Arc::new(schedule));
    let mut seen = Seen::default();
    while world.next_event_at().is_some_and(|at| at < Instant::from_secs(100)) {
        world.step();
        check(&world, &mut seen)?;
    }
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_specification_holds_under_faults(
        seed in any::<u64>(),
        faults in prop::collection::vec(fault(), 0..10),
        drift in prop::array::uniform4(-50_000..=50_000),
    ) {
        let world = run(config(), seed, &faults, drift)?;
        // Forty seconds after the last fault, and with everybody started again, all are there and see each other.
        let Some(Node::Store(store)) = world.actor(STORE) else { panic!("the store runs again") };
        let active = store.ledger().leases(State::Active).count();
        prop_assert_eq!(active, usize::from(USERS));
        for user in 1..=USERS {
            let Some(Node::User(user)) = world.actor(NodeId(user)) else { panic!("everybody runs again") };
            let descriptor = user.descriptor.as_ref().expect("it has asked often");
            prop_assert!(descriptor.is_final && descriptor.active.len() == usize::from(USERS), "{:?}", descriptor);
        }
    }
}

#[test]
fn a_write_is_seen_late_and_after_recovery_at_the_latest() {
    let fault = (Instant::from_secs(10), Fault::Crash { node: NodeId(1) }, None);
    let mut plan = FaultPlan::default();
    plan.push(Trigger::At(fault.0), fault.1, fault.2);
    let mut world = World::new(&setup(config()), &Arc::new(Schedule { faults: plan, ..Schedule::seeded(3) }));
    let mut behind = false;
    while world.next_event_at().is_some_and(|at| at < Instant::from_secs(10)) {
        world.step();
        if let (Some(Node::User(writer)), Some(Node::User(reader))) = (world.actor(NodeId(1)), world.actor(NodeId(2)))
            && let Some(lease) = writer.client.lease()
        {
            behind |= reader.client.seen(lease.node) < writer.acknowledged;
        }
    }
    assert!(behind, "a reader never was behind a writer");
    while world.next_event_at().is_some_and(|at| at < Instant::from_secs(30)) {
        world.step();
    }
    let Some(Node::User(reader)) = world.actor(NodeId(2)) else { panic!("it was left alone") };
    let descriptor = reader.descriptor.as_ref().expect("it has asked often");
    assert_eq!((descriptor.active.len(), descriptor.inactive.len()), (2, 1), "{descriptor:?}");
    assert!(world.mark_count("lease-expired") == 1 && world.mark_count("opened") == 3);
}

#[test]
fn a_holder_without_a_margin_on_a_slow_clock_is_caught() {
    let config = Config { lease_failure_margin: Duration::from_nanos(1), ..config() };
    let cut = Fault::Partition { groups: vec![vec![STORE], vec![NodeId(1)]] };
    let faults = [(Instant::from_secs(10), cut, Some(Duration::from_secs(12)))];
    let wrong = run(config, 1, &faults, [50_000, -50_000, 0, 0]).err().expect("its lease ends after the store's");
    assert!(wrong.to_string().contains("which has ended"), "{wrong}");
}
