//! What clients and the server say to each other, and what the server writes down.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sim_core::NodeId;

use super::LockId;

/// A path or a value: shared, as it is copied a lot.
pub type Text = Arc<str>;

/// Names a session; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// The node that opened it.
    pub client: NodeId,
    /// Counts all sessions of the service.
    pub serial: u32,
}

/// What clients and the server say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Opens a session, or goes on with one on a new connection.
    Connect {
        /// The session to go on with.
        session: Option<SessionId>,
        /// After how long of silence a new session is to end.
        timeout: Duration,
    },
    /// The connection belongs to this session now.
    Connected {
        /// The session.
        session: SessionId,
    },
    /// The session has ended, or never was.
    SessionExpired,
    /// The client is alive.
    Ping,
    /// The server is alive.
    Pong,
    /// Asks for something.
    Request {
        /// Comes back with the answer.
        xid: u64,
        /// For what.
        request: Request,
    },
    /// Answers a request.
    Reply {
        /// As in the request.
        xid: u64,
        /// The number of the last transaction that the answer knows of.
        zxid: u64,
        /// What came of it.
        result: Result<Answer, Error>,
    },
    /// Sets watches again that had been set on an earlier connection.
    SetWatches {
        /// The last transaction that the client has seen.
        since: u64,
        /// Watches of nodes, and whether the node was there when the watch was set.
        nodes: Vec<(Text, bool)>,
        /// Watches of children.
        children: Vec<Text>,
    },
    /// A watch has fired.
    WatchEvent {
        /// Of this node.
        path: Text,
        /// What has changed.
        change: Change,
        /// The transaction that changed it.
        zxid: u64,
    },
    /// The client ends its session.
    CloseSession,
}

sim_core::kinds!(Message {
    Connect,
    Connected,
    SessionExpired,
    Ping,
    Pong,
    Request,
    Reply,
    SetWatches,
    WatchEvent,
    CloseSession,
});

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Request {
    /// Does all of it or nothing.
    Transaction(Vec<Op>),
    /// Reads several nodes at one moment.
    Read {
        /// Which.
        paths: Vec<Text>,
        /// Whether to watch each, also one that is not there.
        watch: bool,
    },
    /// Lists the names of a node's children, in order.
    Children {
        /// Of this node.
        path: Text,
        /// Whether to watch for children that come or go.
        watch: bool,
    },
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Makes a node.
    Create {
        /// Its path; a sequential one gets a number behind it.
        path: Text,
        /// What it holds.
        data: Text,
        /// What kind of node.
        mode: Mode,
    },
    /// Writes a node.
    Set {
        /// Which.
        path: Text,
        /// What it holds from now on.
        data: Text,
        /// Only if this is its version.
        version: Option<u32>,
    },
    /// Removes a node that has no children.
    Delete {
        /// Which.
        path: Text,
        /// Only if this is its version.
        version: Option<u32>,
    },
    /// Changes nothing.
    Check {
        /// Which node must be there.
        path: Text,
        /// And have this version.
        version: Option<u32>,
    },
}

/// Kinds of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Stays until it is deleted.
    Persistent,
    /// Goes with its session.
    Ephemeral,
    /// Goes with its session, and has a number behind its name that is larger than that of every sibling before it.
    EphemeralSequential,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stat {
    /// Counts the writes of its data, from zero.
    pub version: u32,
    /// The transaction that made it.
    pub czxid: u64,
    /// The transaction that wrote it last.
    pub mzxid: u64,
    /// Whose ephemeral node it is.
    pub owner: Option<SessionId>,
    /// Who wrote it last; `None` if it has been there from the beginning. ZooKeeper's audit log has it.
    pub writer: Option<SessionId>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// Of a transaction: what came of each step.
    Done(Vec<Done>),
    /// Of a read: value and state of each node that is there.
    Read(Vec<Option<(Text, Stat)>>),
    /// Of a list: names, in order.
    Children(Vec<Text>),
}

/// What came of one step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Done {
    /// The path of the new node.
    Created(Text),
    /// The node's new version.
    Set(u32),
    /// It is gone.
    Deleted,
    /// It was as expected.
    Checked,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Error {
    /// There is no such node.
    NoNode(Text),
    /// There is such a node already.
    NodeExists(Text),
    /// The node has another version.
    BadVersion(Text),
    /// The node has children.
    NotEmpty(Text),
    /// An ephemeral node cannot have children.
    NoChildrenForEphemerals(Text),
    /// The session has ended; the request was not carried out.
    SessionExpired,
    /// The connection broke before the answer came; it may have been done or not. Made up by the client.
    ConnectionLoss,
}

/// What a watch has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// The node was made.
    Created,
    /// The node was written.
    Data,
    /// The node was deleted.
    Deleted,
    /// A child came or went.
    Children,
}

/// What is on the server's disk: every transaction, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// A session was opened.
    Opened {
        /// Which.
        session: SessionId,
        /// After how long of silence it ends.
        timeout: Duration,
    },
    /// A session has ended.
    Closed {
        /// Which.
        session: SessionId,
    },
    /// A session asked for this.
    Transaction {
        /// Which session.
        session: SessionId,
        /// What it asked for; what comes of it follows from the transactions before.
        ops: Vec<Op>,
    },
}

/// The timers of both halves; the table is in the module above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// At the server: a session may be over.
    Expiry,
    /// At a client: time to ping, or to give a connection up.
    Session,
    /// At a client: time to connect again.
    Retry,
    /// At a client: a lock has been waited for long enough.
    Lock(LockId),
}
