//! The table of verdicts that ends a run, and the line below it.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::HumanCount;

use crate::format::Expect;
use crate::runner::{ScenarioResult, Verdict};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default();
const HEADING: Style = Style::new().bold();

/// One line a scenario, with styles; ends with a line break.
pub fn table(results: &[ScenarioResult]) -> String {
    let rows: Vec<Row> = results.iter().map(Row::new).collect();
    let heading = ["seeds", "faults fired", "virtual time", "speed"];
    let mut widths = heading.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(&row.numbers) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let name = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max("scenario".len());
    let verdict = rows.iter().map(|row| row.verdict.chars().count()).max().unwrap_or(0).max("verdict".len());

    let mut text = format!("{HEADING}{:name$}  {:verdict$}", "scenario", "verdict");
    for (cell, width) in heading.iter().zip(widths) {
        let _ = write!(text, "  {cell:>width$}");
    }
    let _ = writeln!(text, "{HEADING:#}");
    for row in &rows {
        let style = row.style;
        let _ = write!(text, "{:name$}  {style}{:verdict$}{style:#}", row.name, row.verdict);
        for (cell, width) in row.numbers.iter().zip(widths) {
            let _ = write!(text, "  {cell:>width$}");
        }
        if !row.notes.is_empty() {
            let _ = write!(text, "  {WARNING}{}{WARNING:#}", row.notes.join("; "));
        }
        text.push('\n');
    }
    text
}

struct Row {
    name: String,
    verdict: String,
    style: Style,
    /// Seeds, faults fired, virtual time, speed.
    numbers: [String; 4],
    notes: Vec<String>,
}

impl Row {
    fn new(result: &ScenarioResult) -> Self {
        let tally = &result.tally;
        let fired = result.faults_fired.values().sum::<u64>();
        let speed = tally.events as f64 / result.wall.as_secs_f64().max(1e-9);
        let numbers = if result.verdict == Verdict::Error {
            [const { "-" }; 4].map(str::to_owned)
        } else {
            let seeds = HumanCount(tally.seeds).to_string();
            [seeds, HumanCount(fired).to_string(), long(tally.virtual_time), format!("{}/s", events(speed))]
        };
        let style = match result.verdict {
            _ if result.expected => GOOD,
            Verdict::Inconclusive => WARNING,
            _ => BAD,
        };
        Row { name: result.name.clone(), verdict: verdict(result), style, numbers, notes: notes(result) }
    }
}

/// The verdict beside what was expected of it.
pub(crate) fn verdict(result: &ScenarioResult) -> String {
    let violated = || match result.first_failure() {
        Some(failure) => format!("violates {}", failure.violation.invariant),
        None => "violated".to_owned(),
    };
    let found = match result.verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Safety | Verdict::Liveness => violated(),
        Verdict::Inconclusive => "inconclusive".to_owned(),
        Verdict::Nondeterministic => "not deterministic".to_owned(),
        Verdict::Error => "error".to_owned(),
    };
    match &result.expect {
        _ if result.verdict == Verdict::Error => found,
        _ if result.expected && result.verdict == Verdict::Pass => found,
        _ if result.expected => format!("{found}, as expected"),
        Some(Expect::Violates(name)) => format!("{found}, expected to violate {name}"),
        _ => format!("{found}, expected to pass"),
    }
}

/// What a green row must not hide.
fn notes(result: &ScenarioResult) -> Vec<String> {
    let mut notes = Vec::new();
    if !result.unreached.is_empty() && result.verdict != Verdict::Nondeterministic {
        notes.push(format!("never reached: {}", result.unreached.join(", ")));
    }
    let idle: Vec<&str> =
        result.faults_fired.iter().filter(|(_, count)| **count == 0).map(|(kind, _)| kind.as_str()).collect();
    if result.complete && !idle.is_empty() {
        notes.push(format!("never fired: {}", idle.join(", ")));
    }
    let steps = result.idle_steps.iter().filter(|(_, kind)| !idle.contains(kind));
    let steps: Vec<String> = steps.map(|(number, kind)| format!("step {number} ({kind})")).collect();
    if !steps.is_empty() {
        notes.push(format!("never fired: {}", steps.join(", ")));
    }
    let lost: Vec<String> = result.lost_regressions().map(|r| format!("{:#x}", r.regression.seed)).collect();
    if !lost.is_empty() {
        notes.push(format!("kept seeds no longer fail: {}", lost.join(", ")));
    }
    notes
}

/// How it all went, in one line.
pub fn summary(results: &[ScenarioResult], wall: Duration) -> String {
    let unexpected = results.iter().filter(|result| !result.expected).count();
    let seeds = results.iter().map(|result| result.tally.seeds).sum();
    let events: u64 = results.iter().map(|result| result.tally.events).sum();
    let simulated = results.iter().fold(Duration::ZERO, |sum, result| sum.saturating_add(result.tally.virtual_time));
    let (style, verdict) = match unexpected {
        0 => (GOOD, "as expected".to_owned()),
        _ => (BAD, format!("{} as expected, {unexpected} not", results.len() - unexpected)),
    };
    format!(
        "{}: {style}{verdict}{style:#}; {}, {} events, {} of virtual time in {}\n",
        counted(results.len() as u64, "scenario"),
        counted(seeds, "seed"),
        HumanCount(events),
        long(simulated),
        long(wall)
    )
}

/// `1 seed`, `1,200 seeds`.
pub fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// A number of events in three digits or so.
fn events(count: f64) -> String {
    match count {
        1e6.. => format!("{:.1}M ev", count / 1e6),
        1e3.. => format!("{:.0}k ev", count / 1e3),
        _ => format!("{count:.0} ev"),
    }
}

/// A duration in its two largest units.
pub fn long(duration: Duration) -> String {
    let secs = duration.as_secs();
    let two = |value: u64, unit: &str, rest: u64, small: &str| match rest {
        0 => format!("{value}{unit}"),
        _ => format!("{value}{unit} {rest}{small}"),
    };
    match secs {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3_600 => two(secs / 60, "m", secs % 60, "s"),
        3_600..86_400 => two(secs / 3_600, "h", secs % 3_600 / 60, "m"),
        _ => two(secs / 86_400, "d", secs % 86_400 / 3_600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_their_two_largest_units() {
        let long = |millis| long(Duration::from_millis(millis));
        assert_eq!(long(0), "0ms");
        assert_eq!(long(999), "999ms");
        assert_eq!(long(59_940), "59.9s");
        assert_eq!(long(61_000), "1m 1s");
        assert_eq!(long(7_200_000), "2h");
        assert_eq!(long(1_000 * (3 * 86_400 + 4 * 3_600)), "3d 4h");
    }
}
