//! Reads `[explore]`: what an exploration of the scenario tries.

use std::time::Duration;

use sim_core::{Instant, NodeId};

use super::known::Known;
use super::reader::{Item, Reader, Section};

/// What `fencepost explore` tries, as far as the file says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explore {
    /// Whether every order of messages and timers is taken, instead of placing faults.
    pub untimed: bool,
    /// How much breaks at most.
    pub faults: Option<u8>,
    /// How many lost or late messages there are in addition, at most.
    pub deviations: Option<u8>,
    /// From when to when something breaks.
    pub window: Option<(Instant, Instant)>,
    /// The nodes that break; all if it is empty.
    pub nodes: Vec<NodeId>,
    /// The kinds of message that are lost or late; all if it is empty.
    pub messages: Vec<&'static str>,
    /// What breaks; everything if none of it is there.
    pub breaks: Breaks,
}

/// Kinds of fault, each with how long it holds; those without any time are not tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaks {
    /// A node crashes, and starts again after so long.
    pub crash: Vec<Duration>,
    /// A node stalls.
    pub pause: Vec<Duration>,
    /// One directed link is cut.
    pub cut: Vec<Duration>,
    /// Two nodes are cut off from each other.
    pub partition: Vec<Duration>,
    /// A node is cut off from all others.
    pub isolate: Vec<Duration>,
    /// A message takes so much longer.
    pub delay: Vec<Duration>,
    /// A message is lost.
    pub drop: bool,
}

impl Breaks {
    /// The names of the kinds, as files and the command line spell them.
    pub const KINDS: &'static [&'static str] = &["crash", "pause", "cut", "partition", "isolate", "delay", "drop"];

    /// Everything, for the times that are tried if nobody says otherwise.
    pub fn everything() -> Self {
        let held = || vec![Duration::from_secs(5)];
        Breaks {
            crash: held(),
            pause: held(),
            cut: held(),
            partition: held(),
            isolate: held(),
            delay: vec![Duration::from_secs(2)],
            drop: true,
        }
    }

    /// The times of one kind; `None` for a drop, which takes none, and for what is no kind.
    pub fn times(&mut self, kind: &str) -> Option<&mut Vec<Duration>> {
        match kind {
            "crash" => Some(&mut self.crash),
            "pause" => Some(&mut self.pause),
            "cut" => Some(&mut self.cut),
            "partition" => Some(&mut self.partition),
            "isolate" => Some(&mut self.isolate),
            "delay" => Some(&mut self.delay),
            _ => None,
        }
    }
}

/// Reads the table.
pub(super) fn explore(reader: &mut Reader, section: &Section<'_>, known: &Known<'_>) -> Explore {
    let mut number = |key: &str| section.get(key).and_then(|item| reader.whole(item, 0, 9)).map(|number| number as u8);
    let (faults, deviations) = (number("faults"), number("deviations"));
    let untimed = section.get("mode").is_some_and(|item| mode(reader, item));
    if untimed && let Some(item) = section.items().iter().find(|item| item.key != "mode") {
        let why = "means nothing without a clock";
        reader.bad_value(item, why, "leave it out: `mode = \"untimed\"` takes every order, and breaks nothing");
    }
    let window = section.get("window").and_then(|item| reader.two(item, Reader::instant));
    if let (Some((from, to)), Some(item)) = (window, section.get("window"))
        && from == to
    {
        reader.bad_value(item, "is a single moment", "let it end later than it starts");
    }
    let nodes = section.get("nodes").and_then(|item| known.nodes(reader, item)).unwrap_or_default();
    let kinds = section.get("messages").and_then(|item| reader.list(item)).unwrap_or_default();
    let messages = kinds.iter().filter_map(|kind| known.kind(reader, kind)).collect();
    let mut breaks = Breaks::default();
    for &kind in Breaks::KINDS {
        if let (Some(times), Some(item)) = (breaks.times(kind), section.get(kind)) {
            *times = durations(reader, item);
        }
    }
    breaks.drop = section.get("drop").and_then(|item| reader.flag(item)).unwrap_or(false);
    Explore { untimed, faults, deviations, window, nodes, messages, breaks }
}

fn mode(reader: &mut Reader, item: &Item<'_>) -> bool {
    match reader.text(item) {
        Some("untimed") => true,
        Some("timed") | None => false,
        Some(other) => {
            let why = format!("is no mode: `{other}`");
            reader.bad_value(item, why, "write `\"timed\"` or `\"untimed\"`");
            false
        }
    }
}

fn durations(reader: &mut Reader, item: &Item<'_>) -> Vec<Duration> {
    let elements = item.one_or_more();
    if elements.is_empty() {
        reader.bad_value(item, "is empty", "write at least one duration, or leave it out");
    }
    elements.iter().filter_map(|element| reader.some_time(element)).collect()
}
