//! The historical bugs of replicated pairs, by upstream id. Each is one visible `if` where its fix was made.
//!
//! The eight ids that end in `-L` and a number are latent: no upstream fix is known, and the protocol here has the fix
//! that is proposed. L1 comes from the specification; L2 to L5 were foreseen when the protocol was designed, and
//! canaries have confirmed them; L7 to L9 were found by campaigns. L6 is one of the shared store.

use crate::defects::defects;

defects! {
    artemis_256a: "ARTEMIS-256a", "a failback slept instead of waiting for the end of the synchronization to be \
        confirmed", ["failback-hands-over-to-a-ready-backup", "one-live-one-backup"];
    artemis_423: "ARTEMIS-423", "an acting live took its own old backup entry for the announcement of the other's",
        ["failback-hands-over-to-a-ready-backup"];
    activemq6_86: "ACTIVEMQ6-86", "acceptors were opened before the live was started, and a backup that registered \
        in between was refused and shut down", ["one-live-one-backup"];
    artemis_2297: "ARTEMIS-2297", "a live whose replica's confirmation was late merely dropped it, though the \
        replica could take over without a quorum", ["at-most-one-live"];
    artemis_1269: "ARTEMIS-1269", "the end of a synchronization was handled on the thread that reads the packets it \
        waits for", ["one-live-one-backup", "no-flapping"];
    artemis_1303: "ARTEMIS-1303", "the reload at the end of a synchronization ran while records were being applied",
        ["no-acknowledged-send-lost"];
    artemis_742: "ARTEMIS-742", "one was subtracted from the cluster size twice before it was halved, so that three \
        nodes needed no votes", ["at-most-one-live"];
    artemis_1154: "ARTEMIS-1154", "a network check without anything to ping passed and overrode the vote",
        ["at-most-one-live"];
    artemis_1296: "ARTEMIS-1296", "every voter that could be reached counted toward failover",
        ["at-most-one-live"];
    artemis_1543: "ARTEMIS-1543", "the vote to stay live was counted the wrong way round", ["at-most-one-live"];
    artemis_2338: "ARTEMIS-2338", "a live was let stay when voters saw its NodeID, though it was the backup that \
        they saw", ["at-most-one-live"];
    artemis_2702: "ARTEMIS-2702", "the last reply decided whether a live could stay, not the number of those that \
        matched", ["at-most-one-live"];
    artemis_2713: "ARTEMIS-2713", "a failing-back primary voted as soon as the topology lost its acting live",
        ["failback-without-vote"];
    artemis_131: "ARTEMIS-131", "a backup noticed the failure of its connection but not that of its session",
        ["blocked-clients-progress"];
    artemis_1842: "ARTEMIS-1842", "the vote loop did not see that the server had been stopped", ["no-leak"];
    artemis_3039: "ARTEMIS-3039", "a backup that lost a vote stopped for good", ["one-live-one-backup"];
    artemis_2868: "ARTEMIS-2868", "a live accepted a foreign announcement of its own NodeID and sent its clients \
        there (the detection of ARTEMIS-3402 only logged it)", ["no-acknowledged-send-lost"];
    artemis_2892: "ARTEMIS-2892", "a failed synchronization left a stopped replicator behind, and every later \
        registration was refused", ["one-live-one-backup"];
    artemis_1966: "ARTEMIS-1966", "a replica that was too slow lost its channel but kept its connection",
        ["backup-knows-it-is-behind"];
    artemis_1304: "ARTEMIS-1304", "a send whose answer was lost in a failover was not repeated",
        ["no-send-forgotten"];
    art_l1: "ART-L1", "a network check that succeeds overrides a vote that says the live is still there",
        ["at-most-one-live"];
    art_l2: "ART-L2", "a starting primary that nobody answers goes live without asking for a majority",
        ["at-most-one-live"];
    art_l3: "ART-L3", "a primary that crashed in the middle of a failback's synchronization starts with the part \
        that it had", ["backup-activates-only-if-up-to-date", "no-acknowledged-send-lost"];
    art_l4: "ART-L4", "an acting live that crashed comes back as a passive backup even if it holds the only complete \
        copy", ["one-live-one-backup"];
    art_l5: "ART-L5", "two candidates can win the same voters' majority before either is seen live",
        ["at-most-one-live"];
    art_l7: "ART-L7", "a live without a replica never asks whether it may stay, though the cluster sees it no more",
        ["at-most-one-live"];
    art_l8: "ART-L8", "a broker counts majorities in the largest cluster that it has seen since it started, which may be \
        what is left of the cluster", ["at-most-one-live"];
    art_l9: "ART-L9", "a voter that has just become live tells others to fail over before it can know who serves",
        ["at-most-one-live"];
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
