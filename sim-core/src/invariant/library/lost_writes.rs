//! The promise of durability: what a client was told is safe, is.

use std::sync::Arc;

use super::common::standing;
use crate::history::{Call, Operation, Step};
use crate::{Actor, Check, Class, Constant, Instant, Invariant, LookBack, NodeId, Touched, World};

/// A write that a client was told had succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AcknowledgedWrite {
    /// The client that was told.
    pub client: NodeId,
    /// The register or queue.
    pub key: u64,
    /// What was written.
    pub value: u64,
    /// When the client was told, in world time.
    pub at: Instant,
}

type Held<A> = Constant<Arc<dyn Fn(&World<A>, &AcknowledgedWrite) -> bool + Send + Sync>>;

/// No acknowledged write is lost: each is held, visible or recoverable, by what the protocol says must hold it.
///
/// A message that a client has received from its queue has done its duty and need not be held any longer.
///
/// # When it looks
/// At a write when it is acknowledged. At all of them when a node starts, stops or changes its role, when a fault
/// strikes or ends, and at the end of the run. At a few of them, in turn, after every other event
/// ([`NoLostWrite::looking_at`]), so that the cost of an event does not grow with the history. A write that is gone
/// for good is therefore always found; one that is gone for a few events only, without anything else happening, may
/// not be.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::{World, library::NoLostWrite};
///
/// let no_loss = NoLostWrite::always("no-lost-write", |world: &World<Server>, write| {
///     world.node_ids().any(|node| world.actor(node).is_some_and(|server| server.held.contains(&write.value)))
/// });
/// let outcome = Script::new(["alpha", "client"])
///     .at(secs(1), "alpha", |server, _| server.held.push(7))
///     .at(secs(2), "client", |_, ctx| acknowledged_write(ctx, 1, 7))
///     .at(secs(3), "alpha", |server, _| server.held.clear())
///     .check(no_loss);
/// assert_eq!(
///     outcome.violation.unwrap().message,
///     "write 7 to 1, acknowledged to client at 2s, is lost: alpha is BACKUP, client is BACKUP"
/// );
/// ```
#[derive(Clone, Hash)]
pub struct NoLostWrite<A: Actor> {
    name: &'static str,
    held: Held<A>,
    back: Constant<LookBack>,
    /// Whether only the end of the run counts.
    at_the_end: bool,
    /// How many writes to look at after an event that gives no reason to look at all.
    per_event: usize,
    writes: Vec<AcknowledgedWrite>,
    /// Received values, by key, whose write has not been acknowledged yet.
    received: Vec<(u64, u64)>,
    /// How many notes of the history have been read.
    read: usize,
    /// Where to go on looking.
    next: usize,
    /// Role of each node that is up.
    roles: Vec<Option<&'static str>>,
}

impl<A: Actor> NoLostWrite<A> {
    /// Each acknowledged write is `held` at any moment from then on.
    pub fn always(
        name: &'static str,
        held: impl Fn(&World<A>, &AcknowledgedWrite) -> bool + Send + Sync + 'static,
    ) -> Self {
        NoLostWrite {
            name,
            held: Constant(Arc::new(held)),
            back: Constant(LookBack::EVERYTHING),
            at_the_end: false,
            per_event: 4,
            writes: Vec::new(),
            received: Vec::new(),
            read: 0,
            next: 0,
            roles: Vec::new(),
        }
    }

    /// Each acknowledged write is `held` at the end of the run, whatever happens on the way.
    pub fn at_the_end(
        name: &'static str,
        held: impl Fn(&World<A>, &AcknowledgedWrite) -> bool + Send + Sync + 'static,
    ) -> Self {
        NoLostWrite { at_the_end: true, ..NoLostWrite::always(name, held) }
    }

    /// What of the past `held` looks at ([`Invariant::looks_back`]): everything, if nothing else is said. A search
    /// that takes two runs for one believes this.
    pub fn looking_back(mut self, back: LookBack) -> Self {
        self.back = Constant(back);
        self
    }

    /// How many writes to look at after an event that gives no reason to look at all of them; 4 by default.
    pub fn looking_at(mut self, writes_per_event: usize) -> Self {
        self.per_event = writes_per_event;
        self
    }

    /// Reads what is new in the history and returns where the writes begin that were acknowledged just now.
    fn read_history(&mut self, world: &World<A>) -> usize {
        let notes = world.history().notes();
        let mut new = self.writes.len();
        for note in &notes[self.read..] {
            match note.operation {
                Operation { call: Call::Write { key, value }, step: Step::Returned(_), .. } => {
                    match self.received.iter().position(|&received| received == (key, value)) {
                        Some(at) => _ = self.received.swap_remove(at),
                        None => self.writes.push(AcknowledgedWrite { client: note.client, key, value, at: note.at }),
                    }
                }
                Operation { call: Call::Receive { key }, step: Step::Returned(Some(value)), .. } => {
                    match self.writes.iter().position(|write| (write.key, write.value) == (key, value)) {
                        Some(at) => {
                            self.writes.remove(at);
                            new -= usize::from(at < new);
                        }
                        None => self.received.push((key, value)),
                    }
                }
                _ => {}
            }
        }
        self.read = notes.len();
        new
    }

    /// Whether an event may have changed what holds the writes as a whole.
    fn is_upheaval(&mut self, world: &World<A>, touched: Touched) -> bool {
        self.roles.resize(world.setup().nodes.len(), None);
        match touched {
            Touched::Any => true,
            Touched::Node(node) => {
                let role = world.actor(node).map(A::role);
                std::mem::replace(&mut self.roles[node.index()], role) != role
            }
        }
    }

    /// Looks at the writes from `from` up to, not including, `to`.
    fn look(&self, world: &World<A>, from: usize, to: usize) -> Check {
        match self.writes[from..to].iter().find(|write| !(self.held)(world, write)) {
            None => Check::Holds,
            Some(AcknowledgedWrite { client, key, value, at }) => Check::Violated(format!(
                "write {value} to {key}, acknowledged to {} at {at}, is lost: {}",
                world.setup().name(*client),
                standing(world)
            )),
        }
    }
}

impl<A: Actor> Invariant<A> for NoLostWrite<A> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        let new = self.read_history(world);
        let upheaval = self.is_upheaval(world, touched);
        if self.at_the_end || self.writes.is_empty() {
            return Check::Holds;
        }
        if upheaval {
            return self.look(world, 0, self.writes.len());
        }
        let from = if self.next < new { self.next } else { 0 };
        self.next = new.min(from.saturating_add(self.per_event));
        match self.look(world, new, self.writes.len()) {
            Check::Holds => self.look(world, from, self.next),
            violated => violated,
        }
    }

    fn finish(&mut self, world: &World<A>) -> Check {
        self.read_history(world);
        self.look(world, 0, self.writes.len())
    }

    fn looks_back(&self) -> LookBack {
        LookBack { notes: self.read, ..LookBack::NOTHING }.and(*self.back)
    }
}
