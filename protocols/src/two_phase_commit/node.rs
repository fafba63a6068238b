//! The two roles.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sim_core::{Actor, Constant, Context, NodeId};

use super::Defects;

/// The settings: when things happen on a clock. Without one they happen at any time.
#[derive(Clone, Debug, Deserialize, JsonSchema, Hash)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// How long the work of a resource manager takes at most; drawn evenly.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub work: Duration,
    /// When a resource manager gives up that has not prepared; the transaction manager waits three times as long.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config { work: Duration::from_secs(4), patience: Duration::from_secs(3) }
    }
}

/// A node of the cluster.
#[derive(Clone, Debug, Hash)]
pub enum Node {
    /// The transaction manager.
    Manager(Manager),
    /// A resource manager.
    Resource(Resource),
}

/// What nodes say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// I can commit.
    Prepared,
    /// Commit.
    Commit,
    /// Abort.
    Abort,
}

sim_core::kinds!(Message { Prepared, Commit, Abort });

/// The timers of both roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// The work is done.
    Prepare,
    /// It has taken too long, or cannot be done.
    GiveUp,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing is decided.
    Working,
    /// A resource manager has promised to commit.
    Prepared,
    /// It has committed; a transaction manager has told everybody to.
    Committed,
    /// It has aborted; a transaction manager has told everybody to.
    Aborted,
}

/// The transaction manager.
#[derive(Clone, Debug, Hash)]
pub struct Manager {
    resources: Constant<Arc<[NodeId]>>,
    patience: Constant<Duration>,
    defects: Constant<Defects>,
    phase: Phase,
    /// Who has prepared, a bit each.
    prepared: u64,
}

/// A resource manager.
#[derive(Clone, Debug, Hash)]
pub struct Resource {
    manager: Constant<NodeId>,
    config: Constant<(Duration, Duration)>,
    defects: Constant<Defects>,
    phase: Phase,
    /// Whether it has been told what was decided.
    told: bool,
}

impl Manager {
    pub(super) fn new(resources: Arc<[NodeId]>, config: &Config, defects: Defects) -> Self {
        Manager {
            resources: Constant(resources),
            patience: Constant(config.patience),
            defects: Constant(defects),
            phase: Phase::Working,
            prepared: 0,
        }
    }

    /// Decides, and tells everybody.
    fn decide(&mut self, phase: Phase, message: Message, ctx: &mut Context<Node>) {
        self.phase = phase;
        ctx.cancel_timer(Timer::GiveUp);
        self.resources.iter().for_each(|&resource| ctx.send(resource, message));
    }

    fn on_prepared(&mut self, from: NodeId, ctx: &mut Context<Node>) {
        let Some(place) = self.resources.iter().position(|&resource| resource == from) else { return };
        self.prepared |= 1 << place;
        let prepared = self.prepared.count_ones() as usize;
        // Defect counts-to-majority: more than half are enough.
        let enough = if self.defects.counts_to_majority { self.resources.len() / 2 + 1 } else { self.resources.len() };
        if self.phase == Phase::Working && prepared >= enough {
            self.decide(Phase::Committed, Message::Commit, ctx);
        }
    }
}

impl Resource {
    pub(super) fn new(manager: NodeId, config: &Config, defects: Defects) -> Self {
        Resource {
            manager: Constant(manager),
            config: Constant((config.work, config.patience)),
            defects: Constant(defects),
            phase: Phase::Working,
            told: false,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    fn end(&mut self, phase: Phase, ctx: &mut Context<Node>) {
        ctx.mark(if phase == Phase::Committed { "committed" } else { "aborted" });
        self.phase = phase;
        ctx.cancel_timer(Timer::Prepare);
        ctx.cancel_timer(Timer::GiveUp);
    }
}

impl Actor for Node {
    type Message = Message;
    type Timer = Timer;
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) {
        match self {
            Node::Manager(manager) => ctx.set_timer(Timer::GiveUp, 3 * *manager.patience),
            Node::Resource(resource) => {
                let (work, patience) = *resource.config;
                let work = ctx.random_duration(work);
                ctx.set_timer(Timer::Prepare, work);
                ctx.set_timer(Timer::GiveUp, patience);
            }
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match (self, message) {
            (Node::Manager(manager), Message::Prepared) => manager.on_prepared(from, ctx),
            (Node::Resource(resource), Message::Commit) => {
                resource.told = true;
                resource.end(Phase::Committed, ctx);
            }
            (Node::Resource(resource), Message::Abort) => {
                resource.told = true;
                resource.end(Phase::Aborted, ctx);
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match (self, timer) {
            (Node::Manager(manager), _) => manager.decide(Phase::Aborted, Message::Abort, ctx),
            (Node::Resource(resource), Timer::Prepare) => {
                resource.phase = Phase::Prepared;
                // Defect forgets-prepared: it may still give up.
                if !resource.defects.forgets_prepared {
                    ctx.cancel_timer(Timer::GiveUp);
                }
                ctx.send(*resource.manager, Message::Prepared);
            }
            (Node::Resource(resource), Timer::GiveUp) => resource.end(Phase::Aborted, ctx),
        }
    }

    fn role(&self) -> &'static str {
        let phase = match self {
            Node::Manager(manager) => manager.phase,
            Node::Resource(resource) => resource.phase,
        };
        match phase {
            Phase::Working => "working",
            Phase::Prepared => "prepared",
            Phase::Committed => "COMMITTED",
            Phase::Aborted => "aborted",
        }
    }
}
