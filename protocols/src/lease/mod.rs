//! A lease by majority, on clocks that drift: the smallest complete protocol, to be read first.
//!
//! Several *members* want to be the one that may write to a *store*. A member that wants the lease first promises it
//! to itself, durably, under an epoch that is higher than any it knows, and then asks all others. A member that is
//! asked promises not to support anybody else for one term of its own clock, makes the epoch durable, and grants. With
//! the grants of a majority the lease is held, from the moment of *asking* on, for a little less than a term. The
//! holder asks again, under the same epoch, before that time is over.
//!
//! Two things can go wrong, and each has an answer:
//!
//! - Clocks differ in speed. A slow holder would believe in its lease after the fast clocks of others have ended their
//!   promises. So the holder counts less than a term ([`Config::usable`]), by as much as two clocks can differ. That
//!   is [`invariants::AT_MOST_ONE_HOLDER`].
//! - Messages take time. A write can reach the store after its sender has lost the lease, and no clock can help. So a
//!   write carries the epoch, and the store refuses an epoch lower than one it has seen: the epoch is a *fencing
//!   token*. That is [`invariants::WRITES_IN_ORDER`]; it needs [`invariants::EPOCHS_GROW`], which holds because two
//!   majorities share a member and that member never grants under a lower epoch.
//!
//! | message | from, to | means |
//! |---|---|---|
//! | `Ask` | member to members | grant me the lease under this epoch |
//! | `Grant` | member to asker | for one term I support nobody else |
//! | `Refuse` | member to asker | I have promised it to somebody else, or under a higher epoch |
//! | `Write` | holder to store | store this value |
//!
//! | timer | default | when it fires |
//! |---|---|---|
//! | `Campaign` | end of a promise plus up to [`Config::backoff`] | the lease may be free: try to get it |
//! | `Expire` | [`Config::usable`] after asking | no majority in time: give up, or step down |
//! | `Renew` | [`Config::renew_every`] | the holder asks again |
//! | `Write` | [`Config::write_every`] | the holder writes to the store |
//!
//! Files: `config.rs` has the settings and the arithmetic of the margin, `member.rs` and `store.rs` the two roles,
//! `node.rs` what makes one actor of them, `defects.rs` the bugs that can be switched on, `invariants.rs` what must
//! hold.

mod config;
mod defects;
pub mod invariants;
mod member;
mod node;
mod store;

use std::sync::Arc;
use std::time::Duration;

use sim_core::library::{AtMostOne, Eventually};
use sim_core::{Cluster, Defect, Factory, Invariant, LookBack, Named, NodeId, Property, Protocol, Wire, World};

pub use config::Config;
pub use defects::Defects;
pub use member::Member;
pub use node::{Command, Message, Node, Record, Timer};
pub use store::Store;

use crate::transitions;

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It supports whoever has its promise, or waits for a better moment.
    Waiting,
    /// It has promised the lease to itself and makes that durable.
    Preparing,
    /// It has asked the others.
    Asking,
    /// It has the lease, as long as its clock says so.
    Holding,
}

/// What moves a member from state to state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The lease may be free.
    Campaign,
    /// The promise to itself is durable.
    Durable,
    /// A majority, itself included, supports it.
    Majority,
    /// The time for which the grants count, or the promise to itself, is over.
    Expire,
    /// The operator has asked it to give up the lease.
    Resign,
}

transitions! { State on Step {
    Campaign(Waiting => Preparing);
    Durable(Preparing => Asking);
    Majority(Asking => Holding);
    Expire(Preparing | Asking | Holding => Waiting);
    Resign(Holding => Waiting);
} }

/// The protocol, for scenario files.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Lease;

/// The role of those who want the lease.
const MEMBER: &str = "member";
/// The role of what the lease protects.
const STORE: &str = "store";

impl Protocol for Lease {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "lease";
    const ABOUT: &'static str = "A lease by majority on drifting clocks, with a fencing token for what it protects.";
    const ROLES: &'static [Named] = &[
        Named { name: MEMBER, about: "Wants the lease, and promises it to others." },
        Named { name: STORE, about: "Is written to by the holder of the lease." },
    ];
    const DEFECTS: &'static [Defect] = defects::ALL;
    const MARKS: &'static [Named] = &[
        Named { name: "lease-granted", about: "A member has got the lease." },
        Named { name: "lease-expired", about: "A holder could not renew its lease in time." },
        Named { name: "lease-resigned", about: "A holder has given up its lease because it was asked to." },
        Named { name: "stale-write-refused", about: "The store has refused a write under an old epoch." },
    ];
    const INVARIANTS: &'static [Property] = invariants::ALL;
    const COMMANDS: &'static [Named] =
        &[Named { name: "resign", about: "Gives up the lease at once, if the node holds it." }];

    fn command(text: &str) -> Option<Command> {
        (text == "resign").then_some(Command::Resign)
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        let members = cluster.with_role(MEMBER).count();
        let stores = cluster.with_role(STORE).count();
        if members == 0 {
            return Err(format!("nobody can hold the lease; give at least one node the role \"{MEMBER}\", best three"));
        }
        if stores != 1 {
            return Err(format!("there are {stores} stores; give exactly one node the role \"{STORE}\""));
        }
        if members + stores != cluster.members.len() {
            return Err("this protocol has no clients, the members write by themselves; leave out `clients`".to_owned());
        }
        cluster.config.validate()
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let members: Arc<[NodeId]> = cluster.with_role(MEMBER).collect();
        let store = cluster.with_role(STORE).next().expect("a cluster that was found valid has a store");
        let (config, defects) = (cluster.config.clone(), Defects::of(cluster));
        Arc::new(move |node| match node == store {
            true => Node::Store(Store::new(defects)),
            false => Node::Member(Member::new(node, &members, store, &config, defects)),
        })
    }

    fn wire() -> Option<Wire<Self::Actor>> {
        Some(Wire::new())
    }

    fn invariant(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        match name {
            // What both of these look at are actors and clocks as they are, and nothing that has been.
            invariants::AT_MOST_ONE_HOLDER => Some(Box::new(
                AtMostOne::in_world(invariants::AT_MOST_ONE_HOLDER, "holding the lease", invariants::holds)
                    .looking_back(LookBack::NOTHING),
            )),
            invariants::EPOCHS_GROW => Some(Box::new(invariants::EpochsGrow::default())),
            invariants::WRITES_IN_ORDER => {
                let store = cluster.with_role(STORE).next()?;
                Some(Box::new(invariants::WritesInOrder::of(store)))
            }
            invariants::ONE_HOLDER => {
                let within = within.unwrap_or_else(|| cluster.config.recovery());
                let held = |world: &World<Node>| {
                    world
                        .node_ids()
                        .any(|node| world.actor(node).is_some_and(|actor| invariants::holds(world, node, actor)))
                };
                Some(Box::new(Eventually::within(invariants::ONE_HOLDER, within, held).looking_back(LookBack::NOTHING)))
            }
            _ => None,
        }
    }
}

/// A role in words, for timelines.
fn role(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Preparing => "preparing",
        State::Asking => "asking",
        State::Holding => "HOLDER",
    }
}
