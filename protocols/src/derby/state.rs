//! The state of a database as one checked table. Every change of it, in whatever file, is a line here.

use crate::transitions;

/// What a database is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Serves clients, is not replicated.
    #[default]
    Normal,
    /// `startMaster`: frozen while the slave is contacted and compared.
    Starting,
    /// Serves clients, ships its log.
    Master,
    /// Serves clients, ships what is left before replication or the database is stopped.
    Draining,
    /// Frozen: flushes, has asked the slave to take over, waits for its answer.
    FailingOver,
    /// Frozen: the slave is ready; makes it durable that this database is given up.
    Deciding,
    /// Serves nobody, writes a last checkpoint.
    ShuttingDown,
    /// Serves nobody.
    Shutdown,
    /// Slave pre-mode: boots, waits for its master.
    Pre,
    /// Appends and redoes the master's log.
    Slave,
    /// Slave mode has been left: redoes and undoes the log.
    Recovering,
    /// Could serve, and waits to be told that the master does not.
    Prepared,
    /// Makes it durable that it serves from now on.
    Opening,
    /// Serves clients in the master's place.
    Promoted,
    /// A slave that was stopped, or stopped itself.
    Stopped,
}

/// What can happen to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// The operator starts replication.
    StartMaster,
    /// The slave was not reached, or does not fit.
    StartFailed,
    /// The slave fits.
    ReplicationStarted,
    /// Master and slave have parted, in order or not.
    ReplicationStopped,
    /// The operator stops replication.
    StopAsked,
    /// The operator has the slave take over.
    FailoverAsked,
    /// The slave did not answer, or could not take over.
    FailoverFailed,
    /// DERBY-3254c only: a failed failover goes back to shipping.
    FailoverForgotten,
    /// The slave is ready to take over.
    Acknowledged,
    /// The decision is durable.
    Decided,
    /// DERBY-3254b only: the database is not shut down.
    StaysUsable,
    /// The operator shuts the database down.
    ShutdownAsked,
    /// The last checkpoint is durable.
    ShutDown,
    /// The operator puts the database out of the way for good.
    Fenced,
    /// A slave has booted, and knows its master.
    Booted,
    /// The master, or the operator, has the slave take over.
    TakesOver,
    /// The log is redone and undone.
    Recovered,
    /// The master is out of the way.
    Opens,
    /// The promotion is durable.
    PromotionDurable,
    /// A slave stops.
    SlaveStopped,
    /// The operator starts a slave that was stopped.
    SlaveStarted,
    /// A slave has got a new copy of the database.
    Copied,
}

transitions! { Phase on Happening {
    StartMaster(Normal => Starting);
    StartFailed(Starting => Normal);
    ReplicationStarted(Starting => Master);
    ReplicationStopped(Master | Draining => Normal);
    StopAsked(Master => Draining);
    FailoverAsked(Master => FailingOver);
    FailoverFailed(FailingOver => Normal);
    FailoverForgotten(FailingOver => Master);
    Acknowledged(FailingOver => Deciding);
    Decided(Deciding => ShuttingDown);
    StaysUsable(Deciding => Normal);
    ShutdownAsked(Normal | Draining => ShuttingDown);
    ShutDown(ShuttingDown => Shutdown);
    Fenced(Normal | Starting | Master | Draining | FailingOver | ShuttingDown => Shutdown);
    Booted(Pre => Slave);
    TakesOver(Pre | Slave => Recovering);
    Recovered(Recovering => Prepared);
    Opens(Prepared => Opening);
    PromotionDurable(Opening => Promoted);
    SlaveStopped(Pre | Slave => Stopped);
    SlaveStarted(Stopped => Pre);
    Copied(Pre | Slave | Prepared => Pre);
} }

impl Phase {
    /// The state in the protocol's own words.
    pub fn role(self) -> &'static str {
        match self {
            Phase::Normal => "NORMAL",
            Phase::Starting => "STARTING MASTER",
            Phase::Master => "MASTER",
            Phase::Draining => "STOPPING MASTER",
            Phase::FailingOver | Phase::Deciding => "FAILING_OVER",
            Phase::ShuttingDown => "SHUTTING DOWN",
            Phase::Shutdown => "SHUTDOWN",
            Phase::Pre => "SLAVE PRE",
            Phase::Slave => "SLAVE",
            Phase::Recovering | Phase::Opening => "PROMOTING",
            Phase::Prepared => "PREPARED",
            Phase::Promoted => "PROMOTED",
            Phase::Stopped => "STOPPED",
        }
    }

    /// Whether clients are served, unless the database is frozen.
    pub fn serves(self) -> bool {
        matches!(
            self,
            Phase::Normal
                | Phase::Starting
                | Phase::Master
                | Phase::Draining
                | Phase::FailingOver
                | Phase::Deciding
                | Phase::Promoted
        )
    }

    /// Whether the log is written as the master writes it.
    pub fn follows(self) -> bool {
        matches!(self, Phase::Pre | Phase::Slave | Phase::Recovering | Phase::Prepared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transitions::{check, render};

    #[test]
    fn the_table_is_sound_and_as_reviewed() {
        assert_eq!(check(Phase::Normal), Ok(()));
        insta::assert_snapshot!(render::<Phase>());
    }
}
