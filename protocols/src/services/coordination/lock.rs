//! Locks out of ephemeral sequential nodes: exclusive ones, and ones for readers and writers.
//!
//! A contender makes a node below the lock's path and lists its siblings. It holds the lock if none before it is in
//! its way: to a reader only writers are, to everybody else all. Otherwise it watches the last one that is, and looks
//! again when that one goes; so a release wakes one contender and not the herd.
//!
//! A contender that loses its connection does not know whether its node was made. Its node's name begins with a name of
//! its own, by which it finds it when it is back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sim_core::Context;

use super::client::{Client, ClientHost, Event, Recipe};
use super::{Answer, Change, Done, Error, Mode, Op, Request, Text, Timer};

/// Names a lock that a client holds or wants; never used twice by one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LockId(pub u32);

/// Who is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// Everybody else.
    Exclusive,
    /// Those who write.
    Read,
    /// Those who read and those who write.
    Write,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Lock {
    /// The node below which the contenders are.
    path: Text,
    kind: LockKind,
    /// What its own node's name begins with.
    prefix: Text,
    /// Its own node, once it knows of it.
    node: Option<Text>,
    /// Whether the owner still wants it.
    wanted: bool,
    stage: Stage,
}

/// What the contender waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Its node to be made.
    Creating,
    /// A list of its siblings.
    Listing,
    /// The answer whether the one in its way is still there.
    Checking(Text),
    /// The one in its way to go.
    Waiting(Text),
    /// Nothing: it has the lock.
    Held,
    /// Its node to be deleted.
    Deleting,
}

/// What a contender has asked the server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Create,
    List,
    Check,
    Delete,
}

/// In the name of a reader's node.
const READER: &str = "read";

impl<T: Clone> Client<T> {
    /// Wants a lock: [`Event::Locked`] follows, or [`Event::LockTimedOut`] after `timeout`, or [`Event::LockLost`].
    /// `path` must be a node. Nothing follows if the client is not connected.
    pub fn lock<A: ClientHost>(
        &mut self,
        path: &Text,
        kind: LockKind,
        timeout: Option<Duration>,
        ctx: &mut Context<A>,
    ) -> LockId {
        let id = LockId(self.next_lock);
        self.next_lock += 1;
        let word = match kind {
            LockKind::Exclusive => "lock",
            LockKind::Read => READER,
            LockKind::Write => "write",
        };
        // The session makes it unlike any that another process of this node has left behind.
        let serial = self.session().map_or(0, |session| session.serial);
        let prefix: Text = format!("{word}-{}-{serial}-{}-", ctx.node(), id.0).into();
        let lock = Lock { path: path.clone(), kind, prefix, node: None, wanted: true, stage: Stage::Creating };
        let op = Op::Create {
            path: format!("{path}/{}", lock.prefix).into(),
            data: "".into(),
            mode: Mode::EphemeralSequential,
        };
        if self.ask(Request::Transaction(vec![op]), Recipe::Lock(id, Asked::Create), ctx) {
            self.locks.insert(id, lock);
            if let Some(timeout) = timeout {
                ctx.set_timer(Timer::Lock(id).into(), timeout);
            }
        }
        id
    }

    /// Whether a lock is held, as far as the client remembers. Only together with [`Client::trusts`] does it keep
    /// others out.
    pub fn holds(&self, id: LockId) -> bool {
        self.locks.get(&id).is_some_and(|lock| lock.wanted && lock.stage == Stage::Held)
    }

    /// Gives a lock up, or the wish for it. No effect on one that is not there any more.
    pub fn release<A: ClientHost>(&mut self, id: LockId, ctx: &mut Context<A>) {
        ctx.cancel_timer(Timer::Lock(id).into());
        let Some(lock) = self.locks.get_mut(&id) else { return };
        lock.wanted = false;
        // Without a name there is nothing to delete yet: the answer that tells it comes, or the next connection does.
        if lock.node.is_some() && lock.stage != Stage::Deleting {
            self.delete_lock(id, ctx);
        }
    }

    pub(super) fn lock_times_out<A: ClientHost>(&mut self, id: LockId, ctx: &mut Context<A>) {
        if self.locks.get(&id).is_some_and(|lock| lock.wanted && lock.stage != Stage::Held) {
            self.release(id, ctx);
            self.events.push(Event::LockTimedOut(id));
        }
    }

    pub(super) fn lock_replied<A: ClientHost>(
        &mut self,
        id: LockId,
        asked: Asked,
        result: Result<Answer, Error>,
        ctx: &mut Context<A>,
    ) {
        let Some(lock) = self.locks.get_mut(&id) else { return };
        match (asked, lock.stage.clone(), result) {
            (Asked::Create, Stage::Creating, Ok(Answer::Done(done))) => {
                let Some(Done::Created(path)) = done.into_iter().next() else {
                    unreachable!("a contender's only step is to make its node");
                };
                lock.node = Some(path);
                if lock.wanted { self.list_contenders(id, ctx) } else { self.delete_lock(id, ctx) }
            }
            (Asked::List, Stage::Listing, Ok(Answer::Children(names))) => self.take_place(id, names, ctx),
            (Asked::Check, Stage::Checking(node), Ok(Answer::Read(read))) => match read.first() {
                Some(Some(_)) => lock.stage = Stage::Waiting(node),
                _ => self.list_contenders(id, ctx),
            },
            // Also if it was gone already.
            (Asked::Delete, ..) => _ = self.locks.remove(&id),
            // An answer that was overtaken by a release.
            (_, Stage::Deleting, Ok(_)) => {}
            (asked, stage, result) => panic!("{asked:?} of a lock that is {stage:?} was answered by {result:?}"),
        }
    }

    /// The node in somebody's way may have gone.
    pub(super) fn predecessor_changed<A: ClientHost>(&mut self, path: &Text, change: Change, ctx: &mut Context<A>) {
        if change != Change::Deleted {
            return;
        }
        let in_way = |lock: &Lock| matches!(&lock.stage, Stage::Waiting(node) if node == path);
        let waiting: Vec<LockId> = self.locks.iter().filter(|(_, lock)| in_way(lock)).map(|(&id, _)| id).collect();
        for id in waiting {
            self.list_contenders(id, ctx);
        }
    }

    /// After a reconnection: whatever was under way is begun again from what the server has.
    pub(super) fn resume_locks<A: ClientHost>(&mut self, ctx: &mut Context<A>) {
        for id in self.locks.keys().copied().collect::<Vec<_>>() {
            let lock = &self.locks[&id];
            match lock.stage {
                Stage::Held if lock.wanted => {}
                _ if lock.wanted || lock.node.is_none() => self.list_contenders(id, ctx),
                _ => self.delete_lock(id, ctx),
            }
        }
    }

    /// Every lock went with the session.
    pub(super) fn lose_locks(&mut self) {
        for (id, lock) in std::mem::take(&mut self.locks) {
            if lock.wanted {
                self.events.push(Event::LockLost(id));
            }
        }
    }

    fn list_contenders<A: ClientHost>(&mut self, id: LockId, ctx: &mut Context<A>) {
        let Some(lock) = self.locks.get_mut(&id) else { return };
        lock.stage = Stage::Listing;
        let path = lock.path.clone();
        self.ask(Request::Children { path, watch: false }, Recipe::Lock(id, Asked::List), ctx);
    }

    fn delete_lock<A: ClientHost>(&mut self, id: LockId, ctx: &mut Context<A>) {
        let Some(lock) = self.locks.get_mut(&id) else { return };
        lock.stage = Stage::Deleting;
        let path = lock.node.clone().expect("only a node that is known can be deleted");
        self.ask(Request::Transaction(vec![Op::Delete { path, version: None }]), Recipe::Lock(id, Asked::Delete), ctx);
    }

    /// Looks who is before it.
    fn take_place<A: ClientHost>(&mut self, id: LockId, mut names: Vec<Text>, ctx: &mut Context<A>) {
        let Some(lock) = self.locks.get_mut(&id) else { return };
        names.sort_by(|a, b| sequence(a).cmp(sequence(b)));
        let Some(place) = names.iter().position(|name| name.starts_with(&*lock.prefix)) else {
            // It was never made: the connection broke before the request arrived.
            let wanted = lock.wanted;
            self.locks.remove(&id);
            self.events.extend(wanted.then_some(Event::LockLost(id)));
            return;
        };
        lock.node = Some(format!("{}/{}", lock.path, names[place]).into());
        if !lock.wanted {
            return self.delete_lock(id, ctx);
        }
        let in_way = |name: &&Text| lock.kind != LockKind::Read || !name.starts_with(READER);
        match names[..place].iter().rev().find(in_way) {
            None => {
                lock.stage = Stage::Held;
                ctx.cancel_timer(Timer::Lock(id).into());
                self.events.push(Event::Locked(id));
            }
            Some(name) => {
                let before: Text = format!("{}/{name}", lock.path).into();
                lock.stage = Stage::Checking(before.clone());
                self.ask(Request::Read { paths: vec![before], watch: true }, Recipe::Lock(id, Asked::Check), ctx);
            }
        }
    }
}

/// The number behind a contender's name.
fn sequence(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(_, number)| number)
}
