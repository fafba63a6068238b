//! Whether what clients saw of one register can be put in order.
//!
//! Each value is written at most once, which makes the question easy (Gibbons and Korach, "Testing Shared
//! Memories", 1997): gather the write of a value and all reads that returned it into a *cluster*. If some operation
//! of cluster a ended before some operation of cluster b began, the write of a must come before the write of b.
//! The history is linearizable exactly if no two clusters must each come before the other. That takes a few
//! comparisons for every operation that ends, and finds the very operation that cannot be explained, where a search
//! for an order takes exponential time in the worst case and starts again for each operation. It also needs nothing
//! but three numbers of an operation whose outcome is unknown: it began, and has not ended.

use std::collections::BTreeMap;

use crate::{Instant, NodeId};

/// The beginning or the end of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Edge {
    /// Its place among all notes of the history, from 1; orders edges at the same instant.
    pub order: u64,
    pub at: Instant,
    pub client: NodeId,
    pub verb: &'static str,
}

/// The write of one value and the reads that returned it.
#[derive(Clone, Copy, Debug, Hash)]
struct Cluster {
    /// The earliest end, if one has ended.
    first_end: Option<Edge>,
    /// The latest beginning; of the initial value, `None` until it is read.
    last_begin: Option<Edge>,
    refused: bool,
}

/// Why the write of one value must come before the write of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Precedence {
    /// It is the value before all writes.
    Initial,
    /// This operation on the one ended before that operation on the other began.
    Ended(Edge, Edge),
}

/// Two values of which each must have been written before the other, and why: first because of first, then the
/// other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Contradiction {
    pub values: [Option<u64>; 2],
    pub proof: [Precedence; 2],
}

/// One register, with all that was seen of it. The value `None` is what it holds before the first write.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Register {
    clusters: BTreeMap<Option<u64>, Cluster>,
}

/// Why a history is not that of a register, or of no use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Anomaly {
    /// An operation has ended that had not begun.
    NeverBegun,
    /// A read returned what nobody had written.
    NeverWritten,
    /// A read returned a value whose writer was told that it never would be written.
    Refused,
    /// The workload has written a value twice.
    WrittenTwice,
    /// Two values contradict each other.
    Contradiction(Box<Contradiction>),
}

impl Register {
    /// A write has been sent.
    pub fn write_begins(&mut self, value: u64, begin: Edge) -> Result<(), Anomaly> {
        let cluster = Cluster { first_end: None, last_begin: Some(begin), refused: false };
        match self.clusters.insert(Some(value), cluster) {
            None => Ok(()),
            Some(_) => Err(Anomaly::WrittenTwice),
        }
    }

    /// A write has been acknowledged.
    pub fn write_ends(&mut self, value: u64, end: Edge) -> Result<(), Anomaly> {
        let cluster = self.clusters.get_mut(&Some(value)).ok_or(Anomaly::NeverBegun)?;
        cluster.first_end.get_or_insert(end);
        self.compare(Some(value))
    }

    /// A write has been refused: it never takes effect.
    pub fn write_refused(&mut self, value: u64) -> Result<(), Anomaly> {
        let cluster = self.clusters.get_mut(&Some(value)).ok_or(Anomaly::NeverBegun)?;
        cluster.refused = true;
        // Only a read can have ended before.
        if cluster.first_end.is_some() { Err(Anomaly::Refused) } else { Ok(()) }
    }

    /// A read has returned.
    pub fn read_ends(&mut self, value: Option<u64>, begin: Edge, end: Edge) -> Result<(), Anomaly> {
        if value.is_none() {
            self.clusters.entry(None).or_insert(Cluster { first_end: None, last_begin: None, refused: false });
        }
        let cluster = self.clusters.get_mut(&value).ok_or(Anomaly::NeverWritten)?;
        if cluster.refused {
            return Err(Anomaly::Refused);
        }
        cluster.first_end.get_or_insert(end);
        if cluster.last_begin.is_none_or(|known| known.order < begin.order) {
            cluster.last_begin = Some(begin);
        }
        self.compare(value)
    }

    /// Compares one value with all others.
    fn compare(&self, value: Option<u64>) -> Result<(), Anomaly> {
        for &other in self.clusters.keys().filter(|&&other| other != value) {
            if let (Some(forth), Some(back)) = (self.precedes(value, other), self.precedes(other, value)) {
                let contradiction = Contradiction { values: [value, other], proof: [forth, back] };
                return Err(Anomaly::Contradiction(Box::new(contradiction)));
            }
        }
        Ok(())
    }

    /// Why the write of `a` must come before the write of `b`, if it must.
    fn precedes(&self, a: Option<u64>, b: Option<u64>) -> Option<Precedence> {
        if a.is_none() {
            return Some(Precedence::Initial);
        }
        let (end, begin) = (self.clusters[&a].first_end?, self.clusters[&b].last_begin?);
        (end.order < begin.order).then_some(Precedence::Ended(end, begin))
    }
}
