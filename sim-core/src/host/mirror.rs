//! A run that real processes bring about, as somebody sees it who hears from all of them.
//!
//! While they run, it says what is to be done to them: the plan of the run strikes here, and processes are killed and links
//! cut accordingly. Afterwards the same record is gone through again, in every order that the clocks of the processes allow,
//! to ask the invariants.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::{Came, Note, Stamp};
use super::tokio::state_hash;
use crate::queue::{Entry, Event};
use crate::trace::Trace;
use crate::world::Bringer;
use crate::{Actor, CommandId, Instant, NodeId, Outcome, Progress, Run, Violation, Wire};

/// Something that the plan of a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Deed {
    /// A process is started.
    Start(NodeId),
    /// The fault at this place of the plan strikes.
    Begin(u32),
    /// It ends.
    End(u32),
}

impl Deed {
    fn of(event: Event) -> Option<Deed> {
        match event {
            Event::Start { node } => Some(Deed::Start(node)),
            Event::FaultBegins { fault } => Some(Deed::Begin(fault)),
            Event::FaultEnds { fault } => Some(Deed::End(fault)),
            _ => None,
        }
    }
}

/// Something to be done to real processes and their network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nobody hears from the machine of a node from now on, nor does it hear from anybody.
    Vanish(NodeId),
    /// It is back.
    Appear(NodeId),
    /// Kill the process.
    Kill(NodeId),
    /// It ends by itself, in good order.
    Reap(NodeId),
    /// Start one.
    Start(NodeId),
    /// Let it stall.
    Pause(NodeId),
    /// Let it go on.
    Resume(NodeId),
    /// Let nothing pass from one node to another.
    Cut(NodeId, NodeId),
    /// Let it pass again.
    Mend(NodeId, NodeId),
    /// Ask something of an actor.
    Command(NodeId, CommandId),
    /// Let a process bring about the fault at this place of the plan, or end it.
    Suffer(NodeId, u32, bool),
}

/// An actor did not do here what it did in its process: it is not a function of what came to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Where.
    pub node: NodeId,
    /// During which note.
    pub stamp: Stamp,
    /// When, by the clock of the process.
    pub at: Instant,
    /// How.
    pub what: &'static str,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { node, stamp: Stamp { process, number }, at, what } = self;
        write!(f, "{node}, process {process}, note {number} at {at}: {what}")
    }
}

/// A run that follows real processes, without its types.
pub trait Follower {
    /// A process has noted something, at this moment of the run.
    ///
    /// # Errors
    /// If the actor does something else here than it did there.
    fn note(&mut self, at: Instant, node: NodeId, note: &Note) -> Result<(), Divergence>;

    /// The plan does something now.
    fn deed(&mut self, at: Instant, deed: Deed);

    /// What a process that has died left on its disk, as its record writes it.
    fn found(&mut self, node: NodeId, disk: &[Vec<u8>]);

    /// What the plan does next, and when.
    fn due(&self) -> Option<(Instant, Deed)>;

    /// What is to be done now, in this order.
    fn orders(&mut self) -> Vec<Order>;

    /// Lets the invariants look that want to, at this moment.
    fn look(&mut self, at: Instant);

    /// When the run ends as things stand.
    fn end(&self) -> Instant;

    /// The violation that was seen first.
    fn violation(&self) -> Option<&Violation>;

    /// Ends the run: how it went, and what was recorded of it.
    fn finish(self: Box<Self>, at: Instant) -> (Outcome, Trace);
}

/// A run that follows real processes.
pub struct Mirror<A: Actor> {
    run: Run<A>,
    wire: Wire<A>,
    /// What the plan is to do, by its time and place in the order.
    plan: BTreeMap<(u64, u64), Entry>,
    /// The event that each note was, for messages to be traced to where they were sent.
    events: BTreeMap<(NodeId, Stamp), u64>,
    /// As whoever carries out orders knows them.
    processes: Vec<Process>,
    /// Cut links, by number of the sender and of the receiver.
    cut: Vec<bool>,
    violation: Option<Violation>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Process {
    wanted: bool,
    incarnation: u32,
    paused: bool,
    vanished: bool,
    /// It has stopped itself since.
    halted: bool,
}

impl<A: Actor> Mirror<A> {
    /// Follows the processes of a cluster, for a run that has not begun.
    pub fn new(mut run: Run<A>, wire: Wire<A>) -> Self {
        run.world.follow_others(false);
        let nodes = run.world.node_ids().count();
        let mut mirror = Mirror {
            run,
            wire,
            plan: BTreeMap::new(),
            events: BTreeMap::new(),
            processes: vec![Process::default(); nodes],
            cut: vec![false; nodes * nodes],
            violation: None,
        };
        mirror.take_plan();
        mirror
    }

    /// Takes over what the world has planned. Timers are the processes' own.
    fn take_plan(&mut self) {
        let scheduled: Vec<Entry> = self.run.world.take_scheduled().collect();
        let planned = scheduled.into_iter().filter(|entry| self.run.world.bringer(*entry) == Bringer::Plan);
        self.plan.extend(planned.map(|entry| ((entry.time, entry.sequence), entry)));
    }

    fn came_to(&mut self, progress: Progress) {
        if let Progress::Violated(violation) = progress {
            self.violation.get_or_insert(violation);
        }
        self.take_plan();
    }
}

impl<A: Actor> Follower for Mirror<A> {
    fn note(&mut self, at: Instant, node: NodeId, note: &Note) -> Result<(), Divergence> {
        let diverges = |what| Err(Divergence { node, stamp: note.stamp, at: note.began, what });
        let Some(occurrence) = note.came.occurrence(note.stamp.process, &self.wire) else {
            return diverges("the note is not of this protocol");
        };
        let cause = match &note.came {
            Came::Message { from, sent, .. } => self.events.get(&(*from, *sent)).copied().unwrap_or_default(),
            _ => 0,
        };
        let was_up = self.run.world.is_up(node);
        if !was_up && !matches!(note.came, Came::Start { .. }) {
            // Of a process that was killed before this was heard.
            return Ok(());
        }
        // What the actor reads of the time is what it read there; the run's own time is what everybody agrees on.
        let progress = self.run.bring_about(at, |world| world.follow(at, note.began, node, occurrence, cause));
        self.events.insert((node, note.stamp), self.run.world.events());
        let panicked = self.violation.is_none()
            && matches!(&progress, Progress::Violated(violation) if violation.invariant == crate::NO_PANIC);
        self.came_to(progress);
        self.processes[node.index()].halted |= was_up && !self.run.world.is_up(node);
        match note.state {
            Some(_) if panicked => diverges("the actor panics here, and did not there"),
            Some(state) if state != state_hash(self.run.world.actor(node)) => {
                diverges("the actor comes to another state")
            }
            _ => Ok(()),
        }
    }

    fn deed(&mut self, at: Instant, deed: Deed) {
        let planned = self.plan.iter().find(|(_, entry)| Deed::of(entry.event) == Some(deed)).map(|(&key, _)| key);
        if let Some(entry) = planned.and_then(|key| self.plan.remove(&key)) {
            let progress = self.run.bring_about(at, |world| world.happen(at, entry));
            self.came_to(progress);
        }
    }

    fn found(&mut self, node: NodeId, disk: &[Vec<u8>]) {
        let records: Vec<_> = disk.iter().filter_map(|record| self.wire.record.read(record)).collect();
        self.run.world.found_on_disk(node, records);
    }

    fn due(&self) -> Option<(Instant, Deed)> {
        let (&(time, _), entry) = self.plan.first_key_value()?;
        Some((Instant::from_nanos(time), Deed::of(entry.event)?))
    }

    fn orders(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        let world = &mut self.run.world;
        for (node, known) in world.node_ids().zip(&mut self.processes) {
            let now = Process {
                wanted: world.is_wanted(node),
                incarnation: world.incarnation(node),
                paused: world.is_up(node) && world.is_paused(node),
                vanished: world.has_vanished(node),
                halted: false,
            };
            if now.vanished && !known.vanished {
                orders.push(Order::Vanish(node));
            }
            let ended = known.wanted && (!now.wanted || now.incarnation != known.incarnation);
            if ended {
                orders.push(if known.halted { Order::Reap(node) } else { Order::Kill(node) });
            }
            if known.vanished && !now.vanished {
                orders.push(Order::Appear(node));
            }
            if now.wanted && (ended || !known.wanted) {
                orders.push(Order::Start(node));
            }
            if now.paused != (known.paused && !ended) {
                orders.push(if now.paused { Order::Pause(node) } else { Order::Resume(node) });
            }
            *known = now;
        }
        let links = world.node_ids().flat_map(|from| world.node_ids().map(move |to| (from, to)));
        for ((from, to), known) in links.zip(&mut self.cut) {
            let cut = world.is_cut(from, to);
            if cut != *known {
                orders.push(if cut { Order::Cut(from, to) } else { Order::Mend(from, to) });
            }
            *known = cut;
        }
        orders.extend(world.take_commands().into_iter().map(|(node, command)| Order::Command(node, command)));
        let sufferings = world.take_sufferings().into_iter();
        orders.extend(sufferings.map(|(node, place, begins)| Order::Suffer(node, place, begins)));
        orders
    }

    fn look(&mut self, at: Instant) {
        while self.run.look_at() <= at && self.run.look_at() < self.run.end() {
            let progress = self.run.look(self.run.look_at());
            self.came_to(progress);
        }
    }

    fn end(&self) -> Instant {
        self.run.end()
    }

    fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    fn finish(mut self: Box<Self>, at: Instant) -> (Outcome, Trace) {
        let progress = self.run.look(at.max(self.run.world.now()));
        self.came_to(progress);
        let violation = self.violation.take().or_else(|| self.run.last_look());
        let trace = self.run.world.trace().cloned().unwrap_or_default();
        (self.run.outcome(violation), trace)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::{Context, Fault, Limits, Schedule, Setup, SyncToken, Trigger, World};

    /// Writes a record when it starts, and remembers a number that its maker has given it.
    #[derive(Clone, Hash)]
    struct Server {
        number: u64,
        synced: bool,
    }

    impl Actor for Server {
        type Message = ();
        type Timer = u8;
        type Record = u64;
        type Command = ();
        fn on_start(&mut self, _: &[u64], ctx: &mut Context<Self>) {
            ctx.write(self.number);
            ctx.sync();
            ctx.set_timer(1, Duration::from_secs(1));
        }
        fn on_message(&mut self, _: NodeId, (): (), _: &mut Context<Self>) {}
        fn on_timer(&mut self, timer: u8, ctx: &mut Context<Self>) {
            assert_eq!(timer, 1, "nobody has set another");
            ctx.mark("timed");
            ctx.halt();
        }
        fn on_synced(&mut self, _: SyncToken, _: &mut Context<Self>) {
            self.synced = true;
        }
    }

    /// Two servers, of which the first is killed at ten seconds, and its clock stepped before; `number` is what their maker
    /// gives them.
    fn mirror(number: impl Fn() -> u64 + Send + Sync + 'static) -> Mirror<Server> {
        let setup = Setup::new(["alpha", "beta"], move |_| Server { number: number(), synced: false });
        let mut schedule = Schedule::seeded(1);
        let crash = Fault::Crash { node: NodeId(0) };
        schedule.faults.push(Trigger::At(Instant::from_secs(10)), crash, Some(Duration::from_secs(2)));
        let clock = Fault::Clock { node: NodeId(0), step: 3_000_000_000, drift_ppm: None };
        schedule.faults.push(Trigger::At(Instant::from_secs(5)), clock, Some(Duration::from_secs(100)));
        let world = World::new(&Arc::new(setup), &Arc::new(schedule));
        Mirror::new(Run::new(world, Vec::new(), Limits::default()), Wire::new())
    }

    fn note(number: u64, came: Came, state: u64) -> Note {
        let stamp = Stamp { process: 0, number };
        let at = Instant::from_secs(number);
        Note { stamp, began: at, ended: at, came, state: Some(state) }
    }

    fn started(number: u64) -> Note {
        note(0, Came::Start { disk: Vec::new() }, state_hash(Some(&Server { number, synced: false })))
    }

    #[test]
    fn it_starts_and_kills_what_the_plan_says_and_knows_what_was_synced() {
        let mut mirror = mirror(|| 7);
        while let Some((Instant::ZERO, deed)) = mirror.due() {
            mirror.deed(Instant::ZERO, deed);
        }
        assert_eq!(mirror.orders(), [Order::Start(NodeId(0)), Order::Start(NodeId(1))]);
        assert_eq!(mirror.note(Instant::ZERO, NodeId(0), &started(7)), Ok(()));
        assert_eq!(mirror.run.world.durable(NodeId(0)).count(), 0);
        let synced = Came::Synced { token: SyncToken(1), ok: true, length: 20 };
        let after = state_hash(Some(&Server { number: 7, synced: true }));
        assert_eq!(mirror.note(Instant::from_secs(1), NodeId(0), &note(1, synced, after)), Ok(()));
        assert_eq!(mirror.run.world.durable(NodeId(0)).collect::<Vec<_>>(), [&7]);
        assert_eq!(mirror.orders(), []);
        let clock = mirror.due().expect("it is planned");
        assert_eq!(clock, (Instant::from_secs(5), Deed::Begin(1)));
        mirror.deed(clock.0, clock.1);
        assert_eq!(mirror.orders(), [Order::Suffer(NodeId(0), 1, true)]);
        let crash = mirror.due().expect("it is planned");
        assert_eq!(crash, (Instant::from_secs(10), Deed::Begin(0)));
        mirror.deed(crash.0, crash.1);
        assert_eq!(mirror.orders(), [Order::Kill(NodeId(0))]);
        // It ends after its two seconds, and the process starts again.
        for _ in 0..2 {
            let (at, deed) = mirror.due().expect("its end is planned");
            mirror.deed(at, deed);
        }
        assert_eq!(mirror.orders(), [Order::Start(NodeId(0))]);
    }

    #[test]
    fn a_process_that_halts_is_not_killed() {
        let mut mirror = mirror(|| 7);
        mirror.deed(Instant::ZERO, Deed::Start(NodeId(0)));
        mirror.note(Instant::ZERO, NodeId(0), &started(7)).expect("it is what it was");
        mirror.orders();
        let timer = Came::Timer(mirror.wire.timer.write(&1));
        mirror.note(Instant::from_secs(1), NodeId(0), &note(1, timer, 0)).expect("nothing is left of it");
        assert_eq!(mirror.orders(), [Order::Reap(NodeId(0))]);
        assert_eq!(mirror.run.world.marks(), [("timed", 1)]);
    }

    #[test]
    fn a_process_that_starts_suffers_from_nothing_before_it_is_told() {
        let mut mirror = mirror(|| 7);
        let clock = |mirror: &Mirror<Server>| mirror.run.world.clock(NodeId(0)).wall(Instant::from_secs(30));
        let sound = clock(&mirror);
        mirror.note(Instant::ZERO, NodeId(0), &started(7)).expect("it is what it was");
        mirror.deed(Instant::from_secs(5), Deed::Begin(1));
        assert!(mirror.orders().contains(&Order::Suffer(NodeId(0), 1, true)));
        assert_eq!(clock(&mirror), sound, "its process has yet to bring it about");
        let told = Came::Fault { place: 1, begins: true };
        let after = state_hash(Some(&Server { number: 7, synced: false }));
        mirror.note(Instant::from_secs(5), NodeId(0), &note(1, told, after)).expect("the actor does not notice");
        assert_eq!(clock(&mirror), sound + Duration::from_secs(3));
        mirror.deed(Instant::from_secs(10), Deed::Begin(0));
        let again = Note { stamp: Stamp { process: 1, number: 0 }, ..started(7) };
        mirror.note(Instant::from_secs(13), NodeId(0), &again).expect("it is what it was");
        assert_eq!(clock(&mirror), sound, "the new process has a clock of its own, until it is told too");
    }

    #[test]
    fn an_actor_that_is_no_function_of_what_comes_to_it_is_found_out() {
        let next = AtomicU64::new(0);
        let mut mirror = mirror(move || next.fetch_add(1, Ordering::Relaxed));
        assert_eq!(mirror.note(Instant::ZERO, NodeId(0), &started(0)), Ok(()));
        let divergence = mirror.note(Instant::ZERO, NodeId(1), &started(0)).expect_err("its number is 1 here");
        assert_eq!(divergence.to_string(), "n1, process 0, note 0 at 0s: the actor comes to another state");
    }

    #[test]
    fn a_panic_is_a_violation_if_the_process_noted_it_and_a_divergence_if_not() {
        let timer = |mirror: &Mirror<Server>| Came::Timer(mirror.wire.timer.write(&2));
        let mut noted = mirror(|| 7);
        noted.note(Instant::ZERO, NodeId(0), &started(7)).expect("it is what it was");
        let panicked = Note { state: None, ..note(1, timer(&noted), 0) };
        assert_eq!(noted.note(Instant::from_secs(1), NodeId(0), &panicked), Ok(()));
        assert_eq!(noted.violation().map(|violation| violation.invariant.as_str()), Some(crate::NO_PANIC));
        let mut survived = mirror(|| 7);
        survived.note(Instant::ZERO, NodeId(0), &started(7)).expect("it is what it was");
        let went_on = note(1, timer(&survived), 0);
        assert!(survived.note(Instant::from_secs(1), NodeId(0), &went_on).is_err());
    }

    #[test]
    fn what_no_process_of_this_protocol_can_have_written_is_found_out() {
        let mut mirror = mirror(|| 7);
        let nonsense = note(0, Came::Timer(vec![1, 2, 3]), 0);
        assert!(mirror.note(Instant::ZERO, NodeId(0), &nonsense).is_err());
    }
}
