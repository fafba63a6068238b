//! Who had which role when: a recorded run as one list of spans for each node.

use sim_core::trace::What;
use sim_core::{Fault, Instant, NodeId};

use super::Recording;

/// One node's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its states without a gap, in order, from the start of the run to its end.
    pub spans: Vec<Span>,
}

/// A stretch of time in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub from: Instant,
    /// When it ended: where the next one begins.
    pub to: Instant,
    /// The event with which it began.
    pub event: u64,
    /// The state.
    pub state: State,
}

/// What a node was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its process was not running.
    Down,
    /// It was running in this role, empty if it had none.
    Up(&'static str),
    /// It was stalled in this role.
    Paused(&'static str),
}

impl State {
    /// The role, empty if it was down.
    pub fn role(self) -> &'static str {
        match self {
            State::Down => "",
            State::Up(role) | State::Paused(role) => role,
        }
    }

    /// The state in one or two words.
    pub fn words(self) -> String {
        match self {
            State::Down => "down".to_owned(),
            State::Up("") => "up".to_owned(),
            State::Up(role) => role.to_owned(),
            State::Paused("") => "paused".to_owned(),
            State::Paused(role) => format!("{role} (paused)"),
        }
    }
}

impl Lane {
    /// The state right after an event.
    pub fn state_after(&self, event: u64) -> State {
        let after = self.spans.partition_point(|span| span.event <= event);
        self.spans[..after].last().map_or(State::Down, |span| span.state)
    }

    /// The state right before an event.
    pub fn state_before(&self, event: u64) -> State {
        let before = self.spans.partition_point(|span| span.event < event);
        self.spans[..before].last().map_or(State::Down, |span| span.state)
    }

    fn now(&self) -> State {
        self.spans.last().map_or(State::Down, |span| span.state)
    }

    fn enter(&mut self, at: Instant, event: u64, state: State) {
        if self.now() == state && !self.spans.is_empty() {
            return;
        }
        if let Some(last) = self.spans.last_mut() {
            last.to = at;
        }
        // What lasted no time and no event, such as having no role before the first one, is not worth a span.
        if self.spans.last().is_some_and(|last| last.from == at && last.event == event) {
            self.spans.pop();
            if self.now() == state && !self.spans.is_empty() {
                return;
            }
        }
        self.spans.push(Span { from: at, to: at, event, state });
    }
}

pub(super) fn lanes(recording: &Recording<'_>) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = recording.nodes.iter().map(|_| Lane { spans: Vec::new() }).collect();
    let mut end = recording.outcome.end;
    for entry in &recording.trace.entries {
        end = end.max(entry.at);
        let (node, state) = match &entry.what {
            What::Started { node } => (*node, State::Up("")),
            What::Stopped { node, .. } => (*node, State::Down),
            What::Role { node, from, to } => {
                let Some(lane) = lanes.get_mut(node.index()) else { continue };
                name_unnamed(lane, from);
                let state = if matches!(lane.now(), State::Paused(_)) { State::Paused(to) } else { State::Up(to) };
                (*node, state)
            }
            What::FaultBegan { id, .. } => match planned(recording, *id) {
                Some(Fault::Pause { node }) => (*node, paused(&lanes, *node)),
                Some(Fault::Resume { node }) => (*node, resumed(&lanes, *node)),
                _ => continue,
            },
            What::FaultEnded { id, .. } => match planned(recording, *id) {
                Some(Fault::Pause { node }) => (*node, resumed(&lanes, *node)),
                _ => continue,
            },
            _ => continue,
        };
        if let Some(lane) = lanes.get_mut(node.index()) {
            if lane.spans.is_empty() && entry.at > Instant::ZERO {
                lane.enter(Instant::ZERO, 0, State::Down);
            }
            lane.enter(entry.at, entry.event, state);
        }
    }
    for lane in &mut lanes {
        if lane.spans.is_empty() {
            lane.enter(Instant::ZERO, 0, State::Down);
        }
        if let Some(last) = lane.spans.last_mut() {
            last.to = end;
        }
    }
    lanes
}

/// A node may have had a role from its first start without a change having said so. What a later start changes from is
/// the role of the process before it.
fn name_unnamed(lane: &mut Lane, role: &'static str) {
    if lane.spans.len() == 1
        && let Some(Span { state: State::Up(name) | State::Paused(name), .. }) = lane.spans.last_mut()
        && name.is_empty()
    {
        *name = role;
    }
}

fn planned<'a>(recording: &Recording<'a>, id: u32) -> Option<&'a Fault> {
    recording.faults.faults.iter().find(|planned| planned.id == id).map(|planned| &planned.fault)
}

fn paused(lanes: &[Lane], node: NodeId) -> State {
    match lanes.get(node.index()).map_or(State::Down, Lane::now) {
        State::Up(role) => State::Paused(role),
        other => other,
    }
}

fn resumed(lanes: &[Lane], node: NodeId) -> State {
    match lanes.get(node.index()).map_or(State::Down, Lane::now) {
        State::Paused(role) => State::Up(role),
        other => other,
    }
}
