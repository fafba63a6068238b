//! The protocols that scenario files can name, behind one interface without type parameters.
//!
//! A protocol is generic over its messages, timers and records; files, the runner and the reports are not. This is
//! the one place where the types are erased.
//!
//! A crate of your own registers its protocol beside the bundled ones, or instead of them:
//!
//! ```
//! use scenarios::registry::Registry;
//! # use sim_core::*;
//! # use std::{sync::Arc, time::Duration};
//! # #[derive(Clone, Hash)]
//! # struct Quiet;
//! # impl Actor for Quiet {
//! #     type Message = ();
//! #     type Timer = ();
//! #     type Record = ();
//! #     type Command = ();
//! #     fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) { ctx.mark("started") }
//! #     fn on_message(&mut self, _: NodeId, _: (), _: &mut Context<Self>) {}
//! #     fn on_timer(&mut self, _: (), _: &mut Context<Self>) {}
//! # }
//! # #[derive(Clone, Default, serde::Deserialize, schemars::JsonSchema)]
//! # struct Settings {}
//! struct MyProtocol;
//!
//! impl Protocol for MyProtocol {
//!     const NAME: &'static str = "my-protocol";
//!     const ROLES: &'static [Named] = &[Named { name: "server", about: "Serves." }];
//!     const MARKS: &'static [Named] = &[Named { name: "started", about: "A server has started." }];
//!     // ... and so on
//! #     type Actor = Quiet;
//! #     type Config = Settings;
//! #     const ABOUT: &'static str = "Does nothing.";
//! #     const DEFECTS: &'static [Defect] = &[];
//! #     const INVARIANTS: &'static [Property] = &[];
//! #     const COMMANDS: &'static [Named] = &[];
//! #     fn command(_: &str) -> Option<()> { None }
//! #     fn validate(_: &Cluster<Settings>) -> Result<(), String> { Ok(()) }
//! #     fn factory(_: &Cluster<Settings>) -> Factory<Quiet> { Arc::new(|_| Quiet) }
//! #     fn invariant(_: &str, _: &Cluster<Settings>, _: Option<Duration>) -> Option<Box<dyn Invariant<Quiet>>> { None }
//! }
//!
//! let mut registry = Registry::bundled();
//! registry.register::<MyProtocol>();
//!
//! let text = r#"
//!     schema = 1
//!     about = "A server starts."
//!     protocol = "my-protocol"
//!     duration = "1s"
//!     seeds = 10
//!     cluster.nodes = { alpha = "server" }
//!     invariant = [{ sometimes = "started" }]
//! "#;
//! let scenario = scenarios::format::parse("start", "start.toml".as_ref(), text.into(), &registry)?;
//! let compiled = registry.compile(&Arc::new(scenario))?;
//! let outcome = compiled.run(&compiled.schedule(7));
//! assert_eq!(outcome.reached, ["started"]);
//! # Ok::<(), scenarios::format::FileError>(())
//! ```

mod compiled;
mod config;
mod engine;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use ::tokio::sync::mpsc::Receiver;
use rayon::ThreadPoolBuildError;
use schemars::generate::SchemaSettings;
use sim_core::host::mirror::Follower;
use sim_core::host::record::Told;
use sim_core::host::tokio;
use sim_core::search::shrink::{Observed, Trial};
use sim_core::search::{Exploration, Explorer, Orders, Untimed};
use sim_core::trace::Trace;
use sim_core::{Actor, Cluster, Defect, Instant, Kind, Member, Named, Outcome, Property, Protocol, Schedule};
use toml::Spanned;
use toml::de::DeValue;

pub use engine::{Engine, objection_to, objection_to_searching};

use crate::format::{FileError, Scenario, Span, nearest};

/// The protocols that scenario files can name.
#[derive(Clone, Default)]
pub struct Registry {
    protocols: BTreeMap<&'static str, Arc<dyn AnyProtocol>>,
}

impl Registry {
    /// A registry without any protocol.
    pub fn new() -> Self {
        Registry::default()
    }

    /// The protocols that come with Fencepost.
    pub fn bundled() -> Self {
        let mut registry = Registry::new();
        registry.register::<protocols::artemis_flow_control::ArtemisFlowControl>();
        registry.register::<protocols::artemis::Artemis>();
        registry.register::<protocols::artemis_lock_manager::ArtemisLockManager>();
        registry.register::<protocols::artemis_shared_store::ArtemisSharedStore>();
        registry.register::<protocols::derby::Derby>();
        registry.register::<protocols::jboss::Jboss>();
        registry.register::<protocols::lease::Lease>();
        registry.register::<protocols::pvc::Pvc>();
        registry.register::<protocols::sling::Sling>();
        registry.register::<protocols::two_phase_commit::TwoPhaseCommit>();
        registry
    }

    /// Adds a protocol, or replaces the one of the same name.
    pub fn register<P: Protocol>(&mut self) -> &mut Self {
        self.protocols.insert(P::NAME, Arc::new(Erased::<P>(PhantomData)));
        self
    }

    /// The protocol called `name`.
    pub fn get(&self, name: &str) -> Option<&dyn AnyProtocol> {
        self.protocols.get(name).map(|protocol| &**protocol)
    }

    /// The name of the protocol that `name` is most likely meant to be.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.protocols.keys().copied())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &dyn AnyProtocol> {
        self.protocols.values().map(|protocol| &**protocol)
    }

    /// Makes a scenario ready to run.
    ///
    /// # Errors
    /// What the protocol finds wrong with the scenario; nothing if it was read with this registry.
    pub fn compile(&self, scenario: &Arc<Scenario>) -> Result<Box<dyn Compiled>, FileError> {
        match self.get(&scenario.protocol) {
            Some(protocol) => protocol.compile(scenario),
            None => Err(scenario.refuse(vec![Complaint {
                span: None,
                message: format!("there is no protocol `{}`", scenario.protocol),
                help: "register it before the scenario is compiled".to_owned(),
            }])),
        }
    }
}

/// A protocol whose types are erased.
pub trait AnyProtocol: Send + Sync {
    /// Its name in scenario files.
    fn name(&self) -> &'static str;
    /// One sentence.
    fn about(&self) -> &'static str;
    /// The roles that a node can be given.
    fn roles(&self) -> &'static [Named];
    /// Historical bugs that can be switched back on.
    fn defects(&self) -> &'static [Defect];
    /// The milestones that its nodes set.
    fn marks(&self) -> &'static [Named];
    /// The properties that can be asked of it.
    fn properties(&self) -> &'static [Property];
    /// What its nodes can be asked.
    fn commands(&self) -> &'static [Named];
    /// The kinds of its messages.
    fn message_kinds(&self) -> &'static [&'static str];
    /// JSON schema (draft 7) of its settings.
    fn config_schema(&self) -> serde_json::Value;

    /// What is wrong with a cluster and its settings. Without members, only the settings are looked at.
    fn check(
        &self,
        members: &[Member],
        config: Option<Spanned<DeValue<'_>>>,
        defects: &BTreeSet<String>,
    ) -> Vec<Complaint>;

    /// Makes a scenario ready to run.
    ///
    /// # Errors
    /// Settings that do not fit the protocol, or a cluster that makes no sense to it.
    fn compile(&self, scenario: &Arc<Scenario>) -> Result<Box<dyn Compiled>, FileError>;
}

/// What a protocol finds wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Where, if it is not the cluster as a whole.
    pub span: Option<Span>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// A scenario that is ready to run. One value serves any number of threads.
pub trait Compiled: Send + Sync {
    /// The scenario.
    fn scenario(&self) -> &Arc<Scenario>;

    /// Names of the nodes, by number; clients last.
    fn node_names(&self) -> &[String];

    /// What `seed` makes of the scenario: its clocks, steps and random faults. A pure function of the seed.
    fn schedule(&self, seed: u64) -> Schedule;

    /// Runs a schedule to its end or to the first violation.
    fn run(&self, schedule: &Schedule) -> Outcome;

    /// The same with everything that happened written down. The outcome is the same as that of [`Compiled::run`].
    fn record(&self, schedule: &Schedule) -> (Outcome, Trace);

    /// The engine of [`Compiled::run`] and [`Compiled::record`].
    fn engine(&self) -> Engine {
        Engine::Native
    }

    /// Names of the nodes that are asynchronous code, which only madsim can run.
    fn asynchronous(&self) -> &[String] {
        &[]
    }

    /// Runs a schedule on madsim, to its end or to the first violation; with everything written down if it is to be
    /// recorded.
    ///
    /// # Panics
    /// If this program was built without madsim's simulator.
    fn run_on_madsim(&self, schedule: &Schedule, record: bool) -> (Outcome, Trace);

    /// Follows real processes, which bring the run about that a schedule makes of the scenario; with everything written down
    /// if it is to be recorded. `None` if the protocol does not say how its messages are written down.
    fn follow(&self, schedule: &Schedule, record: bool) -> Option<Box<dyn Follower>>;

    /// Runs one node as this process, until it stops. `None` as for [`Compiled::follow`].
    fn live(
        &self,
        schedule: &Schedule,
        options: &tokio::Options,
        observer: &mut dyn tokio::Observer,
        told: Receiver<Told>,
    ) -> Option<io::Result<tokio::Ending>>;

    /// The kinds of the protocol's messages.
    fn message_kinds(&self) -> &'static [&'static str];

    /// Explores what can break in the run that `base` makes of the scenario. No `sometimes` is asked for: it speaks about
    /// a campaign.
    ///
    /// # Errors
    /// If the operating system refuses the threads.
    fn explore(&self, explorer: Explorer<'_>, base: &Schedule) -> Result<Exploration, ThreadPoolBuildError>;

    /// Takes every order of messages and timers. Only safety is asked for: nothing happens in time.
    fn orders(&self, untimed: Untimed<'_>, base: &Schedule) -> Orders;

    /// Runs a schedule to its end or to the first violation, or gives up at `until` if nothing was violated by then.
    fn run_until(&self, schedule: &Schedule, until: Instant) -> Trial;

    /// The same with what chance decided in the run.
    fn observe(&self, schedule: &Schedule, until: Instant) -> (Trial, Observed);

    /// The world time of each event of the same run, in order.
    fn event_times(&self, schedule: &Schedule, until: Instant) -> Vec<Instant>;

    /// The same scenario with every defect switched off; `None` if it switches none on.
    fn without_defects(&self) -> Option<Box<dyn Compiled>>;
}

struct Erased<P>(PhantomData<fn() -> P>);

impl<P: Protocol> AnyProtocol for Erased<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn about(&self) -> &'static str {
        P::ABOUT
    }

    fn roles(&self) -> &'static [Named] {
        P::ROLES
    }

    fn defects(&self) -> &'static [Defect] {
        P::DEFECTS
    }

    fn marks(&self) -> &'static [Named] {
        P::MARKS
    }

    fn properties(&self) -> &'static [Property] {
        P::INVARIANTS
    }

    fn commands(&self) -> &'static [Named] {
        P::COMMANDS
    }

    fn message_kinds(&self) -> &'static [&'static str] {
        <P::Actor as Actor>::Message::KINDS
    }

    fn config_schema(&self) -> serde_json::Value {
        let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<P::Config>().to_value()
    }

    fn check(
        &self,
        members: &[Member],
        config: Option<Spanned<DeValue<'_>>>,
        defects: &BTreeSet<String>,
    ) -> Vec<Complaint> {
        let config = match config {
            Some(written) => config::read::<P::Config>(written, &self.config_schema()),
            None => Ok(P::Config::default()),
        };
        match config {
            Ok(_) if members.is_empty() => Vec::new(),
            Ok(config) => {
                let cluster = Cluster { members: members.to_vec(), config, defects: defects.clone() };
                compiled::objections::<P>(&cluster)
            }
            Err(complaints) => complaints,
        }
    }

    fn compile(&self, scenario: &Arc<Scenario>) -> Result<Box<dyn Compiled>, FileError> {
        compiled::Ready::<P>::new(scenario).map(|ready| Box::new(ready) as Box<dyn Compiled>)
    }
}
