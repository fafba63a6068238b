//! Writes a schedule, a fault or a deviation a line.

use std::fmt::Write;
use std::time::Duration;

use sim_core::{
    Baseline, Degradation, Deviation, DiskTrouble, Fault, Instant, NodeId, PlannedFault, Schedule, Select, Site,
    Trigger,
};

use super::{VERSION, hash};
use crate::format::Scenario;

/// Numbers that a node draws, on one line.
const DRAWS_PER_LINE: usize = 5;

/// The text of a schedule file. Each line of `note` becomes a comment at its top.
pub fn write(scenario: &Scenario, schedule: &Schedule, note: &str) -> String {
    let writer = Writer { scenario };
    let mut text = String::new();
    for line in note.lines() {
        text += format!("# {line}").trim_end();
        text.push('\n');
    }
    let baseline = match schedule.baseline {
        Baseline::Calm => "calm",
        Baseline::Seeded => "seeded",
    };
    text += &format!("schedule = {VERSION}\n");
    text += &format!("scenario = {}\n", quoted(&scenario.name));
    text += &format!("scenario-hash = \"{:#018x}\"\n", hash(&scenario.source));
    text += &format!("seed = \"{:#018x}\"\n", schedule.seed);
    text += &format!("baseline = \"{baseline}\"\n");
    list(&mut text, "faults", schedule.faults.faults.iter().map(|fault| writer.planned(fault)));
    list(
        &mut text,
        "deviations",
        schedule.deviations.iter().map(|(site, moment, deviation)| {
            let nth = if moment.ordinal == 0 { String::new() } else { format!(", nth = {}", moment.ordinal) };
            format!("{}, at = \"{}\"{nth}, {}", writer.site(site), moment.at, fate(deviation))
        }),
    );
    list(
        &mut text,
        "draws",
        schedule
            .draws
            .iter()
            .map(|(&node, draws)| format!("node = {}, first = [{}]", writer.node(node), numbers(draws))),
    );
    if !schedule.absent.is_empty() {
        let absent: Vec<_> = schedule.absent.iter().copied().collect();
        text += &format!("\nabsent = {}\n", writer.nodes(&absent));
    }
    if !schedule.clocks.is_empty() {
        text += "\n[clocks]\n";
    }
    for (&node, clock) in &schedule.clocks {
        let (name, offset) = (quoted(scenario.node_name(node)), time(clock.offset));
        text += &format!("{name} = {{ offset = {offset}, drift-ppm = {} }}\n", clock.drift_ppm);
    }
    text
}

fn list(text: &mut String, name: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\n{name} = [");
    for line in lines {
        let _ = writeln!(text, "    {{ {line} }},");
    }
    text.push_str("]\n");
}

struct Writer<'a> {
    scenario: &'a Scenario,
}

impl Writer<'_> {
    fn planned(&self, planned: &PlannedFault) -> String {
        let mut details = self.details(&planned.fault);
        if let Some(hold) = planned.hold.filter(|_| planned.fault.has_extent()) {
            details.push(format!("for = {}", time(hold)));
        }
        let braces = if details.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", details.join(", ")) };
        format!("id = {}, {}, do.{} = {braces}", planned.id, self.trigger(&planned.trigger), planned.fault.kind())
    }

    fn trigger(&self, trigger: &Trigger) -> String {
        match trigger {
            Trigger::At(at) => format!("at = \"{at}\""),
            Trigger::Window { from, to } => format!("at = [\"{from}\", \"{to}\"]"),
            Trigger::OnEvent(event) => format!("when = {{ event = {event} }}"),
            Trigger::OnMark { mark, node, occurrence, plus } => {
                let mut parts = vec![format!("mark = {}", quoted(mark))];
                parts.extend(node.map(|node| format!("node = {}", self.node(node))));
                if *occurrence != 1 {
                    parts.push(format!("occurrence = {occurrence}"));
                }
                if !plus.is_zero() {
                    parts.push(format!("plus = {}", time(*plus)));
                }
                format!("when = {{ {} }}", parts.join(", "))
            }
        }
    }

    fn details(&self, fault: &Fault) -> Vec<String> {
        let node = |node: &NodeId| format!("node = {}", self.node(*node));
        match fault {
            Fault::Crash { node: n }
            | Fault::Restart { node: n }
            | Fault::Pause { node: n }
            | Fault::Resume { node: n } => {
                vec![node(n)]
            }
            Fault::Slow { node: n, per_event } => vec![node(n), format!("per-event = {}", time(*per_event))],
            Fault::Clock { node: n, step, drift_ppm } => {
                let mut parts = vec![node(n), format!("step = {}", signed_time(*step))];
                parts.extend(drift_ppm.map(|drift| format!("drift-ppm = {drift}")));
                parts
            }
            Fault::Partition { groups } => {
                let groups: Vec<_> = groups.iter().map(|group| self.nodes(group)).collect();
                vec![format!("groups = [{}]", groups.join(", "))]
            }
            Fault::OneWay { from, to } => {
                vec![format!("from = {}", self.nodes(from)), format!("to = {}", self.nodes(to))]
            }
            Fault::Cut { from, to } => self.link(*from, *to),
            Fault::Heal => Vec::new(),
            Fault::Reset { a, b } => vec![format!("between = {}", self.nodes(&[*a, *b]))],
            Fault::Degrade { from, to, degradation } => {
                let mut parts = self.link(*from, *to);
                parts.extend(ways(degradation));
                parts
            }
            Fault::Drop { select, count } => {
                let mut parts = self.select(select);
                parts.push(format!("count = {count}"));
                parts
            }
            Fault::Delay { select, count, by } => {
                let mut parts = self.select(select);
                parts.extend([format!("count = {count}"), format!("by = {}", time(*by))]);
                parts
            }
            Fault::Disk { node: n, trouble } => {
                let trouble = match trouble {
                    DiskTrouble::Slow { by } => format!("trouble = \"slow\", by = {}", time(*by)),
                    DiskTrouble::Failing => "trouble = \"failing\"".to_owned(),
                    DiskTrouble::Lying => "trouble = \"lying\"".to_owned(),
                };
                vec![node(n), trouble]
            }
            Fault::HostFailure { host } => vec![format!("host = {}", quoted(self.scenario.host_name(*host)))],
            Fault::Command { node: n, command } => {
                vec![node(n), format!("command = {}", quoted(self.scenario.command_text(*command)))]
            }
        }
    }

    fn link(&self, from: NodeId, to: NodeId) -> Vec<String> {
        vec![format!("from = {}", self.node(from)), format!("to = {}", self.node(to))]
    }

    fn select(&self, select: &Select) -> Vec<String> {
        let kind = select.kind.map(|kind| format!("kind = {}", quoted(kind)));
        let from = select.from.map(|node| format!("from = {}", self.node(node)));
        let to = select.to.map(|node| format!("to = {}", self.node(node)));
        [kind, from, to].into_iter().flatten().collect()
    }

    fn site(&self, site: Site) -> String {
        match site {
            Site::Link(from, to) => format!("link = {}", self.nodes(&[from, to])),
            Site::Disk(node) => format!("disk = {}", self.node(node)),
            other => unreachable!("only links and disks deviate, not {other:?}"),
        }
    }

    fn node(&self, node: NodeId) -> String {
        quoted(self.scenario.node_name(node))
    }

    fn nodes(&self, nodes: &[NodeId]) -> String {
        let names: Vec<_> = nodes.iter().map(|&node| self.node(node)).collect();
        format!("[{}]", names.join(", "))
    }
}

fn ways(degradation: &Degradation) -> Vec<String> {
    let Degradation { latency, jitter, loss, duplication, bandwidth } = *degradation;
    let times = [("latency", latency), ("jitter", jitter)].into_iter().filter(|(_, time)| !time.is_zero());
    let chances = [("loss", loss), ("duplication", duplication)].into_iter().filter(|&(_, chance)| chance > 0.0);
    let times = times.map(|(name, value)| format!("{name} = {}", time(value)));
    // The shortest text that reads back as the same number.
    let chances = chances.map(|(name, chance)| format!("{name} = {chance:?}"));
    times.chain(chances).chain(bandwidth.map(|bytes| format!("bandwidth = {bytes}"))).collect()
}

fn fate(deviation: Deviation) -> String {
    match deviation {
        Deviation::Lost => "lost = true".to_owned(),
        Deviation::Delayed(by) => format!("delayed = {}", time(by)),
        Deviation::Duplicated { first, second } => format!("duplicated = [{}, {}]", time(first), time(second)),
        Deviation::Kept { writes, torn } => format!("kept = {writes}{}", if torn { ", torn = true" } else { "" }),
    }
}

/// Numbers of 64 bits, a few on a line.
fn numbers(draws: &[u64]) -> String {
    let line = |draws: &[u64]| draws.iter().map(|draw| format!("\"{draw:#018x}\"")).collect::<Vec<_>>().join(", ");
    draws.chunks(DRAWS_PER_LINE).map(line).collect::<Vec<_>>().join(",\n        ")
}

fn time(duration: Duration) -> String {
    format!("\"{}\"", Instant::from(duration))
}

fn signed_time(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("\"{sign}{}\"", Instant::from_nanos(nanos.unsigned_abs()))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
