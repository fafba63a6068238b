//! The historical bugs of discovery, by upstream id. Each is one visible `if` where its fix was made.
//!
//! The ids that end in `-L` and a number are latent: upstream has no fix for them, and the protocol here has the one
//! that is proposed. L1 to L3 come from the specification; L4 to L6 were found when the protocol was modelled. L5 is a
//! hazard of L2's fix: where members agree on nothing but a number, those who were there need not wait for the joiner.

use super::invariants::{
    CHANGING_BEFORE_CHANGED, CLUSTER_CONVERGES, LEADER_STABLE, NO_CANCELLED_SYNC_RUNS, NO_EVENT_TO_UNBOUND_LISTENER,
    NO_SPURIOUS_CHANGE, NO_TWO_TOPOLOGIES, SLOW_STARTER_BLOCKS_NOBODY,
};
use crate::defects::defects;

defects! {
    sling_10489a: "SLING-10489a", "an instance that had started only partially made the view undefined for all",
        [SLOW_STARTER_BLOCKS_NOBODY];
    sling_10489b: "SLING-10489b", "an instance that joins while others leave sends TOPOLOGY_INIT as soon as it sees \
        their tokens, which they have written without knowing of it", [NO_TWO_TOPOLOGIES];
    sling_11450: "SLING-11450", "a member that was late to write the new sync token was taken for partially started \
        and left out", [NO_TWO_TOPOLOGIES, LEADER_STABLE];
    sling_11496: "SLING-11496", "any sync token, however old, counted as a sign that an instance had started",
        [SLOW_STARTER_BLOCKS_NOBODY];
    sling_5094: "SLING-5094", "the sync token was written while TOPOLOGY_CHANGING was still on its way to listeners",
        [NO_TWO_TOPOLOGIES];
    sling_5173_sync: "SLING-5173-always-sync", "members wrote their sync token only if somebody had left",
        [CLUSTER_CONVERGES, NO_TWO_TOPOLOGIES];
    sling_5173_cancel: "SLING-5173-cancel", "a change during a sync did not cancel it",
        [CHANGING_BEFORE_CHANGED, NO_TWO_TOPOLOGIES];
    sling_5173_leader: "SLING-5173-leader", "a new leader election id was taken for a change of properties",
        [CHANGING_BEFORE_CHANGED, NO_TWO_TOPOLOGIES];
    sling_5256: "SLING-5256", "a view with the same members was taken for the same view, although its sync token was \
        another one", [CLUSTER_CONVERGES];
    sling_5458: "SLING-5458", "a new cluster id was taken for a change of properties",
        [CHANGING_BEFORE_CHANGED, NO_TWO_TOPOLOGIES];
    sling_5464: "SLING-5464", "cluster ids were compared by reference, so that equal ones differed",
        [NO_SPURIOUS_CHANGE];
    sling_5282: "SLING-5282", "deactivation left the check of a sync running", [NO_CANCELLED_SYNC_RUNS];
    sling_5310: "SLING-5310", "a delayed event survived deactivation and came after it", [NO_TWO_TOPOLOGIES];
    sling_10353: "SLING-10353", "a sync that was cancelled between two of its parts began the second one",
        [NO_CANCELLED_SYNC_RUNS];
    sling_10441: "SLING-10441", "delays needed a thread of the shared scheduler, whose threads all waited for the \
        topology", [CLUSTER_CONVERGES];
    sling_11355: "SLING-11355", "without a setting, the interval between two checks of a sync was its timeout",
        [CLUSTER_CONVERGES];
    sling_l1: "SLING-L1", "a sync that has timed out counts as successful", [NO_TWO_TOPOLOGIES];
    sling_l2: "SLING-L2", "members agree on a sequence number and not on the view, and only a delay of fixed length \
        keeps an instance that joins from being early", [NO_TWO_TOPOLOGIES];
    sling_l3: "SLING-L3", "a listener that is unregistered is bound instead of unbound",
        [NO_EVENT_TO_UNBOUND_LISTENER];
    sling_l4: "SLING-L4", "an instance that starts again leaves the leader election id of its last life in the \
        repository and is taken for a member that is merely late", [SLOW_STARTER_BLOCKS_NOBODY];
    sling_l5: "SLING-L5", "an instance that joins is let in while another beside it, for which it waits, has not \
        started completely", [SLOW_STARTER_BLOCKS_NOBODY];
    sling_l6: "SLING-L6", "a sync token says nothing of the activation that wrote it: an instance whose discovery is \
        being restarted is let in by its old token, and then all wait for its new one",
        [SLOW_STARTER_BLOCKS_NOBODY];
}
