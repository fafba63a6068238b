//! An actor that does everything an actor can, at random, and random worlds full of it.
//!
//! What it does depends on its own randomness and clock alone, never on what it hears: so what a fault does to one
//! site can be told from what it does to others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sim_core::{
    Actor, BufferLimits, ClockSetting, ConnectionEvent, ConnectionId, Context, Degradation, DiskTrouble, Fault,
    FaultPlan, Instant, Kind, NetworkConfig, NodeId, Schedule, Select, Setup, SyncToken, Trigger, World,
};

/// A message that differs from every other.
#[derive(Clone, Debug, Hash)]
pub struct Word {
    /// Sender, its incarnation and a running number.
    pub id: (u16, u64, u64),
    /// Which one it is on its connection, counted from zero; nothing for a datagram.
    pub place: Option<u64>,
    pub bytes: u32,
}

impl Kind for Word {
    const KINDS: &'static [&'static str] = &["Datagram", "Data"];
    fn kind(&self) -> &'static str {
        if self.place.is_some() { "Data" } else { "Datagram" }
    }
    fn bytes(&self) -> u32 {
        self.bytes
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    Talk,
    Idle(u8),
    Job,
}

/// One direction of a connection, as this end counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Count {
    pub messages: u64,
    pub bytes: u64,
}

#[derive(Clone, Hash)]
pub struct Chatter {
    nodes: u16,
    /// Tells the processes of a node apart.
    incarnation: u64,
    /// Whether it uses connections.
    connects: bool,
    /// How many datagrams and how much data it has sent.
    said: [u64; 2],
    pub sent: BTreeMap<ConnectionId, Count>,
    pub received: BTreeMap<ConnectionId, Count>,
    /// How many records it has on disk, and how many were there at each sync that is under way.
    written: u64,
    syncs: BTreeMap<SyncToken, u64>,
    /// How many records it was told are durable.
    pub synced: u64,
}

impl Chatter {
    fn word(&mut self, place: Option<u64>, bytes: u32, ctx: &Context<Self>) -> Word {
        let said = &mut self.said[usize::from(place.is_some())];
        *said += 1;
        Word { id: (ctx.node().0, self.incarnation, *said), place, bytes }
    }

    fn peer(&self, ctx: &mut Context<Self>) -> NodeId {
        let step = 1 + ctx.random_below(u64::from(self.nodes) - 1) as u16;
        NodeId((ctx.node().0 + step) % self.nodes)
    }

    fn talk(&mut self, ctx: &mut Context<Self>) {
        // Everything is drawn every time, so that the draws do not depend on what connections there are.
        let (action, peer, choice) = (ctx.random_below(16), self.peer(ctx), ctx.random());
        let (bytes, pause) = (50 + ctx.random_below(2_000) as u32, ctx.random_duration(Duration::from_millis(20)));
        let id = match ctx.connections() {
            [] => None,
            connections => Some(connections[(choice % connections.len() as u64) as usize].id),
        };
        match (action, id) {
            (0..=4, _) => {
                let word = self.word(None, bytes, ctx);
                ctx.send(peer, word);
            }
            (5, _) if self.connects => _ = ctx.connect(peer),
            (6..=8, Some(id)) if ctx.connection(id).is_some_and(|connection| connection.open) => {
                let place = self.sent.get(&id).map_or(0, |count| count.messages);
                let word = self.word(Some(place), bytes, ctx);
                let count = self.sent.entry(id).or_default();
                count.messages += 1;
                count.bytes += u64::from(word.bytes);
                assert!(ctx.send_on(id, word), "an open connection takes data");
            }
            (9, Some(id)) if choice.is_multiple_of(4) => ctx.close(id),
            (10 | 11, _) => {
                ctx.write(self.written);
                self.written += 1;
            }
            (12, _) => _ = self.syncs.insert(ctx.sync(), self.written),
            (13, _) => ctx.set_timer(Timer::Idle((choice % 3) as u8), Duration::from_micros(choice % 100_000)),
            (14, _) => ctx.cancel_timer(Timer::Idle((choice % 3) as u8)),
            (15, _) if choice.is_multiple_of(4) => ctx.busy(Duration::from_micros(choice % 20_000)),
            (15, _) => ctx.run_job(Duration::from_micros(choice % 50_000), Timer::Job),
            _ => {}
        }
        ctx.set_timer(Timer::Talk, pause);
    }
}

impl Actor for Chatter {
    type Message = Word;
    type Timer = Timer;
    type Record = u64;
    type Command = ();

    fn on_start(&mut self, disk: &[u64], ctx: &mut Context<Self>) {
        self.incarnation = ctx.random();
        self.written = disk.len() as u64;
        self.synced = self.written;
        ctx.set_timer(Timer::Talk, Duration::from_millis(1));
    }

    fn on_message(&mut self, from: NodeId, word: Word, ctx: &mut Context<Self>) {
        assert_eq!(word.id.0, from.0, "a message names its sender");
        assert_eq!(word.place.is_some(), ctx.via().is_some(), "a message arrives the way it was sent");
        if let (Some(place), Some(id)) = (word.place, ctx.via()) {
            let count = self.received.entry(id).or_default();
            assert_eq!(place, count.messages, "what is sent on {id:?} arrives in order, whole and once");
            count.messages += 1;
            count.bytes += u64::from(word.bytes);
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        if timer == Timer::Talk {
            self.talk(ctx);
        }
    }

    fn on_connection(&mut self, peer: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        let there = |id| ctx.connection(id).map(|connection| connection.peer);
        match event {
            ConnectionEvent::Opened(id) | ConnectionEvent::Accepted(id) | ConnectionEvent::Writable(id) => {
                assert_eq!(there(id), Some(peer), "{event:?} is about a connection that is there");
            }
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) => {
                assert_eq!(there(id), None, "{event:?} is about a connection that has gone");
            }
        }
    }

    fn on_synced(&mut self, token: SyncToken, _: &mut Context<Self>) {
        let written = self.syncs.remove(&token).expect("a sync ends once, in the process that called it");
        self.synced = self.synced.max(written);
    }
}

/// Everything that makes a world of chatters.
#[derive(Clone, Debug)]
pub struct Scene {
    pub nodes: u16,
    /// Whether nodes connect to each other or send datagrams only.
    pub connections: bool,
    pub network: NetworkConfig,
    pub schedule: Schedule,
}

/// How long a scene is watched.
pub const DURATION: Duration = Duration::from_secs(2);

impl Scene {
    pub fn world(&self) -> World<Chatter> {
        let nodes = self.nodes;
        let chatter = Chatter {
            nodes,
            incarnation: 0,
            connects: self.connections,
            said: [0; 2],
            sent: BTreeMap::new(),
            received: BTreeMap::new(),
            written: 0,
            syncs: BTreeMap::new(),
            synced: 0,
        };
        let mut setup = Setup::new((0..nodes).map(|node| format!("n{node}")), move |_| chatter.clone());
        setup.network = self.network.clone();
        World::new(&Arc::new(setup), &Arc::new(self.schedule.clone()))
    }

    /// The same without one of its faults.
    pub fn without_fault(&self, index: usize) -> Scene {
        let mut scene = self.clone();
        scene.schedule.faults.faults.remove(index);
        scene
    }
}

/// Whether a world has more to show.
pub fn goes_on(world: &World<Chatter>) -> bool {
    world.next_event_at().is_some_and(|next| next <= Instant::ZERO + DURATION)
}

/// Lets a world run until it has been watched for long enough.
pub fn run(world: &mut World<Chatter>) {
    while goes_on(world) {
        world.step();
    }
}

/// Every ordered pair of nodes.
pub fn links(nodes: u16) -> impl Iterator<Item = (NodeId, NodeId)> {
    (0..nodes).flat_map(move |from| (0..nodes).filter(move |&to| to != from).map(move |to| (NodeId(from), NodeId(to))))
}

/// Any scene.
pub fn scenes() -> impl Strategy<Value = Scene> {
    (2..5_u16).prop_flat_map(|nodes| {
        let faults = prop::collection::vec((fault(nodes), 0..2_000_u64, prop::option::of(1..500_u64)), 0..8);
        let clocks = prop::collection::btree_map((0..nodes).prop_map(NodeId), clock(), 0..=nodes as usize);
        let connections = prop::bool::weighted(0.75);
        (any::<u64>(), connections, network(), faults, clocks).prop_map(
            move |(seed, connections, network, faults, clocks)| {
                let mut plan = FaultPlan::default();
                for (fault, at, hold) in faults {
                    let at = Instant::from(Duration::from_millis(at));
                    plan.push(Trigger::At(at), fault, hold.map(Duration::from_millis));
                }
                Scene {
                    nodes,
                    connections,
                    network,
                    schedule: Schedule { faults: plan, clocks, ..Schedule::seeded(seed) },
                }
            },
        )
    })
}

fn clock() -> impl Strategy<Value = ClockSetting> {
    (0..1_000_u64, drift())
        .prop_map(|(offset, drift_ppm)| ClockSetting { offset: Duration::from_millis(offset), drift_ppm })
}

fn drift() -> impl Strategy<Value = i32> {
    -ClockSetting::MAX_DRIFT_PPM..=ClockSetting::MAX_DRIFT_PPM
}

fn network() -> impl Strategy<Value = NetworkConfig> {
    let chance = || prop_oneof![Just(0.0), 0.0..0.3];
    (0..5_u64, 0..20_u64, chance(), chance(), prop::option::of(20_000..1_000_000_u64), 1_000..20_000_u64).prop_map(
        |(shortest, span, loss, duplication, bandwidth, window)| NetworkConfig {
            latency: (Duration::from_millis(shortest), Duration::from_millis(shortest + span)),
            loss,
            duplication,
            bandwidth,
            window,
            buffer: BufferLimits { low: 2_000, high: 6_000, capacity: 20_000 },
            connection_timeout: Duration::from_millis(400),
            retransmission_timeout: Duration::from_millis(50),
        },
    )
}

fn fault(nodes: u16) -> impl Strategy<Value = Fault> {
    let node = (0..nodes).prop_map(NodeId);
    let link = (0..nodes, 1..nodes).prop_map(move |(from, step)| (NodeId(from), NodeId((from + step) % nodes)));
    let others = move |node: NodeId| (0..nodes).map(NodeId).filter(move |&other| other != node).collect::<Vec<_>>();
    let select = |kind, from| Select { kind, from: Some(from), to: None };
    prop_oneof![
        node.clone().prop_map(|node| Fault::Crash { node }),
        node.clone().prop_map(|node| Fault::Restart { node }),
        node.clone().prop_map(|node| Fault::Pause { node }),
        (node.clone(), 0..10_u64)
            .prop_map(|(node, per_event)| Fault::Slow { node, per_event: Duration::from_millis(per_event) }),
        (node.clone(), -1_000_000_000..1_000_000_000_i64, prop::option::of(drift()))
            .prop_map(|(node, step, drift_ppm)| Fault::Clock { node, step, drift_ppm }),
        node.clone().prop_map(move |node| Fault::Partition { groups: vec![vec![node], others(node)] }),
        node.clone().prop_map(move |node| Fault::OneWay { from: vec![node], to: others(node) }),
        link.clone().prop_map(|(from, to)| Fault::Cut { from, to }),
        Just(Fault::Heal),
        link.clone().prop_map(|(a, b)| Fault::Reset { a, b }),
        (link, 0..50_u64, 0.0..0.5).prop_map(|((from, to), jitter, loss)| {
            let jitter = Duration::from_millis(jitter);
            Fault::Degrade { from, to, degradation: Degradation { jitter, loss, ..Degradation::default() } }
        }),
        (node.clone(), 1..5_u32).prop_map(move |(from, count)| Fault::Drop { select: select(None, from), count }),
        (node.clone(), 1..5_u32, 0..300_u64).prop_map(move |(from, count, by)| Fault::Delay {
            select: select(Some("Datagram"), from),
            count,
            by: Duration::from_millis(by)
        }),
        (node.clone(), 0..50_u64).prop_map(|(node, by)| {
            let trouble = DiskTrouble::Slow { by: Duration::from_millis(by) };
            Fault::Disk { node, trouble }
        }),
        node.clone().prop_map(|node| Fault::Disk { node, trouble: DiskTrouble::Failing }),
        node.prop_map(|node| Fault::HostFailure { host: sim_core::HostId(node.0) }),
    ]
}
