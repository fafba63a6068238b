//! A run whose events another engine brings about: what that engine is to do next.

use std::time::Duration;

use crate::queue::Entry;
use crate::trace::Trace;
use crate::world::Bringer;
use crate::{Actor, Context, Instant, NodeId, Outcome, Progress, Run, Violation};

/// Something for the engine to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Errand {
    /// The process of a node has died: nothing of it is left.
    Kill(NodeId),
    /// A new process has started there; which one, counted.
    Start(NodeId, u32),
    /// It stalls.
    Pause(NodeId),
    /// It goes on.
    Resume(NodeId),
    /// A link is cut.
    Cut(NodeId, NodeId),
    /// It is open again.
    Mend(NodeId, NodeId),
    /// Bring about an event, at its time. What goes over the network is sent at that time.
    Bring(Entry, Bringer),
}

/// A run on another engine.
pub(super) struct Stage<A: Actor> {
    run: Run<A>,
    outcome: Option<Outcome>,
    /// As the engine knows them.
    processes: Vec<Process>,
    /// Cut links, by number of the sender and of the receiver.
    cut: Vec<bool>,
}

/// The process of a node.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Process {
    up: bool,
    /// Counts the starts and ends.
    incarnation: u32,
    paused: bool,
}

impl<A: Actor> Stage<A> {
    pub fn new(mut run: Run<A>) -> Self {
        run.world.be_hosted();
        let nodes = run.world.node_ids().count();
        Stage { run, outcome: None, processes: vec![Process::default(); nodes], cut: vec![false; nodes * nodes] }
    }

    /// How the run went, if it has ended, and what was recorded of it.
    pub fn outcome(&mut self) -> Option<(Outcome, Trace)> {
        let outcome = self.outcome.take()?;
        Some((outcome, self.run.world.trace().cloned().unwrap_or_default()))
    }

    /// Whether it has.
    pub fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    /// When to look at the run next, whether or not anything happens.
    pub fn look_at(&self) -> Instant {
        self.run.look_at()
    }

    /// Lets something happen.
    pub fn bring(&mut self, now: Instant, entry: Entry) {
        let progress = self.run.bring_about(now, |world| world.happen(now, entry));
        self.came_to(progress);
    }

    /// Lets the actor of a node see what the code that it stands for shows.
    pub fn show(&mut self, now: Instant, node: NodeId, incarnation: u32, what: impl FnOnce(&mut A, &mut Context<A>)) {
        let progress = self.run.bring_about(now, |world| world.show(now, node, incarnation, what));
        self.came_to(progress);
    }

    /// The process of a node ends by itself.
    pub fn halt(&mut self, now: Instant, node: NodeId, incarnation: u32) {
        let progress = self.run.bring_about(now, |world| world.halt(now, node, incarnation));
        self.came_to(progress);
    }

    /// Lets the invariants look that want to.
    pub fn look(&mut self, now: Instant) {
        let progress = self.run.look(now);
        self.came_to(progress);
    }

    fn came_to(&mut self, progress: Progress) {
        match progress {
            Progress::Event => {}
            Progress::Ended => {
                let violation = self.run.last_look();
                self.end(violation);
            }
            Progress::Violated(violation) => self.end(Some(violation)),
        }
    }

    fn end(&mut self, violation: Option<Violation>) {
        self.outcome = Some(self.run.outcome(violation));
    }

    /// What the engine is to do now, in this order.
    pub fn errands(&mut self) -> Vec<Errand> {
        let mut errands = Vec::new();
        let world = &mut self.run.world;
        for (node, known) in world.node_ids().zip(&mut self.processes) {
            let now = Process {
                up: world.is_up(node),
                incarnation: world.incarnation(node),
                paused: world.is_up(node) && world.is_paused(node),
            };
            let another = (now.up, now.incarnation) != (known.up, known.incarnation);
            if another && known.up {
                errands.push(Errand::Kill(node));
            }
            if another && now.up {
                errands.push(Errand::Start(node, now.incarnation));
            }
            if now.paused != (known.paused && !another) {
                errands.push(if now.paused { Errand::Pause(node) } else { Errand::Resume(node) });
            }
            *known = now;
        }
        let links = world.node_ids().flat_map(|from| world.node_ids().map(move |to| (from, to)));
        for ((from, to), known) in links.zip(&mut self.cut) {
            let cut = world.is_cut(from, to);
            if cut != *known {
                errands.push(if cut { Errand::Cut(from, to) } else { Errand::Mend(from, to) });
            }
            *known = cut;
        }
        let scheduled: Vec<Entry> = world.take_scheduled().collect();
        errands.extend(scheduled.into_iter().map(|entry| Errand::Bring(entry, world.bringer(entry))));
        errands
    }
}

/// How long from one moment to another, nothing if it is not later.
pub(super) fn until(now: Instant, at: u64) -> Duration {
    Duration::from_nanos(at.saturating_sub(now.as_nanos()))
}
