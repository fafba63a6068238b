//! What a scenario file can contain, as data: the one list of keys that the reader, the JSON schema and the
//! suggestions in errors all go by, so that none can know a key that the others do not.

/// A table of the file: which keys it can have.
pub(super) struct Table {
    pub about: &'static str,
    pub keys: &'static [Key],
}

/// A key of a table.
pub(super) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
    pub about: &'static str,
}

/// What can stand behind a key. Names of things that the file or the protocol defines are checked by the reader; the
/// schema only knows that they are text, or lists them where the protocol does.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Version,
    Text,
    Flag,
    /// A whole number within bounds.
    Whole(u64, u64),
    /// One such number, or the least and the largest.
    WholeRange(u64, u64),
    Size,
    SizeRange,
    Duration,
    DurationRange,
    /// One or more of them.
    Durations,
    SignedDurationRange,
    SignedDuration,
    Probability,
    ProbabilityRange,
    Drift,
    DriftRange,
    Seeds,
    /// Numbers of 64 bits.
    Draws,
    /// A moment, or a window of two.
    Moment,
    Window,
    Protocol,
    Config,
    NodeRoles,
    HostNodes,
    Node,
    Nodes,
    TwoNodes,
    Groups,
    Host,
    Hosts,
    Defects,
    Mark,
    Invariant,
    MessageKind,
    MessageKinds,
    Command,
    Commands,
    Trouble,
    Troubles,
    Verdict,
    /// Node names, each with a table.
    PerNode(&'static Table),
    Table(&'static Table),
    /// `[[name]]`, any number of times.
    Tables(&'static Table),
    /// A table of which exactly one key is given.
    OneOf(&'static Table),
}

impl Shape {
    /// What to write, for "expected ...".
    pub(super) fn expects(self) -> &'static str {
        match self {
            Shape::Version => "the number 1",
            Shape::Text => "a text in quotes",
            Shape::Flag => "`true` or `false`",
            Shape::Whole(..) => "a whole number such as `2`",
            Shape::WholeRange(..) => "a whole number such as `2`, or the least and the largest such as `[1, 3]`",
            Shape::Size => "a number of bytes such as `65536` or `\"64KiB\"`",
            Shape::SizeRange => "a number of bytes such as `\"64KiB\"`, or two such as `[\"1KiB\", \"64KiB\"]`",
            Shape::Duration => "a duration in quotes such as `\"30s\"` or `\"1500ms\"`",
            Shape::DurationRange => {
                "a duration in quotes such as `\"30s\"`, or the shortest and the longest such as `[\"1s\", \"10s\"]`"
            }
            Shape::Durations => "a duration in quotes such as `\"5s\"`, or several such as `[\"1s\", \"10s\"]`",
            Shape::SignedDuration => "a duration in quotes such as `\"2s\"`, or `\"-2s\"` for backwards",
            Shape::SignedDurationRange => {
                "a duration in quotes such as `\"-2s\"`, or the least and the largest such as `[\"-2s\", \"2s\"]`"
            }
            Shape::Probability => "a probability from `0.0` to `1.0`",
            Shape::ProbabilityRange => "a probability from `0.0` to `1.0`, or two such as `[0.0, 0.2]`",
            Shape::Drift => "a whole number of parts per million such as `200` or `-200`",
            Shape::DriftRange => {
                "a whole number of parts per million such as `200`, or the least and the largest such as `[-200, 200]`"
            }
            Shape::Seeds => "how many seeds such as `200`, or a list of seeds such as `[7, \"0x9e3779b97f4a7c15\"]`",
            Shape::Draws => "a list of numbers such as `[\"0x9e3779b97f4a7c15\"]`",
            Shape::Moment => "a time in quotes such as `\"10s\"`, or a window such as `[\"14s\", \"20s\"]`",
            Shape::Window => "a window of two times such as `[\"20s\", \"80s\"]`",
            Shape::Protocol => "the name of a protocol in quotes",
            Shape::Config => "a table of settings such as `{ heartbeat-interval = \"1s\" }`",
            Shape::NodeRoles => "a table of nodes and their roles such as `{ alpha = \"live\", beta = \"backup\" }`",
            Shape::HostNodes => "a table of machines and their nodes such as `{ m1 = [\"alpha\", \"beta\"] }`",
            Shape::Node => "the name of a node in quotes",
            Shape::Nodes => "the name of a node in quotes, or a list such as `[\"alpha\", \"beta\"]`",
            Shape::TwoNodes => "a list of two nodes such as `[\"alpha\", \"beta\"]`",
            Shape::Groups => "a list of groups of nodes such as `[[\"alpha\"], [\"beta\", \"gamma\"]]`",
            Shape::Host => "the name of a machine in quotes",
            Shape::Hosts => "a list of machines such as `[\"m1\"]`",
            Shape::Defects => "a list of defects such as `[\"ARTEMIS-2297\"]`",
            Shape::Mark => "the name of a mark in quotes",
            Shape::Invariant => "the name of a property in quotes",
            Shape::MessageKind => "the name of a kind of message in quotes",
            Shape::MessageKinds => "a list of kinds of message such as `[\"Heartbeat\"]`",
            Shape::Command => "a command in quotes",
            Shape::Commands => "a list of commands such as `[\"shutdown\"]`",
            Shape::Trouble => "`\"slow\"`, `\"failing\"` or `\"lying\"`",
            Shape::Troubles => "a list such as `[\"slow\", \"failing\"]`",
            Shape::Verdict => "`\"pass\"`",
            Shape::PerNode(_) => "a table of nodes",
            Shape::Table(_) | Shape::OneOf(_) => "a table",
            Shape::Tables(_) => "a list of tables, each under its name in double brackets such as `[[step]]`",
        }
    }

    /// A value that could stand there, for someone who has left it out.
    fn example(self) -> &'static str {
        match self {
            Shape::Version => "1",
            Shape::Text => "\"...\"",
            Shape::Flag => "true",
            Shape::Whole(..) | Shape::WholeRange(..) => "1",
            Shape::Size | Shape::SizeRange => "\"64KiB\"",
            Shape::Duration | Shape::SignedDuration => "\"30s\"",
            Shape::Durations => "\"5s\"",
            Shape::DurationRange | Shape::SignedDurationRange => "[\"1s\", \"10s\"]",
            Shape::Probability | Shape::ProbabilityRange => "0.1",
            Shape::Drift | Shape::DriftRange => "200",
            Shape::Seeds => "200",
            Shape::Draws => "[\"0x9e3779b97f4a7c15\"]",
            Shape::Moment => "\"10s\"",
            Shape::Window => "[\"20s\", \"80s\"]",
            Shape::NodeRoles => "{ alpha = \"live\", beta = \"backup\" }",
            Shape::HostNodes => "{ m1 = [\"alpha\", \"beta\"] }",
            Shape::Protocol | Shape::Node | Shape::Host | Shape::Mark | Shape::Invariant => "\"...\"",
            Shape::MessageKind | Shape::Command => "\"...\"",
            Shape::Nodes | Shape::TwoNodes => "[\"alpha\", \"beta\"]",
            Shape::Groups => "[[\"alpha\"], [\"beta\", \"gamma\"]]",
            Shape::Hosts | Shape::Defects | Shape::MessageKinds | Shape::Commands => "[\"...\"]",
            Shape::Trouble => "\"slow\"",
            Shape::Troubles => "[\"slow\", \"failing\"]",
            Shape::Verdict => "\"pass\"",
            Shape::OneOf(_) => "{ crash = { node = \"...\" } }",
            Shape::Config | Shape::PerNode(_) | Shape::Table(_) | Shape::Tables(_) => "{ ... }",
        }
    }
}

impl Key {
    /// The key with a value that could stand there, for someone who has left it out.
    pub(super) fn example(&self) -> String {
        match self.shape {
            Shape::Tables(_) => format!("[[{}]]", self.name),
            Shape::Table(table) if table.keys.iter().any(|key| matches!(key.shape, Shape::NodeRoles)) => {
                format!("[{}]", self.name)
            }
            shape => format!("{} = {}", self.name, shape.example()),
        }
    }
}

impl Table {
    /// The key called `name`.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// All names, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.keys.iter().map(|key| key.name)
    }
}

/// A key that may be left out.
pub(super) const fn may(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, required: false, about }
}

/// A key that must be there.
pub(super) const fn must(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, required: true, about }
}
