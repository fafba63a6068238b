//! What a recorded run has to tell, before it is drawn: who had which role when, what was broken when and between
//! whom, how messages fared, and the chain of causes that led to a violation. The terminal's timeline and the page
//! draw the same story, so they cannot disagree.

mod bands;
mod chain;
mod lanes;
mod rows;

use std::collections::BTreeSet;
use std::time::Duration;

use sim_core::trace::{Entry, Fate, Trace, What};
use sim_core::{FaultPlan, Instant, Member, NodeId, Outcome, Schedule};

use crate::format::Scenario;

pub use bands::Band;
pub use chain::{Chain, Fold, Folded, Link};
pub use lanes::{Lane, Span, State};
pub use rows::{Row, Subject};

/// A run that was recorded, and what it ran under.
#[derive(Clone, Copy)]
pub struct Recording<'a> {
    /// The nodes, in the order of their numbers.
    pub nodes: &'a [Member],
    /// What was planned to break.
    pub faults: &'a FaultPlan,
    /// The longest that a message takes when nothing is broken; what takes longer is shown as late.
    pub latency: Duration,
    /// What happened.
    pub trace: &'a Trace,
    /// How it went.
    pub outcome: &'a Outcome,
}

impl<'a> Recording<'a> {
    /// A run of a scenario.
    pub fn new(scenario: &'a Scenario, schedule: &'a Schedule, outcome: &'a Outcome, trace: &'a Trace) -> Self {
        let (nodes, faults) = (&scenario.members[..], &schedule.faults);
        Recording { nodes, faults, latency: scenario.network.latency.1, trace, outcome }
    }
}

/// A recording, understood.
pub struct Story<'a> {
    /// What it was made from.
    pub recording: Recording<'a>,
    /// Each node's roles, pauses and absences.
    pub lanes: Vec<Lane>,
    /// Each fault that took effect, in order of its beginning.
    pub bands: Vec<Band<'a>>,
    /// What led to the violation; empty if there was none.
    pub chain: Chain,
    /// For each entry that is a delivery, the entry of its sending.
    sent: Vec<Option<usize>>,
    /// The entries of sendings whose delivery is part of the chain.
    sent_in_chain: BTreeSet<usize>,
}

impl<'a> Story<'a> {
    /// Reads a recording.
    pub fn new(recording: Recording<'a>) -> Self {
        let sent = pair_messages(&recording.trace.entries);
        let chain = chain::chain(&recording);
        let sent_in_chain = (0..sent.len())
            .filter(|&index| chain.events.contains(&recording.trace.entries[index].event))
            .filter_map(|index| sent[index])
            .collect();
        Story {
            lanes: lanes::lanes(&recording),
            bands: bands::bands(&recording),
            chain,
            sent,
            sent_in_chain,
            recording,
        }
    }

    /// All that was recorded.
    pub fn entries(&self) -> &'a [Entry] {
        &self.recording.trace.entries
    }

    /// A node's name; its number if the recording names a node that the set-up does not have.
    pub fn name(&self, node: NodeId) -> String {
        self.recording.nodes.get(node.index()).map_or_else(|| node.to_string(), |n| visible(&n.name))
    }

    /// The sending of the message that entry `index` delivers.
    pub fn sending(&self, index: usize) -> Option<&'a Entry> {
        self.sent.get(index).copied().flatten().map(|sent| &self.entries()[sent])
    }

    /// How long the message that entry `index` delivers was on its way.
    pub fn transit(&self, index: usize) -> Option<Duration> {
        self.sending(index).map(|sent| self.entries()[index].at.since(sent.at))
    }

    /// Whether entry `index` delivers a message later than a healthy network would have.
    pub fn is_late(&self, index: usize) -> bool {
        self.transit(index).is_some_and(|transit| transit > self.recording.latency)
    }

    /// When an event happened; none for the set-up and for events of which nothing was recorded.
    pub fn moment(&self, event: u64) -> Option<Instant> {
        self.entries()[event_range(self.entries(), event)].first().filter(|_| event > 0).map(|entry| entry.at)
    }

    /// The end of what there is to draw: the violation, or the end of the run.
    pub fn end(&self) -> Instant {
        let last = self.entries().last().map_or(Instant::ZERO, |entry| entry.at);
        self.recording.outcome.end.max(last)
    }

    /// The messages lost to a fault: those that were dropped by it, and those lost to a cut on its links while it
    /// was in force. Two cuts of the same link at once both count them.
    pub fn lost_to(&self, band: &Band<'_>) -> Vec<&'a Entry> {
        let until = band.ended.map_or(u64::MAX, |ended| ended.event);
        self.entries()
            .iter()
            .filter(|entry| match &entry.what {
                What::Sent { fate: Fate::Dropped { fault }, .. } => *fault == band.id,
                What::Sent { from, to, fate: Fate::Cut, .. } => {
                    (band.began.event..=until).contains(&entry.event) && band.links.contains(&(*from, *to))
                }
                _ => false,
            })
            .collect()
    }
}

/// Control characters are written out: a terminal must not act on what a protocol happens to say.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Besides control characters: those that reorder or hide the text around them.
        if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The nodes that an entry concerns; none for a fault, whose [`Band`] knows them.
pub fn nodes_of(what: &What) -> Vec<NodeId> {
    match what {
        What::Sent { from, to, .. } | What::Delivered { from, to, .. } | What::Undeliverable { from, to, .. } => {
            vec![*from, *to]
        }
        What::Connection { node, peer, .. } => vec![*node, *peer],
        What::Started { node }
        | What::Timer { node, .. }
        | What::Synced { node, .. }
        | What::Command { node, .. }
        | What::Mark { node, .. }
        | What::Role { node, .. }
        | What::Stopped { node, .. }
        | What::Operation { node, .. } => vec![*node],
        What::FaultBegan { .. } | What::FaultEnded { .. } => Vec::new(),
    }
}

/// Whether an entry is the beginning or the end of a fault.
pub fn is_fault(what: &What) -> bool {
    matches!(what, What::FaultBegan { .. } | What::FaultEnded { .. })
}

/// Finds the sending of each delivered message: in the event that the delivery names as its cause, the message with
/// the same ends and content. One sending may be delivered twice, if the network duplicated it.
fn pair_messages(entries: &[Entry]) -> Vec<Option<usize>> {
    let mut taken = vec![0_u32; entries.len()];
    let mut sent = vec![None; entries.len()];
    for (index, entry) in entries.iter().enumerate() {
        let (What::Delivered { from, to, kind, .. } | What::Undeliverable { from, to, kind }) = &entry.what else {
            continue;
        };
        let body = match &entry.what {
            What::Delivered { message, .. } => Some(message),
            _ => None,
        };
        let candidates = event_range(entries, entry.cause).filter(|&at| match &entries[at].what {
            What::Sent { from: f, to: t, kind: k, message, .. } => {
                f == from && t == to && k == kind && body.is_none_or(|body| body == message)
            }
            _ => false,
        });
        // Of several equal messages, the one that was to arrive now and has been delivered the least often.
        let best = candidates.min_by_key(|&at| {
            let expected = match &entries[at].what {
                What::Sent { fate: Fate::Arrives(moments), .. } => moments.contains(&entry.at),
                _ => false,
            };
            (!expected, taken[at])
        });
        if let Some(at) = best {
            taken[at] += 1;
            sent[index] = Some(at);
        }
    }
    sent
}

/// The entries of one event; entries are in the order of their events.
fn event_range(entries: &[Entry], event: u64) -> std::ops::Range<usize> {
    let start = entries.partition_point(|entry| entry.event < event);
    let length = entries[start..].iter().take_while(|entry| entry.event == event).count();
    start..start + length
}

#[cfg(test)]
mod tests;
