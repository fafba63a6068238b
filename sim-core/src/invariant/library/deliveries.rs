//! What consumers were given, according to the history.

use std::collections::BTreeMap;

use crate::history::{Call, Operation, Step};
use crate::{Actor, Check, Class, Instant, Invariant, LookBack, NodeId, Touched, World};

/// No message is delivered twice: each value received from a queue is received once, by whichever client.
///
/// It looks at operations [`Call::Receive`] in the history that have returned a value.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::library::NoDuplicateDelivery;
///
/// let outcome = Script::new(["c1", "c2"])
///     .at(secs(1), "c1", |_, ctx| receive(ctx, 1, 7))
///     .at(secs(2), "c2", |_, ctx| receive(ctx, 1, 7))
///     .check(NoDuplicateDelivery::named("no-duplicate-delivery"));
/// assert_eq!(
///     outcome.violation.unwrap().message,
///     "message 7 of queue 1 was delivered to c1 at 1s and again to c2 at 2s"
/// );
/// ```
#[derive(Clone, Debug, Hash)]
pub struct NoDuplicateDelivery {
    name: &'static str,
    /// Who received each message, by queue and value, and when.
    delivered: BTreeMap<(u64, u64), (NodeId, Instant)>,
    /// How many notes of the history have been read.
    read: usize,
}

impl NoDuplicateDelivery {
    /// No queue delivers a message twice.
    pub fn named(name: &'static str) -> Self {
        NoDuplicateDelivery { name, delivered: BTreeMap::new(), read: 0 }
    }
}

impl<A: Actor> Invariant<A> for NoDuplicateDelivery {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, _: Touched) -> Check {
        let notes = world.history().notes();
        for note in &notes[self.read..] {
            let Operation { call: Call::Receive { key }, step: Step::Returned(Some(value)), .. } = note.operation
            else {
                continue;
            };
            if let Some((client, at)) = self.delivered.insert((key, value), (note.client, note.at)) {
                let (first, second) = (world.setup().name(client), world.setup().name(note.client));
                return Check::Violated(format!(
                    "message {value} of queue {key} was delivered to {first} at {at} and again to {second} at {}",
                    note.at
                ));
            }
        }
        self.read = notes.len();
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack { notes: self.read, ..LookBack::NOTHING }
    }
}
