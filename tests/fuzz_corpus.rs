//! The inputs of the fuzz targets, run by the same code on a stable compiler: those to begin with, and those that once
//! crashed one of them, which are kept in the same folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use saphyr::{LoadableYamlNode, YamlOwned};
use scenarios::bytes::{self, Clean};
use scenarios::registry::Registry;
use tests::{files, workspace};

/// The inputs of a target, by name.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = workspace().join("fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    paths.iter().map(read).collect()
}

#[test]
fn no_input_makes_a_scenario_fail_that_should_pass() {
    let registry = Registry::bundled();
    let clean = Clean::built_in(&registry);
    let mut protocols = BTreeSet::new();
    let (mut faults, mut deviations) = (0, 0);
    for (name, input) in inputs("schedule") {
        if let Err(found) = clean.run(&input) {
            panic!("fuzz/seeds/schedule/{name}: {found}");
        }
        let decoded = clean.decode(&input).unwrap_or_else(|| panic!("{name} chooses no scenario"));
        protocols.insert(decoded.compiled.scenario().protocol.clone());
        faults += decoded.schedule.faults.faults.len();
        deviations += decoded.schedule.deviations.len();
    }
    // Inputs that lead nowhere would prove nothing.
    let all: BTreeSet<String> = registry.iter().map(|protocol| protocol.name().to_owned()).collect();
    assert_eq!(protocols, all, "an input is missing for a protocol");
    assert!(faults > 50 && deviations > 50, "{faults} faults and {deviations} deviations");
}

#[test]
fn every_input_of_the_reader_is_read_to_its_end() {
    let registry = Registry::bundled();
    let clean = Clean::built_in(&registry);
    let inputs = inputs("scenario");
    assert!(inputs.len() >= 5, "only {} inputs", inputs.len());
    for (_, input) in &inputs {
        bytes::parse(input, &registry, &clean);
        // Files that end too early are the most common of all mistakes.
        for length in (0..input.len()).step_by(17) {
            bytes::parse(&input[..length], &registry, &clean);
        }
    }
}

#[test]
fn every_target_is_built_by_clusterfuzzlite_with_its_inputs() {
    let manifest = fs::read_to_string(workspace().join("fuzz/Cargo.toml")).expect("it is there");
    let manifest: toml::Table = manifest.parse().expect("it is TOML");
    let targets: BTreeSet<&str> =
        manifest["bin"].as_array().into_iter().flatten().filter_map(|bin| bin["name"].as_str()).collect();
    let sources: BTreeSet<String> = files("fuzz/fuzz_targets", &[".rs"])
        .iter()
        .filter_map(|file| Some(file.path.rsplit('/').next()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    assert_eq!(targets, sources.iter().map(String::as_str).collect());
    let script = fs::read_to_string(workspace().join(".clusterfuzzlite/build.sh")).expect("it is there");
    let list = script.lines().find_map(|line| line.strip_prefix("for target in ")?.strip_suffix("; do"));
    let built: BTreeSet<&str> = list.expect("it builds targets").split(' ').collect();
    assert_eq!(built, targets);
    let text = fs::read_to_string(workspace().join(".clusterfuzzlite/project.yaml")).expect("it is there");
    let project = YamlOwned::load_from_str(&text).expect("it is YAML").remove(0);
    let language = project
        .as_mapping()
        .and_then(|project| project.iter().next())
        .map(|(key, value)| (key.as_str(), value.as_str()));
    assert_eq!(language, Some((Some("language"), Some("rust"))));
}
