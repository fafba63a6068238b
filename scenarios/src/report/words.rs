//! Entries of a recording in plain words, the same on the terminal and on the page.

use std::time::Duration;

use sim_core::history::{Call, Step};
use sim_core::trace::{Fate, What};
use sim_core::{CloseReason, ConnectionEvent, Instant, NodeId};

use super::story::{Band, Fold, Folded, Row, State, Story, Subject, visible};

/// A row in words, without its time.
pub fn row(story: &Story<'_>, row: &Row<'_>) -> String {
    match row.subject {
        Subject::Start => "the cluster starts".to_owned(),
        Subject::Entry(index) => entry(story, index),
        Subject::Marks(index, count, first) => {
            format!("{}, {count} times since {first}", entry(story, index))
        }
        Subject::Fold(part) => fold(story, part),
        Subject::Violation => violation(story),
    }
}

/// An entry in words, without its time.
pub fn entry(story: &Story<'_>, index: usize) -> String {
    let entry = &story.entries()[index];
    let name = |node: &_| story.name(*node);
    match &entry.what {
        What::Started { node } => format!("{} starts", name(node)),
        What::Sent { from, to, kind, message, connection, fate } => {
            let how = if *connection { " on their connection" } else { "" };
            let content = content(kind, message);
            format!("{} sends to {}{how}: {content}; {}", name(from), name(to), fate_words(fate, entry.at))
        }
        What::Delivered { from, to, kind, message } => {
            let content = content(kind, message);
            format!("{} → {}: {content}{}", name(from), name(to), transit(story, index))
        }
        What::Undeliverable { from, to, kind } => {
            format!(
                "{} → {}: {kind} finds nobody: {} is down or the connection is gone{}",
                name(from),
                name(to),
                name(to),
                transit(story, index)
            )
        }
        What::Timer { node, timer } => {
            format!("{}: timer {}, set {}", name(node), visible(timer), since(story, entry.cause))
        }
        What::Connection { node, peer, event } => connection(&name(node), &name(peer), *event),
        What::Synced { node, ok: true } => format!("{}: written data is durable", name(node)),
        What::Synced { node, ok: false } => format!("{}: sync failed", name(node)),
        What::Command { node, command } => format!("{} is asked: {}", name(node), visible(command)),
        What::Mark { node, name: mark } => format!("{}: mark {}", name(node), visible(mark)),
        // A process that has just started has not changed its role, whatever the one before it was.
        What::Role { node, from, to } if from.is_empty() || had_no_role(story, *node, entry.event) => {
            format!("{} is {}", name(node), visible(to))
        }
        What::Role { node, from, to } => format!("{}: {} → {}", name(node), visible(from), visible(to)),
        What::Stopped { node, halted: true } => format!("{} stops by itself", name(node)),
        What::Stopped { node, halted: false } => format!("{} dies", name(node)),
        What::FaultBegan { id, text } => format!("fault {id} begins: {}", visible(text)),
        What::FaultEnded { id, text } => format!("fault {id} ends: {}{}", visible(text), toll(story, index)),
        What::Operation { node, operation } => {
            format!("{}: operation {}, {}: {}", name(node), operation.id, call(operation.call), step(operation.step))
        }
    }
}

fn had_no_role(story: &Story<'_>, node: NodeId, event: u64) -> bool {
    let lane = story.lanes.get(node.index());
    lane.is_some_and(|lane| matches!(lane.state_before(event), State::Down | State::Up("")))
}

/// What the violation is.
fn violation(story: &Story<'_>) -> String {
    story.recording.outcome.violation.as_ref().map_or_else(String::new, |violation| {
        format!("VIOLATION of {}: {}", visible(&violation.invariant), visible(&violation.message))
    })
}

/// What was left out of a chain.
fn fold(story: &Story<'_>, fold: &Fold) -> String {
    let (at, event) = fold.from;
    match &fold.what {
        Folded::Rounds { rounds, round } => {
            let steps: Vec<String> = round.iter().map(|&index| short(story, index)).collect();
            let rounds = if *rounds == 1 { "one round".to_owned() } else { format!("{rounds} rounds") };
            format!("before that {rounds} of the same since {at} (event {event}): {}", steps.join(", then "))
        }
        Folded::Earlier(count) => {
            format!("{count} earlier causes, back to event {event} at {at}, are left out here; --all marks them")
        }
    }
}

/// An entry of a round, without what differs from round to round.
fn short(story: &Story<'_>, index: usize) -> String {
    match &story.entries()[index].what {
        What::Delivered { from, to, kind, .. } => format!("{kind} {} → {}", story.name(*from), story.name(*to)),
        What::Timer { node, timer } => format!("timer {} at {}", visible(timer), story.name(*node)),
        _ => entry(story, index),
    }
}

/// A message's kind and content. `Debug` of an enum starts with the kind already.
fn content(kind: &str, message: &str) -> String {
    if message.starts_with(kind) { visible(message) } else { format!("{kind} {}", visible(message)) }
}

fn fate_words(fate: &Fate, sent: Instant) -> String {
    match fate {
        Fate::Arrives(moments) => {
            let moments: Vec<String> =
                moments.iter().map(|&at| format!("{at} ({} later)", duration(at.since(sent)))).collect();
            match moments.len() {
                0 => "never arrives".to_owned(),
                1 => format!("arrives at {}", moments[0]),
                _ => format!("duplicated, arrives at {}", moments.join(" and ")),
            }
        }
        Fate::Waits => "waits its turn".to_owned(),
        Fate::Lost => "LOST".to_owned(),
        Fate::Cut => "LOST to a cut link".to_owned(),
        Fate::Dropped { fault } => format!("LOST to fault {fault}"),
    }
}

fn transit(story: &Story<'_>, index: usize) -> String {
    let Some(sending) = story.sending(index) else { return String::new() };
    let took = duration(story.transit(index).unwrap_or_default());
    if story.is_late(index) {
        format!(" — LATE: sent at {} (event {}), {took} on its way", sending.at, sending.event)
    } else {
        format!(" — {took} on its way")
    }
}

fn since(story: &Story<'_>, cause: u64) -> String {
    match story.moment(cause) {
        Some(at) => format!("at {at} (event {cause})"),
        None => "at the start".to_owned(),
    }
}

/// What a fault that ends has cost.
fn toll(story: &Story<'_>, index: usize) -> String {
    let event = story.entries()[index].event;
    let What::FaultEnded { id, .. } = &story.entries()[index].what else { return String::new() };
    let band = story.bands.iter().find(|band| band.id == *id && band.ended.is_some_and(|e| e.event == event));
    band.and_then(|band| losses(story, band)).map_or_else(String::new, |losses| format!(" — {losses}"))
}

/// The messages that a fault has swallowed, counted by kind.
pub fn losses(story: &Story<'_>, band: &Band<'_>) -> Option<String> {
    let mut kinds: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for entry in story.lost_to(band) {
        if let What::Sent { kind, .. } = entry.what {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    let total: usize = kinds.values().sum();
    let list: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    (total > 0).then(|| format!("lost to it: {}", list.join(", ")))
}

fn connection(node: &str, peer: &str, event: ConnectionEvent) -> String {
    match event {
        ConnectionEvent::Opened(id) => format!("{node}: connection {id:?} to {peer} is open"),
        ConnectionEvent::Accepted(id) => format!("{node}: accepts connection {id:?} from {peer}"),
        ConnectionEvent::Refused(id, why) => format!("{node}: no connection {id:?} to {peer}: {}", reason(why)),
        ConnectionEvent::Closed(id, why) => format!("{node}: connection {id:?} to {peer} ends: {}", reason(why)),
        ConnectionEvent::Writable(id) => format!("{node}: connection {id:?} to {peer} is writable again"),
    }
}

fn reason(why: CloseReason) -> &'static str {
    match why {
        CloseReason::Finished => "finished",
        CloseReason::Reset => "reset",
        CloseReason::TimedOut => "timed out",
        CloseReason::Overflow => "send buffer overflowed",
    }
}

fn call(call: Call) -> String {
    match call {
        Call::Write { key, value } => format!("write {value} to {key}"),
        Call::Read { key } => format!("read {key}"),
        Call::Receive { key } => format!("receive from {key}"),
    }
}

fn step(step: Step) -> String {
    match step {
        Step::Invoked => "asked".to_owned(),
        Step::Returned(Some(value)) => format!("done, got {value}"),
        Step::Returned(None) => "done".to_owned(),
        Step::Refused => "refused".to_owned(),
        Step::Unknown => "given up, outcome unknown".to_owned(),
    }
}

/// A duration with every digit, in the largest unit that is at least one.
pub fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, name) = match nanos {
        0 => return "0s".to_owned(),
        1_000_000_000.. => (1_000_000_000, "s"),
        1_000_000.. => (1_000_000, "ms"),
        1_000.. => (1_000, "us"),
        _ => (1, "ns"),
    };
    let (whole, rest) = (nanos / unit, nanos % unit);
    if rest == 0 {
        return format!("{whole}{name}");
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}{name}", fraction.trim_end_matches('0'))
}
