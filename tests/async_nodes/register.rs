//! A register on two servers in asynchronous code, introduced as a protocol, and a scenario of it.

use std::sync::Arc;
use std::time::Duration;

use scenarios::registry::Registry;
use sim_core::history::{Call, Operation, Step};
use sim_core::host::{Probe, Program};
use sim_core::library::{AtMostOne, Linearizable, Sometimes};
use sim_core::{
    Actor, Class, Cluster, Context, Defect, Factory, Instant, Invariant, Named, NodeId, Property, Protocol,
};

use crate::code::{self, Seen};

/// What is seen of a node.
#[derive(Clone, Hash)]
struct Node {
    /// Until when it may answer clients.
    leads_until: Instant,
}

impl Actor for Node {
    type Message = ();
    type Timer = ();
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _: &[()], _: &mut Context<Self>) {}
    fn on_message(&mut self, _: NodeId, (): (), _: &mut Context<Self>) {}
    fn on_timer(&mut self, (): (), _: &mut Context<Self>) {}
}

impl Seen for Probe<Node> {
    fn leads(&self, remaining: Duration) {
        self.show(move |node, ctx| {
            if node.leads_until < ctx.now() {
                ctx.mark("took-over");
            }
            node.leads_until = ctx.now() + remaining;
        });
    }

    fn writes(&self, value: u64, done: bool) {
        let step = if done { Step::Returned(None) } else { Step::Invoked };
        self.show(move |_, ctx| ctx.record(Operation { id: value, call: Call::Write { key: 0, value }, step }));
    }

    fn reads(&self, id: u64, done: Option<Option<u64>>) {
        let step = done.map_or(Step::Invoked, Step::Returned);
        self.show(move |_, ctx| ctx.record(Operation { id, call: Call::Read { key: 0 }, step }));
    }
}

struct LeasedRegister;

const BUG: &str = "lease-from-answer";

impl Protocol for LeasedRegister {
    type Actor = Node;
    type Config = Settings;

    const NAME: &'static str = "leased-register";
    const ABOUT: &'static str = "A register on two servers, in asynchronous code.";
    const ROLES: &'static [Named] = &[
        Named { name: "witness", about: "Leases." },
        Named { name: "server", about: "Has the register." },
        Named { name: "client", about: "Writes and reads." },
    ];
    const DEFECTS: &'static [Defect] =
        &[Defect { id: BUG, about: "The lease is counted from the answer.", breaks: &["one-leader"] }];
    const MARKS: &'static [Named] = &[Named { name: "took-over", about: "A server leads that did not before." }];
    const INVARIANTS: &'static [Property] = &[
        Property { name: "one-leader", class: Class::Safety, about: "At most one server leads." },
        Property { name: "linearizable", class: Class::Safety, about: "The register is one register." },
    ];
    const COMMANDS: &'static [Named] = &[];

    fn command(_: &str) -> Option<()> {
        None
    }

    fn validate(_: &Cluster<Settings>) -> Result<(), String> {
        Ok(())
    }

    fn factory(_: &Cluster<Settings>) -> Factory<Node> {
        Arc::new(|_| Node { leads_until: Instant::ZERO })
    }

    fn program(cluster: &Cluster<Settings>, node: NodeId) -> Option<Program<Node>> {
        let bug = cluster.defects.iter().any(|defect| defect == BUG);
        let witness = cluster.with_role("witness").next()?;
        let servers: Vec<NodeId> = cluster.with_role("server").collect();
        let role = cluster.members[node.index()].role.clone();
        Some(Arc::new(move |probe: Probe<Node>| {
            let own = probe.address(node);
            let addresses: Vec<_> = servers.iter().map(|&server| probe.address(server)).collect();
            let witness = probe.address(witness);
            match role.as_str() {
                "witness" => Box::pin(code::witness(own)),
                "server" => {
                    let peer = addresses[usize::from(addresses[0] == own)];
                    Box::pin(code::server(own, peer, witness, bug, probe))
                }
                _ => Box::pin(code::client(own, [addresses[0], addresses[1]], probe)),
            }
        }))
    }

    fn invariant(name: &str, _: &Cluster<Settings>, _: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        match name {
            "one-leader" => Some(Box::new(AtMostOne::in_world("one-leader", "leading", |world, _, node: &Node| {
                node.leads_until > world.now()
            }))),
            "linearizable" => Some(Box::new(Linearizable::named("linearizable"))),
            "took-over" => Some(Box::new(Sometimes::marked("took-over"))),
            _ => None,
        }
    }
}

#[derive(Clone, Default, serde::Deserialize, schemars::JsonSchema)]
struct Settings {}

const SCENARIO: &str = r#"
schema = 1
about = "A register in asynchronous code, with everything that breaks."
protocol = "leased-register"
duration = "30s"
seeds = 60
cluster.nodes = { w = "witness", a = "server", b = "server" }
cluster.clients = 1
network.latency = ["1ms", "100ms"]
network.loss = 0.02
DEFECTS
[random]
window = ["1s", "24s"]
crash = { every = "8s", down = ["100ms", "3s"], at-most = 2 }
pause = { every = "8s", hold = ["100ms", "3s"] }
partition = { every = "8s", hold = ["500ms", "4s"], one-way = 0.3 }

[[invariant]]
always = "one-leader"
[[invariant]]
always = "linearizable"
[[invariant]]
sometimes = "took-over"
EXPECT
"#;

/// The scenario, with the bug or without it.
pub fn scenario(bug: bool) -> String {
    let defects = format!("cluster.defects = [\"{BUG}\"]");
    let text = SCENARIO.replace("DEFECTS", if bug { &defects } else { "" });
    text.replace("EXPECT", if bug { "[expect]\nviolates = \"one-leader\"" } else { "" })
}

/// Of this protocol alone.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register::<LeasedRegister>();
    registry
}
