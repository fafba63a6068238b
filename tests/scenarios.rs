//! Every scenario file as a test of its own, called like the file: `cargo test -p tests artemis/failback -- --exact`.
//!
//! A canary, which switches on a defect and expects a violation, has a twin: the same file without the defect, on the
//! same seeds, must not violate anything. Otherwise the canary would prove nothing about the defect.
//!
//! `FENCEPOST_SEED`, `FENCEPOST_SEEDS`, `FENCEPOST_TIME` and `FENCEPOST_JOBS` say which seeds to run and on how many threads.

use std::ops::ControlFlow;
use std::process::{ExitCode, exit};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use scenarios::catalogue::{Catalogue, Entry};
use scenarios::cli::Environment;
use scenarios::defects::without_defects;
use scenarios::format::FileError;
use scenarios::registry::{Compiled, Engine, Registry};
use scenarios::report::failure::{self, Again};
use scenarios::runner::{self, Options, Which};

/// Failures shown of each scenario.
const MOST_SHOWN: usize = 3;
/// Exit code for a wrong value in the environment, as for a wrong argument of the command.
const USAGE: i32 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let environment = Environment::read().unwrap_or_else(|error| stop(&error));
    // Names, paths and the files of failures are relative to the root, as if the command had been called there.
    std::env::set_current_dir(tests::workspace()).unwrap_or_else(|error| stop(&error.to_string()));
    let registry = Registry::bundled();
    let catalogue = Catalogue::open(&registry).unwrap_or_else(|error| stop(&error.to_string()));
    let options = Options {
        seeds: environment.which().unwrap_or(Which::OfScenario),
        time: environment.time,
        // Tests run side by side already, unless it is one that was asked for.
        jobs: environment.jobs.unwrap_or(if arguments.exact { 0 } else { 1 }),
        ..Options::default()
    };
    let trials = catalogue.entries().iter().flat_map(|entry| trials(entry, &registry, &options)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn stop(error: &str) -> ! {
    eprintln!("error: {error}");
    exit(USAGE)
}

/// The test of a file, and that of its twin if it has one.
fn trials(entry: &Entry, registry: &Registry, options: &Options) -> Vec<Trial> {
    // A file that cannot be read is a test that fails, and no reason not to run the others.
    let compiled = match entry.load(registry) {
        Ok(compiled) => compiled,
        Err(error) => return vec![broken(entry.name().to_owned(), error)],
    };
    let mut trials = Vec::new();
    if !compiled.scenario().defects.is_empty() {
        let name = format!("{} (fixed)", entry.name());
        trials.push(match registry.compile(&Arc::new(without_defects(compiled.scenario()))) {
            Ok(fixed) => trial(name, entry, fixed, options),
            Err(error) => broken(name, error),
        });
    }
    trials.push(trial(entry.name().to_owned(), entry, compiled, options));
    trials
}

fn broken(name: String, error: FileError) -> Trial {
    let error = format!("{:?}", miette::Report::new(error));
    Trial::test(name, move || Err(Failed::from(error)))
}

fn trial(name: String, entry: &Entry, compiled: Box<dyn Compiled>, options: &Options) -> Trial {
    let (entry, options) = (entry.clone(), options.clone());
    Trial::test(name.clone(), move || run(&name, &entry, &*compiled, &options).map_err(Failed::from))
}

/// Runs a scenario as the command does. The error is what the command would print.
fn run(name: &str, entry: &Entry, compiled: &dyn Compiled, options: &Options) -> Result<(), String> {
    let regressions = entry.regressions().map_err(|error| error.to_string())?;
    let go_on = |_: &_| ControlFlow::Continue(());
    let result = runner::run(compiled, &regressions, options, go_on).map_err(|error| error.to_string())?;
    if result.expected {
        return Ok(());
    }
    let is_twin = name != entry.name();
    let again = Again {
        program: "fencepost".to_owned(),
        name: name.to_owned(),
        argument: entry.argument(),
        engine: Engine::Native,
        test_package: Some("tests".to_owned()),
    };
    let mut text = String::from("\n");
    if let Some(divergence) = &result.divergence {
        text += &again.divergence(divergence);
    }
    let failures: Vec<_> = result.unexpected_failures().take(MOST_SHOWN).collect();
    for failure in &failures {
        // A replay of the file would have the defect that its twin is without.
        let block = if is_twin {
            let seed = failure.seed;
            let again_here = format!("  cargo:  FENCEPOST_SEED={seed:#x} cargo test -p tests '{name}' -- --exact\n");
            again.headline(failure) + &again_here
        } else {
            again.failure(failure)
        };
        text += &block;
        text += &match failure::save(name, failure.seed, &block) {
            Ok(path) => format!("  file:   {}\n", path.display()),
            Err(error) => format!("  file:   not written: {error}\n"),
        };
    }
    text += &failure::groups(&result, failures.len());
    text += &failure::shortfalls(&result);
    Err(text)
}
