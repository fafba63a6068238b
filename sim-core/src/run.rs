//! One run: a world, the invariants beside it, and the limits that end it.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::copy::copied_by_field;
use crate::state_hash::hasher;
use crate::world::Choice;
use crate::{Actor, Check, Class, Fired, Instant, Invariant, LookBack, NodeId, Touched, World};

/// A world in the making of its history, with everything that watches it. A clone goes its own way from there.
pub struct Run<A: Actor> {
    /// The world.
    pub world: World<A>,
    monitors: Vec<Monitor<A>>,
    /// By node, the invariants that it concerns: what they say of that never changes.
    concerned: Arc<[Box<[u32]>]>,
    limits: Limits,
    /// Earliest moment at which an invariant wants to be asked.
    next_ask: Instant,
    /// How many events have been handled at the current instant.
    at_this_instant: u64,
    /// The invariant that was last found to need the run to go on after its duration.
    keeps_going: usize,
    /// The invariant that is looking at the world.
    asking: Option<u32>,
}

struct Monitor<A: Actor> {
    invariant: Box<dyn Invariant<A>>,
    ask: Instant,
    /// Whether nothing can change its answer any more.
    settled: bool,
}

copied_by_field! { impl[A: Actor] Monitor<A> { invariant, ask, settled } }

impl<A: Actor> Monitor<A> {
    /// Asks the invariant, and holds it to what it has said of the past.
    #[inline]
    fn look(&mut self, world: &World<A>, ask: impl FnOnce(&mut dyn Invariant<A>, &World<A>) -> Check) -> Check {
        let back = if cfg!(debug_assertions) { self.invariant.looks_back() } else { LookBack::EVERYTHING };
        let (check, beyond) = world.looked_at(back, |world| ask(&mut *self.invariant, world));
        match beyond {
            // Whoever has found a violation may tell its whole story.
            Some(what) if !matches!(check, Check::Violated(_)) => panic!(
                "`{}` has looked at `World::{what}`, which its `looks_back` leaves out: a search would miss violations",
                self.invariant.name()
            ),
            _ => check,
        }
    }
}

copied_by_field! {
    impl[A: Actor] Run<A> {
        world, monitors, concerned, limits, next_ask, at_this_instant, keeps_going, asking,
    }
}

/// When a run ends, whatever the protocol does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// World time at which the run ends, unless an invariant needs longer to be decided.
    pub duration: Duration,
    /// Events that a run may have; more is a violation of `event-budget`.
    pub events: u64,
    /// Events that one instant of world time may have; more is a violation of `no-event-storm`.
    pub events_at_one_instant: u64,
}

impl Default for Limits {
    /// Two minutes of world time, ten million events, a hundred thousand at one instant.
    fn default() -> Self {
        Limits { duration: Duration::from_secs(120), events: 10_000_000, events_at_one_instant: 100_000 }
    }
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The first violation, which ended the run.
    pub violation: Option<Violation>,
    /// Events handled.
    pub events: u64,
    /// World time reached.
    pub end: Instant,
    /// The rolling hash of everything that happened.
    pub trace_hash: u64,
    /// What became of each planned fault, in the order of the plan.
    pub fired: Vec<(u32, &'static str, Fired)>,
    /// How often each mark was set, by name.
    pub marks: Vec<(&'static str, u64)>,
    /// Names of the coverage properties that this run reached.
    pub reached: Vec<String>,
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub invariant: String,
    /// Its kind.
    pub class: Class,
    /// World time.
    pub at: Instant,
    /// Number of the event after which it was seen; the first event of a run is number 1.
    pub event: u64,
    /// The node that the event touched, if it was one.
    pub node: Option<NodeId>,
    /// What is wrong.
    pub message: String,
}

/// Name of the violation for a panic in a handler.
pub const NO_PANIC: &str = "no-panic";
/// Name of the violation for too many events at one instant.
pub const NO_EVENT_STORM: &str = "no-event-storm";
/// Name of the violation for too many events in one run.
pub const EVENT_BUDGET: &str = "event-budget";

impl<A: Actor> Run<A> {
    /// Puts invariants beside a world that has not started.
    pub fn new(world: World<A>, invariants: Vec<Box<dyn Invariant<A>>>, limits: Limits) -> Self {
        // Every invariant is asked once at the start, to see the world before anything happens.
        let monitor = |invariant| Monitor { invariant, ask: Instant::ZERO, settled: false };
        let monitors: Vec<Monitor<A>> = invariants.into_iter().map(monitor).collect();
        let of =
            |node| (0..).zip(&monitors).filter(|(_, m)| m.invariant.concerns(node)).map(|(index, _)| index).collect();
        let concerned = world.setup().node_ids().map(of).collect();
        Run {
            world,
            monitors,
            concerned,
            limits,
            next_ask: Instant::ZERO,
            at_this_instant: 0,
            keeps_going: 0,
            asking: None,
        }
    }

    /// Runs to the end or to the first violation.
    pub fn to_end(&mut self) -> Outcome {
        let mut violation = self.until(|_| false);
        if violation.is_none() {
            violation = self.guarded(Run::finish);
        }
        self.outcome(violation)
    }

    /// Runs until `stop` says so (asked before each event), the run ends, or an invariant is violated.
    pub fn until(&mut self, mut stop: impl FnMut(&World<A>) -> bool) -> Option<Violation> {
        self.guarded(|run| {
            while !stop(&run.world) {
                match run.step() {
                    Progress::Event => {}
                    Progress::Ended => return None,
                    Progress::Violated(violation) => return Some(violation),
                }
            }
            None
        })
    }

    /// Takes a panic for the violation that it is.
    fn guarded(&mut self, body: impl FnOnce(&mut Self) -> Option<Violation>) -> Option<Violation> {
        // A handler that panics leaves its world in the middle of an event. It is only looked at from then on.
        catch_unwind(AssertUnwindSafe(|| body(self))).unwrap_or_else(|panic| {
            let (node, place) = match (self.asking.take(), self.world.handling()) {
                (Some(index), _) => (None, format!("the invariant {}", self.monitors[index as usize].invariant.name())),
                (None, Some(node)) => (Some(node), self.world.setup().name(node).to_owned()),
                (None, None) => (None, "a fault".to_owned()),
            };
            Some(self.violation(NO_PANIC, Class::Safety, node, format!("{place} panicked: {}", panic_text(&*panic))))
        })
    }

    /// Handles the next event like [`Run::step`]; a panic is a violation like any other.
    #[inline]
    pub(crate) fn advance(&mut self) -> Progress {
        self.caught(Run::step)
    }

    /// Handles events like [`Run::advance`], one at least, until the next one lies at a moment or after it.
    pub(crate) fn advance_until(&mut self, moment: Instant) -> Progress {
        self.caught(|run| {
            loop {
                match run.step() {
                    Progress::Event if run.world.next_event_at().is_some_and(|next| next < moment) => {}
                    progress => return progress,
                }
            }
        })
    }

    /// Makes this run equal to one that it was a copy of, and which has not changed since.
    pub(crate) fn restore(&mut self, source: &Self) {
        let Run { world, monitors, concerned: _, limits: _, next_ask, at_this_instant, keeps_going, asking } = source;
        self.world.restore(world);
        self.monitors.clone_from(monitors);
        (self.next_ask, self.at_this_instant) = (*next_ask, *at_this_instant);
        (self.keeps_going, self.asking) = (*keeps_going, *asking);
    }

    /// Lets every process start; nothing happens in time from then on.
    pub(crate) fn start_untimed(&mut self) -> Option<Violation> {
        self.guarded(|run| {
            run.world.start_all();
            match run.check_all() {
                Progress::Violated(violation) => Some(violation),
                _ => None,
            }
        })
    }

    /// Lets one of the things happen that can, and checks what it touched.
    pub(crate) fn choose(&mut self, choice: Choice) -> Progress {
        self.caught(|run| match run.world.choose(choice) {
            Some(touched) => run.check(touched),
            None => Progress::Event,
        })
    }

    /// [`Run::fingerprint`] without anything that only a clock tells.
    pub(crate) fn fingerprint_untimed(&mut self) -> u64 {
        let mut hash = hasher();
        let mut back = LookBack::NOTHING;
        for monitor in &self.monitors {
            monitor.invariant.dyn_hash(&mut hash);
            back = back.and(monitor.invariant.looks_back());
        }
        self.world.hash_untimed(back, &mut hash);
        hash.finish()
    }

    /// Looks at a run that has ended.
    pub(crate) fn last_look(&mut self) -> Option<Violation> {
        self.guarded(Run::finish)
    }

    /// Handles the next event and checks what it touched.
    pub fn step(&mut self) -> Progress {
        let next = self.world.next_event_at().unwrap_or(Instant::MAX);
        let due = next.min(self.next_ask);
        if due > Instant::ZERO + self.limits.duration && !self.goes_on_until(due) {
            let end = self.end();
            // A fault that waits for an event that will never come keeps nobody waiting.
            self.world.advance_to(if end == Instant::MAX { Instant::ZERO + self.limits.duration } else { end });
            return Progress::Ended;
        }
        if self.next_ask < next {
            return self.ask();
        }
        if next > self.world.now() {
            self.at_this_instant = 0;
        }
        let Some(touched) = self.world.step() else { return Progress::Event };
        self.at_this_instant += 1;
        if self.at_this_instant > self.limits.events_at_one_instant {
            let message =
                format!("more than {} events without any progress of time", self.limits.events_at_one_instant);
            return Progress::Violated(self.violation(NO_EVENT_STORM, Class::Safety, node_of(touched), message));
        }
        self.happened(touched)
    }

    /// Lets something happen that another engine brings about, and checks what it touched.
    pub(crate) fn bring_about(
        &mut self,
        now: Instant,
        event: impl FnOnce(&mut World<A>) -> Option<Touched>,
    ) -> Progress {
        self.caught(|run| {
            while let Some(touched) = run.world.strike_on_event(now) {
                match run.happened(touched) {
                    Progress::Event => {}
                    other => return other,
                }
            }
            match event(&mut run.world) {
                Some(touched) => run.happened(touched),
                None => Progress::Event,
            }
        })
    }

    /// When an invariant wants to be asked, or the run may end: whichever is earlier.
    pub(crate) fn look_at(&self) -> Instant {
        self.next_ask.min(self.end())
    }

    /// Asks the invariants that wanted to be asked by now, and ends the run if it is time.
    pub(crate) fn look(&mut self, now: Instant) -> Progress {
        self.caught(|run| {
            run.world.advance_to(now);
            if run.next_ask <= now
                && let Progress::Violated(violation) = run.ask()
            {
                return Progress::Violated(violation);
            }
            match run.end() <= now {
                true => Progress::Ended,
                false => Progress::Event,
            }
        })
    }

    /// Takes a panic for the violation that it is.
    fn caught(&mut self, body: impl FnOnce(&mut Self) -> Progress) -> Progress {
        let mut progress = Progress::Event;
        let panicked = self.guarded(|run| {
            progress = body(run);
            None
        });
        panicked.map_or(progress, Progress::Violated)
    }

    /// Checks what an event touched.
    fn happened(&mut self, touched: Touched) -> Progress {
        if self.world.events() > self.limits.events {
            let message = format!("more than {} events in one run", self.limits.events);
            return Progress::Violated(self.violation(EVENT_BUDGET, Class::Liveness, node_of(touched), message));
        }
        self.check(touched)
    }

    /// A hash of the state that the run is in, of its world and of all that its invariants remember. Two runs of one
    /// set-up and the same limits that have the same fingerprint go on alike if they are left alone: the same happens, at
    /// the same times, with the same verdict. It is the same in every process that runs the same program, and says nothing
    /// to another one.
    ///
    /// The number of events so far is no part of a state. Two runs in the same state may therefore differ in when they
    /// exceed [`Limits::events`], and in nothing else.
    pub fn fingerprint(&mut self) -> u64 {
        let mut hash = hasher();
        let mut back = LookBack::NOTHING;
        for Monitor { invariant, ask, settled } in &self.monitors {
            invariant.dyn_hash(&mut hash);
            (ask, settled).hash(&mut hash);
            back = back.and(invariant.looks_back());
        }
        let next = self.world.next_event_at();
        let at_this_instant = if next == Some(self.world.now()) { self.at_this_instant } else { 0 };
        (self.next_ask, at_this_instant).hash(&mut hash);
        // Until when a run goes on may depend on when the last fault ended.
        let waits = |m: &Monitor<A>| m.invariant.needs_until(Instant::ZERO).is_some();
        back.quiet |= self.monitors.iter().any(waits);
        self.world.hash_state(back, &mut hash);
        hash.finish()
    }

    /// When the run ends as things stand: later than its duration if a liveness property needs longer.
    pub fn end(&self) -> Instant {
        let duration = Instant::ZERO + self.limits.duration;
        self.monitors.iter().filter_map(|monitor| self.needed_by(monitor)).fold(duration, Instant::max)
    }

    /// Until when one invariant needs the run to go on.
    fn needed_by(&self, monitor: &Monitor<A>) -> Option<Instant> {
        match self.world.quiet_since() {
            Some(quiet) => monitor.invariant.needs_until(quiet),
            // While something is still to break or to mend, nobody can say from when a property's time counts.
            None => monitor.invariant.needs_until(Instant::ZERO).map(|_| Instant::MAX),
        }
    }

    /// Whether an invariant needs what is due after the run's duration.
    fn goes_on_until(&mut self, due: Instant) -> bool {
        let needs = |monitor| due < Instant::MAX && self.needed_by(monitor).is_some_and(|until| until >= due);
        // The one that needed the event before most likely needs this one too, and all others need not be asked.
        if self.monitors.get(self.keeps_going).is_some_and(needs) {
            return true;
        }
        let keeps_going = self.monitors.iter().position(needs);
        self.keeps_going = keeps_going.unwrap_or_default();
        keeps_going.is_some()
    }

    /// Asks the invariants that an event at one node concerns.
    fn check(&mut self, touched: Touched) -> Progress {
        let Touched::Node(node) = touched else { return self.check_all() };
        let mut asked = 0;
        while let Some((index, check)) = self.ask_on(node, &mut asked) {
            if let Some(violated) = self.answered(index, check, touched) {
                return violated;
            }
        }
        self.asking = None;
        Progress::Event
    }

    /// Asks the invariants that a node concerns, from one of them on, up to the first that has more to say than that it holds.
    #[inline]
    fn ask_on(&mut self, node: NodeId, asked: &mut usize) -> Option<(u32, Check)> {
        for &index in &self.concerned[node.index()][*asked..] {
            *asked += 1;
            let monitor = &mut self.monitors[index as usize];
            if monitor.settled {
                continue;
            }
            self.asking = Some(index);
            match monitor.look(&self.world, |invariant, world| invariant.check(world, Touched::Node(node))) {
                Check::Holds => monitor.ask = Instant::MAX,
                more => return Some((index, more)),
            }
        }
        None
    }

    /// Asks all invariants.
    fn check_all(&mut self) -> Progress {
        for index in 0..self.monitors.len() as u32 {
            let monitor = &mut self.monitors[index as usize];
            if monitor.settled {
                continue;
            }
            self.asking = Some(index);
            let check = monitor.look(&self.world, |invariant, world| invariant.check(world, Touched::Any));
            if let Some(violated) = self.answered(index, check, Touched::Any) {
                return violated;
            }
        }
        self.asking = None;
        Progress::Event
    }

    fn answered(&mut self, index: u32, check: Check, touched: Touched) -> Option<Progress> {
        let monitor = &mut self.monitors[index as usize];
        monitor.ask = Instant::MAX;
        match check {
            Check::Holds => {}
            Check::Settled => monitor.settled = true,
            Check::AskAgain(at) => {
                monitor.ask = at;
                self.next_ask = self.next_ask.min(at);
            }
            Check::Violated(message) => {
                self.asking = None;
                let (name, class) = (monitor.invariant.name().to_owned(), monitor.invariant.class());
                return Some(Progress::Violated(self.violation(&name, class, node_of(touched), message)));
            }
        }
        None
    }

    /// Moves time to where an invariant wants to be asked, and asks.
    fn ask(&mut self) -> Progress {
        let at = self.next_ask;
        self.world.advance_to(at);
        self.next_ask = Instant::MAX;
        let progress = self.check_all();
        self.next_ask = self.monitors.iter().map(|m| m.ask).filter(|&a| a > at).min().unwrap_or(Instant::MAX);
        progress
    }

    fn finish(&mut self) -> Option<Violation> {
        for index in 0..self.monitors.len() as u32 {
            let monitor = &mut self.monitors[index as usize];
            self.asking = Some(index);
            if let Check::Violated(message) = monitor.look(&self.world, |invariant, world| invariant.finish(world)) {
                let (name, class) = (monitor.invariant.name().to_owned(), monitor.invariant.class());
                self.asking = None;
                return Some(self.violation(&name, class, None, message));
            }
        }
        self.asking = None;
        None
    }

    /// What can be said of the run as it stands.
    pub fn outcome(&self, violation: Option<Violation>) -> Outcome {
        let reached = self
            .monitors
            .iter()
            .filter(|m| m.invariant.class() == Class::Coverage && m.invariant.reached())
            .map(|m| m.invariant.name().to_owned())
            .collect();
        Outcome {
            violation,
            events: self.world.events(),
            end: self.world.now(),
            trace_hash: self.world.trace_hash(),
            fired: self.world.fired(),
            marks: self.world.marks().to_vec(),
            reached,
        }
    }

    fn violation(&self, invariant: &str, class: Class, node: Option<NodeId>, message: String) -> Violation {
        Violation {
            invariant: invariant.to_owned(),
            class,
            at: self.world.now(),
            event: self.world.events(),
            node,
            message,
        }
    }
}

/// What a step of a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something happened, or an invariant was asked.
    Event,
    /// The run has reached its end.
    Ended,
    /// An invariant does not hold.
    Violated(Violation),
}

fn node_of(touched: Touched) -> Option<NodeId> {
    match touched {
        Touched::Node(node) => Some(node),
        Touched::Any => None,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a value that is not text")
}
