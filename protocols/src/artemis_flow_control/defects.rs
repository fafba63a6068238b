//! The historical bugs that can be switched back on. One field each, read where the fix was made.

use std::collections::BTreeSet;

use sim_core::Defect;

use super::invariants::{BLOCKED_WRITERS_PROGRESS, NO_LEAK, OUTBOUND_BYTES_BOUNDED};

/// All of them, by upstream id.
pub const DEFECTS: &[Defect] = &[
    Defect {
        id: "ARTEMIS-262",
        about: "A bridge sends without asking whether the transport is writable.",
        breaks: &[OUTBOUND_BYTES_BOUNDED],
    },
    Defect {
        id: "ARTEMIS-350",
        about: "The live writes to its replica without asking whether the transport is writable.",
        breaks: &[OUTBOUND_BYTES_BOUNDED],
    },
    Defect {
        id: "ARTEMIS-474",
        about: "Ready listeners are called under the connection lock and need the lock of the replication writers, one \
                of which may be waiting for the connection lock.",
        breaks: &[BLOCKED_WRITERS_PROGRESS],
    },
    Defect {
        id: "ARTEMIS-1837",
        about: "Close listeners run on the event loop and need the storage lock, which the synchronization holds while \
                it waits for the event loop to tell it that the replica is writable.",
        breaks: &[BLOCKED_WRITERS_PROGRESS],
    },
    Defect {
        id: "ARTEMIS-5441",
        about: "Page writer credits are taken under the paging lock, which the start of replication wants while it \
                holds the storage lock that the page writer needs to give credits back.",
        breaks: &[BLOCKED_WRITERS_PROGRESS],
    },
    Defect {
        id: "ARTEMIS-4453",
        about: "A full cache of credits drains its oldest entry, which blocks the bridge with nobody to unblock it.",
        breaks: &[BLOCKED_WRITERS_PROGRESS],
    },
    Defect {
        id: "ARTEMIS-5733",
        about: "Credits are asked for again when the balance is below zero, but not when it is exactly zero.",
        breaks: &[BLOCKED_WRITERS_PROGRESS],
    },
    Defect {
        id: "ARTEMIS-6031",
        about: "A packet of exactly the size of the balance takes it to zero without asking for more.",
        breaks: &[BLOCKED_WRITERS_PROGRESS],
    },
    Defect {
        id: "ARTEMIS-5017",
        about: "A session factory whose connection failed stays registered with its locator.",
        breaks: &[NO_LEAK],
    },
    Defect {
        id: "ProducerFlowControl-90d05bb",
        about: "Tear-down stops at the first step that fails, such as closing a connection that is gone already.",
        breaks: &[NO_LEAK],
    },
];

/// Which of them are on.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Defects {
    /// ARTEMIS-262.
    pub bridge_ignores_writability: bool,
    /// ARTEMIS-350.
    pub replication_ignores_writability: bool,
    /// ARTEMIS-474.
    pub listeners_under_connection_lock: bool,
    /// ARTEMIS-1837.
    pub close_listeners_on_event_loop: bool,
    /// ARTEMIS-5441.
    pub page_credits_under_paging_lock: bool,
    /// ARTEMIS-4453.
    pub full_cache_drains_oldest: bool,
    /// ARTEMIS-5733.
    pub zero_balance_not_replenished: bool,
    /// ARTEMIS-6031.
    pub exact_size_not_requested: bool,
    /// ARTEMIS-5017.
    pub failed_factory_stays_registered: bool,
    /// ProducerFlowControl-90d05bb.
    pub tear_down_stops_at_failure: bool,
}

impl Defects {
    /// None of them.
    #[cfg(test)]
    pub const NONE: Defects = Defects {
        bridge_ignores_writability: false,
        replication_ignores_writability: false,
        listeners_under_connection_lock: false,
        close_listeners_on_event_loop: false,
        page_credits_under_paging_lock: false,
        full_cache_drains_oldest: false,
        zero_balance_not_replenished: false,
        exact_size_not_requested: false,
        failed_factory_stays_registered: false,
        tear_down_stops_at_failure: false,
    };

    /// Those whose ids are in `ids`.
    pub fn from_ids(ids: &BTreeSet<String>) -> Self {
        let on = |id: &str| ids.contains(id);
        Defects {
            bridge_ignores_writability: on("ARTEMIS-262"),
            replication_ignores_writability: on("ARTEMIS-350"),
            listeners_under_connection_lock: on("ARTEMIS-474"),
            close_listeners_on_event_loop: on("ARTEMIS-1837"),
            page_credits_under_paging_lock: on("ARTEMIS-5441"),
            full_cache_drains_oldest: on("ARTEMIS-4453"),
            zero_balance_not_replenished: on("ARTEMIS-5733"),
            exact_size_not_requested: on("ARTEMIS-6031"),
            failed_factory_stays_registered: on("ARTEMIS-5017"),
            tear_down_stops_at_failure: on("ProducerFlowControl-90d05bb"),
        }
    }
}
