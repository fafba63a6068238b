//! The table of historical defects: which scenario catches each, how soon, and whether the protocol without it stays
//! clean. And the page that lists them all, for a repository.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::HumanCount;

use sim_core::search::shrink::Size;

use super::table::{counted, long};
use crate::defects::{Canary, Declared, Fewest};
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
    /// What the run in which it was found was shrunk to; `None` if it was not.
    pub shrunk: Option<ShrunkTo>,
    /// How few faults show it; `None` if nobody asked.
    pub fewest: Option<Fewest>,
}

/// What a failure was shrunk to, and from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShrunkTo {
    /// Before.
    pub from: Size,
    /// After.
    pub to: Size,
    /// Runs that it took.
    pub runs: u64,
    /// How long it took on the wall clock.
    pub wall: Duration,
    /// Whether the shrunk run passes without the defect.
    pub needs_defect: bool,
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
                shrunk: None,
                fewest: None,
            }),
            ..Row::without_canary(declared)
        }
    }

    /// Whether the defect was caught, and its fix holds.
    pub fn is_expected(&self) -> bool {
        self.canary.as_ref().is_some_and(|canary| canary.found.is_some() && canary.fixed_violates.is_none())
    }

    /// Whether it is not known how few faults show it, although somebody asked.
    pub fn is_inconclusive(&self) -> bool {
        self.canary.as_ref().and_then(|canary| canary.fewest).is_some_and(|fewest| !fewest.is_known())
    }

    /// How few faults show it.
    fn fewest_cell(&self) -> String {
        self.canary.as_ref().and_then(|canary| canary.fewest).map_or("-".to_owned(), fewest_in_words)
    }

    /// What its failure was shrunk to, and how long that took.
    fn shrunk_cells(&self) -> [String; 3] {
        let Some(shrunk) = self.canary.as_ref().and_then(|canary| canary.shrunk) else {
            return ["-"; 3].map(str::to_owned);
        };
        let size = |size: Size| format!("{}+{}", size.faults, size.deviations);
        [size(shrunk.from), size(shrunk.to), format!("{:.3}s", shrunk.wall.as_secs_f64())]
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

/// A number, or `-` if none that was tried is enough.
fn fewest_in_words(fewest: Fewest) -> String {
    match fewest {
        Fewest::Faults(faults) => faults.to_string(),
        Fewest::NotWithin(_) => "-".to_owned(),
        Fewest::Other => "not it".to_owned(),
        Fewest::Unknown => "time up".to_owned(),
    }
}

/// How many defects the rows are about: one can have several canaries.
pub fn distinct(rows: &[Row]) -> usize {
    rows.iter().map(|row| (&row.protocol, &row.id)).collect::<BTreeSet<_>>().len()
}

/// One line a canary, with styles; ends with a line break. What failures were shrunk to, and how few faults show them, have
/// columns only if anybody asked.
pub fn table(rows: &[Row]) -> String {
    let mut heading =
        ["system", "defect", "invariant", "found after", "at event", "without the defect"].map(str::to_owned).to_vec();
    let shrunk = rows.iter().any(|row| row.canary.as_ref().is_some_and(|canary| canary.shrunk.is_some()));
    if shrunk {
        heading.extend(["faults+deviations", "shrunk to", "shrunk in"].map(str::to_owned));
    }
    let explored = rows.iter().any(|row| row.canary.as_ref().is_some_and(|canary| canary.fewest.is_some()));
    if explored {
        heading.push("K".to_owned());
    }
    let cells = |row: &Row| {
        let mut cells = row.cells().to_vec();
        if shrunk {
            cells.extend(row.shrunk_cells());
        }
        if explored {
            cells.push(row.fewest_cell());
        }
        cells
    };
    let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            // Numbers stand to the right.
            if matches!(column, 3 | 4 | 6..) { format!("{cell:>width$}") } else { format!("{cell:width$}") }
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    let mut text = format!("{HEADING}{}{HEADING:#}\n", line(&heading).trim_end());
    for (row, cells) in rows.iter().zip(&cells) {
        let style = if row.is_expected() { GOOD } else { BAD };
        let line = line(cells);
        let note = row.note().map_or(String::new(), |note| format!("  {note}"));
        let _ = writeln!(text, "{style}{}{style:#}{note}", if note.is_empty() { line.trim_end() } else { &line });
    }
    text
}

/// How small failures got and how long that took, in one line; nothing if none was shrunk.
pub fn shrinking(rows: &[Row]) -> String {
    let shrunk: Vec<ShrunkTo> = rows.iter().filter_map(|row| row.canary.as_ref()?.shrunk).collect();
    let middle_and_most = |mut values: Vec<Duration>| {
        values.sort();
        (values[values.len() / 2], values[values.len() - 1])
    };
    if shrunk.is_empty() {
        return String::new();
    }
    let sizes = |size: fn(&ShrunkTo) -> usize| {
        let mut sizes: Vec<usize> = shrunk.iter().map(size).collect();
        sizes.sort();
        (sizes[sizes.len() / 2], sizes[sizes.len() - 1])
    };
    let (faults, deviations) = (sizes(|s| s.to.faults), sizes(|s| s.to.deviations));
    let (total, time) = (sizes(|s| s.to.total()), middle_and_most(shrunk.iter().map(|s| s.wall).collect()));
    let elsewhere = shrunk.iter().filter(|shrunk| !shrunk.needs_defect).count();
    format!(
        "shrunk {}: in the median to {} and {}, at most {} in all; {:.3}s in the median, {:.3}s at most; {elsewhere} fail \
         without the defect\n",
        counted(shrunk.len() as u64, "failure"),
        counted(faults.0 as u64, "fault"),
        counted(deviations.0 as u64, "deviation"),
        total.1,
        time.0.as_secs_f64(),
        time.1.as_secs_f64()
    )
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

/// The page that lists all defects, in Markdown; `fewest` says with how few faults a canary shows its defect.
pub fn page(declared: &[Declared], fewest: impl Fn(&Canary) -> Fewest) -> String {
    let mut text = String::from(
        "# Defects\n\nEvery historical bug that can be switched back on, by system. `fencepost defects` catches them all, \
         and shows that\nwhat catches them passes when they are off. A latent one has no fix upstream; the protocol here \
         has one.\n\nK is the smallest number of faults that show a defect without any seed, placed on the calm run of its canary by \
         `fencepost explore`:\n0 if that run shows it by itself, `-` if it takes more than the canary's table `[explore]` allows, or chance \
         in what is not placed (clocks\nthat are off, commands, connections that are reset, the moment of a step).\n\nThis page is made from what the protocols declare. To bring it up to date:\n\n```console\n$ \
         UPDATE_DEFECTS=1 cargo test -p tests --test defects\n```\n",
    );
    let mut system = None;
    for defect in declared {
        if system.replace(&defect.system) != Some(&defect.system) {
            let count = declared.iter().filter(|other| other.system == defect.system).count();
            let _ = write!(
                text,
                "\n## {}\n\n{}.\n\n| defect | upstream | protocol | cause | breaks | K | to see it |\n|---|---|---|---|---|---|---|\n",
                defect.system,
                counted(count as u64, "defect")
            );
        }
        let invariants: BTreeSet<&str> = defect.canaries.iter().map(Canary::invariant).collect();
        let commands = defect.canaries.iter().map(|canary| format!("`fencepost fuzz {}`", canary.entry.name()));
        let quoted: Vec<String> = invariants.iter().map(|invariant| format!("`{invariant}`")).collect();
        let fewest = defect.canaries.iter().filter_map(|canary| fewest(canary).faults()).min();
        let _ = writeln!(
            text,
            "| {} | {} | `{}` | {} | {} | {} | {} |",
            defect.defect.id,
            upstream(defect.defect.id),
            defect.protocol,
            sentence(defect.defect.about),
            quoted.join(", "),
            fewest.map_or("-".to_owned(), |fewest| fewest.to_string()),
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
            shrunk: None,
            fewest: None,
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
    fn what_was_shrunk_has_columns_and_a_line_of_its_own() {
        let size = |faults, deviations| Size { faults, deviations };
        let shrunk = |millis, to| ShrunkTo {
            from: size(7, 412),
            to,
            runs: 40,
            wall: Duration::from_millis(millis),
            needs_defect: millis < 1000,
        };
        let mut rows = rows();
        for (row, (millis, to)) in rows.iter_mut().zip([(12, size(1, 0)), (34, size(2, 1)), (5678, size(3, 1))]) {
            row.canary.as_mut().expect("the first ones have canaries").shrunk = Some(shrunk(millis, to));
        }
        assert_eq!(
            shrinking(&rows),
            "shrunk 3 failures: in the median to 2 faults and 1 deviation, at most 4 in all; 0.034s in the median, \
             5.678s at most; 1 fail without the defect\n"
        );
        let table = anstream::adapter::strip_str(&table(&rows)).to_string();
        assert!(table.lines().nth(1).is_some_and(|line| line.ends_with("7+412        1+0     0.012s")), "{table}");
        assert_eq!(shrinking(&[]), "");
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
