//! The journal of a long campaign: what makes it survive `kill -9`, and what its shards are put together from.
//!
//! A journal is a text file, a line of JSON and its checksum for each thing that happened. The first line says
//! which campaign it is; each of the others has what a chunk of consecutive seeds came to, with the trace hash of every
//! run. A chunk counts once its line is on the disk (each line is synced before the next chunk is run), and a chunk that
//! was being run when the process was killed is run again as if it had never been begun. So every seed counts once,
//! and a campaign that was interrupted comes to what it would have come to in one piece.
//!
//! The size is about eleven bytes a seed and a few hundred a chunk, which is a few tenths of a second of work.

mod header;
mod lines;
pub mod merge;
mod record;

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sim_core::search::{Chunk, Divergence, Tally};

pub use header::{Difference, FORMAT, Header, Listed, Verb};
use lines::Lines;
use record::{Kept, Record, Runs};

use crate::runner::{KEEP, Past, Replayed};

/// A journal that is being written. No other process can open it meanwhile.
#[derive(Debug)]
pub struct Journal {
    lines: Lines,
    states: Vec<State>,
    torn: bool,
    error: Option<JournalError>,
}

/// What a journal has of one scenario.
#[derive(Clone, Debug)]
pub struct State {
    /// The sum of the runs.
    pub tally: Tally,
    /// The seed behind them whose two runs differed.
    pub divergence: Option<Divergence>,
    /// How long they took.
    pub wall: Duration,
    /// Whether the limit of time was what ended the last of them.
    pub time_up: bool,
    /// The kept seeds, as they were run last.
    pub regressions: Vec<Replayed>,
    /// Why it could not be run.
    pub error: Option<String>,
    /// Where the lines about its runs are in the file.
    chunks: Vec<u64>,
}

impl State {
    fn new() -> Self {
        State {
            tally: Tally::new(KEEP),
            divergence: None,
            wall: Duration::ZERO,
            time_up: false,
            regressions: Vec::new(),
            error: None,
            chunks: Vec::new(),
        }
    }
}

impl Journal {
    /// Goes on with the journal of a campaign, or begins it if there is no such file yet.
    ///
    /// # Errors
    /// If the file is not the journal of this very campaign, is written to by another process, is damaged, or cannot be
    /// read or written.
    pub fn open(path: &Path, header: &Header) -> Result<Self, JournalError> {
        let mut reading = Reading::default();
        let (mut lines, extent) = Lines::open(path, |at, json| {
            // A journal of another campaign is refused for that, and not for what its other lines say.
            if reading.header.as_ref().is_some_and(|found| !is_same(found, header)) {
                Ok(())
            } else {
                reading.line(at, json)
            }
        })?;
        match &reading.header {
            Some(found) => check(path, found, header)?,
            None => {
                let json = serde_json::to_string(header).expect("a header is text, numbers and lists");
                lines.append(&json)?;
                reading.states = vec![State::new(); header.scenarios.len()];
            }
        }
        Ok(Journal { lines, states: reading.states, torn: extent.torn > 0 && reading.header.is_some(), error: None })
    }

    /// Whether the end of a line was missing, because the process that wrote it was killed.
    pub fn was_torn(&self) -> bool {
        self.torn
    }

    /// What it has of each scenario of its header.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// Whether a line could not be written, which ends a campaign.
    pub fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// Why a line could not be written.
    pub fn take_error(&mut self) -> Option<JournalError> {
        self.error.take()
    }

    /// What was run of a scenario, and where to write what comes next.
    pub fn past(&mut self, scenario: usize) -> Past<'_> {
        let State { tally, divergence, wall, .. } = self.states[scenario].clone();
        let mut last = Instant::now();
        let commit = move |chunk: &Chunk| {
            let now = Instant::now();
            let runs = Runs::new(scenario, chunk, now - last);
            last = now;
            if self.write(&Record::Runs(Box::new(runs))) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        Past { tally, divergence, wall, commit: Box::new(commit) }
    }

    /// Notes how the kept seeds of a scenario went, if it is not how they went before.
    pub fn kept(&mut self, scenario: usize, replayed: &[Replayed]) {
        if self.states[scenario].regressions != replayed {
            self.states[scenario].regressions = replayed.to_vec();
            self.write(&Record::Kept { scenario, replayed: replayed.iter().map(Kept::new).collect() });
        }
    }

    /// Notes that a scenario was given all of its time.
    pub fn time_up(&mut self, scenario: usize) {
        self.write(&Record::TimeUp { scenario });
    }

    /// Notes that a scenario could not be run, and why.
    pub fn unreadable(&mut self, scenario: usize, error: &str) {
        if self.states[scenario].error.as_deref() != Some(error) {
            self.states[scenario].error = Some(error.to_owned());
            self.write(&Record::Error { scenario, error: error.to_owned() });
        }
    }

    /// Writes a line, or keeps the reason why that is not possible.
    fn write(&mut self, record: &Record) -> bool {
        let json = serde_json::to_string(record).expect("a record is text, numbers and maps with text keys");
        let written = self.lines.append(&json);
        let is_written = written.is_ok();
        self.error = self.error.take().or(written.err());
        is_written
    }
}

/// What the lines of a journal add up to.
#[derive(Debug, Default)]
struct Reading {
    header: Option<Header>,
    states: Vec<State>,
}

impl Reading {
    /// The next line, which is at this place of the file; says what is wrong with it.
    fn line(&mut self, at: u64, json: &str) -> Result<(), String> {
        if self.header.is_none() {
            let header: Header = serde_json::from_str(json).map_err(|error| match version(json) {
                Some(found) if found != FORMAT => other_version(found),
                _ => error.to_string(),
            })?;
            if header.format != FORMAT {
                return Err(other_version(header.format));
            }
            self.states = vec![State::new(); header.scenarios.len()];
            self.header = Some(header);
            return Ok(());
        }
        let record: Record = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let scenario = match &record {
            Record::Runs(runs) => runs.scenario,
            Record::Kept { scenario, .. } | Record::TimeUp { scenario } | Record::Error { scenario, .. } => *scenario,
        };
        let Some(state) = self.states.get_mut(scenario) else {
            return Err(format!("there is no scenario number {scenario}"));
        };
        match record {
            Record::Kept { replayed, .. } => state.regressions = replayed.into_iter().map(Kept::replayed).collect(),
            Record::TimeUp { .. } => state.time_up = true,
            Record::Error { error, .. } => state.error = Some(error),
            Record::Runs(runs) => {
                let (first, next) = (runs.first, state.tally.seeds);
                if first != next {
                    return Err(format!("it goes on after {first} seeds, but there are {next} before it"));
                }
                state.wall += runs.wall;
                state.time_up = false;
                state.error = None;
                let chunk = runs.chunk().ok_or("it has not got a trace hash for each of its seeds")?;
                state.tally.append(&chunk);
                state.divergence = chunk.divergence;
                state.chunks.push(at);
            }
        }
        Ok(())
    }
}

fn other_version(found: u32) -> String {
    format!("it is of version {found} of the format, and this program knows version {FORMAT}")
}

/// The version of a header's format, whatever else it says.
fn version(json: &str) -> Option<u32> {
    let header: serde_json::Value = serde_json::from_str(json).ok()?;
    header.get("fencepost-journal")?.as_u64()?.try_into().ok()
}

fn is_same(found: &Header, wanted: &Header) -> bool {
    found.shard == wanted.shard && found.differences(wanted).is_empty()
}

fn check(path: &Path, found: &Header, wanted: &Header) -> Result<(), JournalError> {
    let mut differences = found.differences(wanted);
    if found.shard != wanted.shard {
        let shard =
            |header: &Header| header.shard.clone().map_or("no shard".to_owned(), |shard| format!("shard {shard}"));
        differences.insert(0, Difference::Campaign(format!("it is of {}, not of {}", shard(found), shard(wanted))));
    }
    if differences.is_empty() {
        return Ok(());
    }
    let path = path.to_owned();
    let text = |of: fn(&Difference) -> bool| -> Vec<String> {
        differences.iter().filter(|difference| of(difference)).map(|difference| difference.text().to_owned()).collect()
    };
    let other = text(|difference| matches!(difference, Difference::Campaign(_)));
    Err(if other.is_empty() {
        JournalError::Stale { path, differences: text(|_| true) }
    } else {
        JournalError::OtherCampaign { path, differences: other }
    })
}

/// Why a journal cannot be used.
#[derive(Debug)]
pub enum JournalError {
    /// The file cannot be opened or read.
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process is using it.
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It is not a journal.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A line in the middle is wrong.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its number, counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// It is the journal of another campaign.
    OtherCampaign {
        /// The file.
        path: PathBuf,
        /// In what they differ.
        differences: Vec<String>,
    },
    /// The scenarios or the program have changed since it was begun.
    Stale {
        /// The file.
        path: PathBuf,
        /// What has changed.
        differences: Vec<String>,
    },
    /// A line cannot be written.
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Open { path, error } => write!(f, "cannot open the journal {}: {error}", path.display()),
            JournalError::Locked { path } => write!(
                f,
                "the journal {} is in use by another process: wait until that has ended, or give another file",
                path.display()
            ),
            JournalError::Foreign { path } => write!(
                f,
                "{} is not a journal, and is left as it is: give the name of a new file, or that of a journal",
                path.display()
            ),
            JournalError::Damaged { path, line, what } => write!(
                f,
                "line {line} of the journal {} is wrong: {what}; the lines before it are good: remove the rest of the file to \
                 run what is missing again, or the whole file to start anew",
                path.display()
            ),
            JournalError::OtherCampaign { path, differences } => write!(
                f,
                "the journal {} is of another campaign: {}; give another file",
                path.display(),
                differences.join("; ")
            ),
            JournalError::Stale { path, differences } => write!(
                f,
                "the journal {} is stale: {}; what it holds may not be what would come of it now: give another file, or \
                 remove this one to start anew",
                path.display(),
                differences.join("; ")
            ),
            JournalError::Write { path, error } => write!(
                f,
                "cannot write the journal {}: {error}; what is in it is kept: make room and give the same command again",
                path.display()
            ),
        }
    }
}

impl std::error::Error for JournalError {}

#[cfg(test)]
mod tests;
