//! Whatever is in a file, reading it ends in a scenario or in an error that can be shown: never in a panic or a hang.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use scenarios::format::{parse, schedule};
use scenarios::nemesis;

use crate::common::{EVERYTHING, read, registry, rendered};

/// One change to a text. Places are parts of the whole, so that they fit a text of any length.
#[derive(Clone, Debug)]
enum Change {
    Delete { at: f64, length: usize },
    Insert { at: f64, what: String },
    DuplicateLine { at: f64 },
    MoveLine { from: f64, to: f64 },
    ReplaceToken { at: f64, what: String },
}

/// What has a meaning in a scenario, in places where it has none.
const SNIPPETS: &[&str] = &[
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    "\n",
    "\\",
    "\"\"\"",
    "é",
    "🕙",
    "\u{0}",
    "\r",
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    "0xffffffffffffffffff",
    "9223372036854775808",
    "340282366920938463463374607431768211456",
    "true",
    "2026-01-01",
    "\"9999999999999999s\"",
    "\"0s\"",
    "\"-1s\"",
    "\"1e3s\"",
    "\"1.0000000001ns\"",
    "\"\"",
    "[]",
    "{}",
    "[[]]",
    "alpha",
    "client-1",
    "each",
    "for = \"1s\"",
    "do = {}",
    "nodes = []",
    "window",
    "[cluster]",
    "[[step]]\n",
    "[random]\n",
    "clients = 999\n",
    "protocol.name = \"pair\"\n",
];

fn snippet() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(SNIPPETS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let place = || 0.0..1.0_f64;
    prop_oneof![
        (place(), 1..40_usize).prop_map(|(at, length)| Change::Delete { at, length }),
        (place(), snippet()).prop_map(|(at, what)| Change::Insert { at, what }),
        place().prop_map(|at| Change::DuplicateLine { at }),
        (place(), place()).prop_map(|(from, to)| Change::MoveLine { from, to }),
        (place(), snippet()).prop_map(|(at, what)| Change::ReplaceToken { at, what }),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let place = |at: f64| text.floor_char_boundary((text.len() as f64 * at) as usize);
    let lines = || text.lines().map(str::to_owned).collect::<Vec<_>>();
    let number = |at: f64, count: usize| ((count as f64 * at) as usize).min(count.saturating_sub(1));
    match change {
        Change::Delete { at, length } => {
            let start = place(*at);
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            format!("{}{}", &text[..start], &text[end..])
        }
        Change::Insert { at, what } => format!("{}{what}{}", &text[..place(*at)], &text[place(*at)..]),
        Change::DuplicateLine { at } => {
            let mut lines = lines();
            if let Some(line) = lines.get(number(*at, lines.len())).cloned() {
                lines.insert(number(*at, lines.len()), line);
            }
            lines.join("\n")
        }
        Change::MoveLine { from, to } => {
            let mut lines = lines();
            if !lines.is_empty() {
                let line = lines.remove(number(*from, lines.len()));
                lines.insert(number(*to, lines.len() + 1), line);
            }
            lines.join("\n")
        }
        Change::ReplaceToken { at, what } => {
            let inside = |c: char| c.is_alphanumeric() || matches!(c, '"' | '-' | '.');
            let at = place(*at);
            let start = text[..at].rfind(|c| !inside(c)).map_or(0, |i| text.ceil_char_boundary(i + 1));
            let end = text[at..].find(|c| !inside(c)).map_or(text.len(), |i| at + i);
            format!("{}{what}{}", &text[..start], &text[end..])
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_reader_panic(changes in prop::collection::vec(change(), 1..5), seed: u64) {
        let text = changes.iter().fold(EVERYTHING.to_owned(), |text, change| apply(&text, change));
        match read(&text) {
            Err(error) => {
                prop_assert!(!error.problems().is_empty());
                prop_assert!(rendered(&error).contains("help: "));
            }
            // What is accepted can be made ready and sampled.
            Ok(scenario) => {
                let scenario = Arc::new(scenario);
                let compiled = registry().compile(&scenario).map_err(|error| {
                    TestCaseError::fail(format!("read, but refused later: {}\n{text}", rendered(&error)))
                })?;
                let plan = compiled.schedule(seed);
                let written = schedule::write(&scenario, &plan, "");
                let back = schedule::read(Path::new("kept.toml"), written.into(), &scenario, &registry());
                prop_assert_eq!(back.expect("it was just written"), plan);
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_of_schedules_panic(changes in prop::collection::vec(change(), 1..5)) {
        let scenario = read(EVERYTHING).expect("it is sound");
        let kept = schedule::write(&scenario, &nemesis::schedule(&scenario, 7), "A note.");
        let text = changes.iter().fold(kept, |text, change| apply(&text, change));
        if let Err(error) = schedule::read(Path::new("kept.toml"), text.into(), &scenario, &registry()) {
            prop_assert!(rendered(&error).contains("help: "));
        }
    }

    #[test]
    fn noise_is_refused_without_a_panic(noise in any::<String>()) {
        if let Err(error) = parse("noise", Path::new("noise.toml"), noise.into(), &registry()) {
            prop_assert!(rendered(&error).contains("help: "));
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("about = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(&deep).is_err());
}
