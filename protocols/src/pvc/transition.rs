//! Takeover and relinquishment: the new primary and the old one go through the same phases in step, by a lock that the
//! new one writes and the old one reads.
//!
//! | phase | new primary | old primary |
//! |---|---|---|
//! | A | reads, and waits for the old one to appear | writes |
//! | B | writes, and waits | reads; stops its services |
//! | C | adds the upstream address | removes it |
//! | D | adds the cluster and storage addresses | removes them |
//! | E | adds the metadata address | removes it |
//! | F | adds the gateways | removes them |
//! | G | switches the database leader, starts its services | |
//!
//! Either of them can be alone: the other may be dead, or there may be none.

use super::addresses::Vip;
use super::daemon::{Ctx, Daemon};
use super::message::{Call, Timer, Trouble};
use super::state::{Router, Step};
use crate::services::coordination::{LockId, LockKind, Op};
use crate::transitions::StateMachine;

/// A phase of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Handshake.
    A,
    /// The old one's services.
    B,
    /// The upstream address.
    C,
    /// The cluster and storage addresses.
    D,
    /// The metadata address.
    E,
    /// The gateways.
    F,
    /// The new one's services.
    G,
}

/// A transition that is under way.
#[derive(Clone, Debug, Hash)]
pub struct Transition {
    /// What waits for it says this number.
    number: u32,
    way: Way,
    phase: Phase,
    at: At,
    /// The exclusive lock of the primary key.
    exclusive: Option<LockId>,
    /// The lock of the phase.
    sync: Option<LockId>,
    /// How often the database leader's switch has failed.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    Takeover,
    Relinquish,
}

/// For what a transition waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// The exclusive lock.
    Exclusive,
    /// Its announcement to be taken.
    Announce,
    /// The other side to be first.
    Lead,
    /// The lock of the phase.
    Lock,
    /// The other side to queue up for the lock.
    Hold,
    /// The work of the phase.
    Work,
    /// The next try to switch the database leader.
    Database,
    /// The other side to take the lock of the next phase.
    Pause,
    /// Everything to have started.
    Settle,
    /// Nothing: its thread has died.
    Dead,
}

impl Phase {
    fn next(self) -> Option<Phase> {
        match self {
            Phase::A => Some(Phase::B),
            Phase::B => Some(Phase::C),
            Phase::C => Some(Phase::D),
            Phase::D => Some(Phase::E),
            Phase::E => Some(Phase::F),
            Phase::F => Some(Phase::G),
            Phase::G => None,
        }
    }

    fn vip(self) -> Option<Vip> {
        match self {
            Phase::C => Some(Vip::Upstream),
            Phase::D => Some(Vip::Cluster),
            Phase::E => Some(Vip::Metadata),
            Phase::F => Some(Vip::Gateways),
            Phase::A | Phase::B | Phase::G => None,
        }
    }

    /// What is set when the new primary comes to this phase.
    fn mark(self) -> &'static str {
        match self {
            Phase::A => "takeover-phase-a",
            Phase::B => "takeover-phase-b",
            Phase::C => "takeover-phase-c",
            Phase::D => "takeover-phase-d",
            Phase::E => "takeover-phase-e",
            Phase::F => "takeover-phase-f",
            Phase::G => "takeover-phase-g",
        }
    }
}

impl Daemon {
    /// Whether it takes over or gives up.
    pub fn is_in_transition(&self) -> bool {
        matches!(self.router, Router::Takeover | Router::Relinquish)
    }

    /// Whether it is primary, takes over, or waits for the lock to do so.
    pub fn is_or_becomes_primary(&self) -> bool {
        let takes_over = self.transition.as_ref().is_some_and(|transition| transition.way == Way::Takeover);
        takes_over || matches!(self.router, Router::Takeover | Router::Primary)
    }

    fn new_transition(&mut self, way: Way, at: At, ctx: &mut Ctx) -> u32 {
        self.suspend_transition(ctx);
        let number = self.next_serial();
        let transition = Transition { number, way, phase: Phase::A, at, exclusive: None, sync: None, failures: 0 };
        self.transition = Some(transition);
        number
    }

    pub(super) fn begin_takeover(&mut self, ctx: &mut Ctx) {
        self.new_transition(Way::Takeover, At::Exclusive, ctx);
        // Defect b413e042: there is no such lock.
        if self.shared.defects.b413e042 {
            return self.announce_takeover(ctx);
        }
        let path = self.shared.paths.primary_lock.clone();
        let lock = self.zk.lock(&path, LockKind::Exclusive, None, ctx);
        self.at(|transition| transition.exclusive = Some(lock));
    }

    /// Only 331027d1 comes here.
    pub(super) fn rearm_takeover(&mut self, ctx: &mut Ctx) {
        if self.router == Router::Relinquish {
            self.router.step(Step::Rearmed);
        }
        self.begin_takeover(ctx);
    }

    fn announce_takeover(&mut self, ctx: &mut Ctx) {
        if self.router == Router::Secondary {
            self.router.step(Step::TakeOver);
        }
        ctx.mark("takeover-started");
        // Defect d2a5fe59: it says that it is what it has only begun to become.
        self.announce_transition(if self.shared.defects.d2a5fe59 { Router::Primary } else { Router::Takeover }, ctx);
    }

    pub(super) fn begin_relinquish(&mut self, ctx: &mut Ctx) {
        self.new_transition(Way::Relinquish, At::Announce, ctx);
        match self.router {
            Router::Primary => self.router.step(Step::Relinquish),
            Router::Takeover => self.router.step(Step::MovedAway),
            _ => {}
        }
        ctx.mark("relinquish-started");
        // Defect d2a5fe59: as above.
        self.announce_transition(
            if self.shared.defects.d2a5fe59 { Router::Secondary } else { Router::Relinquish },
            ctx,
        );
    }

    fn announce_transition(&mut self, router: Router, ctx: &mut Ctx) {
        self.at(|transition| transition.at = At::Announce);
        let number = self.transition.as_ref().map_or(0, |transition| transition.number);
        self.publish(router, Call::Transition(number), ctx);
    }

    fn publish(&mut self, router: Router, call: Call, ctx: &mut Ctx) {
        let op = Op::Set { path: self.info().router_state.clone(), data: router.word().into(), version: None };
        self.write(vec![op], call, ctx);
    }

    fn at(&mut self, change: impl FnOnce(&mut Transition)) {
        if let Some(transition) = &mut self.transition {
            change(transition);
        }
    }

    /// Goes on after so long.
    fn wait(&mut self, at: At, how_long: std::time::Duration, ctx: &mut Ctx) {
        let Some(transition) = &mut self.transition else { return };
        transition.at = at;
        ctx.set_timer(Timer::Transition(transition.number), how_long);
    }

    pub(super) fn transition_announced(&mut self, number: u32, ctx: &mut Ctx) {
        let Some(transition) = &self.transition else { return };
        if transition.number != number || transition.at != At::Announce {
            return;
        }
        match transition.way {
            Way::Takeover => self.begin_phase(Phase::A, ctx),
            Way::Relinquish => self.wait(At::Lead, 2 * self.shared.config.reader_wait, ctx),
        }
    }

    fn begin_phase(&mut self, phase: Phase, ctx: &mut Ctx) {
        let Some(transition) = &mut self.transition else { return };
        (transition.phase, transition.at) = (phase, At::Lock);
        let way = transition.way;
        if way == Way::Takeover {
            ctx.mark(phase.mark());
        }
        // Defect 8c252aee: both sides sleep, and hope that the other does as well.
        if self.shared.defects.x8c252aee {
            return self.hold(ctx);
        }
        let kind = if (way == Way::Takeover) == (phase == Phase::A) { LockKind::Read } else { LockKind::Write };
        let timeout = match kind {
            // Defect 4c0d90b5: a reader waits for as long as the writer pleases.
            LockKind::Read if !self.shared.defects.x4c0d90b5 => Some(self.shared.config.reader_lock_timeout),
            _ => None,
        };
        let path = self.shared.paths.sync_lock.clone();
        let lock = self.zk.lock(&path, kind, timeout, ctx);
        self.at(|transition| transition.sync = Some(lock));
    }

    pub(super) fn transition_locked(&mut self, lock: LockId, ctx: &mut Ctx) {
        let Some(transition) = &self.transition else { return };
        if transition.exclusive == Some(lock) && transition.at == At::Exclusive {
            // The key may have been moved on while it waited; defect PVC-L2: that is not looked at.
            if self.is_named() || self.shared.defects.pvc_l2 {
                self.announce_takeover(ctx);
            } else {
                self.suspend_transition(ctx);
                self.resume_transition(ctx);
                self.consider_key(ctx);
            }
        } else if transition.sync == Some(lock) && transition.at == At::Lock {
            self.hold(ctx);
        }
    }

    /// The writer of a phase is stuck. The reader goes on without it.
    pub(super) fn transition_lock_timed_out(&mut self, lock: LockId, ctx: &mut Ctx) {
        if self.transition.as_ref().is_some_and(|transition| transition.sync == Some(lock)) {
            ctx.mark("reader-lock-timed-out");
            self.at(|transition| transition.sync = None);
            self.hold(ctx);
        }
    }

    /// The lock is held. The new primary gives the old one time to queue up behind it.
    fn hold(&mut self, ctx: &mut Ctx) {
        let config = &self.shared.config;
        let Some(transition) = &self.transition else { return };
        let sleeps = self.shared.defects.x8c252aee;
        let how_long = match (transition.way, transition.phase) {
            (Way::Relinquish, _) if !sleeps => return self.work(ctx),
            (_, Phase::A) => config.phase_a_wait,
            (_, Phase::B) => config.phase_b_wait,
            _ => config.phase_wait,
        };
        self.wait(At::Hold, how_long, ctx);
    }

    pub(super) fn transition_goes_on(&mut self, number: u32, ctx: &mut Ctx) {
        let Some(transition) = self.transition.as_ref().filter(|transition| transition.number == number) else {
            return;
        };
        match (transition.at, transition.phase) {
            (At::Lead, _) => self.begin_phase(Phase::A, ctx),
            (At::Hold | At::Database, _) => self.work(ctx),
            (At::Work, _) => self.worked(ctx),
            (At::Pause, phase) => match phase.next() {
                Some(next) => self.begin_phase(next, ctx),
                None => self.settle(ctx),
            },
            (At::Settle, _) => self.transition_ends(ctx),
            (at, _) => panic!("a transition is {at:?} and does not wait for time to pass"),
        }
    }

    /// Does the work of the phase; what takes time is done by a helper, so that the daemon goes on.
    fn work(&mut self, ctx: &mut Ctx) {
        let config = &self.shared.config;
        let Some(transition) = &self.transition else { return };
        let (way, phase, number) = (transition.way, transition.phase, transition.number);
        let how_long = match (way, phase) {
            (_, phase) if phase.vip().is_some() => match self.has_trouble(Trouble::NetworkSlow, ctx) {
                true => config.slow_address_time,
                false => config.address_time,
            },
            (Way::Takeover, Phase::G) => config.database_time,
            (Way::Relinquish, Phase::B) => {
                self.addresses.stop_services();
                return self.phase_ends(ctx);
            }
            _ => return self.phase_ends(ctx),
        };
        self.at(|transition| transition.at = At::Work);
        ctx.run_job(how_long, Timer::Transition(number));
    }

    fn worked(&mut self, ctx: &mut Ctx) {
        let Some(transition) = &self.transition else { return };
        match (transition.way, transition.phase.vip()) {
            (Way::Takeover, Some(vip)) => {
                self.addresses.add(vip);
                if vip == Vip::Gateways {
                    self.serve_networks();
                }
            }
            (Way::Relinquish, Some(vip)) => {
                self.addresses.remove(vip);
                if vip == Vip::Gateways {
                    self.addresses.serve(&[]);
                }
            }
            (Way::Takeover, None) => return self.database_answered(ctx),
            (Way::Relinquish, None) => {}
        }
        self.phase_ends(ctx);
    }

    /// The switch of the database leader has succeeded or failed.
    fn database_answered(&mut self, ctx: &mut Ctx) {
        let failed = self.has_trouble(Trouble::DatabaseFails, ctx);
        let (retries, pause) = (self.shared.config.database_retries, self.shared.config.database_retry_wait);
        let Some(transition) = &mut self.transition else { return };
        if failed {
            transition.failures += 1;
            if transition.failures < retries {
                return self.wait(At::Database, pause, ctx);
            }
            // Defect 5e43f9bd: the thread dies of it, and keeps its locks.
            if self.shared.defects.x5e43f9bd {
                transition.at = At::Dead;
                return;
            }
            ctx.mark("went-on-without-dns");
        }
        let number = transition.number;
        self.addresses.start_services(number);
        ctx.run_job(self.shared.config.service_start_time, Timer::ServicesUp(number));
        self.phase_ends(ctx);
    }

    fn phase_ends(&mut self, ctx: &mut Ctx) {
        let Some(transition) = &mut self.transition else { return };
        let (way, phase) = (transition.way, transition.phase);
        if let Some(lock) = transition.sync.take() {
            self.zk.release(lock, ctx);
        }
        match (way, phase.next()) {
            (Way::Relinquish, _) => self.wait(At::Pause, self.shared.config.reader_wait, ctx),
            (Way::Takeover, Some(next)) => self.begin_phase(next, ctx),
            (Way::Takeover, None) => self.settle(ctx),
        }
    }

    fn settle(&mut self, ctx: &mut Ctx) {
        // Defect d2a5fe59: nobody waits for what was started.
        if self.shared.defects.d2a5fe59 {
            return self.transition_ends(ctx);
        }
        self.wait(At::Settle, self.shared.config.transition_end_wait, ctx);
    }

    fn transition_ends(&mut self, ctx: &mut Ctx) {
        let Some(way) = self.transition.as_ref().map(|transition| transition.way) else { return };
        self.suspend_transition(ctx);
        match way {
            // Defect PVC-L2: that the key was moved away meanwhile is not looked at.
            Way::Takeover if self.is_named() || self.shared.defects.pvc_l2 => {
                self.router.step(Step::TakenOver);
                ctx.mark("primary");
                self.publish(Router::Primary, Call::Ignored, ctx);
            }
            Way::Takeover => {
                ctx.mark("moved-away-in-takeover");
                return self.begin_relinquish(ctx);
            }
            Way::Relinquish => {
                self.router.step(Step::Relinquished);
                ctx.mark("relinquished");
                self.publish(Router::Secondary, Call::Ignored, ctx);
            }
        }
        // Whatever happened to the key meanwhile has waited.
        if !self.shared.defects.pvc_l2 {
            self.consider_key(ctx);
        }
        self.shutdown_goes_on(ctx);
    }

    /// The transition does not go on; what it has done so far stays.
    pub(super) fn suspend_transition(&mut self, ctx: &mut Ctx) {
        if let Some(transition) = self.transition.take() {
            ctx.cancel_timer(Timer::Transition(transition.number));
            for lock in [transition.exclusive, transition.sync].into_iter().flatten() {
                self.zk.release(lock, ctx);
            }
        }
    }

    /// Begins a transition anew that a lost connection has interrupted. Every step of it can be done twice.
    pub(super) fn resume_transition(&mut self, ctx: &mut Ctx) {
        match self.router {
            Router::Takeover if self.is_named() => self.begin_takeover(ctx),
            Router::Takeover | Router::Relinquish => self.begin_relinquish(ctx),
            _ => {}
        }
    }
}
