//! `fencepost merge`: the journals of shards, as one campaign.

use super::args::MergeArgs;
use super::campaign::{self, one_line};
use super::exit::{self, Stop};
use super::journaled::listed;
use super::reporter::Reporter;
use super::terminal::Terminal;
use crate::catalogue::{Catalogue, Entry};
use crate::journal::Verb;
use crate::journal::merge::{Gap, Shards, list};
use crate::registry::Registry;
use crate::runner::ScenarioResult;

/// Joins journals, and reports as the command would have that ran everything itself.
pub fn merge(args: MergeArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let mut shards = Shards::read(&args.journals).map_err(|error| Stop::Failed(error.to_string()))?;
    let catalogue = Catalogue::open(registry)
        .map_err(|error| Stop::Failed(format!("cannot read the folder `scenarios`: {error}")))?;
    let header = shards.header().clone();
    let entries: Vec<Entry> = header
        .scenarios
        .iter()
        .map(|scenario| {
            let found = catalogue.find(&scenario.argument);
            let same = found.ok().and_then(|mut entries| entries.pop()).filter(|entry| listed(entry) == *scenario);
            same.ok_or_else(|| {
                Stop::Failed(format!(
                    "{} is not here, or has changed since the shards were run: merge where they were run, with the same files",
                    scenario.argument
                ))
            })
        })
        .collect::<Result<_, _>>()?;

    campaign::refuse_to_keep(&args.report, header.engine)?;
    let mut gaps = shards.missing();
    let mut reporter = Reporter::new(registry, terminal, args.report, header.verb == Verb::Fuzz);
    let mut compiled = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let loaded = match entry.load(registry) {
            Ok(loaded) => {
                gaps.extend(shards.unfinished(number, loaded.scenario()));
                Ok(header.engine.host(loaded))
            }
            Err(error) => {
                reporter.terminal.print_problems(&error)?;
                Err(one_line(&error))
            }
        };
        compiled.push(loaded);
    }
    if !gaps.is_empty() {
        let incomplete = incomplete(&gaps);
        if !args.partial {
            let hint = "give --partial to report on what there is";
            return Err(Stop::Failed(format!("{incomplete}{hint}")));
        }
        reporter.terminal.print_error(&format!("warning: {incomplete}"))?;
    }
    for (number, (entry, compiled)) in entries.iter().zip(compiled).enumerate() {
        let (result, compiled) = match (shards.error(number), compiled) {
            (Some(error), _) => (ScenarioResult::error(entry.name(), error), None),
            (None, Err(error)) => (ScenarioResult::error(entry.name(), error), None),
            (None, Ok(compiled)) => {
                let result = shards.result(number, compiled.scenario());
                let failed = |error| Stop::Failed(format!("cannot read a journal again: {error}"));
                (result.map_err(failed)?, Some(compiled))
            }
        };
        reporter.add(entry, compiled.as_deref(), result)?;
    }
    Ok(match reporter.end()? {
        // Part of a campaign is not the campaign.
        exit::EXPECTED if !gaps.is_empty() => exit::OTHER,
        code => code,
    })
}

fn incomplete(gaps: &[Gap]) -> String {
    format!("the campaign is not complete:\n{}", list(gaps))
}
