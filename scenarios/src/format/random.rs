//! Reads `[random]`: which kinds of fault strike at random, how often, whom, and for how long.

use std::time::Duration;

use sim_core::{DiskTrouble, HostId, Instant, NodeId};

use super::fault_tables::RANDOM;
use super::grammar::Shape;
use super::known::Known;
use super::names::list;
use super::reader::{Item, Reader, Section};
use super::steps::trouble;
use super::{CLIENT_ROLE, RandomFault, RandomFaults, RandomKind};

/// More faults of a kind than this say nothing that fewer do not, and take memory that a campaign needs.
const MOST_STRIKES: u128 = 10_000;

/// Reads `[random]`. `None` if nothing in it could be read.
pub(super) fn random(reader: &mut Reader, section: &Section<'_>, known: &Known<'_>) -> Option<RandomFaults> {
    let window = section.get("window").and_then(|item| window(reader, item, known));
    let mut flag = |key: &str| section.get(key).and_then(|item| reader.flag(item));
    let (swarm, settle) = (flag("swarm").unwrap_or(false), flag("settle").unwrap_or(true));
    let mut kinds: Vec<RandomKind> = Vec::new();
    let mut named = false;
    for item in section.items().iter().filter(|item| RandomFault::KINDS.contains(&item.key)) {
        named = true;
        kinds.extend(kind(reader, item, known, window, settle));
    }
    if !named && !section.has_unknown_keys() {
        let help = format!("give at least one of {}", list(RandomFault::KINDS));
        reader.problem(section.span.clone(), "`[random]` breaks nothing", "no kind of fault in here", help);
    }
    kinds.sort_by_key(|kind| kind.fault.number());
    Some(RandomFaults { window: window?, swarm, settle, kinds })
}

fn window(reader: &mut Reader, item: &Item<'_>, known: &Known<'_>) -> Option<(Instant, Instant)> {
    let (from, to) = reader.two(item, Reader::instant)?;
    if from == to {
        reader.bad_value(item, "is a single moment", "let it end later than it starts");
        return None;
    }
    if let Some(duration) = known.duration.map(Instant::from)
        && to > duration
    {
        let why = format!("goes on after the end of the run, which takes {duration}");
        reader.bad_value(item, why, "let it end earlier, or choose a longer `duration`");
        return None;
    }
    Some((from, to))
}

/// Reads one kind. With `settle`, its faults must also have ended within the window.
fn kind(
    reader: &mut Reader,
    item: &Item<'_>,
    known: &Known<'_>,
    window: Option<(Instant, Instant)>,
    settle: bool,
) -> Option<RandomKind> {
    let Some(Shape::Table(grammar)) = RANDOM.key(item.key).map(|key| key.shape) else { return None };
    let before = reader.problem_count();
    let section = reader.subsection(grammar, format!("random `{}`", item.key), item)?;
    let has = |key: &str| grammar.key(key).and_then(|_| section.get(key));
    let every = has("every").and_then(|item| every(reader, item, window));
    let hold_item = has("hold").or_else(|| has("down"));
    let hold = hold_item.and_then(|item| reader.range(item, Reader::some_time));
    if let (Some((shortest, _)), Some((from, to)), Some(item)) = (hold, window.filter(|_| settle), hold_item)
        && shortest > to.since(from)
    {
        let why = format!("is longer than the window of {}", Instant::from(to.since(from)));
        reader.bad_value(item, why, "choose a shorter one, a longer `window`, or `settle = false`");
    }
    let at_most = has("at-most").and_then(|item| reader.count(item));
    let total = has("total").and_then(|item| reader.count(item));
    let nodes = candidates(reader, item.key, &section, has("nodes"), known);
    let fault = fault(reader, item.key, &section, known);
    (reader.problem_count() == before)
        .then(|| Some(RandomKind { every: every?, hold, at_most, total, nodes: nodes?, fault: fault? }))
        .flatten()
}

fn every(reader: &mut Reader, item: &Item<'_>, window: Option<(Instant, Instant)>) -> Option<Duration> {
    let every = reader.some_time(item)?;
    let times = window.map_or(0, |(from, to)| to.since(from).as_nanos() / every.as_nanos());
    if times > MOST_STRIKES {
        let why = format!("makes about {times} faults in the window, and the limit is {MOST_STRIKES}");
        reader.bad_value(item, why, "write a longer time, or a shorter `window`");
        return None;
    }
    Some(every)
}

/// Whom a kind can strike. Faults of nodes spare the clients unless the file names them; faults of links do not.
fn candidates(
    reader: &mut Reader,
    kind: &str,
    section: &Section<'_>,
    named: Option<&Item<'_>>,
    known: &Known<'_>,
) -> Option<Vec<NodeId>> {
    if kind == "host-failure" {
        return hosts(reader, section, known);
    }
    let nodes = match named {
        Some(item) => known.nodes(reader, item)?,
        None if matches!(kind, "drop" | "delay") => Vec::new(),
        None if needs_two(kind) => known.everyone(),
        None => known.servers(),
    };
    if needs_two(kind) && nodes.len() < 2 && known.complete {
        let span = named.map_or(section.span.clone(), |item| item.span.clone());
        let message = format!("a random `{kind}` needs two nodes to come between");
        reader.problem(span, message, format!("{} here", nodes.len()), "name at least two nodes, or leave `nodes` out");
    }
    Some(nodes)
}

fn needs_two(kind: &str) -> bool {
    matches!(kind, "partition" | "one-way" | "cut" | "reset" | "degrade")
}

/// The nodes on the machines that can vanish.
fn hosts(reader: &mut Reader, section: &Section<'_>, known: &Known<'_>) -> Option<Vec<NodeId>> {
    let on = |host: HostId| {
        let members = known.members.iter().enumerate();
        members.filter(move |(_, member)| member.host == host).map(|(number, _)| NodeId(number as u16))
    };
    let Some(item) = section.get("hosts") else {
        let servers = known.members.iter().filter(|member| member.role != CLIENT_ROLE);
        let mut hosts: Vec<_> = servers.map(|member| member.host).collect();
        hosts.sort();
        hosts.dedup();
        return Some(hosts.into_iter().flat_map(on).collect());
    };
    let elements = reader.list(item)?;
    if elements.is_empty() {
        reader.bad_value(item, "is empty", "name at least one machine, or leave `hosts` out");
    }
    let named: Vec<_> = elements.iter().map(|element| known.host(reader, element)).collect();
    Some(named.into_iter().flatten().flat_map(on).collect())
}

fn fault(reader: &mut Reader, kind: &str, section: &Section<'_>, known: &Known<'_>) -> Option<RandomFault> {
    let mut read = Ranges { reader, section };
    Some(match kind {
        "crash" => RandomFault::Crash,
        "pause" => RandomFault::Pause,
        "slow" => RandomFault::Slow { per_event: read.durations("per-event")? },
        "clock" => {
            let step = section.get("step").map(|item| read.reader.range(item, Reader::signed_duration));
            let drift = section.get("drift-ppm").map(|item| read.reader.range(item, Reader::drift));
            if step.is_none() && drift.is_none() {
                read.nothing_given("a random `clock` changes nothing", "give `step`, `drift-ppm` or both");
            }
            RandomFault::Clock { step: step.unwrap_or(Some((0, 0)))?, drift_ppm: drift.flatten() }
        }
        "partition" => {
            let one_way = section.get("one-way").map_or(Some(0.0), |item| reader.probability(item));
            RandomFault::Partition { one_way: one_way? }
        }
        "one-way" => RandomFault::OneWay,
        "cut" => RandomFault::Cut,
        "reset" => RandomFault::Reset,
        "degrade" => read.degrade(),
        "drop" => RandomFault::Drop { kinds: read.kinds(known)?, count: read.counts()? },
        "delay" => {
            let (kinds, count, by) = (read.kinds(known), read.counts(), read.durations("by"));
            RandomFault::Delay { kinds: kinds?, count: count?, by: by? }
        }
        "disk" => read.disk()?,
        "host-failure" => RandomFault::HostFailure,
        "command" => {
            let item = section.get("commands")?;
            let commands = reader.list(item)?;
            if commands.is_empty() {
                reader.bad_value(item, "is empty", "name at least one command");
            }
            let commands: Vec<_> = commands.iter().map(|item| known.command(reader, item)).collect();
            RandomFault::Command { commands: commands.into_iter().flatten().collect() }
        }
        _ => unreachable!("the grammar knows a kind of random fault, {kind}, that the reader does not"),
    })
}

/// What is drawn for each fault of a kind, with what is needed to read it.
struct Ranges<'a, 's> {
    reader: &'a mut Reader,
    section: &'a Section<'s>,
}

impl Ranges<'_, '_> {
    fn durations(&mut self, key: &str) -> Option<(Duration, Duration)> {
        self.section.get(key).and_then(|item| self.reader.range(item, Reader::duration))
    }

    fn probabilities(&mut self, key: &str) -> (f64, f64) {
        self.section.get(key).and_then(|item| self.reader.range(item, Reader::probability)).unwrap_or((0.0, 0.0))
    }

    fn counts(&mut self) -> Option<(u32, u32)> {
        self.section.get("count").map_or(Some((1, 1)), |item| self.reader.range(item, Reader::count))
    }

    fn kinds(&mut self, known: &Known<'_>) -> Option<Vec<&'static str>> {
        let Some(item) = self.section.get("kinds") else { return Some(known.protocol?.message_kinds().to_vec()) };
        let elements = self.reader.list(item)?;
        if elements.is_empty() {
            self.reader.bad_value(item, "is empty", "name at least one kind of message, or leave `kinds` out");
        }
        let kinds: Vec<_> = elements.iter().map(|item| known.kind(self.reader, item)).collect();
        Some(kinds.into_iter().flatten().collect())
    }

    fn degrade(&mut self) -> RandomFault {
        if ["latency", "jitter", "loss", "duplication", "bandwidth"].iter().all(|way| self.section.get(way).is_none()) {
            let help = "give `latency`, `jitter`, `loss`, `duplication` or `bandwidth`";
            self.nothing_given("a random `degrade` makes nothing worse", help);
        }
        RandomFault::Degrade {
            latency: self.durations("latency").unwrap_or_default(),
            jitter: self.durations("jitter").unwrap_or_default(),
            loss: self.probabilities("loss"),
            duplication: self.probabilities("duplication"),
            bandwidth: self.section.get("bandwidth").and_then(|item| self.reader.range(item, Reader::size)),
        }
    }

    fn disk(&mut self) -> Option<RandomFault> {
        let by = self.section.get("by").map(|item| self.reader.range(item, Reader::some_time));
        let item = self.section.get("trouble")?;
        let elements = self.reader.list(item)?;
        if elements.is_empty() {
            self.reader.bad_value(item, "is empty", format!("write {}", item.expects));
        }
        let troubles: Vec<_> = elements.iter().map(|item| trouble(self.reader, item)).collect();
        let troubles: Vec<_> = troubles.into_iter().flatten().collect();
        let slow = troubles.iter().any(|trouble| matches!(trouble, DiskTrouble::Slow { .. }));
        match (slow, &by) {
            (true, None) => {
                let help = "add `by`, such as `by = [\"5ms\", \"50ms\"]`";
                self.nothing_given("a slow disk needs to know by how much", help);
            }
            (false, Some(_)) => self.nothing_given("only a slow disk takes longer `by` something", "remove `by`"),
            _ => {}
        }
        Some(RandomFault::Disk { troubles, by: by.unwrap_or(Some((Duration::ZERO, Duration::ZERO)))? })
    }

    fn nothing_given(&mut self, message: &str, help: &str) {
        self.reader.problem(self.section.span.clone(), message, "here", help);
    }
}
