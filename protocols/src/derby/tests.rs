//! Whole clusters, run seed by seed: the flows of the protocol, each as a sentence.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Cluster, CommandId, Fault, FaultPlan, HostId, Instant, Limits, Member, NodeId, Outcome, Protocol, Run, Schedule,
    Setup, Trigger, World,
};

use super::invariants::PROPERTIES;
use super::{Command, Config, Derby, Node};

const ALPHA: NodeId = NodeId(0);
const BETA: NodeId = NodeId(1);

fn cluster(roles: &[&str], config: Config) -> Cluster<Config> {
    let member = |(number, role): (usize, &&str)| Member {
        name: format!("n{number}"),
        role: (*role).to_owned(),
        host: HostId(number as u16),
    };
    Cluster { members: roles.iter().enumerate().map(member).collect(), config, defects: BTreeSet::new() }
}

/// Runs a master, a slave and two clients for half a minute, with every safety property, while the operator does what
/// is in `commands`.
fn run(config: Config, commands: &[(u64, NodeId, Command)], seed: u64) -> Outcome {
    let cluster = cluster(&["master", "slave", "client", "client"], config);
    assert_eq!(Derby::validate(&cluster), Ok(()));
    let factory = Derby::factory(&cluster);
    let names = cluster.members.iter().map(|member| member.name.clone());
    let mut setup = Setup::<Node>::new(names, move |node| factory(node));
    let mut plan = FaultPlan::default();
    for (number, &(second, node, command)) in commands.iter().enumerate() {
        setup.commands.push(command);
        let fault = Fault::Command { node, command: CommandId(number as u32) };
        plan.push(Trigger::At(Instant::from_secs(second)), fault, None);
    }
    let schedule = Arc::new(Schedule { faults: plan, ..Schedule::seeded(seed) });
    let safety = PROPERTIES.iter().filter(|property| property.class == sim_core::Class::Safety);
    let invariants = safety.map(|p| Derby::invariant(p.name, &cluster, None).expect("a property that exists"));
    let limits = Limits { duration: Duration::from_secs(30), ..Limits::default() };
    Run::new(World::new(&Arc::new(setup), &schedule), invariants.collect(), limits).to_end()
}

fn count(outcome: &Outcome, mark: &str) -> u64 {
    outcome.marks.iter().find(|(name, _)| *name == mark).map_or(0, |&(_, count)| count)
}

#[test]
fn a_slave_takes_over_when_its_master_says_so() {
    for seed in 0..20 {
        let outcome = run(Config::default(), &[(0, ALPHA, Command::StartMaster), (10, ALPHA, Command::Failover)], seed);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(count(&outcome, "failover-complete"), 1, "seed {seed}: {:?}", outcome.marks);
        assert_eq!(count(&outcome, "failover-failed"), 0, "seed {seed}: {:?}", outcome.marks);
    }
}

#[test]
fn an_older_copy_is_refused_and_a_new_one_is_not() {
    for seed in 0..20 {
        let outcome = run(Config::default(), &[(5, ALPHA, Command::StartMaster), (10, ALPHA, Command::Resync)], seed);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(count(&outcome, "start-refused"), 1, "seed {seed}: {:?}", outcome.marks);
        assert_eq!(count(&outcome, "replication-started"), 1, "seed {seed}: {:?}", outcome.marks);
    }
}

#[test]
fn a_command_that_does_not_fit_is_refused() {
    for (node, command) in [
        (ALPHA, Command::Failover),
        (ALPHA, Command::Stop),
        (ALPHA, Command::StartSlave),
        (ALPHA, Command::SlaveFailover),
        (BETA, Command::Failover),
        (BETA, Command::SlaveFailover),
        (BETA, Command::StartSlave),
        (BETA, Command::Fence),
    ] {
        let outcome = run(Config::default(), &[(5, node, command)], 0);
        assert_eq!(outcome.violation, None, "{command:?}");
        assert_eq!(count(&outcome, "command-refused"), 1, "{command:?}: {:?}", outcome.marks);
    }
}

#[test]
fn a_cluster_has_one_of_each() {
    let problem = |roles: &[&str]| Derby::validate(&cluster(roles, Config::default())).unwrap_err();
    assert!(problem(&["master", "master", "slave"]).contains("2 nodes with the role \"master\""));
    assert!(problem(&["master", "client"]).contains("0 nodes with the role \"slave\""));
}
