//! Counts the live heap bytes of worlds, and what is left of them after many seeds.
//!
//! A program of its own, because counting makes every allocation dearer: the engines that are timed beside each
//! other must not carry it. Takes the number of seeds and prints one JSON object.

use std::alloc::System;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use peers::fencepost::{heartbeat, start};
use serde::Serialize;
use sim_core::{Instant, Schedule, World};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Serialize)]
struct Footprint {
    /// Bytes of a live world of 3 nodes.
    three_nodes: usize,
    /// Bytes of a live world of 50 nodes.
    fifty_nodes: usize,
    /// How many seeds were run.
    seeds: u64,
    /// Live heap bytes before and after the seeds.
    live_bytes: [usize; 2],
    /// Resident memory in KiB before and after the seeds, where the system tells.
    resident_kib: Option<[u64; 2]>,
}

fn main() {
    let seeds = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let Some(seeds) = seeds else {
        eprintln!("usage: footprint SEEDS");
        std::process::exit(2);
    };
    let (three_nodes, fifty_nodes) = (world_bytes(3), world_bytes(50));
    // The first seeds bring the allocator's and the library's own tables into being.
    run_seeds(0, 100);
    let before = (live_bytes(), resident_kib());
    run_seeds(100, seeds);
    let after = (live_bytes(), resident_kib());
    let footprint = Footprint {
        three_nodes,
        fifty_nodes,
        seeds,
        live_bytes: [before.0, after.0],
        resident_kib: before.1.zip(after.1).map(|(before, after)| [before, after]),
    };
    println!("{}", serde_json::to_string(&footprint).expect("plain numbers become JSON"));
}

/// What a world holds in the middle of its life: itself, its actors, events, links and caches, but not the set-up and
/// the schedule, which all worlds of a campaign share.
fn world_bytes(nodes: u16) -> usize {
    let setup = Arc::new(heartbeat(nodes));
    let schedule = Arc::new(Schedule::seeded(1));
    let before = live_bytes();
    let mut world = World::new(&setup, &schedule);
    while world.next_event_at().is_some_and(|at| at <= Instant::from_secs(1)) {
        world.step();
    }
    size_of_val(&world) + live_bytes() - before
}

fn run_seeds(first: u64, count: u64) {
    let setup = Arc::new(heartbeat(3));
    for seed in first..first + count {
        let outcome = start(&setup, seed, Duration::from_secs(1)).to_end();
        assert!(outcome.violation.is_none(), "nothing breaks in this world, so nothing can be violated");
    }
}

fn live_bytes() -> usize {
    let stats = HEAP.stats();
    // A reallocation that grows counts its growth as allocated, one that shrinks counts as deallocated.
    stats.bytes_allocated - stats.bytes_deallocated
}

fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
