//! Reads a scenario from the top: the protocol first, because it defines the names, then the cluster, then all that
//! mentions them.

use std::path::Path;
use std::sync::Arc;

use sim_core::{Limits, Member};
use toml::Spanned;
use toml::de::DeTable;

use super::cluster::{self, Settings};
use super::known::Known;
use super::names::advice;
use super::reader::{Item, Reader, Section};
use super::tables::{CLUSTER, DISK, EXPECT, LIMITS, NETWORK, SCENARIO};
use super::{Expect, FileError, Scenario, contradictions, properties, random, steps};
use crate::registry::{AnyProtocol, Registry};

/// Version of the format.
pub(super) const VERSION: u64 = 1;

/// Reads a scenario from its text. `name` is what it is called in reports, `path` what it is called in errors.
///
/// # Errors
/// Everything that is wrong with it, as far as one reading can tell.
pub fn parse(name: &str, path: &Path, source: Arc<str>, registry: &Registry) -> Result<Scenario, FileError> {
    let mut reader = Reader::new(path.display().to_string(), source.clone());
    let scenario = reader.toml(&source).and_then(|root| document(&mut reader, &root, name, path, &source, registry));
    match scenario {
        Some(scenario) if !reader.has_problems() => Ok(scenario),
        _ => Err(reader.into_error()),
    }
}

fn document(
    reader: &mut Reader,
    root: &DeTable<'_>,
    name: &str,
    path: &Path,
    source: &Arc<str>,
    registry: &Registry,
) -> Option<Scenario> {
    let section = reader.section(&SCENARIO, "the file", root, 0..0);
    if let Some(item) = section.get("schema") {
        version(reader, item)?;
    }
    let about = section.get("about").and_then(|item| about(reader, item));
    let protocol = section.get("protocol").and_then(|item| protocol(reader, item, registry));
    let duration = section.get("duration").and_then(|item| reader.some_time(item));
    let seeds = section.get("seeds").and_then(|item| reader.seeds(item));
    let commands = protocol.map(commands_of).unwrap_or_default();
    let mut known = Known { protocol, members: Vec::new(), hosts: Vec::new(), commands, complete: false, duration };

    let cluster_item = section.get("cluster");
    let settings = cluster_item.and_then(|item| whole_cluster(reader, item, &mut known));
    let network = part(reader, &section, "network", &NETWORK, cluster::network).unwrap_or_default();
    let disk = part(reader, &section, "disk", &DISK, cluster::disk).unwrap_or_default();
    let clocks = section.get("clocks").map(|item| cluster::clocks(reader, item, &known)).unwrap_or_default();

    let before = reader.problem_count();
    let steps = section.get("step").map(|item| steps::steps(reader, item, &known)).unwrap_or_default();
    let random = part(reader, &section, "random", &super::fault_tables::RANDOM, |reader, section| {
        random::random(reader, section, &known)
    });
    let random = random.flatten();
    if reader.problem_count() == before && known.complete {
        contradictions::check(reader, &steps, random.as_ref(), &known);
    }

    let before = reader.problem_count();
    let invariants = section.get("invariant").map(|item| properties::invariants(reader, item, &known));
    let sound = invariants.as_deref().filter(|_| reader.problem_count() == before && protocol.is_some());
    let expect =
        part(reader, &section, "expect", &EXPECT, |reader, section| properties::expect(reader, section, sound));
    let limits = part(reader, &section, "limits", &LIMITS, limits).unwrap_or_default();

    let explore = part(reader, &section, "explore", &super::tables::EXPLORE, |reader, section| {
        super::explore::explore(reader, section, &known)
    });

    let Settings { clients, config, defects } = settings?;
    Some(Scenario {
        name: name.to_owned(),
        path: path.to_owned(),
        source: source.clone(),
        about: about?,
        protocol: protocol?.name().to_owned(),
        duration: duration?,
        seeds: seeds?,
        members: known.members,
        clients,
        hosts: known.hosts,
        config,
        defects,
        network,
        disk,
        clocks,
        commands: known.commands,
        steps: steps.into_iter().map(|step| step.planned).collect(),
        random,
        invariants: invariants?,
        expect: expect.unwrap_or(Expect::Pass),
        limits: Limits { duration: duration?, ..limits },
        explore: explore.unwrap_or_default(),
        cluster_span: cluster_item?.span.clone(),
    })
}

/// Reads a table of the file if it is there.
fn part<T>(
    reader: &mut Reader,
    section: &Section<'_>,
    key: &str,
    grammar: &'static super::grammar::Table,
    read: impl FnOnce(&mut Reader, &Section<'_>) -> T,
) -> Option<T> {
    let item = section.get(key)?;
    let section = reader.subsection(grammar, format!("`[{key}]`"), item)?;
    Some(read(reader, &section))
}

/// `None` if the file is of a version that cannot be read: then nothing else can be said about it.
fn version(reader: &mut Reader, item: &Item<'_>) -> Option<()> {
    let version = reader.whole(item, 0, i64::MAX as u64)?;
    if version != VERSION {
        let why = format!("is version {version} of the format, and this is a reader of version {VERSION}");
        let help = format!("write `schema = {VERSION}`; a file of a later version needs a later fencepost");
        reader.bad_value(item, why, help);
        return None;
    }
    Some(())
}

fn about(reader: &mut Reader, item: &Item<'_>) -> Option<String> {
    let about = reader.text(item)?.trim();
    if about.is_empty() {
        reader.bad_value(item, "says nothing", "say in a sentence what the scenario shows");
    }
    Some(about.to_owned())
}

fn protocol<'r>(reader: &mut Reader, item: &Item<'_>, registry: &'r Registry) -> Option<&'r dyn AnyProtocol> {
    let name = reader.text(item)?;
    let found = registry.get(name);
    if found.is_none() {
        let help =
            advice(name, "protocols", registry.iter().map(|protocol| protocol.name()).collect::<Vec<_>>().into_iter());
        reader.problem(item.span.clone(), format!("there is no protocol `{name}`"), "unknown protocol", help);
    }
    found
}

fn commands_of(protocol: &dyn AnyProtocol) -> Vec<String> {
    protocol.commands().iter().map(|command| command.name.to_owned()).collect()
}

/// Reads `[cluster]` and, if it is sound, asks the protocol whether it makes sense.
fn whole_cluster(reader: &mut Reader, item: &Item<'_>, known: &mut Known<'_>) -> Option<Settings> {
    let before = reader.problem_count();
    let section = reader.subsection(&CLUSTER, "`[cluster]`", item)?;
    let settings = cluster::cluster(reader, &section, known);
    if let Some(protocol) = known.protocol {
        let config = section.get("config").map(|item| Spanned::new(item.span.clone(), item.value.clone()));
        let sound = reader.problem_count() == before;
        let members: &[Member] = if sound { &known.members } else { &[] };
        for complaint in protocol.check(members, config, &settings.defects) {
            let span = complaint.span.unwrap_or_else(|| item.span.clone());
            reader.problem(span, complaint.message, "here", complaint.help);
        }
    }
    Some(settings)
}

fn limits(reader: &mut Reader, section: &Section<'_>) -> Limits {
    let default = Limits::default();
    let mut limit = |key: &str, default: u64| {
        section.get(key).and_then(|item| reader.whole(item, 1, i64::MAX as u64)).unwrap_or(default)
    };
    Limits {
        events: limit("events", default.events),
        events_at_one_instant: limit("events-at-one-instant", default.events_at_one_instant),
        ..default
    }
}
