//! A server's connection to the database: statements that survive a broken connection, and what each was for.

use std::collections::BTreeMap;
use std::time::Duration;

use sim_core::{ConnectionEvent, ConnectionId, Context, NodeId};

use super::database::Statement;
use super::message::{Message, Timer};
use super::protocol::Node;

/// Pause before a server tries again to reach the database.
const RETRY: Duration = Duration::from_secs(1);

/// The connection, and the statements that have not been answered. `P` is what a statement was for.
#[derive(Clone, Debug, Hash)]
pub struct Link<P> {
    store: Option<NodeId>,
    connection: Option<ConnectionId>,
    /// No two processes of a node use the same numbers, so that the database never takes a statement for a repetition.
    next: u64,
    outstanding: BTreeMap<u64, (Statement, P)>,
}

impl<P> Link<P> {
    /// A link to the store, if the cluster has one.
    pub fn new(store: Option<NodeId>) -> Self {
        Link { store, connection: None, next: 0, outstanding: BTreeMap::new() }
    }

    /// Begins to connect. Numbers start after `first`, which must leave room for those of each other process.
    pub fn open(&mut self, first: u64, ctx: &mut Context<'_, Node>) {
        self.next = first;
        self.connection = self.store.map(|store| ctx.connect(store));
    }

    /// Tries again to connect.
    pub fn reopen(&mut self, ctx: &mut Context<'_, Node>) {
        if self.connection.is_none() {
            self.connection = self.store.map(|store| ctx.connect(store));
        }
    }

    /// Forgets what is outstanding.
    pub fn clear(&mut self) {
        self.outstanding.clear();
    }

    /// Runs a statement; the answer comes with `purpose`.
    pub fn ask(&mut self, statement: Statement, purpose: P, ctx: &mut Context<'_, Node>) {
        self.next += 1;
        self.outstanding.insert(self.next, (statement, purpose));
        self.transmit(self.next, ctx);
    }

    fn transmit(&self, number: u64, ctx: &mut Context<'_, Node>) {
        let (Some(connection), Some((statement, _))) = (self.connection, self.outstanding.get(&number)) else { return };
        let done = self.outstanding.keys().next().copied().unwrap_or(number);
        ctx.send_on(connection, Message::Query(number, done, statement.clone()));
    }

    /// What the answered statement was for; `None` if nothing of that number is outstanding.
    pub fn answered(&mut self, number: u64) -> Option<P> {
        self.outstanding.remove(&number).map(|(_, purpose)| purpose)
    }

    /// Whether the connection is this one, and what to do about it.
    pub fn on_connection(&mut self, event: ConnectionEvent, ctx: &mut Context<'_, Node>) -> bool {
        match event {
            ConnectionEvent::Opened(id) if self.connection == Some(id) => {
                for &number in self.outstanding.keys() {
                    self.transmit(number, ctx);
                }
                true
            }
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) if self.connection == Some(id) => {
                self.connection = None;
                ctx.set_timer(Timer::Database, RETRY);
                true
            }
            _ => false,
        }
    }
}
