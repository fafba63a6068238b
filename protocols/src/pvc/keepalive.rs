//! The keepalive: every interval a node corrects its state, collects statistics, and reports that it is alive.

use std::collections::BTreeSet;

use super::daemon::{Ctx, Daemon, Life};
use super::layout::NONE;
use super::message::{Call, Collector, Outcome, Timer, Trouble};
use super::state::Router;
use crate::services::coordination::{Answer, Error, Op};

/// For what a keepalive waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// To know the node's state as everybody sees it.
    State,
    /// Its collectors.
    Collect,
    /// A result of a collector that has ended.
    QueueRead,
    /// Its report to be taken.
    Report,
}

/// The keepalive that is under way, and how many reports there were.
#[derive(Clone, Debug, Default, Hash)]
pub struct Keepalive {
    running: Option<Running>,
    reports: u32,
}

#[derive(Clone, Debug, Hash)]
struct Running {
    number: u32,
    step: Step,
    /// Whose threads have not ended.
    busy: BTreeSet<Collector>,
    /// Whose results are not in the queue.
    missing: BTreeSet<Collector>,
}

impl Keepalive {
    /// How many reports this process has sent.
    pub fn reports(&self) -> u32 {
        self.reports
    }

    pub(super) fn abort(&mut self) {
        self.running = None;
    }

    fn running(&mut self, number: u32, step: Step) -> Option<&mut Running> {
        self.running.as_mut().filter(|running| running.number == number && running.step == step)
    }
}

impl Daemon {
    /// Its keepalives.
    pub fn keepalive(&self) -> &Keepalive {
        &self.keepalive
    }

    /// The timer that starts a keepalive. If the last one has not ended, this one is left out.
    pub(super) fn keepalive_due(&mut self, ctx: &mut Ctx) {
        ctx.set_timer(Timer::Keepalive, self.shared.config.keepalive_interval);
        self.look_whether_to_stop(ctx);
        if self.keepalive.running.is_some() || !self.zk.is_connected() {
            return;
        }
        let number = self.next_serial();
        let all = BTreeSet::from([Collector::Storage, Collector::Libvirt]);
        self.keepalive.running = Some(Running { number, step: Step::State, busy: all.clone(), missing: all });
        let path = self.info().daemon_state.clone();
        self.read(vec![path], Call::Keepalive(number, Step::State), ctx);
    }

    pub(super) fn keepalive_replied(&mut self, number: u32, step: Step, result: Result<Answer, Error>, ctx: &mut Ctx) {
        if self.keepalive.running(number, step).is_none() {
            return;
        }
        match (step, result) {
            (Step::State, Ok(Answer::Read(read))) => {
                let state = read.into_iter().flatten().next().map_or("".into(), |(state, _)| state);
                self.correct_state(&state, ctx);
                self.reassert(ctx);
                self.collect(number, ctx);
            }
            (Step::Report, _) => {
                self.keepalive.running = None;
                self.look_at_others(ctx);
            }
            (step, result) => panic!("{step:?} of a keepalive was answered by {result:?}"),
        }
    }

    /// Writes the node's state again if somebody has changed it: a node that reports is not dead.
    fn correct_state(&mut self, state: &str, ctx: &mut Ctx) {
        let is = match self.life {
            // Defect f09849be: whoever reports, runs.
            Life::Shutdown if !self.shared.defects.f09849be => "shutdown",
            _ => "run",
        };
        if state != is {
            let op = Op::Set { path: self.info().daemon_state.clone(), data: is.into(), version: None };
            self.write(vec![op], Call::Ignored, ctx);
        }
    }

    /// A primary whose name is not in the key writes it back.
    fn reassert(&mut self, ctx: &mut Ctx) {
        if self.router != Router::Primary || self.is_named() {
            return;
        }
        let Some((value, version)) = self.primary_seen() else { return };
        // Defect PVC-L1: whatever the key says, and without a lock.
        if self.shared.defects.pvc_l1 {
            let op = Op::Set { path: self.shared.paths.primary.clone(), data: self.name().clone(), version: None };
            self.write(vec![op], Call::Ignored, ctx);
        } else if &*value == NONE && self.life == Life::Run {
            self.contend(version, ctx);
        }
    }

    /// Starts the collectors, each on a thread of its own.
    fn collect(&mut self, number: u32, ctx: &mut Ctx) {
        let time = self.shared.config.collector_time;
        for collector in [Collector::Storage, Collector::Libvirt] {
            let (after, outcome) = match collector {
                Collector::Storage => match self.trouble_until(Trouble::StorageHangs, ctx) {
                    Some(until) => (time + until.since(ctx.now()), Outcome::Result),
                    None if self.has_trouble(Trouble::StorageDies, ctx) => (time, Outcome::Died),
                    None => (time, Outcome::Result),
                },
                Collector::Libvirt if self.has_trouble(Trouble::LibvirtFails, ctx) || self.has_incoming() => {
                    (time, Outcome::Failed)
                }
                Collector::Libvirt => (time, Outcome::Result),
            };
            ctx.run_job(after, Timer::Collected(number, collector, outcome));
        }
        // Defect 46ffe352: the threads are waited for without limit.
        if !self.shared.defects.x46ffe352 {
            ctx.set_timer(Timer::Join(number), self.shared.config.collector_timeout());
        }
        self.keepalive_at(number, Step::Collect);
    }

    fn keepalive_at(&mut self, number: u32, step: Step) {
        if let Some(running) = &mut self.keepalive.running
            && running.number == number
        {
            running.step = step;
        }
    }

    pub(super) fn collected(&mut self, number: u32, collector: Collector, outcome: Outcome, ctx: &mut Ctx) {
        let Some(running) = self.keepalive.running.as_mut().filter(|running| running.number == number) else {
            return; // Of a keepalive that has ended without it.
        };
        running.busy.remove(&collector);
        match outcome {
            Outcome::Result => _ = running.missing.remove(&collector),
            // Defect 65b44f29: the error is not caught, and ends the keepalive.
            Outcome::Failed if self.shared.defects.x65b44f29 => {
                self.keepalive.running = None;
                ctx.cancel_timer(Timer::Join(number));
                return;
            }
            // The collector leaves out what it cannot read, and puts the rest into the queue.
            Outcome::Failed => {
                running.missing.remove(&collector);
                ctx.mark("collector-failed");
            }
            Outcome::Died => ctx.mark("collector-died"),
        }
        match running.step {
            Step::Collect if running.busy.is_empty() => {
                ctx.cancel_timer(Timer::Join(number));
                self.read_queue(number, ctx);
            }
            Step::QueueRead if running.missing.is_empty() => self.report(number, ctx),
            _ => {}
        }
    }

    /// The keepalive has waited for its collectors for long enough.
    pub(super) fn joined(&mut self, number: u32, ctx: &mut Ctx) {
        if self.keepalive.running(number, Step::Collect).is_some() {
            ctx.mark("collector-timed-out");
            self.read_queue(number, ctx);
        }
    }

    /// Takes the results of the collectors.
    fn read_queue(&mut self, number: u32, ctx: &mut Ctx) {
        self.keepalive_at(number, Step::QueueRead);
        let Some(running) = self.keepalive.running(number, Step::QueueRead) else { return };
        if running.missing.is_empty() {
            return self.report(number, ctx);
        }
        // Defect c08c3b2d: a result that is not there is waited for without limit.
        if !self.shared.defects.c08c3b2d {
            ctx.set_timer(Timer::QueueRead(number), self.shared.config.queue_wait);
        }
    }

    pub(super) fn queue_read(&mut self, number: u32, ctx: &mut Ctx) {
        if self.keepalive.running(number, Step::QueueRead).is_some() {
            self.report(number, ctx);
        }
    }

    /// Reports that the node is alive.
    fn report(&mut self, number: u32, ctx: &mut Ctx) {
        ctx.cancel_timer(Timer::QueueRead(number));
        self.keepalive_at(number, Step::Report);
        self.keepalive.reports += 1;
        let op = self.report_op(ctx);
        self.write(vec![op], Call::Keepalive(number, Step::Report), ctx);
    }

    /// The write that is a report: the time of day, in seconds.
    pub(super) fn report_op(&self, ctx: &Ctx) -> Op {
        let time = ctx.wall_clock().as_nanos() / 1_000_000_000;
        Op::Set { path: self.info().keepalive.clone(), data: time.to_string().into(), version: None }
    }

    /// A node that has not reached the coordination service for too long stops itself, if it is told to: its peers take
    /// it for dead and may start its virtual machines elsewhere.
    fn look_whether_to_stop(&mut self, ctx: &mut Ctx) {
        let config = &self.shared.config;
        let limit = config.keepalive_interval * config.suicide_intervals;
        if !limit.is_zero() && ctx.now().since(self.zk.last_contact().max(self.since)) > limit {
            ctx.mark("stopped-itself");
            ctx.halt();
        }
    }
}
