//! The JSON schema says what the reader says.

use std::path::{Path, PathBuf};

use crate::common::EVERYTHING;
use scenarios::format::{parse, schema};
use scenarios::registry::Registry;
use serde_json::Value;

fn bundled() -> Registry {
    Registry::bundled()
}

/// A TOML text as JSON, which is what an editor checks.
fn as_json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).expect("it is TOML")).expect("it has no dates")
}

fn complaints(schema: &Value, text: &str) -> Vec<String> {
    let validator = jsonschema::draft7::new(schema).expect("the schema is one");
    validator.iter_errors(&as_json(text)).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Every scenario file below the crate's folder, canaries included.
fn bundled_scenarios() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of this crate") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !["src", "tests", "target", "regressions"].contains(&name) {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "toml") && name != "Cargo.toml" {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario.schema.json");
    let current = serde_json::to_string_pretty(&schema(&bundled())).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &current).expect("the schema can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        committed == current,
        "scenario.schema.json is not what the format and the protocols say; write it anew with\n\n    \
         UPDATE_SCHEMA=1 cargo test -p scenarios --test format schema\n\nand commit it"
    );
}

#[test]
fn every_bundled_scenario_is_sound_by_the_schema_and_by_the_reader() {
    let (schema, registry) = (schema(&bundled()), bundled());
    let files = bundled_scenarios();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file of this crate");
        assert_eq!(complaints(&schema, &text), Vec::<String>::new(), "{}", file.display());
        if let Err(error) = parse("bundled", &file, text.into(), &registry) {
            panic!("{:?}", miette::Report::new(error));
        }
    }
}

#[test]
fn the_file_with_every_key_is_sound_by_the_schema() {
    let schema = schema(&crate::common::registry());
    assert_eq!(complaints(&schema, EVERYTHING), Vec::<String>::new());
}

#[test]
fn the_schema_complains_of_what_the_reader_complains_of() {
    let schema = schema(&crate::common::registry());
    for (sound, broken) in [
        ("protocol = \"pair\"", "protocol = \"pear\""),
        ("duration = \"120s\"", "duration = 120"),
        ("seeds = [7, ", "seeds = [-7, "),
        ("beta = \"backup\"", "beta = \"backupp\""),
        ("misses = 3", "mises = 3"),
        ("defects = [\"PAIR-1\"]", "defects = [\"PAIR-2\"]"),
        ("one-way = 0.3", "one-way = 1.3"),
        ("mark = \"promoted\"", "mark = \"demoted\""),
        ("do.heal = {}", "do = {}"),
        ("do.heal = {}", "do.heel = {}"),
        ("kinds = [\"Heartbeat\"]", "kinds = [\"Hartbeat\"]"),
        ("command = \"step-down\"", "command = \"step-up\""),
        ("always = \"at-most-one-primary\"", "always = \"a-primary-again\""),
        ("window = [\"20s\", \"80s\"]", "window = \"20s\""),
        ("drift-ppm = -500000", "drift-ppm = -500001"),
    ] {
        assert!(EVERYTHING.contains(sound), "the example has no {sound}");
        let text = EVERYTHING.replace(sound, broken);
        assert_ne!(complaints(&schema, &text), Vec::<String>::new(), "{broken}");
        assert!(crate::common::read(&text).is_err(), "{broken}");
    }
}
