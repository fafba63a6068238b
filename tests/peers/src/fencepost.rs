//! The work on Fencepost, with everything on that a real run has: messages with a payload, node state, an invariant
//! checked after every event, and the rolling hash.

use std::sync::Arc;
use std::time::Duration;

use sim_core::library::AtMostOne;
use sim_core::{Actor, Context, Instant, Limits, NetworkConfig, NodeId, Run, Schedule, Setup, World, kinds};

use crate::{
    HEARTBEAT_END, HEARTBEAT_EVERY, HEARTBEAT_FIRST, HEARTBEAT_NODES, LATENCY_MAX, LATENCY_MIN, PING_END, PING_FIRST,
    PINGS, Work,
};

/// Does the work and returns how many messages were delivered.
pub fn run(work: Work, seed: u64) -> u64 {
    match work {
        Work::Heartbeat => to_end(heartbeat(HEARTBEAT_NODES), seed, HEARTBEAT_END),
        Work::PingPong { in_flight } => to_end(ping_pong(in_flight), seed, PING_END),
    }
}

fn to_end<A: Node>(setup: Setup<A>, seed: u64, duration: Duration) -> u64 {
    let mut run = start(&Arc::new(setup), seed, duration);
    let outcome = run.to_end();
    assert_eq!(outcome.violation, None, "nothing breaks in this world, so nothing can be violated");
    run.world.node_ids().filter_map(|node| run.world.actor(node)).map(Node::received).sum()
}

/// A run that has not begun, with its invariant.
pub fn start<A: Node>(setup: &Arc<Setup<A>>, seed: u64, duration: Duration) -> Run<A> {
    let one_leader = AtMostOne::new("at-most-one-leader", "leading", A::leads);
    let world = World::new(setup, &Arc::new(Schedule::seeded(seed)));
    Run::new(world, vec![Box::new(one_leader)], Limits { duration, ..Limits::default() })
}

/// A cluster in which every node sends every other a heartbeat.
pub fn heartbeat(nodes: u16) -> Setup<Beater> {
    let names = (0..nodes).map(|number| format!("node-{number}"));
    let peers = usize::from(nodes);
    let factory = move |node| Beater {
        term: 1,
        sequence: 0,
        leading: node == NodeId(0),
        received: 0,
        heard: vec![Instant::ZERO; peers],
    };
    Setup { network: network(), ..Setup::new(names, factory) }
}

fn ping_pong(in_flight: u64) -> Setup<Player> {
    let factory = move |node| Player { in_flight, sent: 0, leading: node == Player::PINGER, received: 0 };
    Setup { network: network(), ..Setup::new(["pinger", "ponger"], factory) }
}

fn network() -> NetworkConfig {
    NetworkConfig { latency: (LATENCY_MIN, LATENCY_MAX), ..NetworkConfig::default() }
}

/// What the count and the invariant need to know of an actor.
pub trait Node: Actor + 'static {
    /// Messages received so far.
    fn received(&self) -> u64;
    /// Whether the node believes that it leads.
    fn leads(&self) -> bool;
}

/// A node that tells all others that it is alive, and remembers when it last heard from each of them.
#[derive(Clone, Debug, Hash)]
pub struct Beater {
    term: u64,
    sequence: u64,
    leading: bool,
    received: u64,
    heard: Vec<Instant>,
}

/// What a [`Beater`] says.
#[derive(Clone, Debug, Hash)]
pub enum Beat {
    /// I am alive.
    Heartbeat {
        /// The leader's term as the sender knows it.
        term: u64,
        /// Counts the sender's heartbeats.
        sequence: u64,
    },
}

kinds!(Beat { Heartbeat });

impl Actor for Beater {
    type Message = Beat;
    type Timer = ();
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _disk: &[()], ctx: &mut Context<Self>) {
        ctx.set_timer((), HEARTBEAT_FIRST);
    }

    fn on_message(&mut self, from: NodeId, message: Beat, ctx: &mut Context<Self>) {
        let Beat::Heartbeat { term, sequence: _ } = message;
        self.term = self.term.max(term);
        self.heard[from.index()] = ctx.now();
        self.received += 1;
    }

    fn on_timer(&mut self, (): (), ctx: &mut Context<Self>) {
        self.sequence += 1;
        let this = ctx.node();
        for peer in (0..self.heard.len() as u16).map(NodeId).filter(|&peer| peer != this) {
            ctx.send(peer, Beat::Heartbeat { term: self.term, sequence: self.sequence });
        }
        ctx.set_timer((), HEARTBEAT_EVERY);
    }
}

impl Node for Beater {
    fn received(&self) -> u64 {
        self.received
    }

    fn leads(&self) -> bool {
        self.leading
    }
}

/// One of two nodes that play ping-pong.
#[derive(Clone, Debug, Hash)]
pub struct Player {
    in_flight: u64,
    sent: u64,
    leading: bool,
    received: u64,
}

impl Player {
    const PINGER: NodeId = NodeId(0);
    const PONGER: NodeId = NodeId(1);

    fn serve(&mut self, ctx: &mut Context<Self>) {
        if self.sent < PINGS {
            self.sent += 1;
            ctx.send(Self::PONGER, Ball::Ping { number: self.sent });
        }
    }
}

/// What a [`Player`] sends.
#[derive(Clone, Debug, Hash)]
pub enum Ball {
    /// Answer this.
    Ping {
        /// Counts the pings.
        number: u64,
    },
    /// The answer.
    Pong {
        /// The number of the ping.
        number: u64,
    },
}

kinds!(Ball { Ping, Pong });

impl Actor for Player {
    type Message = Ball;
    type Timer = ();
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _disk: &[()], ctx: &mut Context<Self>) {
        if ctx.node() == Self::PINGER {
            ctx.set_timer((), PING_FIRST);
        }
    }

    fn on_message(&mut self, from: NodeId, message: Ball, ctx: &mut Context<Self>) {
        self.received += 1;
        match message {
            Ball::Ping { number } => ctx.send(from, Ball::Pong { number }),
            Ball::Pong { .. } => self.serve(ctx),
        }
    }

    fn on_timer(&mut self, (): (), ctx: &mut Context<Self>) {
        for _ in 0..self.in_flight {
            self.serve(ctx);
        }
    }
}

impl Node for Player {
    fn received(&self) -> u64 {
        self.received
    }

    fn leads(&self) -> bool {
        self.leading
    }
}
