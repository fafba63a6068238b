//! A campaign's journal, if it has one: opened with the command's own words in its errors, and told of what happens.

use sim_core::search::Shard;

use super::args::How;
use super::exit::{self, Stop};
use super::reporter::Reporter;
use super::terminal::Terminal;
use crate::catalogue::Entry;
use crate::format::schedule;
use crate::journal::{Header, Journal, Listed, Verb};
use crate::report::table;
use crate::runner::{Options, Past, Replayed, Which};

/// A campaign's journal, if it has one.
pub struct Journaled {
    journal: Option<Journal>,
}

impl Journaled {
    /// Opens the journal that was asked for, and says so if there is something in it already.
    pub fn open(
        how: &How,
        verb: Verb,
        shard: Option<Shard>,
        options: &Options,
        entries: &[(usize, Entry)],
        terminal: &mut Terminal,
    ) -> Result<Self, Stop> {
        let Some(path) = &how.journal else { return Ok(Journaled { journal: None }) };
        if let Which::One(_) = options.seeds {
            return Err(Stop::Usage("a journal is of many seeds; leave out --journal to run one seed".to_owned()));
        }
        let scenarios = entries.iter().map(|(_, entry)| listed(entry)).collect();
        let header = Header::new(verb, shard, options, scenarios).map_err(|error| {
            Stop::Failed(format!("cannot read this program's own file, which a journal names: {error}"))
        })?;
        let journal = Journal::open(path, &header).map_err(|error| Stop::Failed(error.to_string()))?;
        let ran: u64 = journal.states().iter().map(|state| state.tally.seeds).sum();
        let torn = if journal.was_torn() { "; its last line was torn, and is left out" } else { "" };
        if ran > 0 || journal.was_torn() {
            let ran = table::counted(ran, "seed");
            terminal.print_error(&format!("journal {}: going on after {ran}{torn}\n", path.display()))?;
        }
        Ok(Journaled { journal: Some(journal) })
    }

    /// Whether something could not be written down.
    pub fn has_failed(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::has_failed)
    }

    /// What was run of a scenario.
    pub fn past(&mut self, number: usize) -> Option<Past<'_>> {
        self.journal.as_mut().map(|journal| journal.past(number))
    }

    /// The kept seeds of a scenario were run.
    pub fn kept(&mut self, number: usize, replayed: &[Replayed]) {
        self.note(|journal| journal.kept(number, replayed));
    }

    /// A scenario was given all of its time.
    pub fn time_up(&mut self, number: usize) {
        self.note(|journal| journal.time_up(number));
    }

    /// A scenario could not be run.
    pub fn unreadable(&mut self, number: usize, error: &str) {
        self.note(|journal| journal.unreadable(number, error));
    }

    fn note(&mut self, note: impl FnOnce(&mut Journal)) {
        if let Some(journal) = &mut self.journal {
            note(journal);
        }
    }

    /// Ends the report, and says what could not be written down.
    pub fn end(self, reporter: Reporter<'_>) -> Result<u8, Stop> {
        let Some(error) = self.journal.and_then(|mut journal| journal.take_error()) else { return reporter.end() };
        reporter.terminal.print_error(&format!("error: {error}\n"))?;
        Ok(match reporter.end()? {
            exit::EXPECTED => exit::OTHER,
            code => code,
        })
    }
}

/// How a journal knows a scenario.
pub fn listed(entry: &Entry) -> Listed {
    let hash = entry.source().ok().map(|text| format!("{:#018x}", schedule::hash(&text)));
    Listed { name: entry.name().to_owned(), argument: entry.argument(), hash }
}
