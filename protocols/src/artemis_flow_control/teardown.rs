//! The test harness around a client: ends a run of the workload step by step, looks for what it has left behind, and
//! starts the next run.
//!
//! A step that fails must not keep the later ones from being taken: what they would have released belongs to nobody
//! afterwards, and every later run shares the process with it. What a step has released may take a moment to be gone,
//! so the harness looks again before it reports a leak.

use sim_core::{Context, Instant};

use super::client::{Client, Producer, Run};
use super::messages::Timer;
use super::node::Node;

/// Steps of the tear-down, in order.
const CLOSE_SESSION: u8 = 0;
const STOP_PRODUCER: u8 = 1;
const CLOSE_FACTORY: u8 = 2;

/// How far the harness is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Harness {
    /// When it began to look for leaks, on the node's own clock.
    looking_since: Option<Instant>,
    tearing_down: bool,
}

/// Closing a session failed: its connection is gone and a producer is blocked in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct AlreadyDisposed;

impl Client {
    /// The run has ended, as far as the harness is concerned.
    pub(super) fn begin_tear_down(&mut self, ctx: &mut Context<Node>) {
        if !self.harness.tearing_down {
            ctx.mark("tear-down");
            self.harness = Harness { looking_since: None, tearing_down: true };
            self.tear_down(CLOSE_SESSION, ctx);
        }
    }

    /// Takes a step, and arranges for the next.
    pub(super) fn tear_down(&mut self, step: u8, ctx: &mut Context<Node>) {
        let Some(run) = self.runs.last_mut() else { return };
        let result = match step {
            CLOSE_SESSION => run.close_session(ctx),
            STOP_PRODUCER => {
                run.producer = Producer::Stopping;
                ctx.run_job(self.config.thread_slice, Timer::ProducerEnded);
                Ok(())
            }
            CLOSE_FACTORY => {
                run.close_factory(ctx);
                Ok(())
            }
            _ => return self.look_for_leaks(ctx),
        };
        if result == Err(AlreadyDisposed) {
            ctx.mark("tear-down-step-failed");
            // ProducerFlowControl-90d05bb: a step that failed was the last.
            if self.defects.tear_down_stops_at_failure {
                return self.look_for_leaks(ctx);
            }
            // What is left of the session has nothing that could be closed.
            run.drop_session();
        }
        ctx.set_timer(Timer::TearDown(step + 1), self.config.leak_rescan_interval);
    }

    /// A producer thread that was told to stop has ended, and waits for nothing any more.
    pub(super) fn producer_ended(&mut self) {
        for run in self.runs.iter_mut().filter(|run| run.producer == Producer::Stopping) {
            run.producer = Producer::Ended;
            run.outgoing = None;
        }
    }

    /// Looks for what the run has left behind; if there is something, looks again after a while before it says so.
    pub(super) fn look_for_leaks(&mut self, ctx: &mut Context<Node>) {
        let now = ctx.now();
        let since = *self.harness.looking_since.get_or_insert(now);
        let Some(run) = self.runs.last_mut() else { return };
        run.give_up(ctx);
        let number = run.number;
        if run.possessions().is_empty() {
            self.runs.pop();
            ctx.mark("run-cleaned-up");
        } else if now.since(since) < self.config.leak_rescan_timeout && !self.defects.tear_down_stops_at_failure {
            // ProducerFlowControl-90d05bb: what was only about to end was reported as a leak.
            return ctx.set_timer(Timer::RescanLeaks, self.config.leak_rescan_interval);
        } else {
            ctx.mark("leak-reported");
        }
        self.harness = Harness::default();
        self.start_run(number + 1, ctx);
    }
}

impl Run {
    fn close_session(&mut self, ctx: &mut Context<Node>) -> Result<(), AlreadyDisposed> {
        if self.session.as_ref().is_some_and(|session| session.disposed) && self.is_blocked() {
            return Err(AlreadyDisposed);
        }
        if let Some(connection) = self.connection() {
            ctx.close(connection);
        }
        self.drop_session();
        Ok(())
    }
}
