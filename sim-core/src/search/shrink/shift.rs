//! Moving a fault to another moment, so that it meets the same messages without any of them being odd.
//!
//! A fault that strikes between two messages of a seeded run strikes elsewhere in a calm one. Instead of keeping the
//! delays that led there, it is moved to where it does the same.

use std::time::Duration;

use super::calm;
use super::case::Case;
use crate::{Instant, Schedule, Trigger};

/// How far a fault is moved.
const REACH: Duration = Duration::from_secs(5);
/// Moments that are tried for each fault at first, the nearest to it; then as many again, evenly from all.
const TRIES: usize = 400;

/// Tries to do without any deviation by moving one fault.
pub(super) fn instead_of_deviations(case: &mut Case<'_>) {
    if case.best().deviations.is_empty() {
        return;
    }
    let calm = calm(case.best());
    let mut moments = case.events(&calm);
    moments.dedup();
    for number in 0..calm.faults.faults.len() {
        let planned = &calm.faults.faults[number];
        let struck = case.outcome().fired.iter().find(|(id, ..)| *id == planned.id).and_then(|(.., fired)| fired.first);
        let at = match planned.trigger {
            Trigger::At(at) => Some(at),
            _ => struck,
        };
        let Some(at) = at else { continue };
        for moment in gaps(at, &moments) {
            let mut candidate = calm.clone();
            candidate.faults.faults[number].trigger = Trigger::At(moment);
            if case.attempt(candidate) {
                return;
            }
        }
    }
}

/// Moments between those at which something happens, the nearest to a given one first.
fn gaps(at: Instant, moments: &[Instant]) -> Vec<Instant> {
    let near = |moment: &Instant| moment.since(at).max(at.since(*moment));
    let middle = |pair: &[Instant]| Instant::from_nanos(pair[0].as_nanos().midpoint(pair[1].as_nanos()));
    let mut gaps: Vec<Instant> = moments.windows(2).map(middle).filter(|gap| near(gap) <= REACH).collect();
    gaps.sort_by_key(near);
    let rest = gaps.split_off(gaps.len().min(TRIES));
    let step = rest.len().div_ceil(TRIES).max(1);
    gaps.extend(rest.into_iter().step_by(step));
    gaps
}

/// The same with each fault as the n-th event instead of at a moment. Where an early message was slower than it would be on
/// a calm network, everything after it comes at another moment; what has happened before it stays the same.
pub(super) fn by_event(case: &mut Case<'_>, explicit: &Schedule) -> Schedule {
    let events = case.events(explicit);
    let mut by_event = explicit.clone();
    for planned in &mut by_event.faults.faults {
        if let Trigger::At(at) = planned.trigger
            && at > Instant::ZERO
        {
            planned.trigger = Trigger::OnEvent(events.partition_point(|&event| event < at) as u64 + 1);
        }
    }
    by_event
}
