//! The bugs that can be switched on. Each is one visible `if` where the fix is.

use sim_core::{Cluster, Defect};

use super::{Config, invariants};

/// Which bugs are on.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Defects {
    /// `ignores-drift`.
    pub ignores_drift: bool,
    /// `no-fencing`.
    pub no_fencing: bool,
    /// `forgets-promises`.
    pub forgets_promises: bool,
}

const IGNORES_DRIFT: &str = "ignores-drift";
const NO_FENCING: &str = "no-fencing";
const FORGETS_PROMISES: &str = "forgets-promises";

pub(super) const ALL: &[Defect] = &[
    Defect {
        id: IGNORES_DRIFT,
        about: "A holder trusts its lease for a whole term of its own clock, without a margin for slower clocks.",
        breaks: &[invariants::AT_MOST_ONE_HOLDER],
    },
    Defect {
        id: NO_FENCING,
        about: "The store takes any write, also one that was sent under an epoch that has ended since.",
        breaks: &[invariants::WRITES_IN_ORDER],
    },
    Defect {
        id: FORGETS_PROMISES,
        about: "A member keeps its promises in memory only, so a restart makes it forget whom it supports.",
        breaks: &[invariants::AT_MOST_ONE_HOLDER, invariants::EPOCHS_GROW],
    },
];

impl Defects {
    pub(super) fn of(cluster: &Cluster<Config>) -> Self {
        Defects {
            ignores_drift: cluster.has_defect(IGNORES_DRIFT),
            no_fencing: cluster.has_defect(NO_FENCING),
            forgets_promises: cluster.has_defect(FORGETS_PROMISES),
        }
    }
}
