//! The tables `[explore]` of the scenarios that pass: each has one, and what it narrows the menu to still finds a bug when
//! there is one. That nothing is found without one is shown by `.ci/run`.

use std::sync::Arc;

use scenarios::catalogue::{Catalogue, Entry};
use scenarios::explore::Plan;
use scenarios::format::{Explore, Scenario};
use scenarios::registry::{Compiled, Registry};
use tests::workspace;

fn catalogue() -> Catalogue {
    Catalogue::of_folder(&workspace().join("scenarios")).expect("the folder of scenarios can be listed")
}

fn load(entry: &Entry, registry: &Registry) -> Box<dyn Compiled> {
    entry.load(registry).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)))
}

/// Without one, an exploration of everything takes hours, and the one in `.ci/run` with it.
#[test]
fn every_scenario_that_passes_says_what_to_explore_and_why() {
    let registry = Registry::bundled();
    for entry in catalogue().entries() {
        let compiled = load(entry, &registry);
        if compiled.scenario().is_canary() {
            continue;
        }
        let text = &compiled.scenario().source;
        let name = entry.name();
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| *line == "[explore]").unwrap_or_else(|| {
            panic!("{name} has no table [explore]: write one that `fencepost explore {name} --faults 1` ends with")
        });
        let is_explained = at > 0 && lines[at - 1].starts_with("# ");
        assert!(
            is_explained || compiled.scenario().explore.untimed,
            "{name} does not say why its [explore] is as it is"
        );
    }
}

/// Of each protocol, a defect that a scenario which passes finds by its own table, with one fault and no seed.
const FOUND: &[(&str, &str)] = &[
    ("artemis/failback-under-partition", "ARTEMIS-1304"),
    ("artemis/failback-under-partition", "ARTEMIS-742"),
    ("artemis/lock-manager", "ARTEMIS-3429"),
    ("artemis/replication-back-pressure", "ARTEMIS-474"),
    ("artemis/shared-store", "ARTEMIS-1842"),
    ("derby/failover-crashes", "DERBY-3254c"),
    ("derby/failover-crashes", "DERBY-L1"),
    ("jboss/crash", "JBMESSAGING-809"),
    ("lease/steady", "no-fencing"),
    ("pvc/crashes-pauses-partitions", "a6f85003"),
    ("sling/leaving-and-joining", "SLING-L2"),
];

#[test]
fn what_they_explore_finds_a_bug_when_there_is_one() {
    let registry = Registry::bundled();
    let catalogue = catalogue();
    let mut protocols: Vec<&str> = Vec::new();
    for (name, defect) in FOUND {
        let entry = catalogue.entries().iter().find(|entry| entry.name() == *name).expect(name);
        let compiled = load(entry, &registry);
        let mut scenario = Scenario::clone(compiled.scenario());
        scenario.defects = [(*defect).to_owned()].into();
        let plan = Plan { faults: 1, deviations: 0, ..Plan::new(&scenario, &Explore::default()) };
        let broken = registry.compile(&Arc::new(scenario)).expect("the protocol has this defect");
        let exploration = broken.explore(plan.explorer(broken.scenario()), &plan.base(broken.scenario()));
        let found = exploration.expect("threads can be started").counterexample;
        let found = found.unwrap_or_else(|| panic!("{name} does not find {defect}"));
        assert_eq!(found.breaks, 1, "{name} finds {defect} without any fault, so its table is not what finds it");
        let violated = found.outcome.violation.expect("a counterexample violates something").invariant;
        let declared = registry.get(&broken.scenario().protocol).expect("it is registered").defects();
        let declared = declared.iter().find(|declared| declared.id == *defect).expect("it is declared");
        assert!(declared.breaks.contains(&violated.as_str()), "{name}: {defect} is said not to break {violated}");
        protocols.extend(registry.get(&broken.scenario().protocol).map(|protocol| protocol.name()));
    }
    // One whose safety rests on no clock is explored in another way, which has tests of its own.
    for protocol in registry.iter().filter(|protocol| protocol.name() != "two-phase-commit") {
        assert!(protocols.contains(&protocol.name()), "no scenario of {} is known to find a defect", protocol.name());
    }
}
