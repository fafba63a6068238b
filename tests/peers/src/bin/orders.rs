//! Every order of a two-phase commit with 3 to 7 resource managers, by Fencepost and by stateright, on one thread each and in
//! the same process: how many states, how fast, and in how many bytes that are live when the search has ended.
//!
//! A program of its own, because counting makes every allocation dearer. Ends with 1 if the numbers of states differ.

use std::alloc::System;
use std::cell::Cell;
use std::process::ExitCode;

use cpu_time::ProcessTime;
use peers::on_stateright;
use scenarios::registry::Registry;
use sim_core::Schedule;
use sim_core::search::Untimed;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn live_bytes() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

struct Measured {
    states: u64,
    seconds: f64,
    bytes: usize,
}

/// Processor time that each search gets at least: a short one is repeated.
const LONG_ENOUGH: f64 = 0.3;

/// Measures a search, which calls back when it has ended and before it drops what it remembers; or says by itself, behind
/// the number of states, how many bytes that was. Once before it counts, as what runs for the first time is slow.
fn measured(search: impl Fn(&dyn Fn()) -> (u64, usize)) -> Measured {
    let (before, at_the_end) = (live_bytes(), Cell::new(0));
    let (states, said) = search(&|| at_the_end.set(live_bytes()));
    let bytes = at_the_end.get().saturating_sub(before) + said;
    let started = ProcessTime::now();
    let mut repeated = 0;
    loop {
        search(&|| {});
        repeated += 1;
        let seconds = started.elapsed().as_secs_f64();
        if seconds >= LONG_ENOUGH {
            return Measured { states, seconds: seconds / f64::from(repeated), bytes };
        }
    }
}

fn fencepost(resources: usize) -> Measured {
    let nodes: Vec<String> = (1..=resources).map(|number| format!("rm-{number} = \"resource\"")).collect();
    let text = format!(
        "schema = 1\nabout = \"Every order.\"\nprotocol = \"two-phase-commit\"\nduration = \"30s\"\nseeds = 1\n\
         cluster.nodes = {{ tm = \"manager\", {} }}\ninvariant = [{{ always = \"consistent\" }}]\n",
        nodes.join(", ")
    );
    let registry = Registry::bundled();
    let scenario = scenarios::format::parse("orders", "orders.toml".as_ref(), text.into(), &registry);
    let compiled = registry.compile(&scenario.expect("the scenario is sound").into()).expect("it can be run");
    measured(|_| {
        let orders = compiled.orders(Untimed::default(), &Schedule::calm(0));
        assert!(orders.complete && orders.violation.is_none(), "two-phase commit is consistent");
        (orders.distinct_states, orders.bytes as usize)
    })
}

fn main() -> ExitCode {
    println!("{:>3} {:>10} {:>26} {:>12} {:>12} {:>10}", "RMs", "states", "engine", "states/s", "bytes", "a state");
    let mut same = true;
    for resources in 3..=7 {
        let ours = fencepost(resources);
        let depth = measured(|look| (on_stateright::every_order(resources, false, look), 0));
        let breadth = measured(|look| (on_stateright::every_order(resources, true, look), 0));
        for (engine, measured) in
            [("fencepost", &ours), ("stateright (depth first)", &depth), ("stateright (breadth)", &breadth)]
        {
            let Measured { states, seconds, bytes } = measured;
            println!(
                "{resources:>3} {states:>10} {engine:>26} {:>12.0} {bytes:>12} {:>10.1}",
                *states as f64 / seconds,
                *bytes as f64 / *states as f64
            );
        }
        same &= ours.states == depth.states && ours.states == breadth.states;
    }
    match same {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("error: the engines do not count the same states");
            ExitCode::FAILURE
        }
    }
}
