//! The credits of one session for all the addresses that it sends to.
//!
//! An anonymous producer, which is what a bridge is, may send to any number of addresses, so the credits that nobody
//! refers to at the moment are a cache of bounded size.

use std::collections::{BTreeMap, VecDeque};

use super::config::Config;
use super::credits::{Flavour, ProducerCredits};
use super::defects::Defects;
use super::messages::Address;

/// All credits of one session.
#[derive(Clone, Debug, Hash)]
pub struct CreditsCache {
    flavour: Flavour,
    window: u32,
    size: usize,
    defects: Defects,
    entries: BTreeMap<Address, ProducerCredits>,
    /// The same addresses, in the order in which they were first used.
    oldest_first: VecDeque<Address>,
    /// What the session has to ask its broker for.
    requests: VecDeque<(Address, u32)>,
    /// What the last flow callback said: whether the session has to pause.
    paused: bool,
    /// Whether the next sweep has been arranged.
    sweeping: bool,
}

impl CreditsCache {
    /// The credits of a new session.
    pub fn new(flavour: Flavour, config: &Config, defects: Defects) -> Self {
        CreditsCache {
            flavour,
            window: config.producer_window_size,
            size: config.credits_cache_size,
            defects,
            entries: BTreeMap::new(),
            oldest_first: VecDeque::new(),
            requests: VecDeque::new(),
            paused: false,
            sweeping: false,
        }
    }

    /// Takes credits for a packet to `address`. Returns whether it may be sent now.
    pub fn acquire(&mut self, address: Address, bytes: u32) -> bool {
        self.ensure_entry(address);
        let credits = self.entries.get_mut(&address).expect("the entry has just been made");
        let (taken, request) = credits.acquire(bytes, self.defects);
        if self.flavour == Flavour::Asynchronous && credits.exhausted() {
            self.paused = true;
        }
        self.requests.extend(request.map(|credits| (address, credits)));
        taken
    }

    /// The broker has granted credits. They are lost if the address is not in the cache any more.
    pub fn receive(&mut self, address: Address, granted: u32) {
        let Some(credits) = self.entries.get_mut(&address) else { return };
        let request = credits.receive(granted, self.defects);
        self.paused = self.flavour == Flavour::Asynchronous && credits.exhausted();
        self.requests.extend(request.map(|credits| (address, credits)));
    }

    /// The session has failed over to a broker that knows nothing of earlier requests.
    pub fn reset(&mut self) {
        self.requests.clear();
        for (&address, credits) in &mut self.entries {
            self.requests.extend(credits.reset(self.defects).map(|credits| (address, credits)));
        }
    }

    /// Drops the entries that nobody would miss; whoever else waits for credits still has an entry when they come.
    /// Returns how many were dropped.
    pub fn sweep(&mut self) -> usize {
        self.sweeping = false;
        let before = self.entries.len();
        self.entries.retain(|_, credits| !credits.idle());
        self.oldest_first.retain(|address| self.entries.contains_key(address));
        before - self.entries.len()
    }

    /// Whether there are more entries than the cache should have.
    pub fn overfull(&self) -> bool {
        self.entries.len() > self.size
    }

    /// Notes that a sweep is being arranged. Returns whether that had not been done already.
    pub fn start_sweeping(&mut self) -> bool {
        !std::mem::replace(&mut self.sweeping, true)
    }

    /// Whether the session was told to pause.
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// The next request to send to the broker.
    pub fn next_request(&mut self) -> Option<(Address, u32)> {
        self.requests.pop_front()
    }

    fn ensure_entry(&mut self, address: Address) {
        if self.entries.contains_key(&address) {
            return;
        }
        self.entries.insert(address, ProducerCredits::new(self.flavour, self.window));
        self.oldest_first.push_back(address);
        // ARTEMIS-4453: the oldest entry made room, whoever used it. Since then idle entries are swept now and then.
        if self.defects.full_cache_drains_oldest && self.overfull() {
            let oldest = self.oldest_first.pop_front().expect("an overfull cache has entries");
            self.entries.remove(&oldest);
            // To be drained looks like running out, and no credits will ever come for an entry that is gone.
            self.paused = self.flavour == Flavour::Asynchronous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge_to(addresses: u32, defects: Defects) -> CreditsCache {
        let config = Config { credits_cache_size: 3, producer_window_size: 1000, ..Config::default() };
        let mut cache = CreditsCache::new(Flavour::Asynchronous, &config, defects);
        for address in 0..addresses {
            assert!(cache.acquire(address, 10));
        }
        cache
    }

    #[test]
    fn one_address_too_many_pauses_the_bridge_for_ever_if_the_oldest_is_drained() {
        assert!(!bridge_to(4, Defects::NONE).paused());
        let as_was = Defects { full_cache_drains_oldest: true, ..Defects::NONE };
        assert!(!bridge_to(3, as_was).paused());
        let mut cache = bridge_to(4, as_was);
        assert!(cache.paused());
        assert_eq!(cache.next_request(), None, "nothing that could end the pause is on its way");
    }

    #[test]
    fn a_sweep_leaves_entries_that_have_or_expect_credits() {
        let mut cache = bridge_to(5, Defects::NONE);
        assert!(cache.overfull());
        assert_eq!(cache.sweep(), 0);
    }

    #[test]
    fn a_sweep_drops_an_entry_that_has_and_expects_nothing() {
        // Since ARTEMIS-6031 and ARTEMIS-5733 were fixed, an entry without credits always expects some.
        let config = Config { producer_window_size: 1000, ..Config::default() };
        let as_was = Defects { exact_size_not_requested: true, ..Defects::NONE };
        let mut cache = CreditsCache::new(Flavour::Asynchronous, &config, as_was);
        cache.acquire(0, 1000);
        assert_eq!(cache.sweep(), 1);
        let mut cache = CreditsCache::new(Flavour::Asynchronous, &config, Defects::NONE);
        cache.acquire(0, 1000);
        assert_eq!(cache.sweep(), 0);
    }
}
