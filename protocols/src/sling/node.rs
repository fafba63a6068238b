//! One actor for both roles: what nodes say, write and wait for, and which role handles what.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sim_core::{Actor, Constant, Context, NodeId, SyncToken};

use super::instance::Instance;
use super::sync::Part;
use super::{Config, Defects};
use crate::services::repository::{self, Message, Store};

/// What all nodes of a cluster know.
#[derive(Clone, Debug, Hash)]
pub struct Shared {
    pub(super) config: Config,
    pub(super) defects: Defects,
    pub(super) repository: NodeId,
}

/// A node of the cluster.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// The repository.
    Repository(Box<Store>, Constant<Arc<Shared>>),
    /// An instance.
    Instance(Box<Instance>),
}

/// The timers; those of the repository's two halves are in its own module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// One of the repository.
    Repository(repository::Timer),
    /// A step of the start has taken its time.
    Startup,
    /// Discovery is to be activated again.
    Reactivate,
    /// The discovery-lite check.
    Poll,
    /// The minimal delay between two events is over; which one, as counted by those that were cancelled.
    Delayed(u64),
    /// A listener has returned.
    Called,
    /// A part of a sync looks whether it is through.
    Check(Part),
    /// A thread brings a sync to its next part.
    Handover(u64),
    /// The joiner delay is over.
    JoinerDelay,
    /// Some other service asks for the topology.
    ClientJob,
}

impl From<repository::Timer> for Timer {
    fn from(timer: repository::Timer) -> Self {
        Timer::Repository(timer)
    }
}

/// What is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// Of the repository.
    Repository(repository::Record),
    /// An instance that waited for an operator has been started.
    Started,
}

impl From<repository::Record> for Record {
    fn from(record: repository::Record) -> Self {
        Record::Repository(record)
    }
}

/// What an operator or a workload can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Start an instance that waits for it.
    Start,
    /// Stop an instance in good order.
    Stop,
    /// Deactivate an instance's discovery.
    Deactivate,
    /// Activate it again.
    Activate,
    /// Deactivate it, and activate it again after a while.
    RestartDiscovery,
    /// Change an instance's properties.
    ChangeProperties,
    /// Make the present or the next step of an instance's start take long.
    StallStart,
    /// Make the next event take its listener long.
    StallListener,
    /// Register one more listener.
    BindListener,
    /// Unregister the listener that was registered last.
    UnbindListener,
    /// Give the cluster another id.
    AssignClusterId,
}

impl Node {
    /// The instance, if it is one.
    pub fn instance(&self) -> Option<&Instance> {
        match self {
            Node::Repository(..) => None,
            Node::Instance(instance) => Some(instance),
        }
    }
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Command = Command;

    fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Self>) {
        match self {
            Node::Instance(instance) => instance.on_start(disk, ctx),
            Node::Repository(store, shared) => {
                let records = disk.iter().filter_map(|record| match record {
                    Record::Repository(record) => Some(record.clone()),
                    Record::Started => None,
                });
                store.on_start(records, ctx);
                if shared.config.cluster_id_from_start && store.ledger().cluster_id().is_none() {
                    store.assign_cluster_id(ctx);
                }
            }
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match self {
            Node::Repository(store, _) => store.on_message(from, message, ctx),
            Node::Instance(instance) => {
                if instance.may_go_on(ctx) {
                    instance.on_message(message, ctx);
                }
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match (self, timer) {
            (Node::Repository(store, _), Timer::Repository(timer)) => store.on_timer(timer, ctx),
            (Node::Repository(..), timer) => panic!("the repository has no timer {timer:?}"),
            (Node::Instance(instance), timer) => {
                if instance.may_go_on(ctx) {
                    instance.on_timer(timer, ctx);
                }
            }
        }
    }

    fn on_command(&mut self, command: Command, ctx: &mut Context<Self>) {
        match self {
            Node::Repository(store, _) if command == Command::AssignClusterId => store.assign_cluster_id(ctx),
            Node::Repository(..) => {} // The others are for instances.
            Node::Instance(instance) => {
                if instance.may_go_on(ctx) {
                    instance.on_command(command, ctx);
                }
            }
        }
    }

    fn on_synced(&mut self, token: SyncToken, ctx: &mut Context<Self>) {
        match self {
            Node::Repository(store, _) => store.on_synced(token, ctx),
            Node::Instance(_) => {} // That it was started is all that an instance writes.
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Node::Repository(..) => "repository",
            Node::Instance(instance) => instance.role(),
        }
    }
}
