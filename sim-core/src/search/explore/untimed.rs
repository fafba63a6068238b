//! Every order of messages and timers, for protocols whose safety must not rest on time.
//!
//! A state is followed by as many others as there are things that can happen next: a message that arrives, a timer that
//! fires, a sync that ends, a planned step of the scenario. Every process has started before the first of them. What is asked
//! is safety, as nothing happens in time. The search goes depth first and keeps eight bytes and a little more of each state
//! that it has been to, and the worlds on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::seen::Fingerprints;
use crate::search::guard::silencing;
use crate::trace::Trace;
use crate::world::Choice;
use crate::{Actor, Outcome, Progress, Run, Violation};

/// Takes every order in which messages and timers can come.
///
/// The network is a set with repetitions: a message is delivered once, at any time and in any order, and not lost. On a
/// connection, order is kept.
pub struct Untimed<'a> {
    depth: usize,
    halt: Arc<AtomicBool>,
    progress: Box<dyn FnMut(u64) + 'a>,
}

/// What came of every order.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// Whether every order was taken to its end.
    pub complete: bool,
    /// Distinct states, the first one included.
    pub distinct_states: u64,
    /// Steps taken: each made a world of its own.
    pub worlds: u64,
    /// The longest way that was followed, in steps.
    pub longest: u64,
    /// The way to the first violation that was found: how it ended, and what happened on it.
    pub violation: Option<(Outcome, Trace)>,
    /// Memory that the known states occupied at the end, in bytes.
    pub bytes: u64,
}

/// States between two looks at the progress.
const STATES_PER_LOOK: u64 = 1 << 14;

/// A state on the way, and what can happen in it.
struct Station<A: Actor> {
    run: Run<A>,
    choices: Vec<(u64, Choice)>,
    /// How many of them were tried.
    tried: usize,
}

impl<A: Actor> Station<A> {
    fn new(run: Run<A>) -> Self {
        let mut station = Station { run, choices: Vec::new(), tried: 0 };
        station.arrive();
        station
    }

    /// Looks what can happen.
    fn arrive(&mut self) {
        self.run.world.choices(&mut self.choices);
        self.tried = 0;
    }
}

impl Default for Untimed<'_> {
    /// Ways of any length.
    fn default() -> Self {
        Untimed { depth: usize::MAX, halt: Arc::default(), progress: Box::new(|_| {}) }
    }
}

impl<'a> Untimed<'a> {
    /// Follows no way further than so many steps: for protocols whose states are without number. If that cuts anything
    /// off, the result is not complete.
    #[must_use]
    pub fn depth(self, steps: usize) -> Self {
        Untimed { depth: steps, ..self }
    }

    /// Ends the search, incomplete, soon after somebody has set this.
    #[must_use]
    pub fn halt(self, halt: Arc<AtomicBool>) -> Self {
        Untimed { halt, ..self }
    }

    /// Shows the number of states so far.
    #[must_use]
    pub fn progress(self, progress: impl FnMut(u64) + 'a) -> Self {
        Untimed { progress: Box::new(progress), ..self }
    }

    /// Takes every order. `make` makes the run, ready to start; it should ask for safety only.
    pub fn explore<A: Actor>(mut self, make: impl Fn() -> Run<A>) -> Orders {
        silencing(|| self.search(make))
    }

    fn search<A: Actor>(&mut self, make: impl Fn() -> Run<A>) -> Orders {
        let mut found = Orders::default();
        let mut seen = Fingerprints::default();
        let mut run = make();
        if let Some(violation) = run.start_untimed() {
            found.violation = Some((run.outcome(Some(violation)), Trace::default()));
            return found;
        }
        seen.insert(run.fingerprint_untimed());
        found.distinct_states = 1;
        // Where the choices of the last station are tried: its world, but for what the choice before has changed. Worlds
        // that are not needed any more are kept for their memory.
        let mut next = Station::new(run.clone());
        let mut way = vec![Station::new(run)];
        let mut spare: Vec<Station<A>> = Vec::new();
        let mut cut = false;
        while let Some(station) = way.last_mut() {
            let Some(&(_, choice)) = station.choices.get(station.tried) else {
                // Of all worlds, this one differs least from the one that it came from.
                spare.extend(way.pop().map(|left| std::mem::replace(&mut next, left)));
                continue;
            };
            station.tried += 1;
            next.run.restore(&station.run);
            found.worlds += 1;
            if let Progress::Violated(_) = next.run.choose(choice) {
                let steps: Vec<usize> = way.iter().map(|station| station.tried - 1).collect();
                found.violation = Some(retraced(make(), &steps));
                break;
            }
            if !seen.insert(next.run.fingerprint_untimed()) {
                continue;
            }
            found.distinct_states += 1;
            if found.distinct_states.is_multiple_of(STATES_PER_LOOK) {
                (self.progress)(found.distinct_states);
                if self.halt.load(Ordering::Relaxed) {
                    cut = true;
                    break;
                }
            }
            if way.len() > self.depth {
                cut = true;
                continue;
            }
            found.longest = found.longest.max(way.len() as u64);
            next.arrive();
            if next.choices.is_empty() {
                continue;
            }
            let another = match spare.pop() {
                Some(mut another) => {
                    another.run.clone_from(&next.run);
                    another
                }
                None => Station::new(next.run.clone()),
            };
            way.push(std::mem::replace(&mut next, another));
        }
        found.complete = found.violation.is_none() && !cut;
        found.bytes = seen.bytes() as u64;
        found
    }
}

/// Goes a way again, from the start, and writes down what happens.
fn retraced<A: Actor>(mut run: Run<A>, steps: &[usize]) -> (Outcome, Trace) {
    run.world.record();
    let mut violation: Option<Violation> = run.start_untimed();
    let mut choices = Vec::new();
    for &step in steps {
        run.world.choices(&mut choices);
        if let Progress::Violated(found) = run.choose(choices[step].1) {
            violation = Some(found);
        }
    }
    (run.outcome(violation), run.world.trace().cloned().unwrap_or_default())
}
