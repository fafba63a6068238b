//! Every placement of a few faults on a lease: what is found by going on from each state once is what is found by following
//! every path to its end. So the properties of the lease keep their promises about what of the past they look at.

use std::sync::Arc;
use std::time::Duration;

use protocols::lease::{Config, Lease};
use sim_core::search::{Exploration, Explorer, Menu, MessageMenu};
use sim_core::{
    ClockSetting, Cluster, Fault, HostId, Instant, Limits, Member, NodeId, Protocol, Run, Schedule, Setup, World,
};

const MEMBERS: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];
const SAFETY: &[&str] = &["at-most-one-holder", "epochs-grow", "writes-in-order"];
const ALL: &[&str] = &["at-most-one-holder", "epochs-grow", "writes-in-order", "one-holder"];

/// So little that somebody takes over as soon as a promise ends, and that two members get into each other's way.
const IMPATIENT: Duration = Duration::from_millis(200);

fn cluster(backoff: Duration, defect: Option<&str>) -> Cluster<Config> {
    let nodes = [("a", "member"), ("b", "member"), ("c", "member"), ("store", "store")];
    let member = |(number, (name, role)): (u16, (&str, &str))| Member {
        name: name.to_owned(),
        role: role.to_owned(),
        host: HostId(number),
    };
    Cluster {
        members: (0..).zip(nodes).map(member).collect(),
        config: Config { backoff, ..Config::default() },
        defects: defect.into_iter().map(str::to_owned).collect(),
    }
}

/// Members stop, stall or are cut off, and writes are late, in the seconds in which the first of them has the lease.
fn menu() -> Menu {
    let hold = Some(Duration::from_secs(4));
    let others = |node| (0..4).map(NodeId).filter(|&other| other != node).collect();
    let each = |node| {
        let alone = Fault::Partition { groups: vec![vec![node], others(node)] };
        [(Fault::Crash { node }, hold), (Fault::Pause { node }, hold), (alone, hold)]
    };
    let messages = MessageMenu { late: vec![Duration::from_secs(9)], kinds: vec!["Write"], ..MessageMenu::default() };
    let window = (Instant::from(Duration::from_secs(5)), Instant::from(Duration::from_secs(7)));
    Menu { faults: MEMBERS.into_iter().flat_map(each).collect(), messages, window: Some(window) }
}

/// Every two faults on a cluster, with and without merging paths that come to the same state.
fn both_ways(cluster: &Cluster<Config>, properties: &[&str]) -> [Exploration; 2] {
    [true, false].map(|merge| explore(cluster, properties, merge))
}

fn explore(cluster: &Cluster<Config>, properties: &[&str], merge: bool) -> Exploration {
    let factory = Lease::factory(cluster);
    let names = cluster.members.iter().map(|member| member.name.clone());
    let setup = Arc::new(Setup::new(names, move |node| factory(node)));
    let within = Some(Duration::from_secs(20));
    let invariant = |name: &&str| Lease::invariant(name, cluster, within).expect("it is declared");
    let mut base = Schedule::calm(0);
    // As far apart as the lease allows; whoever gets it first has the slow one.
    for (node, drift_ppm) in MEMBERS.into_iter().zip([50_000, -50_000, 50_000]) {
        base.clocks.insert(node, ClockSetting { drift_ppm, ..ClockSetting::default() });
    }
    let make = |schedule: &Schedule| {
        let limits = Limits { duration: Duration::from_secs(20), ..Limits::default() };
        Run::new(World::new(&setup, &Arc::new(schedule.clone())), properties.iter().map(invariant).collect(), limits)
    };
    Explorer::new(menu(), 2).merge(merge).explore(&base, make).expect("threads can be started")
}

#[test]
fn every_two_faults_leave_a_correct_lease_whole() {
    let [merged, apart] = both_ways(&cluster(Config::default().backoff, None), ALL);
    assert_eq!((merged.complete, &merged.counterexample), (true, &None));
    assert_eq!((apart.complete, &apart.counterexample), (true, &None));
    // Most paths come to what they would have come to without a fault: nobody looks at what was.
    let ended = |exploration: &Exploration| exploration.levels.iter().map(|level| level.ended).sum::<u64>();
    assert!(ended(&merged) * 5 < ended(&apart), "{} of {} paths", ended(&merged), ended(&apart));
}

#[test]
fn each_defect_is_found_in_the_same_way_whether_paths_are_merged_or_not() {
    for defect in <Lease as Protocol>::DEFECTS {
        let found = both_ways(&cluster(IMPATIENT, Some(defect.id)), SAFETY);
        let [merged, apart] = found.map(|exploration| exploration.counterexample);
        assert_eq!(merged, apart, "{}", defect.id);
        let merged = merged.unwrap_or_else(|| panic!("{} is not found", defect.id));
        let violated = merged.outcome.violation.expect("a counterexample violates something").invariant;
        assert!(defect.breaks.contains(&violated.as_str()), "{} breaks {violated}", defect.id);
    }
}

#[test]
fn members_that_get_into_each_others_way_are_found_in_the_same_way_too() {
    let [merged, apart] = both_ways(&cluster(IMPATIENT, None), ALL).map(|exploration| exploration.counterexample);
    assert_eq!(merged, apart);
    let violation = merged.and_then(|found| found.outcome.violation);
    assert!(violation.as_ref().is_some_and(|violation| violation.invariant == "one-holder"), "{violation:?}");
}
