//! A run is a function of its set-up and schedule, and a schedule is made of parts that do not disturb each other.

use proptest::prelude::*;
use sim_core::trace::{Trace, What};
use sim_core::{Baseline, Fault, Instant, NodeId, Schedule};

use crate::chatter::{Scene, goes_on, links, run, scenes};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_same_seed_takes_the_same_course_recorded_or_not(scene in scenes()) {
        let [mut first, mut second, mut recorded] = [scene.world(), scene.world(), scene.world()];
        recorded.record();
        run(&mut first);
        run(&mut second);
        run(&mut recorded);
        prop_assert_eq!((first.events(), first.trace_hash()), (second.events(), second.trace_hash()));
        prop_assert_eq!((first.events(), first.trace_hash()), (recorded.events(), recorded.trace_hash()));
        prop_assert_eq!(first.fired(), recorded.fired());
    }

    #[test]
    fn another_seed_takes_another_course(mut scene in scenes()) {
        let mut first = scene.world();
        scene.schedule.seed ^= 1;
        let mut second = scene.world();
        run(&mut first);
        run(&mut second);
        prop_assert_ne!(first.trace_hash(), second.trace_hash());
    }

    #[test]
    fn a_clone_goes_on_like_the_original_and_on_its_own(scene in scenes(), after in 0..500_u32) {
        let mut original = scene.world();
        for _ in 0..after {
            if goes_on(&original) {
                original.step();
            }
        }
        let mut copy = original.clone();
        // By turns, so that anything shared would show.
        while goes_on(&original) || goes_on(&copy) {
            for world in [&mut original, &mut copy] {
                if goes_on(world) {
                    world.step();
                }
            }
            prop_assert_eq!(original.trace_hash(), copy.trace_hash());
        }
        let mut untouched = scene.world();
        run(&mut untouched);
        prop_assert_eq!(original.trace_hash(), untouched.trace_hash());
        for node in original.node_ids() {
            prop_assert_eq!(original.connections(node), copy.connections(node));
            prop_assert!(original.disk(node).eq(copy.disk(node)));
        }
    }

    #[test]
    fn a_calm_run_with_the_recorded_deviations_takes_the_same_course(scene in scenes()) {
        let mut seeded = scene.world();
        seeded.record();
        run(&mut seeded);
        let deviations = seeded.observed_deviations().expect("it was recorded").clone();
        let schedule = Schedule { baseline: Baseline::Calm, deviations, ..scene.schedule.clone() };
        let mut calm = Scene { schedule, ..scene }.world();
        run(&mut calm);
        prop_assert_eq!((seeded.events(), seeded.trace_hash()), (calm.events(), calm.trace_hash()));
    }

    #[test]
    fn an_explicit_schedule_takes_the_same_course_whatever_its_seed(scene in scenes(), other: u64) {
        let mut seeded = scene.world();
        seeded.observe();
        run(&mut seeded);
        let schedule = Schedule { seed: other, ..seeded.explicit_schedule().expect("it was observed") };
        let mut explicit = Scene { schedule, ..scene }.world();
        run(&mut explicit);
        prop_assert_eq!((seeded.events(), seeded.trace_hash()), (explicit.events(), explicit.trace_hash()));
        for node in seeded.node_ids() {
            prop_assert!(seeded.durable(node).eq(explicit.durable(node)));
        }
    }

    #[test]
    fn a_node_that_is_absent_never_runs(scene in scenes(), which: prop::sample::Index) {
        let nodes: Vec<NodeId> = scene.world().node_ids().collect();
        let absent = nodes[which.index(nodes.len())];
        let schedule = Schedule { absent: [absent].into(), ..scene.schedule.clone() };
        let mut world = Scene { schedule, ..scene }.world();
        while world.next_event_at().is_some_and(|at| at < Instant::from_secs(60)) {
            world.step();
            prop_assert!(!world.is_up(absent));
        }
    }

    #[test]
    fn without_one_fault_nothing_changes_where_it_did_not_strike(scene in scenes(), which: prop::sample::Index) {
        let faults = &scene.schedule.faults.faults;
        prop_assume!(!faults.is_empty());
        let which = which.index(faults.len());
        let fault = faults[which].fault.clone();
        // Who is slow is held up by what arrives, and with that by what others do.
        let slow: Vec<NodeId> = faults.iter().flat_map(|fault| match fault.fault {
            Fault::Slow { node, .. } => Some(node),
            _ => None,
        }).collect();
        let [mut with, mut without] = [scene.world(), scene.without_fault(which).world()];
        with.record();
        without.record();
        run(&mut with);
        run(&mut without);
        let (with, without) = (with.trace().expect("recorded"), without.trace().expect("recorded"));
        for (from, to) in links(scene.nodes).filter(|(from, _)| !slow.contains(from) && !strikes(&fault, *from)) {
            // What becomes of a datagram is the next decision of its link. Connections use those as well, and not
            // equally often when they break.
            let fates = !scene.connections && !bends(&fault, from, to);
            prop_assert_eq!(said(with, from, to, fates), said(without, from, to, fates), "from {} to {}", from, to);
        }
    }
}

/// Whether a fault changes what a node does.
fn strikes(fault: &Fault, struck: NodeId) -> bool {
    match fault {
        Fault::HostFailure { host } => host.0 == struck.0,
        other => other.node() == Some(struck),
    }
}

/// Whether a fault changes what a link does.
fn bends(fault: &Fault, link_from: NodeId, link_to: NodeId) -> bool {
    match fault {
        Fault::Partition { .. } | Fault::Heal => true,
        Fault::OneWay { from, to } => from.contains(&link_from) && to.contains(&link_to),
        Fault::Cut { from, to } | Fault::Degrade { from, to, .. } => (*from, *to) == (link_from, link_to),
        Fault::Drop { select, .. } | Fault::Delay { select, .. } => select.from == Some(link_from),
        _ => false,
    }
}

/// The datagrams that were sent over a link: when, what, and, if asked for, what became of them.
fn said(trace: &Trace, link_from: NodeId, link_to: NodeId, fates: bool) -> Vec<String> {
    let sent = trace.entries.iter().filter_map(|entry| match &entry.what {
        What::Sent { from, to, message, connection: false, fate, .. } if (*from, *to) == (link_from, link_to) => {
            let fate = if fates { format!("{fate:?}") } else { String::new() };
            Some(format!("{} {message} {fate}", entry.at))
        }
        _ => None,
    });
    sent.collect()
}
