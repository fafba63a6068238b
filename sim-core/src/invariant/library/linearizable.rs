//! Linearizability of registers, from the history of client operations.

use std::collections::BTreeMap;

use super::register::{Anomaly, Edge, Precedence, Register};
use crate::history::{Call, Note, Step};
use crate::{Actor, Check, Class, Invariant, LookBack, NodeId, Touched, World};

/// Reads and writes behave as if each key were one register and each operation took effect at one moment between
/// its beginning and its end.
///
/// A write whose client gave up ([`Step::Unknown`]) may take effect at any later time or never, a refused one never
/// does. A read that returned `None` has found nothing written yet. It is checked as soon as an operation ends, so a
/// violation is found at the very event that cannot be explained.
///
/// A workload must write each value to a key once only; one that does not is reported as a violation.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::library::Linearizable;
///
/// let outcome = Script::new(["c1", "c2"])
///     .at(secs(1), "c1", |_, ctx| acknowledged_write(ctx, 1, 7))
///     .at(secs(2), "c2", |_, ctx| read(ctx, 1, None))
///     .check(Linearizable::named("linearizable"));
/// assert_eq!(
///     outcome.violation.unwrap().message,
///     "register 1 was not one register: nothing is what comes before all writes, \
///      but c1's write of 7 ended at 1s and then c2's read of nothing began at 2s"
/// );
/// ```
#[derive(Clone, Debug, Hash)]
pub struct Linearizable {
    name: &'static str,
    registers: BTreeMap<u64, Register>,
    /// Operations that have begun and not ended, by client and id.
    open: BTreeMap<(NodeId, u64), (Call, Edge)>,
    /// How many notes of the history have been read.
    read: usize,
}

impl Linearizable {
    /// Every key is a linearizable register.
    pub fn named(name: &'static str) -> Self {
        Linearizable { name, registers: BTreeMap::new(), open: BTreeMap::new(), read: 0 }
    }

    fn take(&mut self, order: u64, note: &Note) -> Result<(), Anomaly> {
        let (call, step) = (note.operation.call, note.operation.step);
        let verb = match call {
            Call::Write { .. } => "write",
            Call::Read { .. } => "read",
            Call::Receive { .. } => return Ok(()),
        };
        let edge = Edge { order, at: note.at, client: note.client, verb };
        let id = (note.client, note.operation.id);
        if step == Step::Invoked {
            // Sent again by a client that still waits: the same operation.
            if self.open.get(&id).is_some_and(|&(known, _)| known == call) {
                return Ok(());
            }
            self.open.insert(id, (call, edge));
            return match call {
                Call::Write { key, value } => self.register(key).write_begins(value, edge),
                _ => Ok(()),
            };
        }
        // A client that gave up may still learn what became of its operation.
        let begun = if step == Step::Unknown { self.open.get(&id).copied() } else { self.open.remove(&id) };
        let Some((_, begin)) = begun.filter(|&(known, _)| known == call) else {
            return Err(Anomaly::NeverBegun);
        };
        match (call, step) {
            (Call::Write { key, value }, Step::Returned(_)) => self.register(key).write_ends(value, edge),
            (Call::Write { key, value }, Step::Refused) => self.register(key).write_refused(value),
            (Call::Read { key }, Step::Returned(value)) => self.register(key).read_ends(value, begin, edge),
            _ => Ok(()),
        }
    }

    fn register(&mut self, key: u64) -> &mut Register {
        self.registers.entry(key).or_default()
    }
}

impl<A: Actor> Invariant<A> for Linearizable {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, _: Touched) -> Check {
        let notes = world.history().notes();
        while let Some(note) = notes.get(self.read) {
            self.read += 1;
            if let Err(anomaly) = self.take(self.read as u64, note) {
                return Check::Violated(describe(anomaly, note, world));
            }
        }
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack { notes: self.read, ..LookBack::NOTHING }
    }
}

/// What is wrong, in words; `note` is the one that gave it away.
fn describe<A: Actor>(anomaly: Anomaly, note: &Note, world: &World<A>) -> String {
    let name = |node: NodeId| world.setup().name(node);
    let (client, operation) = (name(note.client), note.operation);
    let (Call::Write { key, .. } | Call::Read { key } | Call::Receive { key }) = operation.call;
    match anomaly {
        Anomaly::NeverBegun => format!("{client} has noted the end of an operation that had not begun: {operation:?}"),
        Anomaly::WrittenTwice => format!(
            "{client} has written a value to register {key} that was written before; \
             a workload must write each value to a key once: {operation:?}"
        ),
        Anomaly::NeverWritten => format!("{client} read from register {key} what nobody had written: {operation:?}"),
        Anomaly::Refused => {
            format!("a value of register {key} was read whose write had been refused; noted by {client}: {operation:?}")
        }
        Anomaly::Contradiction(contradiction) => {
            let [a, b] = contradiction.values;
            let because = |precedence, first, second| match precedence {
                Precedence::Initial => "nothing is what comes before all writes".to_owned(),
                Precedence::Ended(end, begin) => format!(
                    "{}'s {} of {} ended at {} and then {}'s {} of {} began at {}",
                    name(end.client),
                    end.verb,
                    words(first),
                    end.at,
                    name(begin.client),
                    begin.verb,
                    words(second),
                    begin.at
                ),
            };
            let [forth, back] = contradiction.proof;
            format!("register {key} was not one register: {}, but {}", because(forth, a, b), because(back, b, a))
        }
    }
}

/// A value as messages show it.
fn words(value: Option<u64>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}
