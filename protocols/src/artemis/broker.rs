//! A broker: its fields, and which file handles what reaches it.
//!
//! The handlers are in `startup.rs`, `replication.rs` (live side), `backup.rs`, `quorum.rs`, `failback.rs` and
//! `topology.rs`; here is only what they share.

use std::collections::VecDeque;

use sim_core::{ConnectionEvent, ConnectionId, Context, Instant, NodeId, SyncToken};

use super::backup::{Parting, Replica};
use super::failback::StopPlan;
use super::journal::{Journal, JournalRecord};
use super::layout::SharedRef;
use super::message::{Command, Message, PairId, Timer};
use super::protocol::Node;
use super::quorum::{Promise, Vote};
use super::replication::{Pending, Replicator};
use super::startup::Search;
use super::state::{Happening, Phase};
use super::topology::{Link, Sighting};
use crate::transitions::StateMachine;

pub(super) type Ctx<'a> = Context<'a, Node>;

/// A broker's state.
#[derive(Clone, Debug, Hash)]
pub struct Broker {
    pub(super) shared: SharedRef,
    pub(super) me: NodeId,
    /// The NodeID that it serves or replicates.
    pub(super) pair: PairId,
    /// The other broker of that NodeID.
    pub(super) peer: Option<NodeId>,
    /// Whether it is configured to be the live one.
    pub(super) primary: bool,
    pub(super) phase: Phase,
    pub(super) journal: Journal,
    /// Counts the activations and synchronizations of this process, to tell late helper threads from current ones.
    pub(super) attempt: u32,
    /// In [`Phase::Starting`].
    pub(super) search: Search,
    /// What the next end of a sync of this kind lets happen.
    pub(super) durable: Option<(SyncToken, Durable)>,
    /// The latest end of a sync.
    pub(super) synced: SyncToken,

    /// The replica, as its live sees it.
    pub(super) replicator: Option<Replicator>,
    /// Client operations that are not complete, oldest first.
    pub(super) pending: VecDeque<Pending>,
    /// Sends that wait for the storage write lock.
    pub(super) stalled: VecDeque<(ConnectionId, u64)>,
    /// Whether the end of a synchronization holds the storage write lock.
    pub(super) locked: bool,
    /// Connections of attached clients.
    pub(super) clients: Vec<ConnectionId>,
    /// How the broker stops, while it does.
    pub(super) stop: Option<StopPlan>,

    /// The live, as its replica sees it.
    pub(super) replica: Replica,

    /// How this backup parted from the live that it last replicated, once it votes on whether to replace it.
    pub(super) parting: Option<Parting>,

    /// The vote that is being held.
    pub(super) vote: Option<Vote>,
    /// The brokers that this voter has told that their NodeID is free.
    pub(super) promises: Vec<Promise>,

    /// Connections over which this LIVE broker announces itself to the rest of the cluster.
    pub(super) links: Vec<Link>,
    /// LIVE brokers of other NodeIDs that are connected to this one.
    pub(super) sightings: Vec<Sighting>,
    /// The backup of this NodeID, as last announced: perhaps this broker itself, from before it took over.
    pub(super) backup_entry: Option<NodeId>,
    /// On this broker's clock, from when on it may tell another broker to fail over.
    pub(super) votes_from: Instant,
    /// Whom the topology shows as LIVE under this NodeID.
    pub(super) live_entry: NodeId,
    /// The largest number of NodeIDs that this broker knows of, its own included.
    pub(super) largest_size: usize,
}

/// What waits for a sync to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Durable {
    /// The record of the activation.
    Activation,
    /// The record of the complete copy.
    Copy,
    /// The record of having handed over.
    Relinquishment,
}

impl Broker {
    /// A broker of `pair` whose process has not started.
    pub fn new(shared: SharedRef, me: NodeId, pair: PairId, primary: bool) -> Self {
        // ART-L8: a broker that has just started has seen nobody, and takes what is left of a cluster for all of it.
        let largest_size = if shared.defects.art_l8 { 1 } else { shared.pairs.len() };
        let peer = shared.peer_of(me);
        Broker {
            shared,
            me,
            pair,
            peer,
            primary,
            phase: Phase::Stopped,
            journal: Journal::default(),
            attempt: 0,
            search: Search::default(),
            durable: None,
            synced: SyncToken(0),
            replicator: None,
            pending: VecDeque::new(),
            stalled: VecDeque::new(),
            locked: false,
            clients: Vec::new(),
            stop: None,
            replica: Replica::default(),
            parting: None,
            vote: None,
            promises: Vec::new(),
            links: Vec::new(),
            sightings: Vec::new(),
            backup_entry: None,
            live_entry: me,
            largest_size,
            votes_from: Instant::ZERO,
        }
    }

    /// What the broker is doing.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it is configured to be the live one of its pair.
    pub fn is_primary(&self) -> bool {
        self.primary
    }

    /// Its journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Its NodeID.
    pub fn pair(&self) -> PairId {
        self.pair
    }

    /// Whether it is to start again by itself.
    pub fn is_restarting(&self) -> bool {
        self.search.restarts
    }

    /// Whether it is LIVE and counts on a replica that has confirmed its copy.
    pub fn has_replica(&self) -> bool {
        self.phase == Phase::Live && self.replicator.as_ref().is_some_and(Replicator::is_in_sync)
    }

    /// Whether it is stopping to hand its NodeID back.
    pub fn is_failing_back(&self) -> bool {
        self.stop.as_ref().is_some_and(|plan| plan.failback)
    }

    /// Whether, as a backup, it has announced that it is up to date.
    pub fn is_announced(&self) -> bool {
        self.replica.announced
    }

    /// Whether, as a backup, it has been told that its live is handing over.
    pub fn is_told_of_handover(&self) -> bool {
        self.phase == Phase::UpToDate && self.replica.stop_called
    }

    /// The connection that it replicates over: to its replica if it serves, to its live if it is a backup.
    pub fn replication_connection(&self) -> Option<ConnectionId> {
        self.replicator.as_ref().map(|replicator| replicator.connection).or(self.replica.connection)
    }

    /// How it parted from its live, if it has voted since on whether to replace it.
    pub fn parting(&self) -> Option<Parting> {
        self.parting
    }

    /// Moves to where the table says.
    pub(super) fn step(&mut self, happening: Happening) {
        self.phase.step(happening);
    }

    pub(super) fn on_start(&mut self, disk: &[JournalRecord], ctx: &mut Ctx<'_>) {
        self.journal = Journal::recover(disk.iter().copied());
        ctx.listen(false);
        self.boot(ctx);
    }

    pub(super) fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Ctx<'_>) {
        match message {
            Message::Append { sequence, id, .. } => self.on_append(sequence, id, ctx),
            Message::ReplicationResponse { sequence } => self.on_replication_response(sequence, ctx),
            Message::Send { id, .. } => self.on_send(id, ctx),
            Message::Attach => self.on_attach(ctx),
            Message::BackupRegistration { failback } => self.on_registration(from, failback, ctx),
            Message::SyncFinishedAck => self.on_sync_finished(ctx),
            Message::RegistrationFailed { problem } => self.on_registration_failed(problem, ctx),
            Message::StartSync { activation } => self.on_start_sync(activation, ctx),
            Message::SyncFileChunk { ids, .. } => self.on_chunk(&ids, ctx),
            Message::SyncDone => self.on_sync_done(ctx),
            Message::PrimaryStopping { step } => self.on_primary_stopping(step, ctx),
            Message::Ping => self.on_ping(ctx),
            Message::Pong => self.heard_live(ctx),
            Message::NodeAnnounced { pair, live, backup, event } => {
                self.on_node_announced(from, pair, (live, backup), event, ctx);
            }
            Message::NodeDown { pair } => self.on_node_down(pair, ctx),
            Message::Probe { round, activation } => self.on_probe(from, round, activation, ctx),
            Message::ProbeReply { round, claim } => self.on_probe_reply(round, claim, ctx),
            Message::QuorumVote { pair, question, round } => self.on_quorum_vote(from, pair, question, round, ctx),
            Message::VoteReply { voter, round, yes, connector } => {
                self.on_vote_reply(voter, round, yes, connector, ctx);
            }
            Message::NetworkPing { round } => ctx.send(from, Message::NetworkPong { round }),
            Message::NetworkPong { round } => self.on_network_pong(round, ctx),
            Message::Topology { .. } | Message::Sent { .. } => {}
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer, ctx: &mut Ctx<'_>) {
        match timer {
            Timer::ProbeAgain => self.probe(ctx),
            Timer::ProbeEnds => self.probe_ended(ctx),
            Timer::Restart => self.boot(ctx),
            Timer::Loaded(attempt) => self.on_loaded(attempt, ctx),
            Timer::Register => self.register(ctx),
            Timer::Chunk => self.send_chunk(ctx),
            Timer::SyncTimeout => self.on_sync_timeout(ctx),
            Timer::SlowReplica => self.on_slow_replica(ctx),
            Timer::FailureCheck => self.on_failure_check(ctx),
            Timer::ClusterRetry => self.link_up(ctx),
            Timer::Applied(attempt) => self.on_applied(attempt, ctx),
            Timer::Announce => self.announce_backup(ctx),
            Timer::ForcedFailover => self.fail_over(ctx),
            Timer::FailbackDelay => self.fail_back_after_delay(ctx),
            Timer::Announcement => self.on_announcement_overdue(ctx),
            Timer::TokenRelease => self.on_token_release(ctx),
            Timer::VoteEnds => self.conclude_vote(false, ctx),
            Timer::VoteAgain => self.vote_again(ctx),
            Timer::NetworkCheck => self.on_network_check_ended(ctx),
            Timer::Client(_) => unreachable!("brokers arm no timers of clients"),
        }
    }

    pub(super) fn on_command(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        match command {
            Command::Stop => self.stop_called(ctx),
            Command::Start if self.phase == Phase::Stopped => self.boot(ctx),
            Command::Start => {}
        }
    }

    pub(super) fn on_synced(&mut self, token: SyncToken, ctx: &mut Ctx<'_>) {
        self.synced = self.synced.max(token);
        if self.durable.is_some_and(|(awaited, _)| awaited <= token) {
            let (_, what) = self.durable.take().expect("it was there a line ago");
            match what {
                Durable::Activation => self.on_activated(ctx),
                Durable::Copy => self.on_copy_durable(ctx),
                Durable::Relinquishment => self.on_relinquished(ctx),
            }
        }
        self.answer_appends(ctx);
        self.complete_operations(ctx);
    }

    pub(super) fn on_connection(&mut self, peer: NodeId, event: ConnectionEvent, ctx: &mut Ctx<'_>) {
        match event {
            ConnectionEvent::Opened(id) => {
                self.on_link_opened(id, ctx);
                self.on_replication_opened(id, ctx);
            }
            // Who it is shows with the first message.
            ConnectionEvent::Accepted(_) => {}
            ConnectionEvent::Refused(id, _) => {
                self.on_link_closed(id, ctx);
                self.on_replication_refused(id, ctx);
            }
            ConnectionEvent::Closed(id, reason) => {
                self.clients.retain(|&client| client != id);
                self.on_link_closed(id, ctx);
                self.on_sighting_closed(id, ctx);
                self.on_replica_closed(id, ctx);
                self.on_live_closed(peer, id, reason, ctx);
            }
            ConnectionEvent::Writable(id) => self.on_writable(id, ctx),
        }
    }

    /// Starts a sync after which `what` goes on.
    pub(super) fn make_durable(&mut self, what: Durable, ctx: &mut Ctx<'_>) {
        self.durable = Some((ctx.sync(), what));
    }

    /// Pings every peer, and looks who has been silent for too long.
    fn on_failure_check(&mut self, ctx: &mut Ctx<'_>) {
        match self.phase {
            Phase::Live => {
                self.check_cluster(ctx);
                self.check_replica(ctx);
            }
            Phase::Stopping => self.check_replica(ctx),
            _ => self.check_live(ctx),
        }
        if matches!(self.phase, Phase::Live | Phase::Stopping | Phase::Syncing | Phase::UpToDate) {
            ctx.set_timer(Timer::FailureCheck, self.shared.config.client_failure_check_period);
        }
    }

    /// Whether nothing came since `heard` for longer than the time to live of a connection.
    pub(super) fn is_silent_since(&self, heard: Instant, ctx: &Ctx<'_>) -> bool {
        ctx.now().since(heard) > self.shared.config.connection_ttl
    }
}
