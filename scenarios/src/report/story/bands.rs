//! What was broken when, and between whom.

use sim_core::trace::What;
use sim_core::{Fault, Instant, NodeId};

use super::Recording;

/// A fault that took effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Band<'a> {
    /// Its id in the plan.
    pub id: u32,
    /// What broke, in words.
    pub text: &'a str,
    /// The kind of fault, empty if the plan does not know the id.
    pub kind: &'static str,
    /// When it took effect.
    pub began: Point,
    /// When it ended; none if it was still in force at the end, or has no extent in time.
    pub ended: Option<Point>,
    /// Whether it lasts: a reset or a command does not.
    pub lasts: bool,
    /// The nodes that it concerns, in order.
    pub nodes: Vec<NodeId>,
    /// The directed links that it cuts.
    pub links: Vec<(NodeId, NodeId)>,
}

/// A moment and the event that happened then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// World time.
    pub at: Instant,
    /// The event.
    pub event: u64,
}

impl Band<'_> {
    /// Whether it was in force right after an event.
    pub fn covers(&self, event: u64) -> bool {
        self.lasts && self.began.event <= event && self.ended.is_none_or(|ended| event < ended.event)
    }
}

pub(super) fn bands<'a>(recording: &Recording<'a>) -> Vec<Band<'a>> {
    let mut bands: Vec<Band<'a>> = Vec::new();
    for entry in &recording.trace.entries {
        let here = Point { at: entry.at, event: entry.event };
        match &entry.what {
            What::FaultBegan { id, text } => {
                let fault = recording.faults.faults.iter().find(|planned| planned.id == *id).map(|p| &p.fault);
                let kind = fault.map_or("", Fault::kind);
                if matches!(fault, Some(Fault::Heal)) {
                    end(&mut bands, here, |band| matches!(band.kind, "partition" | "one-way" | "cut" | "degrade"));
                }
                if let Some(Fault::Resume { node }) = fault {
                    end(&mut bands, here, |band| band.kind == "pause" && band.nodes == [*node]);
                }
                bands.push(Band {
                    id: *id,
                    text,
                    kind,
                    began: here,
                    ended: None,
                    lasts: fault.is_some_and(lasts),
                    nodes: fault.map(|fault| nodes(fault, recording)).unwrap_or_default(),
                    links: fault.map(links).unwrap_or_default(),
                });
            }
            What::FaultEnded { id, .. } => {
                // One that was healed before its time may still be reported as ended.
                if let Some(band) = bands.iter_mut().rev().find(|band| band.id == *id && band.ended.is_none()) {
                    band.ended = Some(here);
                    band.lasts = true;
                }
            }
            What::Started { node } => {
                end(&mut bands, here, |band| band.kind == "crash" && band.nodes == [*node]);
            }
            _ => {}
        }
    }
    bands
}

fn end(bands: &mut [Band<'_>], here: Point, which: impl Fn(&Band<'_>) -> bool) {
    for band in bands.iter_mut().filter(|band| band.ended.is_none() && which(band)) {
        band.ended = Some(here);
    }
}

fn lasts(fault: &Fault) -> bool {
    match fault {
        Fault::Crash { .. }
        | Fault::Pause { .. }
        | Fault::Slow { .. }
        | Fault::Clock { .. }
        | Fault::Partition { .. }
        | Fault::OneWay { .. }
        | Fault::Cut { .. }
        | Fault::Degrade { .. }
        | Fault::Disk { .. }
        | Fault::HostFailure { .. } => true,
        // These wait for their messages, and strike at moments.
        Fault::Drop { .. } | Fault::Delay { .. } => false,
        Fault::Restart { .. } | Fault::Resume { .. } | Fault::Heal | Fault::Reset { .. } | Fault::Command { .. } => {
            false
        }
    }
}

fn nodes(fault: &Fault, recording: &Recording<'_>) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = match fault {
        Fault::Partition { groups } => groups.iter().flatten().copied().collect(),
        Fault::OneWay { from, to } => from.iter().chain(to).copied().collect(),
        Fault::Cut { from, to } | Fault::Degrade { from, to, .. } => vec![*from, *to],
        Fault::Reset { a, b } => vec![*a, *b],
        Fault::Drop { select, .. } | Fault::Delay { select, .. } => select.from.into_iter().chain(select.to).collect(),
        Fault::HostFailure { host } => {
            let on_host = recording.nodes.iter().enumerate().filter(|(_, node)| node.host == *host);
            on_host.map(|(number, _)| NodeId(number as u16)).collect()
        }
        one => one.node().into_iter().collect(),
    };
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

fn links(fault: &Fault) -> Vec<(NodeId, NodeId)> {
    match fault {
        Fault::Partition { groups } => {
            let mut links = Vec::new();
            for (index, group) in groups.iter().enumerate() {
                for (other_index, other) in groups.iter().enumerate() {
                    if index != other_index {
                        links.extend(group.iter().flat_map(|&a| other.iter().map(move |&b| (a, b))));
                    }
                }
            }
            links
        }
        Fault::OneWay { from, to } => from.iter().flat_map(|&a| to.iter().map(move |&b| (a, b))).collect(),
        Fault::Cut { from, to } => vec![(*from, *to)],
        _ => Vec::new(),
    }
}
