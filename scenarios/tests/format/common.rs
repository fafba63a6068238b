//! A small protocol with something of everything that a scenario file can mention, for tests of the format.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scenarios::format::{FileError, Scenario, parse};
use scenarios::registry::Registry;
use sim_core::library::{AtMostOne, Eventually, Sometimes};
use sim_core::{Actor, Class, Cluster, Context, Defect, Factory, Invariant, Named, NodeId, Property, Protocol, World};

/// A primary that sends heartbeats, and backups that take over when they stop.
pub struct Pair;

#[derive(Clone, Hash)]
pub struct Node {
    config: Settings,
    rank: usize,
    peers: Vec<NodeId>,
    primary: bool,
    client: bool,
}

#[derive(Clone, Debug, Hash)]
pub enum Message {
    Heartbeat,
    Request,
    Answer,
}
sim_core::kinds!(Message { Heartbeat, Request, Answer });

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    Beat,
    Silence,
}

#[derive(Clone, Debug, Hash)]
pub enum Command {
    StepDown,
    Shutdown,
}

#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema, Hash)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Time from one heartbeat to the next.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub heartbeat_interval: Duration,
    /// Heartbeats that may be missed before a backup takes over.
    pub misses: u32,
    /// How a backup decides.
    pub decision: Decision,
}

#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// By itself.
    #[default]
    Alone,
    /// Never.
    Never,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { heartbeat_interval: Duration::from_millis(500), misses: 4, decision: Decision::Alone }
    }
}

impl Node {
    fn rise(&mut self, ctx: &mut Context<Self>) {
        self.primary = true;
        ctx.mark("promoted");
        ctx.set_timer(Timer::Beat, Duration::ZERO);
        ctx.cancel_timer(Timer::Silence);
    }

    fn wait(&self, ctx: &mut Context<Self>) {
        if matches!(self.config.decision, Decision::Alone) {
            let patience = self.config.misses + 2 * self.rank as u32;
            ctx.set_timer(Timer::Silence, self.config.heartbeat_interval * patience);
        }
    }
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = ();
    type Command = Command;

    fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) {
        ctx.mark("started");
        if self.client {
            ctx.set_timer(Timer::Beat, Duration::from_secs(1));
        } else if self.rank == 0 && ctx.now() == sim_core::Instant::ZERO {
            self.rise(ctx);
        } else {
            self.wait(ctx);
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match message {
            Message::Heartbeat if self.primary && from < ctx.node() => self.primary = false,
            Message::Heartbeat if !self.client => self.wait(ctx),
            Message::Request if self.primary => ctx.send(from, Message::Answer),
            _ => {}
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match timer {
            Timer::Silence => self.rise(ctx),
            Timer::Beat if self.client => {
                for &peer in &self.peers {
                    ctx.send(peer, Message::Request);
                }
                ctx.set_timer(Timer::Beat, Duration::from_secs(1));
            }
            Timer::Beat if self.primary => {
                for &peer in &self.peers {
                    ctx.send(peer, Message::Heartbeat);
                }
                ctx.set_timer(Timer::Beat, self.config.heartbeat_interval);
            }
            Timer::Beat => self.wait(ctx),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        match command {
            Command::StepDown => self.primary = false,
            Command::Shutdown => ctx.halt(),
        }
    }
}

impl Protocol for Pair {
    type Actor = Node;
    type Config = Settings;
    const NAME: &'static str = "pair";
    const ABOUT: &'static str = "A primary and its backups.";
    const ROLES: &'static [Named] = &[
        Named { name: "primary", about: "Serves." },
        Named { name: "backup", about: "Takes over." },
        Named { name: "client", about: "Asks." },
    ];
    const DEFECTS: &'static [Defect] = &[
        Defect { id: "PAIR-1", about: "Nobody ever steps down.", breaks: &["at-most-one-primary"] },
        Defect { id: "PAIR-20", about: "Backups sleep.", breaks: &["a-primary-again"] },
    ];
    const MARKS: &'static [Named] = &[
        Named { name: "started", about: "A process has started." },
        Named { name: "promoted", about: "A node has become primary." },
    ];
    const INVARIANTS: &'static [Property] = &[
        Property { name: "at-most-one-primary", class: Class::Safety, about: "No two nodes are primary." },
        Property { name: "a-primary-again", class: Class::Liveness, about: "Somebody is primary in the end." },
        Property { name: "two-primaries", class: Class::Coverage, about: "The dangerous case." },
    ];
    const COMMANDS: &'static [Named] = &[
        Named { name: "step-down", about: "A primary becomes a backup." },
        Named { name: "shutdown", about: "The process ends." },
    ];

    fn command(text: &str) -> Option<Command> {
        match text {
            "step-down" => Some(Command::StepDown),
            "shutdown" => Some(Command::Shutdown),
            _ => None,
        }
    }

    fn validate(cluster: &Cluster<Settings>) -> Result<(), String> {
        match cluster.with_role("primary").count() {
            1 => Ok(()),
            count => Err(format!("it needs exactly one `primary`, and there are {count}")),
        }
    }

    fn factory(cluster: &Cluster<Settings>) -> Factory<Node> {
        let cluster = cluster.clone();
        Arc::new(move |node| {
            let nodes = (0..cluster.members.len() as u16).map(NodeId);
            Node {
                config: cluster.config.clone(),
                rank: node.index(),
                peers: nodes.filter(|&peer| peer != node).collect(),
                primary: false,
                client: cluster.members[node.index()].role == "client",
            }
        })
    }

    fn invariant(name: &str, _: &Cluster<Settings>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        let within = within.unwrap_or(Duration::from_secs(20));
        let primaries = |world: &World<Node>| {
            world.node_ids().filter(|&node| world.actor(node).is_some_and(|actor| actor.primary)).count()
        };
        match name {
            "at-most-one-primary" => {
                Some(Box::new(AtMostOne::new("at-most-one-primary", "primary", |node: &Node| node.primary)))
            }
            "a-primary-again" => {
                Some(Box::new(Eventually::within("a-primary-again", within, move |world| primaries(world) >= 1)))
            }
            "two-primaries" => Some(Box::new(Sometimes::in_world("two-primaries", move |world| primaries(world) >= 2))),
            _ => None,
        }
    }
}

/// A registry with only this protocol.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register::<Pair>();
    registry
}

/// Reads a scenario of this protocol.
pub fn read(text: &str) -> Result<Scenario, FileError> {
    parse("test", Path::new("test.toml"), text.into(), &registry())
}

/// A scenario that uses every key there is.
pub const EVERYTHING: &str = include_str!("everything.toml");

/// An error as a terminal of a fixed width shows it, without colour and special characters.
pub fn rendered(error: &FileError) -> String {
    let mut text = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none())
        .with_width(100)
        .render_report(&mut text, error)
        .expect("a String can be written to");
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
