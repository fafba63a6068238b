//! Reads `[[step]]`: when each happens, what it breaks, and for how long.

use std::time::Duration;

use sim_core::{Degradation, DiskTrouble, Fault, PlannedFault, Select, Trigger};

use super::Span;
use super::fault_tables::FAULTS;
use super::grammar::Shape;
use super::known::Known;
use super::reader::{Item, Reader, Section};
use super::tables::{STEP, WHEN};
use crate::nemesis::IDS_PER_KIND;

/// A step with the places that later errors point at.
pub(super) struct Step {
    pub planned: PlannedFault,
    /// What happens, `crash = { ... }`.
    pub fault_span: Span,
}

/// Reads all steps, numbered in the order of the file.
pub(super) fn steps(reader: &mut Reader, item: &Item<'_>, known: &Known<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let elements = reader.list(item).unwrap_or_default();
    if elements.len() >= IDS_PER_KIND as usize {
        let help = format!("a scenario has fewer than {IDS_PER_KIND} steps: use `[random]` for many faults");
        reader.bad_value(item, "has too many entries", help);
        return steps;
    }
    for (number, element) in elements.iter().enumerate() {
        let element = element.expecting("a table such as `{ at = \"10s\", do.crash = { node = \"alpha\" } }`");
        let Some(section) = reader.subsection(&STEP, "`[[step]]`", &element) else { continue };
        steps.extend(step(reader, &section, known, number as u32));
    }
    steps
}

/// Reads `at` or `when`, and `do`.
pub(super) fn step(reader: &mut Reader, section: &Section<'_>, known: &Known<'_>, id: u32) -> Option<Step> {
    let trigger = trigger(reader, section, known);
    let what = section.get("do").and_then(|item| happening(reader, item, known));
    let (fault, hold, fault_span) = what?;
    Some(Step { planned: PlannedFault { id, trigger: trigger?, fault, hold }, fault_span })
}

fn trigger(reader: &mut Reader, section: &Section<'_>, known: &Known<'_>) -> Option<Trigger> {
    let item = section.exactly_one(reader, &["at", "when"])?;
    if item.key == "when" {
        return when(reader, item, known);
    }
    let (from, to) = reader.range(item, Reader::instant)?;
    if let Some(duration) = known.duration.filter(|_| reader.is_strict())
        && to.as_nanos() > duration.as_nanos() as u64
    {
        let why = format!("is after the end of the run, which takes {}", sim_core::Instant::from(duration));
        reader.bad_value(item, why, "choose an earlier time, or a longer `duration`");
        return None;
    }
    Some(if item.value.is_array() { Trigger::Window { from, to } } else { Trigger::At(from) })
}

fn when(reader: &mut Reader, item: &Item<'_>, known: &Known<'_>) -> Option<Trigger> {
    let section = reader.subsection(&WHEN, "`when`", item)?;
    let what = section.exactly_one(reader, &["mark", "event"])?;
    if what.key == "event" {
        if let Some(extra) = section.items().iter().find(|item| item.key != "event") {
            let message = format!("`{}` says more about a mark, and `when` waits for an event", extra.key);
            reader.problem(extra.span.clone(), message, "no mark to say it about", format!("remove `{}`", extra.key));
        }
        return reader.event(what).map(Trigger::OnEvent);
    }
    let before = reader.problem_count();
    let mark = known.mark(reader, what);
    let node = section.get("node").and_then(|item| known.node(reader, item));
    let occurrence = section.get("occurrence").and_then(|item| reader.count(item)).unwrap_or(1);
    let plus = section.get("plus").and_then(|item| {
        let plus = reader.duration(item)?;
        if reader.is_strict() && known.duration.is_some_and(|duration| plus > duration) {
            reader.bad_value(item, "is longer than the whole run", "choose a shorter wait, or a longer `duration`");
        }
        Some(plus)
    });
    let plus = plus.unwrap_or_default();
    (reader.problem_count() == before).then_some(Trigger::OnMark { mark: mark?, node, occurrence, plus })
}

fn happening(reader: &mut Reader, item: &Item<'_>, known: &Known<'_>) -> Option<(Fault, Option<Duration>, Span)> {
    let section = reader.subsection(&FAULTS, "`do`", item)?;
    let fault = match section.items() {
        [fault] => fault.clone(),
        [first, second, ..] => {
            let places = ((second.span.clone(), "and this"), (first.span.clone(), "this"));
            reader.clash(
                places.0,
                places.1,
                "a step does one thing",
                "write a second `[[step]]` with the same trigger",
            );
            return None;
        }
        [] => {
            // An unknown kind has been reported by its name.
            if reader.table(item).is_some_and(|table| table.is_empty()) {
                reader.problem(
                    item.span.clone(),
                    "this step does nothing",
                    "empty",
                    "write `do.crash = { node = ... }`",
                );
            }
            return None;
        }
    };
    let Some(Shape::Table(grammar)) = FAULTS.key(fault.key).map(|key| key.shape) else { return None };
    let details = reader.subsection(grammar, format!("`{}`", fault.key), &fault)?;
    let before = reader.problem_count();
    let kind = read_fault(reader, fault.key, &details, known);
    let hold = grammar.key("for").and_then(|_| details.get("for")).and_then(|item| reader.some_time(item));
    (reader.problem_count() == before).then_some((kind?, hold, fault.span))
}

fn read_fault(reader: &mut Reader, kind: &str, section: &Section<'_>, known: &Known<'_>) -> Option<Fault> {
    let mut read = Details { reader, section, known };
    Some(match kind {
        "crash" => Fault::Crash { node: read.node("node")? },
        "restart" => Fault::Restart { node: read.node("node")? },
        "pause" => Fault::Pause { node: read.node("node")? },
        "resume" => Fault::Resume { node: read.node("node")? },
        "slow" => {
            let (node, per_event) = (read.node("node"), read.some_time("per-event"));
            Fault::Slow { node: node?, per_event: per_event? }
        }
        "clock" => read.clock()?,
        "partition" => Fault::Partition { groups: read.groups()? },
        "one-way" => read.one_way()?,
        "cut" => {
            let (from, to) = read.link()?;
            Fault::Cut { from, to }
        }
        "heal" => Fault::Heal,
        "reset" => read.reset()?,
        "degrade" => read.degrade()?,
        "drop" => {
            let (select, count) = (read.select(), read.count());
            Fault::Drop { select: select?, count: count? }
        }
        "delay" => {
            let (select, count, by) = (read.select(), read.count(), read.some_time("by"));
            Fault::Delay { select: select?, count: count?, by: by? }
        }
        "disk" => read.disk()?,
        "host-failure" => {
            let host = section.get("host")?;
            Fault::HostFailure { host: known.host(reader, host)? }
        }
        "command" => {
            let node = read.node("node");
            let command = section.get("command").and_then(|item| known.command(reader, item));
            Fault::Command { node: node?, command: command? }
        }
        _ => unreachable!("the grammar knows a kind of fault, {kind}, that the reader does not"),
    })
}

/// The details of one fault, with what is needed to read them.
struct Details<'a, 's, 'k> {
    reader: &'a mut Reader,
    section: &'a Section<'s>,
    known: &'a Known<'k>,
}

impl Details<'_, '_, '_> {
    fn node(&mut self, key: &str) -> Option<sim_core::NodeId> {
        self.section.get(key).and_then(|item| self.known.node(self.reader, item))
    }

    fn nodes(&mut self, key: &str) -> Option<Vec<sim_core::NodeId>> {
        self.section.get(key).and_then(|item| self.known.nodes(self.reader, item))
    }

    fn some_time(&mut self, key: &str) -> Option<Duration> {
        self.section.get(key).and_then(|item| self.reader.some_time(item))
    }

    fn probability(&mut self, key: &str) -> f64 {
        self.section.get(key).and_then(|item| self.reader.probability(item)).unwrap_or(0.0)
    }

    fn count(&mut self) -> Option<u32> {
        self.section.get("count").map_or(Some(1), |item| self.reader.count(item))
    }

    /// `from` and `to`, two different nodes.
    fn link(&mut self) -> Option<(sim_core::NodeId, sim_core::NodeId)> {
        let (from, to) = (self.node("from"), self.node("to"));
        let (from, to) = (from?, to?);
        (!self.same_node(from, to)).then_some((from, to))
    }

    fn same_node(&mut self, from: sim_core::NodeId, to: sim_core::NodeId) -> bool {
        let mistaken = from == to && self.reader.is_strict();
        if mistaken {
            let places = (self.section.get("to"), self.section.get("from"));
            if let (Some(second), Some(first)) = places {
                let message = format!("{} from `{}` to itself", self.section.title(), self.known.name(from));
                let help = "a node is always connected to itself: choose two nodes";
                self.reader.clash((second.span.clone(), "the same node"), (first.span.clone(), "this"), message, help);
            }
        }
        mistaken
    }

    fn clock(&mut self) -> Option<Fault> {
        let node = self.node("node");
        let (step, drift) = (self.section.get("step"), self.section.get("drift-ppm"));
        if step.is_none() && drift.is_none() {
            self.nothing_given("`clock` changes nothing", "give `step`, `drift-ppm` or both");
        }
        let step = step.map_or(Some(0), |item| self.reader.signed_duration(item));
        let drift_ppm = drift.and_then(|item| self.reader.drift(item));
        Some(Fault::Clock { node: node?, step: step?, drift_ppm })
    }

    fn groups(&mut self) -> Option<Vec<Vec<sim_core::NodeId>>> {
        let item = self.section.get("groups")?;
        let mut groups: Vec<Vec<_>> = Vec::new();
        let elements = self.reader.list(item)?;
        let strict = self.reader.is_strict();
        if elements.len() < 2 && strict {
            self.reader.bad_value(item, "separates nothing", format!("write two groups or more: {}", item.expects));
        }
        for element in elements {
            let element = element.expecting("a list of nodes such as `[\"alpha\", \"beta\"]`");
            let Some(members) = self.reader.list(&element) else { continue };
            let mut group = Vec::new();
            for member in &members {
                let member = member.expecting("the name of a node in quotes");
                let Some(node) = self.known.node(self.reader, &member) else { continue };
                if strict && (group.contains(&node) || groups.iter().any(|other| other.contains(&node))) {
                    let message = format!("`{}` is in two groups, or in one twice", self.known.name(node));
                    self.reader.problem(member.span.clone(), message, "again here", "keep it in one group");
                }
                group.push(node);
            }
            if members.is_empty() && strict {
                self.reader.bad_value(&element, "has an empty group", "name at least one node, or remove the group");
            }
            groups.push(group);
        }
        Some(groups)
    }

    fn one_way(&mut self) -> Option<Fault> {
        let (from, to) = (self.nodes("from"), self.nodes("to"));
        let (from, to) = (from?, to?);
        if let Some(&both) = from.iter().find(|node| to.contains(node)) {
            self.same_node(both, both);
        }
        Some(Fault::OneWay { from, to })
    }

    fn reset(&mut self) -> Option<Fault> {
        let item = self.section.get("between")?;
        let elements = self.reader.list(item)?;
        let [a, b] = &elements[..] else {
            let why = format!("names {} nodes", elements.len());
            self.reader.bad_value(item, why, format!("write {}", item.expects));
            return None;
        };
        let name = "the name of a node in quotes";
        let (first, second) =
            (self.known.node(self.reader, &a.expecting(name)), self.known.node(self.reader, &b.expecting(name)));
        let (first, second) = (first?, second?);
        if first == second && self.reader.is_strict() {
            let message = format!("`reset` from `{}` to itself", self.known.name(first));
            self.reader.problem(b.span.clone(), message, "the same node", "choose two nodes");
        }
        Some(Fault::Reset { a: first, b: second })
    }

    fn degrade(&mut self) -> Option<Fault> {
        let link = self.link();
        let ways = ["latency", "jitter", "loss", "duplication", "bandwidth"];
        if ways.iter().all(|way| self.section.get(way).is_none()) {
            self.nothing_given(
                "`degrade` makes nothing worse",
                "give `latency`, `jitter`, `loss`, `duplication` or `bandwidth`",
            );
        }
        let degradation = Degradation {
            latency: self.some_time("latency").unwrap_or_default(),
            jitter: self.some_time("jitter").unwrap_or_default(),
            loss: self.probability("loss"),
            duplication: self.probability("duplication"),
            bandwidth: self.section.get("bandwidth").and_then(|item| self.reader.size(item)),
        };
        let (from, to) = link?;
        Some(Fault::Degrade { from, to, degradation })
    }

    fn select(&mut self) -> Option<Select> {
        let kind = self.section.get("kind").map(|item| self.known.kind(self.reader, item));
        let (from, to) = (self.node("from"), self.node("to"));
        if let (Some(from), Some(to)) = (from, to) {
            self.same_node(from, to);
        }
        Some(Select { kind: kind.flatten(), from, to })
    }

    fn disk(&mut self) -> Option<Fault> {
        let node = self.node("node");
        let by = self.some_time("by");
        let item = self.section.get("trouble")?;
        let trouble = trouble(self.reader, item)?;
        let trouble = match (trouble, self.section.get("by")) {
            (DiskTrouble::Slow { .. }, None) => {
                let help = "add `by`, such as `by = \"50ms\"`";
                self.reader.problem(item.span.clone(), "a slow disk needs to know by how much", "here", help);
                return None;
            }
            (DiskTrouble::Slow { .. }, Some(_)) => DiskTrouble::Slow { by: by? },
            (other, None) => other,
            (_, Some(by)) => {
                let help = "remove `by`, or write `trouble = \"slow\"`";
                self.reader.problem(by.span.clone(), "only a slow disk takes longer `by` something", "not here", help);
                return None;
            }
        };
        Some(Fault::Disk { node: node?, trouble })
    }

    fn nothing_given(&mut self, message: &str, help: &str) {
        if !self.reader.is_strict() {
            return;
        }
        self.reader.problem(self.section.span.clone(), message, "here", help);
    }
}

/// A way in which a disk misbehaves; how slow a slow one is stands elsewhere.
pub(super) fn trouble(reader: &mut Reader, item: &Item<'_>) -> Option<DiskTrouble> {
    match reader.text(item)? {
        "slow" => Some(DiskTrouble::Slow { by: Duration::ZERO }),
        "failing" => Some(DiskTrouble::Failing),
        "lying" => Some(DiskTrouble::Lying),
        other => {
            let help = super::names::advice(other, "troubles", ["slow", "failing", "lying"].into_iter());
            reader.problem(item.span.clone(), format!("a disk cannot be `{other}`"), "unknown trouble", help);
            None
        }
    }
}
