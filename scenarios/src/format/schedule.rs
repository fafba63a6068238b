//! Explicit schedules as files: what a shrunk failure is kept as, for people to read and for machines to replay.
//!
//! A schedule says exactly what happens, so it only means something for the scenario that it was made for: it carries a
//! hash of that file, and one whose file has changed since is refused as stale. Reading gives back what was written,
//! to the nanosecond; only a hold of a fault that has no extent in time, which has no effect, is not written.

mod read;
mod write;

pub use read::{read, scenario_name};
pub use write::write;

use sim_core::trace::RollingHash;

use super::fault_tables::FAULTS;
use super::grammar::{Shape, Table, may, must};
use super::tables::{CLOCK, WHEN};

/// Version of the format.
const VERSION: u64 = 1;

/// What is written down to tell later whether a scenario's file, by its text, is still the same.
pub fn hash(scenario: &str) -> u64 {
    let mut hash = RollingHash::default();
    // A checkout with other line ends is the same file.
    hash.add_text(&scenario.replace("\r\n", "\n"));
    hash.value()
}

static SCHEDULE: Table = Table {
    about: "Exactly what happens in one run of a scenario.",
    keys: &[
        must("schedule", Shape::Version, "Version of the format."),
        must("scenario", Shape::Text, "The scenario that it belongs to."),
        must("scenario-hash", Shape::Text, "Hash of the scenario's file, by which a stale schedule is recognised."),
        must("seed", Shape::Text, "What the nodes' own draws and the faults' chances are drawn by."),
        must("baseline", Shape::Text, "`calm`: the middling latency everywhere. `seeded`: drawn by the seed."),
        may("clocks", Shape::PerNode(&CLOCK), "Clocks that differ from the world's."),
        may("faults", Shape::Tables(&FAULT), "What breaks."),
        may("deviations", Shape::Tables(&DEVIATION), "Exceptions to the baseline."),
        may("absent", Shape::Nodes, "Nodes that never start: the cluster is smaller by them."),
        may("draws", Shape::Tables(&DRAWS), "The numbers that nodes draw first; the seed gives those that follow."),
    ],
};

static FAULT: Table = Table {
    about: "Something that breaks, with the id that reports call it by.",
    keys: &[
        must("id", Shape::Whole(0, u32::MAX as u64), "Its id."),
        may("at", Shape::Moment, "World time, or a window from which the seed draws a moment."),
        may("when", Shape::Table(&WHEN), "A mark that a node sets, or an event by its number."),
        must("do", Shape::OneOf(&FAULTS), "What happens: exactly one of these."),
    ],
};

static DRAWS: Table = Table {
    about: "What a node draws from its own randomness.",
    keys: &[
        must("node", Shape::Node, "The node."),
        must("first", Shape::Draws, "Numbers of 64 bits, in the order in which it draws them."),
    ],
};

static DEVIATION: Table = Table {
    about: "What becomes of one message, one sync or one crash instead of what the baseline says.",
    keys: &[
        may("link", Shape::TwoNodes, "Sender and receiver of the message."),
        may("disk", Shape::Node, "The node whose sync or crash it is."),
        must("at", Shape::Duration, "World time of the send, the sync or the crash."),
        may("nth", Shape::Whole(0, u32::MAX as u64), "Which of those at that very instant, from 0; 0 if left out."),
        may("lost", Shape::Flag, "It never arrives."),
        may("delayed", Shape::Duration, "It takes this long."),
        may("duplicated", Shape::Window, "It arrives twice, after these two."),
        may("kept", Shape::Whole(0, u32::MAX as u64), "A crash leaves so many of the writes that were not synced."),
        may("torn", Shape::Flag, "It leaves a part of the next one, too; only with `kept`."),
    ],
};
