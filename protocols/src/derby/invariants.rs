//! What must hold of a replicated database, watched from outside.
//!
//! * **D1** needs no interval: a master that hands over is shut down before its slave opens, and a frozen one accepts
//!   nothing.
//! * **D2** is a promise of the orderly failover only. What replication ships is always a little behind what clients
//!   were told; a slave that takes over on its own has lost that.
//! * **D3** is looked at while a master and a slave are at the two ends of the same connection. After it, the master
//!   may lose what it had shipped and not yet synced, and go another way.
//! * **D4** and **D5**: the bounds are sums of the protocol's own timers ([`Config::longest_operation`]); time during
//!   which the node itself is paused does not count.

use std::time::Duration;

use sim_core::history::{Call, Note, Operation, Step};
use sim_core::library::{Always, AtMostOne, Bounded, Eventually, NoLeak, NoLostWrite};
use sim_core::{Check, Class, Cluster, ConnectionId, Instant, Invariant, LookBack, NodeId, Property, Touched, World};

use super::config::Config;
use super::database::Server;
use super::link::Link;
use super::master::GivenUp;
use super::message::Promotion;
use super::protocol::Node;
use super::state::Phase;

pub(super) const AT_MOST_ONE: &str = "at-most-one-accepts-work";
pub(super) const COMMITS_SURVIVE: &str = "no-commit-lost-in-orderly-failover";
pub(super) const PREFIX: &str = "slave-log-is-a-prefix";
pub(super) const DIVERGENCE: &str = "only-divergence-stops-replication";
pub(super) const FREEZE_ENDS: &str = "freeze-ends";
pub(super) const OPERATIONS: &str = "operations-terminate";
pub(super) const BUFFER_WAIT: &str = "full-buffers-get-their-time";
pub(super) const REFUSES_LIVE_LINK: &str = "refused-only-while-connected";
pub(super) const REPLICATING: &str = "replicating";
pub(super) const SOMEBODY_SERVES: &str = "somebody-serves";
pub(super) const BOUNDED_MEMORY: &str = "bounded-memory";
pub(super) const NO_LEAK: &str = "no-leak";

const fn property(name: &'static str, class: Class, about: &'static str) -> Property {
    Property { name, class, about }
}

/// All of them.
pub const PROPERTIES: &[Property] = &[
    property(AT_MOST_ONE, Class::Safety, "D1: at most one of master and slave accepts clients' work."),
    property(
        COMMITS_SURVIVE,
        Class::Safety,
        "D2: after an orderly failover every commit that a client was told of is at the slave, and otherwise at the \
         master.",
    ),
    property(
        PREFIX,
        Class::Safety,
        "D3: while they are connected, the slave's log is a prefix of the master's, with equal instants.",
    ),
    property(
        DIVERGENCE,
        Class::Safety,
        "D3: replication stops for different positions only if the logs differ, or what is missing is gone.",
    ),
    property(FREEZE_ENDS, Class::Liveness, "D4: every freeze is released, or ends in a shutdown, in bounded time."),
    property(
        OPERATIONS,
        Class::Liveness,
        "D5: whatever an operator asks is answered, and every log record is written, in bounded time.",
    ),
    property(
        BUFFER_WAIT,
        Class::Safety,
        "D5: replication stops for want of a free buffer only when the wait for one has lasted its full time.",
    ),
    property(
        REFUSES_LIVE_LINK,
        Class::Safety,
        "D5: a slave refuses to act on its own only if its master can be reached, or could a ping ago.",
    ),
    property(
        REPLICATING,
        Class::Liveness,
        "D5: in the end the slave is connected, and has all that clients were told of before.",
    ),
    property(SOMEBODY_SERVES, Class::Liveness, "D5: in the end one of the two accepts clients' work."),
    property(BOUNDED_MEMORY, Class::Safety, "D6: what a master remembers of what it has sent does not grow."),
    property(NO_LEAK, Class::Safety, "D6: what was stopped, shut down or promoted keeps nothing of replication open."),
];

/// The property called `name`.
pub fn build(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
    let pair = Pair::of(cluster);
    let config = cluster.config.clone();
    let within = within.unwrap_or_else(|| config.recovery());
    Some(match name {
        AT_MOST_ONE => Box::new(AtMostOne::new(AT_MOST_ONE, "accepting work", |node: &Node| {
            node.server().is_some_and(Server::accepts_work)
        })),
        COMMITS_SURVIVE => {
            let holds = NoLostWrite::always(COMMITS_SURVIVE, move |world, write| pair.holds(world, write.value));
            Box::new(holds.looking_back(LookBack::NOTHING))
        }
        PREFIX => Box::new(Prefix { pair, session: None, compared: 0 }),
        DIVERGENCE => {
            let parted = Always::in_world(DIVERGENCE, move |world| pair.parted_for_a_reason(world));
            Box::new(parted.looking_back(LookBack::NOTHING))
        }
        FREEZE_ENDS => {
            let bound = config.longest_freeze();
            Box::new(Waits::new(FREEZE_ENDS, vec![("frozen", bound, Server::freeze)]))
        }
        OPERATIONS => Box::new(Waits::new(
            OPERATIONS,
            vec![
                ("busy with an operator's command", config.longest_operation(), |s| s.operation().map(|o| o.0)),
                ("holding the log for a free buffer", config.longest_append(), Server::full_wait),
            ],
        )),
        BUFFER_WAIT => Box::new(Always::on_each_node(BUFFER_WAIT, move |node: &Node| waited(node, &config))),
        REFUSES_LIVE_LINK => Box::new(RefusesLiveLink { pair, limit: config.ping_timeout, refused: 0 }),
        REPLICATING => {
            let replicates = Eventually::within(REPLICATING, within, move |world| pair.replicating(world));
            Box::new(replicates.looking_back(LookBack { notes: 0, quiet: true, ..LookBack::NOTHING }))
        }
        SOMEBODY_SERVES => {
            let serves = move |world: &World<Node>| {
                [pair.master, pair.slave].iter().any(|&node| server(world, node).is_some_and(Server::accepts_work))
            };
            Box::new(Eventually::within(SOMEBODY_SERVES, within, serves).looking_back(LookBack::NOTHING))
        }
        BOUNDED_MEMORY => {
            let limit = u64::from(config.log_buffers);
            let remembered = |node: &Node| node.server().map_or(0, |server| server.stream_objects());
            Box::new(Bounded::at_most(BOUNDED_MEMORY, limit, "sent objects in its stream", remembered))
        }
        NO_LEAK => Box::new(no_leak(pair)),
        _ => return None,
    })
}

fn server(world: &World<Node>, node: NodeId) -> Option<&Server> {
    world.actor(node)?.server()
}

/// The two databases.
#[derive(Clone, Copy, Debug, Hash)]
struct Pair {
    master: NodeId,
    slave: NodeId,
}

impl Pair {
    fn of(cluster: &Cluster<Config>) -> Pair {
        let only = |role| cluster.with_role(role).next().unwrap_or_default();
        Pair { master: only("master"), slave: only("slave") }
    }

    /// Whether a commit that a client was told of is where it must be. A database that is down is asked when it is
    /// back.
    fn holds(self, world: &World<Node>, transaction: u64) -> bool {
        let at = |node| server(world, node).map(|server| server.log().holds(transaction));
        match server(world, self.slave).map(Server::promotion) {
            Some(Some(Promotion::Orderly)) => at(self.slave) != Some(false),
            Some(Some(Promotion::Forced)) => true,
            // Whether it serves cannot be seen while it is down.
            None => true,
            Some(None) => at(self.master) != Some(false),
        }
    }

    /// The connection that both use for replication at this moment.
    fn session(self, world: &World<Node>) -> Option<(ConnectionId, &Server, &Server)> {
        let (master, slave) = (server(world, self.master)?, server(world, self.slave)?);
        match master.link() {
            Link::Up(id) if slave.master_link() == Some(id) && slave.phase().follows() => Some((id, master, slave)),
            _ => None,
        }
    }

    fn parted_for_a_reason(self, world: &World<Node>) -> Result<(), String> {
        let Some(master) = server(world, self.master) else { return Ok(()) };
        let Some(GivenUp::OutOfSync { slave, kept_from }) = master.given_up() else { return Ok(()) };
        if master.log().position_at(slave.instant) != Some(slave) || slave.instant < kept_from {
            return Ok(());
        }
        Err(format!(
            "{} has stopped replication at instant {}, though {} has the same log up to {} and all after {kept_from} was \
             still there to be sent",
            world.setup().name(self.master),
            master.log().position().instant,
            world.setup().name(self.slave),
            slave.instant,
        ))
    }

    /// The slave is connected, and has all that clients had been told when the world became quiet.
    fn replicating(self, world: &World<Node>) -> Result<(), String> {
        let Some((_, master, slave)) = self.session(world) else { return Err("they are not connected".to_owned()) };
        if master.phase() != Phase::Master || slave.phase() != Phase::Slave {
            return Err(format!("they are {} and {}", master.phase().role(), slave.phase().role()));
        }
        let told = |note: &&Note| note.at <= world.quiet_since().unwrap_or_default();
        let commits = world.history().notes().iter().take_while(told).filter_map(|note| match note.operation {
            Operation { call: Call::Write { value, .. }, step: Step::Returned(_), .. } => Some(value),
            _ => None,
        });
        match commits.into_iter().find(|&transaction| !slave.log().holds(transaction)) {
            None => Ok(()),
            Some(missing) => Err(format!("the slave has not got transaction {missing:#x}")),
        }
    }
}

fn waited(node: &Node, config: &Config) -> Result<(), String> {
    match node.server().and_then(Server::given_up) {
        Some(GivenUp::BufferFull { waited }) if waited < config.force_flush_wait => {
            Err(format!("it gave up replication because no buffer was free after {waited:?}"))
        }
        _ => Ok(()),
    }
}

/// D6: of replication nothing is left where it has ended.
fn no_leak(pair: Pair) -> NoLeak<Node> {
    let idle = |node: &Node| {
        node.server().is_some_and(|server| match server.phase() {
            Phase::Normal | Phase::Stopped | Phase::Promoted => !server.owes_commit(),
            Phase::Shutdown => !server.owes_commit(),
            _ => false,
        })
    };
    NoLeak::when(NO_LEAK, "out of replication", idle)
        .with_grace(Duration::from_secs(1))
        .except_timers(|timer| !timer.is_replication())
        // A slave that was promoted answers a master that asks again.
        .except_connections(move |node, connection| {
            let promoted = node.server().is_some_and(|server| server.phase() == Phase::Promoted);
            promoted || (connection.peer != pair.master && connection.peer != pair.slave)
        })
        .and(|node| node.server().map_or_else(Vec::new, Server::handles))
}

/// D3, record by record.
#[derive(Clone, Debug, Hash)]
struct Prefix {
    pair: Pair,
    /// The connection that was looked at last, and how many records of it were found equal.
    session: Option<ConnectionId>,
    compared: usize,
}

impl Prefix {
    /// The connection that both use, or used up to this very event: a slave that gets what does not fit stops at once.
    fn session<'a>(&self, world: &'a World<Node>) -> Option<(ConnectionId, &'a Server, &'a Server)> {
        if let Some(session) = self.pair.session(world) {
            return Some(session);
        }
        let (master, slave) = (server(world, self.pair.master)?, server(world, self.pair.slave)?);
        let last = self.session.filter(|&id| master.link() == Link::Up(id) && slave.phase() == Phase::Stopped)?;
        Some((last, master, slave))
    }
}

impl Invariant<Node> for Prefix {
    fn name(&self) -> &str {
        PREFIX
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        if !touched.includes(self.pair.master) && !touched.includes(self.pair.slave) {
            return Check::Holds;
        }
        let Some((id, master, slave)) = self.session(world) else {
            self.session = None;
            return Check::Holds;
        };
        if self.session.replace(id) != Some(id) {
            self.compared = 0;
        }
        // A slave that was copied to anew has a shorter log.
        self.compared = self.compared.min(slave.log().count());
        while self.compared < slave.log().count() {
            let (own, other) = (slave.log().entry(self.compared), master.log().entry(self.compared));
            if own != other {
                return Check::Violated(format!(
                    "record {} of {} is {own:?}, of {} {other:?}",
                    self.compared,
                    world.setup().name(self.pair.slave),
                    world.setup().name(self.pair.master),
                ));
            }
            self.compared += 1;
        }
        Check::Holds
    }
}

/// A wait: what it is called, how long it may last, and its number while it lasts.
type Wait = (&'static str, Duration, fn(&Server) -> Option<u64>);

/// D4 and D5: numbered waits end in time.
#[derive(Clone, Hash)]
struct Waits {
    name: &'static str,
    waits: Vec<Wait>,
    /// Which wait of which node is under way, by its number, and since when.
    open: Vec<(NodeId, usize, u64, Instant)>,
}

impl Waits {
    fn new(name: &'static str, waits: Vec<Wait>) -> Self {
        Waits { name, waits, open: Vec::new() }
    }

    /// Looks at a node again.
    fn look(&mut self, world: &World<Node>, node: NodeId) {
        for (kind, (_, _, number)) in self.waits.iter().enumerate() {
            let number = server(world, node).and_then(number);
            let known = self.open.iter().position(|&(n, k, ..)| (n, k) == (node, kind));
            match (number, known) {
                (Some(number), Some(at)) => {
                    // A process that does not run cannot end its wait.
                    if self.open[at].2 != number || world.is_paused(node) {
                        (self.open[at].2, self.open[at].3) = (number, world.now());
                    }
                }
                (Some(number), None) => self.open.push((node, kind, number, world.now())),
                (None, Some(at)) => _ = self.open.swap_remove(at),
                (None, None) => {}
            }
        }
    }
}

impl Invariant<Node> for Waits {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Liveness
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        match touched {
            Touched::Node(node) => self.look(world, node),
            Touched::Any => world.node_ids().for_each(|node| self.look(world, node)),
        }
        let mut ask: Option<Instant> = None;
        for &(node, kind, _, since) in &self.open {
            let (what, bound, _) = self.waits[kind];
            if world.is_paused(node) {
                continue;
            }
            let end = since + bound + Duration::from_nanos(1);
            if world.now() >= end {
                let name = world.setup().name(node);
                return Check::Violated(format!("{name} has been {what} for more than {bound:?}, since {since}"));
            }
            ask = Some(ask.map_or(end, |earliest| earliest.min(end)));
        }
        ask.map_or(Check::Holds, Check::AskAgain)
    }
}

/// D5: a refusal "I am connected" is true.
#[derive(Clone, Debug, Hash)]
struct RefusesLiveLink {
    pair: Pair,
    limit: Duration,
    refused: u64,
}

impl Invariant<Node> for RefusesLiveLink {
    fn name(&self) -> &str {
        REFUSES_LIVE_LINK
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        if !touched.includes(self.pair.slave) {
            return Check::Holds;
        }
        let (refused, silence) =
            server(world, self.pair.slave).map_or((0, Duration::ZERO), Server::refused_as_connected);
        let is_new = std::mem::replace(&mut self.refused, refused) < refused;
        let (master, slave) = (self.pair.master, self.pair.slave);
        let reachable = world.is_up(master) && !world.is_cut(master, slave) && !world.is_cut(slave, master);
        if !is_new || reachable || silence <= self.limit {
            return Check::Holds;
        }
        let name = |node| world.setup().name(node);
        Check::Violated(format!(
            "{} refuses to act on its own because it is connected, but has heard nothing of {} for {silence:?}",
            name(slave),
            name(master),
        ))
    }
}
