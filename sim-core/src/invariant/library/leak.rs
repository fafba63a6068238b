//! What has stopped must leave nothing behind.

use std::sync::Arc;
use std::time::Duration;

use super::common::{OfActor, touched_nodes};
use super::spells::NodeSpells;
use crate::{Actor, Check, Class, Connection, Constant, Invariant, LookBack, NodeId, Touched, World};

/// A question about one end of a connection, and the actor whose end it is.
type OfConnection<A> = Constant<Arc<dyn Fn(&A, &Connection) -> bool + Send + Sync>>;
type OfTimer<A> = Constant<Arc<dyn Fn(<A as Actor>::Timer) -> bool + Send + Sync>>;

/// A node that is idle owns nothing: no timer, no connection, no job, and nothing that its actor reports.
///
/// Idle is what the protocol says: the service has been stopped, the session closed, the role given up. What such
/// a node rightly keeps is named with [`NoLeak::except_timers`] and [`NoLeak::except_connections`]. Time during which the node is paused does not count
/// towards the grace.
///
/// ```
/// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
/// # use script::*;
/// use sim_core::library::NoLeak;
///
/// let outcome = Script::new(["alpha", "beta"])
///     .at(secs(1), "alpha", |_, ctx| ctx.set_timer(Timer::Tick, secs(60)))
///     .at(secs(2), "alpha", |server, _| server.stopped = true)
///     .check(NoLeak::when("no-leak-after-stop", "stopped", |server: &Server| server.stopped));
/// assert_eq!(outcome.violation.unwrap().message, "alpha is stopped but still has timer Tick");
/// ```
#[derive(Clone, Hash)]
pub struct NoLeak<A: Actor> {
    name: &'static str,
    what: &'static str,
    idle: OfActor<A, bool>,
    kept_timers: OfTimer<A>,
    kept_connections: OfConnection<A>,
    reported: OfActor<A, Vec<String>>,
    /// Nodes that are idle and own something, and what.
    leaks: NodeSpells<String>,
}

impl<A: Actor> NoLeak<A> {
    /// A node that is `idle` owns nothing. Messages say "alpha is" `what` "but still has" and list it.
    pub fn when(name: &'static str, what: &'static str, idle: impl Fn(&A) -> bool + Send + Sync + 'static) -> Self {
        NoLeak {
            name,
            what,
            idle: Constant(Arc::new(idle)),
            kept_timers: Constant(Arc::new(|_| false)),
            kept_connections: Constant(Arc::new(|_, _| false)),
            reported: Constant(Arc::new(|_| Vec::new())),
            leaks: NodeSpells::new(None),
        }
    }

    /// Gives an idle node this long to release everything.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.leaks.set_limit(grace);
        self
    }

    /// Timers that an idle node may keep.
    pub fn except_timers(mut self, kept: impl Fn(A::Timer) -> bool + Send + Sync + 'static) -> Self {
        self.kept_timers = Constant(Arc::new(kept));
        self
    }

    /// Connections that an idle node may keep, by what its actor knows of them: the session that outlives the role,
    /// say.
    ///
    /// ```
    /// # mod script { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/script.rs")); }
    /// # use script::*;
    /// use sim_core::{NodeId, library::NoLeak};
    ///
    /// let outcome = Script::new(["alpha", "beta"])
    ///     .at(secs(1), "alpha", |_, ctx| _ = ctx.connect(NodeId(1)))
    ///     .at(secs(2), "alpha", |server, _| server.stopped = true)
    ///     .check(
    ///         NoLeak::when("no-leak-after-stop", "stopped", |server: &Server| server.stopped)
    ///             .except_connections(|_, connection| connection.peer == NodeId(1)),
    ///     );
    /// assert_eq!(outcome.violation, None);
    /// ```
    pub fn except_connections(mut self, kept: impl Fn(&A, &Connection) -> bool + Send + Sync + 'static) -> Self {
        self.kept_connections = Constant(Arc::new(kept));
        self
    }

    /// Counts also what the actor reports: each resource that it holds, in words such as "lock 7".
    pub fn and(mut self, reported: impl Fn(&A) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.reported = Constant(Arc::new(reported));
        self
    }

    /// What an idle node still owns, in words; `None` if nothing, or if it is not idle.
    fn left(&self, world: &World<A>, node: NodeId) -> Option<String> {
        let actor = world.actor(node).filter(|actor| (self.idle)(actor))?;
        let timers = world.timers(node).into_iter().filter(|&timer| !(self.kept_timers)(timer));
        let mut left: Vec<String> = timers.map(|timer| format!("timer {timer:?}")).collect();
        let connections =
            world.connections(node).iter().filter(|connection| !(self.kept_connections)(actor, connection));
        left.extend(
            connections.map(|connection| {
                format!("connection {:?} with {}", connection.id, world.setup().name(connection.peer))
            }),
        );
        match world.jobs(node) {
            0 => {}
            1 => left.push("a running job".to_owned()),
            jobs => left.push(format!("{jobs} running jobs")),
        }
        left.extend((self.reported)(actor));
        (!left.is_empty()).then(|| left.join(", "))
    }

    fn overdue(&self, world: &World<A>) -> Option<Check> {
        let leak = self.leaks.overdue(world.now())?;
        let (name, what, lasting) = (world.setup().name(leak.id), self.what, self.leaks.lasting(leak.since));
        Some(Check::Violated(format!("{name} is {what} but still has {}{lasting}", leak.about)))
    }
}

impl<A: Actor> Invariant<A> for NoLeak<A> {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<A>, touched: Touched) -> Check {
        // A leak that this very event ends has lasted until now.
        if let Some(violated) = self.overdue(world) {
            return violated;
        }
        for node in touched_nodes(world, touched) {
            let left = self.left(world, node);
            self.leaks.note(world, node, left);
        }
        self.overdue(world).unwrap_or_else(|| self.leaks.ask())
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}
