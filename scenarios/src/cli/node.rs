//! `fencepost node`: one node of a scenario as this process.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread;

use sim_core::host::frame::Frame;
use sim_core::host::record::{Framed, Said, Told};
use sim_core::host::tokio::{Ending, Observer, Options};
use sim_core::{Instant, NodeId};
use tokio::sync::mpsc;

use super::args::NodeArgs;
use super::exit::{self, Stop};
use super::terminal::Terminal;
use super::{Environment, campaign};
use crate::format::nearest;
use crate::registry::{Compiled, Registry};

/// The port of the first node, unless somebody says otherwise.
const PORT: u16 = 7400;

/// Runs one node until its actor stops.
pub fn node(args: &NodeArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let Some((_, compiled)) = campaign::load_one(&args.scenario, "node", registry, terminal)? else {
        return Ok(exit::BAD_FILE);
    };
    let environment = Environment::read().map_err(Stop::Usage)?;
    let node = number(&*compiled, &args.node)?;
    let options = Options {
        node,
        addresses: addresses(&*compiled, node, args)?,
        directory: args.disk.clone().unwrap_or_else(|| PathBuf::from("fencepost-disks").join(&args.node)),
        run: args.run,
        supervised: args.supervised,
        speed: args.speed,
    };
    let schedule = compiled.schedule(args.seed.or(environment.seed).unwrap_or(0));
    let (teller, told) = mpsc::channel(64);
    let ended = if args.supervised {
        thread::spawn(move || listen(&teller));
        let mut supervisor = Supervisor(io::stdout());
        let ended = compiled.live(&schedule, &options, &mut supervisor, told);
        if let Some(Err(error)) = &ended {
            // Whoever started it hears why. If nobody does, nobody wants to know.
            _ = supervisor.say(&Said::Failed(error.to_string()));
        }
        ended
    } else {
        terminal.print(&format!("{} listens at {}\n", args.node, options.addresses[node.index()]))?;
        let ended = compiled.live(&schedule, &options, &mut Person(terminal), told);
        drop(teller);
        ended
    };
    match ended {
        None => Err(Stop::Usage(format!(
            "`{}` cannot run as processes: it does not say how its messages are written down (`Protocol::wire`)",
            compiled.scenario().protocol
        ))),
        Some(Err(error)) => Err(Stop::Failed(error.to_string())),
        Some(Ok(Ending::Halted | Ending::Alone)) => Ok(exit::EXPECTED),
    }
}

fn number(compiled: &dyn Compiled, name: &str) -> Result<NodeId, Stop> {
    let names = compiled.node_names();
    let found = names.iter().position(|known| known == name);
    found.map(|number| NodeId(number as u16)).ok_or_else(|| {
        let meant = nearest(name, names.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
        let scenario = &compiled.scenario().name;
        let hint = meant.unwrap_or_else(|| format!("; there are {}", names.join(", ")));
        Stop::Usage(format!("`{scenario}` has no node `{name}`{hint}"))
    })
}

/// Where all nodes listen.
fn addresses(compiled: &dyn Compiled, node: NodeId, args: &NodeArgs) -> Result<Vec<SocketAddr>, Stop> {
    let at = |number: usize| SocketAddr::from((Ipv4Addr::LOCALHOST, PORT + number as u16));
    let mut addresses: Vec<SocketAddr> = (0..compiled.node_names().len()).map(at).collect();
    for (name, address) in &args.peers {
        addresses[number(compiled, name)?.index()] = *address;
    }
    if let Some(listen) = args.listen {
        addresses[node.index()] = listen;
    }
    Ok(addresses)
}

/// Hears a supervisor until it falls silent.
fn listen(teller: &mpsc::Sender<Told>) {
    let mut stdin = io::stdin().lock();
    while let Ok(Some(frame)) = Frame::wait_for(&mut stdin) {
        let Some(told) = Told::from_frame(&frame) else { break };
        if teller.blocking_send(told).is_err() {
            break;
        }
    }
}

/// Somebody who reads frames.
struct Supervisor(io::Stdout);

impl Observer for Supervisor {
    fn say(&mut self, said: &Said) -> io::Result<()> {
        let too_long = || io::Error::new(io::ErrorKind::InvalidData, "a note is too long for a frame");
        let frame = said.to_frame().ok_or_else(too_long)?;
        let mut out = self.0.lock();
        out.write_all(&frame)?;
        out.flush()
    }
}

/// Somebody at a terminal.
struct Person<'a>(&'a mut Terminal);

impl Observer for Person<'_> {
    fn say(&mut self, said: &Said) -> io::Result<()> {
        match said {
            Said::Power { .. } => Err(io::Error::other("nobody here can switch the power of a machine")),
            _ => Ok(()),
        }
    }

    fn role(&mut self, at: Instant, role: &'static str) {
        // The terminal may be gone; the node is not its servant.
        _ = self.0.print(&format!("{at:>12}  is {}\n", if role.is_empty() { "without a role" } else { role }));
    }

    fn mark(&mut self, at: Instant, mark: &'static str) {
        _ = self.0.print(&format!("{at:>12}  {mark}\n"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Verb};

    fn addresses_of(arguments: &[&str]) -> Vec<String> {
        let text = include_str!("../../lease/steady.toml");
        let registry = Registry::bundled();
        let scenario = crate::format::parse("lease/steady", "steady.toml".as_ref(), text.into(), &registry);
        let compiled = registry.compile(&Arc::new(scenario.expect("it is sound"))).expect("it can run");
        let command = ["fencepost", "node", "lease/steady", "b"].iter().chain(arguments);
        let Some(Verb::Node(args)) = Cli::parse_from(command).verb else { unreachable!("it says `node`") };
        let addresses = addresses(&*compiled, NodeId(1), &args).expect("all of them are nodes");
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_node_and_its_peers_are_on_the_loopback_interface_unless_somebody_says_otherwise() {
        let alone = ["127.0.0.1:7400", "127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
        assert_eq!(addresses_of(&[]), alone);
        let told = addresses_of(&["--listen", "0.0.0.0:9000", "--peer", "store=10.0.0.7:7400"]);
        assert_eq!(told, ["127.0.0.1:7400", "0.0.0.0:9000", "127.0.0.1:7402", "10.0.0.7:7400"]);
    }
}
