//! Reads `[[invariant]]` and `[expect]`: what must hold, and what the verdict should be.

use sim_core::{Class, EVENT_BUDGET, NO_EVENT_STORM, NO_PANIC};

use super::known::{Known, keyword};
use super::names::advice;
use super::reader::{Item, Reader, Section};
use super::tables::INVARIANT;
use super::{Expect, InvariantSpec};

/// Violations that every run is watched for without being asked.
const ALWAYS_WATCHED: [&str; 3] = [NO_PANIC, NO_EVENT_STORM, EVENT_BUDGET];

/// Reads all `[[invariant]]`.
pub(super) fn invariants(reader: &mut Reader, item: &Item<'_>, known: &Known<'_>) -> Vec<InvariantSpec> {
    let mut invariants: Vec<InvariantSpec> = Vec::new();
    let elements = reader.list(item).unwrap_or_default();
    if elements.is_empty() && item.value.is_array() {
        reader.bad_value(item, "lists no property", "add `[[invariant]]` with `always = \"...\"`");
    }
    for element in &elements {
        let element = element.expecting("a table such as `{ always = \"at-most-one-live\" }`");
        let Some(section) = reader.subsection(&INVARIANT, "`[[invariant]]`", &element) else { continue };
        let Some(invariant) = invariant(reader, &section, known) else { continue };
        if invariants.iter().any(|other| other.name == invariant.name) {
            let message = format!("`{}` is listed twice", invariant.name);
            reader.problem(element.span.clone(), message, "again here", "remove one of them");
        }
        invariants.push(invariant);
    }
    invariants
}

fn invariant(reader: &mut Reader, section: &Section<'_>, known: &Known<'_>) -> Option<InvariantSpec> {
    let item = section.exactly_one(reader, &["always", "eventually", "sometimes"])?;
    let class = match item.key {
        "always" => Class::Safety,
        "eventually" => Class::Liveness,
        _ => Class::Coverage,
    };
    let name = known.property(reader, item, class);
    let within = section.get("within").and_then(|within| {
        if class != Class::Liveness {
            let message = format!("`{}` has no `within`", keyword(class));
            let help = "only an `eventually` takes time to come true: remove `within`";
            reader.problem(within.span.clone(), message, "not here", help);
        }
        reader.some_time(within)
    });
    Some(InvariantSpec { name: name?, class, within })
}

/// Reads `[expect]`. `invariants` is what the file lists, or `None` if that could not be read.
pub(super) fn expect(reader: &mut Reader, section: &Section<'_>, invariants: Option<&[InvariantSpec]>) -> Expect {
    let Some(item) = section.exactly_one(reader, &["verdict", "violates"]) else { return Expect::Pass };
    let Some(name) = reader.text(item) else { return Expect::Pass };
    if item.key == "verdict" {
        if name != "pass" {
            let help = "write `verdict = \"pass\"`, or `violates = \"...\"` with the invariant that is to be violated";
            reader.bad_value(item, format!("cannot be `{name}`"), help);
        }
        return Expect::Pass;
    }
    let Some(invariants) = invariants else { return Expect::Pass };
    let can_fail = |invariant: &&InvariantSpec| invariant.class != Class::Coverage;
    let listed = invariants.iter().filter(can_fail).map(|invariant| invariant.name.as_str());
    if !listed.clone().chain(ALWAYS_WATCHED).any(|known| known == name) {
        let message = if invariants.iter().any(|invariant| invariant.name == name) {
            format!("a `sometimes` such as `{name}` is never violated by a run")
        } else {
            format!("this scenario has no invariant `{name}` that could be violated")
        };
        let help = advice(name, "invariants that it lists", listed);
        reader.problem(item.span.clone(), message, "not listed", format!("{help}; add it with `[[invariant]]`"));
    }
    Expect::Violates(name.to_owned())
}
