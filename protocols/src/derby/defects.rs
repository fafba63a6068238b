//! The historical bugs, by upstream id. Each is a visible `if` where its fix was made.
//!
//! Ids that end in `-L` and a number are latent: upstream has no fix, and the protocol here has the one that is proposed.
//! L1 to L3 come from the specification; L4 to L6 were foreseen when the protocol was written, and canaries have
//! confirmed them.

use super::invariants::{
    AT_MOST_ONE, BOUNDED_MEMORY, BUFFER_WAIT, COMMITS_SURVIVE, DIVERGENCE, FREEZE_ENDS, NO_LEAK, OPERATIONS, PREFIX,
    REFUSES_LIVE_LINK, REPLICATING,
};
use crate::defects::defects;

defects! {
    derby_3254a: "DERBY-3254a", "a failover flushed the log without stopping the clients first", [COMMITS_SURVIVE];
    derby_3254b: "DERBY-3254b", "after a failover the master stopped replication, but its database stayed usable",
        [AT_MOST_ONE];
    derby_3254c: "DERBY-3254c", "a failed failover went back to shipping, though what clients had committed meanwhile \
        was in no buffer", [PREFIX];
    derby_3428: "DERBY-3428", "a master was still frozen when it was to shut down after a failover, so it hung",
        [FREEZE_ENDS];
    derby_3364: "DERBY-3364", "a failover waited for its answer without a limit, and when it failed the shipper and \
        the socket stayed", [FREEZE_ENDS, NO_LEAK];
    derby_3719: "DERBY-3719", "chunks were shipped outside the section that a full buffer's writer waits for, so a \
        stale notification could end its wait", [BUFFER_WAIT];
    derby_3492: "DERBY-3492", "a log record that had waited for a free buffer was not appended to it", [PREFIX];
    derby_3509: "DERBY-3509", "after a reconnect the shipper kept sending on the old connection", [REPLICATING];
    derby_3527: "DERBY-3527", "a slave took a socket that nobody had closed for a connection",
        [REFUSES_LIVE_LINK];
    derby_3382: "DERBY-3382", "a start did not compare how far the two logs are", [PREFIX];
    derby_3384: "DERBY-3384", "a start left the master frozen", [FREEZE_ENDS];
    derby_3447: "DERBY-3447", "a shutdown waited for replication's threads, which nobody stopped", [OPERATIONS];
    derby_3358: "DERBY-3358", "a start that failed left replication marked as active, and every later one was refused",
        [REPLICATING];
    derby_3475: "DERBY-3475", "a booting slave wrote a checkpoint of its own", [PREFIX];
    derby_3551: "DERBY-3551", "operations that need no log were not logged for the slave either", [COMMITS_SURVIVE];
    derby_3497: "DERBY-3497", "the stream to the slave kept every object that was ever sent", [BOUNDED_MEMORY];
    derby_3878: "DERBY-3878", "a slave that was stopped after its master had died kept its server socket", [NO_LEAK];
    derby_5937: "DERBY-5937", "a slave that took over kept the log file open from which it had redone", [NO_LEAK];
    derby_l1: "DERBY-L1", "a slave serves before its master knows, and a master that hears nothing serves again",
        [AT_MOST_ONE];
    derby_l2: "DERBY-L2", "a slave takes over because it has lost its master, without anybody having fenced it",
        [AT_MOST_ONE];
    derby_l3: "DERBY-L3", "a chunk that arrived although its sending failed makes the positions differ, and \
        replication stops", [DIVERGENCE];
    derby_l4: "DERBY-L4", "the wait for a free buffer begins only when the chunk that is being sent has gone, which \
        may take as long as the network's own timeout", [OPERATIONS];
    derby_l5: "DERBY-L5", "logs are compared by length only, so two that differ can seem the same", [PREFIX];
    derby_l6: "DERBY-L6", "a database that was shut down by a failover serves again when its process is restarted",
        [AT_MOST_ONE];
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
