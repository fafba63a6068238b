//! The historical defects that protocols declare, the scenarios that show them, and the same scenarios without them.
//! Apart from the command, because the test suite and the page of all defects ask the same questions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sim_core::search::{Untimed, guarded};
use sim_core::{Class, Defect, Schedule};

use crate::catalogue::{Catalogue, Entry};
use crate::explore::Plan;
use crate::format::{Expect, Explore, FileError, Scenario};
use crate::registry::{Compiled, Registry};

/// A defect of a protocol, and what shows it.
pub struct Declared {
    /// The folder of scenarios that its protocol is used in, such as `artemis`.
    pub system: String,
    /// The protocol that declares it.
    pub protocol: &'static str,
    /// The defect.
    pub defect: Defect,
    /// The scenarios that switch it on and expect a violation; a protocol whose defect has none is wrong.
    pub canaries: Vec<Canary>,
}

/// A scenario that switches on a defect and expects a violation.
#[derive(Clone)]
pub struct Canary {
    /// Where it is.
    pub entry: Entry,
    /// The scenario, ready to run.
    pub compiled: Arc<dyn Compiled>,
}

impl Canary {
    /// The property that it expects to be violated.
    pub fn invariant(&self) -> &str {
        match &self.compiled.scenario().expect {
            Expect::Violates(name) => name,
            Expect::Pass => unreachable!("a scenario that expects to pass is no canary"),
        }
    }

    /// The scenario without the defect, ready to run.
    ///
    /// # Errors
    /// What the protocol finds wrong with it.
    pub fn fixed(&self, registry: &Registry) -> Result<Box<dyn Compiled>, FileError> {
        registry.compile(&Arc::new(without_defects(self.compiled.scenario())))
    }

    /// The fewest faults that show the defect without any seed: its canary is explored as its file says, and only what it
    /// expects to be violated is asked. Ends without a result soon after `halt` was set.
    ///
    /// # Errors
    /// What the protocol finds wrong with the scenario, or that the operating system refuses the threads.
    pub fn fewest_faults(
        &self,
        registry: &Registry,
        jobs: usize,
        halt: &Arc<AtomicBool>,
    ) -> Result<Fewest, Box<dyn std::error::Error>> {
        let mut scenario = Scenario::clone(self.compiled.scenario());
        scenario.invariants.retain(|spec| spec.name == self.invariant());
        let plan = Plan::new(&scenario, &Explore::default());
        let base = plan.base(&scenario);
        let explorer = plan.explorer(&scenario).jobs(jobs).halt(Arc::clone(halt));
        let untimed = scenario.explore.untimed;
        let compiled = registry.compile(&Arc::new(scenario))?;
        if untimed {
            let orders = compiled.orders(Untimed::default().halt(Arc::clone(halt)), &base);
            return Ok(match orders.violation {
                Some(_) => Fewest::Faults(0),
                None if orders.complete => Fewest::NotWithin(0),
                None => Fewest::Unknown,
            });
        }
        let exploration = compiled.explore(explorer, &base)?;
        let expects = |violated: &str| violated == self.invariant();
        Ok(match &exploration.counterexample {
            Some(found) => match &found.outcome.violation {
                Some(violation) if expects(&violation.invariant) && self.needs_defect(&found.schedule, registry)? => {
                    Fewest::Faults(found.breaks)
                }
                _ => Fewest::Other,
            },
            None if exploration.complete => Fewest::NotWithin(plan.faults + plan.deviations),
            None => Fewest::Unknown,
        })
    }

    /// Whether a schedule no longer breaks what is expected to break once the defect is off.
    fn needs_defect(&self, schedule: &Schedule, registry: &Registry) -> Result<bool, FileError> {
        let fixed = self.fixed(registry)?;
        let violation = guarded(|| fixed.run(schedule)).violation;
        Ok(violation.is_none_or(|violation| violation.invariant != self.invariant()))
    }
}

/// The fewest faults that show a defect, placed on the calm run of its canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fewest {
    /// So many; with 0, the calm run shows it, or some order of messages if no clock decides that.
    Faults(u32),
    /// More than so many of the faults that the file names, or something that is not placed, such as an odd clock.
    NotWithin(u8),
    /// What was found first is something else, or is no better without the defect: the file should narrow it down.
    Other,
    /// The exploration was not complete.
    Unknown,
}

impl Fewest {
    /// The number, if some do.
    pub fn faults(self) -> Option<u32> {
        match self {
            Fewest::Faults(faults) => Some(faults),
            Fewest::NotWithin(_) | Fewest::Other | Fewest::Unknown => None,
        }
    }

    /// Whether everything was explored that the file asks for, up to what was found.
    pub fn is_known(self) -> bool {
        matches!(self, Fewest::Faults(_) | Fewest::NotWithin(_))
    }
}

/// The same scenario as it is with every fix in place. What it should sometimes reach may need the defect.
pub fn without_defects(scenario: &Scenario) -> Scenario {
    let mut fixed = scenario.clone();
    fixed.defects.clear();
    fixed.expect = Expect::Pass;
    fixed.invariants.retain(|spec| spec.class != Class::Coverage);
    fixed
}

/// The folder that a scenario is in, which is the system that it is about.
pub fn system(entry: &Entry) -> &str {
    entry.name().split_once('/').map_or(entry.name(), |(folder, _)| folder)
}

/// All defects of the protocols that a catalogue's scenarios use, by system, protocol and order of declaration; and the
/// files that could not be read. A protocol that no scenario uses has no system, and is left out.
pub fn declared(catalogue: &Catalogue, registry: &Registry) -> (Vec<Declared>, Vec<FileError>) {
    let mut canaries: Vec<Canary> = Vec::new();
    let mut systems: BTreeMap<String, String> = BTreeMap::new();
    let mut unreadable = Vec::new();
    for entry in catalogue.entries() {
        let compiled: Arc<dyn Compiled> = match entry.load(registry) {
            Ok(compiled) => compiled.into(),
            Err(error) => {
                unreadable.push(error);
                continue;
            }
        };
        let scenario = compiled.scenario();
        systems.entry(scenario.protocol.clone()).or_insert_with(|| system(entry).to_owned());
        if scenario.is_canary() {
            canaries.push(Canary { entry: entry.clone(), compiled });
        }
    }
    let mut declared = Vec::new();
    for (protocol, system) in systems {
        let Some(protocol) = registry.get(&protocol) else { continue };
        for &defect in protocol.defects() {
            let shows = |canary: &&Canary| {
                let scenario = canary.compiled.scenario();
                scenario.protocol == protocol.name() && scenario.defects.contains(defect.id)
            };
            let canaries = canaries.iter().filter(shows).cloned().collect();
            declared.push(Declared { system: system.clone(), protocol: protocol.name(), defect, canaries });
        }
    }
    declared.sort_by(|a, b| (&a.system, a.protocol).cmp(&(&b.system, b.protocol)));
    (declared, unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defect_has_its_canaries_and_their_twins_have_no_defect() {
        let registry = Registry::bundled();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let catalogue = Catalogue::of_folder(folder).expect("the folder of this crate can be listed");
        let (declared, unreadable) = declared(&catalogue, &registry);
        assert!(unreadable.is_empty());
        let of = |id: &str| declared.iter().find(|d| d.defect.id == id).expect("a defect that exists");
        assert_eq!((of("no-fencing").system.as_str(), of("no-fencing").protocol), ("lease", "lease"));
        let names: Vec<&str> = of("DERBY-3364").canaries.iter().map(|canary| canary.entry.name()).collect();
        assert_eq!(names, ["derby/defects/DERBY-3364", "derby/defects/DERBY-3364-teardown"]);
        let canary = &of("DERBY-3364").canaries[0];
        assert_eq!(canary.invariant(), "freeze-ends");
        let fixed = canary.fixed(&registry).expect("a scenario is sound without its defect");
        assert!(fixed.scenario().defects.is_empty() && !fixed.scenario().is_canary());
    }
}
