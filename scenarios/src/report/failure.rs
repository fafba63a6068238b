//! A failure as text: what was violated, and lines to paste that show it again. The same text is printed and written
//! to a file, because the log of a CI job may lose it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sim_core::search::{Divergence, Failure};

use crate::cause;
use crate::format::Expect;
use crate::registry::Engine;
use crate::regressions::{self, Regression};
use crate::runner::{ScenarioResult, Verdict};

/// Groups of failures told of each scenario.
const GROUPS: usize = 12;
/// Of a group's example, so many characters.
const LONGEST_EXAMPLE: usize = 120;

/// What to type to run a scenario again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// The command's name, as it was called.
    pub program: String,
    /// The scenario's name.
    pub name: String,
    /// The scenario as an argument of the command: a path, or its name if it is built in.
    pub argument: String,
    /// What ran the nodes.
    pub engine: Engine,
    /// The package whose tests run every scenario file on the native engine, if there is one here.
    pub test_package: Option<String>,
}

impl Again {
    /// The same on another engine.
    #[must_use]
    pub fn on(self, engine: Engine) -> Self {
        Again { engine, test_package: self.test_package.filter(|_| engine == Engine::Native), ..self }
    }

    /// A failing seed, in a few lines that end with a line break.
    pub fn failure(&self, failure: &Failure) -> String {
        self.headline(failure) + &self.lines(failure.seed)
    }

    /// A failing seed without the lines to paste.
    pub fn headline(&self, failure: &Failure) -> String {
        let Failure { seed, violation } = failure;
        let mut text = format!("FAIL {}  seed {seed:#x}  {}\n", self.name, violation.invariant);
        let mut lines = violation.message.lines();
        let first = lines.next().unwrap_or_default();
        let place = format!("  t={} event #{}   ", violation.at, violation.event);
        let _ = writeln!(text, "{place}{first}");
        for line in lines {
            let _ = writeln!(text, "{:width$}{line}", "", width = place.chars().count());
        }
        text
    }

    /// A seed whose two runs differed.
    pub fn divergence(&self, divergence: &Divergence) -> String {
        let Divergence { seed, first, second } = divergence;
        let mut text = format!("FAIL {}  seed {seed:#x}  not deterministic\n", self.name);
        let _ =
            writeln!(text, "  two runs of this seed differ: something in the protocol depends on more than its seed");
        for (which, run) in [("first: ", first), ("second:", second)] {
            let end = match &run.violation {
                Some(violation) => format!("violates {} at t={}", violation.invariant, violation.at),
                None => format!("ends at t={}", run.end),
            };
            let _ = writeln!(text, "  {which} {} events, trace hash {:#018x}, {end}", run.events, run.trace_hash);
        }
        text + &self.lines(*seed)
    }

    /// The command that runs a seed again.
    pub fn replay(&self, seed: u64) -> String {
        let engine = match self.engine {
            Engine::Native => String::new(),
            other => format!(" --engine {other}"),
        };
        format!("{} replay {} --seed {seed:#x}{engine}", quoted(&self.program), quoted(&self.argument))
    }

    /// The command that runs a schedule from a file again; the file says which scenario it belongs to.
    pub fn replay_schedule(&self, path: &Path) -> String {
        let path = path.display().to_string();
        format!("{} replay {} --schedule {}", quoted(&self.program), quoted(&self.argument), quoted(&path))
    }

    fn lines(&self, seed: u64) -> String {
        let Again { name, test_package, .. } = self;
        let mut text = format!("  replay: {}\n", self.replay(seed));
        if let Some(package) = test_package {
            let _ = writeln!(text, "  cargo:  FENCEPOST_SEED={seed:#x} cargo test -p {package} {name} -- --exact");
        }
        text
    }
}

/// An argument as a shell takes it.
pub(crate) fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// How many seeds fail, in groups of those that have one cause; nothing if all of them, `shown` in number, were shown.
pub fn groups(result: &ScenarioResult, shown: usize) -> String {
    let tally = &result.tally;
    if shown == 0 || tally.failed <= shown as u64 {
        return String::new();
    }
    let groups = result.groups();
    let ways = if groups.len() == 1 { "the same way".to_owned() } else { format!("{} ways", groups.len()) };
    let mut text = format!("  {} of {} seeds fail in {ways}:\n", tally.failed, tally.seeds);
    let counts = groups.iter().map(|group| group.seeds.to_string().len()).max().unwrap_or(0);
    for group in groups.iter().take(GROUPS) {
        let Failure { seed, violation } = group.first;
        let message = shortened(violation.message.lines().next().unwrap_or_default());
        let _ = writeln!(text, "    {:>counts$}  {}, first {seed:#x}: {message}", group.seeds, violation.invariant);
        if let Some((_, steps)) = group.cause.split_once(cause::ARROW) {
            let _ = writeln!(text, "    {:counts$}    after {steps}", "");
        }
    }
    if groups.len() > GROUPS {
        let _ = writeln!(text, "    and {} more ways", groups.len() - GROUPS);
    }
    text
}

/// A message that is to stay on one line.
fn shortened(message: &str) -> String {
    match message.char_indices().nth(LONGEST_EXAMPLE) {
        Some((end, _)) => format!("{}...", message[..end].trim_end()),
        None => message.to_owned(),
    }
}

/// What a result lacks of what its file expects, other than failures.
pub fn shortfalls(result: &ScenarioResult) -> String {
    let ScenarioResult { name, tally, .. } = result;
    let mut text = String::new();
    if result.verdict == Verdict::Inconclusive {
        let unreached = result.unreached.join(", ");
        let _ = writeln!(text, "INCONCLUSIVE {name}  none of {} seeds reached: {unreached}", tally.seeds);
    }
    if let Some(Expect::Violates(invariant)) = &result.expect
        && result.first_failure().is_none()
    {
        let _ = writeln!(text, "FAIL {name}  caught nothing: none of {} seeds violates {invariant}", tally.seeds);
    }
    for lost in result.lost_regressions() {
        let Regression { seed, invariant } = &lost.regression;
        let _ = writeln!(text, "FAIL {name}  kept seed {seed:#x} does not violate {invariant} any more");
    }
    text
}

/// Says how to keep a failure for ever.
pub fn how_to_keep(path: &Path, failure: &Failure) -> String {
    format!(
        "  keep:   add this line to {}, or run again with --keep\n          {}\n",
        path.display(),
        regressions::line(failure)
    )
}

/// Writes a failure's text to `target/fencepost/`, or to `fencepost-out/` where nothing is built, and returns the path.
///
/// # Errors
/// If it cannot be written.
pub fn save(scenario: &str, seed: u64, text: &str) -> io::Result<PathBuf> {
    let path = file(scenario, seed, "txt");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, text)?;
    Ok(path)
}

/// Where what is written about a failing seed goes if nobody says where.
pub fn file(scenario: &str, seed: u64, extension: &str) -> PathBuf {
    let folder = if Path::new("target").is_dir() { "target/fencepost" } else { "fencepost-out" };
    Path::new(folder).join(format!("{}-{seed:#x}.{extension}", scenario.replace(['/', '\\'], "-")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::{Class, Instant, Violation};

    fn failure(message: &str) -> Failure {
        let violation = Violation {
            invariant: "at-most-one-live".to_owned(),
            class: Class::Safety,
            at: Instant::from_nanos(14_203_000_000),
            event: 8812,
            node: None,
            message: message.to_owned(),
        };
        Failure { seed: 0x9e37_79b9_7f4a_7c15, violation }
    }

    #[test]
    fn a_failure_is_lines_to_paste() {
        let again = Again {
            program: "fencepost".to_owned(),
            name: "artemis/failback".to_owned(),
            argument: "scenarios/artemis/failback.toml".to_owned(),
            engine: Engine::Native,
            test_package: Some("tests".to_owned()),
        };
        insta::assert_snapshot!(again.failure(&failure("alpha and beta are both LIVE for node-id 1")), @r"
        FAIL artemis/failback  seed 0x9e3779b97f4a7c15  at-most-one-live
          t=14.203s event #8812   alpha and beta are both LIVE for node-id 1
          replay: fencepost replay scenarios/artemis/failback.toml --seed 0x9e3779b97f4a7c15
          cargo:  FENCEPOST_SEED=0x9e3779b97f4a7c15 cargo test -p tests artemis/failback -- --exact
        ");
    }

    #[test]
    fn a_path_with_a_space_and_a_message_of_two_lines_stay_readable() {
        let again = Again {
            program: "fencepost".to_owned(),
            name: "mine".to_owned(),
            argument: "my files/mine.toml".to_owned(),
            engine: Engine::Native,
            test_package: None,
        };
        insta::assert_snapshot!(again.failure(&failure("alpha is LIVE\nbeta is LIVE")), @r"
        FAIL mine  seed 0x9e3779b97f4a7c15  at-most-one-live
          t=14.203s event #8812   alpha is LIVE
                                  beta is LIVE
          replay: fencepost replay 'my files/mine.toml' --seed 0x9e3779b97f4a7c15
        ");
    }
}
