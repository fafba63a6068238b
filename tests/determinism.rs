//! The same seed is the same run: on one thread and on several, twice in one process, in another process, recorded or
//! not, and as it was when somebody last looked, in debug and in release.
//!
//! The last is a snapshot of the hashes of all scenarios. Any change of behaviour changes it, and a change that was
//! not meant to change behaviour must not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use scenarios::catalogue::Catalogue;
use scenarios::registry::{Compiled, Engine, Registry};
use scenarios::runner::{self, Options, ScenarioResult, Which};
use sim_core::search::{Seeds, guarded};
use tests::{fencepost, workspace};

/// Few, as every scenario runs them several times; the hash covers every event of each.
const SEEDS: u64 = 6;

/// Every scenario that comes with the project.
fn scenarios() -> Vec<(String, Box<dyn Compiled>)> {
    let registry = Registry::bundled();
    let catalogue =
        Catalogue::of_folder(&workspace().join("scenarios")).expect("the folder of scenarios can be listed");
    let load = |entry: &scenarios::catalogue::Entry| {
        let compiled = entry.load(&registry).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
        (entry.name().to_owned(), compiled)
    };
    let all: Vec<_> = catalogue.entries().iter().map(load).collect();
    assert!(!all.is_empty(), "no scenario was found");
    all
}

fn campaign(compiled: &dyn Compiled, jobs: usize) -> ScenarioResult {
    let options = Options { seeds: Which::Seeds(Seeds::first(SEEDS)), jobs, exhaustive: true, ..Options::default() };
    runner::run(compiled, &[], &options, |_| ControlFlow::Continue(())).expect("threads can be started")
}

#[test]
fn one_thread_and_several_come_to_the_same() {
    for (name, compiled) in scenarios() {
        let (one, several) = (campaign(&*compiled, 1), campaign(&*compiled, 5));
        assert_eq!(one.tally, several.tally, "{name}");
    }
}

/// madsim keeps seeds of its own in threads: each run has to have a fresh one.
#[test]
fn madsim_comes_to_the_same_on_any_thread_and_in_another_process() {
    let engine = Engine::Madsim;
    let options = |jobs| Options { seeds: Which::Seeds(Seeds::first(3)), jobs, exhaustive: true, ..Options::default() };
    let campaign = |compiled: &dyn Compiled, jobs| {
        runner::run(compiled, &[], &options(jobs), |_| ControlFlow::Continue(())).expect("threads can be started")
    };
    // The tests of `engines.rs` run all of them twice.
    for (name, compiled) in scenarios().into_iter().step_by(9) {
        let compiled = engine.host(compiled);
        let (one, several) = (campaign(&*compiled, 1), campaign(&*compiled, 5));
        assert_eq!(one.tally, several.tally, "{name}");
        let (outcome, trace) = compiled.record(&compiled.schedule(0));
        assert_eq!(outcome, compiled.run(&compiled.schedule(0)), "{name}");
        assert!(!trace.entries.is_empty(), "{name}");
    }
    let arguments = ["run", "lease/partition", "--engine", "madsim", "--seeds", "3", "--message-format", "json"];
    let output = fencepost().args(arguments).output().expect("the command can be run");
    let line = String::from_utf8(output.stdout).expect("JSON is text");
    let line: serde_json::Value = serde_json::from_str(line.lines().next().expect("a line")).expect("it is JSON");
    let here = scenarios().into_iter().find(|(name, _)| name == "lease/partition").expect("it is bundled").1;
    let here = campaign(&*engine.host(here), 1);
    assert_eq!(line["trace_hash"], format!("{:#018x}", here.tally.trace_hash()));
}

#[test]
fn a_seed_comes_to_the_same_twice_and_when_it_is_recorded() {
    for (name, compiled) in scenarios() {
        for seed in 0..SEEDS {
            let schedule = compiled.schedule(seed);
            assert_eq!(schedule, compiled.schedule(seed), "{name}: the schedule of seed {seed}");
            // A scenario may be about a handler that panics.
            let first = guarded(|| compiled.run(&schedule));
            let second = guarded(|| compiled.run(&schedule));
            assert_eq!(first, second, "{name}: seed {seed} run twice");
            let recorded = guarded(|| compiled.record(&schedule).0);
            assert_eq!(first, recorded, "{name}: seed {seed} run and recorded");
        }
    }
}

#[test]
fn different_seeds_are_different_runs() {
    for (name, compiled) in scenarios() {
        let hash = |seed| guarded(|| compiled.run(&compiled.schedule(seed))).trace_hash;
        assert_ne!(hash(0), hash(1), "{name}: a hash that never changes would prove nothing");
    }
}

#[test]
fn another_process_comes_to_the_same() {
    let seeds = SEEDS.to_string();
    let arguments = ["run", "--seeds", &seeds, "--jobs", "2", "--message-format", "json"];
    let output = fencepost().args(arguments).output().expect("the command can be run");
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    let mut theirs = BTreeMap::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        if line["type"] == "scenario" {
            theirs.insert(line["name"].as_str().expect("a name").to_owned(), line["trace_hash"].clone());
        }
    }
    let options = Options { seeds: Which::Seeds(Seeds::first(SEEDS)), jobs: 1, ..Options::default() };
    for (name, compiled) in scenarios() {
        // As the command does, which ends a canary at its first violation.
        let ours =
            runner::run(&*compiled, &[], &options, |_| ControlFlow::Continue(())).expect("threads can be started");
        let ours = format!("{:#018x}", ours.tally.trace_hash());
        assert_eq!(theirs.remove(&name), Some(serde_json::Value::String(ours)), "{name}, in {text}");
    }
    assert!(theirs.is_empty(), "the command ran scenarios that are not in the folder: {theirs:?}");
}

/// Equal in debug and in release, on every machine: whoever runs this compares with whoever committed it.
#[test]
fn every_scenario_behaves_as_it_did() {
    let mut lines = String::new();
    for (name, compiled) in scenarios() {
        let tally = campaign(&*compiled, 0).tally;
        let _ = writeln!(lines, "{name} {:#018x} {} events", tally.trace_hash(), tally.events);
    }
    let description = format!(
        "Hashes of the first {SEEDS} seeds of every scenario. A line that changed is a scenario that behaves \
         differently. If that was meant: INSTA_UPDATE=always cargo test -p tests --test determinism"
    );
    insta::with_settings!({ description => description, omit_expression => true }, {
        insta::assert_snapshot!("trace_hashes", lines);
    });
}
