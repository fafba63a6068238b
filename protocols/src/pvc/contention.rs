//! Contention: who becomes primary when the key says `none`, and what a change of the key means to a node.

use std::time::Duration;

use super::daemon::{Ctx, Daemon, Life};
use super::layout::NONE;
use super::message::{Call, Timer};
use super::state::Router;
use crate::services::coordination::{Answer, Error, LockId, LockKind, Op};

/// For what a contender waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// To know the key's version under the lock.
    Recheck,
    /// Its name to be written.
    Write,
}

/// A contention that is under way.
#[derive(Clone, Debug, Hash)]
pub struct Contention {
    pub(super) lock: Option<LockId>,
    /// The version of the key that said `none`.
    version: u32,
}

impl Daemon {
    /// The primary key was seen to hold something: what that means depends on the router's state. Upstream first tested
    /// what it was not; the fix of b413e042 tests what it is.
    pub(super) fn consider_key(&mut self, ctx: &mut Ctx) {
        let Some((value, version)) = self.primary_seen() else { return };
        if !self.is_coordinator() {
            return;
        }
        let defects = self.shared.defects;
        if &*value == NONE {
            if self.router == Router::Primary && self.was_succeeded() {
                ctx.set_timer(Timer::TransitionDelay, self.shared.config.transition_delay);
            }
            let may = match self.router {
                Router::Secondary => true,
                // Defect b413e042: whoever is not primary contends, whatever else it is doing.
                Router::Takeover | Router::Relinquish => defects.b413e042,
                Router::Init | Router::Client | Router::Primary => false,
            };
            if may && self.life == Life::Run {
                self.contend(version, ctx);
            }
            return;
        }
        if defects.b413e042 {
            return self.act_on_key(ctx); // At once.
        }
        let names_this = value == *self.name();
        if names_this {
            self.named_at = version;
        }
        let has_to_act = match names_this {
            // Defect 331027d1: a takeover can begin in the middle of any other transition.
            true => self.router == Router::Secondary || (defects.x331027d1 && self.is_in_transition()),
            false => self.router == Router::Primary,
        };
        if has_to_act {
            ctx.set_timer(Timer::TransitionDelay, self.shared.config.transition_delay);
        }
    }

    /// The delay is over. The key may have changed meanwhile, and so may the node.
    pub(super) fn act_on_key(&mut self, ctx: &mut Ctx) {
        let defects = self.shared.defects;
        let idle = self.transition.is_none();
        match (self.is_named(), self.router) {
            (true, Router::Secondary) if idle && self.life == Life::Run => self.begin_takeover(ctx),
            // Defect 331027d1: as above.
            (true, Router::Takeover | Router::Relinquish) if defects.x331027d1 => self.rearm_takeover(ctx),
            (false, Router::Primary) if idle && (!self.nobody_is_named() || self.was_succeeded()) => {
                self.begin_relinquish(ctx);
            }
            // Defect b413e042: whatever is not secondary gives up.
            (false, Router::Takeover) if defects.b413e042 && !self.nobody_is_named() => self.begin_relinquish(ctx),
            _ => {}
        }
    }

    fn nobody_is_named(&self) -> bool {
        self.primary_seen().is_none_or(|(value, _)| &*value == NONE)
    }

    /// Whether somebody else has been named since this node was, though nobody is now: the key has been written more often
    /// than it takes to clear it. Whoever that was may have begun to take over, and does not look at the key until it has.
    fn was_succeeded(&self) -> bool {
        let written = self.primary_seen().is_some_and(|(_, version)| version > self.named_at + 1);
        // Defect PVC-L11: a primary only gives up to somebody who is named now.
        written && self.nobody_is_named() && !self.shared.defects.pvc_l11
    }

    /// Tries to become the primary, if the key still has this version.
    pub(super) fn contend(&mut self, version: u32, ctx: &mut Ctx) {
        if self.contention.is_some() {
            return;
        }
        ctx.mark("contended");
        self.contention = Some(Contention { lock: None, version });
        // Defect b413e042: no lock, and no look at the version.
        if self.shared.defects.b413e042 {
            return self.write_own_name(None, ctx);
        }
        let path = self.shared.paths.primary_lock.clone();
        let timeout = self.shared.config.contention_lock_timeout;
        let lock = self.zk.lock(&path, LockKind::Exclusive, Some(timeout), ctx);
        self.contention = Some(Contention { lock: Some(lock), version });
    }

    fn write_own_name(&mut self, version: Option<u32>, ctx: &mut Ctx) {
        let op = Op::Set { path: self.shared.paths.primary.clone(), data: self.name().clone(), version };
        self.write(vec![op], Call::Contend(Step::Write), ctx);
    }

    pub(super) fn contention_locked(&mut self, ctx: &mut Ctx) {
        // Defect b413e042-nover: the lock is all that is asked for.
        if self.shared.defects.b413e042_nover || !self.shared.config.contention_failsafe {
            return self.write_own_name(None, ctx);
        }
        let key = self.shared.paths.primary.clone();
        self.read(vec![key], Call::Contend(Step::Recheck), ctx);
    }

    pub(super) fn contention_replied(&mut self, step: Step, result: Result<Answer, Error>, ctx: &mut Ctx) {
        let Some(contention) = &self.contention else { return };
        let version = contention.version;
        match (step, result) {
            (Step::Recheck, Ok(Answer::Read(read))) => match read.into_iter().flatten().next() {
                // The write names the version once more, in case the lock is lost before it arrives.
                Some((value, stat)) if &*value == NONE && stat.version == version => {
                    self.write_own_name(Some(version), ctx);
                }
                _ => self.contention_lost(ctx),
            },
            (Step::Write, Ok(_)) => {
                ctx.mark("contention-won");
                self.end_contention(ctx);
            }
            (Step::Write, Err(_)) => self.contention_lost(ctx),
            (step, result) => panic!("{step:?} of a contention was answered by {result:?}"),
        }
    }

    /// Somebody else was faster, or has the lock for too long.
    pub(super) fn contention_lost(&mut self, ctx: &mut Ctx) {
        ctx.mark("contention-lost");
        let lost = self.contention.as_ref().map(|contention| contention.version);
        self.end_contention(ctx);
        let newer = self.primary_seen().map(|(_, version)| version) != lost;
        // Defect PVC-L8: only another change of the key makes it contend again.
        if newer || !self.shared.defects.pvc_l8 {
            let longest = self.shared.config.contention_retry;
            let pause = longest / 2 + ctx.random_duration(longest / 2);
            ctx.set_timer(Timer::ContendAgain, if newer { Duration::ZERO } else { pause });
        }
    }

    fn end_contention(&mut self, ctx: &mut Ctx) {
        if let Some(lock) = self.contention.take().and_then(|contention| contention.lock) {
            self.zk.release(lock, ctx);
        }
    }

    /// The connection is lost.
    pub(super) fn abort_contention(&mut self, ctx: &mut Ctx) {
        self.end_contention(ctx);
        ctx.cancel_timer(Timer::ContendAgain);
        ctx.cancel_timer(Timer::TransitionDelay);
    }
}
