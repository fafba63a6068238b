//! `fencepost list`.

use std::fmt::Write as _;

use anstyle::Style;
use serde::Serialize;

use super::args::{ListArgs, Listed, MessageFormat};
use super::exit::{self, Stop};
use super::terminal::Terminal;
use crate::catalogue::Catalogue;
use crate::format::{Expect, advice};
use crate::registry::{AnyProtocol, Registry};

/// One thing that can be named. Its kind comes first so that a reader of lines knows what follows.
#[derive(Serialize)]
struct Item {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    about: String,
    /// What else there is to know, such as the properties that a defect breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
}

const ALL: [Listed; 5] = [Listed::Protocols, Listed::Scenarios, Listed::Invariants, Listed::Defects, Listed::Marks];

/// Lists what can be run, and what a file can name.
pub fn list(args: &ListArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    if let Some(name) = args.protocol.as_deref().filter(|name| registry.get(name).is_none()) {
        let advice = advice(name, "protocols", registry.iter().map(AnyProtocol::name).collect::<Vec<_>>().into_iter());
        return Err(Stop::Usage(format!("there is no protocol `{name}`; {advice}")));
    }
    let wanted = |what: &&Listed| args.what.is_empty() || args.what.contains(what);
    let mut nothing = true;
    for what in ALL.iter().filter(wanted) {
        let items = items(*what, args.protocol.as_deref(), registry)?;
        nothing &= items.is_empty();
        match args.message_format {
            MessageFormat::Human => terminal.print(&section(*what, &items))?,
            MessageFormat::Json => {
                for item in &items {
                    let line = serde_json::to_string(item).expect("text can always be JSON");
                    terminal.print(&format!("{line}\n"))?;
                }
            }
        }
    }
    Ok(if nothing { exit::NOTHING_SELECTED } else { exit::EXPECTED })
}

fn items(what: Listed, protocol: Option<&str>, registry: &Registry) -> Result<Vec<Item>, Stop> {
    let protocols = registry.iter().filter(|p| protocol.is_none_or(|wanted| p.name() == wanted));
    Ok(match what {
        Listed::Protocols => protocols.map(|p| item("protocol", p.name(), None, p.about(), None)).collect(),
        Listed::Scenarios => scenarios(protocol, registry)?,
        Listed::Invariants => protocols.flat_map(invariants).collect(),
        Listed::Defects => protocols.flat_map(defects).collect(),
        Listed::Marks => protocols.flat_map(marks).collect(),
    })
}

fn item(kind: &'static str, name: &str, protocol: Option<&str>, about: &str, details: Option<String>) -> Item {
    Item { kind, name: name.to_owned(), protocol: protocol.map(str::to_owned), about: about.to_owned(), details }
}

fn invariants(protocol: &dyn AnyProtocol) -> Vec<Item> {
    let class = |class| match class {
        sim_core::Class::Safety => "always",
        sim_core::Class::Liveness => "eventually",
        sim_core::Class::Coverage => "sometimes",
    };
    let properties = protocol.properties().iter();
    let items = properties.map(|property| {
        item("invariant", property.name, Some(protocol.name()), property.about, Some(class(property.class).to_owned()))
    });
    items.collect()
}

fn defects(protocol: &dyn AnyProtocol) -> Vec<Item> {
    let defects = protocol.defects().iter();
    let items = defects.map(|defect| {
        let breaks = format!("breaks {}", defect.breaks.join(", "));
        item("defect", defect.id, Some(protocol.name()), defect.about, Some(breaks))
    });
    items.collect()
}

fn marks(protocol: &dyn AnyProtocol) -> Vec<Item> {
    protocol.marks().iter().map(|mark| item("mark", mark.name, Some(protocol.name()), mark.about, None)).collect()
}

fn scenarios(protocol: Option<&str>, registry: &Registry) -> Result<Vec<Item>, Stop> {
    let catalogue =
        Catalogue::open(registry).map_err(|error| Stop::Failed(format!("cannot read `scenarios`: {error}")))?;
    let items = catalogue.entries().iter().filter_map(|entry| match entry.load(registry) {
        Ok(compiled) => {
            let scenario = compiled.scenario();
            let details = match &scenario.expect {
                Expect::Pass => None,
                Expect::Violates(invariant) => Some(format!("a canary: must violate {invariant}")),
            };
            let wanted = protocol.is_none_or(|wanted| wanted == scenario.protocol);
            wanted.then(|| item("scenario", entry.name(), Some(&scenario.protocol), &scenario.about, details))
        }
        // Its protocol may be anything; `check` says what is wrong with it.
        Err(error) => Some(item("scenario", entry.name(), None, &error.to_string(), Some("see `check`".to_owned()))),
    });
    Ok(items.collect())
}

fn section(what: Listed, items: &[Item]) -> String {
    const HEADING: Style = Style::new().bold();
    const QUIET: Style = Style::new().dimmed();
    let title = match what {
        Listed::Protocols => "Protocols",
        Listed::Scenarios => "Scenarios",
        Listed::Invariants => "Invariants",
        Listed::Defects => "Defects",
        Listed::Marks => "Marks",
    };
    let mut text = format!("{HEADING}{title}{HEADING:#}\n");
    if items.is_empty() {
        text += "  none\n";
    }
    let width = items.iter().map(|item| item.name.chars().count()).max().unwrap_or(0);
    let mut protocol = None;
    for item in items {
        // The name of a scenario says where it belongs.
        if what != Listed::Scenarios && item.protocol != protocol {
            protocol.clone_from(&item.protocol);
            let _ = writeln!(text, "  {QUIET}{}:{QUIET:#}", protocol.as_deref().unwrap_or_default());
        }
        let details = item.details.as_ref().map_or(String::new(), |details| format!("  {QUIET}({details}){QUIET:#}"));
        let _ = writeln!(text, "  {:width$}  {}{details}", item.name, item.about);
    }
    text.push('\n');
    text
}
