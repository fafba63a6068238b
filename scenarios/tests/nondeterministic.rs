//! A protocol that depends on more than its seed, where only the contents of a message show it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use scenarios::format;
use scenarios::registry::Registry;
use scenarios::runner::{self, Options, Verdict};
use sim_core::{Actor, Cluster, Context, Defect, Factory, Invariant, Named, NodeId, Property, Protocol};

/// What a handler must never look at.
static CALLS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Hash)]
struct Leaky;

#[derive(Clone, Debug, Hash)]
struct Message(u64);

impl sim_core::Kind for Message {
    const KINDS: &'static [&'static str] = &["Message"];
    fn kind(&self) -> &'static str {
        "Message"
    }
}

impl Actor for Leaky {
    type Message = Message;
    type Timer = ();
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) {
        ctx.mark("started");
        let peer = NodeId(1 - ctx.node().0);
        ctx.send(peer, Message(CALLS.fetch_add(1, Ordering::Relaxed)));
    }
    fn on_message(&mut self, _: NodeId, _: Message, _: &mut Context<Self>) {}
    fn on_timer(&mut self, (): (), _: &mut Context<Self>) {}
}

#[derive(Clone, Default, serde::Deserialize, schemars::JsonSchema, Hash)]
#[serde(deny_unknown_fields)]
struct Settings {}

struct LeakyProtocol;

impl Protocol for LeakyProtocol {
    type Actor = Leaky;
    type Config = Settings;
    const NAME: &'static str = "leaky";
    const ABOUT: &'static str = "Numbers its messages across runs.";
    const ROLES: &'static [Named] = &[Named { name: "server", about: "Sends one message." }];
    const DEFECTS: &'static [Defect] = &[];
    const MARKS: &'static [Named] = &[Named { name: "started", about: "A server has started." }];
    const INVARIANTS: &'static [Property] = &[];
    const COMMANDS: &'static [Named] = &[];

    fn command(_: &str) -> Option<()> {
        None
    }
    fn validate(_: &Cluster<Settings>) -> Result<(), String> {
        Ok(())
    }
    fn factory(_: &Cluster<Settings>) -> Factory<Leaky> {
        Arc::new(|_| Leaky)
    }
    fn invariant(_: &str, _: &Cluster<Settings>, _: Option<Duration>) -> Option<Box<dyn Invariant<Leaky>>> {
        None
    }
}

fn verdict(check_determinism: bool) -> Verdict {
    let mut registry = Registry::new();
    registry.register::<LeakyProtocol>();
    let text = r#"
        schema = 1
        about = "Two servers greet each other."
        protocol = "leaky"
        duration = "1s"
        seeds = 3
        cluster.nodes = { alpha = "server", beta = "server" }
        invariant = [{ sometimes = "started" }]
    "#;
    let scenario = format::parse("greet", "greet.toml".as_ref(), text.into(), &registry).expect("it is sound");
    let compiled = registry.compile(&Arc::new(scenario)).expect("it is sound");
    let options = Options { check_determinism, ..Options::default() };
    let result = runner::run(&*compiled, &[], &options, |_| ControlFlow::Continue(())).expect("threads can be started");
    result.verdict
}

#[test]
fn a_difference_that_only_the_contents_of_a_message_show_is_found() {
    assert_eq!(verdict(false), Verdict::Pass, "the rolling hash knows only the kinds of messages");
    assert_eq!(verdict(true), Verdict::Nondeterministic);
}
