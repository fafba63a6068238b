//! A new schedule from one that reached something: what led there stays, and what comes then is drawn anew.

use std::time::Duration;

use crate::dice::Dice;
use crate::guided::Subject;
use sim_core::{Instant, PlannedFault, Schedule, Trigger};

/// What goes on from where `known` reached something at `at`.
pub fn of(subject: &dyn Subject, known: &Schedule, at: Instant, dice: &mut Dice) -> Schedule {
    let mut schedule = known.clone();
    let other = subject.schedule(dice.word());
    // A fault that struck shortly after belongs to what led there as often as not: up to eight seconds later.
    let cut = at + dice.span(Duration::from_millis(1), 14);
    let is_before = |fault: &PlannedFault| moment(fault).is_none_or(|moment| moment < cut);
    schedule.faults.faults.retain(|fault| !subject.is_free(fault) || is_before(fault));
    for fault in &other.faults.faults {
        if subject.is_free(fault) && !is_before(fault) {
            add(&mut schedule, fault.clone());
        }
    }
    // A state that few runs come to is often left again soon: one more fault in it, up to six seconds later.
    let free: Vec<&PlannedFault> = other.faults.faults.iter().filter(|fault| subject.is_free(fault)).collect();
    if dice.below(2) == 0
        && let Some(&fault) = dice.pick(&free)
    {
        let trigger = Trigger::At(at + dice.span(Duration::from_micros(100), 17));
        add(&mut schedule, PlannedFault { trigger, ..fault.clone() });
    }
    // Most of what led there is faults; some of it is how long messages took.
    if dice.below(4) == 0 {
        schedule.seed = other.seed;
    }
    subject.confine(&mut schedule.faults);
    schedule
}

/// When a fault strikes; `None` if that is not known before the run.
pub fn moment(fault: &PlannedFault) -> Option<Instant> {
    match fault.trigger {
        Trigger::At(at) => Some(at),
        _ => None,
    }
}

/// Adds a fault under an id that is free.
fn add(schedule: &mut Schedule, mut fault: PlannedFault) {
    while schedule.faults.faults.iter().any(|other| other.id == fault.id) {
        fault.id += 1;
    }
    schedule.faults.faults.push(fault);
}
