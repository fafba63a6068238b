//! The lease without scenario files: safe and live under random faults, and each defect found.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocols::lease::{Config, Lease, State};
use protocols::transitions;
use sim_core::{
    Actor, ClockSetting, Cluster, Fault, FaultPlan, HostId, Instant, Invariant, Limits, Member, NodeId, Outcome,
    Protocol, Randomness, Run, Schedule, Select, Setup, Site, Trigger, World,
};

type Node = <Lease as Protocol>::Actor;

const MEMBERS: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

fn cluster(defects: &[&str]) -> Cluster<Config> {
    let member = |(number, (name, role)): (usize, (&str, &str))| Member {
        name: name.to_owned(),
        role: role.to_owned(),
        host: HostId(number as u16),
    };
    let nodes = [("a", "member"), ("b", "member"), ("c", "member"), ("store", "store")];
    Cluster {
        members: nodes.into_iter().enumerate().map(member).collect(),
        config: Config::default(),
        defects: defects.iter().map(|&defect| defect.to_owned()).collect(),
    }
}

/// What `seed` decides about a run beforehand.
struct Dice {
    randomness: Randomness,
    drawn: u32,
}

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        (u64::from(self.randomness.draw(Site::Plan(0), self.drawn)[0]) * bound) >> 32
    }

    fn member(&mut self) -> NodeId {
        MEMBERS[self.below(3) as usize]
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }
}

/// Clocks as far off as the lease allows, and a fault every few seconds for the first forty.
fn trouble(seed: u64) -> Schedule {
    let mut dice = Dice { randomness: Randomness::new(seed), drawn: 0 };
    let mut drift = |_| ClockSetting {
        offset: Duration::from_secs(dice.below(1000)),
        drift_ppm: dice.below(100_001) as i32 - 50_000,
    };
    let clocks: BTreeMap<NodeId, ClockSetting> = MEMBERS.into_iter().map(|node| (node, drift(node))).collect();
    let mut faults = FaultPlan::default();
    let mut at = Duration::from_secs(3);
    while at < Duration::from_secs(40) {
        let member = dice.member();
        let others: Vec<NodeId> = [0, 1, 2, 3].map(NodeId).into_iter().filter(|&node| node != member).collect();
        let fault = match dice.below(6) {
            0 => Fault::Crash { node: member },
            1 => Fault::Pause { node: member },
            2 => Fault::Partition { groups: vec![vec![member], others] },
            3 => Fault::OneWay { from: vec![member], to: others },
            4 => Fault::Crash { node: NodeId(3) },
            _ => {
                let select = Select { kind: Some("Write"), from: None, to: None };
                Fault::Delay { select, count: 1 + dice.below(2) as u32, by: dice.millis(1_000, 20_000) }
            }
        };
        let hold = dice.millis(50, 8_000);
        faults.push(Trigger::At(Instant::from(at)), fault, Some(hold));
        at += dice.millis(500, 6_000);
    }
    Schedule { clocks, faults, ..Schedule::seeded(seed) }
}

fn run(cluster: &Cluster<Config>, seed: u64) -> Outcome {
    Lease::validate(cluster).unwrap();
    let mut setup: Setup<Node> = Setup::new(cluster.members.iter().map(|m| m.name.as_str()), |_| unreachable!());
    setup.factory = Lease::factory(cluster);
    let invariants: Vec<Box<dyn Invariant<Node>>> =
        Lease::INVARIANTS.iter().map(|p| Lease::invariant(p.name, cluster, None).unwrap()).collect();
    let world = World::new(&Arc::new(setup), &Arc::new(trouble(seed)));
    let limits = Limits { duration: Duration::from_secs(60), ..Limits::default() };
    Run::new(world, invariants, limits).to_end()
}

#[test]
fn the_lease_is_safe_and_live_under_random_faults() {
    let cluster = cluster(&[]);
    let mut marks: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..2_000 {
        let outcome = run(&cluster, seed);
        assert_eq!(outcome.violation, None, "seed {seed}");
        for (mark, count) in outcome.marks {
            *marks.entry(mark).or_default() += count;
        }
    }
    // The faults have bitten: leases were lost, and late writes were stopped by the fence.
    for mark in ["lease-granted", "lease-expired", "stale-write-refused"] {
        assert!(marks.get(mark).is_some_and(|&count| count > 100), "{mark}: {marks:?}");
    }
}

#[test]
fn each_defect_is_found_by_a_property_that_it_is_said_to_break() {
    for defect in Lease::DEFECTS {
        let cluster = cluster(&[defect.id]);
        let found: Vec<String> =
            (0..2_000).filter_map(|seed| run(&cluster, seed).violation).map(|v| v.invariant).collect();
        for breaks in defect.breaks {
            assert!(found.iter().any(|name| name == breaks), "{} never breaks {breaks}", defect.id);
        }
        let other = found.iter().find(|&name| !defect.breaks.contains(&name.as_str()));
        assert_eq!(other, None, "{} breaks what it is not said to break", defect.id);
    }
}

#[test]
fn a_role_is_shown_for_every_state() {
    let cluster = cluster(&[]);
    let factory = Lease::factory(&cluster);
    assert_eq!(factory(NodeId(0)).role(), "waiting");
    assert_eq!(factory(NodeId(3)).role(), "store");
}

#[test]
fn the_table_of_states_is_sound_and_this() {
    assert_eq!(transitions::check(State::Waiting), Ok(()));
    insta::assert_snapshot!(transitions::render::<State>(), @"
    Campaign: Waiting => Preparing
    Durable: Preparing => Asking
    Majority: Asking => Holding
    Expire: Preparing | Asking | Holding => Waiting
    Resign: Holding => Waiting
    ");
}
