//! Which entries of a recording are worth a row, and in which order: the same rows for the terminal and the page.

use std::collections::BTreeSet;

use sim_core::Instant;
use sim_core::trace::{Entry, Fate, What};

use super::{Fold, Story};

/// One row of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'s> {
    /// World time.
    pub at: Instant,
    /// The event.
    pub event: u64,
    /// What it shows.
    pub subject: Subject<'s>,
    /// Whether it belongs to the chain of causes behind the violation.
    pub in_chain: bool,
}

/// What a row shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject<'s> {
    /// All nodes that start when the run starts, and the roles that they take then.
    Start,
    /// An entry of the recording, by index.
    Entry(usize),
    /// The same mark set by the same node several times with nothing else worth a row between: the index of the
    /// last, how many, and when the first was.
    Marks(usize, usize, Instant),
    /// A part of the chain that was left out.
    Fold(&'s Fold),
    /// The violation.
    Violation,
}

/// Lost and late messages outside the chain are shown one by one up to this many, else counted.
const FEW: usize = 12;
/// Settings of the same mark in a row that are shown one by one.
const MARKS_IN_A_ROW: usize = 2;

impl Story<'_> {
    /// The rows, in the order of events: with `all` every entry, otherwise faults, roles, starts and stops, marks,
    /// commands, the chain behind the violation, and messages that were lost by chance or came late, if few.
    pub fn rows(&self, all: bool) -> Vec<Row<'_>> {
        let chosen: BTreeSet<usize> = if all { (0..self.entries().len()).collect() } else { self.chosen() };
        let mut rows: Vec<Row<'_>> = chosen
            .into_iter()
            .map(|index| {
                let entry = &self.entries()[index];
                Row { at: entry.at, event: entry.event, subject: Subject::Entry(index), in_chain: self.is_link(index) }
            })
            .collect();
        if !all {
            rows.extend(self.chain.folds.iter().map(|fold| Row {
                at: fold.to.0,
                event: fold.to.1,
                subject: Subject::Fold(fold),
                in_chain: true,
            }));
        }
        // Stable, so entries of one event stay in their order.
        rows.sort_by_key(|row| row.event);
        if !all {
            rows = gather_start(rows, self.entries());
            rows = gather_marks(rows, self.entries());
        }
        if let Some(violation) = &self.recording.outcome.violation {
            let place = rows.partition_point(|row| row.event <= violation.event);
            let (at, event) = (violation.at, violation.event);
            rows.insert(place, Row { at, event, subject: Subject::Violation, in_chain: true });
        }
        rows
    }

    /// How many messages were lost by chance or came late, if there are too many to show them one by one.
    pub fn odd_messages(&self) -> Option<(usize, usize)> {
        let lost = (0..self.entries().len()).filter(|&at| self.is_lost(at)).count();
        let late = (0..self.entries().len()).filter(|&at| self.is_late(at)).count();
        (lost + late > FEW).then_some((lost, late))
    }

    /// Whether entry `index` is part of the chain behind the violation, be it shown or left out.
    pub fn is_link(&self, index: usize) -> bool {
        let entry = &self.entries()[index];
        match &entry.what {
            // Of the messages sent in an event of the chain, the one that leads to the next.
            What::Sent { .. } => self.sent_in_chain.contains(&index),
            _ => self.chain.events.contains(&entry.event),
        }
    }

    fn is_lost(&self, index: usize) -> bool {
        matches!(self.entries()[index].what, What::Sent { fate: Fate::Lost | Fate::Dropped { .. }, .. })
    }

    fn chosen(&self) -> BTreeSet<usize> {
        let few_odd = self.odd_messages().is_none();
        let mut chosen = BTreeSet::new();
        for (index, entry) in self.entries().iter().enumerate() {
            let worth = match &entry.what {
                What::Started { .. }
                | What::Stopped { .. }
                | What::Role { .. }
                | What::Mark { .. }
                | What::Command { .. }
                | What::FaultBegan { .. }
                | What::FaultEnded { .. } => true,
                // Sendings of the chain are added below, where it is known whether anything lies between.
                What::Sent { .. } => few_odd && self.is_lost(index),
                What::Delivered { .. } => self.chain.contains(entry.event) || few_odd && self.is_late(index),
                What::Undeliverable { .. }
                | What::Timer { .. }
                | What::Connection { .. }
                | What::Synced { .. }
                | What::Operation { .. } => self.chain.contains(entry.event),
            };
            if worth {
                chosen.insert(index);
            }
        }
        self.add_sendings(&mut chosen);
        chosen
    }

    /// A message whose delivery is shown gets a row for its sending too if it was late or if other rows lie between:
    /// an arrow says nothing of what happened while it was on its way.
    fn add_sendings(&self, chosen: &mut BTreeSet<usize>) {
        let mut sendings = Vec::new();
        for &index in chosen.iter() {
            let Some(sent) = self.sent.get(index).copied().flatten() else { continue };
            let between = chosen.range(sent + 1..index).any(|&at| {
                let event = self.entries()[at].event;
                event != self.entries()[sent].event && event != self.entries()[index].event
            });
            if between || self.is_late(index) {
                sendings.push(sent);
            }
        }
        chosen.extend(sendings);
    }
}

/// The start of the cluster is one row, and not two for each node.
fn gather_start<'s>(rows: Vec<Row<'s>>, entries: &[Entry]) -> Vec<Row<'s>> {
    let starts = |row: &Row<'_>| match row.subject {
        Subject::Entry(index) => {
            row.at == Instant::ZERO && matches!(entries[index].what, What::Started { .. } | What::Role { .. })
        }
        _ => false,
    };
    let Some(last) = rows.iter().rposition(starts) else { return rows };
    let mut gathered = Vec::new();
    for (number, row) in rows.into_iter().enumerate() {
        if number == last {
            gathered.push(Row { subject: Subject::Start, ..row });
        } else if !starts(&row) {
            gathered.push(row);
        }
    }
    gathered
}

fn gather_marks<'s>(rows: Vec<Row<'s>>, entries: &[Entry]) -> Vec<Row<'s>> {
    let mut gathered: Vec<Row<'s>> = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        let same = rows[at..].iter().take_while(|row| same_mark(&rows[at], row, entries)).count();
        if same > MARKS_IN_A_ROW {
            let last = rows[at + same - 1].clone();
            if let Subject::Entry(index) = last.subject {
                gathered.push(Row { subject: Subject::Marks(index, same, rows[at].at), ..last });
            }
        } else {
            gathered.extend(rows[at..at + same.max(1)].iter().cloned());
        }
        at += same.max(1);
    }
    gathered
}

fn same_mark(a: &Row<'_>, b: &Row<'_>, entries: &[Entry]) -> bool {
    let mark = |row: &Row<'_>| match row.subject {
        Subject::Entry(index) if !row.in_chain => match entries[index].what {
            What::Mark { node, name } => Some((node, name)),
            _ => None,
        },
        _ => None,
    };
    mark(a).is_some() && mark(a) == mark(b)
}
