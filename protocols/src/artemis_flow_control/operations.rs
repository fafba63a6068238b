//! Operations of sessions on their way to completion: a client is answered when its message is on the broker's own disk
//! and its replica, if there is one, has it too.

use std::collections::BTreeMap;

use sim_core::{ConnectionId, SyncToken};

use super::messages::{Address, MessageId};

/// A message in a broker's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stored {
    /// Its duplicate-detection id.
    pub id: MessageId,
    /// Where it goes.
    pub address: Address,
    /// Size of its body.
    pub body: u32,
    /// Whether it is in a page file and takes no memory.
    pub paged: bool,
}

/// What is not complete yet.
#[derive(Clone, Debug, Default, Hash)]
pub struct Operations {
    pending: BTreeMap<MessageId, Pending>,
    syncs: BTreeMap<SyncToken, Vec<MessageId>>,
    replications: BTreeMap<u64, MessageId>,
    tokens: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Pending {
    session: ConnectionId,
    stored: Stored,
    on_disk: bool,
    replicated: bool,
}

/// An operation that is complete.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Completed {
    /// Whom to answer.
    pub session: ConnectionId,
    /// The message.
    pub stored: Stored,
}

impl Operations {
    /// A message was written and waits for these syncs; `replicate` if it also has to go to the replica.
    pub fn begin(&mut self, session: ConnectionId, stored: Stored, sync: SyncToken, replicate: bool) {
        self.pending.insert(stored.id, Pending { session, stored, on_disk: false, replicated: !replicate });
        self.syncs.entry(sync).or_default().push(stored.id);
    }

    /// The same message has come again, on a session that is to be answered instead. Returns whether it is pending.
    pub fn answer_to(&mut self, id: MessageId, session: ConnectionId) -> bool {
        self.pending.get_mut(&id).map(|pending| pending.session = session).is_some()
    }

    /// The message goes to the replica; returns the token that the replica will answer with.
    pub fn replicating(&mut self, id: MessageId) -> u64 {
        self.tokens += 1;
        self.replications.insert(self.tokens, id);
        self.tokens
    }

    /// A sync has ended.
    pub fn synced(&mut self, token: SyncToken) -> Vec<Completed> {
        let ids = self.syncs.remove(&token).unwrap_or_default();
        ids.into_iter().filter_map(|id| self.advance(id, |pending| pending.on_disk = true)).collect()
    }

    /// The replica has answered.
    pub fn replicated(&mut self, token: u64) -> Option<Completed> {
        let id = self.replications.remove(&token)?;
        self.advance(id, |pending| pending.replicated = true)
    }

    /// The replica is gone: nothing waits for it any more.
    pub fn release_replication(&mut self) -> Vec<Completed> {
        self.replications.clear();
        let ids: Vec<_> = self.pending.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.advance(id, |pending| pending.replicated = true)).collect()
    }

    /// Whether some operation waits for a replica.
    pub fn await_replica(&self) -> bool {
        !self.replications.is_empty()
    }

    fn advance(&mut self, id: MessageId, step: impl FnOnce(&mut Pending)) -> Option<Completed> {
        let pending = self.pending.get_mut(&id)?;
        step(pending);
        if !(pending.on_disk && pending.replicated) {
            return None;
        }
        let Pending { session, stored, .. } = self.pending.remove(&id)?;
        Some(Completed { session, stored })
    }
}
