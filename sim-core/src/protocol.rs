//! How a protocol introduces itself to tools that run it from a description: its roles, settings, defects, marks,
//! invariants and commands, by name.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Actor, Class, Factory, HostId, Invariant, NodeId, Wire};

/// A protocol that scenario files can name.
///
/// Everything a file can mention is listed here, so that a file that mentions anything else is refused with the
/// nearest name that exists.
pub trait Protocol: Send + Sync + 'static {
    /// The state machine of every node.
    type Actor: Actor<Command: Send + Sync>;
    /// Its settings; keys in kebab-case, unknown keys refused, every timer of the protocol among them.
    type Config: Clone + Default + DeserializeOwned + JsonSchema + Send + Sync;

    /// Its name in scenario files.
    const NAME: &'static str;
    /// One sentence.
    const ABOUT: &'static str;
    /// The roles that a node can be given.
    const ROLES: &'static [Named];
    /// Historical bugs that can be switched back on.
    const DEFECTS: &'static [Defect];
    /// The milestones that its nodes set.
    const MARKS: &'static [Named];
    /// The properties that can be asked of it.
    const INVARIANTS: &'static [Property];
    /// What its nodes can be asked.
    const COMMANDS: &'static [Named];

    /// The command that `text` names.
    fn command(text: &str) -> Option<<Self::Actor as Actor>::Command>;

    /// Whether a cluster makes sense: enough of each role, settings that do not contradict each other.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    fn validate(cluster: &Cluster<Self::Config>) -> Result<(), String>;

    /// Builds the actors of a cluster that [`Protocol::validate`] has accepted.
    fn factory(cluster: &Cluster<Self::Config>) -> Factory<Self::Actor>;

    /// The code of a node that is asynchronous code; its actor only stands for it. Only madsim can run such a cluster.
    #[cfg(madsim)]
    fn program(cluster: &Cluster<Self::Config>, node: NodeId) -> Option<crate::host::Program<Self::Actor>> {
        let _ = (cluster, node);
        None
    }

    /// How its values are written down, for real processes to exchange; without it a protocol can be simulated only.
    fn wire() -> Option<Wire<Self::Actor>> {
        None
    }

    /// The property called `name`, for this cluster. `within` is how long a liveness property may take after the
    /// last fault has ended; the protocol's own bound if `None`.
    fn invariant(
        name: &str,
        cluster: &Cluster<Self::Config>,
        within: Option<Duration>,
    ) -> Option<Box<dyn Invariant<Self::Actor>>>;
}

/// A name that a scenario file can use, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name, in kebab-case.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
}

/// A property by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Property {
    /// The name, in kebab-case.
    pub name: &'static str,
    /// What kind of promise it is.
    pub class: Class,
    /// One sentence, with the label of the specification (such as A1) in front if it has one.
    pub about: &'static str,
}

/// A historical bug that can be switched back on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The upstream id.
    pub id: &'static str,
    /// The cause, in one line.
    pub about: &'static str,
    /// The properties that it breaks, by name.
    pub breaks: &'static [&'static str],
}

/// The nodes of one scenario and how they are set.
#[derive(Clone, Debug)]
pub struct Cluster<C> {
    /// The nodes, in the order of their numbers; clients last.
    pub members: Vec<Member>,
    /// The protocol's settings.
    pub config: C,
    /// Ids of the defects that are switched on.
    pub defects: BTreeSet<String>,
}

/// One node of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its role, one of [`Protocol::ROLES`].
    pub role: String,
    /// Its machine.
    pub host: HostId,
}

impl<C> Cluster<C> {
    /// The nodes that have a role, in order.
    pub fn with_role<'a>(&'a self, role: &'a str) -> impl Iterator<Item = NodeId> + 'a {
        self.members.iter().enumerate().filter(move |(_, m)| m.role == role).map(|(number, _)| NodeId(number as u16))
    }

    /// Whether a defect is switched on.
    pub fn has_defect(&self, id: &str) -> bool {
        self.defects.contains(id)
    }
}
