//! `cargo bench -p peers`: how fast Fencepost is, beside a bare event loop, madsim and turmoil.
//!
//! Prints a table of medians and ratios in processor time, and as its last line one JSON object. Not a test: nothing
//! here fails because a machine is slow, only because an engine did not do the work.

use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use peers::{Engine, WITHOUT_MADSIM, Work};

mod failback;
mod report;
mod rounds;
mod worlds;

use report::{Comparison, Footprint, Report, Worlds};

/// Measures Fencepost beside a bare event loop, madsim and turmoil, on the same work and in turns.
#[derive(Parser)]
struct Options {
    /// Turns that each contestant gets; medians are taken over them
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The bundled scenario that is measured
    #[arg(long, default_value = "artemis/failback")]
    scenario: String,
    /// Seeds after which memory is compared with what it was before
    #[arg(long, default_value_t = 50_000)]
    growth_seeds: u64,
    /// Does nothing but run Fencepost on one work, for a profiler to watch
    #[arg(long, value_name = "WORK")]
    profile: Option<Profiled>,
    /// Set by `cargo bench`; without it, as in a test run of all targets, every part runs once and briefly
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Profiled {
    Heartbeat,
    Failback,
}

fn main() -> ExitCode {
    if cfg!(not(madsim)) {
        eprintln!("error: {WITHOUT_MADSIM}");
        return ExitCode::FAILURE;
    }
    let mut options = Options::parse();
    match options.profile {
        Some(Profiled::Heartbeat) => {
            (0..u64::from(options.rounds) * 100).for_each(|seed| Engine::Fencepost.run(Work::Heartbeat, seed));
            return ExitCode::SUCCESS;
        }
        Some(Profiled::Failback) => {
            failback::measure(&options.scenario, options.rounds);
            return ExitCode::SUCCESS;
        }
        None => {}
    }
    if !options.bench {
        (options.rounds, options.growth_seeds) = (1, 1_000);
    }
    let report = Report {
        heartbeat: compare(Work::Heartbeat, &options),
        ping_pong_1: compare(Work::PingPong { in_flight: 1 }, &options),
        ping_pong_64: compare(Work::PingPong { in_flight: 64 }, &options),
        worlds: Worlds { three: worlds::measure(3, options.rounds), fifty: worlds::measure(50, options.rounds) },
        footprint: footprint(options.growth_seeds),
        failback: failback::measure(&options.scenario, options.rounds),
    };
    print!("{report}");
    ExitCode::SUCCESS
}

/// Times all engines on one work, in turns.
fn compare(work: Work, options: &Options) -> Comparison {
    let mut contestants = Engine::ALL.map(|engine| {
        // So many seeds at a time that a turn takes some milliseconds.
        let seeds = match engine {
            Engine::Bare => 40,
            Engine::Fencepost => 20,
            Engine::Madsim => 2,
            Engine::Turmoil => 1,
        };
        let mut next = 0;
        rounds::Contestant::new(seeds, move || {
            engine.run(work, next);
            next += 1;
        })
    });
    let [bare, fencepost, madsim, turmoil] = rounds::medians(&mut contestants, options.rounds).map(|s| s * 1e3);
    Comparison { bare_ms: bare, fencepost_ms: fencepost, madsim_ms: madsim, turmoil_ms: turmoil }
}

/// Asks the program that counts allocations.
fn footprint(seeds: u64) -> Footprint {
    let output = Command::new(env!("CARGO_BIN_EXE_footprint")).arg(seeds.to_string()).output();
    let output = output.expect("cargo has built the program beside this one");
    assert!(output.status.success(), "footprint failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("footprint prints one JSON object")
}
