//! Runs a protocol without a scenario file: a cluster, a plan of faults, and what must hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sim_core::{
    Cluster, DiskConfig, Fault, FaultPlan, HostId, Instant, Limits, Member, NetworkConfig, NodeId, NodeSetup, Outcome,
    Protocol, Randomness, Run, Schedule, Setup, Site, Trigger, Violation, World,
};

/// A cluster with what breaks in it.
pub struct Case<P: Protocol> {
    cluster: Cluster<P::Config>,
    plan: FaultPlan,
    storm: Vec<Storm>,
    duration: Duration,
}

/// Faults of one kind that each seed draws anew.
struct Storm {
    /// Of as many chances, each seed takes none to all.
    chances: u32,
    /// First and last moment, in milliseconds.
    window: (u64, u64),
    /// Shortest and longest extent, in milliseconds.
    hold: (u64, u64),
    /// Whom or what it can strike; one is drawn.
    faults: Vec<Fault>,
}

/// A second, or several.
pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What a campaign over a case came to.
pub struct Campaign {
    /// The first seed that failed, and how.
    pub failure: Option<(u64, Violation)>,
    /// Events of an average run.
    pub events: u64,
    /// Marks, with the number of runs that set them.
    pub marks: std::collections::BTreeMap<&'static str, u64>,
}

impl<P: Protocol> Case<P> {
    /// A cluster of these nodes and roles that runs for this long.
    pub fn new(nodes: &[(&str, &str)], duration: Duration) -> Self {
        let members = nodes
            .iter()
            .enumerate()
            .map(|(number, &(name, role))| Member { name: name.into(), role: role.into(), host: HostId(number as u16) })
            .collect();
        let cluster = Cluster { members, config: P::Config::default(), defects: BTreeSet::new() };
        Case { cluster, plan: FaultPlan::default(), storm: Vec::new(), duration }
    }

    /// With settings that differ from the defaults.
    pub fn config(mut self, change: impl FnOnce(&mut P::Config)) -> Self {
        change(&mut self.cluster.config);
        self
    }

    /// With a defect.
    pub fn defect(mut self, id: &str) -> Self {
        assert!(P::DEFECTS.iter().any(|defect| defect.id == id), "{id} is not a defect of {}", P::NAME);
        self.cluster.defects.insert(id.to_owned());
        self
    }

    /// The number of a node.
    pub fn node(&self, name: &str) -> NodeId {
        let number = self.cluster.members.iter().position(|member| member.name == name);
        NodeId(number.unwrap_or_else(|| panic!("there is no node {name}")) as u16)
    }

    /// Something breaks, at a moment drawn from a window, for a while or for good.
    pub fn fault(
        mut self,
        from: Duration,
        to: Duration,
        hold: Option<Duration>,
        fault: impl Fn(&Self) -> Fault,
    ) -> Self {
        let fault = fault(&self);
        self.plan.push(Trigger::Window { from: Instant::from(from), to: Instant::from(to) }, fault, hold);
        self
    }

    /// Something breaks when a mark is set.
    pub fn on_mark(
        mut self,
        mark: &'static str,
        plus: Duration,
        hold: Option<Duration>,
        fault: impl Fn(&Self) -> Fault,
    ) -> Self {
        let fault = fault(&self);
        self.plan.push(Trigger::OnMark { mark, node: None, occurrence: 1, plus }, fault, hold);
        self
    }

    /// Each seed draws up to `chances` of these faults, at moments of a window and for a time within `hold`, both in
    /// milliseconds.
    pub fn storm(
        mut self,
        chances: u32,
        window: (u64, u64),
        hold: (u64, u64),
        faults: impl Fn(&Self) -> Vec<Fault>,
    ) -> Self {
        let faults = faults(&self);
        self.storm.push(Storm { chances, window, hold, faults });
        self
    }

    /// What breaks for a seed.
    fn plan(&self, seed: u64) -> FaultPlan {
        let mut plan = self.plan.clone();
        let mut randomness = Randomness::new(seed);
        let mut drawn = 0;
        let mut below = |bound: u64| {
            drawn += 1;
            let [word, ..] = randomness.draw(Site::Plan(0), drawn);
            (u64::from(word) * bound) >> 32
        };
        for storm in &self.storm {
            for _ in 0..below(u64::from(storm.chances) + 1) {
                let at = storm.window.0 + below(storm.window.1 - storm.window.0 + 1);
                let hold = storm.hold.0 + below(storm.hold.1 - storm.hold.0 + 1);
                let fault = storm.faults[below(storm.faults.len() as u64) as usize].clone();
                let at = Instant::from(Duration::from_millis(at));
                plan.push(Trigger::At(at), fault, Some(Duration::from_millis(hold)));
            }
        }
        plan
    }

    /// Runs seeds until one violates an invariant.
    pub fn run(&self, invariants: &[&str], seeds: std::ops::Range<u64>) -> Campaign {
        P::validate(&self.cluster).expect("the cluster makes sense");
        let setup = Arc::new(Setup {
            nodes: self.cluster.members.iter().map(|m| NodeSetup { name: m.name.clone(), host: m.host }).collect(),
            network: NetworkConfig::default(),
            disk: DiskConfig::default(),
            factory: P::factory(&self.cluster),
            commands: P::COMMANDS.iter().filter_map(|command| P::command(command.name)).collect(),
        });
        let mut campaign = Campaign { failure: None, events: 0, marks: Default::default() };
        let count = seeds.end - seeds.start;
        for seed in seeds {
            let outcome = self.run_seed(&setup, invariants, seed);
            campaign.events += outcome.events;
            for (mark, _) in &outcome.marks {
                *campaign.marks.entry(mark).or_default() += 1;
            }
            if let Some(violation) = outcome.violation {
                campaign.failure = Some((seed, violation));
                return campaign;
            }
        }
        campaign.events /= count;
        campaign
    }

    fn run_seed(&self, setup: &Arc<Setup<P::Actor>>, invariants: &[&str], seed: u64) -> Outcome {
        let mut schedule = Schedule::seeded(seed);
        schedule.faults = self.plan(seed);
        let invariants = invariants
            .iter()
            .map(|name| P::invariant(name, &self.cluster, None).unwrap_or_else(|| panic!("no invariant {name}")))
            .collect();
        let world = World::new(setup, &Arc::new(schedule));
        Run::new(world, invariants, Limits { duration: self.duration, ..Limits::default() }).to_end()
    }
}

/// No invariant is violated, and every run sets these marks.
pub fn clean(campaign: &Campaign, runs: u64, marks: &[&str]) {
    if let Some((seed, violation)) = &campaign.failure {
        panic!("seed {seed}: {violation:?}");
    }
    for mark in marks {
        assert_eq!(campaign.marks.get(mark), Some(&runs), "every run sets {mark}");
    }
}

/// The defect is found, as a violation of this invariant.
pub fn caught(campaign: &Campaign, invariant: &str) {
    let (_, violation) = campaign.failure.as_ref().expect("the defect is found");
    assert_eq!(violation.invariant, invariant, "{violation:?}");
}
