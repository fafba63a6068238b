//! A repository after Apache Jackrabbit Oak: documents that others see late, and leases that say who belongs to the
//! cluster.
//!
//! # Specification
//! One node has the [`Store`], the database below the cluster. Every other node has a [`Client`], its instance of the
//! repository on top of it. They talk in datagrams, so any request or answer may be lost, late or doubled; a client
//! asks again, and whatever it asks twice is done once.
//!
//! **Documents.** A client commits a document under a path; commits of one client are numbered and done one at a time.
//! 1. A commit is acknowledged when it is durable in the store. From then on its writer sees it.
//! 2. Others see it only after the writer's next *background write*, which publishes the writer's commits up to a
//!    number, and their own next *background read*, both every [`Config::async_delay`]. So they see it late, each at
//!    its own time.
//! 3. Order is kept for each writer: who sees a commit has seen all earlier ones of the same writer. There is no order
//!    between the commits of different writers.
//! 4. What a client sees never goes back. Of two commits to one path the one that the store took later stays.
//!
//! **Leases.** A process acquires a lease for its machine before anything else, and renews it.
//! 1. The store gives a machine one *cluster node id* for ever, and a lease of that id to one process at a time. Each
//!    lease has a number; whatever comes under another one is refused ([`Message::Fenced`]).
//! 2. A lease lasts [`Config::lease_duration`] from when the store hears of it, on the store's clock. It outlives a
//!    dead process, and a successor on the same machine has to wait for its end.
//! 3. The process counts from when it *asked*, and gives up [`Config::lease_failure_margin`] earlier. So it has ended
//!    before anybody takes it for dead, on clocks that differ in speed by less than the margin's share of the
//!    duration. Its actor must ask [`Client::is_over`] before it handles any event: a process that was stalled for
//!    longer than its lease must not do as much as look at what it believed.
//! 4. An id whose lease has run out is *recovering*: its unpublished commits are published for it, which takes
//!    [`Config::recovery_time`]. Then it is inactive. A process that [releases](Client::release) its lease has
//!    published everything, and its id is inactive at once.
//!
//! **Discovery-lite descriptor** ([`Descriptor`]): which ids are active, deactivating and inactive, under a number that
//! grows with each change and is the same for everybody. What differs is `deactivating`: beside the recovering ids it
//! has those inactive ones of whose commits this instance has not seen all, its *backlog*. While there is a backlog
//! the descriptor is not final.
//!
//! **The cluster's id** is absent until an operator or the set-up [assigns](Store::assign_cluster_id) one.
//!
//! # Timers
//! | timer | default | of | when it fires |
//! |---|---|---|---|
//! | [`Timer::Acquire`] | 1 s | client | asks for a lease again |
//! | [`Timer::Renew`] | 10 s; 1 s without an answer | client | renews the lease |
//! | [`Timer::LeaseEnd`] | 120 s - 20 s after asking | client | the lease counts as lost |
//! | [`Timer::Background`] | 1 s | client | publishes its own commits and reads those of others |
//! | [`Timer::Commit`], [`Timer::Release`] | 1 s | client | asks again |
//! | [`Timer::Expiry`] | 120 s after the last renewal | store | a lease has run out |
//! | [`Timer::Recovery`] | 2 s | store | an id has been recovered |
//!
//! # Where this departs from Oak
//! Every instance of Oak looks for leases that have run out, one of them recovers each, and all of them agree on the
//! view by compare-and-set. Here the store does it, so that none of it depends on who is alive. Oak sees a whole
//! transaction at once; here a commit is one document.
//!
//! Files: `wire.rs` has what is said and written, `ledger.rs` what the store knows, `store.rs` how it answers,
//! `client.rs` the other half.

mod client;
mod ledger;
mod store;
mod wire;

use std::time::Duration;

use sim_core::Actor;

pub use client::{Client, Event, Standing};
pub use ledger::{Ledger, State};
pub use store::Store;
pub use wire::{
    ClusterNodeId, Commit, Descriptor, Folder, LeaseId, Message, Path, Published, Record, Timer, Value, View,
};

/// An actor that can be a host to either half: its own enums have room for what is said, waited for and written here.
pub trait Host: Actor<Message: From<Message>, Timer: From<Timer>, Record: From<Record>> {}

impl<A> Host for A where A: Actor<Message: From<Message>, Timer: From<Timer>, Record: From<Record>> {}

/// The settings; all nodes of a cluster have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// How long a lease lasts from when the store hears of it.
    pub lease_duration: Duration,
    /// How often a lease is renewed.
    pub lease_update_interval: Duration,
    /// How much earlier than the store its holder takes a lease for lost.
    pub lease_failure_margin: Duration,
    /// How often an instance publishes its commits and reads those of others.
    pub async_delay: Duration,
    /// How long a client waits for an answer before it asks again.
    pub request_timeout: Duration,
    /// How long it takes to publish what a dead instance has left unpublished.
    pub recovery_time: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            lease_duration: Duration::from_secs(120),
            lease_update_interval: Duration::from_secs(10),
            lease_failure_margin: Duration::from_secs(20),
            async_delay: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
            recovery_time: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// How long a holder may use its lease, from when it asked.
    pub fn usable(&self) -> Duration {
        self.lease_duration.saturating_sub(self.lease_failure_margin)
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// Which does not, and what it should be.
    pub fn validate(&self) -> Result<(), String> {
        for (name, value) in [("async-delay", self.async_delay), ("request-timeout", self.request_timeout)] {
            if value.is_zero() {
                return Err(format!("`{name}` is zero, expected more, such as \"1s\""));
            }
        }
        if self.lease_failure_margin.is_zero() || self.lease_failure_margin >= self.lease_duration {
            return Err(format!(
                "`lease-failure-margin` is {:?}, expected more than zero and less than `lease-duration`, which is {:?}",
                self.lease_failure_margin, self.lease_duration
            ));
        }
        if self.lease_update_interval.is_zero() || self.lease_update_interval >= self.usable() {
            return Err(format!(
                "`lease-update-interval` is {:?}, expected more than zero and less than {:?}, the part of \
                 `lease-duration` that `lease-failure-margin` leaves",
                self.lease_update_interval,
                self.usable()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_contradict_each_other_are_refused_with_the_limit() {
        assert_eq!(Config::default().validate(), Ok(()));
        let margin = Config { lease_failure_margin: Duration::from_secs(120), ..Config::default() };
        assert!(margin.validate().unwrap_err().contains("less than `lease-duration`, which is 120s"));
        let late = Config { lease_update_interval: Duration::from_secs(100), ..Config::default() };
        assert!(late.validate().unwrap_err().contains("less than 100s"));
        let idle = Config { async_delay: Duration::ZERO, ..Config::default() };
        assert!(idle.validate().unwrap_err().starts_with("`async-delay` is zero"));
    }
}
