//! The protocol as tools see it: its names, its set-up, and the actor behind every node.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Actor, Cluster, ConnectionEvent, Constant, Context, Defect, Factory, Invariant, Named, NodeId, Property, Protocol,
    SyncToken, Wire,
};

use super::config::Config;
use super::daemon::Daemon;
use super::defects::DEFECTS;
use super::invariants;
use super::layout::{BOARD, COORDINATION, COORDINATOR, HYPERVISOR, Shared};
use super::message::{Command, Message, Record, Timer, Trouble};
use crate::services::coordination::Server;
use crate::services::power::{Board, BoardConfig, Mood};

/// Parallel Virtual Cluster.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Pvc;

/// The actor of any node.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// A coordinator or a hypervisor.
    Daemon(Box<Daemon>),
    /// The coordination service.
    Coordination(Box<Server>),
    /// A power board.
    Board(Board),
}

impl Node {
    /// The daemon, if it is one.
    pub fn daemon(&self) -> Option<&Daemon> {
        match self {
            Node::Daemon(daemon) => Some(daemon),
            _ => None,
        }
    }

    /// The coordination service, if it is that.
    pub fn coordination(&self) -> Option<&Server> {
        match self {
            Node::Coordination(server) => Some(server),
            _ => None,
        }
    }

    /// The board, if it is one.
    pub fn board(&self) -> Option<&Board> {
        match self {
            Node::Board(board) => Some(board),
            _ => None,
        }
    }
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Command = Command;

    fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Self>) {
        match self {
            Node::Daemon(daemon) => daemon.on_start(ctx),
            Node::Coordination(server) => {
                let log = disk.iter().filter_map(|record| match record {
                    Record::Coordination(record) => Some(record),
                    Record::Power(_) => None,
                });
                server.on_start(log, ctx);
            }
            Node::Board(board) => {
                let log = disk.iter().filter_map(|record| match record {
                    Record::Power(record) => Some(record),
                    Record::Coordination(_) => None,
                });
                board.on_start(log, ctx);
            }
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match (self, message) {
            (Node::Daemon(daemon), Message::Coordination(message)) => daemon.on_coordination(message, ctx),
            (Node::Daemon(daemon), Message::Power(message)) => daemon.on_power(message, ctx),
            (Node::Coordination(server), Message::Coordination(message)) => server.on_message(from, message, ctx),
            (Node::Board(board), Message::Power(message)) => board.on_message(from, message, ctx),
            (node, message) => panic!("{message:?} was sent to {}", node.role()),
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match (self, timer) {
            (Node::Daemon(daemon), timer) => daemon.on_timer(timer, ctx),
            (Node::Coordination(server), Timer::Coordination(timer)) => server.on_timer(timer, ctx),
            (Node::Board(board), Timer::Power(timer)) => board.on_timer(timer, ctx),
            (node, timer) => panic!("{} does not arm {timer:?}", node.role()),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        match (self, command) {
            (Node::Daemon(daemon), command) => daemon.on_command(command, ctx),
            (Node::Board(board), Command::Board(mood)) => {
                board.set_mood(mood);
                ctx.mark("board-mood-changed");
            }
            _ => {} // Not this node's business.
        }
    }

    fn on_connection(&mut self, _: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        match self {
            Node::Daemon(daemon) => daemon.on_connection(event, ctx),
            Node::Coordination(server) => server.on_connection(event),
            Node::Board(_) => {}
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        if let Node::Coordination(server) = self {
            server.on_synced(token, ctx);
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Node::Daemon(daemon) => daemon.router().word(),
            Node::Coordination(_) => "coordination",
            Node::Board(board) => match board.relay() {
                true => "power on",
                false => "power OFF",
            },
        }
    }
}

const fn named(name: &'static str, about: &'static str) -> Named {
    Named { name, about }
}

/// Commands by name.
const COMMANDS: &[(Named, Command)] = &[
    (named("become-primary", "Makes a coordinator the primary."), Command::BecomePrimary),
    (named("become-secondary", "Lets somebody else be the primary, if it is this node."), Command::BecomeSecondary),
    (named("shutdown", "Shuts a node's daemon down in good order."), Command::Shutdown),
    (named("maintenance-on", "Suspends fencing."), Command::Maintenance(true)),
    (named("maintenance-off", "Resumes fencing."), Command::Maintenance(false)),
    (named("create-network", "Makes another virtual network."), Command::CreateNetwork),
    (
        named("storage-hangs", "Commands to the storage cluster hang on a node."),
        Command::Trouble(Trouble::StorageHangs),
    ),
    (
        named("storage-dies", "The collector of storage statistics dies on a node."),
        Command::Trouble(Trouble::StorageDies),
    ),
    (named("libvirt-fails", "Calls to libvirt fail on a node."), Command::Trouble(Trouble::LibvirtFails)),
    (
        named("database-fails", "The database leader cannot be switched to a node."),
        Command::Trouble(Trouble::DatabaseFails),
    ),
    (
        named("network-is-slow", "Adding and removing addresses takes long on a node."),
        Command::Trouble(Trouble::NetworkSlow),
    ),
    (
        named("migration-hangs", "Live migrations from a node do not converge."),
        Command::Trouble(Trouble::MigrationHangs),
    ),
    (named("board-is-honest", "A board works again."), Command::Board(Mood::Honest)),
    (named("board-is-slow", "A board answers late."), Command::Board(Mood::Slow)),
    (named("board-refuses-off", "A board fails to switch off, and says so."), Command::Board(Mood::RefusesOff)),
    (named("board-refuses-on", "A board fails to switch on, and says so."), Command::Board(Mood::RefusesOn)),
    (named("board-claims-off", "A board says that it has switched off, and has not."), Command::Board(Mood::ClaimsOff)),
    (
        named("board-claims-failure", "A board says that it has failed, and has not."),
        Command::Board(Mood::ClaimsFailure),
    ),
];

/// The names alone.
const COMMAND_NAMES: &[Named] = &{
    let mut names = [named("", ""); COMMANDS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = COMMANDS[at].0;
        at += 1;
    }
    names
};

impl Protocol for Pvc {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "pvc";
    const ABOUT: &'static str =
        "Parallel Virtual Cluster: keepalives, fencing, contention and lock-step hand-over of virtual addresses.";
    const ROLES: &'static [Named] = &[
        named(COORDINATOR, "Contends for the virtual addresses, fences, and runs virtual machines."),
        named(HYPERVISOR, "Runs virtual machines."),
        named(COORDINATION, "The coordination service, as one node."),
        named(BOARD, "A power board: the first one is that of the first coordinator or hypervisor, and so on."),
    ];
    const DEFECTS: &'static [Defect] = DEFECTS;
    const MARKS: &'static [Named] = super::marks::MARKS;
    const INVARIANTS: &'static [Property] = invariants::PROPERTIES;
    const COMMANDS: &'static [Named] = COMMAND_NAMES;

    fn command(text: &str) -> Option<Command> {
        COMMANDS.iter().find(|(named, _)| named.name == text).map(|&(_, command)| command)
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        let count = |role| cluster.with_role(role).count();
        let (coordinators, machines) = (count(COORDINATOR), count(COORDINATOR) + count(HYPERVISOR));
        if coordinators == 0 {
            return Err(format!(
                "nobody can be primary; give at least one node the role \"{COORDINATOR}\", best three"
            ));
        }
        if count(COORDINATION) != 1 {
            return Err(format!(
                "there are {} coordination services; give exactly one node the role \"{COORDINATION}\"",
                count(COORDINATION)
            ));
        }
        if count(BOARD) != machines {
            return Err(format!(
                "there are {} power boards for {machines} machines; give as many nodes the role \"{BOARD}\" as there \
                 are coordinators and hypervisors",
                count(BOARD)
            ));
        }
        if machines + 1 + count(BOARD) != cluster.members.len() {
            return Err("this protocol has no clients; leave out `clients`".to_owned());
        }
        cluster.config.validate()
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let shared = Constant(Arc::new(Shared::of(cluster)));
        let tree = shared.initial_tree();
        let config = &shared.config;
        let board = BoardConfig { boot: config.boot_time, slowness: config.slow_board_time };
        Arc::new(move |node| {
            if node == shared.service {
                return Node::Coordination(Box::new(Server::new(&tree)));
            }
            match shared.nodes.iter().find(|info| info.board == node) {
                Some(info) => Node::Board(Board::new(info.id, board)),
                None => Node::Daemon(Box::new(Daemon::new(&shared, node))),
            }
        })
    }

    fn wire() -> Option<Wire<Self::Actor>> {
        Some(Wire::new())
    }

    fn invariant(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        invariants::build(name, cluster, within)
    }
}
