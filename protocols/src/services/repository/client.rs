//! The client: a process's lease, what it has seen of the repository, and what it wants to commit.

use std::collections::{BTreeMap, VecDeque};

use sim_core::{Context, Instant, NodeId};

use super::{ClusterNodeId, Commit, Config, Descriptor, Host, LeaseId, Message, Path, Published, Timer, Value, View};

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It has not asked for a lease.
    Closed,
    /// It asks for a lease.
    Acquiring {
        /// Tells the request from all others of the machine.
        nonce: u64,
        /// When it was made first, at the earliest: the lease cannot have been granted before that.
        since: Instant,
    },
    /// It has a lease.
    Open(LeaseId),
    /// It gives its lease back.
    Releasing(LeaseId),
    /// It has given its lease back, or was told that it has none.
    Ended,
}

/// What a client tells the actor that it is part of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// There is a lease, and everything that was published before has been read.
    Opened,
    /// This commit, and all before it, is durable.
    Committed(u64),
    /// Who belongs to the cluster.
    Descriptor(Descriptor),
    /// The lease has been given back.
    Released,
    /// The lease has ended: the process must stop.
    Fenced,
}

/// A process's half of the repository.
#[derive(Clone, Debug, Hash)]
pub struct Client {
    store: NodeId,
    machine: u64,
    config: Config,
    standing: Standing,
    /// Until when the lease counts, on the process's own clock.
    lease_until: Instant,
    /// The latest renewal: its number, and when it was asked.
    renewal: (u64, Instant),
    /// Whether all that was published before the lease began has been read.
    caught_up: bool,
    documents: BTreeMap<Path, Commit>,
    /// Up to which commit of each writer everything has been seen.
    seen: BTreeMap<ClusterNodeId, u64>,
    /// How many commits of this machine are durable.
    committed: u64,
    /// Commits that are not durable yet, oldest first; only the first has been sent.
    queue: VecDeque<(Path, Value)>,
    /// The latest question for the view, and the latest one that was answered.
    views: (u64, u64),
}

impl Client {
    /// A client of `store` for a machine.
    pub fn new(store: NodeId, machine: u64, config: Config) -> Self {
        Client {
            store,
            machine,
            config,
            standing: Standing::Closed,
            lease_until: Instant::ZERO,
            renewal: (0, Instant::ZERO),
            caught_up: false,
            documents: BTreeMap::new(),
            seen: BTreeMap::new(),
            committed: 0,
            queue: VecDeque::new(),
            views: (0, 0),
        }
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The lease, while it is used.
    pub fn lease(&self) -> Option<LeaseId> {
        match self.standing {
            Standing::Open(lease) | Standing::Releasing(lease) => Some(lease),
            _ => None,
        }
    }

    /// Whether the lease was held and has ended, on the process's own clock. From then on the process must do nothing
    /// but stop.
    pub fn is_over(&self, now: Instant) -> bool {
        self.lease().is_some() && now >= self.lease_until
    }

    /// Whether there is a lease that counts at this moment of the process's own clock, and is not being given back.
    pub fn has_lease(&self, now: Instant) -> bool {
        matches!(self.standing, Standing::Open(_)) && now < self.lease_until
    }

    /// A document as this client sees it.
    pub fn read(&self, path: Path) -> Option<Value> {
        self.documents.get(&path).map(|commit| commit.value)
    }

    /// Whether a document is about to change because of a commit of this client that is not durable yet.
    pub fn is_queued(&self, path: Path) -> bool {
        self.queue.iter().any(|&(queued, _)| queued == path)
    }

    /// A document as it is once all commits of this client are durable.
    pub fn read_queued(&self, path: Path) -> Option<Value> {
        let queued = self.queue.iter().rev().find(|&&(queued, _)| queued == path).map(|&(_, value)| value);
        queued.or_else(|| self.read(path))
    }

    /// Up to which commit of a writer it has seen everything.
    pub fn seen(&self, node: ClusterNodeId) -> u64 {
        self.seen.get(&node).copied().unwrap_or_default()
    }

    /// Asks for a lease, until there is one.
    pub fn acquire<A: Host>(&mut self, ctx: &mut Context<'_, A>) {
        assert_eq!(self.standing, Standing::Closed, "a process has one lease in its life");
        self.standing = Standing::Acquiring { nonce: ctx.random(), since: ctx.now() };
        self.ask_for_lease(ctx);
    }

    fn ask_for_lease<A: Host>(&mut self, ctx: &mut Context<'_, A>) {
        let Standing::Acquiring { nonce, .. } = self.standing else { return };
        ctx.send(self.store, Message::Acquire { machine: self.machine, nonce }.into());
        ctx.set_timer(Timer::Acquire.into(), self.config.request_timeout);
    }

    /// Gives the lease back, after everything that is still to be committed.
    pub fn release<A: Host>(&mut self, ctx: &mut Context<'_, A>) {
        if let Standing::Open(lease) = self.standing {
            self.standing = Standing::Releasing(lease);
            self.ask_for_release(ctx);
        }
    }

    fn ask_for_release<A: Host>(&mut self, ctx: &mut Context<'_, A>) {
        if let Standing::Releasing(lease) = self.standing
            && self.queue.is_empty()
        {
            ctx.send(self.store, Message::Release { lease }.into());
            ctx.set_timer(Timer::Release.into(), self.config.request_timeout);
        }
    }

    /// Commits a document; [`Event::Committed`] with the number that this returns, or a higher one, says when it is
    /// durable.
    ///
    /// # Panics
    /// Before [`Event::Opened`], and after [`Client::release`].
    pub fn commit<A: Host>(&mut self, path: Path, value: Value, ctx: &mut Context<'_, A>) -> u64 {
        assert!(self.caught_up && matches!(self.standing, Standing::Open(_)), "only an open repository takes commits");
        self.queue.push_back((path, value));
        if self.queue.len() == 1 {
            self.send_commit(ctx);
        }
        self.committed + self.queue.len() as u64
    }

    fn send_commit<A: Host>(&mut self, ctx: &mut Context<'_, A>) {
        let (Some(lease), Some(&(path, value))) = (self.lease(), self.queue.front()) else { return };
        ctx.send(self.store, Message::Commit { lease, number: self.committed + 1, path, value }.into());
        ctx.set_timer(Timer::Commit.into(), self.config.request_timeout);
    }

    /// Asks who belongs to the cluster; [`Event::Descriptor`] says so, if nothing is lost.
    pub fn read_view<A: Host>(&mut self, ctx: &mut Context<'_, A>) {
        if let Some(lease) = self.lease() {
            self.views.0 += 1;
            ctx.send(self.store, Message::ReadView { lease, round: self.views.0 }.into());
        }
    }

    /// The store answers. What does not belong to this process, or comes too late, is dropped.
    pub fn on_message<A: Host>(&mut self, message: Message, ctx: &mut Context<'_, A>) -> Option<Event> {
        match message {
            Message::Acquired { nonce, lease, committed } => self.acquired(nonce, lease, committed, ctx),
            Message::Occupied { nonce: refused } => {
                if let Standing::Acquiring { nonce, since } = &mut self.standing
                    && *nonce == refused
                {
                    // That request will never be granted any more. The next one is another, and begins to count then.
                    (*nonce, *since) = (ctx.random(), ctx.now());
                }
                None
            }
            Message::Renewed { lease, round } if self.lease() == Some(lease) && round == self.renewal.0 => {
                self.extend(self.renewal.1, ctx);
                ctx.set_timer(Timer::Renew.into(), self.config.lease_update_interval);
                None
            }
            Message::Committed { lease, number, revision } if self.lease() == Some(lease) => {
                self.durable(lease.node, number, revision, ctx)
            }
            Message::Changes { lease, published } if self.lease() == Some(lease) => self.changed(published),
            Message::ViewRead { lease, round, view } if self.lease() == Some(lease) && round > self.views.1 => {
                self.views.1 = round;
                Some(Event::Descriptor(self.descriptor(lease.node, view)))
            }
            Message::Released { lease } if self.standing == Standing::Releasing(lease) => {
                self.standing = Standing::Ended;
                Some(Event::Released)
            }
            Message::Fenced { lease } if self.lease() == Some(lease) => {
                self.standing = Standing::Ended;
                Some(Event::Fenced)
            }
            // Of an earlier process or an earlier round.
            _ => None,
        }
    }

    /// One of the client's timers has ended.
    pub fn on_timer<A: Host>(&mut self, timer: Timer, ctx: &mut Context<'_, A>) -> Option<Event> {
        match timer {
            Timer::Acquire => self.ask_for_lease(ctx),
            Timer::Renew => self.renew(ctx),
            Timer::LeaseEnd if self.is_over(ctx.now()) => {
                self.standing = Standing::Ended;
                return Some(Event::Fenced);
            }
            // A clock that drifts can be a moment early.
            Timer::LeaseEnd => ctx.set_timer(Timer::LeaseEnd.into(), self.lease_until.since(ctx.now())),
            Timer::Background => self.background(ctx),
            Timer::Commit => self.send_commit(ctx),
            Timer::Release => self.ask_for_release(ctx),
            Timer::Expiry | Timer::Recovery(_) => panic!("a client has no timer {timer:?}"),
        }
        None
    }

    fn acquired<A: Host>(
        &mut self,
        granted: u64,
        lease: LeaseId,
        committed: u64,
        ctx: &mut Context<'_, A>,
    ) -> Option<Event> {
        let Standing::Acquiring { nonce, since } = self.standing else { return None };
        if granted != nonce {
            return None;
        }
        self.standing = Standing::Open(lease);
        self.committed = committed;
        ctx.cancel_timer(Timer::Acquire.into());
        // The store may have heard of it at the first time of asking, so that is when it begins to count.
        self.extend(since, ctx);
        if self.is_over(ctx.now()) {
            // It took so long that there is nothing left of it.
            self.standing = Standing::Ended;
            return Some(Event::Fenced);
        }
        self.renew(ctx);
        self.background(ctx);
        None
    }

    fn extend<A: Host>(&mut self, asked: Instant, ctx: &mut Context<'_, A>) {
        self.lease_until = self.lease_until.max(asked + self.config.usable());
        ctx.set_timer(Timer::LeaseEnd.into(), self.lease_until.since(ctx.now()));
    }

    fn renew<A: Host>(&mut self, ctx: &mut Context<'_, A>) {
        let Some(lease) = self.lease() else { return };
        self.renewal = (self.renewal.0 + 1, ctx.now());
        ctx.send(self.store, Message::Renew { lease, round: self.renewal.0 }.into());
        ctx.set_timer(Timer::Renew.into(), self.config.request_timeout);
    }

    fn background<A: Host>(&mut self, ctx: &mut Context<'_, A>) {
        let Some(lease) = self.lease() else { return };
        let seen = self.seen.iter().map(|(&node, &upto)| (node, upto)).collect();
        ctx.send(self.store, Message::Background { lease, publish: self.committed, seen }.into());
        ctx.set_timer(Timer::Background.into(), self.config.async_delay);
    }

    /// The first commit of the queue is durable.
    fn durable<A: Host>(
        &mut self,
        me: ClusterNodeId,
        number: u64,
        revision: u64,
        ctx: &mut Context<'_, A>,
    ) -> Option<Event> {
        if number != self.committed + 1 {
            return None; // Said twice.
        }
        let (path, value) = self.queue.pop_front().expect("only what is in the queue is sent");
        self.committed = number;
        self.see(me, number, Commit { revision, path, value });
        match self.queue.is_empty() {
            true => ctx.cancel_timer(Timer::Commit.into()),
            false => self.send_commit(ctx),
        }
        self.ask_for_release(ctx);
        Some(Event::Committed(number))
    }

    fn changed(&mut self, published: Vec<Published>) -> Option<Event> {
        for Published { node, first, commits } in published {
            for (number, commit) in (first..).zip(commits) {
                self.see(node, number, commit);
            }
        }
        (!std::mem::replace(&mut self.caught_up, true)).then_some(Event::Opened)
    }

    fn see(&mut self, node: ClusterNodeId, number: u64, commit: Commit) {
        let seen = self.seen.entry(node).or_default();
        if number <= *seen {
            return; // An answer that was overtaken by a later one.
        }
        assert_eq!(number, *seen + 1, "the store tells every commit of {node} in order");
        *seen = number;
        let newest = self.documents.entry(commit.path).or_insert(commit);
        if newest.revision < commit.revision {
            *newest = commit;
        }
    }

    fn descriptor(&self, me: ClusterNodeId, view: View) -> Descriptor {
        let has_backlog = |&&(node, committed): &&(ClusterNodeId, u64)| self.seen(node) < committed;
        let (backlog, inactive): (Vec<_>, Vec<_>) = view.inactive.iter().partition(has_backlog);
        let ids = |entries: Vec<(ClusterNodeId, u64)>| entries.into_iter().map(|(node, _)| node);
        let is_final = backlog.is_empty();
        let mut deactivating: Vec<_> = view.recovering.into_iter().chain(ids(backlog)).collect();
        deactivating.sort_unstable();
        Descriptor {
            seq: view.seq,
            is_final,
            me,
            active: view.active,
            deactivating,
            inactive: ids(inactive).collect(),
            cluster_id: view.cluster_id,
        }
    }
}
