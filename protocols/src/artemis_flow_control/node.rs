//! The actor: one of the three kinds of node.

use sim_core::{Actor, ConnectionEvent, Context, NodeId, SyncToken};

use super::broker::Broker;
use super::client::Client;
use super::invariants::{Blocked, End, Writer};
use super::messages::{Command, Message, Record, Timer};
use super::replica::Replica;

/// A node of the cluster.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// The source or the target of the bridge.
    Broker(Box<Broker>),
    /// The source's replica.
    Replica(Replica),
    /// A client of the source.
    Client(Box<Client>),
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Command = Command;

    fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Self>) {
        match self {
            Node::Broker(broker) => broker.start(disk, ctx),
            Node::Replica(replica) => replica.start(ctx),
            Node::Client(client) => client.start(ctx),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        let _ = from;
        match self {
            Node::Broker(broker) => broker.on_message(message, ctx),
            Node::Replica(replica) => replica.on_message(message, ctx),
            Node::Client(client) => client.on_message(message, ctx),
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match self {
            Node::Broker(broker) => broker.on_timer(timer, ctx),
            Node::Replica(replica) => replica.on_timer(timer, ctx),
            Node::Client(client) => client.on_timer(timer, ctx),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        if let Node::Client(client) = self {
            client.on_command(command, ctx);
        }
    }

    fn on_connection(&mut self, peer: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        let _ = peer;
        match self {
            Node::Broker(broker) => broker.on_connection(event, ctx),
            Node::Replica(replica) => replica.on_connection(event, ctx),
            Node::Client(client) => client.on_connection(event, ctx),
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        match self {
            Node::Broker(broker) => broker.on_synced(token, ctx),
            Node::Replica(replica) => replica.on_synced(token, ctx),
            Node::Client(_) => {}
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Node::Broker(broker) => broker.role(),
            Node::Replica(_) => "REPLICA",
            Node::Client(_) => "PRODUCER",
        }
    }
}

impl Node {
    /// The writers that cannot go on at the moment.
    pub fn blocked_writers(&self) -> Vec<Blocked> {
        match self {
            Node::Broker(broker) => broker.blocked_writers(),
            Node::Replica(_) => Vec::new(),
            Node::Client(client) => client
                .runs()
                .iter()
                .filter(|run| run.is_blocked())
                .map(|run| Blocked {
                    writer: Writer::Producer(run.number),
                    progress: run.progress(),
                    end: if run.is_connected() { End::SilentPeer } else { End::Repair },
                })
                .collect(),
        }
    }

    /// Why a writer cannot go on, in words.
    pub fn explain(&self, writer: Writer) -> String {
        match (self, writer) {
            (Node::Broker(broker), Writer::Thread(thread)) => broker.explain_wait(thread),
            (Node::Broker(broker), Writer::Bridge) => format!("the bridge {}", broker.explain_bridge()),
            _ => format!("{writer:?} waits for credits, the transport or a connection"),
        }
    }
}
