//! `fencepost run` and `fencepost fuzz`: select, run, report.

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sim_core::search::Shard;

use super::Environment;
use super::args::{FuzzArgs, How, Reporting, RunArgs};
use super::exit::Stop;
use super::journaled::Journaled;
use super::reporter::Reporter;
use super::terminal::Terminal;
use crate::catalogue::{Catalogue, Entry};
use crate::format::FileError;
use crate::journal::Verb;
use crate::registry::{Compiled, Engine, Registry, objection_to};
use crate::report::failure::Again;
use crate::report::table;
use crate::runner::{self, Options, Past, ScenarioResult, Which};

/// Runs scenarios.
pub fn run(args: RunArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let named = args.seed.map(Which::One).or(args.seeds.map(Which::Seeds));
    let options = options(named, args.time, &args.how)?;
    let entries = numbered(select(&args.scenarios, registry)?);
    let journaled = Journaled::open(&args.how, Verb::Run, args.shard, &options, &entries, terminal)?;
    let entries = dealt(entries, args.shard)?;
    let reporter = Reporter::new(registry, terminal, args.how.report, false);
    Session { reporter, registry, options, journaled }.run(&entries)
}

/// Runs many seeds of scenarios.
pub fn fuzz(args: FuzzArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let options = options(args.seeds.map(Which::Seeds), args.time, &args.how)?;
    let options = Options { shard: args.shard, exhaustive: true, ..options };
    let entries = numbered(select(&args.scenarios, registry)?);
    let journaled = Journaled::open(&args.how, Verb::Fuzz, args.shard, &options, &entries, terminal)?;
    let reporter = Reporter::new(registry, terminal, args.how.report, true);
    Session { reporter, registry, options, journaled }.run(&entries)
}

/// What the arguments say, and the environment where they say nothing.
fn options(named: Option<Which>, time: Option<Duration>, how: &How) -> Result<Options, Stop> {
    refuse_to_keep(&how.report, how.engine)?;
    let environment = Environment::read().map_err(Stop::Usage)?;
    // A limit of time is about as many seeds as fit into it, and not about those that the environment names; and the
    // other way round.
    let is_silent = named.is_none() && time.is_none();
    let which = named.or_else(|| environment.which().filter(|_| is_silent));
    Ok(Options {
        seeds: which.unwrap_or(Which::OfScenario),
        time: time.or(environment.time.filter(|_| is_silent)),
        jobs: how.jobs.or(environment.jobs).unwrap_or(0),
        check_determinism: how.check_determinism,
        engine: how.engine,
        ..Options::default()
    })
}

/// What fails on another engine need not fail on the one that runs the seeds that are kept.
pub fn refuse_to_keep(report: &Reporting, engine: Engine) -> Result<(), Stop> {
    match report.keep && engine != Engine::Native {
        true => {
            Err(Stop::Usage(format!("seeds of {engine} cannot be kept: kept seeds run on `native`; leave out --keep")))
        }
        false => Ok(()),
    }
}

/// Each with its place among all that are selected.
fn numbered(entries: Vec<Entry>) -> Vec<(usize, Entry)> {
    entries.into_iter().enumerate().collect()
}

/// The scenarios that the arguments name, each once; all if there are no arguments.
pub fn select(wanted: &[String], registry: &Registry) -> Result<Vec<Entry>, Stop> {
    let catalogue = open(registry)?;
    let mut entries = Vec::new();
    if wanted.is_empty() {
        entries.extend_from_slice(catalogue.entries());
    }
    for wanted in wanted {
        entries.extend(find(&catalogue, wanted)?);
    }
    let mut seen = BTreeSet::new();
    entries.retain(|entry| seen.insert(identity(entry)));
    if entries.is_empty() {
        return Err(Stop::NothingSelected("there is no scenario here; give the path of a file".to_owned()));
    }
    Ok(entries)
}

/// What tells a scenario from others, however it was named: its file, or its name if it is built in.
fn identity(entry: &Entry) -> PathBuf {
    match entry.path() {
        Some(path) => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
        None => PathBuf::from(entry.name()),
    }
}

/// The one scenario that an argument names.
pub fn select_one(wanted: &str, verb: &str, registry: &Registry) -> Result<Entry, Stop> {
    let mut entries = find(&open(registry)?, wanted)?;
    match entries.len() {
        1 => Ok(entries.remove(0)),
        count => Err(Stop::Usage(format!("`{wanted}` is {count} scenarios, but `{verb}` takes one"))),
    }
}

/// A scenario, and what makes worlds of it.
pub type Loaded = (Entry, Box<dyn Compiled>);

/// The one scenario that a verb is about, ready to run; `None` if its file is wrong, which has been shown.
pub fn load_one(
    wanted: &str,
    verb: &str,
    registry: &Registry,
    terminal: &mut Terminal,
) -> Result<Option<Loaded>, Stop> {
    let entry = select_one(wanted, verb, registry)?;
    match entry.load(registry) {
        Ok(compiled) => Ok(Some((entry, compiled))),
        Err(error) => {
            terminal.print_problems(&error)?;
            Ok(None)
        }
    }
}

fn open(registry: &Registry) -> Result<Catalogue, Stop> {
    Catalogue::open(registry).map_err(|error| Stop::Failed(format!("cannot read the folder `scenarios`: {error}")))
}

fn find(catalogue: &Catalogue, wanted: &str) -> Result<Vec<Entry>, Stop> {
    catalogue.find(wanted).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Stop::NothingSelected(error.to_string()),
        _ => Stop::Failed(format!("cannot read `{wanted}`: {error}")),
    })
}

/// The scenarios that fall to a shard.
fn dealt(mut entries: Vec<(usize, Entry)>, shard: Option<Shard>) -> Result<Vec<(usize, Entry)>, Stop> {
    let Some(shard) = shard else { return Ok(entries) };
    let count = entries.len() as u64;
    entries.retain(|(number, _)| shard.takes(*number));
    if entries.is_empty() {
        let scenarios = table::counted(count, "scenario");
        return Err(Stop::NothingSelected(format!(
            "of {scenarios}, none falls to shard {shard}; `fencepost fuzz --shard` deals out seeds instead"
        )));
    }
    Ok(entries)
}

/// How to run a scenario again from here.
pub fn again(entry: &Entry) -> Again {
    // The tests of this package run every file of the folder of scenarios.
    let is_tested =
        entry.path().is_some_and(|path| path.starts_with("scenarios")) && Path::new("tests/Cargo.toml").is_file();
    let program = env::args_os().next().and_then(|program| Some(Path::new(&program).file_stem()?.to_owned()));
    Again {
        program: program.map_or_else(|| "fencepost".to_owned(), |program| program.to_string_lossy().into_owned()),
        name: entry.name().to_owned(),
        argument: entry.argument(),
        engine: Engine::Native,
        test_package: is_tested.then(|| "tests".to_owned()),
    }
}

/// One invocation of `run` or `fuzz`.
struct Session<'a> {
    reporter: Reporter<'a>,
    registry: &'a Registry,
    options: Options,
    journaled: Journaled,
}

impl Session<'_> {
    fn run(mut self, entries: &[(usize, Entry)]) -> Result<u8, Stop> {
        let failed = |error| Stop::Failed(format!("cannot listen for Ctrl-C: {error}"));
        self.reporter.terminal.stop_on_interrupt().map_err(failed)?;
        for (number, entry) in entries {
            if self.reporter.terminal.is_interrupted() || self.journaled.has_failed() {
                break;
            }
            let (result, compiled) = self.run_one(*number, entry)?;
            self.reporter.add(entry, compiled.as_deref(), result)?;
        }
        let Session { reporter, journaled, .. } = self;
        // What was found counts, even where no more could be written down.
        journaled.end(reporter)
    }

    fn run_one(&mut self, number: usize, entry: &Entry) -> Result<(ScenarioResult, Option<Box<dyn Compiled>>), Stop> {
        let compiled = match entry.load(self.registry) {
            Ok(compiled) => self.options.engine.host(compiled),
            Err(error) => {
                self.reporter.terminal.print_problems(&error)?;
                let error = one_line(&error);
                self.journaled.unreadable(number, &error);
                return Ok((ScenarioResult::error(entry.name(), error), None));
            }
        };
        if let Some(objection) = objection_to(&*compiled) {
            self.reporter.terminal.print_error(&format!("error: {objection}\n"))?;
            self.journaled.unreadable(number, &objection);
            return Ok((ScenarioResult::error(entry.name(), objection), None));
        }
        let regressions = match entry.regressions() {
            Ok(regressions) => regressions,
            Err(error) => {
                self.reporter.terminal.print_error(&format!("error: {error}\n"))?;
                self.journaled.unreadable(number, &error.to_string());
                return Ok((ScenarioResult::error(entry.name(), error), None));
            }
        };
        let seeds = runner::seeds(compiled.scenario(), &self.options);
        if seeds.nth(0).is_none() {
            return Err(Stop::NothingSelected(
                "no seed falls to this shard: there are more shards than seeds".to_owned(),
            ));
        }
        let threads = |error| Stop::Failed(format!("cannot start threads: {error}"));
        let replayed = runner::replay(&*compiled, &regressions, &self.options).map_err(threads)?;
        self.journaled.kept(number, &replayed);
        let past = self.journaled.past(number).unwrap_or_else(Past::none);
        let ran = past.tally.seeds;
        let progress = self.reporter.terminal.progress(entry.name(), seeds.count(), self.options.time, ran);
        let result = runner::resume(&*compiled, replayed, &self.options, past, |tally| progress.show(tally));
        progress.end();
        let result = result.map_err(threads)?;
        if result.timed_out {
            self.journaled.time_up(number);
        }
        Ok((result, Some(compiled)))
    }
}

/// All that is wrong with a file, in one line.
pub(super) fn one_line(error: &FileError) -> String {
    let problems = error.problems().iter().map(|problem| match problem.position() {
        Some((line, column)) => format!("{}:{line}:{column}: {}", error.file(), problem.message()),
        None => format!("{}: {}", error.file(), problem.message()),
    });
    problems.collect::<Vec<_>>().join("; ")
}
