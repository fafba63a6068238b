//! What a topology is: its members in order of election, and in what two of them differ.

use std::fmt;

use crate::services::repository::ClusterNodeId;

use super::Defects;

/// The lasting name of an instance, which survives its restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlingId(pub u64);

impl fmt::Display for SlingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sling-{}", self.0)
    }
}

/// The leader election id of one activation of an instance's discovery. The smallest of a view leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElectionId {
    /// As set by the operator.
    pub prefix: u64,
    /// When its discovery was activated, in nanoseconds of its own wall clock.
    pub start: u64,
    /// Whose it is.
    pub sling_id: SlingId,
}

/// A member of a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its number in the repository's cluster.
    pub node: ClusterNodeId,
    /// Its leader election id, which holds its lasting name.
    pub election: ElectionId,
    /// The version of its properties.
    pub properties: u64,
}

/// The cluster's id as it was read from a descriptor.
#[derive(Clone, Copy, Debug, Hash)]
pub struct ClusterId {
    /// The id; 0 if the repository has none, which discovery then defines itself.
    pub id: u64,
    /// Which object it is: every descriptor that is read makes a new one.
    pub object: u64,
}

/// What listeners are told.
#[derive(Clone, Debug, Hash)]
pub struct TopologyView {
    /// The cluster's id.
    pub cluster: ClusterId,
    /// The descriptor's number, which the members' sync tokens have to reach.
    pub seq: u64,
    /// The members; the first one leads.
    pub members: Vec<Member>,
    /// Active instances that were left out because they have not started completely.
    pub partially_started: Vec<ClusterNodeId>,
    /// Whether listeners are told of it although not all members have agreed.
    pub degraded: bool,
}

/// In what two topologies differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Difference {
    /// In nothing that counts.
    Nothing,
    /// In their members' properties.
    Properties,
    /// In who belongs to them, in what order, where, or since when.
    Structure,
}

impl fmt::Display for ElectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.prefix, self.start, self.sling_id)
    }
}

impl fmt::Display for TopologyView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<String> = self.elections().map(|election| election.to_string()).collect();
        write!(f, "[{}] (number {}, cluster {})", members.join(", "), self.seq, self.cluster.id)
    }
}

impl TopologyView {
    /// The leader election ids of its members, the leader's first.
    pub fn elections(&self) -> impl Iterator<Item = ElectionId> + '_ {
        self.members.iter().map(|member| member.election)
    }

    /// Whether it is the same topology: the same cluster, and the same members in the same lives, in the same order.
    pub fn is_like(&self, other: &TopologyView) -> bool {
        self.cluster.id == other.cluster.id && self.elections().eq(other.elections())
    }

    /// A number that tells contents apart.
    pub fn digest(&self) -> u64 {
        let words = self.elections().flat_map(|election| [election.prefix, election.start, election.sling_id.0]);
        // FNV-1a over words: short, and the same everywhere.
        [self.cluster.id].into_iter().chain(words).fold(0xcbf2_9ce4_8422_2325, |digest: u64, word| {
            (digest ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
        })
    }

    /// Whether syncing this one means syncing the other.
    pub fn is_synced_like(&self, other: &TopologyView) -> bool {
        self.seq == other.seq && self.is_like(other)
    }

    fn names(&self) -> Vec<SlingId> {
        let mut names: Vec<SlingId> = self.members.iter().map(|member| member.election.sling_id).collect();
        names.sort_unstable();
        names
    }

    /// In what `new` differs from this view.
    pub fn difference(&self, new: &TopologyView, defects: Defects) -> Difference {
        if self.names() != new.names() {
            return Difference::Structure;
        }
        let mut difference = Difference::Nothing;
        if self.members.iter().zip(&new.members).any(|(a, b)| a.properties != b.properties) {
            difference = Difference::Properties;
        }
        // SLING-5256: equal membership was all that was asked for.
        if defects.sling_5256 {
            return difference;
        }
        if self.elections().ne(new.elections()) {
            // SLING-5173: the start of an instance, and who leads, were compared like its properties.
            match defects.sling_5173_leader {
                true => difference = Difference::Properties,
                false => return Difference::Structure,
            }
        }
        // SLING-5464: two references to equal ids differ.
        let differs = if defects.sling_5464 {
            self.cluster.object != new.cluster.object
        } else {
            self.cluster.id != new.cluster.id
        };
        if differs {
            // SLING-5458: the cluster's id was compared like properties.
            match defects.sling_5458 {
                true => difference = Difference::Properties,
                false => return Difference::Structure,
            }
        }
        // Instances that come and go without having been let in move the number, and concern nobody yet.
        if self.seq != new.seq && new.partially_started.is_empty() {
            return Difference::Structure;
        }
        difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(seq: u64, elections: &[(u64, u64)]) -> TopologyView {
        let member = |&(start, name): &(u64, u64)| Member {
            node: ClusterNodeId(name as u16),
            election: ElectionId { prefix: 1, start, sling_id: SlingId(name) },
            properties: 0,
        };
        TopologyView {
            cluster: ClusterId { id: 1, object: seq },
            seq,
            members: elections.iter().map(member).collect(),
            partially_started: Vec::new(),
            degraded: false,
        }
    }

    #[test]
    fn each_difference_has_its_class() {
        let fixed = Defects::default();
        let old = view(1, &[(1, 1), (2, 2)]);
        let mut same = old.clone();
        same.cluster.object = 9;
        assert_eq!(old.difference(&same, fixed), Difference::Nothing);
        same.members[1].properties = 1;
        assert_eq!(old.difference(&same, fixed), Difference::Properties);
        same.cluster.id = 2;
        assert_eq!(old.difference(&same, fixed), Difference::Structure);
        assert_eq!(old.difference(&view(2, &[(1, 1), (2, 2)]), fixed), Difference::Structure);
        assert_eq!(old.difference(&view(1, &[(2, 2), (3, 1)]), fixed), Difference::Structure);
        let mut suppressing = view(2, &[(1, 1), (2, 2)]);
        suppressing.partially_started.push(ClusterNodeId(3));
        assert_eq!(old.difference(&suppressing, fixed), Difference::Nothing);
    }

    #[test]
    fn a_digest_tells_contents_apart() {
        let old = view(1, &[(1, 1), (2, 2)]);
        assert_eq!(old.digest(), view(2, &[(1, 1), (2, 2)]).digest());
        for other in [view(1, &[(1, 1)]), view(1, &[(1, 1), (3, 2)]), view(1, &[(1, 2), (2, 1)])] {
            assert_ne!(old.digest(), other.digest());
        }
    }
}
