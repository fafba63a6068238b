//! What clients and the store say to each other, what the store writes, and the timers of both: separate, because this
//! is all that a protocol has to make room for in its own enums.

use std::fmt;

use serde::{Deserialize, Serialize};
use sim_core::Instant;

/// A machine's number in the cluster, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterNodeId(pub u16);

impl fmt::Display for ClusterNodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One lease of a cluster node id: the fencing token of everything that is asked under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId {
    /// The machine.
    pub node: ClusterNodeId,
    /// Counts the leases of that machine, from 1.
    pub number: u64,
}

/// Where a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    /// The folder.
    pub folder: Folder,
    /// The name in it.
    pub name: u64,
}

/// The name of a folder: at most 24 bytes, which can be copied and sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Folder([u8; 24]);

impl Folder {
    /// A folder.
    ///
    /// # Panics
    /// If the name is longer than 24 bytes.
    pub const fn named(name: &str) -> Self {
        assert!(name.len() <= 24, "the name of a folder has at most 24 bytes");
        let mut bytes = [0; 24];
        let mut at = 0;
        while at < name.len() {
            bytes[at] = name.as_bytes()[at];
            at += 1;
        }
        Folder(bytes)
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        String::from_utf8_lossy(&self.0[..end]).fmt(f)
    }
}

/// What a document holds: three numbers, whose meaning is the writer's affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Value(pub [u64; 3]);

/// A document as it was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Commit {
    /// The place of the commit among all commits of the repository, from 1.
    pub revision: u64,
    /// The document.
    pub path: Path,
    /// What it holds from then on.
    pub value: Value,
}

/// Commits of one writer that have been published since a reader looked last.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Published {
    /// The writer.
    pub node: ClusterNodeId,
    /// The number of the first of them among the writer's commits, from 1.
    pub first: u64,
    /// The commits, in order.
    pub commits: Vec<Commit>,
}

/// Who belongs to the cluster, as the store knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// Grows with each change.
    pub seq: u64,
    /// Ids with a lease.
    pub active: Vec<ClusterNodeId>,
    /// Ids whose lease has run out and whose commits are being published for them.
    pub recovering: Vec<ClusterNodeId>,
    /// Ids that have left; with the number of their last commit.
    pub inactive: Vec<(ClusterNodeId, u64)>,
    /// The cluster's own id, if it has one.
    pub cluster_id: Option<u64>,
}

/// Who belongs to the cluster, as one instance knows it: the discovery-lite descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// Grows with each change; the same for everybody.
    pub seq: u64,
    /// Whether this instance has seen everything that the inactive ids had committed.
    pub is_final: bool,
    /// This instance's id.
    pub me: ClusterNodeId,
    /// Ids with a lease, in order.
    pub active: Vec<ClusterNodeId>,
    /// Ids that are being recovered, and those of whose commits this instance has a backlog.
    pub deactivating: Vec<ClusterNodeId>,
    /// Ids that have left, with nothing of theirs left to see.
    pub inactive: Vec<ClusterNodeId>,
    /// The cluster's own id, if it has one.
    pub cluster_id: Option<u64>,
}

/// What clients ask and the store answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Asks for a lease for a machine.
    Acquire {
        /// The machine.
        machine: u64,
        /// Tells this request, however often it is repeated, from all others of that machine.
        nonce: u64,
    },
    /// The lease is granted.
    Acquired {
        /// As in the question.
        nonce: u64,
        /// The lease.
        lease: LeaseId,
        /// How many commits the machine has made so far.
        committed: u64,
    },
    /// An earlier process of the machine still has a lease, or is being recovered; or this very request was granted, and
    /// the lease has ended since.
    Occupied {
        /// As in the question.
        nonce: u64,
    },
    /// Renews a lease.
    Renew {
        /// The lease.
        lease: LeaseId,
        /// Which time of asking this is.
        round: u64,
    },
    /// The lease is renewed, from before this was asked on.
    Renewed {
        /// The lease.
        lease: LeaseId,
        /// As in the question.
        round: u64,
    },
    /// Gives a lease back.
    Release {
        /// The lease.
        lease: LeaseId,
    },
    /// The lease has been given back.
    Released {
        /// The lease.
        lease: LeaseId,
    },
    /// Changes a document.
    Commit {
        /// Under which lease.
        lease: LeaseId,
        /// The number of the commit among the writer's, from 1.
        number: u64,
        /// The document.
        path: Path,
        /// What it is to hold.
        value: Value,
    },
    /// The commit is durable.
    Committed {
        /// Under which lease.
        lease: LeaseId,
        /// As in the question.
        number: u64,
        /// The commit's place among all.
        revision: u64,
    },
    /// Publishes the sender's commits, and asks for those of others.
    Background {
        /// Under which lease.
        lease: LeaseId,
        /// Up to which of its commits others may see.
        publish: u64,
        /// Up to which commit of each writer it has seen everything.
        seen: Vec<(ClusterNodeId, u64)>,
    },
    /// What has been published that the reader has not seen.
    Changes {
        /// Under which lease it was asked.
        lease: LeaseId,
        /// By writer.
        published: Vec<Published>,
    },
    /// Asks who belongs to the cluster.
    ReadView {
        /// Under which lease.
        lease: LeaseId,
        /// Which time of asking this is.
        round: u64,
    },
    /// Who belongs to the cluster.
    ViewRead {
        /// Under which lease it was asked.
        lease: LeaseId,
        /// As in the question.
        round: u64,
        /// The view.
        view: View,
    },
    /// The lease under which something was asked has ended.
    Fenced {
        /// That lease.
        lease: LeaseId,
    },
}

sim_core::kinds!(Message {
    Acquire,
    Acquired,
    Occupied,
    Renew,
    Renewed,
    Release,
    Released,
    Commit,
    Committed,
    Background,
    Changes,
    ReadView,
    ViewRead,
    Fenced,
} bytes |message| match message {
    Message::Changes { published, .. } => 64 + published.iter().map(|p| 64 * p.commits.len() as u32).sum::<u32>(),
    _ => 64,
});

/// The timers of both halves; the table is in the module above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// The client asks for a lease again.
    Acquire,
    /// The client renews its lease.
    Renew,
    /// The client takes its lease for lost.
    LeaseEnd,
    /// The client publishes and reads.
    Background,
    /// The client repeats a commit.
    Commit,
    /// The client gives its lease back again.
    Release,
    /// The store looks for leases that have run out.
    Expiry,
    /// The store has recovered an id.
    Recovery(ClusterNodeId),
}

/// What the store writes to its disk. All that it knows is what these add up to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// A lease was given to a process.
    Leased {
        /// The machine.
        machine: u64,
        /// The process.
        nonce: u64,
        /// Until when, on the store's clock.
        end: Instant,
    },
    /// A lease was renewed.
    Renewed {
        /// The lease.
        lease: LeaseId,
        /// Until when, on the store's clock.
        end: Instant,
    },
    /// A lease was given back.
    Released {
        /// The lease.
        lease: LeaseId,
    },
    /// A lease has run out.
    Expired {
        /// The lease.
        lease: LeaseId,
        /// The end that had passed; a renewal that was written first makes this void.
        end: Instant,
    },
    /// The commits of an id whose lease ran out have been published.
    Recovered {
        /// The lease that ran out.
        lease: LeaseId,
    },
    /// A document was changed.
    Committed {
        /// Under which lease.
        lease: LeaseId,
        /// The number of the commit among the writer's.
        number: u64,
        /// The document.
        path: Path,
        /// What it holds.
        value: Value,
    },
    /// Commits were published.
    Published {
        /// Under which lease.
        lease: LeaseId,
        /// Up to which number.
        upto: u64,
    },
    /// The cluster was given an id.
    Assigned {
        /// The id.
        cluster_id: u64,
    },
}
