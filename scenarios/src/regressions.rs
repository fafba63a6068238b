//! Seeds that once failed: kept in text files beside the scenarios, and run before any other seed ever after.
//!
//! One file a scenario: `scenarios/regressions/artemis/failback.txt` for `artemis/failback`. Each line is a seed and
//! the invariant that it violated; what follows a `#` is for people. Such a seed of a scenario that should pass must
//! pass; one of a canary must still fail in the same way.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sim_core::search::{Failure, parse_seed};

/// Name of the folder of the files.
pub const FOLDER: &str = "regressions";

/// A seed that once failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regression {
    /// The seed.
    pub seed: u64,
    /// What it violated.
    pub invariant: String,
}

/// A line that is not a regression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegressionError {
    path: PathBuf,
    /// Counted from 1.
    line: usize,
    message: String,
}

impl fmt::Display for RegressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

impl std::error::Error for RegressionError {}

/// The file of a scenario, below the folder of scenarios.
pub fn path(root: &Path, scenario: &str) -> PathBuf {
    root.join(FOLDER).join(format!("{scenario}.txt"))
}

/// Reads a file's text. `path` is what it is called in errors.
///
/// # Errors
/// The first line that is not a seed and an invariant.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Regression>, RegressionError> {
    let mut regressions = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let error = |message| RegressionError { path: path.to_owned(), line: number + 1, message };
        let content = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = content.split_whitespace().collect();
        match words[..] {
            [] => {}
            [seed, invariant] => {
                let seed = parse_seed(seed).map_err(|e| error(e.to_string()))?;
                regressions.push(Regression { seed, invariant: invariant.to_owned() });
            }
            _ => {
                let content = content.trim();
                return Err(error(format!(
                    "expected a seed and the invariant that it violates, such as `0x2a at-most-one-live`, but found \
                     `{content}`"
                )));
            }
        }
    }
    Ok(regressions)
}

/// The line that keeps a failure.
pub fn line(failure: &Failure) -> String {
    let Failure { seed, violation } = failure;
    // A message of several lines would otherwise continue outside the comment.
    let message = violation.message.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{seed:#x} {}  # t={} {message}", violation.invariant, violation.at)
}

/// Appends a failure to the file of its scenario, which is made if need be. Returns whether it was not there yet.
///
/// # Errors
/// If the file cannot be read or written.
pub fn keep(path: &Path, scenario: &str, failure: &Failure) -> io::Result<bool> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let known = parse(path, &text).map_err(io::Error::other)?;
    if known.iter().any(|r| r.seed == failure.seed && r.invariant == failure.violation.invariant) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut addition = String::new();
    if text.is_empty() {
        addition += &format!("# Seeds that once failed {scenario}; they are run before any other. Keep this file.\n");
    } else if !text.ends_with('\n') {
        addition.push('\n');
    }
    addition += &line(failure);
    addition.push('\n');
    OpenOptions::new().create(true).append(true).open(path)?.write_all(addition.as_bytes())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::{Class, Instant, Violation};

    fn failure(seed: u64, message: &str) -> Failure {
        let violation = Violation {
            invariant: "at-most-one-live".to_owned(),
            class: Class::Safety,
            at: Instant::from_nanos(14_203_000_000),
            event: 8812,
            node: None,
            message: message.to_owned(),
        };
        Failure { seed, violation }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "artemis/failback");
        assert!(keep(&path, "artemis/failback", &failure(0x2a, "alpha and beta\nare both LIVE # 1")).unwrap());
        assert!(!keep(&path, "artemis/failback", &failure(0x2a, "said otherwise")).unwrap(), "kept already");
        assert!(keep(&path, "artemis/failback", &failure(u64::MAX, "again")).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "# Seeds that once failed artemis/failback; they are run before any other. Keep this file.\n\
             0x2a at-most-one-live  # t=14.203s alpha and beta are both LIVE # 1\n\
             0xffffffffffffffff at-most-one-live  # t=14.203s again\n"
        );
        let read = parse(&path, &text).unwrap();
        assert_eq!(read.iter().map(|r| r.seed).collect::<Vec<_>>(), [0x2a, u64::MAX]);
        assert_eq!(read[0].invariant, "at-most-one-live");
    }

    #[test]
    fn a_file_without_a_last_line_break_is_continued_on_a_new_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.txt");
        fs::write(&path, "1 a").unwrap();
        keep(&path, "kept", &failure(2, "b")).unwrap();
        assert_eq!(parse(&path, &fs::read_to_string(&path).unwrap()).unwrap().len(), 2);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = |text| parse(Path::new("r/x.txt"), text).unwrap_err().to_string();
        assert_eq!(
            error("# fine\n\n12 at-most-one-live\n7\n"),
            "r/x.txt:4: expected a seed and the invariant that it violates, such as `0x2a at-most-one-live`, but \
             found `7`"
        );
        assert_eq!(
            error("seven at-most-one-live"),
            "r/x.txt:1: `seven` is not a seed: write a decimal number or a hexadecimal one after 0x"
        );
    }
}
