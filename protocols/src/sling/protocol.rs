//! The protocol as tools see it: its names, its set-up, and how its properties are made.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{Cluster, Constant, Defect, Factory, Invariant, Named, Property, Protocol, Wire};

use super::defects::{DEFECTS, Defects};
use super::instance::Instance;
use super::node::{Command, Node, Shared};
use super::{Config, invariants};
use crate::services::repository::Store;

/// Topology discovery on an eventually visible repository.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Sling;

const REPOSITORY: &str = "repository";
const INSTANCE: &str = "instance";
const JOINER: &str = "joiner";

const fn named(name: &'static str, about: &'static str) -> Named {
    Named { name, about }
}

/// The commands: name, meaning, what is sent.
const ALL_COMMANDS: [(&str, Command); 11] = [
    ("start", Command::Start),
    ("stop", Command::Stop),
    ("deactivate", Command::Deactivate),
    ("activate", Command::Activate),
    ("restart-discovery", Command::RestartDiscovery),
    ("change-properties", Command::ChangeProperties),
    ("stall-start", Command::StallStart),
    ("stall-listener", Command::StallListener),
    ("bind-listener", Command::BindListener),
    ("unbind-listener", Command::UnbindListener),
    ("assign-cluster-id", Command::AssignClusterId),
];

impl Protocol for Sling {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "sling";
    const ABOUT: &'static str = "Topology discovery of Apache Sling on Oak: leases, sync tokens, and listeners that must never see two topologies.";
    const ROLES: &'static [Named] = &[
        named(REPOSITORY, "The store that all instances share; exactly one."),
        named(INSTANCE, "An instance, which starts at once."),
        named(JOINER, "An instance that starts when it is told to, and by itself after that."),
    ];
    const DEFECTS: &'static [Defect] = DEFECTS;
    const MARKS: &'static [Named] = &[
        named("lease-acquired", "An instance has its lease and has read the repository."),
        named("lease-lost", "An instance stops because its lease has ended."),
        named("lease-expired", "The repository has found a lease that had run out."),
        named("start-stalled", "A step of an instance's start takes long."),
        named("discovery-activated", "An instance has written its id and its leader election id."),
        named("discovery-deactivated", "An instance's discovery has been deactivated."),
        named("instance-suppressed", "An instance has left others out that have not started completely."),
        named("topology-init", "A listener is to get its first topology."),
        named("topology-changing", "An instance's topology is not current any more."),
        named("topology-changed", "An instance has a new topology."),
        named("properties-changed", "An instance's topology has changed in its properties."),
        named("listener-stalled", "A listener takes long for an event."),
        named("sync-cancelled", "A sync has been given up because something changed."),
        named("sync-timed-out", "A part of a sync has waited for longer than its timeout."),
        named("degraded-view", "An instance has a topology that not all of its members have agreed on."),
        named("joiner-delayed", "The first topology of an instance that joins is held back."),
        named("scheduler-pool-exhausted", "All threads of the shared scheduler wait for the topology."),
    ];
    const INVARIANTS: &'static [Property] = invariants::PROPERTIES;
    const COMMANDS: &'static [Named] = &[
        named("start", "Starts an instance that waits for it."),
        named("stop", "Stops an instance in good order: it gives its lease back."),
        named("deactivate", "Deactivates an instance's discovery."),
        named("activate", "Activates an instance's discovery again."),
        named("restart-discovery", "Deactivates an instance's discovery and activates it after a while."),
        named("change-properties", "Changes an instance's properties."),
        named("stall-start", "Makes the present or the next step of an instance's start take long."),
        named("stall-listener", "Makes an instance's next event take its listener long."),
        named("bind-listener", "Registers one more listener at an instance."),
        named("unbind-listener", "Unregisters the listener that was registered last."),
        named("assign-cluster-id", "Gives the repository's cluster another id."),
    ];

    fn command(text: &str) -> Option<Command> {
        ALL_COMMANDS.iter().find(|(name, _)| *name == text).map(|&(_, command)| command)
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        let repositories = cluster.with_role(REPOSITORY).count();
        let instances = cluster.with_role(INSTANCE).count() + cluster.with_role(JOINER).count();
        if repositories != 1 {
            return Err(format!(
                "there are {repositories} repositories; give exactly one node the role \"{REPOSITORY}\""
            ));
        }
        if instances == 0 {
            return Err(format!(
                "there is nobody to discover; give at least one node the role \"{INSTANCE}\", best three"
            ));
        }
        if repositories + instances != cluster.members.len() {
            return Err(
                "this protocol has no clients, its listeners are part of the instances; leave out `clients`".to_owned()
            );
        }
        cluster.config.validate()
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let repository = cluster.with_role(REPOSITORY).next().expect("a cluster that was found valid has a repository");
        let (config, defects) = (cluster.config.clone(), Defects::of(&cluster.defects));
        let shared = Constant(Arc::new(Shared { config, defects, repository }));
        let joiners: Vec<_> = cluster.with_role(JOINER).collect();
        Arc::new(move |node| match node == repository {
            true => Node::Repository(Box::new(Store::new(shared.config.repository())), shared.clone()),
            false => Node::Instance(Box::new(Instance::new(shared.clone(), node, joiners.contains(&node)))),
        })
    }

    fn wire() -> Option<Wire<Self::Actor>> {
        Some(Wire::new())
    }

    fn invariant(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        invariants::build(name, &cluster.config, within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_that_make_no_sense_are_refused_with_what_to_type() {
        let refused = |roles: &[&str], change: fn(&mut Config)| {
            let member = |(number, role): (usize, &&str)| sim_core::Member {
                name: format!("n{number}"),
                role: (*role).to_owned(),
                host: sim_core::HostId(number as u16),
            };
            let mut config = Config::default();
            change(&mut config);
            let members = roles.iter().enumerate().map(member).collect();
            Sling::validate(&Cluster { members, config, defects: Default::default() }).err().unwrap_or_default()
        };
        assert_eq!(refused(&[REPOSITORY, INSTANCE, JOINER], |_| {}), "");
        assert!(refused(&[INSTANCE], |_| {}).contains("exactly one node the role \"repository\""));
        assert!(refused(&[REPOSITORY], |_| {}).contains("at least one node the role \"instance\""));
        assert!(refused(&[REPOSITORY, INSTANCE, "client"], |_| {}).contains("leave out `clients`"));
        let alone = |config: &mut Config| config.enable_sync_token = false;
        assert!(refused(&[REPOSITORY, INSTANCE], alone).contains("`second-token-round` needs `enable-sync-token`"));
        let reversed = |config: &mut Config| config.startup_step_min = Duration::from_secs(9);
        assert!(refused(&[REPOSITORY, INSTANCE], reversed).contains("at most `startup-step-max`, which is 1s"));
    }

    #[test]
    fn every_command_that_is_listed_can_be_sent() {
        assert_eq!(Sling::COMMANDS.len(), ALL_COMMANDS.len());
        assert!(Sling::COMMANDS.iter().all(|command| Sling::command(command.name).is_some()));
        assert_eq!(Sling::command("dance"), None);
    }
}
