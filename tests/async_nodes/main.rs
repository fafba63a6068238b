//! Nodes that are asynchronous code, in a scenario like any other: the code in `code.rs` knows nothing of this crate.

#![cfg(madsim)]

mod code;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use code::Seen;
use scenarios::format::parse;
use scenarios::registry::{Compiled, Engine, Registry, objection_to};
use scenarios::runner::{self, Options, ScenarioResult, Verdict};
use sim_core::history::{Call, Operation, Step};
use sim_core::host::{Probe, Program};
use sim_core::library::{AtMostOne, Linearizable, Sometimes};
use sim_core::{
    Actor, Class, Cluster, Context, Defect, Factory, Fault, Instant, Invariant, Named, NodeId, Property, Protocol,
    Trigger,
};

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

fn compiled(bug: bool) -> Box<dyn Compiled> {
    let mut registry = Registry::new();
    registry.register::<LeasedRegister>();
    let defects = format!("cluster.defects = [\"{BUG}\"]");
    let text = SCENARIO.replace("DEFECTS", if bug { &defects } else { "" });
    let text = text.replace("EXPECT", if bug { "[expect]\nviolates = \"one-leader\"" } else { "" });
    let scenario = parse("async", "async.toml".as_ref(), text.into(), &registry).expect("the scenario is sound");
    registry.compile(&Arc::new(scenario)).expect("it can be run")
}

fn campaign(compiled: &dyn Compiled, jobs: usize) -> ScenarioResult {
    let options = Options { engine: Engine::Madsim, jobs, ..Options::default() };
    runner::run(compiled, &[], &options, |_| ControlFlow::Continue(())).expect("threads can be started")
}

#[test]
fn the_code_is_sound_whatever_breaks() {
    let result = campaign(&*Engine::Madsim.host(compiled(false)), 0);
    assert_eq!(result.verdict, Verdict::Pass, "{result:?}");
    for kind in ["crash", "pause", "partition", "one-way"] {
        assert!(result.faults_fired[kind] > 10, "{:?}", result.faults_fired);
    }
}

#[test]
fn a_campaign_finds_the_bug() {
    let result = campaign(&*Engine::Madsim.host(compiled(true)), 0);
    assert!(result.expected, "{result:?}");
}

/// A fault that cannot be brought about must not look like one that changed nothing.
#[test]
fn what_cannot_reach_the_code_is_refused() {
    let hosted = Engine::Madsim.host(compiled(false));
    let mut schedule = hosted.schedule(0);
    schedule.faults.push(
        Trigger::At(Instant::from(Duration::from_secs(1))),
        Fault::Slow { node: NodeId(1), per_event: Duration::from_millis(1) },
        Some(Duration::from_secs(1)),
    );
    let violation = sim_core::search::guarded(|| hosted.run(&schedule)).violation.expect("it is refused");
    assert!(violation.message.contains("slow cannot reach a, which is asynchronous code"), "{violation:?}");
}

#[test]
fn a_seed_is_one_run() {
    let hosted = Engine::Madsim.host(compiled(false));
    assert_eq!(campaign(&*hosted, 1).tally, campaign(&*hosted, 3).tally);
}

#[test]
fn the_native_engine_says_that_it_cannot_run_it() {
    let native = compiled(false);
    let objection = objection_to(&*native).expect("there is one");
    assert_eq!(
        objection,
        "of `async`, w, a, b, client-1 are asynchronous code, which only madsim can run: add `--engine madsim`"
    );
    let outcome = sim_core::search::guarded(|| native.run(&native.schedule(0)));
    assert!(outcome.violation.is_some_and(|violation| violation.message.contains("--engine madsim")));
    assert_eq!(objection_to(&*Engine::Madsim.host(native)), None);
}
