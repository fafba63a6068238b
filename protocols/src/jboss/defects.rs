//! The historical bugs and the hazards that the design note anticipates, by id. Each is one visible `if` where its fix
//! was made.
//!
//! The ids that end in `-L` and a number are latent: the protocol as it was shipped has them, and the one here has the fix
//! that is proposed. L4 was found when the protocol was modelled.

use crate::defects::defects;

defects! {
    design_1: "JBM-DESIGN-1", "a client trusted its own failover map, and went on asking a server that was not the \
        right one", ["clients-end-connected-or-failed"];
    design_2: "JBM-DESIGN-2", "a client was answered before the queues of its failed server had been reloaded",
        ["one-consumer-per-message"];
    design_3: "JBM-DESIGN-3", "a client failed over on any error, without trying its server again",
        ["one-consumer-per-message"];
    design_4: "JBM-DESIGN-4", "a connection was moved back although its session held unacknowledged messages",
        ["one-consumer-per-message"];
    design_5: "JBM-DESIGN-5", "a failover node was chosen without regard to the machine that it runs on",
        ["no-acknowledged-send-lost"];
    atomic_detect: "JBM-ATOMIC-DETECT", "looking whether a connection had failed and marking it as failed were two \
        steps", ["valve-holds"];
    cleanup: "JBM-CLEANUP", "a failover that did not succeed left the connection and its objects as they were",
        ["clients-end-connected-or-failed", "no-leak"];
    restart_order: "JBM-RESTART-ORDER", "a connection was started again after its valve had been opened",
        ["no-delivery-to-closed-consumer"];
    join_reset: "JBM-JOIN-RESET", "that a node had been failed over for was not forgotten when it came back",
        ["one-consumer-per-message"];
    jbm_1041: "JBMESSAGING-1041", "a failover map that was pushed to a client replaced the one that it had",
        ["clients-reconnect"];
    jbm_1113: "JBMESSAGING-1113", "the binding of a failed node's queue was deleted before the queue was merged",
        ["no-acknowledged-send-lost"];
    jbm_1457: "JBMESSAGING-1457", "a queue that the failover node does not have ended the whole failover",
        ["failed-queues-owned"];
    jbm_809: "JBMESSAGING-809", "a send that was repeated after a failover was not marked as a repetition",
        ["one-consumer-per-message"];
    jbm_836: "JBMESSAGING-836", "a session was locked while each of its deliveries was cancelled",
        ["blocked-requests-bounded"];
    jbm_1440: "JBMESSAGING-1440", "closing a session cancelled deliveries that were part of a prepared transaction",
        ["one-consumer-per-message"];
    jbm_1722: "JBMESSAGING-1722", "loading what was merged set the paging orders of a queue back",
        ["no-acknowledged-send-lost"];
    jbm_1760: "JBMESSAGING-1760", "a binding could be seen before its queue was loaded and active",
        ["no-acknowledged-send-lost"];
    l1: "JBM-L1", "there is one place to note who was failed over for", ["clients-reconnect"];
    l2: "JBM-L2", "the failover node is the one in the map, even if it has died as well", ["failed-queues-owned"];
    l3: "JBM-L3", "recovered messages are paired with delivery ids by position, though missing ones are left out",
        ["delivery-ids-preserved"];
    l4: "JBM-L4", "a takeover that has begun goes on although the failed server is back and has its queues, and both \
        have the messages", ["one-owner-per-message"];
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
