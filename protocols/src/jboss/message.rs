//! What nodes say to each other, what they wait for, and what an operator can ask.

use serde::{Deserialize, Serialize};
use sim_core::{ConnectionId, Kind, NodeId};

use super::database::{Answer, Statement};
use super::replication::Copied;
use crate::services::membership;
use crate::services::membership::Address;

/// A queue, by its number. Every server on which it is deployed has a part of its own.
pub type QueueId = u16;
/// A message, by an id that its sender gives it and that is the same whenever it is sent again.
pub type MessageId = u64;
/// A delivery within a session.
pub type DeliveryId = u64;

/// A client's session, by the client and which of its starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// The client.
    pub client: NodeId,
    /// Drawn at random at each start of the client.
    pub serial: u32,
}

/// A message as queues hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: MessageId,
    /// Whether it must survive the server.
    pub persistent: bool,
}

/// An object that a client has made at a server, and makes again after a failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Object {
    /// The session.
    Session,
    /// Its consumer of a queue.
    Consumer(QueueId),
    /// Its producer.
    Producer(QueueId),
    /// Its browser of a queue.
    Browser(QueueId),
}

/// Why a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// For the first time, or because it was moved here.
    New,
    /// It was connected to this server and lost the connection: the retry of the original.
    Resume(Address),
    /// It takes this server for the failover node of that one.
    Failed(Address),
}

/// A delivery that a client has not been told to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unacked {
    /// Which message.
    pub message: MessageId,
    /// Under which delivery id.
    pub delivery: DeliveryId,
    /// From which queue.
    pub queue: QueueId,
}

/// What nodes say to each other.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Between servers: group membership.
    Group(membership::Message),

    /// Client to server: the first on a connection. It was sent to the last one named, if there is one, and that one
    /// could not be reached.
    CreateConnection(SessionId, Reason, Option<Address>),
    /// Server to client: served here.
    Connection(Address),
    /// Server to client: the right server, or that no failover has been seen (-1).
    Redirect(Option<Address>),
    /// Client to server: make an object.
    Create(Object),
    /// Server to client: it is made.
    Created(Object),
    /// Client to server: what it holds unacknowledged.
    RecoverDeliveries(Vec<Unacked>),
    /// Server to client: the delivery list is as it was.
    Recovered,
    /// Client to server: deliver to my consumers.
    Start,
    /// Client to server: put a message into a queue; whether it may have been sent before.
    Send(QueueId, Item, bool),
    /// Server to client: it is there.
    Sent(MessageId),
    /// Server to client: a message for its consumer.
    Deliver(DeliveryId, QueueId, Item),
    /// Client to server: this delivery is done.
    Acknowledge(DeliveryId),
    /// Server to client: noted.
    Acknowledged(DeliveryId),
    /// Client to server: be ready to commit the acknowledgement of these deliveries.
    Prepare(u64, Vec<DeliveryId>),
    /// Server to client: ready.
    Prepared(u64),
    /// Client to server: commit.
    Commit(u64),
    /// Server to client: committed.
    Committed(u64),
    /// Client to server: deliver nothing more to my consumer.
    CloseConsumer,
    /// Server to client: nothing more will come.
    ConsumerClosed,
    /// Client to server: my consumer is gone.
    RemoveConsumer,
    /// Client to server: how many messages are there?
    Browse(QueueId),
    /// Server to client: so many.
    Browsed(u64),
    /// Client to server: the session is over.
    CloseConnection,
    /// Client to server: still there?
    Ping,
    /// Server to client: yes.
    Pong,
    /// Client to server: this is a control channel, tell me of the failover map.
    Subscribe,
    /// Server to client: the members of the group and who fails over for whom.
    MapPush(Vec<(Address, Vec<Address>)>),
    /// Server to client: go and be served there.
    Move(NodeId),

    /// Server to store: carry out a statement. Everything before the second number has been answered.
    Query(u64, u64, Statement),
    /// Store to server: what came of it.
    Result(u64, Answer),

    /// Server to server: failing over for the member has begun.
    FailoverStart(Address),
    /// Server to server: failing over for the member is complete.
    FailoverEnd(Address),
    /// Server to a new member, or to all after a merge: who took over for whom.
    Heirs(Vec<(Address, Address)>),
    /// Server to its failover node: one change of what is in memory.
    Replicate(u64, Copied),
    /// Failover node to server: all up to this one are noted.
    Replicated(u64),
    /// Server to its failover node: all that is in memory.
    AddAllReplicatedDeliveries(Address, u64, Vec<Copied>),
    /// Server to a former failover node: its copy is not needed any more.
    AckAllReplicatedDeliveries,
    /// Server to the failover node of one that failed: the copy that it had left here.
    HandOver(Address, Vec<Copied>),
}

/// Writes the [`Kind`] of a message: the group's messages are kinds of their own, so that faults can be aimed at them.
macro_rules! kinds_beside_the_group {
    ($($variant:ident),+ $(,)?) => {
        impl Kind for Message {
            const KINDS: &'static [&'static str] = &[
                "Discover", "Discovered", "Join", "Leave", "Install", "Heartbeat", "Excluded", "Suspect", "AreYouDead",
                "NotDead", "MergeRequest", "MergeResponse", $(stringify!($variant)),+
            ];

            fn kind(&self) -> &'static str {
                match self {
                    Message::Group(message) => message.kind(),
                    $(Message::$variant { .. } => stringify!($variant),)+
                }
            }
        }
    };
}

kinds_beside_the_group! {
    CreateConnection, Connection, Redirect, Create, Created, RecoverDeliveries, Recovered, Start, Send, Sent, Deliver,
    Acknowledge, Acknowledged, Prepare, Prepared, Commit, Committed, CloseConsumer, ConsumerClosed, RemoveConsumer, Browse, Browsed,
    CloseConnection, Ping, Pong, Subscribe, MapPush, Move, Query, Result, FailoverStart, FailoverEnd, Heirs, Replicate,
    Replicated, AddAllReplicatedDeliveries, AckAllReplicatedDeliveries, HandOver,
}

impl From<membership::Message> for Message {
    fn from(message: membership::Message) -> Self {
        Message::Group(message)
    }
}

/// A node's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// A server's group membership.
    Group(membership::Timer),
    /// A server tries again to reach the store.
    Database,
    /// A server has loaded a queue of its own.
    Loaded(QueueId),
    /// A server has loaded what it merged of the node that it fails over for.
    Merged,
    /// A server looks at the requests that it blocks.
    Blocked,
    /// A server gives up on a session whose client has not come back.
    Lease(SessionId),
    /// A server returns messages to a queue that no session has claimed.
    Unclaimed(QueueId),
    /// A server tries again to reach its failover node.
    Replica,
    /// A server has waited for a copy of the memory of the node that it fails over for.
    Copy,
    /// A server has finished the next step of closing a session.
    Closing,

    /// A client's next message is due.
    Send,
    /// A client has processed a message.
    Process,
    /// A client commits what it has prepared.
    Commit,
    /// A client looks whether its server answers.
    Check,
    /// A client's thread comes to the failure of a connection: the listener's, or else that of an invocation.
    Detect(ConnectionId, bool),
    /// A client's attempt to connect has taken too long.
    Attempt,
    /// A client has paused between two hops.
    Hop,
    /// A client browses.
    Browse,
    /// A client closes its consumer, or opens it again.
    Consumer,
    /// A client closes its connection with what it holds, and opens another.
    Session,
    /// A client's connection is started anew; only a defect does it so late.
    Restart(ConnectionId),
}

impl From<membership::Timer> for Timer {
    fn from(timer: membership::Timer) -> Self {
        Timer::Group(timer)
    }
}

/// What an operator can ask of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Move all sessions elsewhere, leave the group in good order, and stop.
    TakeDown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_kinds_are_among_all() {
        let own = <membership::Message as Kind>::KINDS;
        assert_eq!(&<Message as Kind>::KINDS[..own.len()], own);
    }
}
