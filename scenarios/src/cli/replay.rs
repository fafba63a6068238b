//! `fencepost replay`: one run, drawn.

use std::fs;
use std::path::Path;

use sim_core::Schedule;
use sim_core::search::Failure;

use super::args::ReplayArgs;
use super::exit::{self, Stop};
use super::page::{self, Page};
use super::terminal::Terminal;
use super::{Environment, campaign, write_file};
use crate::catalogue::Entry;
use crate::format::{FileError, schedule};
use crate::registry::{Compiled, Engine, Registry, objection_to};
use crate::report::story::Recording;
use crate::report::timeline;

/// Runs one seed or one schedule, draws it and gives its verdict.
pub fn replay(args: &ReplayArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let source = Source::of(args)?;
    let entry = campaign::select_one(&source.scenario(args)?, "replay", registry)?;
    let prepared = entry.load(registry).and_then(|compiled| {
        let schedule = source.schedule(&*compiled, registry)?;
        Ok((args.engine.host(compiled), schedule))
    });
    let (compiled, schedule) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            terminal.print_problems(&error)?;
            return Ok(exit::BAD_FILE);
        }
    };
    if let Some(objection) = objection_to(&*compiled) {
        return Err(Stop::Usage(objection));
    }
    let scenario = compiled.scenario();
    let seed = schedule.seed;
    let (schedule, outcome, trace) = page::record(&*compiled, schedule);

    let recording = Recording::new(scenario, &schedule, &outcome, &trace);
    let options = timeline::Options { width: terminal.width(), color: terminal.color(), all: args.all };
    terminal.print(&timeline::render(recording, &options))?;
    let verdict = match outcome.violation.clone() {
        Some(violation) => campaign::again(&entry).on(args.engine).headline(&Failure { seed, violation }),
        None => format!(
            "PASS {}  seed {seed:#x}\n  t={} event #{}   nothing was violated; trace hash {:#018x}\n",
            scenario.name, outcome.end, outcome.events, outcome.trace_hash
        ),
    };
    terminal.print(&format!("\n{verdict}"))?;
    let code = outcome.violation.as_ref().map_or(exit::EXPECTED, |violation| exit::of_class(violation.class));
    if let Some(path) = &args.html {
        let page = Page::of_one(&*compiled, registry, source.again(&entry, args.engine), (schedule, outcome, trace));
        write_file(path, &page.render())?;
        terminal.print(&format!("  page:   {}\n", path.display()))?;
    }
    Ok(code)
}

/// Where the schedule comes from.
enum Source<'a> {
    Seed(u64),
    File { path: &'a Path, text: String },
}

impl<'a> Source<'a> {
    fn of(args: &'a ReplayArgs) -> Result<Self, Stop> {
        if let Some(path) = &args.schedule {
            let cannot = |error| Stop::Failed(format!("cannot read {}: {error}", path.display()));
            return Ok(Source::File { path, text: fs::read_to_string(path).map_err(cannot)? });
        }
        let environment = Environment::read().map_err(Stop::Usage)?;
        match args.seed.or(environment.seed) {
            Some(seed) => Ok(Source::Seed(seed)),
            None => Err(Stop::Usage("which seed? Give it with --seed, such as --seed 0x2a".to_owned())),
        }
    }

    /// The scenario that is meant: a schedule says which.
    fn scenario(&self, args: &ReplayArgs) -> Result<String, Stop> {
        let named = match self {
            Source::File { text, .. } => schedule::scenario_name(text),
            Source::Seed(_) => None,
        };
        let missing = || Stop::Usage("which scenario? The schedule does not say; give it before --schedule".to_owned());
        args.scenario.clone().or(named).ok_or_else(missing)
    }

    fn schedule(&self, compiled: &dyn Compiled, registry: &Registry) -> Result<Schedule, FileError> {
        match self {
            Source::Seed(seed) => Ok(compiled.schedule(*seed)),
            Source::File { path, text } => schedule::read(path, text.as_str().into(), compiled.scenario(), registry),
        }
    }

    /// The command that shows the run again.
    fn again(&self, entry: &Entry, engine: Engine) -> String {
        let again = campaign::again(entry).on(engine);
        match self {
            Source::Seed(seed) => again.replay(*seed),
            Source::File { path, .. } => again.replay_schedule(path),
        }
    }
}
