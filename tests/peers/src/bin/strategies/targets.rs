//! What is looked for: each historical defect, in each clean scenario of its protocol that breaks things at random.

use std::sync::Arc;

use scenarios::catalogue::Catalogue;
use scenarios::defects;
use scenarios::format::{Expect, Scenario};
use scenarios::registry::{Compiled, Registry};
use sim_core::Outcome;
use sim_core::search::guarded;

/// Runs without the defect in which a property must hold, so that its violation counts as finding the defect.
const SOUND: u64 = 30;

/// A defect somewhere.
pub struct Target {
    /// The defect's id.
    pub defect: &'static str,
    /// The scenario that it is put into.
    pub scenario: String,
    /// What it breaks.
    pub invariant: String,
    /// The scenario with the defect; each seed has all kinds of faults.
    pub uniform: Box<dyn Compiled>,
    /// The same; each seed leaves kinds out.
    pub swarm: Box<dyn Compiled>,
}

impl Target {
    /// Whether a run has found the defect.
    pub fn is_found(&self, outcome: &Outcome) -> bool {
        violates(outcome, &self.invariant)
    }
}

fn violates(outcome: &Outcome, invariant: &str) -> bool {
    outcome.violation.as_ref().is_some_and(|violation| violation.invariant == *invariant)
}

/// A defect and a place for it, not yet ready to run.
pub struct Pair {
    defect: &'static str,
    canary: Arc<dyn Compiled>,
    invariant: String,
    clean: Arc<dyn Compiled>,
}

/// All pairs whose defect and scenario contain these texts.
pub fn pairs(registry: &Registry, defect: &str, scenario: &str) -> Vec<Pair> {
    let catalogue = Catalogue::built_in(registry);
    let (declared, _) = defects::declared(&catalogue, registry);
    let load = |entry: &scenarios::catalogue::Entry| entry.load(registry).ok().map(Arc::<dyn Compiled>::from);
    let clean: Vec<Arc<dyn Compiled>> = catalogue.entries().iter().filter_map(load).collect();
    let clean =
        clean.iter().filter(|compiled| !compiled.scenario().is_canary() && compiled.scenario().random.is_some());
    let clean: Vec<_> = clean.filter(|compiled| compiled.scenario().name.contains(scenario)).collect();
    let mut pairs: Vec<Pair> = Vec::new();
    for declared in declared.iter().filter(|declared| declared.defect.id.contains(defect)) {
        for canary in &declared.canaries {
            for clean in clean.iter().filter(|clean| clean.scenario().protocol == declared.protocol) {
                pairs.push(Pair {
                    defect: declared.defect.id,
                    canary: canary.compiled.clone(),
                    invariant: canary.invariant().to_owned(),
                    clean: (*clean).clone(),
                });
            }
        }
    }
    pairs
}

impl Pair {
    /// The target; `None` if the protocol refuses the defect there, or the property does not hold there without it.
    pub fn target(&self, registry: &Registry) -> Option<Target> {
        let fixed = self.compiled(registry, false, true)?;
        let target = Target {
            defect: self.defect,
            scenario: self.clean.scenario().name.clone(),
            invariant: self.invariant.clone(),
            uniform: self.compiled(registry, true, false)?,
            swarm: self.compiled(registry, true, true)?,
        };
        let is_sound = |seed| !target.is_found(&guarded(|| fixed.run(&fixed.schedule(seed))));
        (0..SOUND).all(is_sound).then_some(target)
    }

    fn compiled(&self, registry: &Registry, broken: bool, swarm: bool) -> Option<Box<dyn Compiled>> {
        let mut scenario = Scenario::clone(self.clean.scenario());
        scenario.defects = broken.then(|| self.defect.to_owned()).into_iter().collect();
        scenario.expect = Expect::Pass;
        if scenario.invariants.iter().all(|spec| spec.name != self.invariant) {
            let specs = &self.canary.scenario().invariants;
            scenario.invariants.extend(specs.iter().filter(|spec| spec.name == self.invariant).cloned());
        }
        if let Some(random) = &mut scenario.random {
            random.swarm = swarm;
        }
        registry.compile(&Arc::new(scenario)).ok()
    }
}
