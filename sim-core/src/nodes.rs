//! The nodes of a world, and which of them may have changed.
//!
//! An event changes one node, seldom more. A search that copies a world or hashes its state at every step therefore asks
//! which: the others need neither be copied nor hashed again. Whoever takes a node to change it has changed it.

use std::hash::Hasher;
use std::ops::{Index, IndexMut};

use crate::node::Node;
use crate::{Actor, NodeId};

pub(crate) struct Nodes<A: Actor> {
    nodes: Vec<Watched<A>>,
}

struct Watched<A: Actor> {
    node: Node<A>,
    /// What lasts of its state, hashed.
    hash: u64,
    /// It may have changed since it was hashed.
    unhashed: bool,
    /// It had changed since it was copied from another world's when it was hashed.
    changed: bool,
}

impl<A: Actor> Nodes<A> {
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Node<A>> {
        self.nodes.iter().map(|watched| &watched.node)
    }

    /// Makes these nodes equal to others that they were a copy of, and which have not changed since.
    pub fn restore(&mut self, source: &Self) {
        for (own, theirs) in self.nodes.iter_mut().zip(&source.nodes) {
            if own.unhashed || own.changed {
                own.clone_from(theirs);
            }
            debug_assert!(own.unhashed || own.node.lasting_hash() == theirs.hash, "a node changed unnoticed");
        }
    }

    /// Adds what lasts of each node's state to a hash, or, of those that have not changed, what it came to before.
    pub fn hash_lasting(&mut self, hash: &mut impl Hasher) {
        for watched in &mut self.nodes {
            if watched.unhashed {
                watched.hash = watched.node.lasting_hash();
                (watched.unhashed, watched.changed) = (false, true);
            }
            hash.write_u64(watched.hash);
        }
    }
}

impl<A: Actor> FromIterator<Node<A>> for Nodes<A> {
    fn from_iter<I: IntoIterator<Item = Node<A>>>(nodes: I) -> Self {
        let watched = |node| Watched { node, hash: 0, unhashed: true, changed: false };
        Nodes { nodes: nodes.into_iter().map(watched).collect() }
    }
}

impl<A: Actor> Clone for Nodes<A> {
    fn clone(&self) -> Self {
        Nodes { nodes: self.nodes.clone() }
    }

    fn clone_from(&mut self, source: &Self) {
        self.nodes.clone_from(&source.nodes);
    }
}

impl<A: Actor> Clone for Watched<A> {
    fn clone(&self) -> Self {
        Watched { node: self.node.clone(), hash: self.hash, unhashed: self.unhashed, changed: false }
    }

    fn clone_from(&mut self, source: &Self) {
        self.node.clone_from(&source.node);
        (self.hash, self.unhashed, self.changed) = (source.hash, source.unhashed, false);
    }
}

impl<A: Actor> Index<NodeId> for Nodes<A> {
    type Output = Node<A>;

    #[inline]
    fn index(&self, node: NodeId) -> &Node<A> {
        &self.nodes[node.index()].node
    }
}

impl<A: Actor> IndexMut<NodeId> for Nodes<A> {
    #[inline]
    fn index_mut(&mut self, node: NodeId) -> &mut Node<A> {
        let watched = &mut self.nodes[node.index()];
        watched.unhashed = true;
        &mut watched.node
    }
}
