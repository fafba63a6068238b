//! Reading scenarios that are sound.

use std::sync::Arc;

use crate::common::{EVERYTHING, read, registry};
use scenarios::format::{Expect, RandomFault, Seeds};
use sim_core::Fault;

#[test]
fn a_file_with_every_key_is_read() {
    let scenario = read(EVERYTHING).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    assert_eq!(scenario.seeds, Seeds::Listed(vec![7, 0x9e37_79b9_7f4a_7c15, 16]));
    let names: Vec<_> = scenario.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["alpha", "beta", "gamma", "client-1", "client-2"]);
    assert_eq!(scenario.hosts, ["m1", "gamma", "client-1", "client-2"]);
    assert_eq!(scenario.expect, Expect::Violates("at-most-one-primary".to_owned()));
    insta::assert_debug_snapshot!((&scenario.steps, &scenario.random));
}

#[test]
fn the_file_with_every_key_leaves_no_kind_of_fault_out() {
    let scenario = read(EVERYTHING).expect("it is sound");
    for kind in Fault::KINDS {
        assert!(scenario.steps.iter().any(|step| step.fault.kind() == *kind), "no step for {kind}");
    }
    let random = scenario.random.expect("it has random faults");
    for kind in RandomFault::KINDS {
        assert!(random.kinds.iter().any(|random| random.fault.kind() == *kind), "no random {kind}");
    }
}

#[test]
fn a_scenario_runs_and_its_recording_ends_like_it() {
    let scenario = Arc::new(read(EVERYTHING).expect("it is sound"));
    let compiled = registry().compile(&scenario).expect("it fits its protocol");
    for seed in 0..20 {
        let schedule = compiled.schedule(seed);
        let outcome = compiled.run(&schedule);
        assert!(outcome.events > 10);
        let (recorded, trace) = compiled.record(&schedule);
        assert_eq!(outcome, recorded);
        assert!(!trace.entries.is_empty());
    }
}

#[test]
fn a_byte_order_mark_and_foreign_line_ends_do_not_matter() {
    let text = format!("\u{feff}{}", EVERYTHING.replace('\n', "\r\n"));
    let scenario = read(&text).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    assert_eq!(scenario.steps, read(EVERYTHING).expect("it is sound").steps);
}
