//! A scenario with its protocol's types put back in: what makes worlds of it and runs them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::sync::mpsc::Receiver;
use rayon::ThreadPoolBuildError;
use serde::Deserialize;
use sim_core::host::mirror::{Follower, Mirror};
use sim_core::host::record::Told;
use sim_core::host::tokio;
use sim_core::library::Sometimes;
use sim_core::search::shrink::{Observed, Trial};
use sim_core::search::{Exploration, Explorer, Orders, Untimed};
use sim_core::trace::Trace;
use sim_core::{
    Actor, Class, Cluster, Instant, Invariant, Kind, NodeId, NodeSetup, Outcome, Protocol, Run, Schedule, Setup, World,
};

use super::{Compiled, Complaint, objection_to};
use crate::format::{FileError, InvariantSpec, Scenario};
use crate::nemesis;

pub(super) struct Ready<P: Protocol> {
    scenario: Arc<Scenario>,
    names: Vec<String>,
    cluster: Cluster<P::Config>,
    setup: Arc<Setup<P::Actor>>,
    /// Names of the nodes that are asynchronous code.
    asynchronous: Vec<String>,
}

/// What a protocol has against a cluster.
pub(super) fn objections<P: Protocol>(cluster: &Cluster<P::Config>) -> Vec<Complaint> {
    let objection = |message: String| Complaint {
        span: None,
        message: format!("`{}` cannot run on this cluster: {message}", P::NAME),
        help: "change the nodes, their roles or the settings".to_owned(),
    };
    P::validate(cluster).err().map(objection).into_iter().collect()
}

impl<P: Protocol> Ready<P> {
    pub(super) fn new(scenario: &Arc<Scenario>) -> Result<Self, FileError> {
        let config = match &scenario.config {
            Some(config) => P::Config::deserialize(config.value.clone()).map_err(|error| {
                scenario.refuse(vec![Complaint {
                    span: Some(config.span.clone()),
                    message: format!("these are no settings of `{}`: {}", P::NAME, error.message()),
                    help: "change what it complains of".to_owned(),
                }])
            })?,
            None => P::Config::default(),
        };
        let cluster = Cluster { members: scenario.members.clone(), config, defects: scenario.defects.clone() };
        let mut complaints = objections::<P>(&cluster);
        let unmade = scenario.invariants.iter().filter(|spec| invariant::<P>(spec, &cluster).is_none());
        complaints.extend(unmade.map(|spec| bug::<P>(format!("has no property `{}`", spec.name))));
        let commands: Vec<_> = scenario.commands.iter().map(|text| (text, P::command(text))).collect();
        let unknown = commands.iter().filter(|(_, command)| command.is_none());
        complaints.extend(unknown.map(|(text, _)| bug::<P>(format!("does not know its own command `{text}`"))));
        if !complaints.is_empty() {
            return Err(scenario.refuse(complaints));
        }
        let node = |member: &sim_core::Member| NodeSetup { name: member.name.clone(), host: member.host };
        let setup = Setup {
            nodes: scenario.members.iter().map(node).collect(),
            network: scenario.network.clone(),
            disk: scenario.disk.clone(),
            factory: P::factory(&cluster),
            commands: commands.into_iter().filter_map(|(_, command)| command).collect(),
        };
        let names = scenario.members.iter().map(|member| member.name.clone()).collect();
        let asynchronous = setup.node_ids().filter(|&node| is_asynchronous::<P>(&cluster, node));
        let asynchronous = asynchronous.map(|node| setup.name(node).to_owned()).collect();
        Ok(Ready { scenario: scenario.clone(), names, cluster, setup: Arc::new(setup), asynchronous })
    }

    fn start(&self, schedule: &Schedule) -> Run<P::Actor> {
        self.start_with(schedule, |_| true)
    }

    fn start_with(&self, schedule: &Schedule, asks: impl Fn(&InvariantSpec) -> bool) -> Run<P::Actor> {
        if let Some(objection) = objection_to(self) {
            panic!("{objection}");
        }
        self.watched(World::new(&self.setup, &Arc::new(schedule.clone())), asks)
    }

    /// Puts the invariants that are asked for beside a world.
    fn watched(&self, world: World<P::Actor>, asks: impl Fn(&InvariantSpec) -> bool) -> Run<P::Actor> {
        let asked = self.scenario.invariants.iter().filter(|spec| asks(spec));
        let invariants = asked.filter_map(|spec| invariant::<P>(spec, &self.cluster));
        Run::new(world, invariants.collect(), self.scenario.limits)
    }
}

#[cfg(madsim)]
fn is_asynchronous<P: Protocol>(cluster: &Cluster<P::Config>, node: NodeId) -> bool {
    P::program(cluster, node).is_some()
}

#[cfg(not(madsim))]
fn is_asynchronous<P: Protocol>(_: &Cluster<P::Config>, _: NodeId) -> bool {
    false
}

fn bug<P: Protocol>(what: String) -> Complaint {
    Complaint {
        span: None,
        message: format!("`{}` {what}", P::NAME),
        help: "this is a mistake in the protocol, which lists a name that it does not answer to".to_owned(),
    }
}

fn invariant<P: Protocol>(spec: &InvariantSpec, cluster: &Cluster<P::Config>) -> Option<Box<dyn Invariant<P::Actor>>> {
    let within: Option<Duration> = spec.within;
    let own = P::INVARIANTS.iter().any(|property| property.name == spec.name);
    if own {
        return P::invariant(&spec.name, cluster, within);
    }
    let mark = P::MARKS.iter().find(|mark| mark.name == spec.name && spec.class == Class::Coverage)?;
    Some(Box::new(Sometimes::marked(mark.name)))
}

impl<P: Protocol> Compiled for Ready<P> {
    fn scenario(&self) -> &Arc<Scenario> {
        &self.scenario
    }

    fn node_names(&self) -> &[String] {
        &self.names
    }

    fn schedule(&self, seed: u64) -> Schedule {
        nemesis::schedule(&self.scenario, seed)
    }

    fn run(&self, schedule: &Schedule) -> Outcome {
        self.start(schedule).to_end()
    }

    fn record(&self, schedule: &Schedule) -> (Outcome, Trace) {
        let mut run = self.start(schedule);
        run.world.record();
        let outcome = run.to_end();
        (outcome, run.world.trace().cloned().unwrap_or_default())
    }

    #[cfg(madsim)]
    fn run_on_madsim(&self, schedule: &Schedule, record: bool) -> (Outcome, Trace) {
        let run = |world| self.watched(world, |_| true);
        let program = |node| P::program(&self.cluster, node);
        sim_core::host::madsim::run(&self.setup, schedule, run, program, record)
    }

    fn asynchronous(&self) -> &[String] {
        &self.asynchronous
    }

    #[cfg(not(madsim))]
    fn run_on_madsim(&self, _: &Schedule, _: bool) -> (Outcome, Trace) {
        unreachable!("an engine that is not there has no name")
    }

    fn follow(&self, schedule: &Schedule, record: bool) -> Option<Box<dyn Follower>> {
        let mut run = self.start(schedule);
        if record {
            run.world.record();
        }
        Some(Box::new(Mirror::new(run, P::wire()?)))
    }

    fn live(
        &self,
        schedule: &Schedule,
        options: &tokio::Options,
        observer: &mut dyn tokio::Observer,
        told: Receiver<Told>,
    ) -> Option<io::Result<tokio::Ending>> {
        Some(tokio::run(&self.setup, schedule, &P::wire()?, options, observer, told))
    }

    fn message_kinds(&self) -> &'static [&'static str] {
        <P::Actor as Actor>::Message::KINDS
    }

    fn explore(&self, explorer: Explorer<'_>, base: &Schedule) -> Result<Exploration, ThreadPoolBuildError> {
        explorer.explore(base, |schedule| self.start_with(schedule, |spec| spec.class != Class::Coverage))
    }

    fn orders(&self, untimed: Untimed<'_>, base: &Schedule) -> Orders {
        untimed.explore(|| self.start_with(base, |spec| spec.class == Class::Safety))
    }

    fn run_until(&self, schedule: &Schedule, until: Instant) -> Trial {
        Trial::of(&mut self.start(schedule), until)
    }

    fn observe(&self, schedule: &Schedule, until: Instant) -> (Trial, Observed) {
        let mut run = self.start(schedule);
        run.world.observe();
        (Trial::of(&mut run, until), Observed::of(&run))
    }

    fn event_times(&self, schedule: &Schedule, until: Instant) -> Vec<Instant> {
        let mut run = self.start(schedule);
        let mut times = Vec::new();
        run.until(|world| {
            times.resize(world.events() as usize, world.now());
            world.now() > until
        });
        times.resize(run.world.events() as usize, run.world.now());
        times
    }

    fn without_defects(&self) -> Option<Box<dyn Compiled>> {
        if self.scenario.defects.is_empty() {
            return None;
        }
        let fixed = Ready::<P>::new(&Arc::new(crate::defects::without_defects(&self.scenario)));
        fixed.ok().map(|fixed| Box::new(fixed) as Box<dyn Compiled>)
    }
}
