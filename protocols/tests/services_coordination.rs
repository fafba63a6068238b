//! The coordination service by itself: what it promises, under faults, with clients that hold it to its word.
//!
//! The clients check what they can see themselves, and panic; what only an observer can see are invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use protocols::services::coordination::{
    self, Answer, Client, ClientConfig, Done, Error, Event, LockId, LockKind, Message, Mode, Op, Record, Request,
    Server, SessionChange, SessionId, Text,
};
use sim_core::history::{Call as Asked, Operation, Step};
use sim_core::library::{Always, AtMostOne, Eventually, Linearizable, Sometimes};
use sim_core::{
    Actor, Check, Class, ConnectionEvent, Context, Degradation, DiskTrouble, Fault, FaultPlan, Instant, Invariant,
    Limits, NodeId, Outcome, Run, Schedule, Setup, SyncToken, Touched, Trigger, World,
};

const SERVER: NodeId = NodeId(0);
const USERS: u16 = 3;
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Service(coordination::Timer),
    Work,
    Release,
}

impl From<coordination::Timer> for Timer {
    fn from(timer: coordination::Timer) -> Self {
        Timer::Service(timer)
    }
}

#[derive(Clone, Debug, PartialEq, Hash)]
enum Call {
    Ephemeral(SessionId),
    CounterRead,
    CounterWritten,
    WatchSet,
    Peeked,
    OwnWritten,
    OwnRead(u64),
    Register(Operation),
}

/// A client with a workload.
#[derive(Clone, Hash)]
struct User {
    client: Client<Call>,
    lock: Option<(LockId, LockKind)>,
    /// Versions of the counter that this user was told it has made.
    made: Vec<u32>,
    /// Writes of the counter of which it was never told.
    doubtful: u32,
    /// The session in which its ephemeral node was made.
    ephemeral: Option<SessionId>,
    /// The version at which it has set a watch that has not fired.
    watching: Option<u32>,
    own: u64,
}

#[derive(Clone, Hash)]
enum Node {
    Server(Box<Server>),
    User(Box<User>),
}

fn set(path: &str, data: String, version: Option<u32>) -> Op {
    Op::Set { path: path.into(), data: data.into(), version }
}

impl User {
    fn new() -> Self {
        let config = ClientConfig { session_timeout: TIMEOUT, ..ClientConfig::default() };
        User {
            client: Client::new(SERVER, config),
            lock: None,
            made: Vec::new(),
            doubtful: 0,
            ephemeral: None,
            watching: None,
            own: 0,
        }
    }

    fn read(&mut self, path: &str, watch: bool, call: Call, ctx: &mut Context<Node>) {
        self.client.request(Request::Read { paths: vec![path.into()], watch }, call, ctx);
    }

    fn write(&mut self, ops: Vec<Op>, call: Call, ctx: &mut Context<Node>) {
        self.client.request(Request::Transaction(ops), call, ctx);
    }

    fn work(&mut self, ctx: &mut Context<Node>) {
        let pause = Duration::from_millis(100) + ctx.random_duration(Duration::from_millis(600));
        ctx.set_timer(Timer::Work, pause);
        if !self.client.is_connected() || ctx.now() > Instant::from_secs(40) {
            return; // In the end there is rest, so that what is observed can be compared.
        }
        match ctx.random_below(6) {
            0 | 1 if self.lock.is_none() => {
                let kind = [LockKind::Exclusive, LockKind::Read, LockKind::Write][ctx.random_below(3) as usize];
                let path: Text = if kind == LockKind::Exclusive { "/lock" } else { "/shared" }.into();
                let timeout = Duration::from_millis(500) + ctx.random_duration(Duration::from_secs(4));
                self.lock = Some((self.client.lock(&path, kind, Some(timeout), ctx), kind));
            }
            2 => self.read("/counter", false, Call::CounterRead, ctx),
            3 if self.watching.is_none() => self.read("/counter", true, Call::WatchSet, ctx),
            3 => self.read("/counter", false, Call::Peeked, ctx),
            4 => {
                // Three requests at once: the last one must see what the first two did.
                let path = format!("/own/{}", ctx.node());
                for _ in 0..2 {
                    self.own += 1;
                    self.write(vec![set(&path, self.own.to_string(), None)], Call::OwnWritten, ctx);
                }
                self.read(&path, false, Call::OwnRead(self.own), ctx);
            }
            _ => self.use_register(ctx),
        }
    }

    /// A write or a read of a register that everybody uses.
    fn use_register(&mut self, ctx: &mut Context<Node>) {
        let id = ctx.now().as_nanos(); // Of another process of this node, too, it is another one.
        let value = u64::from(ctx.node().0) << 32 | ctx.now().as_nanos() >> 10;
        let call = if ctx.random_below(2) == 0 { Asked::Write { key: 0, value } } else { Asked::Read { key: 0 } };
        let operation = Operation { id, call, step: Step::Invoked };
        let request = match call {
            Asked::Write { value, .. } => Request::Transaction(vec![set("/register", value.to_string(), None)]),
            _ => Request::Read { paths: vec!["/register".into()], watch: false },
        };
        ctx.record(operation);
        self.client.request(request, Call::Register(operation), ctx);
    }

    fn events(&mut self, events: Vec<Event<Call>>, ctx: &mut Context<Node>) {
        for event in events {
            match event {
                Event::Session(SessionChange::Connected { new }) => {
                    let session = self.client.session().expect("it is connected");
                    if new {
                        self.watching = None;
                        let path = format!("/live/{}-{}", ctx.node(), session.serial).into();
                        let op = Op::Create { path, data: "".into(), mode: Mode::Ephemeral };
                        self.write(vec![op], Call::Ephemeral(session), ctx);
                    }
                }
                Event::Session(SessionChange::Suspended) => ctx.mark("suspended"),
                Event::Session(SessionChange::Lost) => {
                    ctx.mark("lost");
                    (self.ephemeral, self.watching) = (None, None);
                    self.client.start(ctx);
                }
                Event::Reply { call, result } => self.replied(call, result, ctx),
                Event::Watch { path, .. } => {
                    assert_eq!(&*path, "/counter");
                    assert!(self.watching.take().is_some(), "a watch fired that was not set, or fired twice");
                    ctx.mark("watch-fired");
                }
                Event::Locked(id) => {
                    assert_eq!(self.lock.map(|(lock, _)| lock), Some(id));
                    ctx.mark("locked");
                    let hold = Duration::from_millis(200) + ctx.random_duration(Duration::from_secs(2));
                    ctx.set_timer(Timer::Release, hold);
                }
                Event::LockTimedOut(id) | Event::LockLost(id) => {
                    assert_eq!(self.lock.take().map(|(lock, _)| lock), Some(id));
                    ctx.cancel_timer(Timer::Release);
                }
                Event::Observed(_) | Event::ChildrenObserved(_) => ctx.mark("observed"),
            }
        }
    }

    fn replied(&mut self, call: Call, result: Result<Answer, Error>, ctx: &mut Context<Node>) {
        let value = |answer: &Result<Answer, Error>| match answer {
            Ok(Answer::Read(read)) => read[0].clone(),
            _ => None,
        };
        match call {
            Call::Ephemeral(session) => {
                if result.is_ok() && self.client.session() == Some(session) {
                    self.ephemeral = Some(session);
                }
            }
            Call::CounterRead => {
                if let Some((text, stat)) = value(&result) {
                    let next = text.parse::<u64>().expect("the counter is a number") + 1;
                    let op = set("/counter", next.to_string(), Some(stat.version));
                    self.write(vec![op], Call::CounterWritten, ctx);
                }
            }
            Call::CounterWritten => match result {
                Ok(Answer::Done(done)) => {
                    let Done::Set(version) = done[0] else { panic!("a write was answered by {done:?}") };
                    self.made.push(version);
                }
                Err(Error::ConnectionLoss) => self.doubtful += 1,
                Err(Error::BadVersion(_)) => ctx.mark("compare-and-set-failed"),
                other => panic!("a write of the counter was answered by {other:?}"),
            },
            Call::WatchSet => {
                if let Some((_, stat)) = value(&result) {
                    self.watching = Some(stat.version);
                }
            }
            Call::Peeked => {
                if let (Some((_, stat)), Some(watched)) = (value(&result), self.watching) {
                    assert!(stat.version <= watched, "a read shows a change before the watch has told of it");
                }
            }
            Call::OwnWritten => {}
            Call::OwnRead(expected) => {
                if let Some((text, _)) = value(&result) {
                    assert_eq!(*text, *expected.to_string(), "a read overtook the writes before it");
                }
            }
            Call::Register(operation) => {
                let step = match (&result, operation.call) {
                    (Err(Error::ConnectionLoss), _) => Step::Unknown,
                    (_, Asked::Write { .. }) => Step::Returned(None),
                    // The register holds nothing before the first write.
                    _ => {
                        Step::Returned(value(&result).and_then(|(text, _)| text.parse().ok()).filter(|&read| read != 0))
                    }
                };
                ctx.record(Operation { step, ..operation });
            }
        }
    }
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Command = ();

    fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Self>) {
        match self {
            Node::Server(server) => server.on_start(disk, ctx),
            Node::User(user) => {
                user.client.start(ctx);
                user.client.observe(vec!["/counter".into(), "/register".into()], ctx);
                user.client.observe_children("/live".into(), ctx);
                ctx.set_timer(Timer::Work, Duration::from_millis(100));
            }
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match self {
            Node::Server(server) => server.on_message(from, message, ctx),
            Node::User(user) => {
                let events = user.client.on_message(message, ctx);
                user.events(events, ctx);
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match (self, timer) {
            (Node::Server(server), Timer::Service(timer)) => server.on_timer(timer, ctx),
            (Node::User(user), Timer::Service(timer)) => {
                let events = user.client.on_timer(timer, ctx);
                user.events(events, ctx);
            }
            (Node::User(user), Timer::Work) => user.work(ctx),
            (Node::User(user), Timer::Release) => {
                if let Some((lock, _)) = user.lock.take() {
                    user.client.release(lock, ctx);
                }
            }
            (Node::Server(_), timer) => unreachable!("the server does not arm {timer:?}"),
        }
    }

    fn on_connection(&mut self, _: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        match self {
            Node::Server(server) => server.on_connection(event),
            Node::User(user) => {
                let events = user.client.on_connection(event, ctx);
                user.events(events, ctx);
            }
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        if let Node::Server(server) = self {
            server.on_synced(token, ctx);
        }
    }
}

fn user(world: &World<Node>, node: NodeId) -> Option<&User> {
    match world.actor(node) {
        Some(Node::User(user)) => Some(user),
        _ => None,
    }
}

fn server(world: &World<Node>) -> Option<&Server> {
    match world.actor(SERVER) {
        Some(Node::Server(server)) => Some(server),
        _ => None,
    }
}

/// The lock that a user holds: by its memory, and by its clock if it is asked.
fn holds(world: &World<Node>, node: NodeId, by_clock: bool) -> Option<LockKind> {
    let user = user(world, node)?;
    let (lock, kind) = user.lock?;
    let trusts = !by_clock || user.client.trusts(world.clock(node).now(world.now()));
    (trusts && user.client.holds(lock)).then_some(kind)
}

/// Every version of the counter was made by one user, and it counts what they were told.
#[derive(Clone, Default, Hash)]
struct CountsEachOnce {
    /// How many versions of each user were looked at.
    seen: BTreeMap<NodeId, (u32, usize)>,
    versions: BTreeSet<u32>,
}

impl Invariant<Node> for CountsEachOnce {
    fn name(&self) -> &str {
        "counts-each-once"
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, _: Touched) -> Check {
        for node in (1..=USERS).map(NodeId) {
            let Some(user) = user(world, node) else { continue };
            let seen = self.seen.entry(node).or_default();
            if seen.0 != world.incarnation(node) {
                *seen = (world.incarnation(node), 0);
            }
            for &version in &user.made[seen.1..] {
                if !self.versions.insert(version) {
                    return Check::Violated(format!("two writes were both told that they made version {version}"));
                }
            }
            seen.1 = user.made.len();
        }
        let Some((text, stat)) = server(world).and_then(|server| server.tree().get("/counter")) else {
            return Check::Holds;
        };
        // Each write counted one up, so value and version go together, and no acknowledged one is missing.
        let lost = self.versions.last().is_some_and(|&last| last > stat.version);
        if lost || **text != stat.version.to_string() {
            return Check::Violated(format!("the counter is {text} in version {}", stat.version));
        }
        Check::Holds
    }
}

/// Whether everybody has seen what is there.
fn observers_are_up_to_date(world: &World<Node>) -> bool {
    let Some(server) = server(world) else { return false };
    (1..=USERS).map(NodeId).all(|node| {
        let Some(user) = user(world, node) else { return false };
        let seen = |path: &str| user.client.seen(path).value().map(|(text, version)| (text.clone(), version));
        let there = |path: &str| server.tree().get(path).map(|(text, stat)| (text.clone(), stat.version));
        ["/counter", "/register"].into_iter().all(|path| seen(path) == there(path))
            && user.client.children_seen("/live") == server.tree().children("/live")
    })
}

fn invariants() -> Vec<Box<dyn Invariant<Node>>> {
    vec![
        Box::new(AtMostOne::in_world("exclusive-lock", "holding the lock", |world: &World<Node>, node, _: &Node| {
            holds(world, node, true) == Some(LockKind::Exclusive)
        })),
        Box::new(Always::in_world("shared-lock", |world: &World<Node>| {
            let kinds = || (1..=USERS).filter_map(|node| holds(world, NodeId(node), true));
            let writers = kinds().filter(|&kind| kind == LockKind::Write).count();
            let readers = kinds().filter(|&kind| kind == LockKind::Read).count();
            writers == 0 || (writers == 1 && readers == 0)
        })),
        Box::new(CountsEachOnce::default()),
        Box::new(Linearizable::named("register")),
        Box::new(Always::in_world("ephemeral-nodes-not-gone-before", |world: &World<Node>| {
            let Some(server) = server(world) else { return true };
            (1..=USERS).map(NodeId).all(|node| {
                let Some(user) = user(world, node) else { return true };
                let Some(session) = user.ephemeral else { return true };
                let trusts = user.client.trusts(world.clock(node).now(world.now()));
                !trusts || !server.tree().ephemerals(session).is_empty()
            })
        })),
        Box::new(Always::in_world("no-ephemeral-node-without-session", |world: &World<Node>| {
            let Some(server) = server(world) else { return true };
            let sessions: BTreeSet<SessionId> = server.sessions().collect();
            server.tree().owners().is_subset(&sessions)
        })),
        Box::new(
            Eventually::within("observers-are-up-to-date", Duration::from_secs(15), observers_are_up_to_date)
                .and_stays(),
        ),
        Box::new(Eventually::within("ephemeral-nodes-go", 2 * TIMEOUT, |world: &World<Node>| {
            let Some(server) = server(world) else { return false };
            let current = |node| user(world, NodeId(node)).and_then(|user| user.client.session());
            let current: BTreeSet<SessionId> = (1..=USERS).filter_map(current).collect();
            server.tree().owners().is_subset(&current)
        })),
    ]
}

#[derive(Clone, Debug, Hash)]
struct Trouble {
    fault: Fault,
    at: u64,
    hold: u64,
}

fn troubles() -> impl Strategy<Value = Vec<Trouble>> {
    let node = (0..=USERS).prop_map(NodeId);
    let link = (1..=USERS, any::<bool>()).prop_map(|(user, up)| match up {
        true => (NodeId(user), SERVER),
        false => (SERVER, NodeId(user)),
    });
    let fault = prop_oneof![
        3 => node.clone().prop_map(|node| Fault::Crash { node }),
        3 => node.clone().prop_map(|node| Fault::Pause { node }),
        2 => link.clone().prop_map(|(from, to)| Fault::Cut { from, to }),
        2 => (1..=USERS).prop_map(|user| Fault::Partition { groups: vec![vec![SERVER], vec![NodeId(user)]] }),
        1 => (1..=USERS).prop_map(|user| Fault::Reset { a: SERVER, b: NodeId(user) }),
        1 => node.prop_map(|node| Fault::Slow { node, per_event: Duration::from_millis(20) }),
        1 => link.prop_map(|(from, to)| Fault::Degrade {
            from,
            to,
            degradation: Degradation { jitter: Duration::from_secs(1), loss: 0.2, ..Degradation::default() },
        }),
        1 => Just(Fault::Disk { node: SERVER, trouble: DiskTrouble::Slow { by: Duration::from_millis(400) } }),
    ];
    let trouble = (fault, 500..40_000_u64, 50..12_000_u64).prop_map(|(fault, at, hold)| Trouble { fault, at, hold });
    proptest::collection::vec(trouble, 0..10)
}

fn play(seed: u64, troubles: &[Trouble], invariants: Vec<Box<dyn Invariant<Node>>>) -> Outcome {
    let mut tree: Vec<(Text, Text)> = ["/lock", "/shared", "/live", "/own"].map(|path| (path.into(), "".into())).into();
    tree.extend([("/counter".into(), "0".into()), ("/register".into(), "0".into())]);
    tree.extend((1..=USERS).map(|user| (format!("/own/{}", NodeId(user)).into(), "0".into())));
    let setup = Arc::new(Setup::new(["server", "u1", "u2", "u3"], move |node| match node {
        SERVER => Node::Server(Box::new(Server::new(&tree))),
        _ => Node::User(Box::new(User::new())),
    }));
    let mut faults = FaultPlan::default();
    for trouble in troubles {
        let at = Trigger::At(Instant::from(Duration::from_millis(trouble.at)));
        let hold = trouble.fault.has_extent().then(|| Duration::from_millis(trouble.hold));
        faults.push(at, trouble.fault.clone(), hold);
    }
    let schedule = Arc::new(Schedule { faults, ..Schedule::seeded(seed) });
    let limits = Limits { duration: Duration::from_secs(45), ..Limits::default() };
    Run::new(World::new(&setup, &schedule), invariants, limits).to_end()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_keeps_its_promises_whatever_breaks(seed: u64, troubles in troubles()) {
        let outcome = play(seed, &troubles, invariants());
        prop_assert_eq!(outcome.violation, None);
    }
}

/// The faults of a run that shows what can happen: a client stalls for longer than its session lasts.
fn long_pauses() -> Vec<Trouble> {
    let pause = |user: u16, at| Trouble { fault: Fault::Pause { node: NodeId(user) }, at, hold: 9_000 };
    vec![pause(1, 5_000), pause(2, 16_000), pause(3, 27_000)]
}

#[test]
fn a_lock_that_is_only_remembered_keeps_nobody_out() {
    let broken = (0..200).filter(|&seed| {
        let naive = AtMostOne::in_world("exclusive-lock", "holding the lock", |world: &World<Node>, node, _: &Node| {
            holds(world, node, false) == Some(LockKind::Exclusive)
        });
        play(seed, &long_pauses(), vec![Box::new(naive)]).violation.is_some()
    });
    assert!(broken.count() > 0, "a session that expires during a pause must show");
}

#[test]
fn everything_that_is_interesting_happens() {
    let mut reached = BTreeSet::new();
    for seed in 0..20 {
        let marks = ["suspended", "lost", "watch-fired", "locked", "compare-and-set-failed", "observed"];
        let sometimes = marks.map(|mark| Box::new(Sometimes::marked(mark)) as Box<dyn Invariant<Node>>);
        reached.extend(play(seed, &long_pauses(), sometimes.into()).reached.iter().map(ToString::to_string));
    }
    assert_eq!(reached.len(), 6, "only {reached:?}");
}

#[test]
fn a_session_outlives_its_process_and_no_longer_than_its_timeout() {
    let crash = [Trouble { fault: Fault::Crash { node: NodeId(1) }, at: 10_000, hold: 30_000 }];
    let gone = |after: u64| {
        move |world: &World<Node>| {
            let late = world.now() > Instant::from_secs(10) + Duration::from_millis(after);
            let early = world.now() < Instant::from_secs(40);
            let alive =
                server(world).is_some_and(|server| server.sessions().any(|session| session.client == NodeId(1)));
            !(late && early && alive)
        }
    };
    // It was last heard within its ping interval before it died.
    for seed in 0..20 {
        let outlives = Box::new(Always::in_world("gone-at-once", gone(1_000)));
        assert!(play(seed, &crash, vec![outlives]).violation.is_some(), "the session went with the process");
        let ends = Box::new(Always::in_world("gone-in-time", gone(5_100)));
        assert_eq!(play(seed, &crash, vec![ends]).violation, None);
    }
}
