//! Nodes of a cluster, started by hand as a user would.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take that is to happen at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// The nodes of `lease/steady`, each a process, on loopback addresses of their own.
pub struct Cluster {
    pub nodes: Vec<Node>,
    addresses: Vec<(&'static str, SocketAddr)>,
    disks: TempDir,
}

/// One of them.
pub struct Node {
    pub address: SocketAddr,
    process: Child,
    lines: Receiver<String>,
}

impl Cluster {
    /// Starts all of them, on the network `127.77.<number>.0`.
    pub fn start(number: u8) -> Cluster {
        let names = ["a", "b", "c", "store"];
        let at = |last: usize| SocketAddr::from((Ipv4Addr::new(127, 77, number, last as u8 + 1), 7400));
        let addresses: Vec<_> = names.into_iter().enumerate().map(|(last, name)| (name, at(last))).collect();
        let disks = tempfile::tempdir().expect("a temporary folder can be made");
        let mut cluster = Cluster { nodes: Vec::new(), addresses, disks };
        cluster.nodes = (0..names.len()).map(|number| cluster.spawn(number)).collect();
        cluster
    }

    /// The command that starts a node.
    fn command(&self, number: usize) -> Command {
        let (name, address) = self.addresses[number];
        let mut command = tests::fencepost();
        command.args(["node", "lease/steady", name, "--speed", "20", "--listen", &address.to_string()]);
        command.arg("--disk").arg(self.disks.path().join(name));
        for (peer, address) in self.addresses.iter().filter(|(peer, _)| *peer != name) {
            command.args(["--peer", &format!("{peer}={address}")]);
        }
        command
    }

    /// Starts a node that is down.
    pub fn spawn(&self, number: usize) -> Node {
        let address = self.addresses[number].1;
        let mut process = self.command(number).stdout(Stdio::piped()).spawn().expect("fencepost can be started");
        let out = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            // Until it ends, or nobody reads any more.
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Node { address, process, lines }
    }

    /// What a node says that does not start.
    pub fn fails_to_start(&self, number: usize) -> String {
        let output = self.command(number).output().expect("fencepost can be started");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Kills a node without any warning, and starts it again.
    pub fn crash(&mut self, number: usize) {
        self.nodes[number].kill();
        self.nodes[number] = self.spawn(number);
    }

    /// The log of a node.
    pub fn log(&self, number: usize) -> std::path::PathBuf {
        self.disks.path().join(self.addresses[number].0).join("log")
    }

    /// Waits until one of so many nodes says something; which one.
    pub fn wait_for(&self, among: usize, what: &str) -> usize {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            for (number, node) in self.nodes.iter().take(among).enumerate() {
                match node.lines.recv_timeout(Duration::from_millis(10)) {
                    Ok(line) if line.ends_with(what) => return number,
                    Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => panic!("node {number} has ended"),
                }
            }
        }
        panic!("nobody said `{what}` in {PATIENCE:?}");
    }
}

impl Node {
    /// Memory that the process has in use, in kilobytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it is up");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse().expect("it is a number")
    }

    /// File descriptors that it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("it is up").count()
    }

    fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it can be waited for");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be gone.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
