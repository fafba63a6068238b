//! Random faults: each a pure function of the seed, within its bounds, and independent of the other kinds.

use std::collections::BTreeSet;

use crate::common::{EVERYTHING, read};
use proptest::prelude::*;
use scenarios::format::{RandomFault, RandomFaults, Scenario};
use scenarios::nemesis::{IDS_PER_KIND, sample, schedule};
use sim_core::{Fault, Instant, PlannedFault, Randomness, Trigger};

fn everything() -> Scenario {
    read(EVERYTHING).expect("it is sound")
}

fn random(scenario: &Scenario) -> RandomFaults {
    scenario.random.clone().expect("it has random faults")
}

fn sampled(scenario: &Scenario, random: &RandomFaults, seed: u64) -> Vec<PlannedFault> {
    sample(random, &scenario.members, &mut Randomness::new(seed))
}

fn strikes_at(fault: &PlannedFault) -> Instant {
    match fault.trigger {
        Trigger::At(at) => at,
        ref other => panic!("a random fault strikes at a moment, not {other:?}"),
    }
}

/// Which kind of random fault an id belongs to.
fn kind_of(fault: &PlannedFault) -> u32 {
    fault.id / IDS_PER_KIND - 1
}

proptest! {
    #[test]
    fn everything_happens_inside_the_window(seed: u64) {
        let scenario = everything();
        let random = random(&scenario);
        for fault in sampled(&scenario, &random, seed) {
            let at = strikes_at(&fault);
            prop_assert!(random.window.0 <= at && at <= random.window.1);
            if let Some(hold) = fault.hold {
                prop_assert!(at + hold <= random.window.1, "{fault:?} outlasts the window");
            }
            prop_assert_eq!(fault.hold.is_some(), fault.fault.has_extent());
        }
    }

    #[test]
    fn without_settling_only_the_strike_is_inside_the_window(seed: u64) {
        let scenario = everything();
        let random = RandomFaults { settle: false, swarm: false, ..random(&scenario) };
        for fault in sampled(&scenario, &random, seed) {
            prop_assert!(strikes_at(&fault) <= random.window.1);
            let kind = &random.kinds[kind_of(&fault) as usize];
            match (kind.hold, fault.hold) {
                (Some((shortest, longest)), Some(hold)) => prop_assert!(shortest <= hold && hold <= longest),
                (None, None) => {}
                (wanted, got) => prop_assert!(false, "{wanted:?} became {got:?}"),
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule(seed: u64) {
        let scenario = everything();
        prop_assert_eq!(schedule(&scenario, seed), schedule(&scenario, seed));
    }

    #[test]
    fn leaving_a_kind_out_changes_no_other(seed: u64, gone in 0..RandomFault::KINDS.len() as u32) {
        let scenario = everything();
        let all = random(&scenario);
        let mut fewer = all.clone();
        fewer.kinds.retain(|kind| kind.fault.number() != gone);
        let mut expected = sampled(&scenario, &all, seed);
        expected.retain(|fault| kind_of(fault) != gone);
        prop_assert_eq!(sampled(&scenario, &fewer, seed), expected);
    }

    #[test]
    fn swarm_leaves_whole_kinds_out_and_changes_no_other(seed: u64) {
        let scenario = everything();
        let swarm = random(&scenario);
        let all = sampled(&scenario, &RandomFaults { swarm: false, ..swarm.clone() }, seed);
        let some = sampled(&scenario, &swarm, seed);
        let kinds: BTreeSet<_> = some.iter().map(kind_of).collect();
        let expected: Vec<_> = all.into_iter().filter(|fault| kinds.contains(&kind_of(fault))).collect();
        prop_assert_eq!(some, expected);
    }

    #[test]
    fn at_most_is_never_exceeded(seed: u64, most in 1..3_u32, millis in 100..5000_u64) {
        let scenario = everything();
        let mut random = random(&scenario);
        random.swarm = false;
        for kind in &mut random.kinds {
            kind.every = std::time::Duration::from_millis(millis);
            kind.at_most = Some(most);
            kind.total = None;
        }
        let faults = sampled(&scenario, &random, seed);
        for kind in 0..RandomFault::KINDS.len() as u32 {
            let of_kind: Vec<_> = faults.iter().filter(|fault| kind_of(fault) == kind && fault.hold.is_some()).collect();
            for fault in &of_kind {
                let at = strikes_at(fault);
                let in_force = of_kind.iter().filter(|other| {
                    strikes_at(other) <= at && other.hold.is_some_and(|hold| at <= strikes_at(other) + hold)
                });
                // Counted at the moment of each strike, which is when the number can rise.
                prop_assert!(in_force.count() as u32 <= most, "{} at {at}", RandomFault::KINDS[kind as usize]);
            }
        }
    }

    #[test]
    fn total_is_never_exceeded_and_one_node_is_struck_once_at_a_time(seed: u64) {
        let scenario = everything();
        let mut random = random(&scenario);
        random.swarm = false;
        for kind in &mut random.kinds {
            kind.every = std::time::Duration::from_millis(300);
            kind.at_most = None;
            kind.total = Some(7);
        }
        let faults = sampled(&scenario, &random, seed);
        for kind in 0..RandomFault::KINDS.len() as u32 {
            prop_assert!(faults.iter().filter(|fault| kind_of(fault) == kind).count() <= 7);
        }
        let crashes: Vec<_> = faults.iter().filter(|fault| matches!(fault.fault, Fault::Crash { .. })).collect();
        for (index, first) in crashes.iter().enumerate() {
            for second in &crashes[index + 1..] {
                let overlap = strikes_at(second) <= strikes_at(first) + first.hold.expect("a crash has an end");
                prop_assert!(first.fault != second.fault || !overlap, "{first:?} and {second:?}");
            }
        }
    }

    #[test]
    fn ids_are_unique_and_clocks_are_in_their_ranges(seed: u64) {
        let scenario = everything();
        let schedule = schedule(&scenario, seed);
        let ids: BTreeSet<_> = schedule.faults.faults.iter().map(|fault| fault.id).collect();
        prop_assert_eq!(ids.len(), schedule.faults.faults.len());
        for range in &scenario.clocks {
            let clock = schedule.clocks[&range.node];
            prop_assert!(range.offset.0 <= clock.offset && clock.offset <= range.offset.1);
            prop_assert!(range.drift_ppm.0 <= clock.drift_ppm && clock.drift_ppm <= range.drift_ppm.1);
        }
    }
}

#[test]
fn over_a_thousand_seeds_every_kind_occurs_and_every_kind_is_left_out() {
    let scenario = everything();
    let random = random(&scenario);
    let mut seen = vec![0; RandomFault::KINDS.len()];
    for seed in 0..1000 {
        let kinds: BTreeSet<_> = sampled(&scenario, &random, seed).iter().map(kind_of).collect();
        kinds.into_iter().for_each(|kind| seen[kind as usize] += 1);
    }
    for (kind, seeds) in RandomFault::KINDS.iter().zip(seen) {
        assert!((200..=700).contains(&seeds), "{kind} is in {seeds} of 1000 seeds");
    }
}

#[test]
fn faults_come_as_often_as_asked() {
    let scenario = everything();
    let mut random = random(&scenario);
    random.swarm = false;
    random.settle = false;
    random.kinds.retain(|kind| matches!(kind.fault, RandomFault::Reset));
    let count: usize = (0..1000).map(|seed| sampled(&scenario, &random, seed).len()).sum();
    // Every 15 s for 60 s: about four a seed.
    assert!((3500..=4500).contains(&count), "{count} in 1000 seeds");
}

#[test]
fn a_partition_splits_all_nodes_into_two_sides_and_goes_one_way_as_often_as_asked() {
    let scenario = everything();
    let mut random = random(&scenario);
    random.swarm = false;
    random.kinds.retain(|kind| matches!(kind.fault, RandomFault::Partition { .. }));
    let (mut both, mut one_way) = (0, 0);
    for seed in 0..1000 {
        for fault in sampled(&scenario, &random, seed) {
            let sides = match fault.fault {
                Fault::Partition { groups } => {
                    both += 1;
                    groups
                }
                Fault::OneWay { from, to } => {
                    one_way += 1;
                    vec![from, to]
                }
                other => panic!("a partition, not {other:?}"),
            };
            assert!(sides.len() == 2 && sides.iter().all(|side| !side.is_empty()));
            let mut all: Vec<_> = sides.concat();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), scenario.members.len());
        }
    }
    let share = f64::from(one_way) / f64::from(both + one_way);
    assert!((0.27..0.33).contains(&share), "{share} of the partitions go one way");
}
