//! The protocol as tools see it: its names, its set-up, and the actor behind every node.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Actor, Cluster, ConnectionEvent, Constant, Context, Defect, Factory, Invariant, Named, NodeId, Property, Protocol,
    SyncToken, Wire,
};

use super::client::Client;
use super::config::Config;
use super::defects::DEFECTS;
use super::invariants;
use super::layout::{Shared, validate};
use super::message::{Command, Message, Timer};
use super::server::Server;
use super::store::{Record, Store};

/// JBoss Messaging: servers that fail over for each other, with their clients.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Jboss;

/// The actor of any node.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// A server.
    Server(Box<Server>),
    /// A client.
    Client(Box<Client>),
    /// The database.
    Store(Box<Store>),
}

impl Node {
    /// The server, if it is one.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Node::Server(server) => Some(server),
            _ => None,
        }
    }

    /// The client, if it is one.
    pub fn client(&self) -> Option<&Client> {
        match self {
            Node::Client(client) => Some(client),
            _ => None,
        }
    }

    /// The database, if it is that.
    pub fn store(&self) -> Option<&Store> {
        match self {
            Node::Store(store) => Some(store),
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
            Node::Server(server) => server.start(ctx),
            Node::Client(client) => client.start(ctx),
            Node::Store(store) => store.start(disk),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match (self, message) {
            (Node::Server(server), message) => server.on_message(from, message, ctx),
            (Node::Client(client), message) => client.on_message(message, ctx),
            (Node::Store(store), Message::Query(number, done, statement)) => {
                store.on_query(from, (number, done, statement), ctx);
            }
            (Node::Store(_), message) => unreachable!("{message:?} is not for the store"),
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match self {
            Node::Server(server) => server.on_timer(timer, ctx),
            Node::Client(client) => client.on_timer(timer, ctx),
            Node::Store(_) => unreachable!("a store does not arm {timer:?}"),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        if let Node::Server(server) = self {
            server.on_command(command, ctx);
        }
    }

    fn on_connection(&mut self, _peer: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        match self {
            Node::Server(server) => server.on_connection(event, ctx),
            Node::Client(client) => client.on_connection(event, ctx),
            Node::Store(_) => {}
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        if let Node::Store(store) = self {
            store.on_synced(token, ctx);
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Node::Server(server) => server.phase().role(),
            Node::Client(client) => client.phase().role(),
            Node::Store(_) => "store",
        }
    }
}

const fn named(name: &'static str, about: &'static str) -> Named {
    Named { name, about }
}

impl Protocol for Jboss {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "jboss";
    const ABOUT: &'static str =
        "JBoss Messaging: a group of servers that fail over for each other's queues, and clients that follow.";
    const ROLES: &'static [Named] = &[
        named("server", "A messaging server."),
        named("store", "The database that all servers share; none with in-memory replication."),
        named("client", "Sends to a queue and consumes from it."),
    ];
    const DEFECTS: &'static [Defect] = DEFECTS;
    const MARKS: &'static [Named] = &[
        named("serving", "A server has its queues and serves."),
        named("takeover-started", "A server begins to fail over for another."),
        named("takeover-complete", "A server has failed over for another."),
        named("queue-skipped", "A server that fails over for another does not have one of its queues."),
        named("replica-synced", "A server's failover node has all that is in its memory."),
        named("copy-handed-over", "A copy goes to the failover node of a server that has died."),
        named("no-copy", "Nobody has a copy of the memory of a server that has died."),
        named("server-reset", "A server has learnt that it was failed over for, and starts anew."),
        named("draining", "A server is to be taken down and moves its sessions."),
        named("taken-down", "A server has left in good order."),
        named("connection-moved", "A client is told to move."),
        named("redirected", "A client is told the right server."),
        named("no-failover-seen", "A client is told that there is no failover."),
        named("lease-expired", "A client has not come back in time."),
        named("deliveries-recovered", "A session has its delivery list again."),
        named("unclaimed-returned", "Messages that nobody has claimed go back to their queue."),
        named("paged", "A message goes to the database only."),
        named("page-loaded", "Paged messages are in memory."),
        named("prepared", "A transaction is being prepared."),
        named("transaction-prepared", "A client is told that its transaction is prepared."),
        named("duplicate-dropped", "A repetition is known as one."),
        named("failure-detected", "A client has noticed that its connection is broken."),
        named("hop", "A client turns to another server."),
        named("redirect-followed", "A client goes where it was told."),
        named("client-connected", "A client is connected for the first time, or after a move."),
        named("client-reconnected", "A client is connected again after a failure."),
        named("failover-given-up", "A client has made all hops that it may make."),
        named("client-failed", "A client has told its application that there is no server."),
    ];
    const INVARIANTS: &'static [Property] = invariants::PROPERTIES;
    const COMMANDS: &'static [Named] =
        &[named("take-down", "Moves all sessions to other servers, leaves the group in good order, and stops.")];

    fn command(text: &str) -> Option<Command> {
        match text {
            "take-down" => Some(Command::TakeDown),
            _ => None,
        }
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        validate(cluster)
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let shared = Constant(Arc::new(Shared::of(cluster)));
        let roles: Vec<String> = cluster.members.iter().map(|m| m.role.clone()).collect();
        Arc::new(move |node| match roles[node.index()].as_str() {
            "server" => Node::Server(Box::new(Server::new(&shared, node))),
            "client" => Node::Client(Box::new(Client::new(&shared, node))),
            _ => Node::Store(Box::new(Store::new(&shared))),
        })
    }

    fn wire() -> Option<Wire<Self::Actor>> {
        Some(Wire::new())
    }

    fn invariant(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        invariants::build(name, cluster, within)
    }
}
