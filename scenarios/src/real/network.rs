//! What connects the nodes of a run.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::{self, Command};

use sim_core::NodeId;

use super::Problem;
use super::namespaces::Namespaces;

/// What the nodes are connected by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A network namespace for each, so that any two can be parted. Takes the rights of root.
    #[default]
    Namespaces,
    /// The loopback interface of the machine. Nothing can be parted there.
    Loopback,
}

/// The port of every node: each has an address of its own.
const PORT: u16 = 7400;

/// The network of one run.
pub enum Network {
    /// Each node in a namespace.
    Namespaces(Namespaces),
    /// All on loopback addresses that nobody else of us uses.
    Loopback {
        /// The first two bytes behind 127.
        subnet: [u8; 2],
        /// Says that the subnet is in use.
        _taken: TcpListener,
    },
}

impl Network {
    /// Connects so many nodes.
    ///
    /// # Errors
    /// If the machine does not let us.
    pub fn new(kind: Kind, nodes: usize) -> Result<Self, Problem> {
        match kind {
            Kind::Namespaces => Namespaces::new(nodes).map(Network::Namespaces),
            Kind::Loopback => loopback(),
        }
    }

    /// Where a node listens.
    pub fn address(&self, node: NodeId) -> SocketAddr {
        let ip = match self {
            Network::Namespaces(namespaces) => namespaces.address(node),
            Network::Loopback { subnet: [high, low], .. } => {
                let number = node.0 + 1;
                // 250 nodes in the last byte; nobody has more on one machine.
                Ipv4Addr::new(127, *high, *low, (number % 250) as u8)
            }
        };
        SocketAddr::new(IpAddr::V4(ip), PORT)
    }

    /// A command whose process is the node.
    pub fn command(&self, node: NodeId, program: &std::path::Path) -> Command {
        match self {
            Network::Namespaces(namespaces) => namespaces.command(node, program),
            Network::Loopback { .. } => Command::new(program),
        }
    }

    /// Lets nothing pass from one node to another, or lets it pass again.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn cut(&self, from: NodeId, to: NodeId, cut: bool) -> Result<(), Problem> {
        match self {
            Network::Namespaces(namespaces) => namespaces.cut(from, to, cut),
            Network::Loopback { .. } => Err(no_way("parted")),
        }
    }

    /// Lets nothing pass to or from a node, or lets it pass again.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn isolate(&self, node: NodeId, isolated: bool) -> Result<(), Problem> {
        match self {
            Network::Namespaces(namespaces) => namespaces.isolate(node, isolated),
            // Everybody starts out connected.
            Network::Loopback { .. } if !isolated => Ok(()),
            Network::Loopback { .. } => Err(no_way("isolated")),
        }
    }
}

fn no_way(how: &str) -> Problem {
    Problem::Impossible(format!("nodes that share one network cannot be {how}: use `--network namespaces`, as root"))
}

/// Finds a part of the loopback network that no other run uses.
fn loopback() -> Result<Network, Problem> {
    let start = process::id();
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for attempt in 0..512_u32 {
        let number = start.wrapping_add(attempt.wrapping_mul(251)) % (254 * 254);
        let subnet = [(number / 254) as u8 + 1, (number % 254) as u8 + 1];
        match TcpListener::bind((Ipv4Addr::new(127, subnet[0], subnet[1], 254), PORT)) {
            Ok(taken) => return Ok(Network::Loopback { subnet, _taken: taken }),
            Err(error) => last = error,
        }
    }
    Err(Problem::Refused(format!("no loopback address is free for port {PORT}: {last}")))
}
