//! The database that all servers share: its tables, and the statements that servers run. Here is only what a
//! statement does; the node that runs them, durably and once each, is in `store.rs`.
//!
//! What may not be done by two servers is decided here, as everybody sees one database: a statement of a process
//! that has been failed over for is refused ([`Answer::Fenced`]), and of two servers that want to fail over for a
//! process, or of one and that process's own successor, the first wins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use sim_core::NodeId;

use super::defects::Defects;
use super::message::{Item, MessageId, QueueId, SessionId};
use crate::services::membership::Address;

/// A row of the message table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// The message.
    pub item: Item,
    /// Its paging order, if the queue's memory has no room for it.
    pub page: Option<u64>,
}

/// Acknowledgements that are prepared and not committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PreparedTransaction {
    /// The session and its number there.
    pub id: (SessionId, u64),
    /// The server that has it, and the queue that the messages are of.
    pub owner: (NodeId, QueueId),
    /// The messages.
    pub messages: Vec<MessageId>,
}

/// The part of a queue that one node has.
pub type Part = (NodeId, QueueId);

/// What a server can ask of the database. Each is one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Statement {
    /// The process of the node is this one from now on; these are the members of the group.
    Register(Address, Vec<Address>),
    /// Bind a queue and load as many of its messages as there is room for.
    Bind(Address, QueueId, u64),
    /// Insert a message; look whether it is there already if it may be a repetition.
    Insert {
        /// Who asks.
        by: Address,
        /// Into which queue.
        queue: QueueId,
        /// The message.
        row: Row,
        /// Whether it may be a repetition.
        check: bool,
    },
    /// Delete a message.
    Delete {
        /// Who asks.
        by: Address,
        /// From which queue.
        queue: QueueId,
        /// The message.
        message: MessageId,
    },
    /// Load the rows whose paging orders lie in a range, and page them no more.
    LoadPage {
        /// Who asks.
        by: Address,
        /// Of which queue.
        queue: QueueId,
        /// The first order.
        from: u64,
        /// The order after the last.
        to: u64,
    },
    /// Prepare the deletion of messages.
    Prepare(Address, PreparedTransaction),
    /// Carry out what was prepared.
    Commit(Address, (SessionId, u64)),
    /// The second address fails over for the first: reassign its transactions, and say what it has.
    BeginTakeover {
        /// Who has failed.
        failed: Address,
        /// Who asks.
        heir: Address,
    },
    /// Give a part's messages to the same queue of `heir`; those beyond `room` are paged from `next` on.
    Merge {
        /// The part.
        part: Part,
        /// Who asks.
        heir: Address,
        /// How many messages its memory has room for.
        room: u64,
        /// Its next paging order.
        next: u64,
    },
    /// Delete a part's binding.
    DropBinding {
        /// The part.
        part: Part,
        /// Who asks.
        heir: Address,
    },
    /// Who failed over for a process, who for that one, and so on.
    FindHeirs {
        /// The process that is gone.
        of: Address,
    },
    /// Delete what is left of the nodes that a server has failed over for.
    CleanNodes {
        /// Who asks.
        heir: Address,
    },
}

/// What came of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// Who has failed over for earlier processes of the node, and its prepared transactions.
    Registered(Vec<(Address, Address)>, Vec<PreparedTransaction>),
    /// The messages, and the paging orders of those that stay in the database: first and next.
    Loaded(Vec<Item>, u64, u64),
    /// The message was there already.
    Duplicate,
    /// The process that asks has been failed over for.
    Fenced,
    /// The processes that are failed over for, the parts to merge, and the transactions that came with them.
    Granted(Vec<Address>, Vec<Part>, Vec<PreparedTransaction>),
    /// Processes that were failed over for, each with its heir.
    Heirs(Vec<(Address, Address)>),
    /// Somebody else fails over for the node, or has done so: it, who has that one's queues, and so on.
    Refused(Vec<(Address, Address)>),
    /// The messages that go into memory, and how many were paged.
    Merged(Vec<Item>, u64),
}

/// The tables.
#[derive(Clone, Debug, Default, Hash)]
pub struct Tables {
    processes: BTreeMap<NodeId, Address>,
    takeovers: BTreeMap<Address, Address>,
    /// Processes of whose messages some have been merged into those of another.
    merged: BTreeSet<Address>,
    bindings: BTreeSet<Part>,
    rows: BTreeMap<Part, Vec<Row>>,
    prepared: Vec<PreparedTransaction>,
    /// Ids of the latest messages, oldest first, whether they are still there or not.
    ids: VecDeque<MessageId>,
    /// How many ids are remembered.
    id_cache_size: usize,
    defects: Defects,
}

impl Tables {
    /// Empty tables that remember so many message ids.
    pub fn new(id_cache_size: usize, defects: Defects) -> Self {
        Tables { id_cache_size, defects, ..Tables::default() }
    }

    /// All bindings.
    pub fn bindings(&self) -> impl Iterator<Item = Part> + '_ {
        self.bindings.iter().copied()
    }

    /// The part that holds a message, bound or not.
    pub fn part_of(&self, message: MessageId) -> Option<(Part, Row)> {
        self.rows
            .iter()
            .find_map(|(&part, rows)| rows.iter().find(|row| row.item.id == message).map(|&row| (part, row)))
    }

    /// Whether a part is bound.
    pub fn is_bound(&self, part: Part) -> bool {
        self.bindings.contains(&part)
    }

    /// The process that a node's parts belong to.
    pub fn process(&self, node: NodeId) -> Option<Address> {
        self.processes.get(&node).copied()
    }

    /// Who failed over last for a process of a node.
    pub fn taker_of(&self, node: NodeId) -> Option<Address> {
        self.takeovers.iter().rev().find(|(process, _)| process.node == node).map(|(_, &taker)| taker)
    }

    /// Whether the acknowledgement of a message is prepared.
    pub fn is_prepared(&self, message: MessageId) -> bool {
        self.prepared.iter().any(|transaction| transaction.messages.contains(&message))
    }

    /// Runs one statement.
    pub fn run(&mut self, statement: Statement) -> Answer {
        match statement {
            Statement::Register(process, members) => self.register(process, &members),
            Statement::Bind(by, queue, room) => self.fenced(by, None, |tables| tables.bind((by.node, queue), room)),
            Statement::Insert { by, queue, row, check } => {
                self.fenced(by, Some(queue), |tables| tables.insert((by.node, queue), row, check))
            }
            Statement::Delete { by, queue, message } => self.fenced(by, Some(queue), |tables| {
                tables.delete((by.node, queue), &[message]);
                Answer::Done
            }),
            Statement::LoadPage { by, queue, from, to } => self.fenced(by, Some(queue), |tables| {
                let rows = tables.rows.entry((by.node, queue)).or_default();
                let wanted = rows.iter_mut().filter(|row| row.page.is_some_and(|page| (from..to).contains(&page)));
                Answer::Loaded(
                    wanted
                        .map(|row| {
                            row.page = None;
                            row.item
                        })
                        .collect(),
                    from,
                    to,
                )
            }),
            Statement::Prepare(by, transaction) => self.fenced(by, None, |tables| {
                tables.prepared.retain(|known| known.id != transaction.id);
                tables.prepared.push(transaction);
                Answer::Done
            }),
            Statement::Commit(by, id) => self.fenced(by, None, |tables| {
                if let Some(at) = tables.prepared.iter().position(|known| known.id == id) {
                    let transaction = tables.prepared.remove(at);
                    tables.delete(transaction.owner, &transaction.messages);
                }
                Answer::Done
            }),
            Statement::BeginTakeover { failed, heir } => self.begin_takeover(failed, heir),
            Statement::Merge { part, heir, room, next } => {
                self.taken(part, heir, |tables| tables.merge(part, (heir.node, part.1), room, next))
            }
            Statement::DropBinding { part, heir } => self.taken(part, heir, |tables| {
                tables.bindings.remove(&part);
                Answer::Done
            }),
            Statement::FindHeirs { of } => Answer::Heirs(self.heirs_of(of)),
            Statement::CleanNodes { heir } => {
                self.processes.retain(|_, process| self.takeovers.get(process) != Some(&heir));
                Answer::Done
            }
        }
    }

    /// Runs what only the node's present process may do, on a queue that it has bound.
    fn fenced(&mut self, by: Address, queue: Option<QueueId>, run: impl FnOnce(&mut Self) -> Answer) -> Answer {
        let current = self.processes.get(&by.node) == Some(&by) && !self.takeovers.contains_key(&by);
        let bound = queue.is_none_or(|queue| self.bindings.contains(&(by.node, queue)));
        if current && bound { run(self) } else { Answer::Fenced }
    }

    /// Runs what only the server may do that fails over for the node that had the part.
    fn taken(&mut self, part: Part, heir: Address, run: impl FnOnce(&mut Self) -> Answer) -> Answer {
        let had = self.processes.get(&part.0);
        let taker = had.and_then(|had| self.takeovers.get(had)).copied();
        // Defect JBM-L4: once begun, a takeover goes on, although the node's next process has bound its queues anew.
        if taker == Some(heir) || self.defects.l4 { self.fenced(heir, None, run) } else { Answer::Fenced }
    }

    /// Who has failed over for a process, who for that one, and so on.
    fn heirs_of(&self, process: Address) -> Vec<(Address, Address)> {
        let heir = |of| self.takeovers.get(&of).map(|&heir| (of, heir));
        std::iter::successors(heir(process), |&(_, last)| heir(last)).collect()
    }

    /// A node's new process is the heir of its last, unless another that is still there was faster.
    fn register(&mut self, process: Address, members: &[Address]) -> Answer {
        if let Some(&former) = self.processes.get(&process.node)
            && former != process
        {
            match self.takeovers.get(&former) {
                Some(&taker) if taker != process && members.contains(&taker) => {
                    return Answer::Refused(self.heirs_of(former));
                }
                // It has gone, or is on the other side of a partition, and it has what there was.
                Some(&taker) if taker != process && self.merged.contains(&former) => {}
                _ => _ = self.takeovers.insert(former, process),
            }
        }
        self.processes.insert(process.node, process);
        let of_this_node = self.takeovers.iter().filter(|(former, _)| former.node == process.node);
        let prepared = self.prepared.iter().filter(|transaction| transaction.owner.0 == process.node);
        Answer::Registered(of_this_node.map(|(&former, &heir)| (former, heir)).collect(), prepared.cloned().collect())
    }

    fn bind(&mut self, part: Part, room: u64) -> Answer {
        self.bindings.insert(part);
        let prepared: BTreeSet<MessageId> = self.prepared.iter().flat_map(|t| t.messages.iter().copied()).collect();
        let rows = self.rows.entry(part).or_default();
        let mut next = 0;
        let mut loaded = Vec::new();
        for row in rows.iter_mut() {
            row.page = None;
            if prepared.contains(&row.item.id) {
                continue;
            }
            if (loaded.len() as u64) < room {
                loaded.push(row.item);
            } else {
                row.page = Some(next);
                next += 1;
            }
        }
        Answer::Loaded(loaded, 0, next)
    }

    fn insert(&mut self, part: Part, row: Row, check: bool) -> Answer {
        if check && self.ids.contains(&row.item.id) {
            return Answer::Duplicate;
        }
        self.ids.push_back(row.item.id);
        if self.ids.len() > self.id_cache_size {
            self.ids.pop_front();
        }
        self.rows.entry(part).or_default().push(row);
        Answer::Done
    }

    fn delete(&mut self, part: Part, messages: &[MessageId]) {
        for message in messages {
            if let Some(rows) = self.rows.get_mut(&part)
                && let Some(at) = rows.iter().position(|row| row.item.id == *message)
            {
                rows.remove(at);
            }
        }
    }

    fn begin_takeover(&mut self, failed: Address, heir: Address) -> Answer {
        if self.processes.get(&heir.node) != Some(&heir) || self.takeovers.contains_key(&heir) {
            return Answer::Fenced;
        }
        let mut of = BTreeSet::new();
        let taker = *self.takeovers.entry(failed).or_insert(heir);
        if taker == heir {
            of.insert(failed);
        }
        // What the failed one had been failing over for comes with it; but what it had merged stays with its own next
        // process, if that was faster.
        for (&other, taker) in &mut self.takeovers {
            let comes = of.contains(&failed) || !self.merged.contains(&other);
            if *taker == failed && comes && self.processes.get(&other.node) == Some(&other) {
                *taker = heir;
                of.insert(other);
            }
        }
        if of.is_empty() {
            return Answer::Refused(self.heirs_of(failed));
        }
        let nodes: BTreeSet<NodeId> =
            of.iter().filter(|other| self.processes.get(&other.node) == Some(other)).map(|other| other.node).collect();
        let transactions = self.prepared.iter().filter(|transaction| nodes.contains(&transaction.owner.0)).cloned();
        let parts = self.bindings.iter().copied().filter(|(node, _)| nodes.contains(node) && *node != heir.node);
        Answer::Granted(of.iter().copied().collect(), parts.collect(), transactions.collect())
    }

    fn merge(&mut self, part: Part, to: Part, room: u64, next: u64) -> Answer {
        self.merged.extend(self.processes.get(&part.0));
        let moved = self.rows.remove(&part).unwrap_or_default();
        let mut prepared = BTreeSet::new();
        for transaction in self.prepared.iter_mut().filter(|transaction| transaction.owner == part) {
            transaction.owner = to;
            prepared.extend(transaction.messages.iter().copied());
        }
        let (mut items, mut paged) = (Vec::new(), 0);
        let rows = self.rows.entry(to).or_default();
        for mut row in moved {
            row.page = None;
            if !prepared.contains(&row.item.id) {
                if (items.len() as u64) < room {
                    items.push(row.item);
                } else {
                    row.page = Some(next + paged);
                    paged += 1;
                }
            }
            rows.push(row);
        }
        Answer::Merged(items, paged)
    }
}
