//! What must hold of replicated pairs, watched from outside the brokers.
//!
//! What counts in A1 and A2 is worth a word, because the design itself gives less than absolutes.
//!
//! * **A1**: an isolated live cannot know that it has been replaced before its connections time out and its vote to
//!   stay is lost. With `vote-on-replication-failure` two brokers may therefore both be LIVE for as long as
//!   [`Config::overlap`] says, while neither is paused; without that vote they may not be at all, so a scenario that
//!   isolates a live has to switch it on. A lone pair has no voters: its documentation requires three pairs where
//!   partitions are possible.
//! * **A2**: a live that has lost its replica acknowledges what only its own disk holds. If it is lost as well, so is
//!   that; the specification allows this one case. What at least two disks held when it was acknowledged must be in
//!   the journal of whoever is LIVE, for ever.

mod copies;
mod failback;
mod messages;
mod roles;

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use sim_core::library::{Eventually, Stable};
use sim_core::{Check, Class, Cluster, Constant, Instant, Invariant, NodeId, Property, Touched, World};

use self::copies::{ActivatesUpToDate, KnowsItIsBehind};
use self::failback::{FailbackWithoutVote, ReadyBackup};
use self::messages::{ClientsProgress, NoAcknowledgedSendLost, NoSendForgotten};
use self::roles::{AtMostOneLive, one_live_one_backup};
use super::broker::Broker;
use super::config::Config;
use super::layout::{Shared, SharedRef};
use super::protocol::Node;
use super::state::Phase;

const fn property(name: &'static str, class: Class, about: &'static str) -> Property {
    Property { name, class, about }
}

/// All of them.
pub const PROPERTIES: &[Property] = &[
    property(
        "at-most-one-live",
        Class::Safety,
        "A1: no two running brokers are LIVE for one NodeID, but for the time that an isolated live needs to notice.",
    ),
    property(
        "no-acknowledged-send-lost",
        Class::Safety,
        "A2: what a client was told is stored is in the journal of whoever is LIVE, unless only a live that has been \
         lost since had it.",
    ),
    property(
        "no-send-forgotten",
        Class::Safety,
        "A2: a client goes on to its next message only when it was told of the one before.",
    ),
    property(
        "backup-activates-only-if-up-to-date",
        Class::Safety,
        "A3: a broker serves only from a complete copy, and a backup only if it was UP_TO_DATE.",
    ),
    property(
        "backup-knows-it-is-behind",
        Class::Safety,
        "A3: a backup that its live has given up does not take itself for UP_TO_DATE for long.",
    ),
    property(
        "failback-hands-over-to-a-ready-backup",
        Class::Safety,
        "A4: an acting live stops for a failback only when the other broker has announced that it is up to date.",
    ),
    property(
        "failback-without-vote",
        Class::Safety,
        "A4: a primary that is being handed its NodeID takes it when told to, and does not vote for it.",
    ),
    property(
        "no-flapping",
        Class::Safety,
        "A4: once nothing breaks any more, no broker changes its role more often than a failover and a failback take.",
    ),
    property(
        "one-live-one-backup",
        Class::Liveness,
        "A4: in the end each NodeID has one LIVE broker and one backup that is up to date.",
    ),
    property(
        "blocked-clients-progress",
        Class::Liveness,
        "A6: once nothing breaks any more, no client waits for an acknowledgement for longer than a recovery takes.",
    ),
    property("no-leak", Class::Safety, "A7: a stopped broker has no timers and no connections."),
];

/// The property called `name`.
pub fn build(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
    let shared = Constant(Arc::new(Shared::of(cluster)));
    let (pairs, nodes) = (shared.pairs.len(), cluster.members.len());
    let within = within.unwrap_or_else(|| recovery(&cluster.config));
    let property = PROPERTIES.iter().find(|property| property.name == name)?;
    fn watch<S: State>(property: &Property, shared: SharedRef, state: S) -> Option<Box<dyn Invariant<Node>>> {
        Some(Box::new(Watch { name: property.name, class: property.class, shared, state }))
    }
    match name {
        "at-most-one-live" => watch(property, shared, AtMostOneLive::new(pairs)),
        "no-acknowledged-send-lost" => watch(property, shared, NoAcknowledgedSendLost::new(pairs, nodes)),
        "no-send-forgotten" => watch(property, shared, NoSendForgotten::new(nodes)),
        "backup-activates-only-if-up-to-date" => watch(property, shared, ActivatesUpToDate::new(nodes)),
        "backup-knows-it-is-behind" => watch(property, shared, KnowsItIsBehind::new(nodes)),
        "failback-hands-over-to-a-ready-backup" => watch(property, shared, ReadyBackup::new(nodes)),
        "failback-without-vote" => watch(property, shared, FailbackWithoutVote::new(nodes)),
        "no-flapping" => {
            let window = recovery(&cluster.config);
            Some(Box::new(Stable::role(property.name, role_changes(&cluster.config), window).when_quiet()))
        }
        "blocked-clients-progress" => watch(property, shared, ClientsProgress::new(nodes, within)),
        "no-leak" => watch(property, shared, NoLeak),
        "one-live-one-backup" => {
            let healthy = move |world: &World<Node>| one_live_one_backup(world, &shared);
            Some(Box::new(Eventually::within(property.name, within, healthy)))
        }
        _ => None,
    }
}

/// How often a broker's role may change while a pair recovers. The longest way is that of a backup that loses a vote,
/// starts again, copies, and is made LIVE: VOTING, STOPPED, STARTING, NOT_SYNCED, UP_TO_DATE, STARTING, LIVE. A
/// synchronization that has to be begun again takes another three. Before that an acting live refuses it for as long as
/// it still waits for the copy of a connection that has died; each refusal is a start and a search more.
///
/// That is for a cluster whose voters stay. Where they are cut off as well they stop themselves, and a live can lose a
/// second vote before they are back: such a scenario does not ask for `no-flapping`.
fn role_changes(config: &Config) -> usize {
    let refusing = config.initial_replication_sync_timeout + config.backup_announcement_timeout;
    let refusals = refusing.as_nanos().div_ceil(config.retry_replication_wait.as_nanos().max(1));
    10 + 2 * refusals as usize
}

/// The time that a pair may need to recover: every timer that can stand in its way, one after the other.
fn recovery(config: &Config) -> Duration {
    let voting = (config.vote_retry_wait + config.quorum_vote_wait) * config.vote_retries.max(1);
    config.connection_ttl
        + 2 * config.client_failure_check_period
        + voting
        + 2 * config.startup_probe_timeout
        + 3 * config.retry_replication_wait
        + config.initial_replication_sync_timeout
        + config.backup_announcement_timeout
        + config.token_release_timeout
        + config.forced_failover_timeout
        + config.call_timeout
}

/// What a property remembers, and what it makes of a node that an event has touched.
trait State: Clone + Hash + Send + 'static {
    /// What is wrong, if anything is. Asked after every event, and so inlined into the one place that asks.
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String>;

    /// Whether what happens to a node can matter to it: by default, if the node is a broker that has a peer.
    fn concerns(&self, shared: &Shared, node: NodeId) -> bool {
        shared.peer_of(node).is_some()
    }

    /// When time alone may break it.
    fn deadline(&self, shared: &Shared) -> Option<Instant> {
        let _ = shared;
        None
    }
}

#[derive(Clone, Hash)]
struct Watch<S> {
    name: &'static str,
    class: Class,
    shared: SharedRef,
    state: S,
}

impl<S: State> Watch<S> {
    #[inline(never)]
    fn look_at_all(&mut self, world: &World<Node>) -> Option<String> {
        world.node_ids().find_map(|node| self.state.look(&self.shared, world, node))
    }
}

impl<S: State> Invariant<Node> for Watch<S> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        self.class
    }

    fn concerns(&self, node: NodeId) -> bool {
        self.state.concerns(&self.shared, node)
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        let wrong = match touched {
            Touched::Node(node) => self.state.look(&self.shared, world, node),
            Touched::Any => self.look_at_all(world),
        };
        match wrong {
            Some(why) => Check::Violated(why),
            None => self.state.deadline(&self.shared).map_or(Check::Holds, Check::AskAgain),
        }
    }
}

fn broker(world: &World<Node>, node: NodeId) -> Option<&Broker> {
    world.actor(node)?.broker()
}

/// The other broker of a NodeID, if it is up.
fn peer<'a>(world: &'a World<Node>, shared: &Shared, node: NodeId) -> Option<&'a Broker> {
    broker(world, shared.peer_of(node)?)
}

/// A moment at which `limit` since `since` is exceeded.
fn after(since: Instant, limit: Duration) -> Instant {
    since + limit + Duration::from_nanos(1)
}

#[derive(Clone, Hash)]
struct NoLeak;

impl State for NoLeak {
    fn concerns(&self, shared: &Shared, node: NodeId) -> bool {
        shared.pair_of(node).is_some()
    }

    #[inline(always)]
    fn look(&mut self, _: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        broker(world, node).filter(|b| b.phase() == Phase::Stopped && !b.is_restarting())?;
        let (timers, connections) = (world.timers(node), world.connections(node));
        let name = world.setup().name(node);
        (!timers.is_empty() || !connections.is_empty())
            .then(|| format!("{name} is stopped but has timers {timers:?} and connections {connections:?}"))
    }
}
