//! Reads a schedule, with the same care for errors as a scenario.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sim_core::{Baseline, ClockSetting, Deviation, FaultPlan, Moment, NodeId, Schedule, Site};
use toml::de::DeTable;

use super::{DEVIATION, DRAWS, FAULT, SCHEDULE, VERSION, hash};
use crate::format::known::Known;
use crate::format::reader::{Item, Reader, Section};
use crate::format::{FileError, Scenario, cluster, steps};
use crate::registry::Registry;

/// The name of the scenario that a schedule belongs to, if its text says so.
pub fn scenario_name(source: &str) -> Option<String> {
    let root = DeTable::parse(source).ok()?;
    Some(root.get_ref().get("scenario")?.get_ref().as_str()?.to_owned())
}

/// Reads a schedule of a scenario. `path` is what the file is called in errors.
///
/// # Errors
/// Everything that is wrong with it; above all, that the scenario has changed since it was made.
pub fn read(path: &Path, source: Arc<str>, scenario: &Scenario, registry: &Registry) -> Result<Schedule, FileError> {
    let mut reader = Reader::lenient(path.display().to_string(), source.clone());
    let schedule = reader.toml(&source).and_then(|root| {
        let section = reader.section(&SCHEDULE, "the file", &root, 0..0);
        document(&mut reader, &section, scenario, registry)
    });
    match schedule {
        Some(schedule) if !reader.has_problems() => Ok(schedule),
        _ => Err(reader.into_error()),
    }
}

fn document(reader: &mut Reader, section: &Section<'_>, scenario: &Scenario, registry: &Registry) -> Option<Schedule> {
    if let Some(item) = section.get("schedule") {
        version(reader, item)?;
    }
    if let Some(item) = section.get("scenario") {
        belongs(reader, item, scenario)?;
    }
    if let Some(item) = section.get("scenario-hash") {
        current(reader, item, section, scenario)?;
    }
    let known = Known {
        protocol: registry.get(&scenario.protocol),
        members: scenario.members.clone(),
        hosts: scenario.hosts.clone(),
        commands: scenario.commands.clone(),
        complete: true,
        duration: Some(scenario.duration),
    };
    let seed = section.get("seed").and_then(|item| reader.seed(item));
    let baseline = section.get("baseline").and_then(|item| baseline(reader, item));
    let clocks = section.get("clocks").map(|item| clocks(reader, item, &known)).unwrap_or_default();
    let mut schedule = Schedule { clocks, ..Schedule::seeded(seed?) };
    schedule.baseline = baseline?;
    if let Some(item) = section.get("faults") {
        schedule.faults = faults(reader, item, &known);
    }
    if let Some(item) = section.get("deviations") {
        for element in reader.list(item).unwrap_or_default() {
            let Some(section) = reader.subsection(&DEVIATION, "a deviation", &element) else { continue };
            let Some((site, moment, deviation)) = deviation(reader, &section, &known) else { continue };
            if schedule.deviations.get(site, moment).is_some() {
                reader.problem(element.span, "this moment has a deviation already", "again here", "remove one of them");
            }
            schedule.deviations.insert(site, moment, deviation);
        }
    }
    if let Some(item) = section.get("absent") {
        schedule.absent = known.nodes(reader, item).into_iter().flatten().collect();
    }
    if let Some(item) = section.get("draws") {
        for element in reader.list(item).unwrap_or_default() {
            let Some(section) = reader.subsection(&DRAWS, "what a node draws", &element) else { continue };
            let Some((node, draws)) = draws(reader, &section, &known) else { continue };
            if schedule.draws.insert(node, draws).is_some() {
                reader.problem(element.span, "this node has draws already", "again here", "remove one of them");
            }
        }
    }
    Some(schedule)
}

fn draws(reader: &mut Reader, section: &Section<'_>, known: &Known<'_>) -> Option<(NodeId, Vec<u64>)> {
    let node = section.get("node").and_then(|item| known.node(reader, item));
    let numbers = section.get("first").and_then(|item| reader.list(item));
    let draws: Option<Vec<u64>> = numbers?.iter().map(|number| reader.seed(number)).collect();
    Some((node?, draws?))
}

fn version(reader: &mut Reader, item: &Item<'_>) -> Option<()> {
    let version = reader.whole(item, 0, i64::MAX as u64)?;
    if version != VERSION {
        let why = format!("is version {version} of the format, and this is a reader of version {VERSION}");
        reader.bad_value(
            item,
            why,
            "make the schedule anew with this fencepost, or replay it with the one that made it",
        );
    }
    (version == VERSION).then_some(())
}

fn belongs(reader: &mut Reader, item: &Item<'_>, scenario: &Scenario) -> Option<()> {
    let name = reader.text(item)?;
    if name != scenario.name {
        let message = format!("this schedule belongs to the scenario `{name}`, not to `{}`", scenario.name);
        let help = format!("replay it with `{name}`; if the scenario was renamed, write its new name here");
        reader.problem(item.span.clone(), message, "another scenario", help);
    }
    (name == scenario.name).then_some(())
}

/// `None` if the scenario has changed: then nothing that the schedule says can be relied on.
fn current(reader: &mut Reader, item: &Item<'_>, section: &Section<'_>, scenario: &Scenario) -> Option<()> {
    let made_for = reader.seed(item)?;
    let now = hash(&scenario.source);
    if made_for != now {
        let seed = section.get("seed").and_then(|item| item.value.as_str()).unwrap_or("SEED");
        let path = scenario.path.display();
        let help = format!(
            "make it anew with `fencepost shrink {path} --seed {seed}`, or delete it if that seed does not fail any \
             more; if only a comment has changed, write `scenario-hash = \"{now:#018x}\"`"
        );
        let message = format!("this schedule is stale: `{}` has changed since it was made", scenario.name);
        reader.problem(item.span.clone(), message, format!("the file is {now:#018x} now"), help);
    }
    (made_for == now).then_some(())
}

fn baseline(reader: &mut Reader, item: &Item<'_>) -> Option<Baseline> {
    match reader.text(item)? {
        "calm" => Some(Baseline::Calm),
        "seeded" => Some(Baseline::Seeded),
        other => {
            reader.bad_value(item, format!("cannot be `{other}`"), "write `\"calm\"` or `\"seeded\"`");
            None
        }
    }
}

fn clocks(reader: &mut Reader, item: &Item<'_>, known: &Known<'_>) -> BTreeMap<NodeId, ClockSetting> {
    let mut clocks = BTreeMap::new();
    for range in cluster::clocks(reader, item, known) {
        match range.exact() {
            Some(setting) => drop(clocks.insert(range.node, setting)),
            None => reader.bad_value(item, "has a range", "a schedule leaves nothing open: write one value"),
        }
    }
    clocks
}

fn faults(reader: &mut Reader, item: &Item<'_>, known: &Known<'_>) -> FaultPlan {
    let mut plan = FaultPlan::default();
    for element in reader.list(item).unwrap_or_default() {
        let Some(section) = reader.subsection(&FAULT, "a fault", &element) else { continue };
        let Some(id) = section.get("id").and_then(|item| reader.whole(item, 0, u64::from(u32::MAX))) else { continue };
        let Some(step) = steps::step(reader, &section, known, id as u32) else { continue };
        if plan.faults.iter().any(|other| other.id == step.planned.id) {
            let message = format!("there are two faults with the id {id}");
            reader.problem(element.span, message, "again here", "give each fault an id of its own");
        }
        plan.faults.push(step.planned);
    }
    plan
}

fn deviation(reader: &mut Reader, section: &Section<'_>, known: &Known<'_>) -> Option<(Site, Moment, Deviation)> {
    let site = match section.exactly_one(reader, &["link", "disk"])? {
        item if item.key == "disk" => known.node(reader, item).map(Site::Disk),
        item => {
            let ends = reader.list(item)?;
            let ends: Vec<_> = ends.iter().map(|end| known.node(reader, end)).collect();
            match ends[..] {
                [from, to] => from.zip(to).map(|(from, to)| Site::Link(from, to)),
                _ => {
                    reader.mismatch(item);
                    None
                }
            }
        }
    };
    let at = section.get("at").and_then(|item| reader.instant(item));
    let nth = section.get("nth").map_or(Some(0), |item| reader.whole(item, 0, u64::from(u32::MAX)));
    let torn = section.get("torn").map_or(Some(false), |item| reader.flag(item));
    let deviation = match section.exactly_one(reader, &["lost", "delayed", "duplicated", "kept"])? {
        item if item.key == "kept" => {
            let writes = reader.whole(item, 0, u64::from(u32::MAX))? as u32;
            Some(Deviation::Kept { writes, torn: torn? })
        }
        item if item.key == "lost" => match reader.flag(item)? {
            true => Some(Deviation::Lost),
            false => {
                reader.bad_value(item, "is no deviation", "write `lost = true`, or remove the line");
                None
            }
        },
        item if item.key == "delayed" => reader.duration(item).map(Deviation::Delayed),
        item => {
            let arrivals = reader.list(item)?;
            let arrivals: Vec<_> = arrivals.iter().map(|item| reader.duration(item)).collect();
            match arrivals[..] {
                [first, second] => first.zip(second).map(|(first, second)| Deviation::Duplicated { first, second }),
                _ => {
                    reader.mismatch(item);
                    None
                }
            }
        }
    };
    Some((site?, Moment { at: at?, ordinal: nth? as u32 }, deviation?))
}
