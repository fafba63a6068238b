//! From a descriptor and the documents beside it to a topology: who is who, who leads, and who is left out because it
//! has not started completely.

use sim_core::Instant;

use crate::services::repository::{Client, ClusterNodeId, Descriptor, Folder, Path, Value};

use super::view::{ClusterId, ElectionId, Member, SlingId, TopologyView};
use super::{Config, Defects};

/// `idMap[clusterNodeId] → slingId`.
const ID_MAP: Folder = Folder::named("idMap");
/// `leaderElectionId[slingId]`: prefix, start time, and whether there is one.
const ELECTION_IDS: Folder = Folder::named("leaderElectionIds");
/// `syncTokens[slingId]`: the number of the descriptor that the instance has told its listeners is changing, and when the
/// activation that has told them started.
const SYNC_TOKENS: Folder = Folder::named("syncTokens");
/// `viewTokens[slingId]`: the number of the descriptor, a digest of the view that it would have them agree on, and the
/// round in which it agrees.
const VIEW_TOKENS: Folder = Folder::named("viewTokens");
/// `properties[slingId]`.
const PROPERTIES: Folder = Folder::named("properties");

/// Where the name of a cluster node id is.
pub(super) fn id_map(node: ClusterNodeId) -> Path {
    Path { folder: ID_MAP, name: node.0.into() }
}

/// Where the leader election id of an instance is.
pub(super) fn election_id(name: SlingId) -> Path {
    Path { folder: ELECTION_IDS, name: name.0 }
}

/// Where the sync token of an instance is.
pub(super) fn sync_token(name: SlingId) -> Path {
    Path { folder: SYNC_TOKENS, name: name.0 }
}

/// Where the view token of an instance is.
pub(super) fn view_token(name: SlingId) -> Path {
    Path { folder: VIEW_TOKENS, name: name.0 }
}

/// Where the properties of an instance are.
pub(super) fn properties(name: SlingId) -> Path {
    Path { folder: PROPERTIES, name: name.0 }
}

impl ElectionId {
    /// As a document.
    pub(super) fn document(self) -> Value {
        Value([self.prefix, self.start, 1])
    }

    /// The document of an instance that has none at present.
    pub(super) const WITHDRAWN: Value = Value([0, 0, 0]);

    /// The sync token of this activation.
    pub(super) fn token(self, seq: u64, defects: Defects) -> Value {
        // SLING-L6: which activation it is of remains open. One of an earlier activation of the same process is as new
        // as the descriptor if discovery was restarted and nothing else has happened.
        Value([seq, if defects.sling_l6 { 0 } else { self.start }, 0])
    }

    fn of(document: Value, sling_id: SlingId) -> Option<Self> {
        let Value([prefix, start, present]) = document;
        (present == 1).then_some(ElectionId { prefix, start, sling_id })
    }
}

/// What came of reading.
#[derive(Clone, Debug, Hash)]
pub(super) enum Reading {
    /// A topology.
    View(TopologyView),
    /// There is none at present.
    Undefined,
    /// The documents are newer than the descriptor: it has to be read again.
    Outdated,
}

/// Reads topologies, and remembers whom it has seen.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Reader {
    /// The members of the topology that was read last: they have started, whatever they are late with.
    seen: Vec<(ClusterNodeId, ElectionId)>,
    /// Since when somebody has been left out.
    suppressing_since: Option<Instant>,
    /// Who made the last topology undefined.
    missing: Option<ClusterNodeId>,
    /// Counts the descriptors that were read.
    parsed: u64,
}

/// What a reading is made from.
pub(super) struct Source<'a> {
    pub client: &'a Client,
    pub descriptor: &'a Descriptor,
    /// Whether this instance has written a sync token since its discovery was activated. One that has not knows too
    /// little to leave anybody out.
    pub has_token: bool,
    pub now: Instant,
}

impl Reader {
    /// Who made the last topology undefined, if it was somebody.
    pub fn missing(&self) -> Option<ClusterNodeId> {
        self.missing
    }

    /// Reads a topology.
    pub fn read(&mut self, source: &Source<'_>, config: &Config, defects: Defects) -> Reading {
        let Descriptor { seq, me, .. } = *source.descriptor;
        self.parsed += 1;
        self.missing = None;
        if !source.descriptor.is_final || !source.descriptor.active.contains(&me) {
            return Reading::Undefined;
        }
        // SLING-10489: nobody was left out.
        let suppresses = config.suppress_partially_started_instances
            && !defects.sling_10489a
            && source.has_token
            && !self.has_suppressed_for_too_long(source.now, config);
        let mut members = Vec::new();
        let mut partially_started = Vec::new();
        for &node in &source.descriptor.active {
            match self.member(node, source, suppresses && node != me, defects) {
                Err(Newer) => return Reading::Outdated,
                Ok(Some(member)) => members.push(member),
                Ok(None) if suppresses && node != me => partially_started.push(node),
                Ok(None) => {
                    self.missing = Some(node);
                    return Reading::Undefined;
                }
            }
        }
        // Who joins beside those that have not started leaves nobody out who was there when it came, so it waits for
        // them. To let it in alone would be to wait for them as well.
        // SLING-L5: each was let in as soon as it had a token.
        if !partially_started.is_empty() && !defects.sling_l5 {
            let is_new = |member: &Member| member.node != me && !self.has_seen(member.node, member.election);
            partially_started.extend(members.iter().filter(|m| is_new(m)).map(|m| m.node));
            members.retain(|member| !is_new(member));
        }
        members.sort_by_key(|member| member.election);
        partially_started.sort_unstable();
        self.seen = members.iter().map(|member| (member.node, member.election)).collect();
        self.suppressing_since = match partially_started.is_empty() {
            true => None,
            false => self.suppressing_since.or(Some(source.now)),
        };
        let cluster = ClusterId { id: source.descriptor.cluster_id.unwrap_or_default(), object: self.parsed };
        Reading::View(TopologyView { cluster, seq, members, partially_started, degraded: false })
    }

    /// A member, unless it has not started completely as far as can be seen.
    fn member(
        &self,
        node: ClusterNodeId,
        source: &Source<'_>,
        wants_token: bool,
        defects: Defects,
    ) -> Result<Option<Member>, Newer> {
        let read = |path| source.client.read(path);
        let Some(name) = read(id_map(node)).map(|Value([name, ..])| SlingId(name)) else { return Ok(None) };
        let token = read(sync_token(name));
        if token.is_some_and(|Value([seq, ..])| seq > source.descriptor.seq) {
            return Err(Newer);
        }
        let Some(election) = read(election_id(name)).and_then(|id| ElectionId::of(id, name)) else { return Ok(None) };
        // SLING-11450: nobody remembered who had been a member before.
        let is_established = self.has_seen(node, election) && !defects.sling_11450;
        // SLING-11496: a token of an earlier life would do.
        let has_started =
            token.is_some_and(|token| token == election.token(source.descriptor.seq, defects) || defects.sling_11496);
        if wants_token && !is_established && !has_started {
            return Ok(None);
        }
        let properties = read(properties(name)).map_or(0, |Value([version, ..])| version);
        Ok(Some(Member { node, election, properties }))
    }

    fn has_seen(&self, node: ClusterNodeId, election: ElectionId) -> bool {
        self.seen.contains(&(node, election))
    }

    fn has_suppressed_for_too_long(&self, now: Instant, config: &Config) -> bool {
        let timeout = config.suppression_timeout;
        !timeout.is_zero() && self.suppressing_since.is_some_and(|since| now.since(since) > timeout)
    }
}

/// A member has written a token for a descriptor that this instance has not read.
struct Newer;
