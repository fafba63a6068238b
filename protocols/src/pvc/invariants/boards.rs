//! P2: whose power is taken, and when.

use std::time::Duration;

use sim_core::{Check, Class, Instant, Invariant, LookBack, NodeId, Touched, World};

use super::reach::Reach;
use crate::pvc::layout::SharedRef;
use crate::pvc::protocol::Node;

/// Nobody takes the power from a node that is alive and can say so.
#[derive(Clone, Hash)]
pub(super) struct LiveNodeIsNotFenced {
    name: &'static str,
    shared: SharedRef,
    reach: Reach,
    /// How often each board has cut the power.
    cuts: Vec<u64>,
    /// How many nodes have stopped themselves.
    stopped: u64,
}

impl LiveNodeIsNotFenced {
    pub fn new(name: &'static str, shared: &SharedRef, reach: Reach) -> Self {
        LiveNodeIsNotFenced { name, shared: shared.clone(), reach, cuts: Vec::new(), stopped: 0 }
    }

    /// As long as a node takes to find out that its connection has died and to make a new one, and a shot to arrive.
    fn grace(&self) -> Duration {
        let config = &self.shared.config;
        config.session_timeout * 2 / 3 + 3 * config.ipmi_patience + Duration::from_secs(3)
    }

    fn protects(&self, world: &World<Node>, node: NodeId) -> Option<String> {
        let since = self.reach.since(node)?;
        (world.now().since(since) > self.grace()).then(|| {
            format!(
                "{} has run and been able to reach the coordination service since {since}",
                world.setup().name(node)
            )
        })
    }
}

impl Invariant<Node> for LiveNodeIsNotFenced {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        self.cuts.resize(self.shared.nodes.len(), 0);
        let mut wrong = None;
        // What was known before this event is what counts: now it is off.
        for (info, known) in
            self.shared.nodes.iter().zip(&mut self.cuts).filter(|(info, _)| touched.includes(info.board))
        {
            if let Some(board) = world.actor(info.board).and_then(Node::board) {
                let before = std::mem::replace(known, board.cuts());
                if board.cuts() > before {
                    wrong = wrong.or(Some((info.id, "its board has cut its power")));
                }
            }
        }
        if let Touched::Node(node) = touched
            && !world.is_up(node)
            && world.mark_count("stopped-itself") > self.stopped
        {
            self.stopped += 1;
            wrong = Some((node, "it has stopped itself"));
        }
        if let Some((node, what)) = wrong
            && let Some(alive) = self.protects(world, node)
        {
            return Check::Violated(format!("{alive}, but {what}"));
        }
        self.reach.update(world, touched);
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack { marks: true, ..LookBack::NOTHING }
    }
}

/// Nobody takes the power from a node that has reported less than the intervals and the throws ago.
#[derive(Clone, Hash)]
pub(super) struct FencedAfterSilence {
    name: &'static str,
    shared: SharedRef,
    /// How often each board has cut the power.
    cuts: Vec<u64>,
    /// The version of each node's report, and when it was taken.
    reports: Vec<(u32, Instant)>,
}

impl FencedAfterSilence {
    pub fn new(name: &'static str, shared: &SharedRef) -> Self {
        FencedAfterSilence { name, shared: shared.clone(), cuts: Vec::new(), reports: Vec::new() }
    }
}

impl Invariant<Node> for FencedAfterSilence {
    fn name(&self) -> &str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn check(&mut self, world: &World<Node>, touched: Touched) -> Check {
        self.cuts.resize(self.shared.nodes.len(), 0);
        self.reports.resize(self.shared.nodes.len(), (0, Instant::ZERO));
        let config = &self.shared.config;
        // A hundredth for clocks that drift.
        let silence = (config.dead_after() + config.keepalive_interval * config.saving_throws) * 99 / 100;
        let server = world.actor(self.shared.service).and_then(Node::coordination);
        let server = server.filter(|_| touched.includes(self.shared.service));
        let known = self.cuts.iter_mut().zip(&mut self.reports);
        for (info, (cuts, report)) in self.shared.nodes.iter().zip(known) {
            if let Some((_, stat)) = server.and_then(|server| server.tree().get(&info.keepalive))
                && stat.version != report.0
            {
                *report = (stat.version, world.now());
            }
            if !touched.includes(info.board) {
                continue;
            }
            let Some(board) = world.actor(info.board).and_then(Node::board) else { continue };
            let before = std::mem::replace(cuts, board.cuts());
            if board.cuts() > before && world.now().since(report.1) < silence {
                return Check::Violated(format!(
                    "the power of {} was cut, which had reported at {}, less than {silence:?} before",
                    info.name, report.1
                ));
            }
        }
        Check::Holds
    }

    fn looks_back(&self) -> LookBack {
        LookBack::NOTHING
    }
}
