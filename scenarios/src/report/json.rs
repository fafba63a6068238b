//! Results as JSON, one object a line. `JSON.md` beside the crate describes the fields; they are a promise.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sim_core::search::{Exploration, Orders};

use super::defects::{self, Row};
use super::shrunk::Told;
use crate::compare::{Comparison, Seen};
use crate::explore::Plan;
use crate::format::{self, Scenario};
use crate::real;
use crate::runner::{Group, ScenarioResult};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Line<'a> {
    Scenario {
        name: &'a str,
        expected: bool,
        verdict: &'static str,
        seeds: u64,
        failed: u64,
        first_failing_seed: Option<String>,
        invariant: Option<&'a str>,
        message: Option<&'a str>,
        trace_hash: String,
        events: u64,
        virtual_s: f64,
        wall_s: f64,
        faults_fired: &'a BTreeMap<String, u64>,
        unreached: &'a [String],
        causes: Vec<Cause<'a>>,
        regressions: usize,
        complete: bool,
    },
    Defect {
        system: &'a str,
        id: &'a str,
        protocol: &'a str,
        scenario: Option<&'a str>,
        invariant: Option<&'a str>,
        found: bool,
        seeds_to_find: Option<u64>,
        seed: Option<String>,
        events: Option<u64>,
        fixed_clean: bool,
        fixed_seeds: u64,
        #[serde(flatten)]
        shrunk: Option<ShrunkFields>,
        #[serde(flatten)]
        explored: Option<ExploredFields>,
    },
    Shrink {
        scenario: &'a str,
        seed: String,
        invariant: &'a str,
        faults: usize,
        deviations: usize,
        runs: u64,
        wall_s: f64,
        schedule: String,
        faults_before: usize,
        deviations_before: usize,
        complete: bool,
        explanation: &'a str,
    },
    Explore {
        scenario: &'a str,
        scenario_hash: String,
        faults: u8,
        deviations: u8,
        enumerated: Vec<String>,
        window_s: Option<(f64, f64)>,
        places: u64,
        worlds: u64,
        distinct_states: u64,
        complete: bool,
        violation: Option<&'a str>,
        message: Option<&'a str>,
        found_with: Option<u32>,
        schedule: Option<String>,
        wall_s: f64,
    },
    Real {
        scenario: &'a str,
        seed: String,
        violation: Option<&'a str>,
        message: Option<&'a str>,
        undecided: Vec<&'a str>,
        orders: usize,
        clocks_within_s: f64,
        marks: Vec<&'a str>,
        notes: usize,
        virtual_s: f64,
        wall_s: f64,
    },
    Comparison {
        scenario: &'a str,
        expects: Option<&'a str>,
        agrees: bool,
        one_order: bool,
        worlds: BTreeMap<&'static str, World<'a>>,
    },
    #[serde(rename = "summary")]
    DefectsSummary {
        defects: usize,
        canaries: usize,
        unexpected: usize,
        wall_s: f64,
    },
    Summary {
        scenarios: usize,
        unexpected: usize,
        wall_s: f64,
    },
}

#[derive(Serialize)]
struct Cause<'a> {
    invariant: &'a str,
    cause: &'a str,
    seeds: u64,
    first_seed: String,
    message: &'a str,
}

impl<'a> Cause<'a> {
    fn new(group: Group<'a>) -> Self {
        let Group { cause, first, seeds } = group;
        Cause {
            invariant: &first.violation.invariant,
            cause,
            seeds,
            first_seed: format!("{:#x}", first.seed),
            message: &first.violation.message,
        }
    }
}

/// A scenario in one world.
#[derive(Serialize)]
struct World<'a> {
    violation: Option<&'a str>,
    undecided: bool,
    seed: String,
    marks: &'a [&'static str],
}

impl<'a> World<'a> {
    fn of(seen: &'a Seen) -> Self {
        World {
            violation: seen.violation.as_deref(),
            undecided: seen.open,
            seed: format!("{:#x}", seen.seed),
            marks: &seen.marks,
        }
    }
}

/// What `defects --explore` adds to a line.
#[derive(Serialize)]
struct ExploredFields {
    fewest_faults: Option<u32>,
    explored: bool,
}

/// What `defects --shrink` adds to a line.
#[derive(Serialize)]
struct ShrunkFields {
    shrunk_faults: usize,
    shrunk_deviations: usize,
    shrunk_from_faults: usize,
    shrunk_from_deviations: usize,
    shrink_runs: u64,
    shrink_s: f64,
    shrunk_needs_defect: bool,
}

/// The line of one scenario, without a line break.
pub fn scenario(result: &ScenarioResult) -> String {
    let tally = &result.tally;
    let failure = result.first_failure();
    let divergence = result.divergence.as_ref().map(|divergence| divergence.seed);
    let seed = divergence.or(failure.map(|failure| failure.seed));
    to_line(&Line::Scenario {
        name: &result.name,
        expected: result.expected,
        verdict: result.verdict.name(),
        seeds: tally.seeds,
        failed: tally.failed,
        first_failing_seed: seed.map(|seed| format!("{seed:#x}")),
        invariant: failure.map(|failure| failure.violation.invariant.as_str()),
        message: result.error.as_deref().or(failure.map(|failure| failure.violation.message.as_str())),
        trace_hash: format!("{:#018x}", tally.trace_hash()),
        events: tally.events,
        virtual_s: tally.virtual_time.as_secs_f64(),
        wall_s: result.wall.as_secs_f64(),
        faults_fired: &result.faults_fired,
        unreached: &result.unreached,
        causes: result.groups().into_iter().map(Cause::new).collect(),
        regressions: result.regressions.len(),
        complete: result.complete,
    })
}

/// The last line.
pub fn summary(results: &[ScenarioResult], wall: Duration) -> String {
    to_line(&Line::Summary {
        scenarios: results.len(),
        unexpected: results.iter().filter(|result| !result.expected).count(),
        wall_s: wall.as_secs_f64(),
    })
}

/// The line of a failure that was shrunk, without a line break. `seed` is what was shrunk, and `schedule` the file
/// that the result is in.
pub fn shrink(name: &str, seed: u64, shrunk: &Told, schedule: &Path) -> String {
    let Told { shrunk, explanation, wall } = shrunk;
    let invariant = shrunk.outcome.violation.as_ref().map_or("", |violation| &violation.invariant);
    to_line(&Line::Shrink {
        scenario: name,
        seed: format!("{seed:#x}"),
        invariant,
        faults: shrunk.to.faults,
        deviations: shrunk.to.deviations,
        runs: shrunk.runs,
        wall_s: wall.as_secs_f64(),
        schedule: schedule.display().to_string(),
        faults_before: shrunk.from.faults,
        deviations_before: shrunk.from.deviations,
        complete: shrunk.complete,
        explanation,
    })
}

/// The line of one canary, or of a defect that has none, without a line break.
pub fn defect(row: &Row) -> String {
    let caught = row.canary.as_ref();
    let found = caught.and_then(|canary| canary.found.as_ref());
    to_line(&Line::Defect {
        system: &row.system,
        id: &row.id,
        protocol: &row.protocol,
        scenario: caught.map(|canary| canary.scenario.as_str()),
        invariant: caught.map(|canary| canary.invariant.as_str()),
        found: found.is_some(),
        seeds_to_find: found.map(|found| found.seeds),
        seed: found.map(|found| format!("{:#x}", found.seed)),
        events: found.map(|found| found.events),
        fixed_clean: caught.is_some_and(|canary| canary.fixed_violates.is_none()),
        fixed_seeds: caught.map_or(0, |canary| canary.fixed_seeds),
        shrunk: caught.and_then(|canary| canary.shrunk).map(|shrunk| ShrunkFields {
            shrunk_faults: shrunk.to.faults,
            shrunk_deviations: shrunk.to.deviations,
            shrunk_from_faults: shrunk.from.faults,
            shrunk_from_deviations: shrunk.from.deviations,
            shrink_runs: shrunk.runs,
            shrink_s: shrunk.wall.as_secs_f64(),
            shrunk_needs_defect: shrunk.needs_defect,
        }),
        explored: caught
            .and_then(|canary| canary.fewest)
            .map(|fewest| ExploredFields { fewest_faults: fewest.faults(), explored: fewest.is_known() }),
    })
}

/// The line of one exploration, without a line break.
pub fn explored(
    scenario: &Scenario,
    plan: &Plan,
    exploration: &Exploration,
    schedule: Option<&Path>,
    wall: Duration,
) -> String {
    let found = exploration.counterexample.as_ref();
    let violation = found.and_then(|found| found.outcome.violation.as_ref());
    to_line(&Line::Explore {
        scenario: &scenario.name,
        scenario_hash: format!("{:#018x}", format::schedule::hash(&scenario.source)),
        faults: plan.faults,
        deviations: plan.deviations,
        enumerated: plan.describe(scenario),
        window_s: plan.window.map(|(from, to)| (from.as_secs_f64(), to.as_secs_f64())),
        places: exploration.places,
        worlds: exploration.worlds(),
        distinct_states: exploration.distinct_states(),
        complete: exploration.complete,
        violation: violation.map(|violation| violation.invariant.as_str()),
        message: violation.map(|violation| violation.message.as_str()),
        found_with: found.map(|found| found.breaks),
        schedule: schedule.map(|path| path.display().to_string()),
        wall_s: wall.as_secs_f64(),
    })
}

/// The line of an exploration of every order, without a line break.
pub fn orders(scenario: &Scenario, orders: &Orders, wall: Duration) -> String {
    let violation = orders.violation.as_ref().and_then(|(outcome, _)| outcome.violation.as_ref());
    to_line(&Line::Explore {
        scenario: &scenario.name,
        scenario_hash: format!("{:#018x}", format::schedule::hash(&scenario.source)),
        faults: 0,
        deviations: 0,
        enumerated: vec!["every order of messages, timers and steps".to_owned()],
        window_s: None,
        places: 0,
        worlds: orders.worlds,
        distinct_states: orders.distinct_states,
        complete: orders.complete,
        violation: violation.map(|violation| violation.invariant.as_str()),
        message: violation.map(|violation| violation.message.as_str()),
        found_with: violation.map(|_| 0),
        schedule: None,
        wall_s: wall.as_secs_f64(),
    })
}

/// A scenario in all worlds.
pub fn compared(scenario: &str, comparison: &Comparison) -> String {
    to_line(&Line::Comparison {
        scenario,
        expects: comparison.expects.as_deref(),
        agrees: comparison.agrees(),
        one_order: comparison.has_one_order(),
        worlds: comparison.worlds().map(|(name, seen)| (name, World::of(seen))).collect(),
    })
}

/// A run of real processes.
pub fn real(scenario: &Scenario, seed: u64, result: &real::Result) -> String {
    let real::Result { judgement, record, wall } = result;
    let (outcome, trace) = &judgement.likely;
    let violation = judgement.certain().next();
    to_line(&Line::Real {
        scenario: &scenario.name,
        seed: format!("{seed:#x}"),
        violation,
        message: violation.and(outcome.violation.as_ref()).map(|violation| violation.message.as_str()),
        undecided: if judgement.is_open() {
            judgement.violated.keys().map(String::as_str).collect()
        } else {
            Vec::new()
        },
        orders: judgement.orders,
        clocks_within_s: judgement.uncertainty.as_secs_f64(),
        marks: trace.marks_in_order(),
        notes: record.notes.len(),
        virtual_s: outcome.end.as_secs_f64(),
        wall_s: wall.as_secs_f64(),
    })
}

/// The last line of a table of defects.
pub fn defects_summary(rows: &[Row], wall: Duration) -> String {
    to_line(&Line::DefectsSummary {
        defects: defects::distinct(rows),
        canaries: rows.iter().filter(|row| row.canary.is_some()).count(),
        unexpected: rows.iter().filter(|row| !row.is_expected()).count(),
        wall_s: wall.as_secs_f64(),
    })
}

fn to_line(line: &Line<'_>) -> String {
    serde_json::to_string(line).expect("text, numbers and maps with text keys can all be JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::defects::tests::rows;

    #[test]
    fn a_defect_is_one_object_and_one_without_a_canary_has_nothing_to_show() {
        let lines: Vec<String> = rows().iter().map(defect).collect();
        let text = format!("{}\n{}", lines.join("\n"), defects_summary(&rows(), Duration::from_millis(1500)));
        insta::assert_snapshot!(text);
    }
}
