//! Who is LIVE in the cluster, as each broker sees it.
//!
//! A LIVE broker keeps a connection to every other NodeID and announces itself on it. Whoever accepted it sees the
//! announcer LIVE for as long as the connection lives and is heard; when it ends, the other brokers of that NodeID
//! are told. A backup learns the cluster from its live.

use sim_core::{ConnectionId, Instant, NodeId};

use super::broker::{Broker, Ctx};
use super::message::{Message, PairId, Question, Timer};
use super::state::Phase;

/// A LIVE broker's connection to another NodeID.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Link {
    pair: PairId,
    /// Which of the NodeID's brokers is tried.
    at: usize,
    pub(super) connection: Option<ConnectionId>,
    /// Whether it was opened, and this broker announced on it.
    announced: bool,
}

/// A LIVE broker of another NodeID.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Sighting {
    pair: PairId,
    live: NodeId,
    /// The activation that it announced.
    event: u64,
    connection: ConnectionId,
    /// When it was last heard, on this broker's clock.
    heard: Instant,
}

impl Broker {
    // Announcing.

    /// Connects to every NodeID to which there is no connection.
    pub(super) fn link_up(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase != Phase::Live {
            return;
        }
        if self.links.is_empty() {
            let others = (0..self.shared.pairs.len()).map(|pair| PairId(pair as u16));
            self.links = others
                .filter(|&pair| !self.shared.members(pair).contains(&self.me))
                .map(|pair| Link { pair, at: 0, connection: None, announced: false })
                .collect();
        }
        for link in self.links.iter_mut().filter(|link| link.connection.is_none()) {
            link.connection = Some(ctx.connect(self.shared.pairs[link.pair.0 as usize][link.at]));
        }
    }

    pub(super) fn on_link_opened(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if let Some(link) = self.links.iter_mut().find(|link| link.connection == Some(id)) {
            link.announced = true;
            let (pair, live, event) = (self.pair, self.me, self.journal.activation());
            let backup = self.backup_entry.filter(|&backup| backup != self.me);
            ctx.send_on(id, Message::NodeAnnounced { pair, live, backup, event });
        }
    }

    pub(super) fn on_link_closed(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if let Some(link) = self.links.iter_mut().find(|link| link.connection == Some(id)) {
            link.connection = None;
            link.at = (link.at + 1) % self.shared.pairs[link.pair.0 as usize].len();
            ctx.set_timer(Timer::ClusterRetry, self.shared.config.cluster_retry_interval);
            if std::mem::take(&mut link.announced) {
                self.doubt_without_replica(ctx);
            }
        }
    }

    /// Too few of the cluster may see this broker. Without a replica nothing else would make this live ask whether it may stay.
    fn doubt_without_replica(&mut self, ctx: &mut Ctx<'_>) {
        // ART-L7: only the loss of a replica makes a live doubt itself. One that has none can be replaced, by its
        // former replica or by its returning primary, and serve on beside it for ever.
        let asks = self.shared.config.vote_on_replication_failure && !self.shared.defects.art_l7;
        if !asks || self.phase != Phase::Live || self.has_replica() || self.vote.is_some() {
            return;
        }
        // A broker without a pair has nobody who could replace it.
        if self.peer.is_none() {
            return;
        }
        // As long as enough voters see this broker, nobody else can win a majority.
        let seen_by = self.links.iter().filter(|link| link.announced).count();
        if self.links.len() < seen_by + self.majority() {
            return;
        }
        self.start_vote(Question::StayLive, ctx);
    }

    // Seeing.

    pub(super) fn on_node_announced(
        &mut self,
        from: NodeId,
        pair: PairId,
        (live, backup): (NodeId, Option<NodeId>),
        event: u64,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(via) = ctx.via() else { return };
        if pair == self.pair {
            return self.on_own_node_announced(from, live, backup, ctx);
        }
        // On its replication connection a backup is told what its live sees: it needs to know how large the cluster is.
        self.add_sighting(Sighting { pair, live, event, connection: via, heard: ctx.now() });
        if let Some(replicator) = &self.replicator {
            ctx.send_on(replicator.connection, Message::NodeAnnounced { pair, live, backup, event });
        }
    }

    fn add_sighting(&mut self, sighting: Sighting) {
        let (pair, live) = (sighting.pair, sighting.live);
        self.sightings.retain(|s| s.connection != sighting.connection || s.pair != sighting.pair);
        self.sightings.push(sighting);
        self.fulfil_promise(pair, live);
        let others = (0..self.shared.pairs.len() as u16).filter(|&p| self.sees(PairId(p)).is_some()).count();
        self.largest_size = self.largest_size.max(1 + others);
    }

    fn on_own_node_announced(&mut self, from: NodeId, live: NodeId, backup: Option<NodeId>, ctx: &mut Ctx<'_>) {
        if self.phase != Phase::Live {
            return;
        }
        if live == self.me && Some(from) == self.peer {
            self.backup_entry = backup;
            self.tell_clients(ctx);
            return self.fail_back_if_announced(ctx);
        }
        ctx.mark("split-brain-detected");
        if self.shared.defects.artemis_2868 {
            // ARTEMIS-2868 and 3402: the foreign live is noticed, and then believed.
            self.live_entry = live;
            self.tell_clients(ctx);
        }
    }

    /// Whom this broker sees LIVE under a NodeID: the one with the latest activation, if there are two.
    pub(super) fn sees(&self, pair: PairId) -> Option<NodeId> {
        self.sightings.iter().filter(|s| s.pair == pair).max_by_key(|s| s.event).map(|s| s.live)
    }

    pub(super) fn heard_sighting(&mut self, via: ConnectionId, now: Instant) -> bool {
        let sighting = self.sightings.iter_mut().find(|s| s.connection == via);
        sighting.map(|s| s.heard = now).is_some()
    }

    pub(super) fn on_sighting_closed(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        let gone: Vec<Sighting> = self.sightings.iter().filter(|s| s.connection == id).copied().collect();
        self.sightings.retain(|s| s.connection != id);
        for Sighting { pair, .. } in gone {
            if self.phase == Phase::Live && self.sees(pair).is_none() {
                for &member in self.shared.members(pair) {
                    ctx.send(member, Message::NodeDown { pair });
                }
            }
        }
    }

    /// Pings the cluster, and drops whom this broker has not heard for too long.
    pub(super) fn check_cluster(&mut self, ctx: &mut Ctx<'_>) {
        for connection in self.links.iter().filter_map(|link| link.connection) {
            ctx.send_on(connection, Message::Ping);
        }
        let silent: Vec<_> =
            self.sightings.iter().filter(|s| self.is_silent_since(s.heard, ctx)).map(|s| s.connection).collect();
        for connection in silent {
            ctx.close(connection);
            self.on_sighting_closed(connection, ctx);
        }
        // A live that came up while nobody else was LIVE never had a link that could fail.
        self.doubt_without_replica(ctx);
    }

    pub(super) fn on_node_down(&mut self, pair: PairId, ctx: &mut Ctx<'_>) {
        if pair != self.pair || self.phase != Phase::UpToDate || self.replica.stop_called {
            return;
        }
        if self.primary {
            // While failing back, the live's departure is what is being waited for.
            if self.shared.defects.artemis_2713 {
                // ARTEMIS-2713: it sets off a vote all the same.
                self.lose_live(ctx);
            }
            return;
        }
        // A hint: what the replication connection says counts. It is looked at now rather than in its turn.
        self.check_live(ctx);
    }

    // Telling others.

    /// What clients are told.
    pub(super) fn topology(&self) -> Message {
        Message::Topology { live: self.live_entry, backup: self.backup_entry.filter(|&backup| backup != self.me) }
    }

    fn tell_clients(&self, ctx: &mut Ctx<'_>) {
        for &client in &self.clients {
            ctx.send_on(client, self.topology());
        }
    }

    /// Tells a new replica who else is in the cluster.
    pub(super) fn tell_topology(&self, replica: ConnectionId, ctx: &mut Ctx<'_>) {
        for &Sighting { pair, live, event, .. } in &self.sightings {
            ctx.send_on(replica, Message::NodeAnnounced { pair, live, backup: None, event });
        }
    }
}
