//! Two worlds with the same fingerprint have the same future, whatever their pasts.

use std::time::Duration;

use proptest::prelude::*;
use sim_core::trace::Entry;
use sim_core::{Baseline, Deviation, Fault, Instant, LookBack, Moment, NodeId, Schedule, Select, Site, Trigger, World};

use crate::chatter::{Chatter, DURATION, Scene, goes_on, run, scenes};

/// What a world does from here on, without its running numbers.
fn future(mut world: World<Chatter>) -> Vec<String> {
    world.record();
    run(&mut world);
    let entries = &world.trace().expect("it was recorded").entries;
    entries.iter().map(|Entry { at, what, .. }| format!("{at} {what:?}")).collect()
}

/// Lets a world come to where nothing is left to happen before a moment.
fn run_until(world: &mut World<Chatter>, until: Instant) {
    while world.next_event_at().is_some_and(|next| next < until) {
        world.step();
    }
}

/// Runs two worlds side by side, and from the first moment on at which they have come to the same state after having
/// differed checks that they stay together. Whether there was such a moment.
fn meet(mut one: World<Chatter>, mut other: World<Chatter>) -> Result<bool, TestCaseError> {
    let mut parted = false;
    let mut until = Instant::ZERO;
    while until < Instant::ZERO + DURATION {
        until += Duration::from_millis(5);
        run_until(&mut one, until);
        run_until(&mut other, until);
        let same = one.fingerprint(LookBack::NOTHING) == other.fingerprint(LookBack::NOTHING);
        if same && parted {
            prop_assert_eq!(future(one), future(other));
            return Ok(true);
        }
        parted = !same;
    }
    Ok(false)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Losses, delays, stalls and cuts often leave no trace after a while.
    #[test]
    fn worlds_that_come_together_stay_together(scene in scenes(), at in 0..1_500_u64, kind in 0..5, node in 0..2_u16) {
        let (node, peer) = (NodeId(node), NodeId(1 - node));
        let select = Select { kind: None, from: Some(node), to: None };
        let fault = match kind {
            0 => Fault::Drop { select, count: 2 },
            1 => Fault::Delay { select, count: 2, by: Duration::from_millis(7) },
            2 => Fault::Pause { node },
            3 => Fault::Cut { from: node, to: peer },
            _ => Fault::Disk { node, trouble: sim_core::DiskTrouble::Slow { by: Duration::from_millis(3) } },
        };
        let mut other = scene.clone();
        // Under an id of its own, so that what is drawn for the others stays.
        let at = Trigger::At(Instant::from(Duration::from_millis(at)));
        other.schedule.faults.push(at, fault, Some(Duration::from_millis(20)));
        meet(scene.world(), other.world())?;
    }

    #[test]
    fn a_clone_and_a_second_run_have_the_same_fingerprints(scene in scenes()) {
        let (mut first, mut second) = (scene.world(), scene.world());
        while goes_on(&first) {
            first.step();
            second.step();
            let all = LookBack::EVERYTHING;
            prop_assert_eq!(first.fingerprint(all), second.fingerprint(all));
            // What a clone works out anew, its original has only added to.
            prop_assert_eq!(first.clone().fingerprint(all), first.fingerprint(all));
        }
    }

    /// Whatever a world was before, with everything that it kept for its memory.
    #[test]
    fn a_copy_over_another_world_goes_on_like_the_original(scene in scenes(), other in scenes()) {
        let (mut original, mut copy) = (scene.world(), other.world());
        run(&mut copy);
        for steps in [0, 7, 40] {
            (0..steps).for_each(|_| _ = original.step());
            original.fingerprint(LookBack::EVERYTHING);
            copy.clone_from(&original);
            let mut again = original.clone();
            run(&mut copy);
            run(&mut again);
            prop_assert_eq!(copy.trace_hash(), again.trace_hash());
            prop_assert_eq!(copy.fingerprint(LookBack::EVERYTHING), again.fingerprint(LookBack::EVERYTHING));
        }
    }

    /// Hashing in between changes no later hash, and no later event.
    #[test]
    fn looking_changes_nothing(scene in scenes()) {
        let (mut watched, mut left_alone) = (scene.world(), scene.world());
        while goes_on(&watched) {
            watched.step();
            watched.fingerprint(LookBack::EVERYTHING);
        }
        run(&mut left_alone);
        prop_assert_eq!(watched.trace_hash(), left_alone.trace_hash());
        prop_assert_eq!(watched.fingerprint(LookBack::EVERYTHING), left_alone.fingerprint(LookBack::EVERYTHING));
    }
}

/// Without this the property above would hold of a fingerprint that never repeats.
#[test]
fn a_lost_datagram_that_nobody_misses_is_forgotten() {
    let calm = Scene { nodes: 2, connections: false, network: Default::default(), schedule: Schedule::calm(7) };
    let mut observed = calm.world();
    observed.record();
    run(&mut observed);
    let sent = observed.trace().expect("it was recorded").entries.iter().find_map(|entry| match entry.what {
        sim_core::trace::What::Sent { from, to, .. } => Some((entry.at, from, to)),
        _ => None,
    });
    let (at, from, to) = sent.expect("chatters talk");
    let mut lossy = calm.clone();
    assert_eq!(lossy.schedule.baseline, Baseline::Calm);
    lossy.schedule.deviations.insert(Site::Link(from, to), Moment { at, ordinal: 0 }, Deviation::Lost);
    assert!(meet(calm.world(), lossy.world()).expect("they stay together"));
}
