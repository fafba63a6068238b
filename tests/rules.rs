//! The rules of the source tree, as functions from text to complaints, so that each can be shown to catch what it is
//! there for.

mod canaries;
mod imports;
mod kernel;
mod text;
mod tokens;

pub use canaries::check_scenarios;
pub use imports::check_imports;

use std::fmt;

use crate::File;

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// The file.
    pub path: String,
    /// The line, counted from 1; 0 if it is the file as a whole.
    pub line: usize,
    /// The rule.
    pub rule: &'static str,
    /// What was found, and what to do instead.
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {} ({})", self.path, self.message, self.rule),
            line => write!(f, "{}:{line}: {} ({})", self.path, self.message, self.rule),
        }
    }
}

/// A place where a rule does not apply.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// A file, or a folder if it ends with a slash.
    pub path: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// Checks files of any kind.
pub fn check_files(files: &[File]) -> Vec<Complaint> {
    let mut complaints: Vec<Complaint> = files.iter().flat_map(check_file).collect();
    complaints.sort();
    complaints
}

fn check_file(file: &File) -> Vec<Complaint> {
    let mut complaints = text::check(file);
    if file.path.ends_with(".rs") {
        match tokens::scan(&file.text) {
            Ok(tokens) => {
                complaints.extend(text::check_macros(file, &tokens));
                if kernel::applies_to(&file.path) {
                    complaints.extend(kernel::check(file, &tokens));
                }
            }
            Err(error) => complaints.push(Complaint {
                path: file.path.clone(),
                line: 0,
                rule: "parses",
                message: format!("is not Rust: {error}"),
            }),
        }
    }
    complaints
}

/// Takes out what the exceptions allow, and complains about exceptions that allow nothing (any more).
pub fn except(complaints: Vec<Complaint>, exceptions: &[Exception]) -> Vec<Complaint> {
    let covers = |exception: &Exception, complaint: &Complaint| {
        let place = if exception.path.ends_with('/') {
            complaint.path.starts_with(exception.path)
        } else {
            complaint.path == exception.path
        };
        place && complaint.rule == exception.rule
    };
    let idle = exceptions.iter().filter(|exception| !complaints.iter().any(|complaint| covers(exception, complaint)));
    let mut left: Vec<Complaint> = idle
        .map(|exception| Complaint {
            path: exception.path.to_owned(),
            line: 0,
            rule: exception.rule,
            message: format!("the exception \"{}\" is not needed; remove it", exception.reason),
        })
        .collect();
    left.extend(complaints.iter().filter(|c| !exceptions.iter().any(|e| covers(e, c))).cloned());
    left
}

#[cfg(test)]
mod tests;
