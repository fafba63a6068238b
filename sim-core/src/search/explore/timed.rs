//! Every placement of a few faults on the calm run.
//!
//! # Why before every event is everywhere
//! Between two events nothing changes and nobody looks. A fault that strikes between them therefore does to the cluster
//! what it does if it strikes right before the second of them, and that is where it is placed; only that its end, the
//! restart of a process or the healing of a link, comes later by the same time. So what is enumerated stands for every
//! moment of the window, up to how long a fault holds: that is taken from a list, which the certificate names. What a
//! crashed process's machine still says to its peers goes out at the same moment as the fault.
//!
//! # Minimal by construction
//! First nothing breaks, then everything that one fault can do is tried, then everything that two can. What is found first
//! needs all its faults.
//!
//! # The same numbers for any number of threads
//! A state is gone on from once, by whoever comes first, and what follows from it does not depend on who that is; so sums
//! do not either. Of several violations, the one is reported that comes first in the order of the search: the part of it
//! in which something was found is searched again on one thread.
//!
//! # Memory
//! Some ten bytes for each state, and a world for each fault of the one path that each thread is on.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::menu::Menu;
use super::seen::Seen;
use super::walk::{Broken, Ground, Left, Tally, Traveller, Walk};
use crate::search::guard::{guarded, silencing};
use crate::{Actor, Instant, Outcome, Run, Schedule};

/// Places faults on the calm run of a cluster, everywhere.
pub struct Explorer<'a> {
    menu: Menu,
    faults: u8,
    deviations: u8,
    jobs: usize,
    merge: bool,
    halt: Arc<AtomicBool>,
    progress: Progress<'a>,
}

type Progress<'a> = Box<dyn FnMut(&ExploreProgress) -> ControlFlow<()> + 'a>;

/// How far an exploration is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExploreProgress {
    /// How much breaks at most on the paths that are being followed.
    pub level: u32,
    /// Places of the calm run at which everything has been tried on this level.
    pub places_done: u64,
    /// How many there are.
    pub places: u64,
    /// Placements so far.
    pub worlds: u64,
    /// Distinct states so far.
    pub distinct_states: u64,
}

impl ExploreProgress {
    /// How much of this level is done, from 0 to 1. Early places take longer, as more follows from them, so this is on the
    /// safe side.
    pub fn done(&self) -> f64 {
        self.places_done as f64 / self.places.max(1) as f64
    }
}

/// What an exploration came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Exploration {
    /// Whether everything was tried that was asked for. If so and there is no counterexample, this is a certificate.
    pub complete: bool,
    /// What was found; everything on lower levels was tried by then, and found to be in order.
    pub counterexample: Option<Counterexample>,
    /// By how much breaks at most, from 0 on.
    pub levels: Vec<Level>,
    /// Places of the calm run at which something can break.
    pub places: u64,
    /// Events of the calm run.
    pub calm_events: u64,
    /// Memory that the known states occupied at the end, in bytes.
    pub bytes: u64,
}

/// What was done on one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// How much breaks at most.
    pub breaks: u32,
    /// Placements: each made a world of its own.
    pub worlds: u64,
    /// States that had not been seen before: of the run and of what may still break in it.
    pub distinct_states: u64,
    /// Runs that were followed to their end; the others came to a state that is known.
    pub ended: u64,
    /// Events handled.
    pub events: u64,
}

/// A schedule that breaks something, and how it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Counterexample {
    /// The schedule: calm but for what was placed.
    pub schedule: Schedule,
    /// How it goes when it is run from the start.
    pub outcome: Outcome,
    /// How much was placed.
    pub breaks: u32,
}

impl Exploration {
    /// Placements in all.
    pub fn worlds(&self) -> u64 {
        self.levels.iter().map(|level| level.worlds).sum()
    }

    /// Distinct states in all.
    pub fn distinct_states(&self) -> u64 {
        self.levels.iter().map(|level| level.distinct_states).sum()
    }
}

/// Events between two looks at the result: a few tenths of a second on one core.
const EVENTS_PER_ROUND: u64 = 1_000_000;
/// Events of the calm run between two looks whether somebody has been in a state in which nothing breaks any more: as
/// much work as looking.
const EVENTS_PER_STRIDE: u64 = 16;

impl<'a> Explorer<'a> {
    /// Up to `faults` items of a menu, on all cores.
    pub fn new(menu: Menu, faults: u8) -> Self {
        let progress = Box::new(|_: &ExploreProgress| ControlFlow::Continue(()));
        Explorer { menu, faults, deviations: 0, jobs: 0, merge: true, halt: Arc::default(), progress }
    }

    /// Up to so many lost or late messages in addition.
    #[must_use]
    pub fn deviations(self, deviations: u8) -> Self {
        Explorer { deviations, ..self }
    }

    /// How many threads; as many as there are cores if 0.
    #[must_use]
    pub fn jobs(self, jobs: usize) -> Self {
        Explorer { jobs, ..self }
    }

    /// Whether paths that come to the same state go on as one; they do unless asked. What is found is the same.
    #[must_use]
    pub fn merge(self, merge: bool) -> Self {
        Explorer { merge, ..self }
    }

    /// Ends the exploration, incomplete, soon after somebody has set this: for a limit of time, as this crate knows no clock.
    #[must_use]
    pub fn halt(self, halt: Arc<AtomicBool>) -> Self {
        Explorer { halt, ..self }
    }

    /// Shows how far it is a few times a second, and asks whether to go on.
    #[must_use]
    pub fn progress(self, progress: impl FnMut(&ExploreProgress) -> ControlFlow<()> + 'a) -> Self {
        Explorer { progress: Box::new(progress), ..self }
    }

    /// Explores. `make` makes the run of a schedule, ready to start; it is called on several threads. What breaks is added
    /// to `base`, which should be calm: on a baseline that draws, paths hardly ever come together.
    ///
    /// # Errors
    /// If the operating system refuses the threads.
    pub fn explore<A: Actor>(
        mut self,
        base: &Schedule,
        make: impl Fn(&Schedule) -> Run<A> + Sync,
    ) -> Result<Exploration, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(self.jobs).build()?;
        let start = || Traveller::new(make(base));
        let seen = Seen::default();
        let mut result = Exploration {
            complete: false,
            counterexample: None,
            levels: Vec::new(),
            places: 0,
            calm_events: 0,
            bytes: 0,
        };
        let calm = guarded(|| make(base).to_end());
        if calm.violation.is_some() {
            result.counterexample = Some(Counterexample { schedule: base.clone(), outcome: calm, breaks: 0 });
            return Ok(result);
        }
        result.calm_events = calm.events;
        let stride = calm.end.since(Instant::ZERO).as_nanos() as u64 * EVENTS_PER_STRIDE / calm.events.max(1);
        let frame = Frame {
            menu: &self.menu,
            seen: &seen,
            merge: self.merge,
            stride: Duration::from_nanos(stride.max(1)),
            pool: &pool,
            halt: &self.halt,
        };

        let tally = frame.alone(|walk| walk.follow(&mut start(), Left::NOTHING));
        let broken = result.note(0, tally);
        if let Some(broken) = broken {
            result.counterexample = Some(confirmed(broken, base, 0, &make));
            return Ok(result);
        }
        result.places = frame.count_places(start());
        // Ended early, neither has seen all of the calm run.
        if self.halt.load(Ordering::Relaxed) {
            return Ok(result);
        }

        for breaks in 1..=u32::from(self.faults) + u32::from(self.deviations) {
            let left = Left::new(breaks as u8, self.faults, self.deviations);
            let (mut from, mut length) = (0, 1);
            let mut level = Tally::default();
            while from < result.places {
                let so_far = ExploreProgress {
                    level: breaks,
                    places_done: from,
                    places: result.places,
                    worlds: result.worlds() + level.worlds,
                    distinct_states: result.distinct_states() + level.states,
                };
                if (self.progress)(&so_far).is_break() {
                    result.note(breaks, level);
                    result.bytes = seen.bytes() as u64;
                    return Ok(result);
                }
                let to = (from + length).min(result.places);
                let (tally, broken) = frame.places(&start, left, from, to);
                if tally.events < EVENTS_PER_ROUND {
                    length *= 2;
                } else if tally.events > 4 * EVENTS_PER_ROUND {
                    length = (length / 2).max(1);
                }
                level.add(tally);
                if self.halt.load(Ordering::Relaxed) && broken.is_none() {
                    result.note(breaks, level);
                    result.bytes = seen.bytes() as u64;
                    return Ok(result);
                }
                if let Some(broken) = broken {
                    result.note(breaks, level);
                    result.bytes = seen.bytes() as u64;
                    result.counterexample = Some(confirmed(broken, base, breaks, &make));
                    return Ok(result);
                }
                from = to;
            }
            result.note(breaks, level);
        }
        result.complete = true;
        result.bytes = seen.bytes() as u64;
        Ok(result)
    }
}

impl Exploration {
    fn note(&mut self, breaks: u32, tally: Tally) -> Option<Broken> {
        let Tally { worlds, states: distinct_states, ended, events, broken } = tally;
        self.levels.push(Level { breaks, worlds, distinct_states, ended, events });
        broken
    }
}

/// What stays the same during an exploration.
struct Frame<'a> {
    menu: &'a Menu,
    seen: &'a Seen,
    merge: bool,
    stride: Duration,
    pool: &'a ThreadPool,
    halt: &'a AtomicBool,
}

impl Frame<'_> {
    fn ground<'a>(&'a self, stop: &'a AtomicBool) -> Ground<'a> {
        Ground { menu: self.menu, seen: self.seen, merge: self.merge, stride: self.stride, stop, halt: self.halt }
    }

    /// Follows paths on this thread.
    fn alone<A: Actor>(&self, body: impl FnOnce(&mut Walk<A>)) -> Tally {
        let stop = AtomicBool::new(false);
        let ground = self.ground(&stop);
        let mut walk = Walk::new(&ground);
        silencing(|| body(&mut walk));
        walk.tally
    }

    /// Everything that branches off the calm run from one place up to, not including, another.
    fn places<A: Actor>(
        &self,
        start: &(impl Fn() -> Traveller<A> + Sync),
        left: Left,
        from: u64,
        to: u64,
    ) -> (Tally, Option<Broken>) {
        let threads = self.pool.current_num_threads() as u64;
        if threads > 1 && to - from > 1 {
            let pieces = (threads * 4).min(to - from);
            let bound = |piece: u64| from + (to - from) * piece / pieces;
            let stop = AtomicBool::new(false);
            let ground = self.ground(&stop);
            let done: Vec<(Tally, Option<Vec<u64>>)> = self.pool.install(|| {
                (0..pieces)
                    .into_par_iter()
                    .map(|piece| {
                        let mut walk = Walk::new(&ground);
                        walk.added = Some(Vec::new());
                        silencing(|| walk.follow_trunk(&mut start(), left, bound(piece), bound(piece + 1)));
                        (walk.tally, walk.added)
                    })
                    .collect()
            });
            if !stop.load(Ordering::Relaxed) {
                let mut sum = Tally::default();
                done.into_iter().for_each(|(tally, _)| sum.add(tally));
                return (sum, None);
            }
            // Who came first was a matter of chance. On one thread it is not.
            done.iter().filter_map(|(_, added)| added.as_ref()).for_each(|added| self.seen.forget(added));
        }
        let mut tally = self.alone(|walk| walk.follow_trunk(&mut start(), left, from, to));
        let broken = tally.broken.take();
        (tally, broken)
    }

    fn count_places<A: Actor>(&self, mut path: Traveller<A>) -> u64 {
        self.alone(|walk| walk.follow_trunk(&mut path, Left::NOTHING, u64::MAX, u64::MAX));
        path.places
    }
}

/// Runs what was found from the start. What was placed goes in front of what `base` had planned: it struck first where
/// both were to strike at the same moment.
fn confirmed<A: Actor>(
    broken: Broken,
    base: &Schedule,
    breaks: u32,
    make: &(impl Fn(&Schedule) -> Run<A> + Sync),
) -> Counterexample {
    let mut schedule = broken.schedule;
    schedule.faults.faults.rotate_left(base.faults.faults.len());
    let mut outcome = guarded(|| make(&schedule).to_end());
    if outcome.violation.is_none() {
        // Cannot happen, and must not be taken for a pass if it does.
        outcome.violation = Some(broken.violation);
    }
    Counterexample { schedule, outcome, breaks }
}
