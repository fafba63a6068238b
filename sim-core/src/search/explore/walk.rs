//! One path through the worlds that a few faults can make of a run, and everything that branches off it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::menu::{Menu, MessageMenu};
use super::seen::Seen;
use crate::copy::copied_by_field;
use crate::trace::What;
use crate::world::Sent;
use crate::{Actor, Deviation, Instant, Progress, Run, Schedule, Violation};

/// What may still break on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// In all.
    pub any: u8,
    /// Faults, those to messages included.
    pub faults: u8,
    /// Lost or late messages that do not count as faults.
    pub messages: u8,
}

impl Left {
    /// The same without what cannot be used up.
    pub fn new(any: u8, faults: u8, messages: u8) -> Self {
        let any = any.min(faults + messages);
        Left { any, faults: faults.min(any), messages: messages.min(any) }
    }

    pub const NOTHING: Left = Left { any: 0, faults: 0, messages: 0 };

    fn after_fault(self) -> Option<Left> {
        (self.faults > 0).then(|| Left::new(self.any - 1, self.faults - 1, self.messages))
    }

    fn after_message(self) -> Option<Left> {
        match self.messages {
            0 => self.after_fault(),
            _ => Some(Left::new(self.any - 1, self.faults, self.messages - 1)),
        }
    }

    /// The fingerprint of a state in which so much may still break, and here.
    fn mark(self, fingerprint: u64, place: Place) -> u64 {
        let [any, faults, messages] = [self.any, self.faults, self.messages].map(u64::from);
        let code = (place as u64) << 24 | any << 16 | faults << 8 | messages;
        fingerprint ^ code.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// What is the same on all paths.
pub(super) struct Ground<'a> {
    pub menu: &'a Menu,
    pub seen: &'a Seen,
    /// Whether paths that come together go on as one.
    pub merge: bool,
    /// On paths on which nothing breaks any more, how often to look whether somebody has been there.
    pub stride: Duration,
    /// Set to end all paths when something is found.
    pub stop: &'a AtomicBool,
    /// Set from outside to end all paths.
    pub halt: &'a AtomicBool,
}

/// A schedule that breaks something.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub schedule: Schedule,
    pub violation: Violation,
}

/// What came of paths.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Placements: each made a world of its own.
    pub worlds: u64,
    /// States that nobody had been to.
    pub states: u64,
    /// Paths that were followed to the end of the run.
    pub ended: u64,
    /// Events handled.
    pub events: u64,
    pub broken: Option<Broken>,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.worlds += other.worlds;
        self.states += other.states;
        self.ended += other.ended;
        self.events += other.events;
        self.broken = self.broken.take().or(other.broken);
    }
}

/// Whether something can be placed before the next event, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is the first of its instant.
    First,
    /// It directly follows another event of its instant.
    Within,
    /// Nowhere: it is bookkeeping.
    None,
}

/// A run with what is needed to know the places on its way.
pub(super) struct Traveller<A: Actor> {
    pub run: Run<A>,
    /// Events when it last took a step, which tells an event from bookkeeping.
    events_before: u64,
    /// The instant at which nothing has happened so far but faults that were planned there, and entries of the queue that
    /// mean nothing any more.
    fresh: Option<Instant>,
    /// When to look next whether somebody has been here.
    look_at: Instant,
    /// Places passed.
    pub places: u64,
}

copied_by_field! { impl[A: Actor] Traveller<A> { run, events_before, fresh, look_at, places } }

impl<A: Actor> Traveller<A> {
    pub fn new(run: Run<A>) -> Self {
        Traveller { run, events_before: 0, fresh: None, look_at: Instant::ZERO, places: 0 }
    }

    fn place(&self) -> Place {
        let world = &self.run.world;
        match world.next_event_at() {
            Some(_) if world.next_is_void() => Place::None,
            Some(next) if self.is_fresh(next) => Place::First,
            Some(_) if world.events() > self.events_before => Place::Within,
            _ => Place::None,
        }
    }

    fn is_fresh(&self, next: Instant) -> bool {
        next > self.run.world.now() || self.fresh == Some(next)
    }

    fn step(&mut self) -> Progress {
        let world = &self.run.world;
        let void = world.next_event_at().filter(|&next| world.next_is_void() && self.is_fresh(next));
        self.events_before = world.events();
        let progress = self.run.advance();
        self.fresh = void;
        progress
    }

    /// Goes on to where somebody looks next. For a path on which nothing can break any more: it knows no places afterwards.
    fn stride(&mut self) -> Progress {
        self.run.advance_until(self.look_at)
    }

    /// Plans a fault and lets it strike.
    fn strike(&mut self, fault: &(crate::Fault, Option<Duration>), place: Place) -> Progress {
        let first = place == Place::First;
        self.run.world.strike_next(fault.0.clone(), fault.1, first);
        let progress = self.step();
        self.fresh = first.then(|| self.run.world.now());
        self.look_at = Instant::ZERO;
        progress
    }
}

impl Ground<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.halt.load(Ordering::Relaxed)
    }
}

/// Somebody who follows paths.
pub(super) struct Walk<'a, A: Actor> {
    ground: &'a Ground<'a>,
    pub tally: Tally,
    /// States that nobody had been to, in case that they have to be forgotten.
    pub added: Option<Vec<u64>>,
    /// Travellers whose paths have ended, kept for their memory.
    #[expect(clippy::vec_box, reason = "each is large, and comes from here and goes back for every world")]
    spare: Vec<Box<Traveller<A>>>,
}

impl<'a, A: Actor> Walk<'a, A> {
    pub fn new(ground: &'a Ground<'a>) -> Self {
        Walk { ground, tally: Tally::default(), added: None, spare: Vec::new() }
    }

    fn fork(&mut self, path: &Traveller<A>) -> Box<Traveller<A>> {
        match self.spare.pop() {
            Some(mut fork) => {
                (*fork).clone_from(path);
                fork
            }
            None => Box::new(path.clone()),
        }
    }

    /// Follows a path to its end, and everything that branches off it.
    pub fn follow(&mut self, path: &mut Traveller<A>, left: Left) {
        loop {
            if self.ground.is_stopped() {
                return;
            }
            let next = path.run.world.next_event_at().unwrap_or(Instant::MAX);
            let left = if self.ground.menu.is_over(next) { Left::NOTHING } else { left };
            let place = if left.any > 0 && self.ground.menu.is_open(next) { path.place() } else { Place::None };
            if place != Place::None || next >= path.look_at {
                if self.ground.merge && !self.is_new(path, left, place) {
                    return;
                }
                let stride = self.ground.stride.as_nanos().max(1) as u64;
                let strides = next.as_nanos() / stride + 1;
                path.look_at = Instant::from_nanos(strides.saturating_mul(stride));
            }
            let before = path.run.world.events();
            let progress = match place {
                Place::None if left.any == 0 => path.stride(),
                Place::None => path.step(),
                place => self.branch(path, place, left),
            };
            // Not the number of steps: two equal states may have a different number of void entries before them.
            self.tally.events += path.run.world.events() - before;
            if !self.goes_on(path, progress) {
                return;
            }
        }
    }

    fn is_new(&mut self, path: &mut Traveller<A>, left: Left, place: Place) -> bool {
        let state = left.mark(path.run.fingerprint(), place);
        let new = self.ground.seen.insert(state);
        if new {
            self.tally.states += 1;
            self.added.iter_mut().for_each(|added| added.push(state));
        }
        new
    }

    /// What a step came to: whether there is another one to take.
    fn goes_on(&mut self, path: &mut Traveller<A>, progress: Progress) -> bool {
        let violation = match progress {
            Progress::Event => return true,
            Progress::Ended => {
                self.tally.ended += 1;
                path.run.last_look()
            }
            Progress::Violated(violation) => Some(violation),
        };
        if let Some(violation) = violation
            && self.tally.broken.is_none()
        {
            self.tally.broken = Some(Broken { schedule: path.run.world.schedule().clone(), violation });
            self.ground.stop.store(true, Ordering::Relaxed);
        }
        false
    }

    /// Everything that can break at a place, each in a world of its own; then the event that was to come.
    fn branch(&mut self, path: &mut Traveller<A>, place: Place, left: Left) -> Progress {
        path.places += 1;
        let menu = self.ground.menu;
        if let Some(left) = left.after_fault() {
            for fault in menu.faults.iter().filter(|(fault, _)| path.run.world.would_strike(fault)) {
                let mut fork = self.fork(path);
                let progress = fork.strike(fault, place);
                if self.branches_off(fork, progress, left) {
                    return Progress::Event;
                }
            }
        }
        let Some(left) = left.after_message().filter(|_| !menu.messages.is_empty()) else { return path.step() };
        let before = self.fork(path);
        let progress = path.step();
        for sent in sent(&menu.messages, path, &before) {
            for deviation in fates(&menu.messages, &before, sent) {
                let mut fork = self.fork(&before);
                fork.run.world.deviate(sent, deviation);
                let progress = fork.step();
                fork.look_at = Instant::ZERO;
                if self.branches_off(fork, progress, left) {
                    return Progress::Event;
                }
            }
        }
        self.spare.push(before);
        progress
    }

    /// Follows what branches off a path; whether that was the end of all paths.
    fn branches_off(&mut self, mut fork: Box<Traveller<A>>, progress: Progress, left: Left) -> bool {
        self.tally.worlds += 1;
        if self.goes_on(&mut fork, progress) {
            self.follow(&mut fork, left);
        }
        self.spare.push(fork);
        self.ground.is_stopped()
    }

    /// Follows the run on which nothing breaks, and what branches off it from one place up to, not including, another.
    pub fn follow_trunk(&mut self, path: &mut Traveller<A>, left: Left, from: u64, to: u64) {
        while path.places < to && !self.ground.is_stopped() {
            let next = path.run.world.next_event_at().unwrap_or(Instant::MAX);
            let place = if self.ground.menu.is_open(next) { path.place() } else { Place::None };
            let progress = match place {
                Place::None => path.step(),
                place if path.places >= from => {
                    if self.ground.merge {
                        self.is_new(path, left, place);
                    }
                    self.branch(path, place, left)
                }
                _ => {
                    path.places += 1;
                    path.step()
                }
            };
            if progress != Progress::Event {
                break;
            }
        }
    }
}

/// The messages of the last step that something may happen to.
fn sent<A: Actor>(menu: &MessageMenu, after: &Traveller<A>, before: &Traveller<A>) -> Vec<Sent> {
    let mut sent = after.run.world.sent_since(&before.run.world);
    sent.retain(|sent| menu.nodes.is_empty() || menu.nodes.contains(&sent.from) || menu.nodes.contains(&sent.to));
    if sent.is_empty() || menu.kinds.is_empty() {
        return sent;
    }
    // Only a recording knows what a message is. On one link they are recorded in the order in which they are sent.
    let mut recorded = before.clone();
    recorded.run.world.record();
    recorded.step();
    let entries = recorded.run.world.trace().map(|trace| trace.entries.as_slice()).unwrap_or_default();
    let mut kinds: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry.what {
            What::Sent { from, to, kind, .. } => Some((from, to, kind)),
            _ => None,
        })
        .collect();
    sent.retain(|sent| match kinds.iter().position(|&(from, to, _)| (from, to) == (sent.from, sent.to)) {
        Some(at) => menu.kinds.contains(&kinds.remove(at).2),
        None => false,
    });
    sent
}

/// What may become of a message.
fn fates<A: Actor>(menu: &MessageMenu, before: &Traveller<A>, sent: Sent) -> impl Iterator<Item = Deviation> + use<A> {
    let calm = before.run.world.calm_latency(sent.from, sent.to);
    let lost = menu.lost.then_some(Deviation::Lost);
    let late: Vec<Deviation> = menu.late.iter().map(|&by| Deviation::Delayed(calm + by)).collect();
    lost.into_iter().chain(late)
}
