//! The historical bugs, by upstream commit. Each is one visible `if` where its fix was made.
//!
//! The ids that begin with `PVC-L` are latent: upstream has them to this day, and the protocol here has the fix that is
//! proposed. L1 to L9 come from the specification; L10 and later were found here.

use crate::defects::defects;

defects! {
    b413e042: "b413e042", "every secondary wrote its own name into the primary key without a lock, a check or a delay, \
        and whatever was not secondary gave up at once when the key named another", ["no-primary-flap"];
    b413e042_nover: "b413e042-nover", "a contender that got the lock wrote its name without looking whether somebody \
        else had won before", ["no-primary-flap", "takeover-is-not-overwritten"];
    d2a5fe59: "d2a5fe59", "a node said that it was primary or secondary when it began to become it, and a primary \
        that shut down slept five seconds instead of waiting to be replaced", ["primary-serves-when-announced"];
    x331027d1: "331027d1", "only a node that was exactly secondary contended, so that one which had not announced \
        itself yet missed its chance; and a takeover could begin in any state", ["one-primary"];
    x8c252aee: "8c252aee", "the two sides of a transition slept instead of going in step", ["one-holder-per-vip"];
    x1e4350ca: "1e4350ca", "a network that appeared was served only by a node that was primary already, and not by \
        one that was taking over", ["primary-serves-all-networks"];
    x46ffe352: "46ffe352", "a keepalive waited for its collectors without limit", ["live-node-is-not-fenced", "keepalive-on-time"];
    c08c3b2d: "c08c3b2d", "a keepalive waited without limit for the result of a collector that had ended without one",
        ["keepalive-on-time"];
    x65b44f29: "65b44f29", "a virtual machine that was paused by an incoming migration, or a failure of libvirt, \
        aborted the keepalive (the second in 3b805cdc)", ["keepalive-on-time"];
    x611e0edd: "611e0edd", "a node that shut down made its last report first, as running, and then began to clean up",
        ["live-node-is-not-fenced"];
    f09849be: "f09849be", "a keepalive wrote that the node was running though it was shutting down",
        ["shutdown-state-is-kept"];
    ccee124c: "ccee124c", "a dead node had three saving throws instead of six", ["live-node-is-not-fenced",
        "fenced-only-after-silence"];
    x464c69aa: "464c69aa", "only the primary fenced (reverted by 75d0e7f9 the next day)", ["one-primary"];
    a6f85003: "a6f85003", "every node fenced on its own and several at once", ["one-fence-at-a-time"];
    e0cb4a58: "e0cb4a58", "the listener for a lost session was not registered again after the first loss",
        ["keepalive-on-time"];
    x0a01d842: "0a01d842", "the thread of a fence died in its first saving throw, as it read the interval wrongly \
        (5d08ad95)", ["one-primary", "vms-recover"];
    c6d552ae: "c6d552ae", "a node was fenced by a reset, whose failure said nothing about its state (8f906c1f)",
        ["one-primary", "vms-recover"];
    x06f0f7ed: "06f0f7ed", "what a board said was compared with its line feed", ["one-primary", "vms-recover"];
    x457b7bed: "457b7bed", "a virtual machine whose storage lock was gone already ended the recovery of all that came \
        after it (1293e8ae)", ["vms-recover"];
    x4c0d90b5: "4c0d90b5", "the old primary waited for the lock of a phase without limit", ["transition-ends"];
    x5e43f9bd: "5e43f9bd", "a takeover was abandoned if the database leader could not be switched", ["one-primary"];
    v0_9_46: "v0.9.46-single-node", "a primary that shut down waited without limit for another, even if there was no \
        other", ["shutdown-ends"];
    pvc_l1: "PVC-L1", "a keepalive of the primary writes its name back into the key, without lock or check, while it \
        has been told to give up", ["no-primary-flap"];
    pvc_l2: "PVC-L2", "a node in takeover ignores that the key was moved away", ["one-primary", "at-most-one-primary"];
    pvc_l3: "PVC-L3", "the key is taken from a node whose fence has failed", ["vips-leave-only-a-fenced-node"];
    pvc_l4: "PVC-L4", "whether nodes stop themselves is compared as a number with a text, so that the virtual machines \
        of a node that could not be fenced are started elsewhere though it does not", ["vm-runs-on-one-node"];
    pvc_l5: "PVC-L5", "what a board says is compared by letter case", ["one-primary", "vms-recover"];
    pvc_l6: "PVC-L6", "a node that was marked dead, and whose fencer died, is never looked at again", ["one-primary"];
    pvc_l7: "PVC-L7", "a coordinator that starts and finds no primary writes its name without contending",
        ["no-primary-flap"];
    pvc_l8: "PVC-L8", "a contender that could not get the lock in time never tries again", ["one-primary"];
    pvc_l9: "PVC-L9", "the clock of the observer is compared with the time that the observed node wrote",
        ["fenced-only-after-silence"];
    pvc_l10: "PVC-L10", "a node that dies while it shuts down is never fenced, because it is not `run`", ["one-primary"];
    pvc_l11: "PVC-L11", "a primary stays that was to give up to another, because by the time it looks nobody is named any \
        more, while the other takes over", ["at-most-one-primary", "one-holder-per-vip"];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_id_switches_one_defect_on() {
        for defect in DEFECTS {
            let on = Defects::of(&BTreeSet::from([defect.id.to_owned()]));
            assert_ne!(on, Defects::default(), "{} switches nothing on", defect.id);
            assert!(!defect.about.contains("  ") && !defect.breaks.is_empty());
        }
    }
}
