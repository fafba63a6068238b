//! What an exploration of a scenario enumerates, and what it came to. Apart from the command, because tests ask the same.

use std::time::Duration;

use sim_core::search::{Exploration, Explorer, Menu, MessageMenu};
use sim_core::{Fault, Instant, NodeId, Schedule};

use crate::format::{Breaks, Explore, Scenario};
use crate::report::words;

/// Everything that decides what is enumerated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How much breaks at most.
    pub faults: u8,
    /// How many lost or late messages there are in addition, at most.
    pub deviations: u8,
    /// What the nodes' own draws are drawn by.
    pub seed: u64,
    /// From when to when something breaks; the whole run if `None`.
    pub window: Option<(Instant, Instant)>,
    /// The nodes that break.
    pub nodes: Vec<NodeId>,
    /// The kinds of message that are lost or late; all if it is empty.
    pub messages: Vec<&'static str>,
    /// What breaks.
    pub breaks: Breaks,
}

/// Faults that are tried if neither the file nor the command line says how many.
const FAULTS: u8 = 1;

impl Plan {
    /// What the file says, and `wanted` where that says something.
    pub fn new(scenario: &Scenario, wanted: &Explore) -> Self {
        let file = &scenario.explore;
        let listed = |wanted: &[NodeId], file: &[NodeId]| match (wanted, file) {
            ([], []) => (0..scenario.members.len() as u16).map(NodeId).collect(),
            ([], file) => file.to_vec(),
            (wanted, _) => wanted.to_vec(),
        };
        let breaks = [&wanted.breaks, &file.breaks].into_iter().find(|&breaks| *breaks != Breaks::default());
        Plan {
            faults: wanted.faults.or(file.faults).unwrap_or(FAULTS),
            deviations: wanted.deviations.or(file.deviations).unwrap_or(0),
            seed: 0,
            window: wanted.window.or(file.window),
            nodes: listed(&wanted.nodes, &file.nodes),
            messages: if wanted.messages.is_empty() { file.messages.clone() } else { wanted.messages.clone() },
            breaks: breaks.cloned().unwrap_or_else(Breaks::everything),
        }
    }

    /// The run in which nothing breaks but what every run of the scenario has: its steps, at the middle of their windows,
    /// on true clocks where the file leaves a choice.
    pub fn base(&self, scenario: &Scenario) -> Schedule {
        let mut schedule = Schedule::calm(self.seed);
        schedule.faults.faults.clone_from(&scenario.steps);
        schedule.clocks.extend(scenario.clocks.iter().filter_map(|clock| Some((clock.node, clock.exact()?))));
        schedule
    }

    /// What is tried at each place.
    pub fn menu(&self, scenario: &Scenario) -> Menu {
        let Breaks { crash, pause, cut, partition, isolate, delay, drop } = &self.breaks;
        let mut faults = Vec::new();
        let mut add = |holds: &[Duration], fault: Fault| {
            faults.extend(holds.iter().map(|&hold| (fault.clone(), Some(hold))));
        };
        for &node in &self.nodes {
            add(crash, Fault::Crash { node });
            add(pause, Fault::Pause { node });
        }
        for (place, &a) in self.nodes.iter().enumerate() {
            for &b in &self.nodes[place + 1..] {
                add(cut, Fault::Cut { from: a, to: b });
                add(cut, Fault::Cut { from: b, to: a });
                add(partition, Fault::Partition { groups: vec![vec![a], vec![b]] });
            }
        }
        let everyone = || (0..scenario.members.len() as u16).map(NodeId);
        // Of two nodes, one that is cut off from all others is a partition, which is there already.
        if scenario.members.len() > 2 || partition.is_empty() {
            for &node in &self.nodes {
                let others = everyone().filter(|&other| other != node).collect();
                add(isolate, Fault::Partition { groups: vec![vec![node], others] });
            }
        }
        let all_nodes = self.nodes.len() == scenario.members.len();
        let messages = MessageMenu {
            lost: *drop,
            late: delay.clone(),
            nodes: if all_nodes { Vec::new() } else { self.nodes.clone() },
            kinds: self.messages.clone(),
        };
        Menu { faults, messages, window: self.window }
    }

    /// An exploration that follows this plan.
    pub fn explorer<'a>(&self, scenario: &Scenario) -> Explorer<'a> {
        Explorer::new(self.menu(scenario), self.faults).deviations(self.deviations)
    }

    /// What is enumerated, in lines of words: what a certificate is about.
    pub fn describe(&self, scenario: &Scenario) -> Vec<String> {
        let Breaks { crash, pause, cut, partition, isolate, delay, drop } = &self.breaks;
        let names = match self.nodes.len() == scenario.members.len() {
            true => "any node".to_owned(),
            false => self.nodes.iter().map(|&node| scenario.node_name(node)).collect::<Vec<_>>().join(", "),
        };
        let times =
            |times: &[Duration]| times.iter().map(|&time| words::duration(time)).collect::<Vec<_>>().join(" or ");
        let mut lines = Vec::new();
        for (kind, holds, what) in [
            ("crash", crash, "started again after"),
            ("pause", pause, "for"),
            ("cut", cut, "one way between two, for"),
            ("partition", partition, "both ways between two, for"),
            ("isolate", isolate, "from all others, for"),
        ] {
            if !holds.is_empty() {
                lines.push(format!("{kind} {names}, {what} {}", times(holds)));
            }
        }
        let kinds = match self.messages.as_slice() {
            [] => "any message".to_owned(),
            kinds => format!("any {}", kinds.join(" or ")),
        };
        if *drop {
            lines.push(format!("lose {kinds}; on a connection it is sent again"));
        }
        if !delay.is_empty() {
            lines.push(format!("delay {kinds} by {}", times(delay)));
        }
        lines
    }
}

/// Whether an exploration shows that nothing can go wrong of what it enumerated. If it was to place faults and there was no
/// place for any, it shows nothing.
pub fn is_certificate(exploration: &Exploration) -> bool {
    exploration.complete && exploration.counterexample.is_none() && !is_void(exploration)
}

/// Whether faults were to be placed, and none could be.
pub fn is_void(exploration: &Exploration) -> bool {
    exploration.complete && exploration.levels.len() > 1 && exploration.worlds() == 0
}
