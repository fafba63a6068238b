//! What `--html` writes: a section a scenario, with a picture of its first failure.

use std::sync::Arc;

use sim_core::search::{Failure, Tally, guarded};
use sim_core::trace::Trace;
use sim_core::{Class, Outcome, Schedule};

use super::campaign;
use crate::catalogue::Entry;
use crate::format::Scenario;
use crate::registry::{Compiled, Engine, Registry};
use crate::report::html::{self, Found, PropertyRow, Section, Verdict};
use crate::report::story::Recording;
use crate::report::table;
use crate::runner::{self, ScenarioResult};

/// A page in the making.
#[derive(Default)]
pub struct Page {
    parts: Vec<Part>,
}

/// A run and what it was recorded as.
pub type Recorded = (Schedule, Outcome, Trace);

/// What a section borrows from.
struct Part {
    scenario: Arc<Scenario>,
    verdict: Verdict,
    headline: String,
    facts: Vec<(&'static str, String)>,
    properties: Vec<(String, Class, &'static str, Found)>,
    commands: Vec<(&'static str, String)>,
    recorded: Option<Recorded>,
}

impl Page {
    /// A page about one seed.
    pub fn of_one(compiled: &dyn Compiled, registry: &Registry, again: String, recorded: Recorded) -> Self {
        let seed = recorded.0.seed;
        let mut tally = Tally::new(1);
        tally.add(seed, recorded.1.clone(), "");
        let (verdict, headline) = match &recorded.1.violation {
            Some(violation) => (Verdict::Fail, format!("seed {seed:#x} violates {}", violation.invariant)),
            None => (Verdict::Pass, format!("seed {seed:#x} passes")),
        };
        let part = Part {
            scenario: Arc::clone(compiled.scenario()),
            verdict,
            headline,
            facts: facts(&tally),
            properties: properties(compiled.scenario(), registry, &tally, recorded.1.violation.is_some()),
            commands: vec![("Replay it", again)],
            recorded: Some(recorded),
        };
        Page { parts: vec![part] }
    }

    /// Adds a scenario, and runs its first failure once more to record it.
    pub fn add(&mut self, entry: &Entry, compiled: &dyn Compiled, registry: &Registry, result: &ScenarioResult) {
        let verdict = match result.verdict {
            _ if result.expected => Verdict::Pass,
            runner::Verdict::Inconclusive => Verdict::Inconclusive,
            _ => Verdict::Fail,
        };
        let failure = result.first_failure();
        let headline = match failure {
            Some(Failure { seed, violation }) => {
                format!("{}: {}, by seed {seed:#x}", violation.invariant, violation.message)
            }
            None => table::verdict(result),
        };
        let mut facts = facts(&result.tally);
        facts.push(("Faults fired", fired(result)));
        self.parts.push(Part {
            scenario: Arc::clone(compiled.scenario()),
            verdict,
            headline,
            facts,
            properties: properties(compiled.scenario(), registry, &result.tally, false),
            commands: failure
                .map(|failure| ("Replay it", replay(entry, compiled.engine(), failure.seed)))
                .into_iter()
                .collect(),
            recorded: failure.map(|failure| record(compiled, compiled.schedule(failure.seed))),
        });
    }

    /// The page as HTML.
    pub fn render(&self) -> String {
        let rows: Vec<Vec<PropertyRow<'_>>> = self.parts.iter().map(Part::rows).collect();
        let sections = self.parts.iter().zip(&rows).map(|(part, rows)| part.section(rows));
        let title = match &self.parts[..] {
            [part] => part.scenario.name.as_str(),
            _ => "Fencepost",
        };
        html::page(title, &sections.collect::<Vec<_>>())
    }
}

impl Part {
    fn rows(&self) -> Vec<PropertyRow<'_>> {
        let rows = self.properties.iter();
        rows.map(|(name, class, about, found)| PropertyRow { name, class: *class, about, found: *found }).collect()
    }

    fn section<'a>(&'a self, properties: &'a [PropertyRow<'a>]) -> Section<'a> {
        let recorded = self.recorded.as_ref();
        Section {
            scenario: &self.scenario.name,
            about: &self.scenario.about,
            verdict: self.verdict,
            headline: &self.headline,
            facts: &self.facts,
            properties,
            commands: &self.commands,
            recording: recorded.map(|(plan, outcome, trace)| Recording::new(&self.scenario, plan, outcome, trace)),
        }
    }
}

/// Runs a schedule and writes down everything that happens.
pub fn record(compiled: &dyn Compiled, schedule: Schedule) -> Recorded {
    let mut trace = Trace::default();
    let outcome = guarded(|| {
        let (outcome, recorded) = compiled.record(&schedule);
        trace = recorded;
        outcome
    });
    (schedule, outcome, trace)
}

fn replay(entry: &Entry, engine: Engine, seed: u64) -> String {
    campaign::again(entry).on(engine).replay(seed)
}

fn facts(tally: &Tally) -> Vec<(&'static str, String)> {
    vec![
        ("Seeds", tally.seeds.to_string()),
        ("Seeds that failed", tally.failed.to_string()),
        ("Events", tally.events.to_string()),
        ("Virtual time", table::long(tally.virtual_time)),
        ("Trace hash", format!("{:#018x}", tally.trace_hash())),
    ]
}

fn fired(result: &ScenarioResult) -> String {
    let counts = result.faults_fired.iter().map(|(kind, count)| format!("{kind} {count}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// What the scenario asks for, and what else was violated. Of a run that a violation ended, what was not violated is
/// not decided.
fn properties(
    scenario: &Scenario,
    registry: &Registry,
    tally: &Tally,
    ended_early: bool,
) -> Vec<(String, Class, &'static str, Found)> {
    let protocol = registry.get(&scenario.protocol);
    let about = |name: &str| {
        let property = protocol?.properties().iter().find(|property| property.name == name).map(|p| p.about);
        property.or_else(|| protocol?.marks().iter().find(|mark| mark.name == name).map(|mark| mark.about))
    };
    let asked = scenario.invariants.iter().map(|spec| (spec.name.as_str(), spec.class));
    let built_in = tally.violations.iter().map(|(name, of)| (name.as_str(), of.class));
    let built_in = built_in.filter(|(name, _)| scenario.invariants.iter().all(|spec| spec.name != *name));
    let found = |name: &str, class| match class {
        Class::Coverage if tally.reached.contains_key(name) => Found::Reached,
        Class::Coverage => Found::NotReached,
        _ if tally.violations.contains_key(name) => Found::Violated,
        _ if ended_early => Found::Undecided,
        _ => Found::Held,
    };
    let rows = asked.chain(built_in);
    rows.map(|(name, class)| (name.to_owned(), class, about(name).unwrap_or_default(), found(name, class))).collect()
}
