//! Nodes that are asynchronous code instead of actors.
//!
//! Code that is written against madsim's `net` and `time`, or against those of madsim's variants of tokio and tonic, can be a
//! node: it is started, killed, restarted, paused and cut off like any other. What it keeps to itself nobody can check, so
//! it has a [`Probe`], through which it shows what it does to an actor that stands for it. Invariants, marks and the history
//! of clients are about that actor.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::madsim::{Happened, address_of_process};
use crate::{Actor, Context, NodeId};

/// Code that is a node: called at every start of its process, as a `main` would be. When what it returns ends, the process
/// has ended in good order; a panic in it is a violation.
pub type Program<A> = Arc<dyn Fn(Probe<A>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// How the code of a node shows what it does.
pub struct Probe<A: Actor> {
    pub(super) node: NodeId,
    /// Of its process: what an earlier one still wanted to show is too late.
    pub(super) incarnation: u32,
    pub(super) happened: mpsc::UnboundedSender<Happened<A>>,
}

impl<A: Actor> Probe<A> {
    /// The node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The address at which the code of a node is reached; its own is the one to bind to. Every port is free.
    pub fn address(&self, node: NodeId) -> IpAddr {
        address_of_process(node).ip()
    }

    /// Lets the actor that stands for the node see something, as an event of the node. It happens in the order of the calls,
    /// before any time passes, and the invariants look after it. Through the context marks are set, steps of clients are
    /// recorded, and messages are sent to nodes that are actors.
    pub fn show(&self, what: impl FnOnce(&mut A, &mut Context<A>) + Send + 'static) {
        // After the end of the run nobody looks.
        _ = self.happened.send(Happened::Shown(self.node, self.incarnation, Box::new(what)));
    }
}

impl<A: Actor> Clone for Probe<A> {
    fn clone(&self) -> Self {
        Probe { node: self.node, incarnation: self.incarnation, happened: self.happened.clone() }
    }
}
