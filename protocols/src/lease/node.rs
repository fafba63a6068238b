//! One actor for both roles: what they say to each other, and which role handles what.

use serde::{Deserialize, Serialize};
use sim_core::{Actor, Context, NodeId, SyncToken};

use super::{Member, Store, role};

/// A node of the cluster.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// Wants the lease.
    Member(Member),
    /// Is protected by it.
    Store(Store),
}

/// What nodes say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Asks for the lease.
    Ask {
        /// The fencing token that the lease will have.
        epoch: u64,
        /// Which time of asking this is; comes back with the answer, so that a late one does not count for a newer
        /// question.
        round: u64,
    },
    /// Promises to support nobody else for a term.
    Grant {
        /// As in the question.
        epoch: u64,
        /// As in the question.
        round: u64,
    },
    /// Does not promise.
    Refuse {
        /// The highest epoch that the member knows, for the next try.
        epoch: u64,
    },
    /// Stores a value under the protection of the lease.
    Write {
        /// The fencing token.
        epoch: u64,
        /// What to store.
        value: u64,
    },
}

sim_core::kinds!(Message { Ask, Grant, Refuse, Write });

/// The timers of a member; the table is in the module above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// The lease may be free.
    Campaign,
    /// Time to give up, or to step down.
    Expire,
    /// Time to ask again.
    Renew,
    /// Time to write to the store.
    Write,
}

/// What is on disk. Only the last record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// A member has promised the lease.
    Promise {
        /// Under this epoch; it never grants under a lower one.
        epoch: u64,
        /// To this member.
        holder: NodeId,
    },
    /// The store has taken a write.
    Written {
        /// The fencing token; it never takes a lower one.
        epoch: u64,
        /// What was stored.
        value: u64,
    },
}

/// What an operator can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Give up the lease.
    Resign,
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Command = Command;

    fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Self>) {
        match self {
            Node::Member(member) => member.start(disk, ctx),
            Node::Store(store) => store.start(disk),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match (self, message) {
            (Node::Member(member), Message::Ask { epoch, round }) => member.asked(from, epoch, round, ctx),
            (Node::Member(member), Message::Grant { epoch, round }) => member.granted(from, epoch, round, ctx),
            (Node::Member(member), Message::Refuse { epoch }) => member.refused(epoch),
            (Node::Store(store), Message::Write { epoch, value }) => store.write(epoch, value, ctx),
            (node, message) => panic!("{message:?} was sent to {}", node.role()),
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        let Node::Member(member) = self else { panic!("a store has no timers") };
        match timer {
            Timer::Campaign => member.campaign(ctx),
            Timer::Expire => member.expire(ctx),
            Timer::Renew => member.ask(ctx),
            Timer::Write => member.write(ctx),
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        match self {
            Node::Member(member) => member.synced(token, ctx),
            Node::Store(store) => store.synced(token),
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        match (self, command) {
            (Node::Member(member), Command::Resign) => member.resign(ctx),
            (Node::Store(_), Command::Resign) => {} // It never holds the lease.
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Node::Member(member) => role(member.state()),
            Node::Store(_) => "store",
        }
    }
}
