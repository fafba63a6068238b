//! Limits on what may pile up.

use std::sync::Arc;

use super::common::{OfActor, touched_nodes};
use crate::{Actor, Check, Class, Constant, Invariant, LookBack, Touched, World};

/// A number that an actor reports stays at or below a limit: the length of a queue, the open handles.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::library::Bounded;
///
/// let backlog = Bounded::at_most("bounded-backlog", 100, "waiting requests", |server: &Server| server.number);
/// let outcome = Script::new(["alpha"]).at(secs(1), "alpha", |server, _| server.number = 101).check(backlog);
/// assert_eq!(outcome.violation.unwrap().message, "alpha has 101 waiting requests, at most 100 are allowed");
/// ```
#[derive(Clone, Hash)]
pub struct Bounded<A: Actor> {
    name: &'static str,
    limit: u64,
    what: &'static str,
    number: OfActor<A, u64>,
}

impl<A: Actor> Bounded<A> {
    /// At most `limit` of `what`, a plural, on each node.
    pub fn at_most(
        name: &'static str,
        limit: u64,
        what: &'static str,
        number: impl Fn(&A) -> u64 + Send + Sync + 'static,
    ) -> Self {
        Bounded { name, limit, what, number: Constant(Arc::new(number)) }
    }
}

impl<A: Actor> Invariant<A> for Bounded<A> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        for node in touched_nodes(world, touched) {
            let number = world.actor(node).map_or(0, |actor| (self.number)(actor));
            if number > self.limit {
                let (name, what, limit) = (world.setup().name(node), self.what, self.limit);
                return Check::Violated(format!("{name} has {number} {what}, at most {limit} are allowed"));
            }
        }
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}

/// No connection buffers more than a limit and one packet: the sender heeds back-pressure.
///
/// The packet that crosses the limit may go, as whoever sends it cannot know; the next one must wait for
/// [`crate::ConnectionEvent::Writable`].
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::{NodeId, library::BoundedBuffer};
///
/// let outcome = Script::new(["alpha", "beta"])
///     .at(secs(1), "alpha", |_, ctx| _ = ctx.connect(NodeId(1)))
///     .at(secs(2), "alpha", |_, ctx| {
///         let id = ctx.connections()[0].id;
///         for _ in 0..5 {
///             ctx.send_on(id, Packet { bytes: 1000 });
///         }
///     })
///     .check(BoundedBuffer::at_most("bounded-buffer", 3000, 1000));
/// assert_eq!(
///     outcome.violation.unwrap().message,
///     "alpha buffers 5000 bytes for beta on n0#0, at most 3000 and one packet of 1000 are allowed"
/// );
/// ```
#[derive(Clone, Debug, Hash)]
pub struct BoundedBuffer {
    name: &'static str,
    limit: u64,
    packet: u64,
}

impl BoundedBuffer {
    /// At most `limit` bytes and one `packet`, the largest message in bytes, wait on any connection.
    pub fn at_most(name: &'static str, limit: u64, packet: u64) -> Self {
        BoundedBuffer { name, limit, packet }
    }
}

impl<A: Actor> Invariant<A> for BoundedBuffer {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        for node in touched_nodes(world, touched) {
            let full = world.connections(node).iter().find(|c| c.buffered > self.limit + self.packet);
            if let Some(connection) = full {
                return Check::Violated(format!(
                    "{} buffers {} bytes for {} on {:?}, at most {} and one packet of {} are allowed",
                    world.setup().name(node),
                    connection.buffered,
                    world.setup().name(connection.peer),
                    connection.id,
                    self.limit,
                    self.packet
                ));
            }
        }
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}
