//! `fencepost real`: a scenario as real processes.

use std::env;
use std::path::{Path, PathBuf};

use sim_core::{Instant, Schedule};

use super::args::{MessageFormat, RealArgs};
use super::exit::{self, Stop};
use super::page::Page;
use super::terminal::Terminal;
use super::{Environment, campaign, write_file};
use crate::real::{self, Options, Problem};
use crate::registry::{Compiled, Registry};
use crate::report::story::Recording;
use crate::report::{json, table, timeline};

/// Runs one scenario as real processes and gives its verdict.
pub fn real(args: &RealArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let Some((entry, compiled)) = campaign::load_one(&args.scenario, "real", registry, terminal)? else {
        return Ok(exit::BAD_FILE);
    };
    let environment = Environment::read().map_err(Stop::Usage)?;
    let schedule = compiled.schedule(args.seed.or(environment.seed).unwrap_or(0));
    let folder = Folder::of(args.keep.as_deref())?;
    let program = env::current_exe().map_err(|error| Stop::Failed(format!("where is this program? {error}")))?;
    let options = Options {
        program,
        scenario: entry.argument(),
        network: args.network,
        speed: args.speed,
        directory: folder.path().to_owned(),
    };
    terminal.stop_on_interrupt().map_err(|error| Stop::Failed(format!("cannot listen for Ctrl-C: {error}")))?;
    let interrupted = terminal.interrupted();
    let stop = || interrupted.load(std::sync::atomic::Ordering::Relaxed);
    let human = args.message_format == MessageFormat::Human;
    let mut tell = |at: Instant, what: &str| {
        if human {
            // Progress, for whoever waits; the result comes at the end.
            _ = terminal.print_error(&format!("{at:>12}  {what}\n"));
        }
    };
    let result = match real::run(&*compiled, &schedule, &options, &mut tell, &stop) {
        Ok(result) => result,
        Err(problem) => return ended_without(problem, terminal),
    };
    if let Some(kept) = &args.keep {
        let record = serde_json::to_string(&result.record)
            .map_err(|error| Stop::Failed(format!("the record cannot be written: {error}")))?;
        write_file(&kept.join("record.json"), &record)?;
    }
    let code = code(&result.judgement);
    match args.message_format {
        MessageFormat::Json => {
            terminal.print(&format!("{}\n", json::real(compiled.scenario(), schedule.seed, &result)))?;
        }
        MessageFormat::Human => {
            terminal.print(&drawn(&*compiled, &schedule, &result, terminal))?;
        }
    }
    if let Some(path) = &args.html {
        let (outcome, trace) = result.judgement.likely;
        let again = format!("fencepost real {} --seed {:#x} --speed {}", entry.argument(), schedule.seed, args.speed);
        write_file(path, &Page::of_one(&*compiled, registry, again, (schedule, outcome, trace)).render())?;
        if human {
            terminal.print(&format!("  page:   {}\n", path.display()))?;
        }
    }
    Ok(code)
}

/// The run as a picture, and its verdict.
fn drawn(compiled: &dyn Compiled, schedule: &Schedule, result: &real::Result, terminal: &Terminal) -> String {
    let real::Result { judgement, record, wall } = result;
    let (outcome, trace) = &judgement.likely;
    let recording = Recording::new(compiled.scenario(), schedule, outcome, trace);
    let options = timeline::Options { width: terminal.width(), color: terminal.color(), all: false };
    let name = &compiled.scenario().name;
    let seed = schedule.seed;
    let verdict = match (judgement.certain().next(), &outcome.violation) {
        (Some(invariant), Some(violation)) => {
            format!("FAIL {name}  seed {seed:#x}  {invariant}\n  t={}   {}\n", violation.at, violation.message)
        }
        (Some(invariant), None) => format!("FAIL {name}  seed {seed:#x}  {invariant}\n"),
        (None, _) if judgement.is_open() => {
            let possible: Vec<&str> = judgement.violated.keys().map(String::as_str).collect();
            format!("OPEN {name}  seed {seed:#x}: whether {} was violated cannot be told\n", possible.join(" or "))
        }
        _ => format!("PASS {name}  seed {seed:#x}: nothing was violated\n"),
    };
    let notes = table::counted(record.notes.len() as u64, "note");
    let processes = table::counted(record.deaths.len() as u64, "end");
    format!(
        "{}\n{verdict}  {notes}, {processes} of a process, {} in {:.1} s; clocks known to {:?}; {} orders tried\n",
        timeline::render(recording, &options),
        outcome.end,
        wall.as_secs_f64(),
        judgement.uncertainty,
        judgement.orders,
    )
}

fn code(judgement: &sim_core::host::merge::Judgement) -> u8 {
    match (judgement.certain().next(), &judgement.likely.0.violation) {
        (Some(_), Some(violation)) => exit::of_class(violation.class),
        (Some(_), None) => exit::SAFETY,
        (None, _) if judgement.is_open() => exit::INCONCLUSIVE,
        _ => exit::EXPECTED,
    }
}

/// The code of a run that came to nothing.
pub(super) fn ended_without(problem: Problem, terminal: &mut Terminal) -> Result<u8, Stop> {
    match problem {
        Problem::Impossible(why) => Err(Stop::Usage(why)),
        Problem::Refused(why) | Problem::Died(why) => Err(Stop::Failed(why)),
        Problem::Nondeterministic(why) => {
            terminal.print_error(&format!("error: an actor is no state machine: {why}\n"))?;
            Ok(exit::NOT_DETERMINISTIC)
        }
        Problem::Interrupted => Ok(exit::INTERRUPTED),
    }
}

/// Where disks are: a folder that is kept, or one that is gone at the end.
pub(super) enum Folder {
    Kept(PathBuf),
    Passing(tempfile::TempDir),
}

impl Folder {
    pub(super) fn of(kept: Option<&Path>) -> Result<Self, Stop> {
        let Some(path) = kept else {
            let folder = tempfile::Builder::new().prefix("fencepost-").tempdir();
            return folder.map(Folder::Passing).map_err(|error| Stop::Failed(format!("no temporary folder: {error}")));
        };
        let cannot = |error| Stop::Failed(format!("cannot use {}: {error}", path.display()));
        std::fs::create_dir_all(path).map_err(cannot)?;
        if std::fs::read_dir(path).map_err(cannot)?.next().is_some() {
            let message = format!("{} is not empty: old disks would be taken for those of this run", path.display());
            return Err(Stop::Usage(message));
        }
        path.canonicalize().map(Folder::Kept).map_err(cannot)
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Folder::Kept(path) => path,
            Folder::Passing(folder) => folder.path(),
        }
    }
}
