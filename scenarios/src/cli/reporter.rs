//! What a campaign ends in: each scenario's failures as they come, files that hold them, and the verdicts at the end. The
//! same for seeds that were run just now and for journals that are joined.

use std::env;
use std::time::{Duration, Instant};

use super::args::{MessageFormat, Reporting};
use super::campaign::again;
use super::exit::{self, Stop};
use super::page::Page;
use super::terminal::Terminal;
use super::{shrink, write_file};
use crate::catalogue::Entry;
use crate::registry::{Compiled, Engine, Registry};
use crate::report::{failure, json, junit, table};
use crate::runner::ScenarioResult;

/// Failures shown of each scenario.
const SHOWN: usize = 3;
/// How long a report may shrink what fails, all in all.
const TO_SHRINK: Duration = Duration::from_secs(5);

/// A report in the making.
pub struct Reporter<'a> {
    pub terminal: &'a mut Terminal,
    registry: &'a Registry,
    how: Reporting,
    /// Whether to show failures that a canary expects, too.
    show_expected: bool,
    started: Instant,
    /// How much time is left to shrink what fails.
    to_shrink: Duration,
    page: Option<Page>,
    results: Vec<ScenarioResult>,
    /// What was printed about each result.
    details: Vec<String>,
}

impl<'a> Reporter<'a> {
    /// With nothing in it yet.
    pub fn new(registry: &'a Registry, terminal: &'a mut Terminal, how: Reporting, show_expected: bool) -> Self {
        let page = how.html.is_some().then(Page::default);
        let (results, details) = (Vec::new(), Vec::new());
        let (started, to_shrink) = (Instant::now(), TO_SHRINK);
        Reporter { terminal, registry, how, show_expected, started, to_shrink, page, results, details }
    }

    /// Adds a scenario and shows what is not as expected.
    pub fn add(&mut self, entry: &Entry, compiled: Option<&dyn Compiled>, result: ScenarioResult) -> Result<(), Stop> {
        let details = self.show(entry, &result, compiled)?;
        if let (Some(page), Some(compiled)) = (&mut self.page, compiled) {
            page.add(entry, compiled, self.registry, &result);
        }
        if self.is_json() {
            self.terminal.print(&format!("{}\n", json::scenario(&result)))?;
        }
        self.results.push(result);
        self.details.push(details);
        Ok(())
    }

    /// Prints the verdicts, writes the files that were asked for, and says how the command ends.
    pub fn end(self) -> Result<u8, Stop> {
        let (results, wall) = (&self.results, self.started.elapsed());
        let is_interrupted = self.terminal.is_interrupted();
        let text = if self.is_json() {
            format!("{}\n", json::summary(results, wall))
        } else {
            let interrupted =
                if is_interrupted { "interrupted; the verdicts are about the seeds that were run\n" } else { "" };
            format!("{}\n{}{interrupted}", table::table(results), table::summary(results, wall))
        };
        self.terminal.print(&text)?;
        if let Some(path) = &self.how.junit {
            let text = junit::junit(results, &self.details).map_err(|error| Stop::Failed(error.to_string()))?;
            write_file(path, &text)?;
        }
        if let (Some(path), Some(page)) = (&self.how.html, self.page) {
            write_file(path, &page.render())?;
        }
        Ok(match exit::of_results(results) {
            exit::EXPECTED if is_interrupted => exit::INTERRUPTED,
            code => code,
        })
    }

    fn is_json(&self) -> bool {
        self.how.message_format == MessageFormat::Json
    }

    /// Shows what is not as expected, writes each failure to a file, and returns the text.
    fn show(
        &mut self,
        entry: &Entry,
        result: &ScenarioResult,
        compiled: Option<&dyn Compiled>,
    ) -> Result<String, Stop> {
        let engine = compiled.map_or(Engine::Native, Compiled::engine);
        let again = again(entry).on(engine);
        let mut text = String::new();
        if let Some(divergence) = &result.divergence {
            text += &save(entry, divergence.seed, again.divergence(divergence));
        }
        let shown: Vec<_> = result.distinct_failures(self.show_expected).into_iter().take(SHOWN).collect();
        for failure in &shown {
            if !text.is_empty() {
                text.push('\n');
            }
            let mut block = again.failure(failure);
            // What a canary expects is no failure.
            if let Some(compiled) = compiled
                && result.unexpected_failures().any(|unexpected| unexpected == *failure)
            {
                block += &self.shrink(entry, compiled, failure.seed)?;
            }
            text += &save(entry, failure.seed, block);
            let path = entry.regressions_path();
            if self.how.keep {
                let new = crate::regressions::keep(&path, entry.name(), failure)
                    .map_err(|error| Stop::Failed(format!("cannot keep the seed in {}: {error}", path.display())))?;
                let already = if new { "" } else { " already" };
                text += &format!("  kept:   {}{already}\n", path.display());
            } else if env::var_os("CI").is_none() && engine == Engine::Native {
                text += &failure::how_to_keep(&path, failure);
            }
        }
        text += &failure::groups(result, shown.len());
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

    /// Reduces a failure to its cause as far as the time goes; the lines that say so.
    fn shrink(&mut self, entry: &Entry, compiled: &dyn Compiled, seed: u64) -> Result<String, Stop> {
        // Only the native engine can be told what becomes of a single message.
        if self.how.no_shrink || self.to_shrink.is_zero() || compiled.engine() != Engine::Native {
            return Ok(String::new());
        }
        let Some((told, path)) = shrink::shown(self.to_shrink, entry, compiled, seed, self.terminal)? else {
            return Ok(String::new());
        };
        self.to_shrink = self.to_shrink.saturating_sub(told.wall);
        if self.is_json() {
            self.terminal.print(&format!("{}\n", json::shrink(entry.name(), seed, &told, &path)))?;
        }
        Ok(shrink::lines(entry, &told, &path))
    }
}

/// Writes a failure to a file, and says where.
fn save(entry: &Entry, seed: u64, text: String) -> String {
    // A failure that cannot be written to a file is still shown.
    match failure::save(entry.name(), seed, &text) {
        Ok(path) => format!("{text}  file:   {}\n", path.display()),
        Err(error) => format!("{text}  file:   not written: {error}\n"),
    }
}
