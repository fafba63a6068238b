//! Every scenario file once more, on madsim: an engine that others have written comes to the same verdicts.
//!
//! What should pass passes; what is broken violates what its file says, and does not when it is mended. Each is a test of
//! its own: `cargo test -p tests --test engines 'artemis/failback on madsim' -- --exact`. Fewer seeds than on the native
//! engine, which is many times as fast.

use std::process::{ExitCode, exit};

use libtest_mimic::{Arguments, Failed, Trial};
use scenarios::catalogue::{Catalogue, Entry};
use scenarios::format::{Expect, Seeds};
use scenarios::registry::{Compiled, Engine, Registry};
use scenarios::report::failure::Again;
use sim_core::search::{Failure, guarded};

/// Seeds of each scenario that should pass.
const SEEDS: u64 = 6;
/// A canary gets so many times the seeds that its file asks for: which seed is the first to fail is another on another engine.
const MORE_FOR_A_CANARY: u64 = 10;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    std::env::set_current_dir(tests::workspace()).unwrap_or_else(|error| stop(&error.to_string()));
    let registry = Registry::bundled();
    let catalogue = Catalogue::open(&registry).unwrap_or_else(|error| stop(&error.to_string()));
    // A file that cannot be read fails among the tests of the native engine.
    let trials: Vec<Trial> = catalogue.entries().iter().filter_map(|entry| trial(entry, &registry)).collect();
    if trials.is_empty() {
        stop("no scenario was found");
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn stop(error: &str) -> ! {
    eprintln!("error: {error}");
    exit(2)
}

fn trial(entry: &Entry, registry: &Registry) -> Option<Trial> {
    let compiled = Engine::Madsim.host(entry.load(registry).ok()?);
    let entry = entry.clone();
    let name = format!("{} on madsim", entry.name());
    Some(Trial::test(name, move || {
        let run = || guarded(|| compiled.run(&compiled.schedule(0)));
        if run() != run() {
            return Err(Failed::from("two runs of seed 0 differ"));
        }
        match compiled.scenario().expect.clone() {
            Expect::Pass => passes(&*compiled, SEEDS, &entry),
            Expect::Violates(invariant) => is_caught(&*compiled, &invariant, &entry),
        }
        .map_err(Failed::from)
    }))
}

/// What a seed violates.
fn failure(compiled: &dyn Compiled, seed: u64) -> Option<Failure> {
    let violation = guarded(|| compiled.run(&compiled.schedule(seed))).violation?;
    Some(Failure { seed, violation })
}

fn passes(compiled: &dyn Compiled, seeds: u64, entry: &Entry) -> Result<(), String> {
    match (0..seeds).find_map(|seed| failure(compiled, seed)) {
        None => Ok(()),
        Some(failure) => Err(format!("\n{}", again(entry).failure(&failure))),
    }
}

fn is_caught(compiled: &dyn Compiled, invariant: &str, entry: &Entry) -> Result<(), String> {
    let asked = match &compiled.scenario().seeds {
        Seeds::First(count) => *count,
        Seeds::Listed(listed) => listed.len() as u64,
    };
    let seeds = asked * MORE_FOR_A_CANARY;
    let mut found = None;
    for seed in 0..seeds {
        match failure(compiled, seed) {
            Some(failure) if failure.violation.invariant == invariant => {
                found = Some(seed);
                break;
            }
            Some(other) => return Err(format!("\nnot {invariant}:\n{}", again(entry).failure(&other))),
            None => {}
        }
    }
    let Some(found) = found else { return Err(format!("{invariant} is not violated in {seeds} seeds")) };
    match compiled.without_defects() {
        Some(fixed) => passes(&*fixed, found + 1, entry).map_err(|error| format!("without its defect:{error}")),
        None => Ok(()),
    }
}

fn again(entry: &Entry) -> Again {
    let program = "fencepost".to_owned();
    let (name, argument) = (entry.name().to_owned(), entry.argument());
    Again { program, name, argument, engine: Engine::Madsim, test_package: None }
}
