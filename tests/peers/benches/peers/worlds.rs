//! What it costs to make a world, and to fork a live one.

use std::hint::black_box;
use std::sync::Arc;

use cpu_time::ProcessTime;
use peers::fencepost::heartbeat;
use sim_core::{Instant, Schedule, World};

use crate::report::WorldTimes;
use crate::rounds::median;

/// Worlds made one after the other and dropped together, so that dropping is not timed.
const BATCH: usize = 16;
/// Batches in a round.
const BATCHES: usize = 40;

/// Times the making and the cloning of a world of so many nodes, in turns. The world that is cloned has lived for a
/// second and has messages on their way.
pub fn measure(nodes: u16, rounds: u32) -> WorldTimes {
    let setup = Arc::new(heartbeat(nodes));
    let schedule = Arc::new(Schedule::seeded(1));
    let mut live = World::new(&setup, &schedule);
    // Just after all nodes have sent, while their messages are on their way.
    while live.next_event_at().is_some_and(|at| at <= Instant::from_nanos(1_050_000_000)) {
        live.step();
    }
    let (mut construct, mut clone) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        construct.push(time(|| World::new(&setup, &schedule)));
        clone.push(time(|| live.clone()));
    }
    WorldTimes { construct_us: median(construct) * 1e6, clone_us: median(clone) * 1e6 }
}

/// Processor seconds that `make` takes.
fn time<T>(mut make: impl FnMut() -> T) -> f64 {
    let mut made = Vec::with_capacity(BATCH);
    let mut seconds = 0.0;
    for _ in 0..BATCHES {
        let start = ProcessTime::now();
        for _ in 0..BATCH {
            made.push(black_box(make()));
        }
        seconds += start.elapsed().as_secs_f64();
        made.clear();
    }
    seconds / (BATCH * BATCHES) as f64
}
