//! Leaving out what chance made of single messages, and rounding what is left of it.

use std::time::Duration;

use super::case::Case;
use super::rounding;
use super::sweep::sweep;
use crate::{Deviation, Deviations, Moment, Schedule, Site};

type Entry = (Site, Moment, Deviation);

/// Leaves out deviations: of whole sites first, then in halving sweeps through time, from the end to the beginning,
/// because what comes early moves everything after it.
pub(super) fn remove(case: &mut Case<'_>) {
    if case.best().deviations.is_empty() {
        return;
    }
    let mut sites: Vec<Site> = case.best().deviations.iter().map(|(site, ..)| site).collect();
    sites.dedup();
    if case.best().deviations.len() > sites.len() {
        sweep(sites, |sites| {
            let kept = case.best().deviations.iter().filter(|(site, ..)| sites.contains(site)).collect();
            keep(case, kept).then_some(sites)
        });
    }
    let mut entries: Vec<Entry> = case.best().deviations.iter().collect();
    entries.sort_by_key(|&(site, moment, _)| (moment, site));
    sweep(entries, |entries| {
        keep(case, entries).then(|| {
            let mut left: Vec<Entry> = case.best().deviations.iter().collect();
            left.sort_by_key(|&(site, moment, _)| (moment, site));
            left
        })
    });
}

/// Tries to do with these alone; then forgets those that meet nothing any more.
fn keep(case: &mut Case<'_>, entries: Vec<Entry>) -> bool {
    let candidate = with(case.best(), entries);
    let smaller = case.attempt(candidate);
    if smaller {
        case.prune();
    }
    smaller
}

fn with(schedule: &Schedule, entries: Vec<Entry>) -> Schedule {
    let mut deviations = Deviations::default();
    entries.into_iter().for_each(|(site, moment, deviation)| deviations.insert(site, moment, deviation));
    Schedule { deviations, ..schedule.clone() }
}

/// Gives what is left round times.
pub(super) fn round(case: &mut Case<'_>) {
    let entries: Vec<Entry> = case.best().deviations.iter().collect();
    for (number, (.., deviation)) in entries.into_iter().enumerate() {
        for simpler in simpler(deviation) {
            // Numbers by site and moment stay what they are when moments move.
            let now: Vec<Entry> = case.best().deviations.iter().collect();
            let Some(&(site, moment, _)) = now.get(number) else { return };
            let mut candidate = case.best().clone();
            candidate.deviations.insert(site, moment, simpler);
            if case.attempt_moved(candidate) {
                break;
            }
        }
    }
}

/// Simpler ones to try, the simplest first.
fn simpler(deviation: Deviation) -> Vec<Deviation> {
    match deviation {
        Deviation::Delayed(by) => rounding::rounder(by).into_iter().map(Deviation::Delayed).collect(),
        Deviation::Duplicated { first, second } => {
            let rounder = |by: Duration| rounding::rounder(by).into_iter().chain([by]).collect::<Vec<_>>();
            let pairs = rounder(first).into_iter().zip(rounder(second));
            let pairs = pairs.map(|(first, second)| Deviation::Duplicated { first, second });
            [first, second].map(Deviation::Delayed).into_iter().chain(pairs).collect()
        }
        Deviation::Kept { writes, torn } => {
            [(writes, false), (0, torn)].map(|(writes, torn)| Deviation::Kept { writes, torn }).to_vec()
        }
        Deviation::Lost => Vec::new(),
    }
}
