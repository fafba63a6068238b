//! What a fuzzer's bytes stand for: a scenario and one run of it, or the text of a file.
//!
//! libFuzzer knows nothing but bytes and which of them reach new code. Here they become decisions of the same nemesis
//! that seeds feed, so whatever the bytes are, the schedule keeps to what the scenario allows: its kinds of faults, its
//! window, its ranges of latency. A scenario that should pass must therefore pass for all bytes. The code is apart from
//! the fuzz targets, because the tests run the same inputs on a stable compiler.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use miette::Report;
use sim_core::search::guarded;
use sim_core::{Baseline, Deviation, Deviations, Draw, Instant, Moment, Outcome, Schedule, Site, Violation};

use crate::catalogue::Catalogue;
use crate::format::{self, Expect, Scenario, schedule};
use crate::nemesis::{self, Decisions};
use crate::registry::{Compiled, Registry};

/// Messages and syncs that deviate from what is drawn for them, at most.
const MOST_DEVIATIONS: usize = 32;

/// The scenarios that a fuzzer runs: those that are built in and should pass, of every protocol.
pub struct Clean {
    scenarios: Vec<Box<dyn Compiled>>,
}

/// A run that bytes stand for.
pub struct Decoded<'a> {
    /// The scenario.
    pub compiled: &'a dyn Compiled,
    /// What happens.
    pub schedule: Schedule,
}

impl Clean {
    /// Those that are built in and whose protocol is registered.
    ///
    /// # Panics
    /// If one cannot be read, which the tests of the scenarios would have found.
    pub fn built_in(registry: &Registry) -> Self {
        let read = |entry: &crate::catalogue::Entry| match entry.load(registry) {
            Ok(compiled) => compiled,
            Err(error) => panic!("{:?}", Report::new(error)),
        };
        let catalogue = Catalogue::built_in(registry);
        let mut scenarios: Vec<_> = catalogue.entries().iter().map(read).collect();
        scenarios.retain(|compiled| compiled.scenario().expect == Expect::Pass);
        Clean { scenarios }
    }

    /// Their names; which one bytes choose depends on how many there are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.scenarios.iter().map(|compiled| compiled.scenario().name.as_str())
    }

    /// The run that bytes stand for; `None` if there are too few of them to choose a scenario.
    pub fn decode(&self, bytes: &[u8]) -> Option<Decoded<'_>> {
        let mut bytes = Unstructured::new(bytes);
        let compiled = &**self.scenarios.get(bytes.choose_index(self.scenarios.len()).ok()?)?;
        (!bytes.is_empty()).then(|| Decoded { compiled, schedule: decoded(compiled, &mut bytes) })
    }

    /// Makes the run that bytes stand for.
    ///
    /// # Errors
    /// What it violates.
    pub fn run(&self, bytes: &[u8]) -> std::result::Result<Option<Outcome>, Box<Found>> {
        let Some(Decoded { compiled, schedule }) = self.decode(bytes) else { return Ok(None) };
        let outcome = guarded(|| compiled.run(&schedule));
        match outcome.violation {
            None => Ok(Some(outcome)),
            Some(violation) => Err(Box::new(Found { scenario: Arc::clone(compiled.scenario()), schedule, violation })),
        }
    }
}

/// Bytes that make a scenario fail which should pass.
#[derive(Debug)]
pub struct Found {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// What the bytes stand for.
    pub schedule: Schedule,
    /// What it violates.
    pub violation: Violation,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { scenario, schedule, violation } = self;
        let Violation { invariant, at, event, message, .. } = violation;
        writeln!(f, "{} violates {invariant} at t={at}, event #{event}: {message}", scenario.name)?;
        writeln!(f, "`fencepost replay --schedule FILE` shows it, with this in FILE:")?;
        f.write_str(&schedule::write(scenario, schedule, ""))
    }
}

/// Reads bytes as a scenario file, and as a schedule of one of these scenarios, and shows what is wrong with them as
/// the command would.
pub fn parse(bytes: &[u8], registry: &Registry, scenarios: &Clean) {
    let text: Arc<str> = String::from_utf8_lossy(bytes).into();
    match format::parse("fuzz", "fuzz.toml".as_ref(), Arc::clone(&text), registry) {
        Ok(scenario) => {
            drop(registry.compile(&Arc::new(scenario)).map_err(|error| format!("{:?}", Report::new(error))))
        }
        Err(error) => drop(format!("{:?}", Report::new(error))),
    }
    let named = schedule::scenario_name(&text);
    let named = named.and_then(|named| scenarios.scenarios.iter().find(|compiled| compiled.scenario().name == named));
    if let Some(compiled) = named {
        let read = schedule::read("fuzz.toml".as_ref(), text, compiled.scenario(), registry);
        drop(read.map_err(|error| format!("{:?}", Report::new(error))));
    }
}

/// A schedule within what the scenario allows.
fn decoded(compiled: &dyn Compiled, bytes: &mut Unstructured<'_>) -> Schedule {
    let scenario = compiled.scenario();
    let seed = u64::from(bytes.arbitrary::<u32>().unwrap_or_default());
    let baseline = if bytes.arbitrary().unwrap_or_default() { Baseline::Calm } else { Baseline::Seeded };
    let deviating = bytes.int_in_range(0..=MOST_DEVIATIONS).unwrap_or_default();
    // Taken before the faults, which use up all bytes there are.
    let choices: Vec<(u32, u8, u32, u32)> = (0..deviating).map_while(|_| bytes.arbitrary().ok()).collect();
    let base = Schedule { baseline, ..Schedule::seeded(seed) };
    let mut schedule = nemesis::decided(scenario, base, &mut Bytes(bytes));
    if !choices.is_empty() {
        deviate(compiled, &mut schedule, &choices);
    }
    schedule
}

/// Lets some of the messages and syncs that a run has go another way. They are named by the moments at which they
/// were sent, so the run is made first to see what there is; after the first that changes the course some miss.
fn deviate(compiled: &dyn Compiled, schedule: &mut Schedule, choices: &[(u32, u8, u32, u32)]) {
    let mut sent = Deviations::default();
    let seeded = Schedule { baseline: Baseline::Seeded, ..schedule.clone() };
    guarded(|| {
        let (trial, observed) = compiled.observe(&seeded, Instant::MAX);
        sent = observed.schedule.deviations;
        trial.outcome
    });
    let is_sent = |deviation| !matches!(deviation, Deviation::Kept { .. });
    let sent: Vec<(Site, Moment)> =
        sent.iter().filter(|&(.., deviation)| is_sent(deviation)).map(|(site, moment, _)| (site, moment)).collect();
    if sent.is_empty() {
        return;
    }
    // What was seen is there only on this baseline.
    schedule.baseline = Baseline::Seeded;
    for &(which, how, first, second) in choices {
        let (site, moment) = sent[which as usize % sent.len()];
        schedule.deviations.insert(site, moment, deviation(compiled.scenario(), site, how, first, second));
    }
}

/// What can become of a message or a sync, by the scenario's own network and disks.
fn deviation(scenario: &Scenario, site: Site, how: u8, first: u32, second: u32) -> Deviation {
    let network = &scenario.network;
    let within = |(shortest, longest): (Duration, Duration), part: u32| {
        shortest + (longest - shortest).mul_f64(f64::from(part) / f64::from(u32::MAX))
    };
    match (site, how % 4) {
        (Site::Disk(_), _) => Deviation::Delayed(within(scenario.disk.sync, first)),
        (_, 0) if network.loss > 0.0 => Deviation::Lost,
        (_, 1) if network.duplication > 0.0 => {
            Deviation::Duplicated { first: within(network.latency, first), second: within(network.latency, second) }
        }
        _ => Deviation::Delayed(within(network.latency, first)),
    }
}

/// The decisions that bytes are, one after the other, wherever they are asked for.
struct Bytes<'a, 'b>(&'a mut Unstructured<'b>);

impl Decisions for Bytes<'_, '_> {
    fn draw(&mut self, _: Site, n: u32) -> Draw {
        let mut next = || -> Result<Draw> { self.0.arbitrary() };
        match next() {
            Ok(draw) if !self.0.is_empty() => draw,
            // Where there are no more bytes, a kind of fault is left out if that is possible; if not, it strikes as seldom
            // as it can, so that it comes to an end.
            _ if n == 0 => [0; 4],
            _ => [u32::MAX; 4],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_choose_every_protocol_and_only_what_should_pass() {
        let registry = Registry::bundled();
        let clean = Clean::built_in(&registry);
        let protocols: std::collections::BTreeSet<_> =
            clean.scenarios.iter().map(|compiled| compiled.scenario().protocol.as_str()).collect();
        assert_eq!(protocols, registry.iter().map(|protocol| protocol.name()).collect());
        assert!(clean.scenarios.iter().all(|compiled| compiled.scenario().expect == Expect::Pass));
    }

    #[test]
    fn the_same_bytes_are_the_same_run_and_other_bytes_are_other_runs() {
        let clean = Clean::built_in(&Registry::bundled());
        let bytes: Vec<u8> = (0..600_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut schedules = Vec::new();
        for length in (0..bytes.len()).step_by(37) {
            let run = |bytes| clean.decode(bytes).map(|decoded| decoded.schedule);
            assert_eq!(run(&bytes[..length]), run(&bytes[..length]));
            schedules.push(run(&bytes[..length]));
        }
        assert_eq!(schedules[0], None, "no bytes are no run");
        schedules.dedup();
        assert!(schedules.len() > 10, "{} different schedules", schedules.len());
    }

    #[test]
    fn a_violation_says_how_to_see_it_again() {
        let registry = Registry::bundled();
        let catalogue = Catalogue::built_in(&registry);
        let canary = catalogue.find("lease/defects/no-fencing").unwrap().remove(0).load(&registry).unwrap();
        let clean = Clean { scenarios: vec![canary] };
        let found = clean.run(&[0, 1, 2, 3]).unwrap_err();
        let text = found.to_string();
        assert!(text.starts_with("lease/defects/no-fencing violates writes-in-order at t="), "{text}");
        let (_, file) = text.split_once("with this in FILE:\n").unwrap();
        let again = schedule::read("x.toml".as_ref(), file.into(), &found.scenario, &registry).unwrap();
        assert_eq!(clean.scenarios[0].run(&again).violation, Some(found.violation));
    }
}
