//! Shrinking: from a schedule that violates an invariant to a small one that violates the same, which is the explanation
//! of the failure.
//!
//! The order of the steps is what makes it quick. First everything at once: the middling latency everywhere. Only if
//! the failure needs its odd delays are they written down, one by one, and removed again, as faults are, in halving
//! sweeps. What is left is made plain: smaller groups, shorter holds, round numbers. Nothing is kept that does not
//! violate the same invariant, and all of it is repeated until nothing changes or the budget is spent.
//!
//! It knows neither actors nor files: what runs a schedule is a [`Subject`]. Two shrinks of the same schedule give the
//! same result, unless a clock ends one of them.

mod case;
mod deviations;
mod draws;
mod faults;
mod plain;
mod rounding;
mod shift;
mod single;
mod subject;
mod sweep;

use crate::{Fault, NodeId, Outcome, PlannedFault, Schedule};

use case::Case;
pub use subject::{Observed, Subject, Trial, Wounds};

/// What a shrink may cost, and what it may leave out.
pub struct Budget<'a> {
    /// Runs at most.
    pub runs: u64,
    /// Asked before each run; the shrink ends with what it has as soon as it says no.
    pub keep_going: &'a mut dyn FnMut() -> bool,
}

/// What a shrink came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// The small schedule; explicit, so that it means the same whatever the generator of random numbers.
    pub schedule: Schedule,
    /// How it goes: it violates what the schedule that was shrunk violates.
    pub outcome: Outcome,
    /// Planned faults and odd clocks in the beginning, and exceptions to the calm baseline that the seed made.
    pub from: Size,
    /// The same at the end.
    pub to: Size,
    /// Runs that it took.
    pub runs: u64,
    /// Whether nothing more could be left out; false if the budget ended it.
    pub complete: bool,
}

/// How much a schedule asks of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Planned faults, the steps of a scenario and commands among them, and clocks that differ from the world's.
    pub faults: usize,
    /// Exceptions to the baseline.
    pub deviations: usize,
}

impl Size {
    /// The size of a schedule.
    pub fn of(schedule: &Schedule) -> Self {
        Size { faults: schedule.faults.faults.len() + schedule.clocks.len(), deviations: schedule.deviations.len() }
    }

    /// Faults and deviations.
    pub fn total(self) -> usize {
        self.faults + self.deviations
    }
}

/// Shrinks a schedule. `spare` are the nodes that the cluster can be without, such as clients.
///
/// Returns `None` if the schedule violates nothing.
pub fn shrink<'a>(
    subject: &'a dyn Subject,
    schedule: &Schedule,
    spare: &[NodeId],
    budget: Budget<'a>,
) -> Option<Shrunk> {
    let mut case = Case::new(subject, schedule, budget)?;
    let Some(explicit) = case.explicit() else { return Some(case.finish(None)) };
    let from = Size { deviations: explicit.deviations.len(), ..Size::of(schedule) };
    if !case.attempt(calm(&explicit)) {
        // It needs its odd delays. Faults are removed while the seed still decides, where a removal changes nothing else.
        remove_faults(&mut case);
        case.make_explicit();
        let explicit = case.best().clone();
        deviations::remove(&mut case);
        shift::instead_of_deviations(&mut case);
        if case.best().deviations.len() > 1 {
            let start = shift::by_event(&mut case, &explicit);
            case.try_from(start, deviations::remove);
        }
        if case.best().deviations.len() > 2 {
            draws::instead_of_deviations(&mut case);
        }
        if case.best().deviations.len() > 2 {
            single::instead_of_deviations(&mut case);
        }
    }
    loop {
        let before = case.best().clone();
        remove_faults(&mut case);
        remove_nodes(&mut case, spare);
        deviations::remove(&mut case);
        shift::instead_of_deviations(&mut case);
        faults::merge(&mut case);
        plain::simplify(&mut case);
        if case.is_spent() || *case.best() == before {
            break;
        }
    }
    Some(case.finish(Some(from)))
}

/// An explicit schedule without any surprise of the network and the disks.
fn calm(explicit: &Schedule) -> Schedule {
    Schedule { deviations: Default::default(), ..explicit.clone() }
}

/// Leaves out what need not break, the last of it first.
fn remove_faults(case: &mut Case<'_>) {
    let faults = case.best().faults.faults.clone();
    let is_fixed = |planned: &PlannedFault| matches!(planned.fault, Fault::Command { .. });
    let fixed = if case.needs_commands() { is_fixed } else { |_: &PlannedFault| false };
    sweep::sweep(faults.iter().filter(|planned| !fixed(planned)).map(|planned| planned.id).collect(), |ids| {
        let mut candidate = case.best().clone();
        candidate.faults.faults.retain(|planned| fixed(planned) || ids.contains(&planned.id));
        case.attempt_moved(candidate).then_some(ids)
    });
    let clocks: Vec<_> = case.best().clocks.iter().map(|(&node, &clock)| (node, clock)).collect();
    sweep::sweep(clocks, |clocks| {
        let mut candidate = case.best().clone();
        candidate.clocks = clocks.iter().copied().collect();
        case.attempt_moved(candidate).then_some(clocks)
    });
}

/// Leaves out nodes that need not be there, and what was to happen to them.
fn remove_nodes(case: &mut Case<'_>, spare: &[NodeId]) {
    let present: Vec<_> = spare.iter().copied().filter(|node| !case.best().absent.contains(node)).collect();
    sweep::sweep(present, |present| {
        let mut candidate = case.best().clone();
        candidate.absent = spare.iter().copied().filter(|node| !present.contains(node)).collect();
        let absent = &candidate.absent;
        let is_asked = |planned: &PlannedFault| match planned.fault {
            Fault::Command { node, .. } => absent.contains(&node),
            _ => false,
        };
        if case.needs_commands() && candidate.faults.faults.iter().any(is_asked) {
            return None;
        }
        candidate.faults.faults.retain(|planned| !planned.fault.node().is_some_and(|node| absent.contains(&node)));
        candidate.clocks.retain(|node, _| !absent.contains(node));
        case.attempt_moved(candidate).then_some(present)
    });
}
