//! Recovery of the virtual machines of a fenced node: each is claimed, its storage freed, and given to another node.
//!
//! The claim is a compare-and-set of the machine's record. A node that boots again claims its own machines the same way,
//! so only one of the two gets each.

use std::collections::VecDeque;

use sim_core::NodeId;

use super::config::Policy;
use super::daemon::{Ctx, Daemon};
use super::layout::{Placement, VmPaths};
use super::message::Call;
use crate::services::coordination::{Answer, Done, Error, Op, Text};

/// For what a recovery waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The machine to be claimed.
    Claim,
    /// Its storage to be freed.
    Free,
    /// It to be given to its new node.
    Assign,
    /// The end to be written.
    Finish,
}

/// A recovery that is under way.
#[derive(Clone, Debug, Hash)]
pub struct Recovery {
    /// Whose machines.
    node: Text,
    /// Numbers of those that are left; the first is at work.
    left: VecDeque<u16>,
    /// The version of the record of the first.
    version: u32,
    /// Counts those that were given away.
    given: usize,
}

impl Daemon {
    /// Starts the machines of a fenced node elsewhere.
    pub(super) fn begin_recovery(&mut self, target: NodeId, ctx: &mut Ctx) {
        let node = self.shared.node(target).name.clone();
        let left = self.vms_where(|placement| *placement.host() == node);
        self.monitor.running.retain(|running| *running != node);
        self.monitor.recovery = Some(Recovery { node, left, version: 0, given: 0 });
        self.recover_next(ctx);
    }

    /// Goes on with what an earlier fencer has left: machines that are claimed and not given to anybody, and those of
    /// a node that was fenced and is not back.
    pub(super) fn begin_left_recovery(&mut self, ctx: &mut Ctx) -> bool {
        let migrate = self.shared.config.successful_fence == Policy::Migrate;
        let fenced = &self.monitor.fenced;
        let left = self.vms_where(|placement| {
            matches!(placement, Placement::Recovering(_)) || (migrate && fenced.contains(placement.host()))
        });
        let Some(node) =
            left.front().and_then(|&vm| self.placement_seen(vm)).map(|(placement, _)| placement.host().clone())
        else {
            return false;
        };
        self.monitor.recovery = Some(Recovery { node, left, version: 0, given: 0 });
        self.recover_next(ctx);
        true
    }

    fn vms_where(&self, which: impl Fn(&Placement) -> bool) -> VecDeque<u16> {
        let seen = |vm: &u16| self.placement_seen(*vm).is_some_and(|(placement, _)| which(&placement));
        (0..self.shared.vms.len() as u16).filter(seen).collect()
    }

    fn recover_next(&mut self, ctx: &mut Ctx) {
        let Some(recovery) = &mut self.monitor.recovery else { return };
        let Some(&vm) = recovery.left.front() else {
            let Some(path) = self.shared.named(&recovery.node).map(|node| node.domain_state.clone()) else { return };
            let op = Op::Set { path, data: "flushed".into(), version: None };
            return self.write(vec![op], Call::Recovery(Step::Finish), ctx);
        };
        let Some((placement, version)) = self.placement_seen(vm) else { return };
        let Some(recovery) = &mut self.monitor.recovery else { return };
        recovery.version = version;
        match placement {
            Placement::Recovering(_) => self.free_storage(vm, ctx),
            placement => {
                let claimed = Placement::Recovering(placement.host().clone());
                self.write_placement(vm, &claimed, version, Call::Recovery(Step::Claim), ctx);
            }
        }
    }

    fn free_storage(&mut self, vm: u16, ctx: &mut Ctx) {
        let path = self.paths_of(vm).storage.clone();
        self.write(vec![Op::Delete { path, version: None }], Call::Recovery(Step::Free), ctx);
    }

    pub(super) fn paths_of(&self, vm: u16) -> &VmPaths {
        &self.shared.vms[usize::from(vm)]
    }

    pub(super) fn recovery_replied(&mut self, step: Step, result: Result<Answer, Error>, ctx: &mut Ctx) {
        if self.monitor.recovery.is_none() {
            return;
        }
        if !self.may_fence(ctx) {
            return self.abort_monitor(ctx);
        }
        let Some(recovery) = &mut self.monitor.recovery else { return };
        let Some(&vm) = recovery.left.front() else {
            self.monitor.recovery = None; // That was the end of it.
            return self.next_target(ctx);
        };
        match (step, result) {
            (Step::Claim, Ok(Answer::Done(done))) => {
                if let Some(Done::Set(version)) = done.first() {
                    recovery.version = *version;
                }
                self.free_storage(vm, ctx);
            }
            (Step::Free, Err(Error::NoNode(_))) if self.shared.defects.x457b7bed => {
                // Defect 457b7bed: nobody catches the error, so the loop over the machines ends here.
                ctx.mark("vm-storage-was-free");
                self.monitor.recovery = None;
                self.end_monitor(ctx);
            }
            (Step::Free, result) => {
                ctx.mark(if result.is_ok() { "vm-storage-freed" } else { "vm-storage-was-free" });
                self.assign(vm, ctx);
            }
            // Its node is back and has claimed it, or somebody has it already.
            (Step::Claim, Err(_)) | (Step::Assign, Err(_)) => self.recovered(ctx),
            (Step::Assign, Ok(_)) => {
                ctx.mark("vm-recovered");
                self.recovered(ctx);
            }
            (step, result) => panic!("{step:?} of a recovery was answered by {result:?}"),
        }
    }

    fn recovered(&mut self, ctx: &mut Ctx) {
        if let Some(recovery) = &mut self.monitor.recovery {
            recovery.left.pop_front();
        }
        self.recover_next(ctx);
    }

    /// Gives a machine to one of the nodes that run, in turn.
    fn assign(&mut self, vm: u16, ctx: &mut Ctx) {
        let own = self.name().clone();
        let running = &self.monitor.running;
        let Some(recovery) = &mut self.monitor.recovery else { return };
        let host = match running.len() {
            0 => own,
            count => running[(recovery.given + usize::from(vm)) % count].clone(),
        };
        recovery.given += 1;
        let version = recovery.version;
        self.write_placement(vm, &Placement::Start(host), version, Call::Recovery(Step::Assign), ctx);
    }
}
