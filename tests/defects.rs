//! The page of all defects says what the protocols and their canaries say.

use std::fs;
use std::sync::Arc;

use scenarios::catalogue::Catalogue;
use scenarios::defects::declared;
use scenarios::registry::Registry;
use scenarios::report::defects::page;
use serde_json::Value;
use tests::{fencepost, workspace};

#[test]
fn the_committed_page_is_current() {
    let path = workspace().join("protocols/DEFECTS.md");
    let catalogue =
        Catalogue::of_folder(&workspace().join("scenarios")).expect("the folder of scenarios can be listed");
    let registry = Registry::bundled();
    let (declared, unreadable) = declared(&catalogue, &registry);
    assert!(unreadable.is_empty() && !declared.is_empty(), "the scenarios cannot be read");
    // Nobody types in with how many faults a defect is found: it is found here.
    let current = page(&declared, |canary| {
        let name = canary.entry.name();
        let fewest = canary.fewest_faults(&registry, 0, &Arc::default());
        let fewest = fewest.unwrap_or_else(|error| panic!("{name} cannot be explored: {error}"));
        assert!(fewest.is_known(), "{name}: {fewest:?}; narrow its table [explore]");
        fewest
    });
    if std::env::var_os("UPDATE_DEFECTS").is_some() {
        fs::write(&path, &current).expect("the page can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        committed == current,
        "protocols/DEFECTS.md is not what the protocols and their canaries say; write it anew with\n\n    \
         UPDATE_DEFECTS=1 cargo test -p tests --test defects\n\nand commit it"
    );
}

#[test]
fn every_defect_of_a_system_is_caught_and_gone_when_fixed() {
    let arguments = ["defects", "--system", "lease", "--message-format", "json"];
    let output = fencepost().args(arguments).output().expect("the command can be run");
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let (summary, defects) = lines.split_last().expect("a summary at least");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(defects.len() >= 3, "{text}");
    for line in defects {
        let good = line["type"] == "defect" && line["found"] == true && line["fixed_clean"] == true;
        assert!(good && line["fixed_seeds"].as_u64() > line["seeds_to_find"].as_u64(), "{line}");
    }
    assert_eq!((&summary["type"], &summary["unexpected"]), (&Value::from("summary"), &Value::from(0)), "{text}");
}
