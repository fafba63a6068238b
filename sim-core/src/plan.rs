//! How far a run is with its planned faults.

use crate::copy::copied_by_field;
use crate::{Fired, Instant, NodeId, Randomness, Schedule, Trigger};

#[derive(Debug)]
pub(crate) struct Plan {
    /// In the order of the schedule.
    states: Vec<FaultState>,
    /// Events at which a fault is to strike: (number, index), last first.
    on_event: Vec<(u64, u32)>,
    /// Number of the next such event; the greatest number if there is none.
    pub next_on_event: u64,
    /// Whether any fault waits for a mark.
    pub waits_for_mark: bool,
    /// Faults whose beginning or end is already scheduled.
    scheduled: u32,
    /// When a fault last began, took effect or ended.
    last_activity: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FaultState {
    pub fired: Fired,
    /// In force: it will have to be undone.
    pub active: bool,
    /// The process that it struck, for faults that die with the process.
    pub incarnation: u32,
    /// How many marks that it waits for have been set.
    marks_seen: u32,
}

copied_by_field! {
    impl[] Plan { states, on_event, next_on_event, waits_for_mark, scheduled, last_activity }
}

impl Plan {
    /// Reads the plan of a schedule; `begin` is called with the index and time of each fault whose time is known.
    pub fn new(schedule: &Schedule, randomness: &mut Randomness, mut begin: impl FnMut(u32, u64)) -> Self {
        let faults = &schedule.faults.faults;
        let mut plan = Plan {
            states: vec![FaultState::default(); faults.len()],
            on_event: Vec::new(),
            next_on_event: u64::MAX,
            waits_for_mark: false,
            scheduled: 0,
            last_activity: Instant::ZERO,
        };
        for (index, fault) in faults.iter().enumerate() {
            let index = index as u32;
            if let Some(at) = schedule.moment_of(fault.id, &fault.trigger, randomness) {
                plan.scheduled += 1;
                begin(index, at.as_nanos());
            } else if let Trigger::OnEvent(number) = fault.trigger {
                plan.on_event.push((number, index));
            } else {
                plan.waits_for_mark = true;
            }
        }
        plan.on_event.sort_unstable_by(|a, b| b.cmp(a));
        plan.next_on_event = plan.on_event.last().map_or(u64::MAX, |&(number, _)| number);
        plan
    }

    pub fn state(&mut self, index: u32) -> &mut FaultState {
        &mut self.states[index as usize]
    }

    /// Makes room for one more fault at the end of the schedule.
    pub fn add(&mut self) {
        self.states.push(FaultState::default());
    }

    /// Notes that the beginning of a fault has been scheduled.
    pub fn at_known_time(&mut self) {
        self.scheduled += 1;
    }

    /// Lets a fault strike as event `number`, after those that are to strike as it already.
    pub fn on_event(&mut self, number: u64, index: u32) {
        let at = self.on_event.partition_point(|&planned| planned > (number, index));
        self.on_event.insert(at, (number, index));
        self.next_on_event = self.next_on_event.min(number);
    }

    pub fn look(&self, index: u32) -> &FaultState {
        &self.states[index as usize]
    }

    /// How many marks a fault has seen of those that it waits for; `None` if it waits for none.
    pub fn marks_seen(&self, index: u32, trigger: &Trigger) -> Option<u32> {
        let seen = self.look(index).marks_seen;
        matches!(trigger, Trigger::OnMark { occurrence, .. } if seen < *occurrence).then_some(seen)
    }

    /// The faults that are to strike as an event that is still to come: its number, and their places in the schedule.
    pub fn waiting_for_events(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.on_event.iter().copied()
    }

    pub fn fired(&self, index: usize) -> Fired {
        self.states[index].fired
    }

    /// The fault that is to strike as event `number`, if there is one.
    pub fn take_on_event(&mut self, number: u64) -> Option<u32> {
        let &(at, index) = self.on_event.last()?;
        if at > number {
            return None;
        }
        self.on_event.pop();
        self.next_on_event = self.on_event.last().map_or(u64::MAX, |&(number, _)| number);
        self.scheduled += 1; // Taken back when it begins.
        Some(index)
    }

    /// A node has set a mark: the faults that this triggers, each with the time to wait.
    pub fn on_mark(
        &mut self,
        schedule: &Schedule,
        name: &str,
        by: NodeId,
        mut begin: impl FnMut(u32, std::time::Duration),
    ) {
        for (index, fault) in schedule.faults.faults.iter().enumerate() {
            let Trigger::OnMark { mark, node, occurrence, plus } = &fault.trigger else { continue };
            if *mark != name || node.is_some_and(|node| node != by) {
                continue;
            }
            let state = &mut self.states[index];
            state.marks_seen += 1;
            if state.marks_seen == *occurrence {
                self.scheduled += 1;
                begin(index as u32, *plus);
            }
        }
    }

    /// Notes that a fault has taken effect.
    pub fn fire(&mut self, index: u32, now: Instant) {
        let fired = &mut self.states[index as usize].fired;
        fired.count += 1;
        fired.first.get_or_insert(now);
        self.last_activity = now;
    }

    /// Notes that the end of a fault has been scheduled.
    pub fn end_scheduled(&mut self) {
        self.scheduled += 1;
    }

    /// Notes that a scheduled beginning or end has come.
    pub fn came(&mut self, now: Instant) {
        self.scheduled -= 1;
        self.last_activity = now;
    }

    pub fn quiet_since(&self) -> Option<Instant> {
        (self.scheduled == 0 && self.next_on_event == u64::MAX).then_some(self.last_activity)
    }
}
