//! Making what is left plain: smaller groups, shorter holds, round numbers.

use std::time::Duration;

use super::case::Case;
use super::{deviations, rounding};
use crate::{Degradation, DiskTrouble, Fault, Instant, NodeId, PlannedFault, Trigger};

/// Makes each fault, clock and deviation as plain as it can be.
pub(super) fn simplify(case: &mut Case<'_>) {
    let ids: Vec<u32> = case.best().faults.faults.iter().map(|planned| planned.id).collect();
    for &id in &ids {
        // A step can make room for the next: from groups to single nodes, one at a time.
        while first_accepted(case, id, |planned| {
            fewer(&planned.fault).into_iter().map(|fault| PlannedFault { fault, ..planned.clone() }).collect()
        }) {}
    }
    for &id in &ids {
        first_accepted(case, id, shorter_holds);
        first_accepted(case, id, simpler_triggers);
        first_accepted(case, id, rounder_amounts);
    }
    for &id in &ids {
        let moment = case.outcome().fired.iter().find(|(other, ..)| *other == id).and_then(|(.., fired)| fired.first);
        first_accepted(case, id, |planned| at_a_time(planned, moment));
    }
    round_clocks(case);
    deviations::round(case);
}

/// Tries other forms of one fault and takes the first that will do.
fn first_accepted(case: &mut Case<'_>, id: u32, forms: impl Fn(&PlannedFault) -> Vec<PlannedFault>) -> bool {
    let Some(at) = case.best().faults.faults.iter().position(|planned| planned.id == id) else { return false };
    let forms = forms(&case.best().faults.faults[at]);
    forms.into_iter().any(|form| {
        let mut candidate = case.best().clone();
        candidate.faults.faults[at] = form;
        case.attempt_moved(candidate)
    })
}

/// Forms of a fault that strike less.
fn fewer(fault: &Fault) -> Vec<Fault> {
    match fault {
        Fault::Partition { groups } => {
            let without = (0..groups.len()).filter(|_| groups.len() > 2).map(|number| {
                let mut groups = groups.clone();
                groups.remove(number);
                Fault::Partition { groups }
            });
            let one_way = match &groups[..] {
                [a, b] => vec![one_way(a, b), one_way(b, a)],
                _ => Vec::new(),
            };
            let smaller = (0..groups.len()).flat_map(|number| {
                smaller(&groups[number]).into_iter().map(move |group| {
                    let mut groups = groups.clone();
                    groups[number] = group;
                    Fault::Partition { groups }
                })
            });
            without.chain(one_way).chain(smaller).collect()
        }
        Fault::OneWay { from, to } if from.len() == 1 && to.len() == 1 => vec![one_way(from, to)],
        Fault::OneWay { from, to } => {
            let senders = smaller(from).into_iter().map(|from| one_way(&from, to));
            senders.chain(smaller(to).into_iter().map(|to| one_way(from, &to))).collect()
        }
        Fault::Degrade { from, to, degradation } => {
            let none = Degradation::default();
            let ways = [
                Degradation { latency: none.latency, ..*degradation },
                Degradation { jitter: none.jitter, ..*degradation },
                Degradation { loss: none.loss, ..*degradation },
                Degradation { duplication: none.duplication, ..*degradation },
                Degradation { bandwidth: none.bandwidth, ..*degradation },
            ];
            let degraded = ways.into_iter().filter(|way| way != degradation && *way != none);
            degraded.map(|degradation| Fault::Degrade { from: *from, to: *to, degradation }).collect()
        }
        Fault::Drop { select, count } => {
            fewer_messages(*count).map(|count| Fault::Drop { select: select.clone(), count }).collect()
        }
        Fault::Delay { select, count, by } => {
            fewer_messages(*count).map(|count| Fault::Delay { select: select.clone(), count, by: *by }).collect()
        }
        Fault::Clock { node, step, drift_ppm: Some(drift_ppm) } if *step != 0 => vec![
            Fault::Clock { node: *node, step: *step, drift_ppm: None },
            Fault::Clock { node: *node, step: 0, drift_ppm: Some(*drift_ppm) },
        ],
        _ => Vec::new(),
    }
}

/// One direction, as a cut of one link if it is one.
fn one_way(from: &[NodeId], to: &[NodeId]) -> Fault {
    match (from, to) {
        (&[from], &[to]) => Fault::Cut { from, to },
        _ => Fault::OneWay { from: from.to_vec(), to: to.to_vec() },
    }
}

/// A group without one of its nodes.
fn smaller(group: &[NodeId]) -> Vec<Vec<NodeId>> {
    let without =
        |number: usize| group.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, &node)| node).collect();
    (0..group.len()).filter(|_| group.len() > 1).map(without).collect()
}

fn fewer_messages(count: u32) -> impl Iterator<Item = u32> {
    [1, count / 2, count.saturating_sub(1)].into_iter().filter(move |&fewer| fewer > 0 && fewer < count)
}

/// Forms that last shorter, or as long as a round time.
fn shorter_holds(planned: &PlannedFault) -> Vec<PlannedFault> {
    let Some(hold) = planned.hold.filter(|_| planned.fault.has_extent()) else { return Vec::new() };
    let times = rounding::shorter(hold).into_iter().chain(rounding::rounder(hold));
    times.map(|hold| PlannedFault { hold: Some(hold), ..planned.clone() }).collect()
}

/// Forms that wait for less.
fn simpler_triggers(planned: &PlannedFault) -> Vec<PlannedFault> {
    let Trigger::OnMark { mark, node, occurrence, plus } = planned.trigger else { return Vec::new() };
    let other = |plus| PlannedFault { trigger: Trigger::OnMark { mark, node, occurrence, plus }, ..planned.clone() };
    let pluses = [Duration::ZERO].into_iter().chain(rounding::rounder(plus));
    pluses.filter(|other| *other != plus).map(other).collect()
}

/// Forms that strike at a round moment.
fn at_a_time(planned: &PlannedFault, fired: Option<Instant>) -> Vec<PlannedFault> {
    let other = |at| PlannedFault { trigger: Trigger::At(Instant::from_nanos(at)), ..planned.clone() };
    match (&planned.trigger, fired) {
        (Trigger::At(at), _) => rounding::rounder_nanos(at.as_nanos()).into_iter().map(other).collect(),
        (Trigger::OnEvent(_) | Trigger::Window { .. }, Some(at)) => {
            rounding::rounder_nanos(at.as_nanos()).into_iter().chain([at.as_nanos()]).map(other).collect()
        }
        _ => Vec::new(),
    }
}

/// Forms with round amounts.
fn rounder_amounts(planned: &PlannedFault) -> Vec<PlannedFault> {
    let times = rounding::rounder;
    let faults: Vec<Fault> = match &planned.fault {
        Fault::Slow { node, per_event } => {
            times(*per_event).into_iter().map(|per_event| Fault::Slow { node: *node, per_event }).collect()
        }
        Fault::Delay { select, count, by } => {
            times(*by).into_iter().map(|by| Fault::Delay { select: select.clone(), count: *count, by }).collect()
        }
        Fault::Disk { node, trouble: DiskTrouble::Slow { by } } => {
            times(*by).into_iter().map(|by| Fault::Disk { node: *node, trouble: DiskTrouble::Slow { by } }).collect()
        }
        Fault::Clock { node, step, drift_ppm } => {
            let steps = rounding::rounder_nanos(step.unsigned_abs()).into_iter();
            let steps = steps.filter_map(|size| i64::try_from(size).ok()).map(|size| size * step.signum());
            let stepped = steps.map(|step| Fault::Clock { node: *node, step, drift_ppm: *drift_ppm });
            let drifts = drift_ppm.iter().flat_map(|&drift| rounder_drifts(drift));
            stepped
                .chain(drifts.map(|drift| Fault::Clock { node: *node, step: *step, drift_ppm: Some(drift) }))
                .collect()
        }
        Fault::Degrade { from, to, degradation } => {
            let latency = times(degradation.latency).into_iter().map(|latency| Degradation { latency, ..*degradation });
            let jitter = times(degradation.jitter).into_iter().map(|jitter| Degradation { jitter, ..*degradation });
            let certain = [Degradation { loss: 1.0, ..*degradation }, Degradation { duplication: 1.0, ..*degradation }];
            let certain = certain.into_iter().filter(|way| {
                (degradation.loss > 0.0 && way.loss != degradation.loss)
                    || (degradation.duplication > 0.0 && way.duplication != degradation.duplication)
            });
            let ways = certain.chain(latency).chain(jitter);
            ways.map(|degradation| Fault::Degrade { from: *from, to: *to, degradation }).collect()
        }
        _ => Vec::new(),
    };
    faults.into_iter().map(|fault| PlannedFault { fault, ..planned.clone() }).collect()
}

/// Rounder drifts near this one.
fn rounder_drifts(drift: i32) -> Vec<i32> {
    let steps = [100_000, 10_000, 1_000, 100, 10].into_iter().filter(move |step| drift % step != 0);
    let limit = crate::ClockSetting::MAX_DRIFT_PPM;
    let round = |step: i32| [drift - drift % step, drift - drift % step + step * drift.signum()];
    steps.flat_map(round).filter(|other| *other != 0 && other.abs() <= limit).collect()
}

/// Rounds clocks that are off.
fn round_clocks(case: &mut Case<'_>) {
    for (node, clock) in case.best().clocks.clone() {
        let offsets = [Duration::ZERO].into_iter().chain(rounding::rounder(clock.offset));
        let drifts = [0].into_iter().chain(rounder_drifts(clock.drift_ppm));
        let accept = |case: &mut Case<'_>, change: &dyn Fn(&mut crate::ClockSetting)| {
            let mut candidate = case.best().clone();
            candidate.clocks.entry(node).and_modify(change);
            case.attempt_moved(candidate)
        };
        offsets.into_iter().any(|offset| accept(case, &|clock| clock.offset = offset));
        drifts.into_iter().any(|drift| accept(case, &|clock| clock.drift_ppm = drift));
    }
}
