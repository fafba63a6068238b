//! The tables of a scenario file that say what breaks: one for each kind of fault that a step can have, and one for
//! each that can strike at random.

use super::grammar::{Key, Shape, Table, may, must};

const U32_MAX: u64 = u32::MAX as u64;

/// `do` of a step. The names are those of [`sim_core::Fault::KINDS`].
pub(super) static FAULTS: Table = Table {
    about: "What happens: exactly one of these.",
    keys: &[
        may("crash", Shape::Table(&CRASH), "A node's process dies; it restarts after `for`, or stays down."),
        may("restart", Shape::Table(&JUST_NODE), "A node that is down starts again."),
        may("pause", Shape::Table(&NODE_FOR), "A node stalls, as in a long garbage collection."),
        may("resume", Shape::Table(&JUST_NODE), "A paused node runs again."),
        may("slow", Shape::Table(&SLOW), "Each event costs a node time."),
        may("clock", Shape::Table(&CLOCK), "A node's clocks change."),
        may("partition", Shape::Table(&PARTITION), "No message crosses from one group of nodes to another."),
        may("one-way", Shape::Table(&ONE_WAY), "No message crosses in one direction; the way back stays open."),
        may("cut", Shape::Table(&CUT), "One directed link is cut."),
        may("heal", Shape::Table(&NOTHING), "Ends every cut, partition and degradation that is in force."),
        may("reset", Shape::Table(&RESET), "All connections between two nodes break, and both are told."),
        may("degrade", Shape::Table(&DEGRADE), "One directed link gets worse."),
        may("drop", Shape::Table(&DROP), "The next messages of a kind are lost."),
        may("delay", Shape::Table(&DELAY), "The next messages of a kind are late."),
        may("disk", Shape::Table(&DISK), "A node's disk misbehaves."),
        may("host-failure", Shape::Table(&HOST_FAILURE), "A machine vanishes with all its nodes, and nobody is told."),
        may("command", Shape::Table(&COMMAND), "An operator or a workload asks something of a node."),
    ],
};

const FOR: Key = may("for", Shape::Duration, "How long until it ends by itself; for ever if left out.");
const NODE: Key = must("node", Shape::Node, "The node.");

static NOTHING: Table = Table { about: "Needs nothing more: `{}`.", keys: &[] };
static JUST_NODE: Table = Table { about: "Which node.", keys: &[NODE] };
static NODE_FOR: Table = Table { about: "Which node, and for how long.", keys: &[NODE, FOR] };

static CRASH: Table = Table {
    about: "Which node, and how long it stays down.",
    keys: &[NODE, may("for", Shape::Duration, "How long until it restarts; it stays down if left out.")],
};

static SLOW: Table = Table {
    about: "Each event costs the node time.",
    keys: &[NODE, must("per-event", Shape::Duration, "Time added to each event that the node handles."), FOR],
};

static CLOCK: Table = Table {
    about: "A node's clocks change. Has `step` or `drift-ppm` or both.",
    keys: &[
        NODE,
        may("step", Shape::SignedDuration, "By how much the wall clock is set ahead, or back if negative."),
        may("drift-ppm", Shape::Drift, "Parts per million by which both clocks run fast, or slow if negative."),
        FOR,
    ],
};

static PARTITION: Table = Table {
    about: "No message crosses from one group to another; nodes in no group are not affected.",
    keys: &[must("groups", Shape::Groups, "The groups that cannot reach each other, two or more."), FOR],
};

static ONE_WAY: Table = Table {
    about: "No message crosses in one direction.",
    keys: &[
        must("from", Shape::Nodes, "Senders whose messages are lost."),
        must("to", Shape::Nodes, "Receivers that hear nothing from them."),
        FOR,
    ],
};

const FROM: Key = must("from", Shape::Node, "The sender.");
const TO: Key = must("to", Shape::Node, "The receiver.");

static CUT: Table = Table { about: "One directed link is cut.", keys: &[FROM, TO, FOR] };

static RESET: Table = Table {
    about: "All connections between two nodes break.",
    keys: &[must("between", Shape::TwoNodes, "The two nodes.")],
};

static DEGRADE: Table = Table {
    about: "One directed link gets worse, in at least one of these ways.",
    keys: &[
        FROM,
        TO,
        may("latency", Shape::Duration, "Added to every message."),
        may(
            "jitter",
            Shape::Duration,
            "Up to this much more, drawn for each message, so that datagrams overtake each other.",
        ),
        may("loss", Shape::Probability, "Probability that a datagram is lost."),
        may("duplication", Shape::Probability, "Probability that a datagram arrives twice."),
        may("bandwidth", Shape::Size, "Bytes a second at most."),
        FOR,
    ],
};

const ANY_KIND: Key = may("kind", Shape::MessageKind, "Which kind of message; any if left out.");
const ANY_FROM: Key = may("from", Shape::Node, "Which sender; any if left out.");
const ANY_TO: Key = may("to", Shape::Node, "Which receiver; any if left out.");
const COUNT: Key = may("count", Shape::Whole(1, U32_MAX), "How many messages; 1 if left out.");

static DROP: Table =
    Table { about: "The next messages of a kind are lost.", keys: &[ANY_KIND, ANY_FROM, ANY_TO, COUNT, FOR] };

static DELAY: Table = Table {
    about: "The next messages of a kind are late.",
    keys: &[ANY_KIND, ANY_FROM, ANY_TO, COUNT, must("by", Shape::Duration, "Added latency."), FOR],
};

static DISK: Table = Table {
    about: "A node's disk misbehaves.",
    keys: &[
        NODE,
        must(
            "trouble",
            Shape::Trouble,
            "`slow`: each sync takes longer. `failing`: syncs fail and the node is told. `lying`: syncs report success but keep nothing.",
        ),
        may("by", Shape::Duration, "How much longer each sync of a slow disk takes."),
        FOR,
    ],
};

static HOST_FAILURE: Table = Table {
    about: "A machine vanishes with all its nodes.",
    keys: &[
        must("host", Shape::Host, "The machine; a node that is on no machine of `hosts` has one called like itself."),
        may("for", Shape::Duration, "How long until its nodes restart; they stay down if left out."),
    ],
};

static COMMAND: Table =
    Table { about: "A node is asked something.", keys: &[NODE, must("command", Shape::Command, "What it is asked.")] };

/// `[random]`. The kinds are those of [`super::RandomFault::KINDS`].
pub(super) static RANDOM: Table = Table {
    about: "What breaks at random, drawn anew for each seed.",
    keys: &[
        must("window", Shape::Window, "First and last moment at which something may break."),
        may(
            "swarm",
            Shape::Flag,
            "Whether each seed leaves some kinds out, each with probability one half; `false` if left out.",
        ),
        may("settle", Shape::Flag, "Whether all that broke has ended by the end of the window; `true` if left out."),
        may("crash", Shape::Table(&RANDOM_CRASH), "A node's process dies and restarts after `down`."),
        may("pause", Shape::Table(&RANDOM_PAUSE), "A node stalls."),
        may("slow", Shape::Table(&RANDOM_SLOW), "Each event costs a node time."),
        may("clock", Shape::Table(&RANDOM_CLOCK), "A node's clocks change."),
        may("partition", Shape::Table(&RANDOM_PARTITION), "The nodes are split in two."),
        may("one-way", Shape::Table(&RANDOM_LINK), "The nodes are split in two and one direction is cut."),
        may("cut", Shape::Table(&RANDOM_LINK), "One directed link is cut."),
        may("reset", Shape::Table(&RANDOM_RESET), "All connections between two nodes break."),
        may("degrade", Shape::Table(&RANDOM_DEGRADE), "One directed link gets worse."),
        may("drop", Shape::Table(&RANDOM_DROP), "Messages of one kind are lost."),
        may("delay", Shape::Table(&RANDOM_DELAY), "Messages of one kind are late."),
        may("disk", Shape::Table(&RANDOM_DISK), "A node's disk misbehaves."),
        may(
            "host-failure",
            Shape::Table(&RANDOM_HOST),
            "A machine vanishes with all its nodes and comes back after `down`.",
        ),
        may("command", Shape::Table(&RANDOM_COMMAND), "A node is asked something."),
    ],
};

const EVERY: Key = must("every", Shape::Duration, "Time from one to the next, on average.");
const HOLD: Key = must("hold", Shape::DurationRange, "How long each lasts, drawn evenly.");
const DOWN: Key = must("down", Shape::DurationRange, "How long it stays down each time, drawn evenly.");
const AT_MOST: Key =
    may("at-most", Shape::Whole(1, U32_MAX), "How many may be in force at once; any number if left out.");
const TOTAL: Key =
    may("total", Shape::Whole(1, U32_MAX), "How many there may be in a whole run; any number if left out.");
const SERVERS: Key = may("nodes", Shape::Nodes, "Whom it can strike; every node but the clients if left out.");
const EVERYONE: Key = may("nodes", Shape::Nodes, "Whom it can strike; every node and client if left out.");
const KINDS: Key = may("kinds", Shape::MessageKinds, "Which kinds it can be; any of the protocol's if left out.");
const COUNTS: Key =
    may("count", Shape::WholeRange(1, U32_MAX), "How many messages each time, drawn evenly; 1 if left out.");

static RANDOM_CRASH: Table =
    Table { about: "How often a node dies, and for how long.", keys: &[EVERY, DOWN, AT_MOST, TOTAL, SERVERS] };
static RANDOM_PAUSE: Table =
    Table { about: "How often a node stalls, and for how long.", keys: &[EVERY, HOLD, AT_MOST, TOTAL, SERVERS] };
static RANDOM_LINK: Table =
    Table { about: "How often, and for how long.", keys: &[EVERY, HOLD, AT_MOST, TOTAL, EVERYONE] };
static RANDOM_RESET: Table = Table { about: "How often.", keys: &[EVERY, TOTAL, EVERYONE] };

static RANDOM_SLOW: Table = Table {
    about: "How often a node becomes slow, for how long, and how slow.",
    keys: &[
        EVERY,
        HOLD,
        AT_MOST,
        TOTAL,
        SERVERS,
        must("per-event", Shape::DurationRange, "Time added to each event that the node handles, drawn evenly."),
    ],
};

static RANDOM_CLOCK: Table = Table {
    about: "How often a node's clocks change, for how long, and how much. Has `step` or `drift-ppm` or both.",
    keys: &[
        EVERY,
        HOLD,
        AT_MOST,
        TOTAL,
        SERVERS,
        may("step", Shape::SignedDurationRange, "By how much the wall clock is set, drawn evenly."),
        may("drift-ppm", Shape::DriftRange, "Parts per million of drift, drawn evenly."),
    ],
};

static RANDOM_PARTITION: Table = Table {
    about: "How often the nodes are split in two, and for how long.",
    keys: &[
        EVERY,
        HOLD,
        AT_MOST,
        TOTAL,
        EVERYONE,
        may("one-way", Shape::Probability, "Probability that only one direction is cut; 0 if left out."),
    ],
};

static RANDOM_DEGRADE: Table = Table {
    about: "How often a directed link gets worse, for how long, and in which ways; at least one.",
    keys: &[
        EVERY,
        HOLD,
        AT_MOST,
        TOTAL,
        EVERYONE,
        may("latency", Shape::DurationRange, "Added to every message, drawn evenly."),
        may("jitter", Shape::DurationRange, "Up to this much more for each message, drawn evenly."),
        may("loss", Shape::ProbabilityRange, "Probability that a datagram is lost, drawn evenly."),
        may("duplication", Shape::ProbabilityRange, "Probability that a datagram arrives twice, drawn evenly."),
        may("bandwidth", Shape::SizeRange, "Bytes a second at most, drawn evenly."),
    ],
};

static RANDOM_DROP: Table = Table { about: "How often messages are lost.", keys: &[EVERY, TOTAL, KINDS, COUNTS] };

static RANDOM_DELAY: Table = Table {
    about: "How often messages are late, and by how much.",
    keys: &[EVERY, TOTAL, KINDS, COUNTS, must("by", Shape::DurationRange, "Added latency, drawn evenly.")],
};

static RANDOM_DISK: Table = Table {
    about: "How often a disk misbehaves, for how long, and how.",
    keys: &[
        EVERY,
        HOLD,
        AT_MOST,
        TOTAL,
        SERVERS,
        must("trouble", Shape::Troubles, "What it can be: `slow`, `failing`, `lying`."),
        may("by", Shape::DurationRange, "How much longer each sync of a slow disk takes, drawn evenly."),
    ],
};

static RANDOM_HOST: Table = Table {
    about: "How often a machine vanishes, and for how long.",
    keys: &[
        EVERY,
        DOWN,
        AT_MOST,
        TOTAL,
        may("hosts", Shape::Hosts, "Which machines; every one that carries a node that is not a client if left out."),
    ],
};

static RANDOM_COMMAND: Table = Table {
    about: "How often a node is asked something, and what.",
    keys: &[EVERY, TOTAL, SERVERS, must("commands", Shape::Commands, "What it can be asked.")],
};
