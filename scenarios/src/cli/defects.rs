//! `fencepost defects`: every canary, and every canary without its defect, as one table.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use sim_core::search::guarded;

use super::Environment;
use super::args::{DefectsArgs, MessageFormat};
use super::campaign;
use super::exit::{self, Stop};
use super::explore::Watch;
use super::shrink;
use super::terminal::Terminal;
use crate::catalogue::Catalogue;
use crate::defects::{self, Canary, Declared, Fewest};
use crate::format::advice;
use crate::registry::{Compiled, Registry, objection_to_searching};
use crate::report::defects::{Row, ShrunkTo, shrinking, summary, table};
use crate::report::shrunk::Told;
use crate::report::{failure, json};
use crate::runner::{self, Options, ScenarioResult, Which};

/// Catches every defect, and shows that what catches it passes without it.
pub fn defects(args: &DefectsArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let started = Instant::now();
    let environment = Environment::read().map_err(Stop::Usage)?;
    let which = args.seeds.clone().map(Which::Seeds).or_else(|| environment.which());
    let options = Options {
        seeds: which.unwrap_or(Which::OfScenario),
        jobs: args.jobs.or(environment.jobs).unwrap_or(0),
        ..Options::default()
    };
    let catalogue = Catalogue::open(registry)
        .map_err(|error| Stop::Failed(format!("cannot read the folder `scenarios`: {error}")))?;
    let (mut declared, unreadable) = defects::declared(&catalogue, registry);
    if let Some(system) = &args.system {
        declared.retain(|defect| defect.system == *system);
        let systems: BTreeSet<&str> = catalogue.entries().iter().map(defects::system).collect();
        if !systems.contains(system.as_str()) {
            let advice = advice(system, "systems", systems.iter().copied());
            return Err(Stop::Usage(format!("there is no system `{system}`; {advice}")));
        }
    }
    for error in &unreadable {
        terminal.print_problems(error)?;
    }
    let refused = leave_out_asynchronous(&mut declared, terminal)?;
    if declared.is_empty() && refused {
        return Ok(exit::USAGE);
    }
    if declared.is_empty() && unreadable.is_empty() {
        return Err(Stop::NothingSelected("no scenario here uses a protocol that has defects".to_owned()));
    }
    terminal.stop_on_interrupt().map_err(|error| Stop::Failed(format!("cannot listen for Ctrl-C: {error}")))?;
    let is_json = args.message_format == MessageFormat::Json;
    let mut session = Session {
        registry,
        terminal,
        options,
        is_json,
        shrink: args.shrink,
        explore: args.explore,
        rows: Vec::new(),
        results: Vec::new(),
    };
    for defect in &declared {
        session.defect(defect)?;
    }
    let Session { rows, results, .. } = session;
    match args.message_format {
        MessageFormat::Json => terminal.print(&format!("{}\n", json::defects_summary(&rows, started.elapsed())))?,
        MessageFormat::Human => {
            let interrupted = if terminal.is_interrupted() { "interrupted; some defects are left out\n" } else { "" };
            let summary = summary(&rows, started.elapsed());
            let text = format!("{}\n{}{summary}{interrupted}", table(&rows), shrinking(&rows));
            terminal.print(&text)?;
        }
    }
    Ok(match exit::of_results(&results) {
        exit::EXPECTED if !unreadable.is_empty() => exit::BAD_FILE,
        exit::EXPECTED if refused => exit::USAGE,
        exit::EXPECTED if rows.iter().any(|row| row.canary.is_none()) => exit::OTHER,
        exit::EXPECTED if terminal.is_interrupted() => exit::INTERRUPTED,
        exit::EXPECTED if rows.iter().any(Row::is_inconclusive) => exit::INCONCLUSIVE,
        code => code,
    })
}

/// Leaves out the canaries that only madsim can run, and says so; whether there were any.
fn leave_out_asynchronous(declared: &mut Vec<Declared>, terminal: &mut Terminal) -> Result<bool, Stop> {
    let mut objections = BTreeSet::new();
    declared.retain_mut(|defect| {
        let had_canaries = !defect.canaries.is_empty();
        defect.canaries.retain(|canary| {
            let objection = objection_to_searching(&*canary.compiled);
            let is_native = objection.is_none();
            objections.extend(objection);
            is_native
        });
        !had_canaries || !defect.canaries.is_empty()
    });
    for objection in &objections {
        terminal.print_error(&format!("error: {objection}\n"))?;
    }
    Ok(!objections.is_empty())
}

/// How long each shrink may take.
const TO_SHRINK: Duration = Duration::from_secs(60);
/// How long each exploration may take.
const TO_EXPLORE: Duration = Duration::from_secs(60);

/// One invocation.
struct Session<'a> {
    registry: &'a Registry,
    terminal: &'a mut Terminal,
    options: Options,
    is_json: bool,
    /// Whether to shrink what is found.
    shrink: bool,
    /// Whether to find out how few faults show each.
    explore: bool,
    rows: Vec<Row>,
    /// Of the canaries and of their twins.
    results: Vec<ScenarioResult>,
}

impl Session<'_> {
    fn defect(&mut self, defect: &Declared) -> Result<(), Stop> {
        if defect.canaries.is_empty() {
            let breaks = defect.defect.breaks.join(", ");
            self.detail(&format!(
                "FAIL {}  has no canary: no scenario of `{}` switches it on and expects a violation of {breaks}\n",
                defect.defect.id, defect.protocol
            ))?;
            return self.row(Row::without_canary(defect));
        }
        for canary in &defect.canaries {
            if self.terminal.is_interrupted() {
                break;
            }
            let fixed = canary.fixed(self.registry).map_err(|error| Stop::Failed(error.to_string()))?;
            let caught = self.run(canary.entry.name(), &*canary.compiled)?;
            let twin = self.run(&format!("{} (fixed)", canary.entry.name()), &*fixed)?;
            if self.terminal.is_interrupted() {
                break; // What was not run to its end says nothing.
            }
            self.explain(canary, &caught, &twin)?;
            let mut row = Row::new(defect, canary, &caught, &twin);
            if let Some(of) = row.canary.as_mut().filter(|_| self.shrink)
                && let Some(found) = &of.found
            {
                of.shrunk = self.shrunk(&*canary.compiled, &*fixed, found.seed);
            }
            if let Some(of) = row.canary.as_mut().filter(|_| self.explore) {
                of.fewest = Some(self.fewest(canary)?);
            }
            if self.explore && self.terminal.is_interrupted() {
                break;
            }
            self.row(row)?;
            self.results.extend([caught, twin]);
        }
        Ok(())
    }

    /// Shrinks what was found.
    fn shrunk(&self, compiled: &dyn Compiled, fixed: &dyn Compiled, seed: u64) -> Option<ShrunkTo> {
        let Told { shrunk, wall, .. } = shrink::within(TO_SHRINK, compiled, seed, self.terminal)?;
        let mended = guarded(|| fixed.run(&shrunk.schedule));
        let needs_defect = mended.violation.is_none();
        Some(ShrunkTo { from: shrunk.from, to: shrunk.to, runs: shrunk.runs, wall, needs_defect })
    }

    /// How few faults show it.
    fn fewest(&self, canary: &Canary) -> Result<Fewest, Stop> {
        let halt = Arc::new(AtomicBool::new(false));
        let watch = Watch::new(Some(TO_EXPLORE), self.terminal.interrupted(), Arc::clone(&halt));
        let fewest = canary.fewest_faults(self.registry, self.options.jobs, &halt);
        watch.end();
        fewest.map_err(|error| Stop::Failed(format!("cannot explore {}: {error}", canary.entry.name())))
    }

    fn run(&mut self, name: &str, compiled: &dyn Compiled) -> Result<ScenarioResult, Stop> {
        let seeds = runner::seeds(compiled.scenario(), &self.options);
        let progress = self.terminal.progress(name, seeds.count(), None, 0);
        // Seeds that once failed say nothing about how soon a defect is found.
        let result = runner::run(compiled, &[], &self.options, |tally| progress.show(tally));
        progress.end();
        result.map_err(|error| Stop::Failed(format!("cannot start threads: {error}")))
    }

    /// Says what is not as it should be, and how to see it.
    fn explain(&mut self, canary: &Canary, caught: &ScenarioResult, twin: &ScenarioResult) -> Result<(), Stop> {
        let again = campaign::again(&canary.entry);
        let mut text = failure::shortfalls(caught);
        if let Some(failure) = caught.unexpected_failures().next() {
            text += &again.failure(failure);
        }
        if let Some(failure) = twin.first_failure() {
            let name = format!("{} (fixed)", again.name);
            let package = again.test_package.clone();
            // A replay of the file would have the defect that its twin is without.
            text += &failure::Again { name: name.clone(), ..again }.headline(failure);
            if let Some(package) = package {
                let seed = failure.seed;
                text += &format!("  cargo:  FENCEPOST_SEED={seed:#x} cargo test -p {package} '{name}' -- --exact\n");
            }
        }
        self.detail(&text)
    }

    fn detail(&mut self, text: &str) -> Result<(), Stop> {
        match self.is_json {
            true => self.terminal.print_error(text)?,
            false => self.terminal.print(text)?,
        }
        Ok(())
    }

    fn row(&mut self, row: Row) -> Result<(), Stop> {
        if self.is_json {
            self.terminal.print(&format!("{}\n", json::defect(&row)))?;
        }
        self.rows.push(row);
        Ok(())
    }
}
