//! Actors of one function each, and campaigns over them.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;

use sim_core::{
    Actor, ConnectionEvent, Context, FaultPlan, Invariant, Kind, Limits, NetworkConfig, NodeId, Run, Schedule, Setup,
    World,
};

use crate::script::secs;

/// A word and a number.
#[derive(Clone, Debug, Hash)]
pub struct Say(pub &'static str, pub u64);

impl Kind for Say {
    const KINDS: &'static [&'static str] = &["Say"];
    fn kind(&self) -> &'static str {
        "Say"
    }
    fn bytes(&self) -> u32 {
        1000
    }
}

/// What happens to an actor.
pub enum Event {
    Start,
    Message(NodeId, &'static str, u64),
    Timer(&'static str),
    Connection(ConnectionEvent),
}

pub type Ctx<'a, S> = Context<'a, Tiny<S>>;
pub type React<S> = fn(&mut S, Event, &mut Ctx<'_, S>);

/// A state and the one function that changes it. `sound` tells the sound twin from the defective one.
#[derive(Clone, Hash)]
pub struct Tiny<S: Clone + Hash + 'static> {
    pub state: S,
    react: React<S>,
}

impl<S: Clone + Hash + 'static> Actor for Tiny<S> {
    type Message = Say;
    type Timer = &'static str;
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) {
        (self.react)(&mut self.state, Event::Start, ctx);
    }

    fn on_message(&mut self, from: NodeId, Say(word, number): Say, ctx: &mut Context<Self>) {
        (self.react)(&mut self.state, Event::Message(from, word, number), ctx);
    }

    fn on_timer(&mut self, timer: &'static str, ctx: &mut Context<Self>) {
        (self.react)(&mut self.state, Event::Timer(timer), ctx);
    }

    fn on_connection(&mut self, _: NodeId, event: ConnectionEvent, ctx: &mut Context<Self>) {
        (self.react)(&mut self.state, Event::Connection(event), ctx);
    }
}

/// A cluster of three such nodes, half a minute long.
#[derive(Clone)]
pub struct Trial<S: Clone + Hash + 'static> {
    pub state: S,
    pub react: React<S>,
    pub network: NetworkConfig,
    pub faults: FaultPlan,
}

/// What a campaign over all seeds came to.
#[derive(Debug, Default)]
pub struct Findings {
    /// Names of what was violated.
    pub violated: BTreeSet<String>,
    /// The first violation in words.
    pub first: Option<String>,
    pub seeds_violated: u32,
    pub seeds_reached: u32,
}

const SEEDS: u64 = 300;

impl<S: Clone + Hash + Send + Sync + 'static> Trial<S> {
    pub fn new(state: S, react: React<S>) -> Self {
        Trial { state, react, network: NetworkConfig::default(), faults: FaultPlan::default() }
    }

    fn run(&self, invariant: impl Invariant<Tiny<S>> + Clone + 'static) -> Findings {
        let (state, react) = (self.state.clone(), self.react);
        let mut setup = Setup::new(["n0", "n1", "n2"], move |_| Tiny { state: state.clone(), react });
        setup.network = self.network.clone();
        let setup = Arc::new(setup);
        let mut findings = Findings::default();
        for seed in 0..SEEDS {
            let schedule = Schedule { faults: self.faults.clone(), ..Schedule::seeded(seed) };
            let world = World::new(&setup, &Arc::new(schedule));
            let limits = Limits { duration: secs(30), ..Limits::default() };
            let outcome = Run::new(world, vec![Box::new(invariant.clone())], limits).to_end();
            findings.seeds_reached += u32::from(!outcome.reached.is_empty());
            if let Some(violation) = outcome.violation {
                findings.seeds_violated += 1;
                findings.violated.insert(violation.invariant);
                findings.first.get_or_insert(format!("seed {seed}: {}", violation.message));
            }
        }
        findings
    }

    /// The invariant is violated in some seed, and nothing else is.
    pub fn is_caught(&self, invariant: impl Invariant<Tiny<S>> + Clone + 'static) {
        let name = invariant.name().to_owned();
        let findings = self.run(invariant);
        assert_eq!(findings.violated, BTreeSet::from([name]), "{findings:?}");
    }

    /// Nothing is violated in any seed.
    pub fn passes(&self, invariant: impl Invariant<Tiny<S>> + Clone + 'static) {
        let findings = self.run(invariant);
        assert_eq!(findings.seeds_violated, 0, "{findings:?}");
    }

    /// In how many seeds a coverage property was reached.
    pub fn seeds_reached(&self, invariant: impl Invariant<Tiny<S>> + Clone + 'static) -> u32 {
        self.run(invariant).seeds_reached
    }
}
