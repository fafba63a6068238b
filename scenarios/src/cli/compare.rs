//! `fencepost compare`: scenarios in three worlds.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use super::args::{CompareArgs, MessageFormat};
use super::exit::{self, Stop};
use super::terminal::Terminal;
use super::{campaign, real};
use crate::catalogue::Entry;
use crate::compare::{Comparison, Failed, compare};
use crate::real::{Options, Problem};
use crate::registry::Registry;
use crate::report::{json, worlds};

/// Runs scenarios in all worlds and shows where these disagree.
pub fn compare_worlds(args: &CompareArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let entries = campaign::select(&args.scenarios, registry)?;
    let program = env::current_exe().map_err(|error| Stop::Failed(format!("where is this program? {error}")))?;
    terminal.stop_on_interrupt().map_err(|error| Stop::Failed(format!("cannot listen for Ctrl-C: {error}")))?;
    let interrupted = terminal.interrupted();
    let human = args.message_format == MessageFormat::Human;
    if human {
        terminal.print(&worlds::heading())?;
    }
    let (next, halted) = (AtomicUsize::new(0), AtomicBool::new(false));
    let stop = || interrupted.load(Ordering::Relaxed) || halted.load(Ordering::Relaxed);
    let (sender, receiver) = channel();
    let mut shown = Shown { terminal, human, compared: Vec::new(), codes: Vec::new() };
    thread::scope(|scope| {
        // Real processes wait most of the time: several clusters at a time hardly feel each other.
        for _ in 0..args.jobs.min(entries.len()) {
            let (sender, entries, next, stop, program) = (sender.clone(), &entries, &next, &stop, &program);
            scope.spawn(move || {
                while let Some((number, entry)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|number| Some((number, entries.get(number)?)))
                    && !stop()
                    && sender.send((number, compare_one(entry, args, registry, program, stop))).is_ok()
                {
                }
            });
        }
        drop(sender);
        // Shown in the order in which they were asked for, whichever is ready first.
        let mut ready = BTreeMap::new();
        let mut due = 0;
        for (number, result) in receiver {
            ready.insert(number, result);
            while let Some(result) = ready.remove(&due) {
                if let Err(error) = result.and_then(|result| shown.show(&entries[due], result)) {
                    halted.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                due += 1;
            }
        }
        Ok(())
    })?;
    if interrupted.load(Ordering::Relaxed) {
        return Ok(exit::INTERRUPTED);
    }
    let Shown { compared, codes, terminal, .. } = shown;
    if codes.is_empty() {
        return Err(Stop::NothingSelected("none of these can be run as real processes here".to_owned()));
    }
    if human {
        terminal.print(&worlds::summary(&compared))?;
    }
    Ok(exit::worst(&codes))
}

fn compare_one(
    entry: &Entry,
    args: &CompareArgs,
    registry: &Registry,
    program: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Result<Comparison, Failed>, Stop> {
    let folder = real::Folder::of(None)?;
    let options = Options {
        program: program.to_owned(),
        scenario: entry.argument(),
        network: args.network,
        speed: args.speed,
        directory: folder.path().to_owned(),
    };
    Ok(compare(entry, registry, &options, args.tries, &mut |_, _| {}, stop))
}

/// What has been shown.
struct Shown<'a> {
    terminal: &'a mut Terminal,
    human: bool,
    compared: Vec<Comparison>,
    codes: Vec<u8>,
}

impl Shown<'_> {
    fn show(&mut self, entry: &Entry, result: Result<Comparison, Failed>) -> Result<(), Stop> {
        let comparison = match result {
            Ok(comparison) => comparison,
            Err(Failed::File(error)) => {
                self.codes.push(exit::BAD_FILE);
                return Ok(self.terminal.print_problems(&error)?);
            }
            // What cannot be done to this one may be done to the next.
            Err(Failed::Real(Problem::Impossible(why))) => {
                return Ok(self.terminal.print_error(&format!("left out: {why}\n"))?);
            }
            Err(Failed::Real(Problem::Interrupted)) => return Ok(()),
            Err(Failed::Real(problem)) => {
                self.codes.push(real::ended_without(problem, self.terminal)?);
                return Ok(());
            }
        };
        let agrees = comparison.agrees() && comparison.has_one_order();
        self.codes.push(if agrees { exit::EXPECTED } else { exit::OTHER });
        let line = match self.human {
            true => worlds::row(entry.name(), &comparison),
            false => format!("{}\n", json::compared(entry.name(), &comparison)),
        };
        self.terminal.print(&line)?;
        self.compared.push(comparison);
        Ok(())
    }
}
