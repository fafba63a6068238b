//! Whole clusters, run seed by seed: the flows of the protocol, each as a sentence.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Cluster, Fault, FaultPlan, HostId, Instant, Limits, Member, NodeId, Outcome, Protocol, Run, Schedule, Setup,
    Trigger, World,
};

use super::invariants::PROPERTIES;
use super::{Artemis, Config, Node};

/// alpha and beta are a pair, q1 and q2 vote, two clients send.
const QUORUM: [(&str, &str); 6] = [
    ("alpha", "live"),
    ("beta", "backup"),
    ("q1", "voter"),
    ("q2", "voter"),
    ("client-1", "client"),
    ("client-2", "client"),
];
const ALPHA: NodeId = NodeId(0);

fn cluster(members: &[(&str, &str)], config: Config, defects: &[&str]) -> Cluster<Config> {
    let member = |(number, &(name, role)): (usize, &(&str, &str))| Member {
        name: name.to_owned(),
        role: role.to_owned(),
        host: HostId(number as u16),
    };
    Cluster {
        members: members.iter().enumerate().map(member).collect(),
        config,
        defects: defects.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(),
    }
}

/// Runs a cluster for two minutes under a plan, with every invariant.
fn run(cluster: &Cluster<Config>, plan: &FaultPlan, seed: u64) -> Outcome {
    Artemis::validate(cluster).expect("a cluster that makes sense");
    let factory = Artemis::factory(cluster);
    let names = cluster.members.iter().map(|member| member.name.clone());
    let setup = Arc::new(Setup::<Node>::new(names, move |node| factory(node)));
    let schedule = Arc::new(Schedule { faults: plan.clone(), ..Schedule::seeded(seed) });
    let within = Some(Duration::from_secs(60));
    let invariants =
        PROPERTIES.iter().map(|p| Artemis::invariant(p.name, cluster, within).expect("a property that exists"));
    let limits = Limits { duration: Duration::from_secs(120), ..Limits::default() };
    Run::new(World::new(&setup, &schedule), invariants.collect(), limits).to_end()
}

fn count(outcome: &Outcome, mark: &str) -> u64 {
    outcome.marks.iter().find(|(name, _)| *name == mark).map_or(0, |&(_, count)| count)
}

#[test]
fn a_pair_replicates_and_acknowledges() {
    for seed in 0..20 {
        let outcome = run(&cluster(&QUORUM, Config::default(), &[]), &FaultPlan::default(), seed);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(count(&outcome, "replica-synced"), 1, "seed {seed}: {:?}", outcome.marks);
    }
}

#[test]
fn a_backup_takes_over_and_hands_back() {
    let mut plan = FaultPlan::default();
    let crash = Fault::Crash { node: ALPHA };
    plan.push(Trigger::At(Instant::from_secs(20)), crash, Some(Duration::from_secs(10)));
    for seed in 0..20 {
        let outcome = run(&cluster(&QUORUM, Config::default(), &[]), &plan, seed);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(count(&outcome, "failover-complete"), 1, "seed {seed}: {:?}", outcome.marks);
        assert_eq!(count(&outcome, "failback-complete"), 1, "seed {seed}: {:?}", outcome.marks);
        println!("seed {seed}: {} events", outcome.events);
    }
}
