//! The table of historical defects: which scenario catches each, how soon, and whether the protocol without it stays
//! clean. And the page that lists them all, for a repository.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::HumanCount;

use super::table::{counted, long};
use crate::defects::{Canary, Declared};
use crate::runner::ScenarioResult;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HEADING: Style = Style::new().bold();

/// A defect, and one of the scenarios that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The folder of the system.
    pub system: String,
    /// The protocol that declares it.
    pub protocol: String,
    /// Its id.
    pub id: String,
    /// What its canary came to; `None` if it has none, which is wrong.
    pub canary: Option<Caught>,
}

/// What a canary came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The scenario.
    pub scenario: String,
    /// What it expects to be violated.
    pub invariant: String,
    /// The first run that violated it; `None` if none did, or if something else was violated.
    pub found: Option<Found>,
    /// Seeds that were run in vain, or up to a violation of something else.
    pub seeds: u64,
    /// What was violated instead, if anything.
    pub instead: Option<String>,
    /// Seeds that were run without the defect.
    pub fixed_seeds: u64,
    /// What they violated; `None` if nothing.
    pub fixed_violates: Option<String>,
}

/// A run in which a defect showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How many seeds it took, this one included.
    pub seeds: u64,
    /// The seed.
    pub seed: u64,
    /// The event of the violation.
    pub events: u64,
}

impl Row {
    /// A defect that nothing shows.
    pub fn without_canary(declared: &Declared) -> Row {
        Row {
            system: declared.system.clone(),
            protocol: declared.protocol.to_owned(),
            id: declared.defect.id.to_owned(),
            canary: None,
        }
    }

    /// A canary and its twin without the defect.
    pub fn new(declared: &Declared, canary: &Canary, caught: &ScenarioResult, fixed: &ScenarioResult) -> Row {
        let violated = |failure: &sim_core::search::Failure| failure.violation.invariant.clone();
        let failure = caught.first_failure();
        let found = failure.filter(|_| caught.expected).map(|failure| Found {
            seeds: caught.tally.seeds,
            seed: failure.seed,
            events: failure.violation.event,
        });
        Row {
            canary: Some(Caught {
                scenario: canary.entry.name().to_owned(),
                invariant: canary.invariant().to_owned(),
                instead: failure.filter(|_| found.is_none()).map(violated),
                found,
                seeds: caught.tally.seeds,
                fixed_seeds: fixed.tally.seeds,
                fixed_violates: fixed.first_failure().map(violated),
            }),
            ..Row::without_canary(declared)
        }
    }

    /// Whether the defect was caught, and its fix holds.
    pub fn is_expected(&self) -> bool {
        self.canary.as_ref().is_some_and(|canary| canary.found.is_some() && canary.fixed_violates.is_none())
    }

    /// System, defect, property, how soon it was found, at which event, and how the fixed protocol did.
    fn cells(&self) -> [String; 6] {
        let mut cells = [&self.system, &self.id, "-", "no canary", "-", "-"].map(str::to_owned);
        let Some(canary) = &self.canary else { return cells };
        cells[2].clone_from(&canary.invariant);
        match &canary.found {
            Some(found) => {
                cells[3] = counted(found.seeds, "seed");
                cells[4] = HumanCount(found.events).to_string();
            }
            None => cells[3] = format!("not in {}", counted(canary.seeds, "seed")),
        }
        cells[5] = match &canary.fixed_violates {
            None => format!("clean in {}", counted(canary.fixed_seeds, "seed")),
            Some(invariant) => format!("violates {invariant}"),
        };
        cells
    }

    /// What the columns do not say.
    fn note(&self) -> Option<String> {
        let canary = self.canary.as_ref()?;
        let named_otherwise = canary.scenario.rsplit('/').next() != Some(&self.id);
        match &canary.instead {
            Some(instead) => Some(format!("{} violates {instead} instead", canary.scenario)),
            None => named_otherwise.then(|| canary.scenario.clone()),
        }
    }
}

/// How many defects the rows are about: one can have several canaries.
pub fn distinct(rows: &[Row]) -> usize {
    rows.iter().map(|row| (&row.protocol, &row.id)).collect::<BTreeSet<_>>().len()
}

/// One line a canary, with styles; ends with a line break.
pub fn table(rows: &[Row]) -> String {
    let heading = ["system", "defect", "invariant", "found after", "at event", "without the defect"];
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let mut widths = heading.map(str::len);
    for (width, column) in widths.iter_mut().zip(0..) {
        *width = cells.iter().map(|row| row[column].chars().count()).fold(*width, usize::max);
    }
    let line = |cells: [&str; 6]| {
        let [system, defect, invariant, found, event, fixed] = cells;
        let [s, d, i, f, e, x] = widths;
        format!("{system:s$}  {defect:d$}  {invariant:i$}  {found:>f$}  {event:>e$}  {fixed:x$}")
    };
    let mut text = format!("{HEADING}{}{HEADING:#}\n", line(heading).trim_end());
    for (row, cells) in rows.iter().zip(&cells) {
        let style = if row.is_expected() { GOOD } else { BAD };
        let line = line(cells.each_ref().map(String::as_str));
        let note = row.note().map_or(String::new(), |note| format!("  {note}"));
        let _ = writeln!(text, "{style}{}{style:#}{note}", if note.is_empty() { line.trim_end() } else { &line });
    }
    text
}

/// How it all went, in one line.
pub fn summary(rows: &[Row], wall: Duration) -> String {
    let unexpected = rows.iter().filter(|row| !row.is_expected()).count();
    let (style, verdict) = match unexpected {
        0 => (GOOD, "all found, and gone when fixed".to_owned()),
        _ => (BAD, format!("{unexpected} not as expected")),
    };
    let canaries = match rows.iter().filter(|row| row.canary.is_some()).count() {
        1 => "1 canary".to_owned(),
        count => format!("{} canaries", HumanCount(count as u64)),
    };
    let seeds = rows.iter().filter_map(|row| row.canary.as_ref()).map(|canary| canary.seeds + canary.fixed_seeds).sum();
    format!(
        "{}, {canaries}: {style}{verdict}{style:#}; {} in {}\n",
        counted(distinct(rows) as u64, "defect"),
        counted(seeds, "seed"),
        long(wall)
    )
}

/// The page that lists all defects, in Markdown.
pub fn page(declared: &[Declared]) -> String {
    let mut text = String::from(
        "# Defects\n\nEvery historical bug that can be switched back on, by system. `fencepost defects` catches them all, \
         and shows that\nwhat catches them passes when they are off. A latent one has no fix upstream; the protocol here \
         has one.\n\nThis page is made from what the protocols declare. To bring it up to date:\n\n```console\n$ \
         UPDATE_DEFECTS=1 cargo test -p tests --test defects\n```\n",
    );
    let mut system = None;
    for defect in declared {
        if system.replace(&defect.system) != Some(&defect.system) {
            let count = declared.iter().filter(|other| other.system == defect.system).count();
            let _ = write!(
                text,
                "\n## {}\n\n{}.\n\n| defect | upstream | protocol | cause | breaks | to see it |\n|---|---|---|---|---|---|\n",
                defect.system,
                counted(count as u64, "defect")
            );
        }
        let invariants: BTreeSet<&str> = defect.canaries.iter().map(Canary::invariant).collect();
        let commands = defect.canaries.iter().map(|canary| format!("`fencepost fuzz {}`", canary.entry.name()));
        let quoted: Vec<String> = invariants.iter().map(|invariant| format!("`{invariant}`")).collect();
        let _ = writeln!(
            text,
            "| {} | {} | `{}` | {} | {} | {} |",
            defect.defect.id,
            upstream(defect.defect.id),
            defect.protocol,
            sentence(defect.defect.about),
            quoted.join(", "),
            commands.collect::<Vec<_>>().join("<br>")
        );
    }
    text
}

/// The issue or commit that a defect's id names: `DERBY-3254` of `DERBY-3254a`.
fn upstream(id: &str) -> &str {
    let Some((project, number)) = id.split_once('-') else { return id };
    let latent = number.strip_prefix('L').is_some_and(|digits| digits.parse::<u32>().is_ok());
    let has_digits = id.chars().any(|c| c.is_ascii_digit());
    match number.trim_end_matches(|c: char| c.is_ascii_lowercase()) {
        _ if latent => "latent",
        _ if !has_digits => "none",
        digits if digits.parse::<u32>().is_ok() => &id[..project.len() + 1 + digits.len()],
        _ => id,
    }
}

/// With a capital letter in front and a full stop behind, and nothing that would end a cell.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    let text = first.chain(chars).collect::<String>().replace('|', "\\|");
    if text.ends_with('.') { text } else { text + "." }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One that is as it should be, and one of each that is not.
    pub(crate) fn rows() -> Vec<Row> {
        let row = |id: &str, canary| Row {
            system: "derby".to_owned(),
            protocol: "derby".to_owned(),
            id: id.to_owned(),
            canary,
        };
        let good = Caught {
            scenario: "derby/defects/DERBY-3364".to_owned(),
            invariant: "freeze-ends".to_owned(),
            found: Some(Found { seeds: 3, seed: 2, events: 1234 }),
            seeds: 3,
            instead: None,
            fixed_seeds: 40,
            fixed_violates: None,
        };
        let missed = Caught { found: None, seeds: 40, scenario: "derby/defects/DERBY-3492".to_owned(), ..good.clone() };
        let other = Caught { instead: Some("no-leak".to_owned()), ..missed.clone() };
        let broken = Caught { fixed_violates: Some("no-leak".to_owned()), fixed_seeds: 7, ..good.clone() };
        let second = Caught { scenario: "derby/defects/DERBY-3364-teardown".to_owned(), ..good.clone() };
        vec![
            row("DERBY-3364", Some(good)),
            row("DERBY-3364", Some(second)),
            row("DERBY-3492", Some(missed)),
            row("DERBY-3492", Some(other)),
            row("DERBY-3509", Some(broken)),
            row("DERBY-L9", None),
        ]
    }

    #[test]
    fn the_table_shows_what_was_found_and_what_was_not() {
        let text =
            anstream::adapter::strip_str(&(table(&rows()) + &summary(&rows(), Duration::from_secs(61)))).to_string();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn only_what_was_caught_and_is_gone_when_fixed_is_as_expected() {
        let expected: Vec<bool> = rows().iter().map(Row::is_expected).collect();
        assert_eq!(expected, [true, true, false, false, false, false]);
        assert_eq!(distinct(&rows()), 4);
    }

    #[test]
    fn an_id_names_its_issue() {
        for (id, issue) in [
            ("DERBY-3254a", "DERBY-3254"),
            ("ARTEMIS-2297", "ARTEMIS-2297"),
            ("ACTIVEMQ6-86", "ACTIVEMQ6-86"),
            ("DERBY-L1", "latent"),
            ("no-fencing", "none"),
            ("b413e042", "b413e042"),
            ("b413e042-nover", "b413e042-nover"),
            ("ProducerFlowControl-90d05bb", "ProducerFlowControl-90d05bb"),
        ] {
            assert_eq!(upstream(id), issue, "{id}");
        }
    }

    #[test]
    fn a_cause_is_a_sentence() {
        assert_eq!(sentence("a start left a|b frozen"), "A start left a\\|b frozen.");
        assert_eq!(sentence("It is one."), "It is one.");
    }
}
