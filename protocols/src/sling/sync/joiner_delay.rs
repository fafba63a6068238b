//! Holds the first TOPOLOGY_INIT of an instance that joins others back, by time: upstream's answer to an instance that
//! is through before the others know of it.
//!
//! Among the changes of a cluster, only one kind needs it:
//!
//! * Only properties change: they are told without any sync.
//! * Only leaving instances: nobody joins.
//! * Only joining instances: they are left out until they have started, and nobody who was there writes a sync token
//!   before that. So those who join have to wait for tokens that are written in knowledge of them.
//! * Leaving and joining instances: because some leave, those who stay write their tokens while those who join are
//!   still being left out. The tokens are for the number that those who join will find, and let them through at once.
//!   The others have yet to notice and to tell their listeners.
//!
//! If the delay is longer than noticing and telling take, it closes that gap. That is an assumption about time;
//! `second-token-round` needs none.

use std::time::Duration;

use super::Execution;
use crate::transitions;
use crate::transitions::StateMachine;

/// Where the delay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No sync has come, or those that came were discarded.
    Idle,
    /// A sync is being held back.
    Delaying,
    /// The first one has been let through; nothing is held back any more.
    Done,
}

/// What moves the delay from phase to phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// The first sync of an instance that is not alone.
    Join,
    /// The first sync of an instance that is.
    Alone,
    /// The sync that is held back is cancelled, or another one takes its place.
    Discard,
    /// It has been held back for long enough.
    Over,
}

transitions! { Phase on Happening {
    Join(Idle => Delaying);
    Alone(Idle => Done);
    Discard(Delaying => Idle);
    Over(Delaying => Done);
} }

/// What is to be done with the delay's timer.
#[derive(Clone, Debug, Hash)]
pub enum Verdict {
    /// Nothing; the sync goes on at once.
    Through(Execution),
    /// The sync goes on after this long.
    After(Duration),
}

/// The delay.
#[derive(Clone, Debug, Hash)]
pub struct JoinerDelay {
    timeout: Duration,
    phase: Phase,
    held: Option<Execution>,
}

impl JoinerDelay {
    /// Holds the first sync back for `timeout`; for nothing if that is zero.
    pub fn new(timeout: Duration) -> Self {
        JoinerDelay { timeout, phase: if timeout.is_zero() { Phase::Done } else { Phase::Idle }, held: None }
    }

    /// The phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What it holds back.
    pub fn held(&self) -> Option<&Execution> {
        self.held.as_ref()
    }

    /// Starts a sync. An earlier one that is still held back is discarded, and will not go on any more.
    pub fn sync(&mut self, execution: Execution) -> Verdict {
        self.cancel_sync();
        let alone = execution.view.members.len() == 1 && execution.view.partially_started.is_empty();
        if self.phase == Phase::Idle {
            self.phase.step(if alone { Happening::Alone } else { Happening::Join });
        }
        if self.phase == Phase::Done {
            return Verdict::Through(execution);
        }
        self.held = Some(execution);
        Verdict::After(self.timeout)
    }

    /// Cancels a sync. Nothing of it is left: the next one is held back as if it were the first.
    pub fn cancel_sync(&mut self) {
        if self.held.take().is_some() {
            self.phase.step(Happening::Discard);
        }
    }

    /// The time is over: what was held back goes on.
    pub fn over(&mut self) -> Option<Execution> {
        let held = self.held.take()?;
        self.phase.step(Happening::Over);
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::services::repository::ClusterNodeId;
    use crate::sling::view::{ClusterId, ElectionId, Member, SlingId, TopologyView};
    use crate::transitions::{check, render};

    fn execution(number: u64, members: u16, partially_started: u16) -> Execution {
        let member = |name: u16| Member {
            node: ClusterNodeId(name),
            election: ElectionId { prefix: 1, start: 0, sling_id: SlingId(name.into()) },
            properties: 0,
        };
        let view = TopologyView {
            cluster: ClusterId { id: 1, object: 0 },
            seq: 1,
            members: (0..members).map(member).collect(),
            partially_started: (0..partially_started).map(ClusterNodeId).collect(),
            degraded: false,
        };
        Execution { number, view: Arc::new(view), modifications: number }
    }

    fn delay() -> JoinerDelay {
        JoinerDelay::new(Duration::from_secs(5))
    }

    #[test]
    fn the_table_is_sound_and_as_reviewed() {
        assert_eq!(check(Phase::Idle), Ok(()));
        insta::assert_snapshot!(render::<Phase>(), @"
        Join: Idle => Delaying
        Alone: Idle => Done
        Discard: Delaying => Idle
        Over: Delaying => Done
        ");
    }

    #[test]
    fn the_first_sync_of_a_joiner_is_held_back_and_no_later_one() {
        let mut delay = delay();
        assert!(matches!(delay.sync(execution(1, 2, 0)), Verdict::After(time) if time == Duration::from_secs(5)));
        assert_eq!(delay.over().map(|held| held.number), Some(1));
        assert!(matches!(delay.sync(execution(2, 3, 0)), Verdict::Through(Execution { number: 2, .. })));
        assert!(delay.over().is_none(), "the callback came twice");
    }

    #[test]
    fn a_second_sync_discards_the_first() {
        let mut delay = delay();
        delay.sync(execution(1, 2, 0));
        assert!(matches!(delay.sync(execution(2, 2, 0)), Verdict::After(_)));
        assert_eq!(delay.over().map(|held| held.number), Some(2));
        assert!(delay.over().is_none(), "the callback of the first one came as well");
    }

    #[test]
    fn cancelling_leaves_nothing_behind() {
        let mut delay = delay();
        delay.sync(execution(1, 2, 0));
        delay.cancel_sync();
        assert_eq!((delay.phase(), delay.held().is_none()), (Phase::Idle, true));
        assert!(delay.over().is_none(), "a cancelled sync went on");
        delay.cancel_sync();
        assert!(
            matches!(delay.sync(execution(2, 2, 0)), Verdict::After(_)),
            "the first TOPOLOGY_INIT is still to come"
        );
    }

    #[test]
    fn who_is_alone_is_not_held_back_unless_somebody_is_starting_beside_it() {
        assert!(matches!(delay().sync(execution(1, 1, 0)), Verdict::Through(_)));
        assert!(matches!(delay().sync(execution(1, 1, 1)), Verdict::After(_)));
        assert!(matches!(JoinerDelay::new(Duration::ZERO).sync(execution(1, 2, 0)), Verdict::Through(_)));
    }
}
