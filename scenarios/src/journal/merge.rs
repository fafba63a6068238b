//! Joins the journals of a campaign's shards into what the campaign would have come to in one piece.
//!
//! Most of a sum does not care in which order it was made. What does is put in the order of the whole campaign: the
//! failures that are kept, which seed was the first of its kind, and the trace hash, for which the journals keep that of
//! every single run. They are read again for it, a line of each at a time.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sim_core::search::{Report, Seeds, Tally};

use super::record::Record;
use super::{Header, JournalError, Reading, State, Verb, lines};
use crate::format::Scenario;
use crate::runner::{self, KEEP, Options, Replayed, ScenarioResult};

/// The journals of one campaign.
#[derive(Debug)]
pub struct Shards {
    header: Header,
    parts: Vec<Part>,
    /// How many parts the campaign was dealt out to.
    of: u32,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: lines::LockedFile,
    header: Header,
    /// Counted from zero.
    number: u32,
    states: Vec<State>,
}

/// A shard that has not run all of its seeds, or of which there is no journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What is missing, and what to type for it.
    pub text: String,
}

impl Shards {
    /// Reads journals, in any order.
    ///
    /// # Errors
    /// If one cannot be read, or they do not belong together.
    pub fn read(paths: &[PathBuf]) -> Result<Self, MergeError> {
        let mut parts = Vec::new();
        for path in paths {
            let mut reading = Reading::default();
            let (file, _) = lines::read(path, |at, json| reading.line(at, json))?;
            let header = reading.header.ok_or_else(|| MergeError::Empty(path.clone()))?;
            let number = header.shard().map_or(0, |shard| shard.number() - 1);
            parts.push(Part { path: path.clone(), file, header, number, states: reading.states });
        }
        parts.sort_by_key(|part| part.number);
        let Some(first) = parts.first() else { return Err(MergeError::Nothing) };
        let header = first.header.clone();
        let of = |part: &Part| part.header.shard().map_or(1, |shard| shard.of());
        for pair in parts.windows(2) {
            let [a, b] = pair else { continue };
            let differences = header.differences(&b.header);
            if !differences.is_empty() {
                let texts = differences.iter().map(|difference| difference.text().to_owned()).collect();
                return Err(MergeError::Different(first.path.clone(), b.path.clone(), texts));
            }
            if of(a) != of(b) {
                let text = format!("it is dealt out to {} shards, not to {}", of(first), of(b));
                return Err(MergeError::Different(first.path.clone(), b.path.clone(), vec![text]));
            }
            if a.number == b.number {
                let what =
                    b.header.shard.clone().map_or("the whole campaign".to_owned(), |shard| format!("shard {shard}"));
                return Err(MergeError::Overlap(a.path.clone(), b.path.clone(), what));
            }
        }
        let of = of(first);
        Ok(Shards { header, parts, of })
    }

    /// Which campaign it is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The shards of which there is no journal.
    pub fn missing(&self) -> Vec<Gap> {
        let missing = (0..self.of).filter(|number| self.parts.iter().all(|part| part.number != *number));
        let gap = |number: u32| {
            let shard = format!("{}/{}", number + 1, self.of);
            let text = format!(
                "there is no journal of shard {shard}; make it with --shard {shard} and a --journal of its own, such as the \
                 one of {}: {}",
                self.parts[0].header.shard.as_deref().unwrap_or("1/1"),
                self.parts[0].header.command()
            );
            Gap { text }
        };
        missing.map(gap).collect()
    }

    /// The journals that do not have all runs of a scenario, the `number`-th of the header, and were not at the end of
    /// their time.
    pub fn unfinished(&self, number: usize, scenario: &Scenario) -> Vec<Gap> {
        let unfinished = self.of_scenario(number).filter(|part| !part.is_done(number, scenario));
        let gap = |part: &Part| {
            let ran = part.states[number].tally.seeds;
            let all = runner::seeds(scenario, &part.header.options()).count();
            let all = all.map_or_else(String::new, |all| format!(" of {all}"));
            let text = format!(
                "{} has {ran}{all} seeds of {}; the same command goes on with it: {}",
                part.path.display(),
                scenario.name,
                part.header.command()
            );
            Gap { text }
        };
        unfinished.map(gap).collect()
    }

    /// Why a scenario could not be run, if that is so.
    pub fn error(&self, number: usize) -> Option<&str> {
        self.of_scenario(number).find_map(|part| part.states[number].error.as_deref())
    }

    /// What a scenario, the `number`-th of the header, comes to.
    ///
    /// # Errors
    /// If a journal cannot be read again.
    pub fn result(&mut self, number: usize, scenario: &Scenario) -> io::Result<ScenarioResult> {
        let options = self.header.options();
        let whole = runner::seeds(scenario, &Options { shard: None, ..options.clone() });
        let is_complete = self.of_scenario(number).all(|part| {
            let seeds = runner::seeds(scenario, &part.header.options());
            let State { tally, divergence, .. } = &part.states[number];
            divergence.is_none() && seeds.nth(tally.seeds).is_none()
        });
        let complete = is_complete && self.missing().is_empty();
        let tally = self.tally(number, &whole)?;
        let of_shards = || self.of_scenario(number).map(|part| &part.states[number]);
        let position = |seed| whole.position(seed).unwrap_or(u64::MAX);
        let divergence = of_shards().filter_map(|state| state.divergence.clone()).min_by_key(|d| position(d.seed));
        let mut regressions: Vec<Replayed> = Vec::new();
        for replayed in of_shards().flat_map(|state| &state.regressions) {
            if !regressions.iter().any(|known| known.regression == replayed.regression) {
                regressions.push(replayed.clone());
            }
        }
        let wall: Duration = of_shards().map(|state| state.wall).sum();
        let timed_out = !complete && of_shards().any(|state| state.time_up);
        let report = Report { tally, divergence, complete };
        let result = runner::judge(scenario, &options, regressions, report, wall);
        Ok(ScenarioResult { timed_out, ..result })
    }

    /// The parts that have runs of a scenario.
    fn of_scenario(&self, number: usize) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| self.has(part.number, number))
    }

    fn has(&self, part: u32, scenario: usize) -> bool {
        self.header.verb == Verb::Fuzz || scenario as u64 % u64::from(self.of) == u64::from(part)
    }

    fn tally(&mut self, number: usize, whole: &Seeds) -> io::Result<Tally> {
        let tallies: Vec<Tally> = self.of_scenario(number).map(|part| part.states[number].tally.clone()).collect();
        let position = |seed| whole.position(seed).unwrap_or(u64::MAX);
        // Runs are dealt out in turn: one of each shard at a time, until all have come to their end.
        let (verb, of) = (self.header.verb, self.of);
        let parts = self
            .parts
            .iter_mut()
            .filter(|part| verb == Verb::Fuzz || number as u64 % u64::from(of) == u64::from(part.number));
        let mut queues: Vec<Hashes<'_>> = parts
            .map(|part| Hashes { file: &mut part.file, chunks: part.states[number].chunks.iter(), ready: Vec::new() })
            .collect();
        let mut error = None;
        let mut turn = 0;
        let mut ended = 0;
        let hashes = std::iter::from_fn(|| {
            while ended < queues.len() {
                let queue = turn % queues.len();
                turn += 1;
                match queues[queue].next() {
                    Ok(Some(hash)) => {
                        ended = 0;
                        return Some(hash);
                    }
                    Ok(None) => ended += 1,
                    Err(failed) => {
                        error = Some(failed);
                        return None;
                    }
                }
            }
            None
        });
        let tally = Tally::of_shards(KEEP, &tallies, position, hashes);
        error.map_or(Ok(tally), Err)
    }
}

impl Part {
    /// Whether there is nothing left to run.
    fn is_done(&self, number: usize, scenario: &Scenario) -> bool {
        let (options, state) = (self.header.options(), &self.states[number]);
        state.time_up
            || state.divergence.is_some()
            || state.error.is_some()
            || runner::is_stopped(scenario, &options, &state.tally)
            || runner::seeds(scenario, &options).nth(state.tally.seeds).is_none()
    }
}

/// The trace hashes of the runs of a scenario in one journal, in order.
struct Hashes<'a> {
    file: &'a mut File,
    chunks: std::slice::Iter<'a, u64>,
    /// Those of the line that was read last, the next one at the end.
    ready: Vec<u64>,
}

impl Hashes<'_> {
    fn next(&mut self) -> io::Result<Option<u64>> {
        while self.ready.is_empty() {
            let Some(&at) = self.chunks.next() else { return Ok(None) };
            let changed = || io::Error::new(io::ErrorKind::InvalidData, "a journal has changed while it was read");
            let record = serde_json::from_str(&lines::line_at(self.file, at)?)?;
            let Record::Runs(runs) = record else { return Err(changed()) };
            self.ready = runs.hashes().ok_or_else(changed)?;
            self.ready.reverse();
        }
        Ok(self.ready.pop())
    }
}

/// Why journals cannot be joined.
#[derive(Debug)]
pub enum MergeError {
    /// There are none.
    Nothing,
    /// One cannot be read.
    Journal(JournalError),
    /// One has not even got a whole first line.
    Empty(PathBuf),
    /// They are of different campaigns.
    Different(PathBuf, PathBuf, Vec<String>),
    /// Two have the same seeds.
    Overlap(PathBuf, PathBuf, String),
}

impl From<JournalError> for MergeError {
    fn from(error: JournalError) -> Self {
        MergeError::Journal(error)
    }
}

impl std::fmt::Display for MergeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |path: &Path| path.display().to_string();
        match self {
            MergeError::Nothing => f.write_str("there is no journal to merge"),
            MergeError::Journal(error) => error.fmt(f),
            MergeError::Empty(path) => {
                write!(f, "the journal {} is empty: its campaign ended before it had begun; run it again", shown(path))
            }
            MergeError::Different(a, b, differences) => {
                let differences = differences.join("; ");
                write!(f, "{} and {} are not of one campaign; of the first: {differences}", shown(a), shown(b))
            }
            MergeError::Overlap(a, b, what) => {
                write!(f, "{} and {} are both {what}: leave one of them out", shown(a), shown(b))
            }
        }
    }
}

impl std::error::Error for MergeError {}

/// Several gaps, a line each.
pub fn list(gaps: &[Gap]) -> String {
    gaps.iter().fold(String::new(), |mut text, gap| {
        let _ = writeln!(text, "  {}", gap.text);
        text
    })
}
