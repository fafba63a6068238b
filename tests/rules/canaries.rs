//! Every scenario says what it shows, and every defect has a canary: a scenario that switches it on and expects one
//! of the violations that the defect is said to cause. A checker that never failed may be unable to.

use std::collections::BTreeSet;

use sim_core::Defect;

use super::Complaint;
use crate::File;

/// What is of interest here in a scenario file, read without the help of the product's own reader.
struct Scenario<'a> {
    path: &'a str,
    protocol: String,
    about: String,
    defects: BTreeSet<String>,
    violates: Option<String>,
}

/// Checks all scenario files against the defects of the protocols, by name of the protocol.
pub fn check_scenarios(files: &[File], protocols: &[(&str, &[Defect])]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut scenarios = Vec::new();
    for file in files {
        match read(file) {
            Ok(scenario) => scenarios.push(scenario),
            Err(message) => complaints.push(complaint(&file.path, message)),
        }
    }
    for scenario in &scenarios {
        complaints.extend(check_one(scenario, protocols).into_iter().map(|message| complaint(scenario.path, message)));
    }
    for (protocol, defects) in protocols {
        for defect in *defects {
            let canary = scenarios.iter().any(|scenario| {
                scenario.protocol == *protocol
                    && scenario.defects.contains(defect.id)
                    && scenario.violates.as_deref().is_some_and(|name| defect.breaks.contains(&name))
            });
            if !canary {
                let message = format!(
                    "no scenario switches on {} and expects one of the violations that it causes ({})",
                    defect.id,
                    defect.breaks.join(", ")
                );
                complaints.push(complaint(&format!("scenarios/{protocol}"), message));
            }
        }
    }
    complaints
}

fn complaint(path: &str, message: String) -> Complaint {
    Complaint { path: path.to_owned(), line: 0, rule: "canaries", message }
}

fn read(file: &File) -> Result<Scenario<'_>, String> {
    let table: toml::Table = file.text.parse().map_err(|error| format!("is not TOML: {error}"))?;
    let text = |keys: &[&str]| {
        let mut value = table.get(keys[0])?;
        for key in &keys[1..] {
            value = value.get(key)?;
        }
        value.as_str().map(str::to_owned)
    };
    let defects = table.get("cluster").and_then(|cluster| cluster.get("defects")).and_then(toml::Value::as_array);
    Ok(Scenario {
        path: &file.path,
        protocol: text(&["protocol"]).unwrap_or_default(),
        about: text(&["about"]).unwrap_or_default(),
        defects: defects.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned).collect(),
        violates: text(&["expect", "violates"]),
    })
}

fn check_one(scenario: &Scenario<'_>, protocols: &[(&str, &[Defect])]) -> Vec<String> {
    let mut messages = Vec::new();
    if scenario.about.trim().is_empty() {
        messages.push("say in `about` what it shows".to_owned());
    }
    let Some((_, defects)) = protocols.iter().find(|(name, _)| *name == scenario.protocol) else {
        messages.push(format!("the protocol {:?} is not one of the bundled ones", scenario.protocol));
        return messages;
    };
    for id in &scenario.defects {
        match (defects.iter().find(|defect| defect.id == id), &scenario.violates) {
            (None, _) => messages.push(format!("{} has no defect {id}", scenario.protocol)),
            (Some(_), None) => {
                messages.push(format!("{id} is on but no violation is expected: say `violates = \"...\"` in [expect]"));
            }
            (Some(_), Some(_)) => {}
        }
    }
    if let Some(violates) = &scenario.violates
        && !scenario.defects.is_empty()
    {
        let told = defects.iter().filter(|defect| scenario.defects.contains(defect.id));
        if !told.clone().any(|defect| defect.breaks.contains(&violates.as_str())) {
            let ids: Vec<&str> = told.map(|defect| defect.id).collect();
            messages.push(format!("expects a violation of {violates}, which {} is not said to break", ids.join(", ")));
        }
    }
    messages
}
