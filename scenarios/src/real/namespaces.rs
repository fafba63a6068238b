//! Network namespaces: each node in one of its own, all on one bridge in another.
//!
//! A link is cut as a broken one is: packets are sent and never arrive, and nobody is told. The sender is made to believe
//! that the receiver's card has an address that no card has. That takes nothing but Debian's iproute2, works in one
//! direction, and leaves what is open open.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sim_core::NodeId;

use super::Problem;

/// An address that no card has.
const NOWHERE: &str = "02:f0:ff:ff:ff:ff";

/// The namespaces of one run; they are gone when this is dropped.
pub struct Namespaces {
    prefix: String,
    nodes: usize,
}

impl Namespaces {
    /// Makes a namespace for each of so many nodes, and connects them.
    pub fn new(nodes: usize) -> Result<Self, Problem> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        remove_left_over();
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        // Dropped if anything fails, and with it what there is by then.
        let namespaces = Namespaces { prefix: format!("fencepost-{}-{run}", process::id()), nodes };
        namespaces.build()?;
        Ok(namespaces)
    }

    fn build(&self) -> Result<(), Problem> {
        let switch = self.switch();
        let mut script = format!("netns add {switch}\n");
        for node in self.all() {
            script += &format!("netns add {}\n", self.name(node));
        }
        ip(&[], &script).map_err(|error| match error {
            Problem::Refused(why) => Problem::Refused(format!(
                "network namespaces cannot be made: {why}\nrun this as root on Linux with iproute2, or with `--network loopback` if the scenario parts nobody"
            )),
            other => other,
        })?;
        let mut script = "link add bridge type bridge\nlink set bridge up\n".to_owned();
        for node in self.all() {
            let (name, mac) = (self.name(node), mac(node));
            script += &format!("link add port{node} type veth peer name eth0 address {mac} netns {name}\n");
            script += &format!("link set port{node} master bridge up\n");
        }
        ip(&["-netns", &switch], &script)?;
        for node in self.all() {
            let mut script =
                format!("address add {}/16 dev eth0\nlink set lo up\nlink set eth0 up\n", self.address(node));
            for peer in self.all().filter(|&peer| peer != node) {
                script += &self.neighbour(peer, &mac(peer));
            }
            ip(&["-netns", &self.name(node)], &script)?;
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes as u16).map(NodeId)
    }

    fn name(&self, node: NodeId) -> String {
        format!("{}-{node}", self.prefix)
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.prefix)
    }

    /// Where a node is.
    pub fn address(&self, node: NodeId) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from_be_bytes([10, 77, 0, 1]) + u32::from(node.0))
    }

    fn neighbour(&self, node: NodeId, card: &str) -> String {
        format!("neighbour replace {} lladdr {card} nud permanent dev eth0\n", self.address(node))
    }

    /// A command whose process is in the namespace of a node.
    pub fn command(&self, node: NodeId, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(node)]).arg(program);
        command
    }

    /// Lets nothing pass from one node to another, or lets it pass again.
    pub fn cut(&self, from: NodeId, to: NodeId, cut: bool) -> Result<(), Problem> {
        let card = if cut { NOWHERE.to_owned() } else { mac(to) };
        ip(&["-netns", &self.name(from)], &self.neighbour(to, &card))
    }

    /// Lets nothing pass to or from a node, or lets it pass again.
    pub fn isolate(&self, node: NodeId, isolated: bool) -> Result<(), Problem> {
        let state = if isolated { "down" } else { "up" };
        ip(&["-netns", &self.switch()], &format!("link set port{node} {state}\n"))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // Some may not have come to be.
        for name in self.all().map(|node| self.name(node)).chain([self.switch()]) {
            let delete = Command::new("ip").args(["netns", "delete", &name]).stderr(Stdio::null()).status();
            drop(delete);
        }
    }
}

/// The address of a node's card.
fn mac(node: NodeId) -> String {
    let [high, low] = node.0.to_be_bytes();
    format!("02:f0:00:00:{high:02x}:{low:02x}")
}

/// Removes what runs have left that were killed.
fn remove_left_over() {
    let Ok(listed) = Command::new("ip").args(["netns", "list"]).stderr(Stdio::null()).output() else { return };
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let owner = name.strip_prefix("fencepost-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            drop(Command::new("ip").args(["netns", "delete", name]).stderr(Stdio::null()).status());
        }
    }
}

/// Lets `ip` do several things.
fn ip(arguments: &[&str], script: &str) -> Result<(), Problem> {
    let missing = |error: io::Error| Problem::Refused(format!("`ip` of iproute2 cannot be run: {error}"));
    let mut child = Command::new("ip")
        .args(arguments)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output().map_err(missing)?;
    if output.status.success() && written.is_ok() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Problem::Refused(said.lines().next().unwrap_or("`ip` failed and did not say why").to_owned()))
}
