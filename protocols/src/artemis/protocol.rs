//! The protocol as tools see it: its names, its set-up, and the actor behind every node.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Actor, Cluster, ConnectionEvent, Constant, Context, Defect, Factory, Invariant, Named, NodeId, Property, Protocol,
    SyncToken, Wire,
};

use super::broker::Broker;
use super::client::Client;
use super::config::Config;
use super::defects::DEFECTS;
use super::invariants;
use super::journal::JournalRecord;
use super::layout::{Shared, validate};
use super::message::{Command, Message, PairId, Timer};

/// Replicated pairs of brokers with their clients and voters.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Artemis;

/// The actor of any node.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// A broker of a pair, a voter or an impostor.
    Broker(Box<Broker>),
    /// A client.
    Client(Client),
}

impl Node {
    /// The broker, if it is one.
    pub fn broker(&self) -> Option<&Broker> {
        match self {
            Node::Broker(broker) => Some(broker),
            Node::Client(_) => None,
        }
    }

    /// The client, if it is one.
    pub fn client(&self) -> Option<&Client> {
        match self {
            Node::Broker(_) => None,
            Node::Client(client) => Some(client),
        }
    }
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = JournalRecord;
    type Command = Command;

    fn on_start(&mut self, disk: &[JournalRecord], ctx: &mut Context<Self>) {
        match self {
            Node::Broker(broker) => broker.on_start(disk, ctx),
            Node::Client(client) => client.on_start(ctx),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match self {
            Node::Broker(broker) => broker.on_message(from, message, ctx),
            Node::Client(client) => {
                if let Some(message) = message.for_client() {
                    client.on_message(message, ctx);
                }
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match (self, timer) {
            (Node::Client(client), Timer::Client(timer)) => client.on_timer(timer, ctx),
            (Node::Client(_), timer) => unreachable!("clients do not arm {timer:?}"),
            (Node::Broker(broker), timer) => broker.on_timer(timer, ctx),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        if let Node::Broker(broker) = self {
            broker.on_command(command, ctx);
        }
    }

    fn on_connection(&mut self, peer: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        match self {
            Node::Broker(broker) => broker.on_connection(peer, event, ctx),
            Node::Client(client) => client.on_connection(event, ctx),
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        if let Node::Broker(broker) = self {
            broker.on_synced(token, ctx);
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Node::Broker(broker) => broker.phase().role(),
            Node::Client(_) => "CLIENT",
        }
    }
}

const fn named(name: &'static str, about: &'static str) -> Named {
    Named { name, about }
}

impl Protocol for Artemis {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "artemis";
    const ABOUT: &'static str =
        "Pairs of Artemis brokers that replicate a journal: initial synchronization, failover by vote, failback.";
    const ROLES: &'static [Named] = &[
        named("live", "The primary of a pair; the k-th live and the k-th backup share a NodeID."),
        named("backup", "The backup of a pair."),
        named("voter", "A LIVE broker of a NodeID of its own, without a backup, that has a vote."),
        named("impostor", "A broker that was started from a copy of the first pair's data and claims its NodeID."),
        named("client", "Sends durable messages to a pair and is told of each; the k-th uses the k-th pair."),
    ];
    const DEFECTS: &'static [Defect] = DEFECTS;
    const MARKS: &'static [Named] = &[
        named("live", "A broker is LIVE."),
        named("sync-started", "A backup has thrown its copy away and receives the live's."),
        named("sync-done-sent", "A live has sent all of its journal."),
        named("sync-timed-out", "A live has waited in vain for its replica's confirmation."),
        named("replica-synced", "A live has its replica's confirmation."),
        named("replica-lost", "A live goes on without its replica."),
        named("replica-too-slow", "A live gives up a replica that does not keep up."),
        named("backup-up-to-date", "A backup has a complete copy."),
        named("backup-announced", "A backup has announced itself."),
        named("failover-started", "A backup has lost its live and votes."),
        named("vote-won", "A majority sees nobody LIVE."),
        named("vote-lost", "A backup gives up voting."),
        named("failover-complete", "A backup that took over is LIVE."),
        named("failback-started", "An acting live is about to hand back."),
        named("failback-abandoned", "An acting live stays, as the other backup did not announce itself."),
        named("failback-complete", "A primary that took its NodeID back is LIVE."),
        named("stay-live-vote-won", "A live that lost its replica may stay LIVE."),
        named("stay-live-vote-lost", "A live that lost its replica stops."),
        named("split-brain-detected", "A live has heard another announce its NodeID."),
    ];
    const INVARIANTS: &'static [Property] = invariants::PROPERTIES;
    const COMMANDS: &'static [Named] = &[
        named("stop", "Stops a broker in good order, until it is told to start."),
        named("start", "Starts a stopped broker."),
    ];

    fn command(text: &str) -> Option<Command> {
        match text {
            "stop" => Some(Command::Stop),
            "start" => Some(Command::Start),
            _ => None,
        }
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        validate(cluster)
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let shared = Constant(Arc::new(Shared::of(cluster)));
        let roles: Vec<String> = cluster.members.iter().map(|m| m.role.clone()).collect();
        let clients: Vec<NodeId> = cluster.with_role("client").collect();
        let pairs = cluster.with_role("live").count();
        Arc::new(move |node| match roles[node.index()].as_str() {
            "client" => {
                let number = clients.iter().position(|&client| client == node).unwrap_or(0) % pairs;
                let members = &shared.pairs[number];
                Node::Client(Client::new(shared.client(), number as u64, [members[0], members[1]]))
            }
            role => {
                let pair = shared.pair_of(node).unwrap_or(PairId(0));
                Node::Broker(Box::new(Broker::new(shared.clone(), node, pair, role != "backup")))
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
