//! The scheduler's shared pool of threads, which other services use as well: their jobs ask for the topology, and hold
//! their thread until there is one.

use sim_core::Context;

use super::instance::Instance;
use super::node::{Node, Timer};

/// Something that discovery has scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Task {
    /// The end of the minimal delay between two events.
    Delayed(u64),
    /// The end of the joiner delay.
    JoinerDelay,
}

/// The pool.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Pool {
    /// Threads whose jobs wait for the topology.
    pub blocked: u32,
    /// What waits for a thread.
    pub waiting: Vec<Task>,
}

impl Instance {
    /// A job of some other service begins.
    pub(super) fn client_job(&mut self, ctx: &mut Context<Node>) {
        // A job that finds the topology current is through at once.
        if !self.manager.is_current() && self.pool.blocked < self.shared.config.scheduler_pool_size {
            self.pool.blocked += 1;
            if self.pool.blocked == self.shared.config.scheduler_pool_size {
                ctx.mark("scheduler-pool-exhausted");
            }
        }
        ctx.set_timer(Timer::ClientJob, self.shared.config.client_job_interval);
    }

    /// Whether a task can run now; if not, it waits for a thread.
    pub(super) fn has_thread(&mut self, task: Task) -> bool {
        // SLING-10441: delays ran on the shared pool, and not on one of discovery's own.
        let exhausted = self.pool.blocked >= self.shared.config.scheduler_pool_size;
        if self.shared.defects.sling_10441 && exhausted {
            self.pool.waiting.push(task);
            return false;
        }
        true
    }

    /// There is a topology: the jobs that waited for it end, and their threads take what waits.
    pub(super) fn release_jobs(&mut self, ctx: &mut Context<Node>) {
        self.pool.blocked = 0;
        for task in std::mem::take(&mut self.pool.waiting) {
            match task {
                Task::Delayed(generation) => self.delay_over(generation, ctx),
                Task::JoinerDelay => self.joiner_delay_over(ctx),
            }
        }
    }
}
