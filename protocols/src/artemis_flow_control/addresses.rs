//! A broker's side of flow control: the memory of its addresses, and the credit requests that wait for it.

use std::collections::BTreeMap;

use sim_core::ConnectionId;

use super::config::{AddressFullPolicy, Config};
use super::messages::Address;

/// Credits that can be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The session that asked.
    pub session: ConnectionId,
    /// For which address.
    pub address: Address,
    /// Bytes.
    pub credits: u32,
}

/// The addresses of one broker.
#[derive(Clone, Debug, Hash)]
pub struct Addresses {
    limit: u64,
    policy: AddressFullPolicy,
    /// Bytes in use.
    used: BTreeMap<Address, u64>,
    /// Requests for addresses that are full, in the order in which they came.
    waiting: Vec<Grant>,
}

impl Addresses {
    /// Empty addresses.
    pub fn new(config: &Config) -> Self {
        Addresses {
            limit: u64::from(config.max_size_bytes),
            policy: config.address_full_policy,
            used: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    /// A message takes memory.
    pub fn add(&mut self, address: Address, bytes: u32) {
        *self.used.entry(address).or_default() += u64::from(bytes);
    }

    /// A message gives its memory back. Returns the grants that there is room for now.
    pub fn remove(&mut self, address: Address, bytes: u32) -> Vec<Grant> {
        if let Some(used) = self.used.get_mut(&address) {
            *used -= u64::from(bytes);
        }
        if self.waiting.is_empty() || self.is_full(address) {
            return Vec::new();
        }
        self.waiting.extract_if(.., |request| request.address == address).collect()
    }

    /// A producer asks for credits. Returns the grant if there is room; otherwise the request waits for it.
    pub fn request(&mut self, request: Grant) -> Option<Grant> {
        if !self.is_full(request.address) || self.policy == AddressFullPolicy::Page {
            return Some(request);
        }
        self.waiting.push(request);
        None
    }

    /// Whether messages for `address` have to go to page files.
    pub fn is_paging(&self, address: Address) -> bool {
        self.policy == AddressFullPolicy::Page && self.is_full(address)
    }

    /// A session has ended: nobody waits for its credits any more.
    pub fn forget(&mut self, session: ConnectionId) {
        self.waiting.retain(|request| request.session != session);
    }

    /// The sessions that wait for credits; one that waits for several is named several times.
    pub fn waiters(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.waiting.iter().map(|request| request.session)
    }

    fn is_full(&self, address: Address) -> bool {
        self.used.get(&address).is_some_and(|&used| used >= self.limit)
    }
}
