//! One fence: the target is marked dead, has some throws for saving itself, and loses its power.

use std::sync::Arc;

use sim_core::{Instant, NodeId};

use super::config::Policy;
use super::daemon::{Ctx, Daemon};
use super::layout::NONE;
use super::message::{Call, Timer};
use crate::services::coordination::{Answer, Error, Op, Stat, Text};
use crate::services::power::{Action, Refusal};

/// For which answer of the coordination service a fence waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The target to be marked.
    Mark,
    /// The target's state, for a throw.
    Throw,
    /// The target's state and the primary key, after the shots.
    Look,
    /// The outcome to be written.
    Conclude,
}

/// Which answer of a board a fence waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shot {
    /// To power off.
    Off,
    /// Whether it is off.
    IsOff,
    /// To power on.
    On,
    /// Whether it is on.
    IsOn,
    /// To a reset, which once was all.
    Reset,
}

/// What a request to a board was for: the target, the number of the fence, the shot.
pub(super) type PowerCall = (NodeId, u32, Shot);

/// What comes after the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Next {
    Throw,
    AskWhetherOff,
    AskWhetherOn,
    Judge,
}

/// A fence that is under way.
#[derive(Clone, Debug, Hash)]
pub struct Fence {
    number: u32,
    /// The version of the target's last report when it was marked.
    report: u32,
    throws: u32,
    /// When the last question about the target's state was asked.
    asked: Instant,
    next: Next,
    /// Whether the target was off when it should have been; `None` if that was not to be learned.
    was_off: Option<bool>,
    /// Whether the target was off in the end.
    is_off: Option<bool>,
    /// What was said to a reset.
    reset: Option<bool>,
}

/// An answer about a target's state is too old to shoot upon after this much of the fencer's time.
const FRESH: std::time::Duration = std::time::Duration::from_secs(1);

impl Daemon {
    pub(super) fn begin_fence(&mut self, target: NodeId, version: u32, report: u32, ctx: &mut Ctx) {
        let fence = Fence {
            number: self.next_serial(),
            report,
            throws: 0,
            asked: ctx.now(),
            next: Next::Throw,
            was_off: None,
            is_off: None,
            reset: None,
        };
        self.monitor.fences.insert(target, fence);
        ctx.mark("fence-started");
        let path = self.shared.node(target).daemon_state.clone();
        let op = Op::Set { path, data: "dead".into(), version: Some(version) };
        self.write(vec![op], Call::Fence(target, Step::Mark), ctx);
    }

    pub(super) fn fence_replied(&mut self, target: NodeId, step: Step, result: Result<Answer, Error>, ctx: &mut Ctx) {
        let Some(asked) = self.monitor.fences.get(&target).map(|fence| fence.asked) else { return };
        if !self.may_fence(ctx) {
            return self.abort_monitor(ctx);
        }
        match (step, result) {
            (Step::Mark, Ok(_)) => {
                ctx.mark("marked-dead");
                self.fence_waits(target, Next::Throw, self.shared.config.keepalive_interval, ctx);
            }
            // It has changed since it was looked at.
            (Step::Mark, Err(_)) => self.end_fence(target, ctx),
            (Step::Throw, Ok(Answer::Read(read))) => {
                if ctx.now().since(asked) > FRESH {
                    return self.ask_state(target, ctx);
                }
                self.thrown(target, &read, ctx);
            }
            (Step::Look, Ok(Answer::Read(read))) => self.conclude(target, read, ctx),
            (Step::Conclude, result) => {
                if result.is_ok() {
                    ctx.mark("fenced");
                    if self.shared.config.successful_fence == Policy::Migrate {
                        self.monitor.fences.remove(&target);
                        return self.begin_recovery(target, ctx);
                    }
                }
                self.end_fence(target, ctx);
            }
            (step, result) => panic!("{step:?} of a fence was answered by {result:?}"),
        }
    }

    fn fence_waits(&mut self, target: NodeId, next: Next, how_long: std::time::Duration, ctx: &mut Ctx) {
        if let Some(fence) = self.monitor.fences.get_mut(&target) {
            fence.next = next;
            ctx.set_timer(Timer::Fence(target), how_long);
        }
    }

    pub(super) fn fence_goes_on(&mut self, target: NodeId, ctx: &mut Ctx) {
        let Some(fence) = self.monitor.fences.get(&target) else { return };
        let next = fence.next;
        if !self.may_fence(ctx) {
            return self.abort_monitor(ctx);
        }
        match next {
            // Defect 0a01d842: the thread dies where it reads how long to wait.
            Next::Throw if self.shared.defects.x0a01d842 => self.end_fence(target, ctx),
            Next::Throw => self.ask_state(target, ctx),
            Next::AskWhetherOff => self.shoot(target, Action::Status, Shot::IsOff, ctx),
            Next::AskWhetherOn => self.shoot(target, Action::Status, Shot::IsOn, ctx),
            Next::Judge => {
                let paths = vec![self.shared.node(target).daemon_state.clone(), self.shared.paths.primary.clone()];
                self.read(paths, Call::Fence(target, Step::Look), ctx);
            }
        }
    }

    fn ask_state(&mut self, target: NodeId, ctx: &mut Ctx) {
        let info = self.shared.node(target);
        let paths = vec![info.daemon_state.clone(), info.keepalive.clone()];
        if let Some(fence) = self.monitor.fences.get_mut(&target) {
            fence.asked = ctx.now();
        }
        self.read(paths, Call::Fence(target, Step::Throw), ctx);
    }

    /// A saving throw: whoever has changed its state is alive, and so is whoever has reported.
    fn thrown(&mut self, target: NodeId, read: &[Option<(Text, Stat)>], ctx: &mut Ctx) {
        let [Some((state, _)), Some((_, report))] = read else { unreachable!("nobody deletes these nodes") };
        let Some(fence) = self.monitor.fences.get(&target) else { return };
        // Defect PVC-L9: what it reports is not compared with what it had reported, here neither.
        let reported = report.version != fence.report && !self.shared.defects.pvc_l9;
        if &**state != "dead" || reported {
            ctx.mark("saving-throw-passed");
            return self.end_fence(target, ctx);
        }
        // Defect ccee124c: three.
        let throws = if self.shared.defects.ccee124c { 3 } else { self.shared.config.saving_throws };
        let interval = self.shared.config.keepalive_interval;
        let Some(fence) = self.monitor.fences.get_mut(&target) else { return };
        fence.throws += 1;
        if fence.throws < throws {
            return self.fence_waits(target, Next::Throw, interval, ctx);
        }
        ctx.mark("shot");
        // Defect c6d552ae: one request does it all, and says nothing of the target's state if it fails.
        match self.shared.defects.c6d552ae {
            true => self.shoot(target, Action::Reset, Shot::Reset, ctx),
            false => self.shoot(target, Action::Off, Shot::Off, ctx),
        }
    }

    fn shoot(&mut self, target: NodeId, action: Action, shot: Shot, ctx: &mut Ctx) {
        let Some(number) = self.monitor.fences.get(&target).map(|fence| fence.number) else { return };
        self.ipmi.ask(self.shared.node(target).board, action, (target, number, shot), ctx);
    }

    pub(super) fn board_answered(&mut self, call: PowerCall, said: Result<Arc<str>, Refusal>, ctx: &mut Ctx) {
        let (target, number, shot) = call;
        if self.monitor.fences.get(&target).is_none_or(|fence| fence.number != number) {
            return; // Of a fence that was aborted.
        }
        if !self.may_fence(ctx) {
            return self.abort_monitor(ctx);
        }
        let config = &self.shared.config;
        let (off_wait, on_wait, hold) = (config.ipmi_off_wait, config.ipmi_on_wait, config.post_fence_hold);
        let off = said.as_ref().ok().map(|text| self.says_off(text));
        let Some(fence) = self.monitor.fences.get_mut(&target) else { return };
        match shot {
            Shot::Off => self.fence_waits(target, Next::AskWhetherOff, off_wait, ctx),
            Shot::IsOff => {
                fence.was_off = off;
                self.shoot(target, Action::On, Shot::On, ctx);
            }
            Shot::On => self.fence_waits(target, Next::AskWhetherOn, on_wait, ctx),
            Shot::IsOn => {
                fence.is_off = off;
                self.fence_waits(target, Next::Judge, hold, ctx);
            }
            Shot::Reset => {
                fence.reset = Some(said.is_ok());
                self.fence_waits(target, Next::Judge, hold, ctx);
            }
        }
    }

    /// Whether a board's words say that the power is off.
    fn says_off(&self, text: &str) -> bool {
        // Defect 06f0f7ed: the words were never equal, as a line feed came with them.
        let text = if self.shared.defects.x06f0f7ed { text } else { text.trim() };
        // Defect PVC-L5: nor are these, as the board writes `off`.
        match self.shared.defects.pvc_l5 {
            true => text == "Chassis Power is Off",
            false => text.eq_ignore_ascii_case("chassis power is off"),
        }
    }

    /// The outcome. Off when it should be, or off now: nothing runs there. Everything else is a failure.
    fn conclude(&mut self, target: NodeId, read: Vec<Option<(Text, Stat)>>, ctx: &mut Ctx) {
        let Some(fence) = self.monitor.fences.get(&target) else { return };
        let success = fence.reset.unwrap_or(fence.was_off == Some(true) || fence.is_off == Some(true));
        ctx.mark(if success { "fence-succeeded" } else { "fence-failed" });
        let mut read = read.into_iter();
        let (Some(Some((state, stat))), Some(Some((key, key_stat)))) = (read.next(), read.next()) else {
            unreachable!("nobody deletes these nodes");
        };
        let info = self.shared.node(target).clone();
        let set = |path: &Text, data: &str, version| Op::Set { path: path.clone(), data: data.into(), version };
        let mut ops = Vec::new();
        if success {
            if &*state != "dead" {
                return self.end_fence(target, ctx); // It is back already, and looks after itself.
            }
            ops.push(set(&info.daemon_state, "fenced", Some(stat.version)));
            ops.push(set(&info.domain_state, "fence-flush", None));
            if info.coordinator {
                ops.push(set(&info.router_state, "secondary", None));
            }
        }
        // Defect PVC-L3: the key is taken from it in any case.
        if (success || self.shared.defects.pvc_l3) && key == info.name {
            ops.push(set(&self.shared.paths.primary, NONE, Some(key_stat.version)));
        }
        if success {
            return self.write(ops, Call::Fence(target, Step::Conclude), ctx);
        }
        if !ops.is_empty() {
            self.write(ops, Call::Ignored, ctx);
        }
        let config = &self.shared.config;
        // A node that stops itself when it is cut off does not run its machines any more. Defect PVC-L4: the number is
        // compared with a text, and is never equal to it.
        let stops_itself = config.suicide_intervals != 0 || self.shared.defects.pvc_l4;
        if config.failed_fence == Policy::Migrate && stops_itself {
            self.monitor.fences.remove(&target);
            return self.begin_recovery(target, ctx);
        }
        self.end_fence(target, ctx);
    }

    fn end_fence(&mut self, target: NodeId, ctx: &mut Ctx) {
        ctx.cancel_timer(Timer::Fence(target));
        self.monitor.fences.remove(&target);
        self.next_target(ctx);
    }
}
