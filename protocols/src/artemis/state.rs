//! The state of a broker as one checked table. Every change of it, in whatever file, is a line here.

use crate::transitions;

/// What a broker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// STOPPED, for a moment or for good.
    #[default]
    Stopped,
    /// STARTING: looks whether its NodeID is served already, and asks whether it may serve.
    Starting,
    /// STARTED, passive, NOT_SYNCED: looks for a live to register with.
    Searching,
    /// STARTED, passive, NOT_SYNCED: receives the live's journal.
    Syncing,
    /// STARTED, passive, UP_TO_DATE.
    UpToDate,
    /// UP_TO_DATE, but the live is lost: asks the cluster whether it is dead.
    Voting,
    /// STARTING to serve: loads the journal.
    Activating,
    /// LIVE.
    Live,
    /// STOPPING: serves no more, hands over.
    Stopping,
}

/// What can happen to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// It starts, and its copy entitles it to serve.
    StartsAsCandidate,
    /// It starts, and can only replicate.
    StartsAsBackup,
    /// Its peer answers that it is LIVE.
    FindsLive,
    /// Nobody serves its NodeID, and the cluster agrees.
    FindsNobody,
    /// The live that it was to replicate is gone before the copy was begun.
    LosesTrack,
    /// A live sends its journal.
    SyncBegins,
    /// The live has been told that the copy is complete.
    SyncConfirmed,
    /// The connection or the session with the live has ended.
    LosesLive,
    /// The live hands over.
    FailOver,
    /// A majority sees nobody LIVE.
    VoteWon,
    /// All votes are lost: FAILURE_RETRY.
    VoteLost,
    /// Lost the live without being up to date: FAILURE_RETRY.
    FailureRetry,
    /// Refused by a live that is not started: FAILURE_REPLICATING.
    Refused,
    /// The journal is loaded and the activation durable.
    Activated,
    /// Stop is called.
    StopCalled,
    /// All is handed over and closed.
    HandedOver,
    /// An operator stops it.
    Halted,
}

transitions! { Phase on Happening {
    StartsAsCandidate(Stopped => Starting);
    StartsAsBackup(Stopped => Searching);
    FindsLive(Starting => Searching);
    FindsNobody(Starting => Activating);
    LosesTrack(Searching => Starting);
    SyncBegins(Searching => Syncing);
    SyncConfirmed(Syncing => UpToDate);
    LosesLive(UpToDate => Voting);
    FailOver(UpToDate => Activating);
    VoteWon(Voting => Activating);
    VoteLost(Voting => Stopped);
    FailureRetry(Searching | Syncing => Stopped);
    Refused(Searching => Stopped);
    Activated(Activating => Live);
    StopCalled(Live => Stopping);
    HandedOver(Stopping => Stopped);
    Halted(Starting | Searching | Syncing | UpToDate | Voting | Activating => Stopped);
} }

impl Phase {
    /// The state in the protocol's own words.
    pub fn role(self) -> &'static str {
        match self {
            Phase::Stopped => "STOPPED",
            Phase::Starting | Phase::Activating => "STARTING",
            Phase::Searching | Phase::Syncing => "BACKUP NOT_SYNCED",
            Phase::UpToDate => "BACKUP UP_TO_DATE",
            Phase::Voting => "BACKUP VOTING",
            Phase::Live => "LIVE",
            Phase::Stopping => "STOPPING",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transitions::{check, render};

    #[test]
    fn the_table_is_sound_and_as_reviewed() {
        assert_eq!(check(Phase::Stopped), Ok(()));
        insta::assert_snapshot!(render::<Phase>());
    }
}
