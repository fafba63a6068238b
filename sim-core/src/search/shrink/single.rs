//! One message that is very odd, instead of many that are a little odd.
//!
//! Where a message overtakes another because each of ten was slower than usual by a few milliseconds, one of them that
//! is slower by all of that does the same and is easier to follow.

use std::time::Duration;

use super::calm;
use super::case::Case;
use crate::{Deviation, Moment, Site};

/// Messages that are tried, the last ones before the violation first.
const TRIES: usize = 2000;

/// Tries to do with one odd message, sync or crash instead of several.
pub(super) fn instead_of_deviations(case: &mut Case<'_>) {
    let delays = case.best().deviations.iter().filter_map(|(.., deviation)| match deviation {
        Deviation::Delayed(by) => Some(by),
        _ => None,
    });
    let delays: Vec<Duration> = delays.collect();
    let (Some(&shortest), Some(&longest)) = (delays.iter().min(), delays.iter().max()) else { return };
    let sum: Duration = delays.iter().sum();
    let mut forms = vec![longest, sum, longest * 10, shortest, Duration::from_secs(1)];
    forms.dedup();
    let calm = calm(case.best());
    let Some(decisions) = case.decisions(&calm) else { return };
    for &(site, moment) in decisions.iter().rev().take(TRIES) {
        for &by in &forms {
            if attempt(case, site, moment, Deviation::Delayed(by)) {
                return;
            }
        }
        if matches!(site, Site::Link(..)) && attempt(case, site, moment, Deviation::Lost) {
            return;
        }
    }
}

fn attempt(case: &mut Case<'_>, site: Site, moment: Moment, deviation: Deviation) -> bool {
    let mut candidate = calm(case.best());
    candidate.deviations.insert(site, moment, deviation);
    case.attempt(candidate)
}
