//! Results as JSON, one object a line. `JSON.md` beside the crate describes the fields; they are a promise.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::runner::ScenarioResult;

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
        faults_fired: &'a BTreeMap<&'static str, u64>,
        unreached: &'a [String],
        regressions: usize,
        complete: bool,
    },
    Summary {
        scenarios: usize,
        unexpected: usize,
        wall_s: f64,
    },
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

fn to_line(line: &Line<'_>) -> String {
    serde_json::to_string(line).expect("text, numbers and maps with text keys can all be JSON")
}
