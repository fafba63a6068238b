//! The protocol as tools see it: its names, its set-up, and the actor behind every node.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Actor, Cluster, ConnectionEvent, Constant, Context, Defect, Factory, Invariant, Named, NodeId, Property, Protocol,
    SyncToken, Wire,
};

use super::client::Client;
use super::config::Config;
use super::database::{Server, Shared};
use super::defects::{DEFECTS, Defects};
use super::invariants;
use super::message::{Command, Message, Record, Timer};

/// A database, its replica and their clients.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Derby;

/// The actor of any node.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// A database.
    Server(Box<Server>),
    /// A client.
    Client(Client),
}

impl Node {
    /// The database, if it is one.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Node::Server(server) => Some(server),
            Node::Client(_) => None,
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
            Node::Server(server) => server.start(disk, ctx),
            Node::Client(client) => client.start(ctx),
        }
    }

    fn on_message(&mut self, _: NodeId, message: Message, ctx: &mut Context<Self>) {
        let server = match self {
            Node::Server(server) => server,
            Node::Client(client) => return client.on_message(&message, ctx),
        };
        match message {
            Message::Execute { transaction, index_build } => server.on_execute(transaction, index_build, ctx),
            Message::Commit { transaction } => server.on_commit(transaction, ctx),
            Message::Log { entries } => server.on_log(&entries, ctx),
            Message::Ack { position } => server.on_ack(position, ctx),
            Message::Error { problem } => server.on_error(problem, ctx),
            Message::InitiateVersion { version } => server.on_initiate_version(version, ctx),
            Message::InitiateInstant => server.on_initiate_instant(ctx),
            Message::Copy { records } => server.on_copy(&records, ctx),
            Message::Ping => server.on_ping(ctx),
            Message::Pong => server.on_pong(ctx),
            Message::Stop => server.on_stop(ctx),
            Message::Failover => server.on_failover(ctx),
            Message::FailoverCommit { position } => server.on_failover_commit(position, ctx),
            Message::FailoverDone => server.on_failover_done(ctx),
            Message::Executed { .. } | Message::Committed { .. } | Message::Refused { .. } => {}
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match (self, timer) {
            (Node::Client(client), Timer::Next) => client.on_next(ctx),
            (Node::Client(client), Timer::Answer) => client.on_answer_overdue(ctx),
            (Node::Client(client), Timer::Retry) => client.on_retry(ctx),
            (Node::Server(server), Timer::Ship) => server.ship(ctx),
            (Node::Server(server), Timer::Shipped) => server.on_shipped(ctx),
            (Node::Server(server), Timer::ForceFlush) => server.end_full_wait(ctx),
            (Node::Server(server), Timer::FlushEnds) => server.on_flush_overdue(ctx),
            (Node::Server(server), Timer::Connect | Timer::Reply) => server.on_io_error(ctx),
            (Node::Server(server), Timer::Reconnect) => server.connect(ctx),
            (Node::Server(server), Timer::Checkpoint) => server.on_checkpoint_due(ctx),
            (Node::Server(server), Timer::IndexBuilt(transaction)) => server.on_index_built(transaction, ctx),
            (Node::Server(server), Timer::Accept) => server.on_accept_returned(ctx),
            (Node::Server(server), Timer::Ping) => server.on_not_connected(ctx),
            (Node::Server(server), Timer::Booted) => server.on_booted(ctx),
            (Node::Server(server), Timer::Recovered) => server.on_recovery_done(ctx),
            (node, timer) => unreachable!("a {} does not arm {timer:?}", node.role()),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        if let Node::Server(server) = self {
            server.on_command(command, ctx);
        }
    }

    fn on_connection(&mut self, peer: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        match self {
            Node::Server(server) => server.on_connection(peer, event, ctx),
            Node::Client(client) => client.on_connection(event, ctx),
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        if let Node::Server(server) = self {
            server.on_synced(token, ctx);
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Node::Server(server) => server.phase().role(),
            Node::Client(_) => "CLIENT",
        }
    }
}

const fn named(name: &'static str, about: &'static str) -> Named {
    Named { name, about }
}

/// What an operator can ask, by name.
const COMMANDS: &[(Command, Named)] = &[
    (
        Command::StartMaster,
        named("start-master", "At the master: replicates to the slave, whose copy of the database must be the same."),
    ),
    (
        Command::StartMasterAtWrongHost,
        named("start-master-at-wrong-host", "At the master: the same, with the name of a client's machine."),
    ),
    (Command::Resync, named("resync", "At the master: copies the database to the slave, then replicates to it.")),
    (Command::StartSlave, named("start-slave", "At the slave: waits for a master again after a stop.")),
    (Command::Stop, named("stop", "At either: stops replication; a slave refuses while it is connected.")),
    (Command::Failover, named("failover", "At the master: has the slave take over.")),
    (
        Command::SlaveFailover,
        named("slave-failover", "At the slave: takes over if its master is not connected and was confirmed fenced."),
    ),
    (
        Command::ConfirmFenced,
        named(
            "confirm-fenced",
            "At the slave: the operator has made sure that the master serves nobody, and never will.",
        ),
    ),
    (Command::Fence, named("fence", "At the master: shuts the database down at once and for good.")),
    (Command::Shutdown, named("shutdown", "At the master: stops replication and shuts the database down.")),
];

impl Protocol for Derby {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "derby";
    const ABOUT: &'static str = "A database that ships its log to a replica, and the failover from one to the other.";
    const ROLES: &'static [Named] = &[
        named("master", "The database that is replicated."),
        named("slave", "The database that it is replicated to; begins with the same, empty, copy."),
        named("client", "Runs one transaction after the other, at whichever database takes them."),
    ];
    const DEFECTS: &'static [Defect] = DEFECTS;
    const MARKS: &'static [Named] = &[
        named("replication-started", "A master ships its log."),
        named("start-failed", "A start of replication has failed."),
        named("start-refused", "Of which: the two do not fit each other."),
        named("start-refused-for-unlogged-operations", "Of which: changes in progress are in no log."),
        named("command-refused", "An operator's command has been refused."),
        named("slave-mode", "A slave has booted."),
        named("slave-copied", "A slave has got a copy of the database."),
        named("slave-log-pruned", "A slave has seen a checkpoint, and forgets older log."),
        named("slave-out-of-sync", "A slave has got a record that does not fit the end of its log."),
        named("slave-stopped", "A slave has stopped."),
        named("buffers-full", "A log record waits for a free buffer."),
        named("force-flushed", "A log record waits no more, as a chunk has gone."),
        named("reconnected", "A master ships on a new connection."),
        named("chunk-resent", "It begins with the chunk whose sending had failed."),
        named("chunk-deduplicated", "Of that chunk it turns out that it had arrived."),
        named("replication-stopped", "A master has stopped replication in order."),
        named("replication-given-up", "A master goes on without its slave."),
        named("index-build-logged", "An index has been built and logged, for the slave."),
        named("failover-started", "A master is frozen, and flushes."),
        named("failover-sent", "A master has asked its slave to take over."),
        named("slave-takes-over", "A slave has left slave mode, and redoes and undoes its log."),
        named("slave-prepared", "A slave could serve, and has said so."),
        named("slave-in-doubt", "A slave could serve, and has nobody to say so to."),
        named("failover-acknowledged", "A master knows that its slave could serve."),
        named("failover-decided", "A master will not serve again."),
        named("failover-failed", "A master serves again, as its slave does not."),
        named("database-shut-down", "A master's database is shut down."),
        named("commit-sent", "A master has told its slave to serve."),
        named("commit-refused", "A slave that was told to serve cannot."),
        named("failover-complete", "A slave serves, as its master told it to."),
        named("slave-failover-complete", "A slave serves, as its operator told it to."),
        named("refused-as-connected", "A slave has refused a command because it is connected."),
        named("fenced", "A master is out of the way for good."),
    ];
    const INVARIANTS: &'static [Property] = invariants::PROPERTIES;
    const COMMANDS: &'static [Named] = &{
        let mut names = [COMMANDS[0].1; COMMANDS.len()];
        let mut at = 1;
        while at < COMMANDS.len() {
            names[at] = COMMANDS[at].1;
            at += 1;
        }
        names
    };

    fn command(text: &str) -> Option<Command> {
        COMMANDS.iter().find(|(_, named)| named.name == text).map(|(command, _)| *command)
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        for role in ["master", "slave"] {
            let count = cluster.with_role(role).count();
            if count != 1 {
                return Err(format!("there are {count} nodes with the role \"{role}\"; give it to exactly one"));
            }
        }
        cluster.config.problem().map_or(Ok(()), Err)
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let only = |role| cluster.with_role(role).next().expect("a cluster that was found valid has one");
        let shared = Constant(Arc::new(Shared {
            config: cluster.config.clone(),
            defects: Defects::of(&cluster.defects),
            master: only("master"),
            slave: only("slave"),
            wrong_host: cluster.with_role("client").next(),
        }));
        Arc::new(move |node| match node == shared.master || node == shared.slave {
            true => Node::Server(Box::new(Server::new(shared.clone(), node))),
            false => Node::Client(Client::new(shared.clone())),
        })
    }

    fn wire() -> Option<Wire<Self::Actor>> {
        Some(Wire::new())
    }

    fn invariant(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        invariants::build(name, cluster, within)
    }
}
