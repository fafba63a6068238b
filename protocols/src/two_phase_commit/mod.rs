//! Two-phase commit: a transaction is committed everywhere or nowhere.
//!
//! The protocol is that of Gray and Lamport, "Consensus on Transaction Commit" (2006), in which resource managers prepare, or
//! abort, of their own accord. Its safety rests on no clock: a scenario explores every order of its messages and timers.
//!
//! | message | from, to | meaning |
//! |---|---|---|
//! | `Prepared` | resource manager to transaction manager | I can commit, and will do as you say |
//! | `Commit` | transaction manager to resource managers | everybody has prepared: commit |
//! | `Abort` | transaction manager to resource managers | abort |
//!
//! | timer | when it fires |
//! |---|---|
//! | `Prepare` | a resource manager has done its work |
//! | `GiveUp` | a resource manager, or the transaction manager, decides to abort while it may |
//!
//! A resource manager may abort by itself until it has prepared, and the transaction manager until it has committed. Files:
//! `node.rs` has both roles; `invariants` and the bug that can be switched on are in here.

mod node;

use std::collections::BTreeSet;
use std::time::Duration;

use sim_core::library::Always;
use sim_core::{Cluster, Defect, Factory, Invariant, LookBack, Named, NodeId, Property, Protocol, Wire, World};

pub use node::{Config, Manager, Message, Node, Phase, Resource, Timer};

use crate::defects::defects;

/// No resource manager has committed while another has aborted.
pub const CONSISTENT: &str = "consistent";

defects! {
    counts_to_majority: "counts-to-majority", "The transaction manager commits when more than half have prepared.", [CONSISTENT];
    forgets_prepared: "forgets-prepared", "A resource manager that has prepared may still abort by itself.", [CONSISTENT];
}

/// The protocol, for scenario files.
#[derive(Clone, Copy, Debug)]
pub struct TwoPhaseCommit;

const MANAGER: &str = "manager";
const RESOURCE: &str = "resource";

impl Protocol for TwoPhaseCommit {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "two-phase-commit";
    const ABOUT: &'static str = "Two-phase commit with one transaction manager, which rests on no clock.";
    const ROLES: &'static [Named] = &[
        Named { name: MANAGER, about: "Decides, once." },
        Named { name: RESOURCE, about: "Prepares, and does as it is told." },
    ];
    const DEFECTS: &'static [Defect] = DEFECTS;
    const MARKS: &'static [Named] = &[
        Named { name: "committed", about: "A resource manager has committed." },
        Named { name: "aborted", about: "A resource manager has aborted." },
    ];
    const INVARIANTS: &'static [Property] = &[Property {
        name: CONSISTENT,
        class: sim_core::Class::Safety,
        about: "No resource manager has committed while another has aborted.",
    }];
    const COMMANDS: &'static [Named] = &[];

    fn command(_: &str) -> Option<()> {
        None
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        let managers = cluster.with_role(MANAGER).count();
        let resources = cluster.with_role(RESOURCE).count();
        if managers != 1 {
            return Err(format!(
                "there are {managers} transaction managers; give exactly one node the role \"{MANAGER}\""
            ));
        }
        if !(1..=64).contains(&resources) {
            return Err(format!("there are {resources} resource managers; give 1 to 64 nodes the role \"{RESOURCE}\""));
        }
        if managers + resources != cluster.members.len() {
            return Err("this protocol has no clients; leave out `clients`".to_owned());
        }
        Ok(())
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let manager = cluster.with_role(MANAGER).next().expect("a cluster that was found valid has one");
        let resources: BTreeSet<NodeId> = cluster.with_role(RESOURCE).collect();
        let (config, defects) = (cluster.config.clone(), Defects::of(&cluster.defects));
        std::sync::Arc::new(move |node| match node == manager {
            true => Node::Manager(Manager::new(resources.iter().copied().collect(), &config, defects)),
            false => Node::Resource(Resource::new(manager, &config, defects)),
        })
    }

    fn wire() -> Option<Wire<Self::Actor>> {
        Some(Wire::new())
    }

    fn invariant(name: &str, _: &Cluster<Config>, _: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        (name == CONSISTENT)
            .then(|| Box::new(Always::in_world(CONSISTENT, consistent).looking_back(LookBack::NOTHING)) as Box<_>)
    }
}

fn consistent(world: &World<Node>) -> Result<(), String> {
    let at = |phase| {
        world.node_ids().find(|&node| matches!(world.actor(node), Some(Node::Resource(r)) if r.phase() == phase))
    };
    match (at(Phase::Committed), at(Phase::Aborted)) {
        (Some(committed), Some(aborted)) => {
            let name = |node| world.setup().name(node);
            Err(format!("{} has committed and {} has aborted", name(committed), name(aborted)))
        }
        _ => Ok(()),
    }
}
