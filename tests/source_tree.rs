//! The rules of the source tree. What they are, and that they catch what they are there for, is in `rules.rs`.

use scenarios::registry::Registry;
use tests::rules::{Complaint, Exception, check_files, check_imports, check_scenarios, except};
use tests::{File, files};

/// Places where a rule does not apply, each with its reason. One that is no longer needed is an error.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        path: "sim-core/src/search/",
        rule: "threads",
        reason: "a campaign runs seeds side by side, each in a world of its own",
    },
    Exception {
        path: "sim-core/src/host/",
        rule: "threads",
        reason: "madsim keeps seeds of hash maps in the thread, so each run has one of its own; a real disk has one; tasks talk over channels",
    },
    Exception {
        path: "sim-core/src/host/",
        rule: "machine",
        reason: "nodes on madsim and real processes have addresses, and these have disks",
    },
    Exception {
        path: "sim-core/src/host/",
        rule: "sleep",
        reason: "madsim's tasks sleep on madsim's clock, which is virtual; a real process waits on the machine's",
    },
    Exception {
        path: "sim-core/src/host/tokio.rs",
        rule: "real-time",
        reason: "a real process has the machine's clock, and its actor sees it through the context",
    },
    Exception {
        path: "sim-core/src/search/guard.rs",
        rule: "globals",
        reason: "the panic hook is the process's own, and says nothing while a campaign expects panics",
    },
    Exception {
        path: "sim-core/tests/common/script.rs",
        rule: "first-comment",
        reason: "it is included in the middle of documentation examples, where such a comment cannot stand",
    },
];

#[track_caller]
fn assert_none(complaints: &[Complaint]) {
    let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn every_source_file_keeps_the_rules() {
    let files = files("", &[".rs", ".toml", ".md"]);
    assert!(files.iter().any(|file| file.path == "sim-core/src/world.rs"), "the tree was not found");
    assert_none(&except(check_files(&files), EXCEPTIONS));
}

#[test]
fn packages_import_one_way() {
    let manifests: Vec<File> = files("", &["Cargo.toml"]);
    assert!(manifests.len() >= 5, "the workspace's manifests were not found");
    let complaints: Vec<Complaint> = manifests.iter().flat_map(|file| check_imports(&file.path, &file.text)).collect();
    assert_none(&complaints);
}

#[test]
fn every_scenario_says_what_it_shows_and_every_defect_has_a_canary() {
    let registry = Registry::bundled();
    let protocols: Vec<_> = registry.iter().map(|protocol| (protocol.name(), protocol.defects())).collect();
    assert!(!protocols.is_empty(), "no protocol is registered");
    let scenarios: Vec<File> = files("scenarios", &[".toml"])
        .into_iter()
        .filter(|file| !file.path.ends_with("Cargo.toml") && !file.path.starts_with("scenarios/regressions/"))
        .filter(|file| !file.path.contains("/src/") && !file.path.contains("/tests/"))
        .collect();
    assert!(!scenarios.is_empty(), "no scenario was found");
    assert_none(&check_scenarios(&scenarios, &protocols));
}
