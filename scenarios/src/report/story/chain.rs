//! The chain of causes behind a violation: back from the event at which it was seen, through messages and timers, to
//! the start of the run.
//!
//! A violation mostly concerns more nodes than the one that the last event touched ("alpha and beta are both
//! LIVE"), so the chain behind the last change of role of every other node that its message names is told as well.
//! A heartbeat that goes round a hundred times before anything happens is told once, with a count, and what lies far
//! back is only counted: everything leads back to the start of the run.

use std::collections::{BTreeMap, BTreeSet};

use sim_core::trace::{Entry, What};
use sim_core::{Instant, Member, NodeId, Violation};

use super::{Recording, event_range};

/// What led to a violation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The events worth showing, oldest first.
    pub links: Vec<Link>,
    /// What was left out before and between them, oldest first.
    pub folds: Vec<Fold>,
    /// All events of the chain, those that were left out included.
    pub events: BTreeSet<u64>,
}

/// One event of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The event.
    pub event: u64,
    /// Index of the entry that says what the event was: a delivery, a timer.
    pub entry: usize,
    /// The event that caused it; 0 if it was the set-up.
    pub cause: u64,
}

/// Events of the chain that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// What they are.
    pub what: Folded,
    /// When the first of them happened, and its number.
    pub from: (Instant, u64),
    /// When the last of them happened, and its number.
    pub to: (Instant, u64),
}

/// Why events were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Folded {
    /// They are rounds of the same events, of which only the last is shown.
    Rounds {
        /// How many rounds.
        rounds: usize,
        /// Indices of the entries of one round, oldest first.
        round: Vec<usize>,
    },
    /// They lie too far back: this many.
    Earlier(usize),
}

/// More different events in one round are not recognised as a round.
const LONGEST_ROUND: usize = 6;
/// Fewer rounds than this are all shown.
const FEWEST_ROUNDS: usize = 3;
/// Events shown before each end of the chain.
const MOST_LINKS: usize = 24;

impl Chain {
    /// Whether an event is one of those shown.
    pub fn contains(&self, event: u64) -> bool {
        self.links.binary_search_by_key(&event, |link| link.event).is_ok()
    }
}

pub(super) fn chain(recording: &Recording<'_>) -> Chain {
    let Some(violation) = &recording.outcome.violation else { return Chain::default() };
    let entries = &recording.trace.entries;
    let (mut shown, mut folds, mut events) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for root in roots(violation, entries, recording.nodes) {
        let path = path(entries, root);
        events.extend(path.iter().map(|link| link.event));
        let (mut at, mut links) = (0, 0);
        while at < path.len() && links < MOST_LINKS {
            let (period, rounds) = longest_repetition(entries, &path[at..]);
            shown.extend(path[at..at + period].iter().map(|link| (link.event, *link)));
            links += period;
            if rounds > 1 {
                let fold = Fold::rounds(entries, &path[at + period..at + period * rounds], period);
                folds.insert(fold.to.1, fold);
            }
            at += period * rounds;
        }
        if at < path.len() {
            let fold = Fold::new(entries, &path[at..], Folded::Earlier(path.len() - at));
            folds.insert(fold.to.1, fold);
        }
    }
    Chain { links: shown.into_values().collect(), folds: folds.into_values().collect(), events }
}

/// The events to go back from.
fn roots(violation: &Violation, entries: &[Entry], nodes: &[Member]) -> BTreeSet<u64> {
    let mut roots = BTreeSet::new();
    // A property that was asked at the end or at a moment of its own names the last event, which is not its cause.
    let last = event_range(entries, violation.event);
    if entries[last.clone()].iter().any(|entry| entry.at == violation.at) && violation.node.is_some() {
        roots.insert(violation.event);
    }
    for (number, node) in nodes.iter().enumerate() {
        let id = NodeId(number as u16);
        if violation.node == Some(id) || !names(&violation.message, &node.name) {
            continue;
        }
        let change = entries[..last.end].iter().rev().find(|entry| match entry.what {
            What::Role { node, .. } | What::Started { node } | What::Stopped { node, .. } => node == id,
            _ => false,
        });
        roots.extend(change.map(|entry| entry.event));
    }
    roots
}

/// Whether a text contains a name as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            !part_of_word(text[..at].chars().next_back()) && !part_of_word(text[at + name.len()..].chars().next())
        })
}

/// The events from `root` back to the set-up, newest first.
fn path(entries: &[Entry], root: u64) -> Vec<Link> {
    let mut path = Vec::new();
    let mut event = root;
    while event > 0 {
        let range = event_range(entries, event);
        let Some(entry) = range.clone().find(|&at| starts_an_event(&entries[at].what)).or(range.clone().next()) else {
            break;
        };
        let cause = entries[entry].cause;
        path.push(Link { event, entry, cause });
        if cause >= event {
            break;
        }
        event = cause;
    }
    path
}

/// Whether an entry says what an event was, and not what came of it.
fn starts_an_event(what: &What) -> bool {
    match what {
        What::Delivered { .. }
        | What::Undeliverable { .. }
        | What::Timer { .. }
        | What::Connection { .. }
        | What::Synced { .. }
        | What::Command { .. }
        | What::FaultBegan { .. }
        | What::FaultEnded { .. }
        | What::Started { .. } => true,
        What::Sent { .. } | What::Mark { .. } | What::Role { .. } | What::Stopped { .. } | What::Operation { .. } => {
            false
        }
    }
}

/// How many events at the head of a path make one round, and how many such rounds follow each other there.
fn longest_repetition(entries: &[Entry], path: &[Link]) -> (usize, usize) {
    let mut best = (1, 1);
    for period in 1..=LONGEST_ROUND.min(path.len() / FEWEST_ROUNDS) {
        let same = (0..path.len() - period)
            .take_while(|&at| alike(&entries[path[at].entry].what, &entries[path[at + period].entry].what))
            .count();
        let rounds = same / period + 1;
        if rounds >= FEWEST_ROUNDS && rounds * period > best.0 * best.1 {
            best = (period, rounds);
        }
    }
    best
}

/// Whether two entries differ only in time and content.
fn alike(a: &What, b: &What) -> bool {
    match (a, b) {
        (
            What::Delivered { from, to, kind, .. },
            What::Delivered { from: other_from, to: other_to, kind: other_kind, .. },
        ) => (from, to, kind) == (other_from, other_to, other_kind),
        (What::Timer { node, timer }, What::Timer { node: other_node, timer: other_timer }) => {
            (node, timer) == (other_node, other_timer)
        }
        (What::Synced { node, ok }, What::Synced { node: other_node, ok: other_ok }) => {
            (node, ok) == (other_node, other_ok)
        }
        _ => false,
    }
}

impl Fold {
    /// Leaves out a part of a path, newest first.
    fn new(entries: &[Entry], hidden: &[Link], what: Folded) -> Self {
        let moment = |link: &Link| (entries[link.entry].at, link.event);
        Fold { what, from: moment(&hidden[hidden.len() - 1]), to: moment(&hidden[0]) }
    }

    fn rounds(entries: &[Entry], hidden: &[Link], period: usize) -> Self {
        let round = hidden[..period].iter().rev().map(|link| link.entry).collect();
        Fold::new(entries, hidden, Folded::Rounds { rounds: hidden.len() / period, round })
    }

    /// Indices of the entries of one round, if it is about rounds.
    pub fn round(&self) -> &[usize] {
        match &self.what {
            Folded::Rounds { round, .. } => round,
            Folded::Earlier(_) => &[],
        }
    }
}
