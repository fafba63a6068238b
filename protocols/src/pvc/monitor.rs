//! The fence monitor: after each keepalive a coordinator looks who has not reported, if nobody else is at it.

use std::collections::{BTreeMap, VecDeque};

use sim_core::{Instant, NodeId};

use super::daemon::{Ctx, Daemon, Life};
use super::fence::Fence;
use super::message::Call;
use super::recovery::Recovery;
use super::state::Router;
use crate::services::coordination::{Answer, Error, LockId, LockKind, Text};

/// What the monitor of a node knows and does.
#[derive(Clone, Debug, Default, Hash)]
pub struct Monitor {
    /// The lock that lets it fence.
    pub(super) lock: Option<LockId>,
    /// The version of each node's last report, and when that was first seen. What the report says is no guide: a clock
    /// can be set back.
    heard: BTreeMap<NodeId, (u32, Instant)>,
    /// Who is to be fenced, with the versions of its state and of its last report.
    queue: VecDeque<(NodeId, u32, u32)>,
    /// Fences that are under way; more than one only with defect a6f85003.
    pub(super) fences: BTreeMap<NodeId, Fence>,
    /// A recovery of virtual machines that is under way.
    pub(super) recovery: Option<Recovery>,
    /// The nodes that were running at the last look.
    pub(super) running: Vec<Text>,
    /// The nodes that were fenced and not back at the last look.
    pub(super) fenced: Vec<Text>,
}

impl Monitor {
    /// The nodes that it is fencing.
    pub fn targets(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.fences.keys().copied()
    }
}

impl Daemon {
    /// Its fence monitor.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Whether it may fence, by the clock: the lock may have gone while the process was paused.
    pub(super) fn may_fence(&self, ctx: &Ctx) -> bool {
        let locked = self.monitor.lock.is_some_and(|lock| self.zk.holds(lock));
        // Defect a6f85003: there is no such lock.
        (locked || self.shared.defects.a6f85003) && self.zk.trusts(ctx.now())
    }

    /// Looks after the other nodes, unless that is suspended or somebody does it already.
    pub(super) fn look_at_others(&mut self, ctx: &mut Ctx) {
        let maintenance =
            self.zk.seen(&self.shared.paths.maintenance).value().is_some_and(|(text, _)| &**text == "true");
        if maintenance || !self.is_coordinator() || self.life != Life::Run {
            return;
        }
        // Defect 464c69aa: only the primary looks.
        if self.shared.defects.x464c69aa && self.router != Router::Primary {
            return;
        }
        // Defect a6f85003: everybody looks, on his own.
        if self.shared.defects.a6f85003 {
            return self.scan(ctx);
        }
        if self.monitor.lock.is_none() {
            let path = self.shared.paths.fence_lock.clone();
            let timeout = self.shared.config.fence_lock_timeout();
            self.monitor.lock = Some(self.zk.lock(&path, LockKind::Exclusive, Some(timeout), ctx));
        }
    }

    /// Reads what all nodes have reported.
    pub(super) fn scan(&mut self, ctx: &mut Ctx) {
        let paths = self.shared.nodes.iter().flat_map(|node| [node.daemon_state.clone(), node.keepalive.clone()]);
        self.read(paths.collect(), Call::Scan, ctx);
    }

    pub(super) fn scanned(&mut self, result: Result<Answer, Error>, ctx: &mut Ctx) {
        let Ok(Answer::Read(read)) = result else { panic!("a look at all nodes was answered by {result:?}") };
        self.monitor.running.clear();
        self.monitor.fenced.clear();
        let shared = self.shared.clone();
        for (node, state_and_report) in shared.nodes.iter().zip(read.chunks(2)) {
            let [Some((state, stat)), Some((report, reported))] = state_and_report else { continue };
            match &**state {
                "run" => self.monitor.running.push(node.name.clone()),
                "fenced" => self.monitor.fenced.push(node.name.clone()),
                _ => {}
            }
            if node.id == ctx.node() {
                continue;
            }
            let stale = self.is_stale(node.id, report, reported.version, ctx);
            let eligible = match &**state {
                "run" => true,
                // Defect PVC-L6: once it is marked, nobody looks at it again.
                "dead" => !shared.defects.pvc_l6,
                // Defect PVC-L10: whoever shuts down is left alone, also when it never comes to an end.
                "shutdown" => !shared.defects.pvc_l10,
                _ => false,
            };
            if stale && eligible && !self.monitor.fences.contains_key(&node.id) {
                self.monitor.queue.push_back((node.id, stat.version, reported.version));
            }
        }
        // Defect a6f85003: all at once.
        while self.shared.defects.a6f85003
            && let Some((target, version, report)) = self.monitor.queue.pop_front()
        {
            self.begin_fence(target, version, report, ctx);
        }
        self.next_target(ctx);
    }

    /// Whether a node has not reported for too long.
    fn is_stale(&mut self, node: NodeId, report: &str, version: u32, ctx: &Ctx) -> bool {
        let limit = self.shared.config.dead_after();
        let now = ctx.now();
        let heard = self.monitor.heard.entry(node).or_insert((version, now));
        if heard.0 != version {
            *heard = (version, now);
        }
        // Defect PVC-L9: the two times are by different clocks.
        if self.shared.defects.pvc_l9 {
            let seconds = ctx.wall_clock().as_nanos() / 1_000_000_000;
            return seconds > report.parse::<u64>().unwrap_or(0) + limit.as_secs();
        }
        now.since(heard.1) > limit
    }

    /// Fences the next node, one after the other, and gives the lock up after the last.
    pub(super) fn next_target(&mut self, ctx: &mut Ctx) {
        if !self.monitor.fences.is_empty() || self.monitor.recovery.is_some() {
            return;
        }
        if let Some((target, version, report)) = self.monitor.queue.pop_front() {
            return self.begin_fence(target, version, report, ctx);
        }
        // What an earlier fencer has left half done.
        if !self.shared.defects.pvc_l6 && self.begin_left_recovery(ctx) {
            return;
        }
        self.end_monitor(ctx);
    }

    pub(super) fn end_monitor(&mut self, ctx: &mut Ctx) {
        if let Some(lock) = self.monitor.lock.take() {
            self.zk.release(lock, ctx);
        }
    }

    /// The connection is lost, or the lock: whoever gets it next begins anew.
    pub(super) fn abort_monitor(&mut self, ctx: &mut Ctx) {
        if !self.monitor.fences.is_empty() {
            ctx.mark("fence-aborted");
        }
        self.monitor.fences.clear();
        self.monitor.queue.clear();
        self.monitor.recovery = None;
        self.end_monitor(ctx);
    }
}
