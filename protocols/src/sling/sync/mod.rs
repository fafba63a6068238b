//! The sync chain: what has to be done in turn before listeners are told of a topology.
//!
//! 1. **Backlog**: nobody is deactivating, and every active instance is in the view or left out on purpose.
//! 2. **Sync token**: this instance writes the view's number, and waits until every member has.
//! 3. **View token**: it writes which view it is, and waits until every member has written the same.
//! 4. **Joiner delay** ([`joiner_delay`]).
//!
//! Each part but the last looks at an interval whether it is through, as upstream's background threads do. The end of
//! one part and the beginning of the next are two steps, with a thread in between. Starting a part discards what the
//! part was doing; a sync that was cancelled goes no further from any of these steps.

mod checks;
pub mod joiner_delay;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sim_core::Instant;

use super::Defects;
use super::config::Config;
use super::view::TopologyView;
use joiner_delay::JoinerDelay;

/// One sync of one view.
#[derive(Clone, Debug, Hash)]
pub struct Execution {
    /// Counts syncs.
    pub number: u64,
    /// The view that all members should agree on.
    pub view: Arc<TopologyView>,
    /// How often the topology had been modified when the sync was asked for. If it has been since, the end of this
    /// sync means nothing.
    pub modifications: u64,
}

/// A part of the chain that looks at an interval whether it is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    /// Waits for the backlog to vanish.
    Backlog,
    /// Waits for all sync tokens.
    SyncToken,
    /// Waits for all view tokens.
    ViewToken,
}

/// A link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Link {
    /// One that looks at an interval.
    Checked(Part),
    /// The joiner delay.
    Delay,
}

/// A check that goes on in the background.
#[derive(Clone, Debug, Hash)]
pub(super) struct BackgroundCheck {
    pub execution: Execution,
    pub since: Instant,
    /// The commit of this instance's own token, if it has been sent.
    pub store: Option<u64>,
}

/// The chain.
#[derive(Clone, Debug, Hash)]
pub(super) struct Chain {
    /// Counts syncs and cancellations; a sync goes on only while this is its number.
    count: u64,
    pub checks: BTreeMap<Part, BackgroundCheck>,
    pub delay: JoinerDelay,
    /// Syncs between two parts, by the number of the thread that brings them on, and the link that is next.
    handovers: BTreeMap<u64, (Execution, usize)>,
    threads: u64,
}

impl Chain {
    pub fn new(config: &Config) -> Self {
        Chain {
            count: 0,
            checks: BTreeMap::new(),
            delay: JoinerDelay::new(config.joiner_delay),
            handovers: BTreeMap::new(),
            threads: 0,
        }
    }

    /// The links, in order.
    pub fn links(config: &Config, defects: Defects) -> Vec<Link> {
        let mut links = vec![Link::Checked(Part::Backlog)];
        if config.enable_sync_token {
            links.push(Link::Checked(Part::SyncToken));
        }
        // SLING-L2: a number was all that members agreed on.
        if config.second_token_round && !defects.sling_l2 {
            links.push(Link::Checked(Part::ViewToken));
        }
        // SLING-10489: the chain ended with the tokens.
        if !defects.sling_10489b {
            links.push(Link::Delay);
        }
        links
    }

    /// How often checks look.
    pub fn interval(config: &Config, defects: Defects) -> Duration {
        // SLING-11355: the timeout stood in for the setting that was missing.
        let default =
            if defects.sling_11355 { config.cluster_sync_service_timeout } else { super::config::SYNC_INTERVAL };
        config.cluster_sync_service_interval.unwrap_or(default)
    }

    /// A new sync; all earlier ones go no further.
    pub fn begin(&mut self, view: Arc<TopologyView>, modifications: u64) -> Execution {
        self.count += 1;
        Execution { number: self.count, view, modifications }
    }

    /// Discards everything. Returns whether there was anything.
    pub fn cancel(&mut self) -> bool {
        self.count += 1;
        let was_at_work = self.running().next().is_some() || !self.handovers.is_empty();
        self.delay.cancel_sync();
        self.checks.clear();
        was_at_work
    }

    /// Whether a sync may go on.
    pub fn can_execute(&self, execution: &Execution) -> bool {
        execution.number == self.count
    }

    /// Leaves a sync to a thread, which is to begin the link with this index. Returns the thread's number.
    pub fn hand_over(&mut self, execution: Execution, next: usize) -> u64 {
        self.threads += 1;
        self.handovers.insert(self.threads, (execution, next));
        self.threads
    }

    /// What a thread was to bring on.
    pub fn handed_over(&mut self, thread: u64) -> Option<(Execution, usize)> {
        self.handovers.remove(&thread)
    }

    /// The syncs that a part of the chain is at work for.
    pub fn running(&self) -> impl Iterator<Item = &Execution> {
        self.checks.values().map(|check| &check.execution).chain(self.delay.held())
    }
}
