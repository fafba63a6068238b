//! What the store knows, as the sum of what it has written: separate from how it answers, because this is all that a
//! restart brings back.

use std::collections::BTreeMap;

use sim_core::Instant;

use super::{ClusterNodeId, Commit, LeaseId, Published, Record, View};

/// Where a cluster node id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// A process has its lease.
    Active,
    /// The lease ran out; its commits are being published.
    Recovering,
    /// Nobody has it, and all of its commits are published.
    Inactive,
}

/// A cluster node id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    machine: u64,
    /// The process that has or had the lease.
    nonce: u64,
    /// The number of its lease.
    lease: u64,
    state: State,
    /// When the lease ends, on the store's clock.
    end: Instant,
    commits: Vec<Commit>,
    /// How many of the commits others may see.
    published: u64,
}

/// All that the store knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    entries: BTreeMap<ClusterNodeId, Entry>,
    /// Counts changes of who is active, recovering or inactive.
    seq: u64,
    /// Counts commits.
    revision: u64,
    cluster_id: Option<u64>,
}

impl Ledger {
    /// What a disk adds up to.
    pub fn of(disk: &[Record]) -> Self {
        let mut ledger = Ledger::default();
        for record in disk {
            ledger.apply(record);
        }
        ledger
    }

    /// Adds a record. False if it is void: something that was written before it has made it so.
    pub fn apply(&mut self, record: &Record) -> bool {
        match *record {
            Record::Leased { machine, nonce, end } => self.leased(machine, nonce, end),
            Record::Renewed { lease, end } => self.held(lease).map(|entry| entry.end = entry.end.max(end)).is_some(),
            Record::Released { lease } => {
                // A process gives its lease back when it has nothing left to say, so this publishes everything.
                let released = self.held(lease).map(Entry::leave).is_some();
                self.seq += u64::from(released);
                released
            }
            Record::Expired { lease, end } => {
                let expired = self.held(lease).filter(|entry| entry.end <= end);
                let expired = expired.map(|entry| entry.state = State::Recovering).is_some();
                self.seq += u64::from(expired);
                expired
            }
            Record::Recovered { lease } => {
                let entry = self.entries.get_mut(&lease.node);
                let entry = entry.filter(|entry| entry.state == State::Recovering && entry.lease == lease.number);
                let recovered = entry.map(Entry::leave).is_some();
                self.seq += u64::from(recovered);
                recovered
            }
            Record::Committed { lease, number, path, value } => {
                let revision = self.revision + 1;
                let Some(entry) = self.held(lease) else { return false };
                if number == entry.commits.len() as u64 + 1 {
                    entry.commits.push(Commit { revision, path, value });
                    self.revision = revision;
                }
                true
            }
            Record::Published { lease, upto } => {
                let Some(entry) = self.held(lease) else { return false };
                entry.published = entry.published.max(upto.min(entry.commits.len() as u64));
                true
            }
            Record::Assigned { cluster_id } => {
                self.cluster_id = Some(cluster_id);
                true
            }
        }
    }

    fn leased(&mut self, machine: u64, nonce: u64, end: Instant) -> bool {
        let fresh = ClusterNodeId(self.entries.len() as u16 + 1);
        let Some(entry) = self.entries.values_mut().find(|entry| entry.machine == machine) else {
            let state = State::Active;
            self.entries
                .insert(fresh, Entry { machine, nonce, lease: 1, state, end, commits: Vec::new(), published: 0 });
            self.seq += 1;
            return true;
        };
        if entry.nonce == nonce {
            // Asked twice. If the lease has ended since, a late repetition must not bring it back.
            return entry.state == State::Active;
        }
        if entry.state != State::Inactive {
            return false;
        }
        (entry.nonce, entry.state, entry.end) = (nonce, State::Active, end);
        entry.lease += 1;
        self.seq += 1;
        true
    }

    /// The entry of a lease that is held.
    fn held(&mut self, lease: LeaseId) -> Option<&mut Entry> {
        self.entries.get_mut(&lease.node).filter(|entry| entry.state == State::Active && entry.lease == lease.number)
    }

    /// Whether a lease is held.
    pub fn holds(&self, lease: LeaseId) -> bool {
        let entry = self.entries.get(&lease.node);
        entry.is_some_and(|entry| entry.state == State::Active && entry.lease == lease.number)
    }

    /// The lease of a process and how many commits its machine has made, if the process has one.
    pub fn lease_of(&self, machine: u64, nonce: u64) -> Option<(LeaseId, u64)> {
        let (&node, entry) = self.entries.iter().find(|(_, entry)| entry.machine == machine && entry.nonce == nonce)?;
        let lease = LeaseId { node, number: entry.lease };
        (entry.state == State::Active).then_some((lease, entry.commits.len() as u64))
    }

    /// When the next lease ends, on the store's clock.
    pub fn next_end(&self) -> Option<Instant> {
        self.leases(State::Active).map(|(_, end)| end).min()
    }

    /// The leases whose ids are in a state, and when they end or ended.
    pub fn leases(&self, state: State) -> impl Iterator<Item = (LeaseId, Instant)> + '_ {
        let entries = self.entries.iter().filter(move |(_, entry)| entry.state == state);
        entries.map(|(&node, entry)| (LeaseId { node, number: entry.lease }, entry.end))
    }

    /// The place of a commit among all, if it has been made.
    pub fn revision_of(&self, node: ClusterNodeId, number: u64) -> Option<u64> {
        let index = (number as usize).checked_sub(1)?;
        self.entries.get(&node)?.commits.get(index).map(|commit| commit.revision)
    }

    /// All commits of an id, in order.
    pub fn commits(&self, node: ClusterNodeId) -> &[Commit] {
        self.entries.get(&node).map_or(&[], |entry| &entry.commits)
    }

    /// How many commits of an id others may see.
    pub fn published(&self, node: ClusterNodeId) -> u64 {
        self.entries.get(&node).map_or(0, |entry| entry.published)
    }

    /// What a reader has not seen yet.
    pub fn changes(&self, seen: &[(ClusterNodeId, u64)]) -> Vec<Published> {
        let unseen = |(&node, entry): (&ClusterNodeId, &Entry)| {
            let seen = seen.iter().find(|(writer, _)| *writer == node).map_or(0, |&(_, upto)| upto);
            let commits = entry.commits.get(seen as usize..entry.published as usize).unwrap_or_default();
            (!commits.is_empty()).then(|| Published { node, first: seen + 1, commits: commits.to_vec() })
        };
        self.entries.iter().filter_map(unseen).collect()
    }

    /// The cluster's own id.
    pub fn cluster_id(&self) -> Option<u64> {
        self.cluster_id
    }

    /// Who belongs to the cluster.
    pub fn view(&self) -> View {
        let mut view = View { seq: self.seq, cluster_id: self.cluster_id, ..View::default() };
        for (&node, entry) in &self.entries {
            match entry.state {
                State::Active => view.active.push(node),
                State::Recovering => view.recovering.push(node),
                State::Inactive => view.inactive.push((node, entry.commits.len() as u64)),
            }
        }
        view
    }
}

impl Entry {
    fn leave(&mut self) {
        self.state = State::Inactive;
        self.published = self.commits.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: LeaseId = LeaseId { node: ClusterNodeId(1), number: 1 };

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    #[test]
    fn a_renewal_that_was_written_first_makes_an_expiry_void() {
        let mut ledger = Ledger::default();
        assert!(ledger.apply(&Record::Leased { machine: 7, nonce: 1, end: at(10) }));
        assert!(ledger.apply(&Record::Renewed { lease: LEASE, end: at(20) }));
        assert!(!ledger.apply(&Record::Expired { lease: LEASE, end: at(10) }));
        assert!(ledger.apply(&Record::Expired { lease: LEASE, end: at(20) }));
        assert!(!ledger.apply(&Record::Renewed { lease: LEASE, end: at(30) }));
        assert_eq!((ledger.view().seq, ledger.view().recovering), (2, vec![ClusterNodeId(1)]));
    }

    #[test]
    fn a_late_repetition_of_an_old_request_brings_no_lease_back() {
        let mut ledger = Ledger::default();
        let first = Record::Leased { machine: 7, nonce: 1, end: at(10) };
        assert!(ledger.apply(&first) && ledger.apply(&first));
        assert!(!ledger.apply(&Record::Leased { machine: 7, nonce: 2, end: at(10) }));
        assert!(ledger.apply(&Record::Released { lease: LEASE }));
        assert!(!ledger.apply(&first));
        assert!(ledger.apply(&Record::Leased { machine: 7, nonce: 2, end: at(20) }));
        assert_eq!(ledger.lease_of(7, 2), Some((LeaseId { node: ClusterNodeId(1), number: 2 }, 0)));
    }

    #[test]
    fn commits_are_seen_when_published_and_all_of_them_after_recovery() {
        let mut ledger = Ledger::default();
        ledger.apply(&Record::Leased { machine: 7, nonce: 1, end: at(10) });
        let path = super::super::Path { folder: super::super::Folder::named("doc"), name: 1 };
        let commit = |number| Record::Committed { lease: LEASE, number, path, value: Default::default() };
        assert!(ledger.apply(&commit(1)) && ledger.apply(&commit(2)) && ledger.apply(&commit(2)));
        assert_eq!(ledger.changes(&[]), []);
        ledger.apply(&Record::Published { lease: LEASE, upto: 1 });
        assert_eq!(ledger.changes(&[])[0].commits.len(), 1);
        ledger.apply(&Record::Expired { lease: LEASE, end: at(10) });
        assert!(!ledger.apply(&commit(3)));
        ledger.apply(&Record::Recovered { lease: LEASE });
        assert_eq!(ledger.changes(&[(LEASE.node, 1)])[0].first, 2);
        assert_eq!(ledger.view().inactive, [(LEASE.node, 2)]);
    }
}
