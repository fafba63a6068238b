//! The life of an instance as one checked table.

use crate::transitions;

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It has not been started.
    Dormant,
    /// It waits for its lease.
    Acquiring,
    /// It has its lease, so others see it as active; it is being started and has not written all that they need.
    Starting,
    /// Its discovery is active.
    Active,
    /// Its discovery has been deactivated; it keeps its lease.
    Inactive,
    /// It gives its lease back.
    Stopping,
    /// It has stopped.
    Stopped,
}

/// What can happen to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// It is started.
    Started,
    /// It has its lease, and has read what was there.
    LeaseAcquired,
    /// All that others need is written.
    Activated,
    /// Its discovery is deactivated.
    Deactivated,
    /// Its discovery is to be active again: it needs a new leader election id.
    Reactivated,
    /// It is stopped in good order.
    StopCalled,
    /// Its lease is given back.
    LeaseReleased,
    /// Its lease has ended, or it never had one.
    Fenced,
}

transitions! { Stage on Happening {
    Started(Dormant => Acquiring);
    LeaseAcquired(Acquiring => Starting);
    Activated(Starting => Active);
    Deactivated(Active => Inactive);
    Reactivated(Inactive => Starting);
    StopCalled(Starting | Active | Inactive => Stopping);
    LeaseReleased(Stopping => Stopped);
    Fenced(Dormant | Acquiring | Starting | Active | Inactive | Stopping => Stopped);
} }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transitions::{check, render};

    #[test]
    fn the_table_is_sound_and_as_reviewed() {
        assert_eq!(check(Stage::Dormant), Ok(()));
        insta::assert_snapshot!(render::<Stage>(), @"
        Started: Dormant => Acquiring
        LeaseAcquired: Acquiring => Starting
        Activated: Starting => Active
        Deactivated: Active => Inactive
        Reactivated: Inactive => Starting
        StopCalled: Starting | Active | Inactive => Stopping
        LeaseReleased: Stopping => Stopped
        Fenced: Dormant | Acquiring | Starting | Active | Inactive | Stopping => Stopped
        ");
    }
}
