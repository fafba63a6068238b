//! The tables of a scenario file that say what is run and what must hold.

use super::fault_tables::{FAULTS, RANDOM};
use super::grammar::{Shape, Table, may, must};

/// No cluster that a protocol test needs is larger, and every search over one that is would be hopeless.
pub(super) const MAX_MEMBERS: u64 = 1000;
const U64_MAX: u64 = i64::MAX as u64;

pub(super) static SCENARIO: Table = Table {
    about: "A Fencepost scenario: a protocol on a cluster, what breaks and when, and what must hold.",
    keys: &[
        must("schema", Shape::Version, "Version of the format."),
        must("about", Shape::Text, "What the scenario shows, in a sentence."),
        must("protocol", Shape::Protocol, "The protocol that the nodes run."),
        must("duration", Shape::Duration, "World time that a run takes."),
        must(
            "seeds",
            Shape::Seeds,
            "Which seeds to run unless the command line says otherwise: how many, counted from zero, or a list. Seeds above 9223372036854775807 are written as hex in quotes.",
        ),
        must("cluster", Shape::Table(&CLUSTER), "The nodes and how they are set."),
        may("network", Shape::Table(&NETWORK), "The network when nothing is broken."),
        may("disk", Shape::Table(&DISK), "The disks when nothing is broken."),
        may(
            "clocks",
            Shape::PerNode(&CLOCK),
            "Clocks that differ from the world's, by node; `each` stands for every node that has no entry of its own.",
        ),
        may("step", Shape::Tables(&STEP), "Something that breaks, or that is asked of a node, in every run."),
        may("random", Shape::Table(&RANDOM), "What breaks at random, drawn anew for each seed."),
        must("invariant", Shape::Tables(&INVARIANT), "A property that must hold. At least one."),
        may("expect", Shape::Table(&EXPECT), "What the verdict should be; a pass if left out."),
        may("limits", Shape::Table(&LIMITS), "When a run ends, whatever happens."),
        may("explore", Shape::Table(&EXPLORE), "What `fencepost explore` tries, if it is not everything."),
    ],
};

pub(super) static CLUSTER: Table = Table {
    about: "The nodes and how they are set.",
    keys: &[
        must("nodes", Shape::NodeRoles, "The nodes, each with its role in the protocol."),
        may(
            "clients",
            Shape::Whole(0, MAX_MEMBERS),
            "How many clients to add: `client-1`, `client-2` and so on. 0 if left out.",
        ),
        may("hosts", Shape::HostNodes, "Machines that carry several nodes; every other node has a machine to itself."),
        may("config", Shape::Config, "The protocol's settings that differ from its defaults."),
        may("defects", Shape::Defects, "Ids of the historical bugs that are switched back on. None if left out."),
    ],
};

pub(super) static NETWORK: Table = Table {
    about: "The network when nothing is broken.",
    keys: &[
        may("latency", Shape::DurationRange, "How long a message takes, drawn evenly; 1 to 10 ms if left out."),
        may("loss", Shape::Probability, "Probability that a datagram is lost; 0 if left out."),
        may("duplication", Shape::Probability, "Probability that a datagram arrives twice; 0 if left out."),
        may("bandwidth", Shape::Size, "Bytes a second on each directed link; without limit if left out."),
        may("buffer", Shape::Table(&BUFFER), "Send buffer of each connection."),
        may("window", Shape::Size, "Bytes on their way on one connection; 64 KiB if left out."),
        may(
            "connection-timeout",
            Shape::Duration,
            "How long a connection waits for a sign of life before it breaks; 30 s if left out.",
        ),
        may(
            "retransmission-timeout",
            Shape::Duration,
            "How much later a lost message of a connection is sent again; 200 ms if left out.",
        ),
    ],
};

pub(super) static BUFFER: Table = Table {
    about: "Watermarks and capacity of the send buffer of each connection.",
    keys: &[
        may("low", Shape::Size, "At or below this much, a connection is writable again; 32 KiB if left out."),
        may("high", Shape::Size, "Above this much, a connection is not writable; 128 KiB if left out."),
        may("capacity", Shape::Size, "Beyond this much, the connection breaks; 16 MiB if left out."),
    ],
};

pub(super) static DISK: Table = Table {
    about: "The disks when nothing is broken.",
    keys: &[may("sync", Shape::DurationRange, "How long a sync takes, drawn evenly; 100 us to 2 ms if left out.")],
};

pub(super) static CLOCK: Table = Table {
    about: "The clock of a node; a range is drawn from by seed.",
    keys: &[
        may("offset", Shape::DurationRange, "What it reads when the world's clock reads zero."),
        may("drift-ppm", Shape::DriftRange, "Parts per million by which it runs fast, or slow if negative."),
    ],
};

/// The key of `[clocks]` that stands for every node without an entry of its own.
pub(super) const EACH_NODE: &str = "each";

pub(super) static STEP: Table = Table {
    about: "Something that breaks, or that is asked of a node, in every run. Has either `at` or `when`.",
    keys: &[
        may("at", Shape::Moment, "World time, or a window from which each seed draws a moment."),
        may("when", Shape::Table(&WHEN), "A mark that a node sets, or an event by its number."),
        must("do", Shape::OneOf(&FAULTS), "What happens: exactly one of these."),
    ],
};

pub(super) static WHEN: Table = Table {
    about: "Has either `mark` or `event`.",
    keys: &[
        may("mark", Shape::Mark, "Happens when a node sets this mark."),
        may("node", Shape::Node, "The node that must set the mark; any if left out."),
        may("occurrence", Shape::Whole(1, u32::MAX as u64), "How many times it must have been set; 1 if left out."),
        may("plus", Shape::Duration, "Time to wait after the mark; none if left out."),
        may("event", Shape::Whole(1, U64_MAX), "Happens just before the event of this number; the first one is 1."),
    ],
};

pub(super) static INVARIANT: Table = Table {
    about: "Has exactly one of `always`, `eventually` and `sometimes`.",
    keys: &[
        may("always", Shape::Invariant, "A safety property: holds at every moment of every run."),
        may(
            "eventually",
            Shape::Invariant,
            "A liveness property: comes true in every run once nothing breaks any more.",
        ),
        may("sometimes", Shape::Invariant, "A mark, or a coverage property: reached in at least one run."),
        may(
            "within",
            Shape::Duration,
            "How long an `eventually` may take after the last fault has ended; the protocol's own bound if left out.",
        ),
    ],
};

pub(super) static EXPECT: Table = Table {
    about: "What the verdict should be. Has either `verdict` or `violates`.",
    keys: &[
        may("verdict", Shape::Verdict, "`pass`: every invariant holds for every seed."),
        may("violates", Shape::Invariant, "At least one seed violates this invariant: the scenario is a canary."),
    ],
};

pub(super) static LIMITS: Table = Table {
    about: "When a run ends, whatever happens.",
    keys: &[
        may("events", Shape::Whole(1, U64_MAX), "Events that a run may have; ten million if left out."),
        may(
            "events-at-one-instant",
            Shape::Whole(1, U64_MAX),
            "Events that one instant of world time may have; a hundred thousand if left out.",
        ),
    ],
};

pub(super) static EXPLORE: Table = Table {
    about: "What `fencepost explore` tries at every place of the calm run, if it is not everything. As soon as one kind of fault is named, only those that are named.",
    keys: &[
        may(
            "mode",
            Shape::Text,
            "`timed`: faults on the calm run, which is what is done if it is left out. `untimed`: every order of messages and timers, and no faults.",
        ),
        may("faults", Shape::Whole(0, 9), "How much breaks at most; 1 if left out."),
        may(
            "deviations",
            Shape::Whole(0, 9),
            "How many lost or late messages there are in addition at most; 0 if left out.",
        ),
        may("window", Shape::Window, "From when to when something breaks; the whole run if left out."),
        may("nodes", Shape::Nodes, "The nodes that break, and between which links do; all if left out."),
        may("messages", Shape::MessageKinds, "The kinds of message that are lost or late; all if left out."),
        may("crash", Shape::Durations, "A node crashes and starts again after each of these."),
        may("pause", Shape::Durations, "A node stalls for each of these."),
        may("cut", Shape::Durations, "What one node sends to another is cut off for each of these."),
        may("partition", Shape::Durations, "Two nodes are cut off from each other for each of these."),
        may("isolate", Shape::Durations, "A node is cut off from all others for each of these."),
        may("delay", Shape::Durations, "A message takes this much longer, for each of these."),
        may("drop", Shape::Flag, "A message is lost; on a connection, it is sent again later."),
    ],
};
