//! `fencepost shrink`: one failing seed, reduced to its cause. `run` and `fuzz` do the same with the failures that they
//! show, within a few seconds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sim_core::search::Failure;

use super::args::{MessageFormat, ShrinkArgs};
use super::exit::{self, Stop};
use super::terminal::Terminal;
use super::{Environment, campaign, write_file};
use crate::catalogue::Entry;
use crate::registry::{Compiled, Registry, objection_to_searching};
use crate::report::failure;
use crate::report::json;
use crate::report::shrunk::Told;
use crate::shrink::{Budget, shrink_while};

/// Shrinks a seed, explains what is left and writes it to a file.
pub fn shrink(args: &ShrinkArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let environment = Environment::read().map_err(Stop::Usage)?;
    let missing = || Stop::Usage("which seed? Give it with --seed, such as --seed 0x2a".to_owned());
    let seed = args.seed.or(environment.seed).ok_or_else(missing)?;
    let Some((entry, compiled)) = campaign::load_one(&args.scenario, "shrink", registry, terminal)? else {
        return Ok(exit::BAD_FILE);
    };
    if let Some(objection) = objection_to_searching(&*compiled) {
        return Err(Stop::Usage(objection));
    }
    terminal.stop_on_interrupt().map_err(|error| Stop::Failed(format!("cannot listen for Ctrl-C: {error}")))?;
    let Some(told) = within(args.time, &*compiled, seed, terminal) else {
        let name = entry.name();
        return Err(Stop::Failed(format!("seed {seed:#x} of {name} violates nothing, so there is nothing to shrink")));
    };
    let path = args.out.clone().unwrap_or_else(|| failure::file(entry.name(), seed, "toml"));
    write_file(&path, &told.file(compiled.scenario(), seed))?;
    match args.message_format {
        MessageFormat::Json => terminal.print(&format!("{}\n", json::shrink(entry.name(), seed, &told, &path)))?,
        MessageFormat::Human => {
            let again = campaign::again(&entry);
            let violation = told.shrunk.outcome.violation.clone();
            let headline = violation.map(|violation| again.headline(&Failure { seed, violation })).unwrap_or_default();
            terminal.print(&format!("{headline}{}", lines(&entry, &told, &path)))?;
        }
    }
    Ok(if terminal.is_interrupted() { exit::INTERRUPTED } else { exit::EXPECTED })
}

/// Shrinks a seed for so long at most, or until Ctrl-C; `None` if it violates nothing.
pub fn within(time: Duration, compiled: &dyn Compiled, seed: u64, terminal: &Terminal) -> Option<Told> {
    let started = Instant::now();
    let keep_going = &mut || started.elapsed() < time && !terminal.is_interrupted();
    let shrunk = shrink_while(compiled, &compiled.schedule(seed), Budget::default().runs, keep_going)?;
    Some(Told::new(compiled, shrunk, started.elapsed()))
}

/// Shrinks a failure that is being shown and writes the schedule to where it goes if nobody says where.
pub fn shown(
    time: Duration,
    entry: &Entry,
    compiled: &dyn Compiled,
    seed: u64,
    terminal: &Terminal,
) -> Result<Option<(Told, PathBuf)>, Stop> {
    let Some(told) = within(time, compiled, seed, terminal) else { return Ok(None) };
    let path = failure::file(entry.name(), seed, "toml");
    write_file(&path, &told.file(compiled.scenario(), seed))?;
    Ok(Some((told, path)))
}

/// What is left, how far it was reduced, and how to see it.
pub fn lines(entry: &Entry, told: &Told, path: &Path) -> String {
    let again = campaign::again(entry);
    format!(
        "  cause:  {}\n  shrunk: {}\n  replay: {}\n",
        told.explanation,
        told.reduction(),
        again.replay_schedule(path)
    )
}
