//! A bundled scenario (the failback of Artemis, if nothing else is asked for) as users run it: read from its file, sampled by seed, with all its faults and invariants.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cpu_time::ProcessTime;
use scenarios::format;
use scenarios::registry::Registry;

use crate::report::Failback;
use crate::rounds::median;

/// Seeds in a round.
const SEEDS: u64 = 50;

/// Times runs of the scenario on one core, different seeds in each round.
///
/// # Panics
/// If the file cannot be read, or a seed violates an invariant: it is a scenario that must pass.
pub fn measure(name: &str, rounds: u32) -> Failback {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios").join(name).with_extension("toml");
    let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let registry = Registry::bundled();
    let scenario = format::parse(name, &path, source.into(), &registry).expect("the scenario is well-formed");
    let compiled = registry.compile(&Arc::new(scenario)).expect("its protocol accepts the scenario");

    let (mut events_per_s, mut seeds_per_s) = (Vec::new(), Vec::new());
    for round in 0..u64::from(rounds) {
        let start = ProcessTime::now();
        let mut events = 0;
        for seed in round * SEEDS..(round + 1) * SEEDS {
            let outcome = compiled.run(&compiled.schedule(seed));
            assert_eq!(outcome.violation, None, "{name} fails with seed {seed}");
            events += outcome.events;
        }
        let seconds = start.elapsed().as_secs_f64();
        events_per_s.push(events as f64 / seconds);
        seeds_per_s.push(SEEDS as f64 / seconds);
    }
    Failback { scenario: name.to_owned(), events_per_s: median(events_per_s), seeds_per_s: median(seeds_per_s) }
}
