//! `fencepost run` and `fencepost fuzz`: select, run, report.

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sim_core::search::Shard;

use super::args::{FuzzArgs, How, MessageFormat, RunArgs};
use super::exit::{self, Stop};
use super::page::Page;
use super::terminal::Terminal;
use super::{Environment, write_file};
use crate::catalogue::{Catalogue, Entry};
use crate::format::FileError;
use crate::registry::{Compiled, Registry};
use crate::report::failure::{self, Again};
use crate::report::{json, junit, table};
use crate::runner::{self, Options, ScenarioResult, Which};

/// Runs scenarios.
pub fn run(args: RunArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let environment = Environment::read().map_err(Stop::Usage)?;
    let named = args.seed.map(Which::One).or(args.seeds.map(Which::Seeds));
    // A limit of time is about as many seeds as fit into it, and not about those that the environment names.
    let which = named.or_else(|| environment.which().filter(|_| args.time.is_none()));
    let entries = dealt(select(&args.scenarios, registry)?, args.shard)?;
    let options = options(which, args.time, &args.how, &environment);
    Session { registry, terminal, options, how: args.how, show_expected: false }.run(&entries)
}

/// Runs many seeds of one scenario.
pub fn fuzz(args: FuzzArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let environment = Environment::read().map_err(Stop::Usage)?;
    let which = args.seeds.map(Which::Seeds).or_else(|| environment.which().filter(|_| args.time.is_none()));
    let entry = select_one(&args.scenario, "fuzz", registry)?;
    let options = Options { shard: args.shard, exhaustive: true, ..options(which, args.time, &args.how, &environment) };
    Session { registry, terminal, options, how: args.how, show_expected: true }.run(&[entry])
}

fn options(which: Option<Which>, time: Option<Duration>, how: &How, environment: &Environment) -> Options {
    Options {
        seeds: which.unwrap_or(Which::OfScenario),
        time,
        jobs: how.jobs.or(environment.jobs).unwrap_or(0),
        check_determinism: how.check_determinism,
        ..Options::default()
    }
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
fn dealt(entries: Vec<Entry>, shard: Option<Shard>) -> Result<Vec<Entry>, Stop> {
    let Some(shard) = shard else { return Ok(entries) };
    let count = entries.len() as u64;
    let entries: Vec<Entry> =
        entries.into_iter().enumerate().filter(|(number, _)| shard.takes(*number)).map(|(_, entry)| entry).collect();
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
        test_package: is_tested.then(|| "tests".to_owned()),
    }
}

/// One invocation of `run` or `fuzz`.
struct Session<'a> {
    registry: &'a Registry,
    terminal: &'a mut Terminal,
    options: Options,
    how: How,
    /// Whether to show failures that a canary expects, too.
    show_expected: bool,
}

/// Failures shown of each scenario.
const SHOWN: usize = 3;

impl Session<'_> {
    fn run(mut self, entries: &[Entry]) -> Result<u8, Stop> {
        let started = Instant::now();
        let failed = |error| Stop::Failed(format!("cannot listen for Ctrl-C: {error}"));
        self.terminal.stop_on_interrupt().map_err(failed)?;
        let mut page = self.how.html.is_some().then(Page::default);
        let mut results = Vec::new();
        let mut details = Vec::new();
        for entry in entries {
            if self.terminal.is_interrupted() {
                break;
            }
            let (result, compiled) = self.run_one(entry)?;
            let shown = self.show(entry, &result)?;
            if let (Some(page), Some(compiled)) = (&mut page, compiled) {
                page.add(entry, &*compiled, self.registry, &result);
            }
            if self.is_json() {
                self.terminal.print(&format!("{}\n", json::scenario(&result)))?;
            }
            results.push(result);
            details.push(shown);
        }
        self.finish(&results, started.elapsed())?;
        if let Some(path) = &self.how.junit {
            let text = junit::junit(&results, &details).map_err(|error| Stop::Failed(error.to_string()))?;
            write_file(path, &text)?;
        }
        if let (Some(path), Some(page)) = (&self.how.html, page) {
            write_file(path, &page.render())?;
        }
        Ok(match exit::of_results(&results) {
            exit::EXPECTED if self.terminal.is_interrupted() => exit::INTERRUPTED,
            code => code,
        })
    }

    fn is_json(&self) -> bool {
        self.how.message_format == MessageFormat::Json
    }

    fn run_one(&mut self, entry: &Entry) -> Result<(ScenarioResult, Option<Box<dyn Compiled>>), Stop> {
        let compiled = match entry.load(self.registry) {
            Ok(compiled) => compiled,
            Err(error) => {
                self.terminal.print_problems(&error)?;
                return Ok((ScenarioResult::error(entry.name(), one_line(&error)), None));
            }
        };
        let regressions = match entry.regressions() {
            Ok(regressions) => regressions,
            Err(error) => {
                self.terminal.print_error(&format!("error: {error}\n"))?;
                return Ok((ScenarioResult::error(entry.name(), error), None));
            }
        };
        let seeds = runner::seeds(compiled.scenario(), &self.options);
        if seeds.nth(0).is_none() {
            return Err(Stop::NothingSelected(
                "no seed falls to this shard: there are more shards than seeds".to_owned(),
            ));
        }
        let progress = self.terminal.progress(entry.name(), seeds.count(), self.options.time);
        let result = runner::run(&*compiled, &regressions, &self.options, |tally| progress.show(tally));
        progress.end();
        let result = result.map_err(|error| Stop::Failed(format!("cannot start threads: {error}")))?;
        Ok((result, Some(compiled)))
    }

    /// Shows what is not as expected, writes each failure to a file, and returns the text.
    fn show(&mut self, entry: &Entry, result: &ScenarioResult) -> Result<String, Stop> {
        let again = again(entry);
        let mut text = String::new();
        if let Some(divergence) = &result.divergence {
            text += &self.save(entry, divergence.seed, again.divergence(divergence));
        }
        let mut seen = BTreeSet::new();
        let failures: Vec<_> =
            if self.show_expected { result.failures().collect() } else { result.unexpected_failures().collect() };
        let distinct = failures.into_iter().filter(|failure| seen.insert(failure.seed)).take(SHOWN);
        let mut shown = 0;
        for failure in distinct {
            shown += 1;
            if !text.is_empty() {
                text.push('\n');
            }
            text += &self.save(entry, failure.seed, again.failure(failure));
            let path = entry.regressions_path();
            if self.how.keep {
                let new = crate::regressions::keep(&path, entry.name(), failure)
                    .map_err(|error| Stop::Failed(format!("cannot keep the seed in {}: {error}", path.display())))?;
                let already = if new { "" } else { " already" };
                text += &format!("  kept:   {}{already}\n", path.display());
            } else if env::var_os("CI").is_none() {
                text += &failure::how_to_keep(&path, failure);
            }
        }
        text += &failure::rest(result, shown);
        text += &failure::shortfalls(result);
        if let Some(error) = &result.error {
            text += &format!("{error}\n");
        } else if self.is_json() {
            self.terminal.print_error(&text)?;
        } else {
            self.terminal.print(&text)?;
        }
        Ok(text)
    }

    /// Writes a failure to a file, and says where.
    fn save(&self, entry: &Entry, seed: u64, text: String) -> String {
        // A failure that cannot be written to a file is still shown.
        match failure::save(entry.name(), seed, &text) {
            Ok(path) => format!("{text}  file:   {}\n", path.display()),
            Err(error) => format!("{text}  file:   not written: {error}\n"),
        }
    }

    fn finish(&mut self, results: &[ScenarioResult], wall: Duration) -> io::Result<()> {
        if self.is_json() {
            return self.terminal.print(&format!("{}\n", json::summary(results, wall)));
        }
        let interrupted = if self.terminal.is_interrupted() {
            "interrupted; the verdicts are about the seeds that were run\n"
        } else {
            ""
        };
        self.terminal.print(&format!("{}\n{}{interrupted}", table::table(results), table::summary(results, wall)))
    }
}

/// All that is wrong with a file, in one line.
fn one_line(error: &FileError) -> String {
    let problems = error.problems().iter().map(|problem| match problem.position() {
        Some((line, column)) => format!("{}:{line}:{column}: {}", error.file(), problem.message()),
        None => format!("{}: {}", error.file(), problem.message()),
    });
    problems.collect::<Vec<_>>().join("; ")
}
