//! What a disk keeps.

use proptest::prelude::*;
use sim_core::trace::What;

use crate::chatter::{goes_on, scenes};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_crash_leaves_what_was_synced_and_at_most_a_beginning_of_the_rest(scene in scenes()) {
        let mut world = scene.world();
        world.record();
        let mut seen = 0;
        while goes_on(&world) {
            let before: Vec<(Vec<u64>, Vec<u64>, u64)> = world
                .node_ids()
                .map(|node| {
                    let synced = world.actor(node).map_or(0, |chatter| chatter.synced);
                    (world.durable(node).copied().collect(), world.disk(node).copied().collect(), synced)
                })
                .collect();
            world.step();
            let entries = &world.trace().expect("it records").entries;
            for entry in &entries[seen..] {
                let What::Stopped { node, halted } = entry.what else { continue };
                let (durable, all, synced) = &before[node.index()];
                let left: Vec<u64> = world.disk(node).copied().collect();
                prop_assert!(left.starts_with(durable), "{entry:?}: {left:?} of {durable:?}, {all:?}");
                prop_assert!(all.starts_with(&left), "{entry:?}: {left:?} of {durable:?}, {all:?}");
                prop_assert!(left.len() as u64 >= *synced, "{entry:?}: {synced} were said to be durable");
                prop_assert!(!halted || left == *all, "{entry:?}: who stops in good order loses nothing");
                prop_assert!(world.durable(node).eq(&left), "{entry:?}: all that is left is durable");
            }
            seen = entries.len();
        }
    }

    #[test]
    fn what_is_said_to_be_durable_is(scene in scenes()) {
        let mut world = scene.world();
        while goes_on(&world) {
            world.step();
            for node in world.node_ids() {
                let synced = world.actor(node).map_or(0, |chatter| chatter.synced);
                let durable: Vec<u64> = world.durable(node).copied().collect();
                prop_assert!(durable.len() as u64 >= synced, "{node}: {synced} said, {durable:?} durable");
                prop_assert!(durable.iter().copied().eq(0..durable.len() as u64), "{node}: {durable:?} is in order");
                prop_assert!(world.disk(node).take(durable.len()).eq(&durable), "{node}: the durable part comes first");
            }
        }
    }
}
