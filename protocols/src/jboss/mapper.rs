//! Who fails over for whom: the map that every server computes from a view, by a rule that can be chosen.

use schemars::JsonSchema;
use serde::Deserialize;
use sim_core::HostId;

use crate::services::membership::Address;

/// The rule by which failover nodes are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Mapper {
    /// The members after the node, with the view as a circular buffer.
    Circular,
    /// The same, but those on the node's own machine come last.
    #[default]
    HostAware,
}

impl Mapper {
    /// The failover nodes of a member, best first; none if it is alone.
    pub fn successors(self, of: Address, members: &[Address], host: impl Fn(Address) -> HostId) -> Vec<Address> {
        let Some(at) = members.iter().position(|&member| member == of) else { return Vec::new() };
        let mut following: Vec<Address> = members[at + 1..].iter().chain(&members[..at]).copied().collect();
        if self == Mapper::HostAware {
            let own = host(of);
            following.sort_by_key(|&member| host(member) == own); // Stable: otherwise in the order of the view.
        }
        following
    }
}

#[cfg(test)]
mod tests {
    use sim_core::NodeId;

    use super::*;

    #[test]
    fn the_view_is_circular_and_the_own_machine_comes_last() {
        let member = |node| Address { node: NodeId(node), incarnation: 7 };
        let members = [member(0), member(1), member(2), member(3)];
        let host = |member: Address| HostId(member.node.0 / 2);
        let of = |mapper: Mapper, node| -> Vec<u16> {
            mapper.successors(member(node), &members, host).iter().map(|member| member.node.0).collect()
        };
        assert_eq!(of(Mapper::Circular, 2), [3, 0, 1]);
        assert_eq!(of(Mapper::HostAware, 2), [0, 1, 3]);
        assert_eq!(Mapper::Circular.successors(member(0), &members[..1], host), []);
    }
}
