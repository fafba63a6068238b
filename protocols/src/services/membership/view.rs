//! Addresses and views: plain values, without any protocol.

use std::fmt;

use serde::{Deserialize, Serialize};
use sim_core::NodeId;

/// A member: a node, and which of its starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The node.
    pub node: NodeId,
    /// Drawn at random at each start, and when a member that was excluded joins anew.
    pub incarnation: u32,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:x}", self.node, self.incarnation)
    }
}

/// Names a view and orders it among all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewId {
    /// One more than the highest that its creator had seen.
    pub number: u64,
    /// Who made it.
    pub creator: Address,
}

impl fmt::Debug for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:?}", self.number, self.creator)
    }
}

/// Who belongs to the group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// Its id.
    pub id: ViewId,
    /// The members, oldest first; the coordinator is the first of them.
    pub members: Vec<Address>,
    /// The members of the view that it was made from; of both views after a merge; none for the first.
    pub previous: Vec<Address>,
    /// Those of `previous` that left in good order. Who is in neither list nor among the members has failed.
    pub left: Vec<Address>,
    /// Whether it merges two groups.
    pub merged: bool,
}

impl View {
    /// Whether it has this member.
    pub fn has(&self, address: Address) -> bool {
        self.members.contains(&address)
    }

    /// The member that runs on a node.
    pub fn at(&self, node: NodeId) -> Option<Address> {
        self.members.iter().copied().find(|member| member.node == node)
    }

    /// Members of the view before that have failed, oldest first.
    pub fn failed(&self) -> impl Iterator<Item = Address> + '_ {
        self.previous.iter().copied().filter(|&member| !self.has(member) && !self.left.contains(&member))
    }

    /// Members that the view before did not have.
    pub fn joined(&self) -> impl Iterator<Item = Address> + '_ {
        self.members.iter().copied().filter(|member| !self.previous.contains(member))
    }

    /// The member after this one, the first after the last; `None` if it is alone or not in the view.
    pub fn after(&self, address: Address) -> Option<Address> {
        let at = self.members.iter().position(|&member| member == address)?;
        let next = self.members[(at + 1) % self.members.len()];
        (next != address).then_some(next)
    }
}
