//! The tree of nodes: what a transaction does to it, and which watches that fires.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Included, Unbounded};

use super::{Change, Done, Error, Mode, Op, SessionId, Stat, Text};

/// The nodes. Everything about it is a function of the transactions that were applied to it.
#[derive(Clone, Debug, Default, Hash)]
pub struct Tree {
    nodes: BTreeMap<Text, Znode>,
    /// The number of the last transaction.
    zxid: u64,
}

#[derive(Clone, Debug, Hash)]
struct Znode {
    data: Text,
    stat: Stat,
    /// Counts the sequential children that it ever had.
    sequence: u32,
}

/// What a transaction has changed: nodes, and nodes whose children have.
pub(super) type Changes = Vec<(Text, Change)>;

impl Tree {
    /// A tree with these nodes in it from the beginning; parents come before children.
    pub(super) fn with(initial: &[(Text, Text)]) -> Self {
        let stat = Stat { version: 0, czxid: 0, mzxid: 0, owner: None, writer: None };
        let node = |(path, data): &(Text, Text)| (path.clone(), Znode { data: data.clone(), stat, sequence: 0 });
        Tree { nodes: initial.iter().map(node).collect(), zxid: 0 }
    }

    /// The number of the last transaction.
    pub fn zxid(&self) -> u64 {
        self.zxid
    }

    /// Value and state of a node.
    pub fn get(&self, path: &str) -> Option<(&Text, &Stat)> {
        self.nodes.get(path).map(|node| (&node.data, &node.stat))
    }

    /// What a node holds; empty if it is not there.
    pub fn value(&self, path: &str) -> &str {
        self.nodes.get(path).map_or("", |node| &node.data)
    }

    /// The names of a node's children, in order.
    pub fn children(&self, path: &str) -> Vec<Text> {
        let from = format!("{path}/");
        let below =
            self.nodes.range::<str, _>((Included(&*from), Unbounded)).take_while(|(child, _)| child.starts_with(&from));
        below.map(|(child, _)| &child[from.len()..]).filter(|name| !name.contains('/')).map(Text::from).collect()
    }

    /// All nodes whose session is `owner`.
    pub fn ephemerals(&self, owner: SessionId) -> Vec<Text> {
        self.nodes.iter().filter(|(_, node)| node.stat.owner == Some(owner)).map(|(path, _)| path.clone()).collect()
    }

    /// Ends a session: its ephemeral nodes go.
    pub(super) fn end_session(&mut self, session: SessionId) -> Changes {
        self.zxid += 1;
        let mut changes = Changes::new();
        for path in self.ephemerals(session) {
            self.nodes.remove(&path);
            removed(path, &mut changes);
        }
        changes
    }

    /// Counts a transaction that changes no node.
    pub(super) fn note_transaction(&mut self) {
        self.zxid += 1;
    }

    /// Carries a transaction out as a whole, or not at all.
    pub(super) fn apply(&mut self, session: SessionId, ops: &[Op]) -> Result<(Vec<Done>, Changes), Error> {
        self.zxid += 1;
        let mut undo = Vec::new();
        let (mut done, mut changes) = (Vec::with_capacity(ops.len()), Changes::new());
        for op in ops {
            match self.apply_one(session, op, &mut undo, &mut changes) {
                Ok(one) => done.push(one),
                Err(error) => {
                    for (path, before) in undo.into_iter().rev() {
                        match before {
                            Some(node) => self.nodes.insert(path, node),
                            None => self.nodes.remove(&path),
                        };
                    }
                    return Err(error);
                }
            }
        }
        Ok((done, changes))
    }

    fn apply_one(
        &mut self,
        session: SessionId,
        op: &Op,
        undo: &mut Vec<(Text, Option<Znode>)>,
        changes: &mut Changes,
    ) -> Result<Done, Error> {
        match op {
            Op::Create { path, data, mode } => self.create(session, path, data, *mode, undo, changes),
            Op::Set { path, data, version } => {
                let zxid = self.zxid;
                let node = self.expect(path, *version)?;
                undo.push((path.clone(), Some(node.clone())));
                node.data = data.clone();
                node.stat = Stat { version: node.stat.version + 1, mzxid: zxid, writer: Some(session), ..node.stat };
                changes.push((path.clone(), Change::Data));
                Ok(Done::Set(node.stat.version))
            }
            Op::Delete { path, version } => {
                let node = self.expect(path, *version)?.clone();
                if !self.children(path).is_empty() {
                    return Err(Error::NotEmpty(path.clone()));
                }
                undo.push((path.clone(), Some(node)));
                self.nodes.remove(path);
                removed(path.clone(), changes);
                Ok(Done::Deleted)
            }
            Op::Check { path, version } => self.expect(path, *version).map(|_| Done::Checked),
        }
    }

    fn create(
        &mut self,
        session: SessionId,
        path: &Text,
        data: &Text,
        mode: Mode,
        undo: &mut Vec<(Text, Option<Znode>)>,
        changes: &mut Changes,
    ) -> Result<Done, Error> {
        let zxid = self.zxid;
        let mut path = path.clone();
        // What stands at the top of the tree has no parent.
        if let Some(parent) = parent(&path).map(Text::from) {
            let above = self.nodes.get_mut(&parent).ok_or_else(|| Error::NoNode(parent.clone()))?;
            if above.stat.owner.is_some() {
                return Err(Error::NoChildrenForEphemerals(parent));
            }
            if mode == Mode::EphemeralSequential {
                undo.push((parent.clone(), Some(above.clone())));
                path = format!("{path}{:010}", above.sequence).into();
                above.sequence += 1;
            }
        }
        if self.nodes.contains_key(&path) {
            return Err(Error::NodeExists(path));
        }
        let owner = (mode != Mode::Persistent).then_some(session);
        let stat = Stat { version: 0, czxid: zxid, mzxid: zxid, owner, writer: Some(session) };
        undo.push((path.clone(), None));
        self.nodes.insert(path.clone(), Znode { data: data.clone(), stat, sequence: 0 });
        changes.push((path.clone(), Change::Created));
        changes.extend(parent(&path).map(|parent| (parent.into(), Change::Children)));
        Ok(Done::Created(path))
    }

    /// A node that is there and has the version, if one is asked for.
    fn expect(&mut self, path: &Text, version: Option<u32>) -> Result<&mut Znode, Error> {
        let node = self.nodes.get_mut(path).ok_or_else(|| Error::NoNode(path.clone()))?;
        match version {
            Some(version) if version != node.stat.version => Err(Error::BadVersion(path.clone())),
            _ => Ok(node),
        }
    }

    /// Owners of ephemeral nodes.
    pub fn owners(&self) -> BTreeSet<SessionId> {
        self.nodes.values().filter_map(|node| node.stat.owner).collect()
    }
}

fn removed(path: Text, changes: &mut Changes) {
    let parent = parent(&path).map(Text::from);
    changes.push((path, Change::Deleted));
    changes.extend(parent.map(|parent| (parent, Change::Children)));
}

/// The path of the node above; `None` at the top.
fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent).filter(|parent| !parent.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::NodeId;

    const SESSION: SessionId = SessionId { client: NodeId(0), serial: 1 };

    fn create(path: &str, mode: Mode) -> Op {
        Op::Create { path: path.into(), data: "".into(), mode }
    }

    fn set(path: &str, version: u32) -> Op {
        Op::Set { path: path.into(), data: "new".into(), version: Some(version) }
    }

    #[test]
    fn a_transaction_that_fails_leaves_nothing_behind_not_even_a_number() {
        let mut tree = Tree::with(&[("/locks".into(), "".into()), ("/a".into(), "old".into())]);
        let failing = [set("/a", 0), create("/locks/n-", Mode::EphemeralSequential), set("/a", 0)];
        assert_eq!(tree.apply(SESSION, &failing), Err(Error::BadVersion("/a".into())));
        assert_eq!((tree.value("/a"), tree.children("/locks")), ("old", Vec::new()));
        let (done, _) = tree.apply(SESSION, &failing[1..2]).unwrap();
        assert_eq!(done, [Done::Created("/locks/n-0000000000".into())]);
    }

    #[test]
    fn children_are_those_directly_below_in_order() {
        let mut tree = Tree::with(&[("/a".into(), "".into()), ("/ab".into(), "".into())]);
        let ops =
            [create("/a/y", Mode::Persistent), create("/a/x", Mode::Persistent), create("/a/x/z", Mode::Ephemeral)];
        tree.apply(SESSION, &ops).unwrap();
        assert_eq!(tree.children("/a"), ["x".into(), "y".into()]);
        assert_eq!(
            tree.apply(SESSION, &[Op::Delete { path: "/a/x".into(), version: None }]),
            Err(Error::NotEmpty("/a/x".into()))
        );
        let below = create("/a/x/z/q", Mode::Persistent);
        assert_eq!(tree.apply(SESSION, &[below]), Err(Error::NoChildrenForEphemerals("/a/x/z".into())));
        assert_eq!(tree.end_session(SESSION), [("/a/x/z".into(), Change::Deleted), ("/a/x".into(), Change::Children)]);
        assert!(tree.owners().is_empty());
    }
}
