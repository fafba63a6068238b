//! Rules for every file: what it starts with, how long it may be, and what is left over from work in progress.

use super::Complaint;
use super::tokens::{Name, Next};
use crate::File;

/// More lines than this are not read in one sitting.
const MOST_LINES: usize = 600;

pub(super) fn check(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |line, rule, message: &str| {
        complaints.push(Complaint { path: file.path.clone(), line, rule, message: message.to_owned() });
    };
    for (number, line) in file.text.split('\n').enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            complain(number + 1, "trailing-whitespace", "ends in white space");
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        complain(0, "final-newline", "does not end with a line break");
    }
    if file.path.ends_with(".rs") {
        if !file.text.starts_with("//! ") {
            complain(
                1,
                "first-comment",
                "begin with a `//!` comment that says what the file is and why it is separate",
            );
        }
        let lines = file.text.lines().count();
        if lines > MOST_LINES {
            let message = format!("has {lines} lines, which is more than {MOST_LINES}: find the second idea in it");
            complain(0, "length", &message);
        }
    }
    complaints
}

pub(super) fn check_macros(file: &File, names: &[Name]) -> Vec<Complaint> {
    let unfinished = ["dbg", "todo", "unimplemented", "std::dbg", "std::todo", "std::unimplemented"];
    let found = names.iter().filter(|name| name.next == Next::Bang && unfinished.contains(&name.path.as_str()));
    found
        .map(|name| Complaint {
            path: file.path.clone(),
            line: name.line,
            rule: "unfinished",
            message: format!("{}! is for work in progress", name.path),
        })
        .collect()
}
