//! Which packages of the workspace may use which: one way only.

use super::Complaint;

/// Each package and those that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sim-core", &[]),
    ("protocols", &["sim-core"]),
    ("scenarios", &["sim-core", "protocols"]),
    ("tests", &["sim-core", "protocols", "scenarios"]),
];

/// Checks the manifest of a package.
pub fn check_imports(path: &str, manifest: &str) -> Vec<Complaint> {
    let complaint = |message: String| Complaint { path: path.to_owned(), line: 0, rule: "imports-one-way", message };
    let manifest: toml::Table = match manifest.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![complaint(format!("is not TOML: {error}"))],
    };
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    let Some((name, allowed)) = ALLOWED.iter().find(|(package, _)| Some(*package) == name) else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    for section in dependency_tables(&manifest) {
        for (key, value) in section {
            // A dependency can go by another name.
            let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
            let ours = ALLOWED.iter().any(|(other, _)| *other == package);
            if ours && !allowed.contains(&package) {
                complaints.push(complaint(format!(
                    "{name} must not depend on {package}: sim-core <- protocols <- scenarios <- tests"
                )));
            }
        }
    }
    complaints
}

/// The tables of dependencies of every kind, those of one platform included.
fn dependency_tables(manifest: &toml::Table) -> Vec<&toml::Table> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let of = |table: &'_ toml::Table| -> Vec<String> {
        kinds.iter().filter(|kind| table.contains_key(**kind)).map(|kind| (*kind).to_owned()).collect()
    };
    let mut tables: Vec<&toml::Table> = of(manifest).iter().filter_map(|kind| manifest[kind].as_table()).collect();
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        for target in targets.values().filter_map(toml::Value::as_table) {
            tables.extend(of(target).iter().filter_map(|kind| target[kind].as_table()));
        }
    }
    tables
}
