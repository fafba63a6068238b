//! Two faults that are one: what breaks, and what mends it later.

use super::case::Case;
use crate::{Fault, Instant, PlannedFault, Trigger};

/// Gives faults the end that another one brings them, and leaves that one out.
pub(super) fn merge(case: &mut Case<'_>) {
    let faults = case.best().faults.faults.clone();
    for mender in &faults {
        for broken in &faults {
            let Some(hold) = hold(broken, mender) else { continue };
            let mut candidate = case.best().clone();
            candidate.faults.faults.retain(|other| other.id != mender.id);
            let Some(merged) = candidate.faults.faults.iter_mut().find(|other| other.id == broken.id) else { continue };
            merged.hold = Some(hold);
            if case.attempt_moved(candidate) {
                break;
            }
        }
    }
}

/// How long a fault lasts that another one ends.
fn hold(broken: &PlannedFault, mender: &PlannedFault) -> Option<std::time::Duration> {
    let mends = match (&broken.fault, &mender.fault) {
        (Fault::Crash { node }, Fault::Restart { node: other }) => node == other,
        (Fault::Pause { node }, Fault::Resume { node: other }) => node == other,
        (Fault::Partition { .. } | Fault::OneWay { .. } | Fault::Cut { .. } | Fault::Degrade { .. }, Fault::Heal) => {
            true
        }
        _ => false,
    };
    let (begins, ends) = (moment(broken)?, moment(mender)?);
    (mends && broken.hold.is_none() && ends > begins).then(|| ends.since(begins))
}

fn moment(planned: &PlannedFault) -> Option<Instant> {
    match planned.trigger {
        Trigger::At(at) => Some(at),
        _ => None,
    }
}
