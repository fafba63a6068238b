//! What holds of asynchronous code as nodes: it is run, its bug is found, and what cannot be done with it is refused.
//!
//! The last of that is told by the command, so this program is one: called with the variable [`AS_COMMAND`] it does what its
//! arguments say, with this protocol alone, as the command of a crate with protocols of its own does.

use std::env;
use std::fs;
use std::ops::ControlFlow;
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use scenarios::format::parse;
use scenarios::registry::{Compiled, Engine, objection_to};
use scenarios::runner::{self, Options, ScenarioResult, Verdict};
use sim_core::{Fault, Instant, NodeId, Trigger};

use crate::register::{registry, scenario};

const AS_COMMAND: &str = "LEASED_REGISTER_AS_COMMAND";

const CHECKS: &[(&str, fn())] = &[
    ("the_code_is_sound_whatever_breaks", the_code_is_sound_whatever_breaks),
    ("a_campaign_finds_the_bug", a_campaign_finds_the_bug),
    ("what_cannot_reach_the_code_is_refused", what_cannot_reach_the_code_is_refused),
    ("a_seed_is_one_run", a_seed_is_one_run),
    ("the_native_engine_says_that_it_cannot_run_it", the_native_engine_says_that_it_cannot_run_it),
    ("a_replay_asks_for_the_engine_that_can", a_replay_asks_for_the_engine_that_can),
    ("what_searches_on_the_native_engine_refuses_it", what_searches_on_the_native_engine_refuses_it),
];

pub fn main() -> ExitCode {
    if env::var_os(AS_COMMAND).is_some() {
        return scenarios::cli::main_with(registry());
    }
    let trial = |&(name, check): &(&str, fn())| {
        Trial::test(name, move || {
            check();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), CHECKS.iter().map(trial).collect()).exit_code()
}

fn compiled(bug: bool) -> Box<dyn Compiled> {
    let registry = registry();
    let scenario =
        parse("async", "async.toml".as_ref(), scenario(bug).into(), &registry).expect("the scenario is sound");
    registry.compile(&Arc::new(scenario)).expect("it can be run")
}

fn campaign(compiled: &dyn Compiled, jobs: usize) -> ScenarioResult {
    let options = Options { engine: Engine::Madsim, jobs, ..Options::default() };
    runner::run(compiled, &[], &options, |_| ControlFlow::Continue(())).expect("threads can be started")
}

fn the_code_is_sound_whatever_breaks() {
    let result = campaign(&*Engine::Madsim.host(compiled(false)), 0);
    assert_eq!(result.verdict, Verdict::Pass, "{result:?}");
    for kind in ["crash", "pause", "partition", "one-way"] {
        assert!(result.faults_fired[kind] > 10, "{:?}", result.faults_fired);
    }
}

fn a_campaign_finds_the_bug() {
    let result = campaign(&*Engine::Madsim.host(compiled(true)), 0);
    assert!(result.expected, "{result:?}");
}

/// A fault that cannot be brought about must not look like one that changed nothing.
fn what_cannot_reach_the_code_is_refused() {
    let hosted = Engine::Madsim.host(compiled(false));
    let mut schedule = hosted.schedule(0);
    schedule.faults.push(
        Trigger::At(Instant::from(Duration::from_secs(1))),
        Fault::Slow { node: NodeId(1), per_event: Duration::from_millis(1) },
        Some(Duration::from_secs(1)),
    );
    let violation = sim_core::search::guarded(|| hosted.run(&schedule)).violation.expect("it is refused");
    assert!(violation.message.contains("slow cannot reach a, which is asynchronous code"), "{violation:?}");
}

fn a_seed_is_one_run() {
    let hosted = Engine::Madsim.host(compiled(false));
    assert_eq!(campaign(&*hosted, 1).tally, campaign(&*hosted, 3).tally);
}

fn the_native_engine_says_that_it_cannot_run_it() {
    let native = compiled(false);
    let objection = objection_to(&*native).expect("there is one");
    assert_eq!(
        objection,
        "of `async`, w, a, b, client-1 are asynchronous code, which only madsim can run: add `--engine madsim`"
    );
    let outcome = sim_core::search::guarded(|| native.run(&native.schedule(0)));
    assert!(outcome.violation.is_some_and(|violation| violation.message.contains("--engine madsim")));
    assert_eq!(objection_to(&*Engine::Madsim.host(native)), None);
}

/// What the command says in a folder with the scenario in it, with the bug and without.
fn command(line: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let scenarios = folder.path().join("scenarios");
    fs::create_dir(&scenarios).expect("a folder can be made");
    for (name, bug) in [("sound.toml", false), ("broken.toml", true)] {
        fs::write(scenarios.join(name), scenario(bug)).expect("a file can be written");
    }
    let mut command = Command::new(env::current_exe().expect("a test knows its own path"));
    for variable in ["FENCEPOST_SEED", "FENCEPOST_SEEDS", "FENCEPOST_TIME", "FENCEPOST_JOBS"] {
        command.env_remove(variable);
    }
    command.env(AS_COMMAND, "1").current_dir(folder.path()).args(line.split(' '));
    command.output().expect("the command can be run")
}

/// A scenario is refused with a usage error, before anything is run.
#[track_caller]
fn assert_refused(line: &str, names: &[&str], remedy: &str) {
    let output = command(line);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{line}: {error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{line}");
    let expected: String = names
        .iter()
        .map(|name| {
            format!(
                "error: of `{name}`, w, a, b, client-1 are asynchronous code, which only madsim can run: {remedy}\n"
            )
        })
        .collect();
    assert_eq!(error, expected, "{line}");
}

fn a_replay_asks_for_the_engine_that_can() {
    assert_refused("replay sound --seed 1", &["sound"], "add `--engine madsim`");
    let output = command("replay sound --seed 1 --engine madsim");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

fn what_searches_on_the_native_engine_refuses_it() {
    let remedy =
        "what fails of it is found by `fencepost fuzz --engine madsim` and seen by `fencepost replay --engine madsim`";
    assert_refused("explore sound", &["sound"], remedy);
    assert_refused("explore", &["broken", "sound"], remedy);
    assert_refused("explore sound --untimed", &["sound"], remedy);
    assert_refused("shrink sound --seed 1", &["sound"], remedy);
    assert_refused("defects", &["broken"], remedy);
}
