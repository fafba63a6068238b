//! An exploration for people: a certificate that says what it is about, or a counterexample in sentences.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use sim_core::search::{Exploration, Orders, odds_of_confusion};
use sim_core::{Deviation, Fault, PlannedFault, Schedule, Site, Trigger};

use super::failure::{Again, quoted};
use super::table::{counted, long};
use super::words;
use crate::explore::{Plan, is_certificate, is_void};
use crate::format::{Scenario, schedule};

/// What was enumerated, what came of it, and how long it took.
pub fn explored(scenario: &Scenario, plan: &Plan, exploration: &Exploration, wall: Duration) -> String {
    let mut text = format!("{}  up to {}", scenario.name, counted(plan.faults.into(), "fault"));
    if plan.deviations > 0 {
        let _ = write!(text, " and {}", counted(plan.deviations.into(), "lost or late message"));
    }
    let _ = writeln!(
        text,
        ", at each of {} of a calm run of {}",
        counted(exploration.places, "place"),
        counted(exploration.calm_events, "event")
    );
    if let Some((from, to)) = plan.window {
        let _ = writeln!(text, "  from {from} to {to}");
    }
    for line in plan.describe(scenario) {
        let _ = writeln!(text, "  - {line}");
    }
    for level in &exploration.levels {
        let _ = writeln!(
            text,
            "  {}: {}, {}, {} followed to the end",
            counted(level.breaks.into(), "fault"),
            counted(level.worlds, "world"),
            counted(level.distinct_states, "new state"),
            counted(level.ended, "run")
        );
    }
    let took = format!("{:.1} s, {:.1} MB of states", wall.as_secs_f64(), exploration.bytes as f64 / 1e6);
    if is_certificate(exploration) {
        let _ = writeln!(
            text,
            "CERTIFIED {}  none of {} breaks anything\n  scenario {:#018x}, {}; odds that two states were confused: {:.0e}; {took}",
            scenario.name,
            counted(exploration.worlds(), "world"),
            schedule::hash(&scenario.source),
            counted(exploration.distinct_states(), "distinct state"),
            odds_of_confusion(exploration.distinct_states())
        );
    } else if is_void(exploration) {
        let why = "nothing could be placed: the window has no event, or what is to break in it is broken already";
        let _ = writeln!(text, "VOID {}  {why}", scenario.name);
    } else if exploration.counterexample.is_none() {
        let _ = writeln!(text, "INCOMPLETE {}  nothing was violated so far; {took}", scenario.name);
    }
    text
}

/// A certificate in one line, for when many scenarios are explored; their names are padded to `width`.
pub fn line(scenario: &Scenario, plan: &Plan, exploration: &Exploration, wall: Duration, width: usize) -> String {
    let mut breaks = counted(plan.faults.into(), "fault");
    if plan.deviations > 0 {
        let _ = write!(breaks, " + {}", plan.deviations);
    }
    format!(
        "CERTIFIED {:width$}  {breaks} at {}: {}, {}; {:.1} s\n",
        scenario.name,
        counted(exploration.places, "place"),
        counted(exploration.worlds(), "world"),
        counted(exploration.distinct_states(), "distinct state"),
        wall.as_secs_f64()
    )
}

/// The same of every order of messages and timers.
pub fn orders_line(scenario: &Scenario, orders: &Orders, wall: Duration, width: usize) -> String {
    format!(
        "CERTIFIED {:width$}  every order: {}, {}; {:.1} s\n",
        scenario.name,
        counted(orders.worlds, "world"),
        counted(orders.distinct_states, "distinct state"),
        wall.as_secs_f64()
    )
}

/// What several explorations came to, in one line.
pub fn summary(ends: &Ends, wall: Duration) -> String {
    let Ends { certified, violated, incomplete, unreadable, refused, worlds } = *ends;
    let others = [
        (violated, "violated"),
        (incomplete, "incomplete"),
        (unreadable, "not readable"),
        (refused, "that only madsim can run"),
    ];
    let others: String =
        others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}")).collect();
    format!(
        "{}: {certified} certified{others}; {} in {}\n",
        counted(certified + violated + incomplete + unreadable + refused, "scenario"),
        counted(worlds, "world"),
        long(wall)
    )
}

/// How many explorations ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Everything was tried, and nothing breaks.
    pub certified: u64,
    /// Something breaks.
    pub violated: u64,
    /// Nothing broke so far.
    pub incomplete: u64,
    /// The file could not be read.
    pub unreadable: u64,
    /// Its nodes are asynchronous code, which cannot be explored.
    pub refused: u64,
    /// Placements in all.
    pub worlds: u64,
}

/// What came of every order of messages and timers.
pub fn orders(scenario: &Scenario, orders: &Orders, wall: Duration) -> String {
    let text = format!(
        "{}, {}, the longest way {}; {:.1} s, {:.1} MB of states",
        counted(orders.distinct_states, "distinct state"),
        counted(orders.worlds, "world"),
        counted(orders.longest, "step"),
        wall.as_secs_f64(),
        orders.bytes as f64 / 1e6
    );
    let name = &scenario.name;
    match orders.violation.as_ref().and_then(|(outcome, _)| outcome.violation.as_ref()) {
        Some(violation) => {
            format!("FOUND {name}  {} in some order\n  {}\n  {text}\n", violation.invariant, violation.message)
        }
        None if orders.complete => format!(
            "CERTIFIED {name}  no order of messages, timers and steps breaks its safety\n  scenario {:#018x}; each message \
             arrives once, in any order; odds that two states were confused: {:.0e}\n  {text}\n",
            schedule::hash(&scenario.source),
            odds_of_confusion(orders.distinct_states)
        ),
        None => format!("INCOMPLETE {name}  nothing was violated so far\n  {text}\n"),
    }
}

/// A counterexample: what it violates, what it takes, and how to see it.
pub fn counterexample(scenario: &Scenario, exploration: &Exploration, file: &Path, again: &Again) -> String {
    let Some(found) = &exploration.counterexample else { return String::new() };
    let Some(violation) = &found.outcome.violation else { return String::new() };
    let mut text = format!(
        "FOUND {}  {} with {}\n  t={} event #{}   {}\n",
        scenario.name,
        violation.invariant,
        counted(found.breaks.into(), "fault"),
        violation.at,
        violation.event,
        violation.message
    );
    for (number, sentence) in sentences(scenario, &found.schedule).iter().enumerate() {
        let _ = writeln!(text, "  {}. {sentence}", number + 1);
    }
    let path = file.display().to_string();
    let _ =
        writeln!(text, "  replay: {} replay {} --schedule {}", again.program, quoted(&again.argument), quoted(&path));
    text
}

/// What was placed, each in a sentence: what the scenario itself plans is left out.
pub fn sentences(scenario: &Scenario, schedule: &Schedule) -> Vec<String> {
    let own = |planned: &&PlannedFault| !scenario.steps.iter().any(|step| step.id == planned.id);
    let faults = schedule.faults.faults.iter().filter(own).map(|planned| fault(scenario, planned));
    let name = |node| scenario.node_name(node);
    let deviations = schedule.deviations.iter().map(|(site, moment, deviation)| {
        let what = match site {
            Site::Link(from, to) => format!("message {}->{}", name(from), name(to)),
            Site::Disk(node) => format!("sync of {}", name(node)),
            other => format!("{other:?}"),
        };
        let nth = if moment.ordinal == 0 { String::new() } else { format!(" (#{} there)", moment.ordinal + 1) };
        let fate = match deviation {
            Deviation::Lost => "lost".to_owned(),
            Deviation::Delayed(latency) => format!("takes {}", words::duration(latency)),
            Deviation::Duplicated { .. } => "arrives twice".to_owned(),
            Deviation::Kept { writes, .. } => format!("keeps {writes} of the writes that a crash finds unsynced"),
        };
        format!("{what} of {}{nth} {fate}", moment.at)
    });
    faults.chain(deviations).collect()
}

fn fault(scenario: &Scenario, planned: &PlannedFault) -> String {
    let name = |node: &sim_core::NodeId| scenario.node_name(*node);
    let what = match &planned.fault {
        Fault::Crash { node } => format!("crash {}", name(node)),
        Fault::Pause { node } => format!("pause {}", name(node)),
        Fault::Cut { from, to } => format!("cut {}->{}", name(from), name(to)),
        Fault::Partition { groups } => {
            let groups: Vec<String> =
                groups.iter().map(|group| group.iter().map(name).collect::<Vec<_>>().join(", ")).collect();
            format!("partition {}", groups.join(" | "))
        }
        other => other.kind().to_owned(),
    };
    let when = match &planned.trigger {
        Trigger::At(at) => format!("at {at}"),
        Trigger::OnEvent(number) => format!("before event #{number}"),
        other => format!("{other:?}"),
    };
    match planned.hold {
        Some(hold) => format!("{what} {when} for {}", words::duration(hold)),
        None => format!("{what} {when}"),
    }
}
