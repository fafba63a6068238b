//! Shutdown in good order: the machines are moved away, somebody else becomes primary, and the keepalive ends last.

use std::time::Duration;

use super::daemon::{Ctx, Daemon, Life};
use super::layout::NONE;
use super::message::{Call, Timer};
use super::state::Router;
use crate::services::coordination::{Answer, Error, Op, Text};

/// How far a shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Its announcement is to be taken.
    Announce,
    /// The states of all nodes are to be read, to find somebody for the machines.
    Look,
    /// The machines are being moved.
    Flush,
    /// The primary key is to be given up.
    GiveUp,
    /// Somebody else is to take over.
    Successor,
    /// The last report is to be taken.
    Report,
}

/// A shutdown that is under way.
#[derive(Clone, Debug, Hash)]
pub struct Shutdown {
    step: Step,
    /// The nodes that run, this one excepted.
    others: Vec<Text>,
    /// Whether it has waited for a successor for long enough.
    waited: bool,
}

impl Daemon {
    /// How far its shutdown is.
    pub fn shutdown_step(&self) -> Option<Step> {
        self.shutdown.as_ref().map(|shutdown| shutdown.step)
    }

    pub(super) fn shut_down(&mut self, ctx: &mut Ctx) {
        if self.life != Life::Run {
            return;
        }
        self.life = Life::Shutdown;
        ctx.mark("shutdown-started");
        self.abort_monitor(ctx);
        self.abort_contention(ctx);
        self.shutdown = Some(Shutdown { step: Step::Announce, others: Vec::new(), waited: false });
        self.resume_shutdown(ctx);
    }

    /// Begins the present step, for the first time or again.
    pub(super) fn resume_shutdown(&mut self, ctx: &mut Ctx) {
        let Some(step) = self.shutdown_step() else { return };
        match step {
            Step::Announce => {
                let path = self.info().daemon_state.clone();
                // Defect 611e0edd: the last report comes first, as of a node that runs, and ends the keepalives.
                if self.shared.defects.x611e0edd {
                    let state = Op::Set { path, data: "run".into(), version: None };
                    let ops = vec![state, self.report_op(ctx)];
                    self.keepalive.abort();
                    ctx.cancel_timer(Timer::Keepalive);
                    return self.write(ops, Call::Shutdown(Step::Announce), ctx);
                }
                let op = Op::Set { path, data: "shutdown".into(), version: None };
                self.write(vec![op], Call::Shutdown(Step::Announce), ctx);
            }
            Step::Look | Step::Flush => {
                self.shutdown_at(Step::Look);
                let paths = self.shared.nodes.iter().map(|node| node.daemon_state.clone()).collect();
                self.read(paths, Call::Shutdown(Step::Look), ctx);
            }
            Step::GiveUp => self.give_up_key(ctx),
            Step::Successor => self.shutdown_goes_on(ctx),
            Step::Report => self.last_report(ctx),
        }
    }

    fn shutdown_at(&mut self, step: Step) {
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.step = step;
        }
    }

    pub(super) fn shutdown_replied(&mut self, step: Step, result: Result<Answer, Error>, ctx: &mut Ctx) {
        if self.shutdown_step() != Some(step) {
            return;
        }
        match (step, result) {
            (Step::Announce, Ok(_)) => {
                self.shutdown_at(Step::Look);
                self.resume_shutdown(ctx);
            }
            (Step::Look, Ok(Answer::Read(read))) => {
                let nodes = self.shared.nodes.iter().zip(read);
                let runs = |state: &Option<(Text, _)>| state.as_ref().is_some_and(|(state, _)| &**state == "run");
                let running = nodes.filter(|(node, state)| runs(state) && node.id != ctx.node());
                let others = running.map(|(node, _)| node.name.clone()).collect();
                if let Some(shutdown) = &mut self.shutdown {
                    shutdown.others = others;
                }
                self.shutdown_at(Step::Flush);
                self.shutdown_goes_on(ctx);
            }
            // Whether it was given up or taken away: somebody else is to take over.
            (Step::GiveUp, _) => {
                self.shutdown_at(Step::Successor);
                let config = &self.shared.config;
                // Defect d2a5fe59: five seconds must do.
                if self.shared.defects.d2a5fe59 {
                    ctx.set_timer(Timer::Shutdown, Duration::from_secs(5));
                // Defect v0.9.46-single-node: for as long as it takes.
                } else if !self.shared.defects.v0_9_46 {
                    ctx.set_timer(Timer::Shutdown, config.shutdown_wait);
                }
                self.shutdown_goes_on(ctx);
            }
            (Step::Report, Ok(_)) => {
                ctx.mark("shutdown-complete");
                self.zk.close(ctx);
                ctx.halt();
            }
            (step, result) => panic!("{step:?} of a shutdown was answered by {result:?}"),
        }
    }

    /// Something has happened that the shutdown may have waited for.
    pub(super) fn shutdown_goes_on(&mut self, ctx: &mut Ctx) {
        let Some(shutdown) = &self.shutdown else { return };
        match shutdown.step {
            Step::Flush => self.flush_next(ctx),
            Step::Successor if self.router == Router::Secondary || shutdown.waited => {
                self.shutdown_at(Step::Report);
                self.last_report(ctx);
            }
            _ => {}
        }
    }

    /// Moves the next machine away, one after the other.
    fn flush_next(&mut self, ctx: &mut Ctx) {
        if self.is_busy_with_vms() {
            return;
        }
        let next = self.own_vms().into_iter().next();
        let Some(shutdown) = &self.shutdown else { return };
        match (next, shutdown.others.len()) {
            (Some((vm, running, version)), count) if count > 0 => {
                let to = shutdown.others[usize::from(vm) % count].clone();
                match running {
                    true => self.migrate(vm, to, ctx),
                    false => self.hand_over(vm, to, version, ctx),
                }
            }
            // With nobody to go to, what runs stops with the node.
            _ => {
                self.shutdown_at(Step::GiveUp);
                self.give_up_key(ctx);
            }
        }
    }

    fn give_up_key(&mut self, ctx: &mut Ctx) {
        let holds = matches!(self.router, Router::Primary | Router::Takeover | Router::Relinquish);
        // Defect v0.9.46-single-node: nobody asks whether there can be another.
        let there_is_another = self.shared.coordinators() > 1 || self.shared.defects.v0_9_46;
        if !(holds || self.is_named()) || !there_is_another {
            self.shutdown_at(Step::Report);
            return self.last_report(ctx);
        }
        let path = self.shared.paths.primary.clone();
        let op = match self.primary_seen() {
            Some((value, version)) if value == *self.name() => {
                Op::Set { path, data: NONE.into(), version: Some(version) }
            }
            _ => Op::Check { path, version: None }, // Somebody else is named already.
        };
        self.write(vec![op], Call::Shutdown(Step::GiveUp), ctx);
    }

    /// It has waited for a successor for long enough.
    pub(super) fn shutdown_waited(&mut self, ctx: &mut Ctx) {
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.waited = true;
            if shutdown.step == Step::Successor && self.router != Router::Secondary {
                ctx.mark("shutdown-without-successor");
            }
            self.shutdown_goes_on(ctx);
        }
    }

    /// The keepalive ends, with one last report that the node has stopped.
    fn last_report(&mut self, ctx: &mut Ctx) {
        ctx.cancel_timer(Timer::Keepalive);
        self.keepalive.abort();
        let state = Op::Set { path: self.info().daemon_state.clone(), data: "stop".into(), version: None };
        let ops = vec![state, self.report_op(ctx)];
        self.write(ops, Call::Shutdown(Step::Report), ctx);
    }
}
