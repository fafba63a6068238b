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

use std::sync::Arc;
use std::time::Duration;

use sim_core::history::{Call, Operation, Step};
use sim_core::library::{Eventually, Stable};
use sim_core::{Check, Class, Cluster, ConnectionId, Instant, Invariant, NodeId, Property, Touched, World};

use super::broker::Broker;
use super::config::Config;
use super::journal::JournalRecord;
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
    let shared = Arc::new(Shared::of(cluster));
    let nodes = cluster.members.len();
    let within = within.unwrap_or_else(|| recovery(&cluster.config));
    let property = PROPERTIES.iter().find(|property| property.name == name)?;
    fn watch<S: State>(property: &Property, shared: SharedRef, state: S) -> Option<Box<dyn Invariant<Node>>> {
        Some(Box::new(Watch { name: property.name, class: property.class, shared, state }))
    }
    match name {
        "at-most-one-live" => {
            let overlaps = vec![None; shared.pairs.len()];
            watch(property, shared, AtMostOneLive { overlaps })
        }
        "no-acknowledged-send-lost" => {
            let safe = vec![Vec::new(); shared.pairs.len()];
            watch(property, shared, NoAcknowledgedSendLost { read: 0, safe, live: vec![false; nodes] })
        }
        "no-send-forgotten" => watch(property, shared, NoSendForgotten { read: 0, open: vec![None; nodes] }),
        "backup-activates-only-if-up-to-date" => {
            watch(property, shared, ActivatesUpToDate { phases: vec![Phase::Stopped; nodes] })
        }
        "backup-knows-it-is-behind" => watch(property, shared, KnowsItIsBehind { since: vec![None; nodes] }),
        "failback-hands-over-to-a-ready-backup" => {
            watch(property, shared, ReadyBackup { announced: vec![None; nodes], failing_back: vec![false; nodes] })
        }
        "failback-without-vote" => {
            let handing_back = vec![None; nodes];
            watch(property, shared, FailbackWithoutVote { handing_back, told: vec![false; nodes] })
        }
        "no-flapping" => {
            let window = recovery(&cluster.config);
            Some(Box::new(Stable::role(property.name, role_changes(&cluster.config), window).when_quiet()))
        }
        "blocked-clients-progress" => {
            watch(property, shared, ClientsProgress { within, waiting: vec![None; nodes], deadline: None })
        }
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
trait State: Clone + Send + 'static {
    /// What is wrong, if anything is.
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String>;

    /// When time alone may break it.
    fn deadline(&self, shared: &Shared) -> Option<Instant> {
        let _ = shared;
        None
    }
}

#[derive(Clone)]
struct Watch<S> {
    name: &'static str,
    class: Class,
    shared: SharedRef,
    state: S,
}

impl<S: State> Invariant<Node> for Watch<S> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        self.class
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        let wrong = match touched {
            Touched::Node(node) => self.state.look(&self.shared, world, node),
            Touched::Any => world.node_ids().find_map(|node| self.state.look(&self.shared, world, node)),
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

#[derive(Clone)]
struct AtMostOneLive {
    /// Since when a NodeID has had two running LIVE brokers.
    overlaps: Vec<Option<Instant>>,
}

impl State for AtMostOneLive {
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let pair = shared.pair_of(node)?;
        let serves = |n| !world.is_paused(n) && broker(world, n).is_some_and(|b| b.phase() == Phase::Live);
        let overlap = &mut self.overlaps[pair.0 as usize];
        if !serves(node) || !shared.peer_of(node).is_some_and(serves) {
            *overlap = None;
            return None;
        }
        let (since, allowed) = (*overlap.get_or_insert(world.now()), shared.config.overlap());
        if !allowed.is_zero() && world.now().since(since) <= allowed {
            return None;
        }
        let names: Vec<&str> = shared.members(pair).iter().map(|&n| world.setup().name(n)).collect();
        let lasting =
            if allowed.is_zero() { String::new() } else { format!(", since {since}, longer than {allowed:?}") };
        Some(format!("{} are both LIVE for node-id {}{lasting}", names.join(" and "), pair.0 + 1))
    }

    fn deadline(&self, shared: &Shared) -> Option<Instant> {
        self.overlaps.iter().flatten().min().map(|&since| after(since, shared.config.overlap()))
    }
}

#[derive(Clone)]
struct NoAcknowledgedSendLost {
    /// How many notes of the history have been read.
    read: usize,
    /// By NodeID, what at least two disks held when it was acknowledged.
    safe: Vec<Vec<u64>>,
    /// Who was LIVE when last looked at.
    live: Vec<bool>,
}

impl NoAcknowledgedSendLost {
    fn acknowledged(&mut self, shared: &Shared, world: &World<Node>, key: u64, id: u64) -> Option<String> {
        let members = shared.pairs.get(key as usize)?;
        let holds = |&node: &NodeId| match broker(world, node) {
            Some(broker) => broker.journal().contains(id),
            None => world.durable(node).any(|record| *record == JournalRecord::Message(id)),
        };
        let has_set_aside = |&&node: &&NodeId| broker(world, node).is_some_and(|b| b.journal().has_set_aside(id));
        match members.iter().filter(|node| holds(node)).count() {
            // The word of a live that held it alone was still on its way when that live was replaced: the case that the
            // specification allows, seen late. Had its replica held it too, that would have had to keep it.
            0 if members.iter().filter(has_set_aside).count() == 1 => None,
            0 => Some(format!("message {id:#x} was acknowledged, but no broker of node-id {} holds it", key + 1)),
            1 => None,
            _ => {
                self.safe[key as usize].push(id);
                None
            }
        }
    }
}

impl State for NoAcknowledgedSendLost {
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let notes = world.history().notes();
        while let Some(note) = notes.get(self.read) {
            self.read += 1;
            if let Operation { call: Call::Write { key, value }, step: Step::Returned(_), .. } = note.operation
                && let Some(wrong) = self.acknowledged(shared, world, key, value)
            {
                return Some(wrong);
            }
        }
        let pair = shared.pair_of(node)?;
        let serving = broker(world, node).filter(|b| b.phase() == Phase::Live);
        let was_live = std::mem::replace(&mut self.live[node.index()], serving.is_some());
        let (serving, false) = (serving?, was_live) else { return None };
        let lost = self.safe[pair.0 as usize].iter().find(|&&id| !serving.journal().contains(id))?;
        let name = world.setup().name(node);
        Some(format!("{name} is LIVE without message {lost:#x}, which two brokers held when it was acknowledged"))
    }
}

#[derive(Clone)]
struct NoSendForgotten {
    read: usize,
    /// By client, the message that it was not told of yet.
    open: Vec<Option<u64>>,
}

impl State for NoSendForgotten {
    fn look(&mut self, _: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        if broker(world, node).is_some() {
            return None;
        }
        if !world.is_up(node) {
            // A client that dies takes what it was about to send with it.
            self.open[node.index()] = None;
        }
        while let Some(note) = world.history().notes().get(self.read) {
            self.read += 1;
            let open = &mut self.open[note.client.index()];
            match note.operation.step {
                Step::Invoked => {
                    if let Some(forgotten) = open.replace(note.operation.id) {
                        let client = world.setup().name(note.client);
                        return Some(format!("{client} was never told of message {forgotten:#x}, and goes on"));
                    }
                }
                Step::Returned(_) | Step::Refused => *open = None,
                Step::Unknown => {}
            }
        }
        None
    }
}

#[derive(Clone)]
struct ActivatesUpToDate {
    phases: Vec<Phase>,
}

impl State for ActivatesUpToDate {
    fn look(&mut self, _: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let broker = broker(world, node);
        let phase = broker.map_or(Phase::Stopped, Broker::phase);
        let before = std::mem::replace(&mut self.phases[node.index()], phase);
        let serves = matches!(phase, Phase::Activating | Phase::Live);
        let incomplete = broker.is_some_and(|b| !b.journal().is_complete());
        let behind = matches!(before, Phase::Searching | Phase::Syncing);
        let name = world.setup().name(node);
        (serves && (incomplete || behind)).then(|| format!("{name} activates from {before:?} without a complete copy"))
    }
}

#[derive(Clone)]
struct KnowsItIsBehind {
    /// By node, since when it has taken itself for UP_TO_DATE without being counted on.
    since: Vec<Option<Instant>>,
}

impl KnowsItIsBehind {
    /// Until then either the live's confirmation or the backup's failure check is due.
    fn limit(config: &Config) -> Duration {
        config.initial_replication_sync_timeout + config.connection_ttl + 2 * config.client_failure_check_period
    }
}

impl State for KnowsItIsBehind {
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        for backup in [node, shared.peer_of(node)?] {
            let believes = broker(world, backup).is_some_and(|b| b.phase() == Phase::UpToDate)
                && !world.is_paused(backup)
                && peer(world, shared, backup).is_some_and(|live| live.phase() == Phase::Live && !live.has_replica());
            let since = &mut self.since[backup.index()];
            if !believes {
                *since = None;
            } else if world.now().since(*since.get_or_insert(world.now())) > Self::limit(&shared.config) {
                let name = world.setup().name(backup);
                return Some(format!("{name} takes itself for up to date, but its live has given it up"));
            }
        }
        None
    }

    fn deadline(&self, shared: &Shared) -> Option<Instant> {
        self.since.iter().flatten().min().map(|&since| after(since, Self::limit(&shared.config)))
    }
}

#[derive(Clone)]
struct ReadyBackup {
    /// By node, the connection on which it last announced itself. A copy and its announcement belong to one
    /// connection, so what a broker said of an earlier copy never counts for a later one; and a connection that the
    /// backup has lost while its announcement was on the way still counts, as the live cannot know.
    announced: Vec<Option<ConnectionId>>,
    failing_back: Vec<bool>,
}

impl State for ReadyBackup {
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let broker = broker(world, node)?;
        if broker.is_announced() {
            self.announced[node.index()] = broker.replication_connection().or(self.announced[node.index()]);
        }
        let was = std::mem::replace(&mut self.failing_back[node.index()], broker.is_failing_back());
        let other = shared.peer_of(node).filter(|_| broker.is_failing_back() && !was)?;
        let copied_over = broker.replication_connection();
        let (name, other_name) = (world.setup().name(node), world.setup().name(other));
        (copied_over.is_none() || self.announced[other.index()] != copied_over).then(|| {
            format!("{name} stops so that {other_name} can take over, but {other_name} has not announced itself")
        })
    }
}

/// A primary has no reason to vote once it was told that the live hands over: FAIL_OVER or its timeout decides. It
/// has none before that either, if it leaves a connection over which the live is handing over and was heard of late.
#[derive(Clone)]
struct FailbackWithoutVote {
    /// By node, the connection over which it hands its NodeID back, until it starts again or dies.
    handing_back: Vec<Option<ConnectionId>>,
    /// By node, whether it had been told of that when it was last looked at.
    told: Vec<bool>,
}

impl State for FailbackWithoutVote {
    fn look(&mut self, shared: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let broker = broker(world, node);
        let handing_back = &mut self.handing_back[node.index()];
        *handing_back = match broker {
            Some(live) if live.is_failing_back() => live.replication_connection().or(*handing_back),
            Some(live) if matches!(live.phase(), Phase::Stopping | Phase::Stopped) => *handing_back,
            _ => None,
        };
        let told = std::mem::replace(&mut self.told[node.index()], broker.is_some_and(Broker::is_told_of_handover));
        let primary = broker.filter(|b| b.is_primary() && matches!(b.phase(), Phase::Voting | Phase::Activating))?;
        let (parting, other) = (primary.parting()?, shared.peer_of(node)?);
        let left = parting.connection.is_some() && parting.connection == self.handing_back[other.index()];
        let heard = parting.silence <= shared.config.client_failure_check_period;
        let (name, other) = (world.setup().name(node), world.setup().name(other));
        (told || left && heard).then(|| format!("{name} votes although {other} is handing over to it"))
    }
}

#[derive(Clone)]
struct ClientsProgress {
    within: Duration,
    /// By client, what it waits for and since when.
    waiting: Vec<Option<(u64, Instant)>>,
    /// When the client that waits longest has waited for too long, as far as the faults that are known to end allow.
    deadline: Option<Instant>,
}

impl State for ClientsProgress {
    fn look(&mut self, _: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        let outstanding = match world.actor(node) {
            Some(Node::Broker(_)) => return None,
            Some(Node::Client(client)) => client.outstanding(),
            None => None,
        };
        let waiting = &mut self.waiting[node.index()];
        match (outstanding, &waiting) {
            (Some(id), Some((known, _))) if id == *known => {}
            (outstanding, _) => *waiting = outstanding.map(|id| (id, world.now())),
        }
        let quiet = world.quiet_since();
        let longest = self.waiting.iter().flatten().map(|&(_, since)| since).min();
        self.deadline = longest.zip(quiet).map(|(since, quiet)| after(since.max(quiet), self.within));
        let ((id, since), quiet) = (self.waiting[node.index()]?, quiet?);
        let name = world.setup().name(node);
        (world.now().since(since.max(quiet)) > self.within)
            .then(|| format!("{name} has waited for message {id:#x} to be acknowledged since {since}"))
    }

    fn deadline(&self, _: &Shared) -> Option<Instant> {
        self.deadline
    }
}

#[derive(Clone)]
struct NoLeak;

impl State for NoLeak {
    fn look(&mut self, _: &Shared, world: &World<Node>, node: NodeId) -> Option<String> {
        broker(world, node).filter(|b| b.phase() == Phase::Stopped && !b.is_restarting())?;
        let (timers, connections) = (world.timers(node), world.connections(node));
        let name = world.setup().name(node);
        (!timers.is_empty() || !connections.is_empty())
            .then(|| format!("{name} is stopped but has timers {timers:?} and connections {connections:?}"))
    }
}

fn one_live_one_backup(world: &World<Node>, shared: &Shared) -> Result<(), String> {
    for (number, members) in shared.pairs.iter().enumerate().filter(|(_, members)| members.len() == 2) {
        let is = |node: NodeId, wanted: fn(&Broker) -> bool| broker(world, node).is_some_and(wanted);
        let served = |live, backup| is(live, Broker::has_replica) && is(backup, |b| b.phase() == Phase::UpToDate);
        if !served(members[0], members[1]) && !served(members[1], members[0]) {
            return Err(format!("node-id {} does not have one LIVE broker and one backup", number + 1));
        }
    }
    Ok(())
}
