//! Exit codes, and which one a result has.

use std::io;

use sim_core::Class;

use crate::runner::{ScenarioResult, Verdict};

/// Everything is as the scenario files expect.
pub const EXPECTED: u8 = 0;
/// Anything that has no code of its own.
pub const OTHER: u8 = 1;
/// The command line or an environment variable is wrong.
pub const USAGE: u8 = 2;
/// Nothing was selected.
pub const NOTHING_SELECTED: u8 = 4;
/// A safety property was violated.
pub const SAFETY: u8 = 10;
/// A liveness property was violated.
pub const LIVENESS: u8 = 11;
/// Two runs of one seed differed.
pub const NOT_DETERMINISTIC: u8 = 12;
/// Something that should sometimes happen never did.
pub const INCONCLUSIVE: u8 = 13;
/// A scenario file, or a file of kept seeds, is wrong.
pub const BAD_FILE: u8 = 96;
/// Ended by Ctrl-C, as shells say it.
pub const INTERRUPTED: u8 = 130;

/// Which code wins if several apply: what was found goes before what could not be looked at.
const ORDER: [u8; 7] = [SAFETY, LIVENESS, NOT_DETERMINISTIC, BAD_FILE, USAGE, INCONCLUSIVE, OTHER];

/// Why a verb ended without a result.
#[derive(Debug)]
pub enum Stop {
    /// [`USAGE`].
    Usage(String),
    /// [`NOTHING_SELECTED`].
    NothingSelected(String),
    /// [`OTHER`].
    Failed(String),
    /// Standard output or standard error could not be written.
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Output(error)
    }
}

/// The code of a run of several scenarios.
pub fn of_results(results: &[ScenarioResult]) -> u8 {
    let codes: Vec<u8> = results.iter().map(of_result).collect();
    worst(&codes)
}

/// The code that wins of several.
pub fn worst(codes: &[u8]) -> u8 {
    ORDER.into_iter().find(|code| codes.contains(code)).unwrap_or(EXPECTED)
}

/// The code of one scenario.
pub fn of_result(result: &ScenarioResult) -> u8 {
    if result.expected {
        return EXPECTED;
    }
    match result.verdict {
        Verdict::Error => BAD_FILE,
        Verdict::Nondeterministic => NOT_DETERMINISTIC,
        Verdict::Inconclusive => INCONCLUSIVE,
        // Only what the file does not expect counts: a canary may violate one property and must not violate another.
        Verdict::Safety | Verdict::Liveness => {
            result.unexpected_failures().map(|failure| of_class(failure.violation.class)).min().unwrap_or(OTHER)
        }
        Verdict::Pass => OTHER,
    }
}

/// The code of a violation.
pub fn of_class(class: Class) -> u8 {
    if class == Class::Safety { SAFETY } else { LIVENESS }
}
