//! Results as a JUnit file, laid out as cargo-nextest does: one suite a protocol's folder, one case a scenario.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::runner::{ScenarioResult, Verdict};

use super::table;

/// The file. `details` is what was printed about each result.
///
/// # Errors
/// If it cannot be written as XML.
pub fn junit(results: &[ScenarioResult], details: &[String]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("fencepost");
    report.set_time(results.iter().map(|result| result.wall).sum());
    let mut suites: Vec<TestSuite> = Vec::new();
    for (result, details) in results.iter().zip(details) {
        let folder = result.name.split_once('/').map_or("scenarios", |(folder, _)| folder);
        let suite = match suites.iter().position(|suite| suite.name.as_str() == folder) {
            Some(at) => &mut suites[at],
            None => {
                suites.push(TestSuite::new(folder));
                suites.last_mut().expect("one was just pushed")
            }
        };
        suite.add_test_case(case(folder, result, details));
    }
    for mut suite in suites {
        suite.set_time(suite.test_cases.iter().filter_map(|case| case.time).sum());
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(folder: &str, result: &ScenarioResult, details: &str) -> TestCase {
    let status = if result.expected {
        TestCaseStatus::success()
    } else {
        let kind = if result.verdict == Verdict::Error { NonSuccessKind::Error } else { NonSuccessKind::Failure };
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(result.verdict.name()).set_message(table::verdict(result)).set_description(details);
        status
    };
    let mut case = TestCase::new(result.name.as_str(), status);
    case.set_classname(folder).set_time(result.wall);
    case.add_property(("seeds", result.tally.seeds.to_string().as_str()));
    case.add_property(("trace-hash", format!("{:#018x}", result.tally.trace_hash()).as_str()));
    if let Some(failure) = result.first_failure() {
        case.add_property(("first-failing-seed", format!("{:#x}", failure.seed).as_str()));
    }
    case
}
