//! What is left of a failure when it has been shrunk: the same failure, nothing that it does not need, and all of it in
//! a file that holds whatever the generator of random numbers.

use std::path::Path;

use scenarios::catalogue::Catalogue;
use scenarios::format::schedule;
use scenarios::registry::{Compiled, Registry};
use scenarios::shrink::{Budget, Shrunk, shrink, shrink_while};
use sim_core::{Baseline, NodeId, Outcome, Schedule, Site};

/// One of each kind of failure: steps that are all needed, random faults, clocks, commands, properties of what must happen
/// in the end, and a race that needs its delays.
const CANARIES: &[&str] = &[
    "lease/defects/no-fencing",
    "lease/defects/ignores-drift",
    "lease/defects/forgets-promises",
    "derby/defects/DERBY-L5",
    "derby/defects/DERBY-3509",
    "derby/defects/DERBY-3364",
    "artemis/defects/ARTEMIS-1303",
    "artemis/defects/ARTEMIS-131",
    "pvc/defects/ccee124c",
    "sling/defects/SLING-5310",
];

fn compiled(name: &str) -> Box<dyn Compiled> {
    let catalogue = Catalogue::of_folder(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("it can be listed");
    let entry = catalogue.find(name).expect("it is there").remove(0);
    entry.load(&Registry::bundled()).expect("it is sound")
}

/// The first seed that fails, and how.
fn failing(compiled: &dyn Compiled) -> (u64, Outcome) {
    let seeds = compiled.scenario().seeds.iter();
    let mut runs = seeds.map(|seed| (seed, compiled.run(&compiled.schedule(seed))));
    runs.find(|(_, outcome)| outcome.violation.is_some()).expect("a canary fails")
}

fn invariant(outcome: &Outcome) -> Option<&str> {
    outcome.violation.as_ref().map(|violation| violation.invariant.as_str())
}

fn small(compiled: &dyn Compiled, seed: u64) -> Shrunk {
    let shrunk = shrink(compiled, seed, Budget::default()).expect("the seed fails");
    assert!(shrunk.complete, "it ends by itself");
    shrunk
}

#[test]
fn what_is_left_violates_the_same_and_only_with_the_defect() {
    for name in CANARIES {
        let compiled = compiled(name);
        let (seed, outcome) = failing(&*compiled);
        let shrunk = small(&*compiled, seed);
        let again = compiled.run(&shrunk.schedule);
        assert_eq!(again, shrunk.outcome, "{name}: what is told of it is how it goes");
        assert_eq!(invariant(&again), invariant(&outcome), "{name}");
        let fixed = compiled.without_defects().expect("a canary has a defect").run(&shrunk.schedule);
        assert_eq!(fixed.violation, None, "{name}");
        assert!(shrunk.to.total() <= 8, "{name}: {:?}", shrunk.to);
        assert!(shrunk.to.faults <= shrunk.from.faults, "{name}: {:?} from {:?}", shrunk.to, shrunk.from);
        assert_eq!(shrunk.to.deviations, shrunk.schedule.deviations.len(), "{name}");
    }
}

#[test]
fn without_any_one_of_what_is_left_it_is_not_the_failure() {
    for name in CANARIES {
        let compiled = compiled(name);
        let (seed, outcome) = failing(&*compiled);
        let schedule = small(&*compiled, seed).schedule;
        let fixed = compiled.without_defects().expect("a canary has a defect");
        for (what, smaller) in each_less(&schedule) {
            let is_the_failure = invariant(&compiled.run(&smaller)) == invariant(&outcome)
                && invariant(&fixed.run(&smaller)) != invariant(&outcome);
            assert!(!is_the_failure, "{name} does not need {what}");
        }
    }
}

/// The schedule without each one of its faults, clocks and deviations.
fn each_less(schedule: &Schedule) -> Vec<(String, Schedule)> {
    let mut smaller = Vec::new();
    for planned in &schedule.faults.faults {
        let mut other = schedule.clone();
        other.faults.faults.retain(|fault| fault.id != planned.id);
        smaller.push((format!("{planned:?}"), other));
    }
    for node in schedule.clocks.keys() {
        let mut other = schedule.clone();
        other.clocks.remove(node);
        smaller.push((format!("the clock of {node}"), other));
    }
    for (site, moment, deviation) in schedule.deviations.iter() {
        let mut other = schedule.clone();
        other.deviations.remove(site, moment);
        smaller.push((format!("{deviation:?} at {site:?} {moment:?}"), other));
    }
    smaller
}

#[test]
fn the_file_gives_back_the_run_and_does_not_depend_on_the_generator() {
    let registry = Registry::bundled();
    for name in CANARIES {
        let compiled = compiled(name);
        let shrunk = small(&*compiled, failing(&*compiled).0);
        let text = schedule::write(compiled.scenario(), &shrunk.schedule, "A note.");
        let read = schedule::read(Path::new("kept.toml"), text.as_str().into(), compiled.scenario(), &registry);
        let read = read.unwrap_or_else(|error| panic!("{name}: {:?}\n{text}", miette::Report::new(error)));
        assert_eq!(read, shrunk.schedule, "{name}");
        assert_eq!(read.baseline, Baseline::Calm, "{name}");
        // Another generator would draw other numbers; so does another seed.
        let other = Schedule { seed: !read.seed, ..read };
        assert_eq!(compiled.run(&other).trace_hash, shrunk.outcome.trace_hash, "{name}");
    }
}

#[test]
fn the_same_seed_is_shrunk_to_the_same_every_time() {
    for name in ["lease/defects/no-fencing", "artemis/defects/ARTEMIS-1303"] {
        let compiled = compiled(name);
        let (seed, _) = failing(&*compiled);
        let here = small(&*compiled, seed);
        let there = std::thread::scope(|scope| scope.spawn(|| small(&*compiled, seed)).join().expect("no panic"));
        assert_eq!(here, there, "{name}");
    }
}

#[test]
fn a_budget_ends_it_with_something_that_still_fails() {
    let compiled = compiled("artemis/defects/ARTEMIS-1303");
    let (seed, outcome) = failing(&*compiled);
    let schedule = compiled.schedule(seed);
    for runs in [1, 2, 3, 5, 10, 50, 200] {
        let shrunk = shrink_while(&*compiled, &schedule, runs, &mut || true).expect("the seed fails");
        assert_eq!(invariant(&compiled.run(&shrunk.schedule)), invariant(&outcome), "after {runs} runs");
        assert!(!shrunk.complete, "after {runs} runs");
    }
}

#[test]
fn a_seed_that_passes_is_not_shrunk() {
    let compiled = compiled("lease/steady");
    assert_eq!(shrink(&*compiled, 0, Budget::default()), None);
}

#[test]
fn clients_that_do_not_matter_are_left_out() {
    let compiled = compiled("artemis/defects/ARTEMIS-1303");
    let shrunk = small(&*compiled, failing(&*compiled).0);
    let scenario = compiled.scenario();
    let first = scenario.members.len() - scenario.clients;
    assert!(!shrunk.schedule.absent.is_empty());
    assert!(shrunk.schedule.absent.iter().all(|node: &NodeId| node.index() >= first));
    let mut sites = shrunk.schedule.deviations.iter().map(|(site, ..)| site);
    assert!(sites.all(|site| match site {
        Site::Link(from, to) => !shrunk.schedule.absent.contains(&from) && !shrunk.schedule.absent.contains(&to),
        _ => true,
    }));
}
