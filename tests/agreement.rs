//! The same scenarios natively, on madsim and as real processes: the verdicts agree, and milestones come in one order.
//!
//! What no fault parts runs on the loopback interface, as anybody. The rest takes network namespaces and so the rights of
//! root: it is ignored unless FENCEPOST_NAMESPACES is 1. `fencepost compare` does the same for any scenario.

use std::env;
use std::process::{ExitCode, exit};

use libtest_mimic::{Arguments, Failed, Trial};
use scenarios::catalogue::{Catalogue, Entry};
use scenarios::compare::{self, compare};
use scenarios::real::{self, Kind, Options, Problem};
use scenarios::registry::Registry;
use scenarios::report::worlds;

/// How fast time passes for real processes. They wait most of the time, and so several clusters run at a time.
const SPEED: f64 = 10.0;
const CLUSTERS: usize = 8;
/// How often a canary may try to show itself, each time with another seed.
const TRIES: usize = 5;

/// Failover and failback, contention, and clients that live through them: sound, and each with bugs of its history. Beside
/// these, a canary for each kind of fault, which shows nothing unless that fault is really brought about.
const COMPARED: &[&str] = &[
    "artemis/failover",
    "artemis/failback",
    "artemis/defects/ARTEMIS-1269-flapping",
    "artemis/defects/ARTEMIS-1154", // partition
    "artemis/defects/ART-L1",       // partition
    "artemis/defects/ARTEMIS-5017", // crash
    "artemis/defects/ARTEMIS-256a", // crash and restart
    "artemis/defects/ARTEMIS-2338", // pause
    "artemis/defects/ARTEMIS-262",  // degrade
    "artemis/defects/ARTEMIS-2297", // delay
    "artemis/defects/ARTEMIS-2892", // reset
    "derby/failover",
    "derby/slave-failover",
    "derby/defects/DERBY-3254a", // command
    "derby/defects/DERBY-3254c", // drop
    "jboss/crash",
    "jboss/double-failover",
    "jboss/defects/JBMESSAGING-1041", // host failure
    "lease/steady",
    "lease/defects/no-fencing", // delay and partition
    "pvc/contention-after-death",
    "pvc/defects/PVC-L1",
    "pvc/defects/PVC-L9", // clock and pause
    "sling/joining",
    "sling/defects/SLING-L1",
];

/// Whose power boards switch machines off, which then vanish from the network.
const POWER_BOARDS: &str = "pvc/";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(CLUSTERS);
    env::set_current_dir(tests::workspace()).unwrap_or_else(|error| stop(&error.to_string()));
    let registry = Registry::bundled();
    let catalogue = Catalogue::open(&registry).unwrap_or_else(|error| stop(&error.to_string()));
    let as_root = match env::var("FENCEPOST_NAMESPACES").as_deref() {
        Ok("1") => true,
        Err(_) | Ok("0" | "") => false,
        Ok(other) => {
            stop(&format!("FENCEPOST_NAMESPACES is `{other}`; write 1 to run what takes network namespaces, or 0"))
        }
    };
    let trials = COMPARED.iter().map(|name| {
        let found = catalogue.entries().iter().find(|entry| entry.name() == *name);
        trial(found.unwrap_or_else(|| stop(&format!("there is no scenario `{name}`"))), as_root)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn stop(error: &str) -> ! {
    eprintln!("error: {error}");
    exit(2)
}

fn trial(entry: &Entry, as_root: bool) -> Trial {
    let (entry, registry) = (entry.clone(), Registry::bundled());
    let parts = match entry.load(&registry) {
        Ok(compiled) => real::objection(&*compiled, &compiled.schedule(0), Kind::Loopback).is_some(),
        Err(_) => stop(&format!("{} cannot be read", entry.name())),
    };
    let parts = parts || entry.name().starts_with(POWER_BOARDS);
    let (network, kind) = if parts { (Kind::Namespaces, "parted") } else { (Kind::Loopback, "") };
    let trial = Trial::test(entry.name().to_owned(), move || agrees(&entry, &registry, network).map_err(Failed::from));
    trial.with_kind(kind).with_ignored_flag(parts && !as_root)
}

fn agrees(entry: &Entry, registry: &Registry, network: Kind) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let options = Options {
        program: tests::fencepost().get_program().into(),
        scenario: entry.argument(),
        network,
        speed: SPEED,
        directory: folder.path().to_owned(),
    };
    let comparison = compare(entry, registry, &options, TRIES, &mut |_, _| {}, &|| false);
    let comparison = comparison.map_err(|failed| match failed {
        compare::Failed::File(_) => "its file is wrong".to_owned(),
        compare::Failed::Real(Problem::Impossible(why) | Problem::Refused(why) | Problem::Died(why)) => why,
        compare::Failed::Real(Problem::Nondeterministic(why)) => format!("an actor is no state machine: {why}"),
        compare::Failed::Real(Problem::Interrupted) => "interrupted".to_owned(),
    })?;
    match comparison.agrees() && comparison.has_one_order() {
        true => Ok(()),
        false => Err(format!("\n{}", worlds::row(entry.name(), &comparison))),
    }
}
