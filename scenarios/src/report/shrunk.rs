//! A shrunk schedule in sentences that a person understands: what breaks, which messages are odd, and what comes of it.

use std::time::Duration;

use sim_core::search::guarded;
use sim_core::search::shrink::{Shrunk, Size};
use sim_core::trace::{Trace, What};
use sim_core::{
    Baseline, ClockSetting, Deviation, DiskTrouble, Fault, Instant, Moment, NodeId, PlannedFault, Schedule, Select,
    Site, Trigger,
};

use super::table::counted;
use crate::format::{self, Scenario};
use crate::registry::Compiled;

/// What a schedule says, one phrase for each fault, odd clock and deviation, in order of time. `trace` is what was
/// recorded of its run: it tells what the odd messages are called.
pub fn explanation(scenario: &Scenario, schedule: &Schedule, trace: &Trace) -> Vec<String> {
    let words = Words { scenario, schedule, trace };
    let mut phrases: Vec<(Instant, String)> = Vec::new();
    phrases.extend(schedule.clocks.iter().map(|(&node, clock)| (Instant::ZERO, words.clock(node, clock))));
    let start = |planned: &PlannedFault| match planned.trigger {
        Trigger::At(at) | Trigger::Window { from: at, .. } => at,
        Trigger::OnEvent(_) | Trigger::OnMark { .. } => words.began(planned.id).unwrap_or(Instant::MAX),
    };
    phrases.extend(schedule.faults.faults.iter().map(|planned| (start(planned), words.planned(planned))));
    let deviations = schedule.deviations.iter();
    phrases.extend(deviations.map(|(site, moment, deviation)| (moment.at, words.deviation(site, moment, deviation))));
    phrases.sort_by_key(|&(at, _)| at);
    phrases.into_iter().map(|(_, phrase)| phrase).collect()
}

/// A shrunk failure with what is said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What it was shrunk to.
    pub shrunk: Shrunk,
    /// What the schedule says, in one sentence.
    pub explanation: String,
    /// How long it took on the wall clock.
    pub wall: Duration,
}

impl Told {
    /// Puts it into words; records the run once more to know what messages are called.
    pub fn new(compiled: &dyn Compiled, shrunk: Shrunk, wall: Duration) -> Self {
        let mut trace = Trace::default();
        guarded(|| {
            let (outcome, recorded) = compiled.record(&shrunk.schedule);
            trace = recorded;
            outcome
        });
        let phrases = explanation(compiled.scenario(), &shrunk.schedule, &trace);
        let explanation = match phrases.is_empty() {
            true => "nothing has to break, and no message has to be odd".to_owned(),
            false => phrases.join("; "),
        };
        Told { shrunk, explanation, wall }
    }

    /// The text of the schedule's file, with the explanation at its top.
    pub fn file(&self, scenario: &Scenario, seed: u64) -> String {
        let violation = self.shrunk.outcome.violation.as_ref();
        let violated =
            violation.map_or_else(String::new, |v| format!("violates {} at {}: {}", v.invariant, v.at, v.message));
        let note = format!("Shrunk from seed {seed:#x}: {}.\n{}", self.explanation, violated);
        format::schedule::write(scenario, &self.shrunk.schedule, &note)
    }

    /// From what to what a failure was shrunk, such as `7 faults, 412 deviations -> 1 fault, 1 deviation in 40 runs`.
    pub fn reduction(&self) -> String {
        let size = |size: Size| {
            format!("{}, {}", counted(size.faults as u64, "fault"), counted(size.deviations as u64, "deviation"))
        };
        let Shrunk { from, to, runs, complete, .. } = self.shrunk;
        let unfinished = if complete { "" } else { "; the time was up, so more may go" };
        format!("{} -> {} in {}{unfinished}", size(from), size(to), counted(runs, "run"))
    }
}

struct Words<'a> {
    scenario: &'a Scenario,
    schedule: &'a Schedule,
    trace: &'a Trace,
}

impl Words<'_> {
    fn name(&self, node: NodeId) -> &str {
        self.scenario.node_name(node)
    }

    fn names(&self, nodes: &[NodeId]) -> String {
        nodes.iter().map(|&node| self.name(node)).collect::<Vec<_>>().join(", ")
    }

    /// When a fault took effect.
    fn began(&self, id: u32) -> Option<Instant> {
        let began = |what: &What| matches!(what, What::FaultBegan { id: other, .. } if *other == id);
        self.trace.entries.iter().find(|entry| began(&entry.what)).map(|entry| entry.at)
    }

    fn planned(&self, planned: &PlannedFault) -> String {
        let mut text = self.fault(&planned.fault);
        text += &match planned.trigger {
            Trigger::At(at) => format!(" at {}", moment(at)),
            Trigger::Window { from, to } => format!(" between {} and {}", moment(from), moment(to)),
            Trigger::OnEvent(event) => format!(" at event {event}"),
            Trigger::OnMark { mark, node, occurrence, plus } => {
                let after = if plus.is_zero() { "when".to_owned() } else { format!("{} after", time(plus)) };
                let by = node.map_or_else(|| "a node".to_owned(), |node| self.name(node).to_owned());
                let number = if occurrence == 1 { String::new() } else { format!(" for time number {occurrence}") };
                format!(" {after} {by} sets {mark}{number}")
            }
        };
        if let Some(hold) = planned.hold.filter(|_| planned.fault.has_extent()) {
            text += &format!(" for {}", time(hold));
        }
        text
    }

    fn fault(&self, fault: &Fault) -> String {
        let name = |node: &NodeId| self.name(*node);
        match fault {
            Fault::Crash { node } => format!("crash {}", name(node)),
            Fault::Restart { node } => format!("restart {}", name(node)),
            Fault::Pause { node } => format!("pause {}", name(node)),
            Fault::Resume { node } => format!("resume {}", name(node)),
            Fault::Slow { node, per_event } => format!("slow {} down by {} an event", name(node), time(*per_event)),
            Fault::Clock { node, step, drift_ppm } => {
                let steps = match step {
                    0 => None,
                    ..0 => Some(format!("back by {}", time(Duration::from_nanos(step.unsigned_abs())))),
                    _ => Some(format!("ahead by {}", time(Duration::from_nanos(step.unsigned_abs())))),
                };
                let drifts = drift_ppm.map(|ppm| format!("to a drift of {ppm} ppm"));
                let changes: Vec<String> = steps.into_iter().chain(drifts).collect();
                format!("set the clock of {} {}", name(node), changes.join(" and "))
            }
            Fault::Partition { groups } => {
                let groups: Vec<_> = groups.iter().map(|group| self.names(group)).collect();
                format!("part {}", groups.join(" | "))
            }
            Fault::OneWay { from, to } => format!("cut {} -> {}", self.names(from), self.names(to)),
            Fault::Cut { from, to } => format!("cut {}->{}", name(from), name(to)),
            Fault::Heal => "heal all links".to_owned(),
            Fault::Reset { a, b } => format!("reset the connections of {} and {}", name(a), name(b)),
            Fault::Degrade { from, to, degradation } => format!("degrade {}->{}: {degradation},", name(from), name(to)),
            Fault::Drop { select, count } => format!("drop {}", self.select(select, *count)),
            Fault::Delay { select, count, by } => format!("delay {} by {}", self.select(select, *count), time(*by)),
            Fault::Disk { node, trouble } => match trouble {
                DiskTrouble::Slow { by } => format!("make each sync of {} {} slower", name(node), time(*by)),
                DiskTrouble::Failing => format!("let syncs of {} fail", name(node)),
                DiskTrouble::Lying => format!("let syncs of {} keep nothing", name(node)),
            },
            Fault::HostFailure { host } => format!("fail the machine {}", self.scenario.host_name(*host)),
            Fault::Command { node, command } => {
                format!("ask {}: {}", name(node), self.scenario.command_text(*command))
            }
        }
    }

    /// The next messages of a kind.
    fn select(&self, select: &Select, count: u32) -> String {
        let kind = select.kind.unwrap_or("message");
        let number = if count == 1 { String::new() } else { format!("{count} ") };
        let link = match (select.from, select.to) {
            (None, None) => String::new(),
            (Some(from), None) => format!(" of {}", self.name(from)),
            (None, Some(to)) => format!(" to {}", self.name(to)),
            (Some(from), Some(to)) => format!(" {}->{}", self.name(from), self.name(to)),
        };
        format!("the next {number}{kind}{link}")
    }

    fn clock(&self, node: NodeId, clock: &ClockSetting) -> String {
        let ahead = (!clock.offset.is_zero()).then(|| format!("is {} ahead", time(clock.offset)));
        let drifts = (clock.drift_ppm != 0).then(|| format!("drifts by {} ppm", clock.drift_ppm));
        let differs: Vec<String> = ahead.into_iter().chain(drifts).collect();
        match differs.is_empty() {
            true => format!("the clock of {} is right", self.name(node)),
            false => format!("the clock of {} {}", self.name(node), differs.join(" and ")),
        }
    }

    fn deviation(&self, site: Site, at: Moment, deviation: Deviation) -> String {
        match (site, deviation) {
            (Site::Link(from, to), deviation) => {
                let message = format!("{} {}->{}", self.message(from, to, at), self.name(from), self.name(to));
                let of_link = |latency: Duration| self.lateness(latency);
                match deviation {
                    Deviation::Lost => format!("{message} lost"),
                    Deviation::Delayed(latency) => format!("{message} {}", of_link(latency)),
                    Deviation::Duplicated { first, second } => {
                        format!("{message} twice, {} and {}", of_link(first), of_link(second))
                    }
                    Deviation::Kept { .. } => format!("{message} as it should be"),
                }
            }
            (Site::Disk(node), Deviation::Kept { writes, torn }) => {
                let torn = if torn { " and a part of the next" } else { "" };
                let writes = counted(u64::from(writes), "unsynced write");
                format!("the crash of {} at {} leaves {writes}{torn}", self.name(node), moment(at.at))
            }
            (Site::Disk(node), Deviation::Delayed(takes)) => {
                format!("the sync of {} at {} takes {}", self.name(node), moment(at.at), time(takes))
            }
            (site, deviation) => format!("{deviation:?} at {site:?}"),
        }
    }

    /// How much later than on a calm network.
    fn lateness(&self, latency: Duration) -> String {
        let (shortest, longest) = self.scenario.network.latency;
        let middling = shortest + longest.saturating_sub(shortest) / 2;
        match (latency.checked_sub(middling), self.schedule.baseline) {
            (_, Baseline::Seeded) => format!("after {}", time(latency)),
            (Some(late), _) => format!("{} late", time(late)),
            (None, _) => format!("{} early", time(middling - latency)),
        }
    }

    /// What a message is called: its kind, and its number among those of its kind on its link, from 1.
    fn message(&self, from: NodeId, to: NodeId, at: Moment) -> String {
        let sent = |what: &What| match what {
            What::Sent { from: f, to: t, kind, .. } if (*f, *t) == (from, to) => Some(*kind),
            _ => None,
        };
        let before = self.trace.entries.iter().take_while(|entry| entry.at <= at.at);
        let sends: Vec<(Instant, &str)> = before.filter_map(|entry| Some((entry.at, sent(&entry.what)?))).collect();
        let first = sends.partition_point(|&(when, _)| when < at.at);
        // What opens and closes connections is sent on the link too and has no kind.
        let Some(&(_, kind)) = sends.get(first + at.ordinal as usize).or(sends[first..].last()) else {
            return format!("the packet at {} on the connection", moment(at.at));
        };
        let number =
            sends[..sends.len().min(first + at.ordinal as usize + 1)].iter().filter(|(_, k)| *k == kind).count();
        format!("{kind} #{number}")
    }
}

/// A moment as people say it, such as `14.2 s`; exact.
fn moment(at: Instant) -> String {
    let text = at.to_string();
    format!("{} s", text.trim_end_matches('s'))
}

/// A span as people say it, such as `3 s` or `1.5 ms`; exact.
fn time(span: Duration) -> String {
    let nanos = span.as_nanos();
    let (unit, size) = match nanos {
        0 => return "0 s".to_owned(),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let digits = format!("{:09}", nanos % size * (1_000_000_000 / size));
    let fraction = digits.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction} {unit}", nanos / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_and_have_the_unit_that_fits() {
        let said = |nanos| time(Duration::from_nanos(nanos));
        assert_eq!(
            [0, 7, 1_500, 1_500_000, 31_000_000_000, 1_000_000_001].map(said),
            ["0 s", "7 ns", "1.5 µs", "1.5 ms", "31 s", "1.000000001 s"]
        );
        assert_eq!(moment(Instant::from_nanos(14_200_000_000)), "14.2 s");
    }
}
