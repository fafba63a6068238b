//! Draws what one seed makes of a scenario: clocks, steps and random faults.
//!
//! Each kind of random fault draws from a site of its own, and its faults have ids of their own range. So leaving a
//! kind out, by hand or by swarm, changes nothing about the others.

use std::collections::BTreeMap;
use std::time::Duration;

use sim_core::{
    ClockSetting, Degradation, DiskTrouble, Draw, Fault, HostId, Instant, Member, NodeId, PlannedFault, Randomness,
    Schedule, Select, Site, Trigger,
};

use crate::format::{RandomFault, RandomFaults, RandomKind, Scenario};

/// How many ids each kind has for its faults, and the steps for theirs: steps are numbered from zero, the first kind
/// from here on.
pub const IDS_PER_KIND: u32 = 1_000_000;
/// Decisions that are set aside for one fault: enough to choose a side for each of a thousand nodes.
const DRAWS_PER_FAULT: u32 = 512;
/// Where clocks are drawn; kinds of fault have the sites from zero.
const CLOCKS: Site = Site::Plan(1000);

/// Where the nemesis gets its decisions: from a seed, or from the bytes of a fuzzer.
pub trait Decisions {
    /// The `n`-th decision at a site. The first one of a kind of fault says by its lowest bit whether the schedule has
    /// that kind at all.
    fn draw(&mut self, site: Site, n: u32) -> Draw;
}

impl Decisions for Randomness {
    fn draw(&mut self, site: Site, n: u32) -> Draw {
        Randomness::draw(self, site, n)
    }
}

/// What `seed` makes of a scenario.
pub fn schedule(scenario: &Scenario, seed: u64) -> Schedule {
    decided(scenario, Schedule::seeded(seed), &mut Randomness::new(seed))
}

/// What these decisions make of a scenario: a schedule with its clocks, steps and random faults. Whatever they are, it
/// keeps to what the scenario allows.
pub fn decided(scenario: &Scenario, mut schedule: Schedule, decisions: &mut dyn Decisions) -> Schedule {
    schedule.clocks = clocks(scenario, decisions);
    schedule.faults.faults.extend(scenario.steps.iter().cloned());
    if let Some(random) = &scenario.random {
        schedule.faults.faults.extend(sample(random, &scenario.members, decisions));
    }
    schedule
}

fn clocks(scenario: &Scenario, decisions: &mut dyn Decisions) -> BTreeMap<NodeId, ClockSetting> {
    let mut clocks = BTreeMap::new();
    for range in &scenario.clocks {
        // One decision a node, so that no node's clock depends on which others are set.
        let mut draws = Draws::from(decisions, CLOCKS, range.node.0.into());
        let offset = draws.duration(range.offset);
        let drift_ppm = draws.signed((range.drift_ppm.0.into(), range.drift_ppm.1.into())) as i32;
        clocks.insert(range.node, ClockSetting { offset, drift_ppm });
    }
    clocks
}

/// The random faults of one seed, kind by kind, each kind in order of time.
pub fn sample(random: &RandomFaults, members: &[Member], decisions: &mut dyn Decisions) -> Vec<PlannedFault> {
    let mut faults = Vec::new();
    for kind in &random.kinds {
        let site = Site::Plan(kind.fault.number());
        // The first decision of a kind is whether this seed has it at all.
        let left_out = random.swarm && decisions.draw(site, 0)[0] & 1 == 0;
        if !left_out {
            faults.extend(strikes(kind, random, members, decisions));
        }
    }
    faults
}

/// All faults of one kind that a seed has.
fn strikes(
    kind: &RandomKind,
    random: &RandomFaults,
    members: &[Member],
    decisions: &mut dyn Decisions,
) -> Vec<PlannedFault> {
    let site = Site::Plan(kind.fault.number());
    let (mut at, end) = random.window;
    let mut planned: Vec<PlannedFault> = Vec::new();
    let mut in_force: Vec<(Instant, Option<Victim>)> = Vec::new();
    for number in 0..IDS_PER_KIND {
        let mut draws = Draws::from(decisions, site, 1 + number * DRAWS_PER_FAULT);
        // Anything from nothing to twice the average gives close calls and long silences, and needs no logarithm, whose
        // last digit differs from machine to machine.
        at += draws.duration((Duration::ZERO, kind.every * 2));
        if at > end || kind.total.is_some_and(|total| planned.len() as u32 >= total) {
            break;
        }
        // One that ends at this very moment is still there when the next one strikes.
        in_force.retain(|&(until, _)| until >= at);
        if kind.at_most.is_some_and(|most| in_force.len() as u32 >= most) {
            continue;
        }
        let Some(hold) = hold(kind, random.settle.then(|| end.since(at)), &mut draws) else { continue };
        let victims = victims(kind, members);
        let free: Vec<_> =
            victims.into_iter().filter(|v| in_force.iter().all(|(_, other)| *other != Some(*v))).collect();
        let Some(victim) = draws.pick(&free) else { continue };
        let fault = fault(kind, victim, &mut draws);
        if let Some(hold) = hold {
            let alone = matches!(victim, Victim::Node(_) | Victim::Host(_));
            in_force.push((at + hold, alone.then_some(victim)));
        }
        let id = (kind.fault.number() + 1) * IDS_PER_KIND + number;
        planned.push(PlannedFault { id, trigger: Trigger::At(at), fault, hold });
    }
    planned
}

/// How long a fault lasts; `None` if there is no room for it in what `remains` of the window.
fn hold(kind: &RandomKind, remains: Option<Duration>, draws: &mut Draws<'_>) -> Option<Option<Duration>> {
    match (kind.hold, remains) {
        (Some((shortest, longest)), _) => {
            let longest = remains.map_or(longest, |remains| longest.min(remains));
            (shortest <= longest).then(|| Some(draws.duration((shortest, longest))))
        }
        // Messages that are still to be lost or late by then are spared.
        (None, Some(remains)) if matches!(kind.fault, RandomFault::Drop { .. } | RandomFault::Delay { .. }) => {
            (!remains.is_zero()).then_some(Some(remains))
        }
        (None, _) => Some(None),
    }
}

/// What a fault strikes. One of a kind strikes a node or a machine at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Node(NodeId),
    Host(HostId),
    Network,
}

fn victims(kind: &RandomKind, members: &[Member]) -> Vec<Victim> {
    match kind.fault {
        RandomFault::Crash
        | RandomFault::Pause
        | RandomFault::Slow { .. }
        | RandomFault::Clock { .. }
        | RandomFault::Disk { .. }
        | RandomFault::Command { .. } => kind.nodes.iter().copied().map(Victim::Node).collect(),
        RandomFault::HostFailure => {
            let mut hosts: Vec<_> = kind.nodes.iter().map(|node| members[node.index()].host).collect();
            hosts.sort();
            hosts.dedup();
            hosts.into_iter().map(Victim::Host).collect()
        }
        _ => vec![Victim::Network],
    }
}

fn fault(kind: &RandomKind, victim: Victim, draws: &mut Draws<'_>) -> Fault {
    match (&kind.fault, victim) {
        (RandomFault::Crash, Victim::Node(node)) => Fault::Crash { node },
        (RandomFault::Pause, Victim::Node(node)) => Fault::Pause { node },
        (RandomFault::Slow { per_event }, Victim::Node(node)) => {
            Fault::Slow { node, per_event: draws.duration(*per_event) }
        }
        (RandomFault::Clock { step, drift_ppm }, Victim::Node(node)) => {
            let drift = drift_ppm.map(|(least, largest)| draws.signed((least.into(), largest.into())) as i32);
            Fault::Clock { node, step: draws.signed(*step), drift_ppm: drift }
        }
        (RandomFault::Disk { troubles, by }, Victim::Node(node)) => {
            let trouble = match draws.one_of(troubles) {
                DiskTrouble::Slow { .. } => DiskTrouble::Slow { by: draws.duration(*by) },
                other => other,
            };
            Fault::Disk { node, trouble }
        }
        (RandomFault::Command { commands }, Victim::Node(node)) => {
            Fault::Command { node, command: draws.one_of(commands) }
        }
        (_, Victim::Host(host)) => Fault::HostFailure { host },
        (RandomFault::Partition { one_way }, _) => split(&kind.nodes, *one_way, draws),
        (RandomFault::OneWay, _) => split(&kind.nodes, 1.0, draws),
        (RandomFault::Cut, _) => {
            let (from, to) = draws.two_of(&kind.nodes);
            Fault::Cut { from, to }
        }
        (RandomFault::Reset, _) => {
            let (a, b) = draws.two_of(&kind.nodes);
            Fault::Reset { a, b }
        }
        (RandomFault::Degrade { latency, jitter, loss, duplication, bandwidth }, _) => {
            let (from, to) = draws.two_of(&kind.nodes);
            let degradation = Degradation {
                latency: draws.duration(*latency),
                jitter: draws.duration(*jitter),
                loss: draws.fraction(*loss),
                duplication: draws.fraction(*duplication),
                bandwidth: bandwidth.map(|(least, most)| least + draws.up_to(most - least)),
            };
            Fault::Degrade { from, to, degradation }
        }
        (RandomFault::Drop { kinds, count }, _) => {
            let select = Select { kind: Some(draws.one_of(kinds)), ..Select::default() };
            Fault::Drop { select, count: draws.count(*count) }
        }
        (RandomFault::Delay { kinds, count, by }, _) => {
            let select = Select { kind: Some(draws.one_of(kinds)), ..Select::default() };
            Fault::Delay { select, count: draws.count(*count), by: draws.duration(*by) }
        }
        (fault, _) => unreachable!("a random {} strikes nodes", fault.kind()),
    }
}

/// Two sides, none of them empty; with probability `one_way`, only the way from the first to the second is cut.
fn split(nodes: &[NodeId], one_way: f64, draws: &mut Draws<'_>) -> Fault {
    let directed = draws.chance(one_way);
    let alone = draws.up_to(nodes.len() as u64 - 1) as usize;
    let (mut from, mut to): (Vec<_>, Vec<_>) = nodes.iter().partition(|_| draws.word() & 1 == 1);
    if from.is_empty() {
        from.push(to.remove(alone));
    } else if to.is_empty() {
        to.push(from.remove(alone));
    }
    if directed { Fault::OneWay { from, to } } else { Fault::Partition { groups: vec![from, to] } }
}

/// The words of consecutive decisions at one site.
struct Draws<'a> {
    decisions: &'a mut dyn Decisions,
    site: Site,
    next: u32,
    words: [u32; 4],
    used: usize,
}

impl<'a> Draws<'a> {
    fn from(decisions: &'a mut dyn Decisions, site: Site, first: u32) -> Self {
        Draws { decisions, site, next: first, words: [0; 4], used: 4 }
    }

    fn word(&mut self) -> u32 {
        if self.used == self.words.len() {
            self.words = self.decisions.draw(self.site, self.next);
            self.next += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Evenly from `0..=most`. The span is cut into 2^64 parts, so that no bias can be noticed.
    fn up_to(&mut self, most: u64) -> u64 {
        let word = u128::from(self.word()) << 32 | u128::from(self.word());
        ((word * (u128::from(most) + 1)) >> 64) as u64
    }

    fn duration(&mut self, (shortest, longest): (Duration, Duration)) -> Duration {
        // The reader admits no duration above a year, which is 2^55 nanoseconds.
        shortest + Duration::from_nanos(self.up_to((longest - shortest).as_nanos() as u64))
    }

    fn signed(&mut self, (least, largest): (i64, i64)) -> i64 {
        least.saturating_add_unsigned(self.up_to(largest.abs_diff(least)))
    }

    fn count(&mut self, (fewest, most): (u32, u32)) -> u32 {
        fewest + self.up_to(u64::from(most - fewest)) as u32
    }

    fn fraction(&mut self, (least, largest): (f64, f64)) -> f64 {
        least + (largest - least) * (f64::from(self.word()) / f64::from(u32::MAX))
    }

    fn chance(&mut self, probability: f64) -> bool {
        f64::from(self.word()) < probability * 4_294_967_296.0
    }

    /// One of several; `None` if there is none.
    fn pick<T: Copy>(&mut self, choice: &[T]) -> Option<T> {
        let last = choice.len().checked_sub(1)?;
        Some(choice[self.up_to(last as u64) as usize])
    }

    /// One of a list that the reader has made sure is not empty.
    fn one_of<T: Copy>(&mut self, choice: &[T]) -> T {
        self.pick(choice).expect("an empty list is refused when the scenario is read")
    }

    /// Two different ones of a list that the reader has made sure has at least two.
    fn two_of(&mut self, nodes: &[NodeId]) -> (NodeId, NodeId) {
        let first = self.up_to(nodes.len() as u64 - 1) as usize;
        let other = self.up_to(nodes.len() as u64 - 2) as usize;
        (nodes[first], nodes[if other < first { other } else { other + 1 }])
    }
}
