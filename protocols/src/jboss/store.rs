//! The node that the database runs on: it runs each statement once, in the order in which a server sent them, and
//! answers when it is on disk.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use sim_core::{ConnectionId, Context, NodeId, SyncToken};

use super::database::{Answer, Statement, Tables};
use super::layout::SharedRef;
use super::message::Message;
use super::protocol::Node;

/// What is on its disk: each statement, who sent it, and under which number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    from: NodeId,
    number: u64,
    statement: Statement,
}

/// The database server.
#[derive(Clone, Debug, Hash)]
pub struct Store {
    tables: Tables,
    /// By server, the answers that it may ask for again, by the number of the statement.
    answered: BTreeMap<NodeId, BTreeMap<u64, Answer>>,
    /// Answers that wait for the disk, oldest first.
    waiting: VecDeque<(SyncToken, ConnectionId, u64, Answer)>,
}

impl Store {
    pub(super) fn new(shared: &SharedRef) -> Self {
        let tables = Tables::new(shared.config.id_cache_size, shared.defects);
        Store { tables, answered: BTreeMap::new(), waiting: VecDeque::new() }
    }

    /// What it holds.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(super) fn start(&mut self, disk: &[Record]) {
        for record in disk {
            self.run(record.clone());
        }
    }

    fn run(&mut self, record: Record) -> Answer {
        let answer = self.tables.run(record.statement);
        self.answered.entry(record.from).or_default().insert(record.number, answer.clone());
        answer
    }

    pub(super) fn on_query(
        &mut self,
        from: NodeId,
        (number, done, statement): (u64, u64, Statement),
        ctx: &mut Context<'_, Node>,
    ) {
        let Some(on) = ctx.via() else { return };
        let answered = self.answered.entry(from).or_default();
        answered.retain(|&number, _| number >= done);
        let answer = match answered.get(&number) {
            // Its answer was lost with a connection.
            Some(answer) => answer.clone(),
            None => {
                let record = Record { from, number, statement };
                ctx.write(record.clone());
                self.run(record)
            }
        };
        self.waiting.push_back((ctx.sync(), on, number, answer));
    }

    pub(super) fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<'_, Node>) {
        while let Some((_, on, number, answer)) = self.waiting.pop_front_if(|(waits_for, ..)| *waits_for <= token) {
            ctx.send_on(on, Message::Result(number, answer));
        }
    }
}
