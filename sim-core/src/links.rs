//! The directed links between nodes: what becomes of each message, and which links are cut or degraded.
//!
//! # In flight when a link is cut
//! A cut acts where messages are sent. What was sent before the cut still arrives; what is sent during the cut is
//! lost (a datagram) or waits (on a connection), even if the link heals before it would have arrived.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use crate::copy::copied_by_field;
use crate::schedule::{chance, scaled};
use crate::time::nanos;
use crate::{
    Baseline, Degradation, Deviation, Draw, Moment, NetworkConfig, NodeId, Randomness, Schedule, Select, Site,
};

#[derive(Debug)]
pub(crate) struct Links {
    nodes: usize,
    /// Shortest latency, and how much longer the longest is.
    shortest: u64,
    span: u64,
    loss: f64,
    duplication: f64,
    /// Whether a sound link can only ever let a message pass once.
    lossless: bool,
    links: Vec<Link>,
    /// When the last message was sent on any of them.
    last_send: u64,
    /// How many cuts of links are in force.
    cuts: u32,
    degradations: Vec<Degraded>,
    /// When each link of finite bandwidth has put everything on the wire that was sent so far.
    free_at: BTreeMap<usize, u64>,
    rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    /// When the last message was sent, and how many were sent at that instant before it.
    last_send: u64,
    ordinal: u32,
    /// Running number of the link's decisions.
    decisions: u32,
    /// How many faults in force cut the link.
    cuts: u32,
    /// How many faults in force degrade the link.
    degradations: u16,
    /// Whether the schedule has deviations for this link.
    deviates: bool,
    /// How many of the schedule's deviations for this link lie behind.
    cursor: u32,
}

#[derive(Clone, Copy, Debug)]
struct Degraded {
    fault: u32,
    link: usize,
    how: Degradation,
}

/// A planned loss or delay of selected messages.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub fault: u32,
    pub select: Select,
    pub remaining: u32,
    pub action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Drop,
    Delay(u64),
}

/// How a link lets a message pass: latencies in nanoseconds, without the time to put it on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    Once(u64),
    Twice(u64, u64),
    Lost,
}

/// Every word in the middle of its range: what a calm baseline draws.
const MIDDLING: Draw = [1 << 31; 4];

copied_by_field! {
    impl[] Links {
        nodes, shortest, span, loss, duplication, lossless, links, last_send, cuts, degradations, free_at, rules,
    }
}

impl Links {
    pub fn new(nodes: usize, config: &NetworkConfig, schedule: &Schedule) -> Self {
        let mut links = vec![Link::default(); nodes * nodes];
        for (site, ..) in schedule.deviations.iter() {
            if let Site::Link(from, to) = site {
                links[from.index() * nodes + to.index()].deviates = true;
            }
        }
        let shortest = nanos(config.latency.0);
        Links {
            nodes,
            shortest,
            span: nanos(config.latency.1).saturating_sub(shortest),
            loss: config.loss,
            duplication: config.duplication,
            lossless: config.loss == 0.0 && config.duplication == 0.0,
            links,
            last_send: u64::MAX,
            cuts: 0,
            degradations: Vec::new(),
            free_at: BTreeMap::new(),
            rules: Vec::new(),
        }
    }

    /// Adds to a hash what decides what becomes of messages from the moment `soon` on.
    pub fn hash_state(&self, soon: u64, schedule: &Schedule, hash: &mut impl Hasher) {
        let drawn = schedule.baseline == Baseline::Seeded;
        // Deviations are addressed by how many were sent at the same instant before.
        if drawn || self.cuts > 0 || self.last_send == soon {
            for (index, link) in self.links.iter().enumerate() {
                let ordinal = if link.last_send == soon { link.ordinal + 1 } else { 0 };
                let decisions = if drawn { link.decisions } else { 0 };
                if (link.cuts, ordinal, decisions) != (0, 0, 0) {
                    (3_u8, index, link.cuts, ordinal, decisions).hash(hash);
                }
            }
        }
        for degraded in &self.degradations {
            (0_u8, degraded.link, degraded.how).hash(hash);
        }
        for (link, &free_at) in self.free_at.iter().filter(|&(_, &free_at)| free_at > soon) {
            (1_u8, link, free_at).hash(hash);
        }
        for rule in &self.rules {
            (2_u8, &rule.select, rule.remaining, rule.action).hash(hash);
        }
    }

    #[inline]
    fn index(&self, from: NodeId, to: NodeId) -> usize {
        from.index() * self.nodes + to.index()
    }

    /// Decides what happens to the next message of a link, sent now. Called for every message, cut or not, so that a
    /// cut does not change what is decided for the messages after it.
    #[inline]
    pub fn decide(
        &mut self,
        from: NodeId,
        to: NodeId,
        now: u64,
        schedule: &Schedule,
        randomness: &mut Randomness,
    ) -> (Passage, Moment) {
        let index = self.index(from, to);
        let link = &mut self.links[index];
        link.ordinal = if link.last_send == now { link.ordinal + 1 } else { 0 };
        link.last_send = now;
        self.last_send = now;
        let number = link.decisions;
        link.decisions += 1;
        let moment = Moment { at: crate::Instant::from_nanos(now), ordinal: link.ordinal };
        if link.deviates
            && let Some(deviation) = link.deviation(schedule.deviations.at(Site::Link(from, to)), moment)
            && let Some(passage) = Passage::of(deviation)
        {
            return (passage, moment);
        }
        let draw = match schedule.baseline {
            Baseline::Seeded => randomness.draw(Site::Link(from, to), number),
            Baseline::Calm => MIDDLING,
        };
        if self.lossless && self.links[index].degradations == 0 {
            return (Passage::Once(self.shortest + scaled(draw[0], self.span)), moment);
        }
        (self.chancy_passage(index, draw), moment)
    }

    /// How a message passes that something may happen to.
    fn chancy_passage(&self, index: usize, draw: Draw) -> Passage {
        let mut latency = self.shortest + scaled(draw[0], self.span);
        let (mut loss, mut duplication) = (self.loss, self.duplication);
        // Words are shared between purposes that do not meet in one message's decision.
        let jitter = if draw == MIDDLING { MIDDLING[0] } else { draw[0].rotate_left(16) ^ draw[3] };
        for degraded in self.degradations.iter().filter(|d| d.link == index) {
            latency += nanos(degraded.how.latency) + scaled(jitter, nanos(degraded.how.jitter));
            loss = 1.0 - (1.0 - loss) * (1.0 - degraded.how.loss);
            duplication = 1.0 - (1.0 - duplication) * (1.0 - degraded.how.duplication);
        }
        if loss > 0.0 && chance(draw[1], loss) {
            Passage::Lost
        } else if duplication > 0.0 && chance(draw[2], duplication) {
            Passage::Twice(latency, latency + 1 + scaled(draw[3], self.span))
        } else {
            Passage::Once(latency)
        }
    }

    /// Lets a link look for deviations from now on.
    pub fn expect_deviation(&mut self, from: NodeId, to: NodeId) {
        let index = self.index(from, to);
        self.links[index].deviates = true;
    }

    /// The links on which something was sent at the present instant since `before`, and which of the messages of this
    /// instant these were.
    pub fn grown_since<'a>(
        &'a self,
        before: &'a Links,
    ) -> impl Iterator<Item = (NodeId, NodeId, std::ops::Range<u32>)> + 'a {
        self.links.iter().zip(&before.links).enumerate().filter_map(|(index, (link, old))| {
            let count = link.decisions - old.decisions;
            let (from, to) = (NodeId((index / self.nodes) as u16), NodeId((index % self.nodes) as u16));
            (count > 0).then(|| (from, to, link.ordinal + 1 - count..link.ordinal + 1))
        })
    }

    /// How a message passes that meets no surprise.
    pub fn calm_passage(&self, from: NodeId, to: NodeId) -> Passage {
        self.chancy_passage(self.index(from, to), MIDDLING)
    }

    /// The latency of a packet that meets no surprise.
    pub fn middling_latency(&self, from: NodeId, to: NodeId, config: &NetworkConfig) -> u64 {
        match self.calm_passage(from, to) {
            Passage::Once(latency) | Passage::Twice(latency, _) => latency,
            Passage::Lost => nanos(config.retransmission_timeout),
        }
    }

    /// When a message of `bytes` that is sent now has been put on the wire.
    #[inline]
    pub fn put_on_wire(&mut self, from: NodeId, to: NodeId, bytes: u32, now: u64, config: &NetworkConfig) -> u64 {
        let index = self.index(from, to);
        if config.bandwidth.is_none() && self.links[index].degradations == 0 {
            return now;
        }
        self.queue_on_wire(index, bytes, now, config)
    }

    fn queue_on_wire(&mut self, index: usize, bytes: u32, now: u64, config: &NetworkConfig) -> u64 {
        let degraded = self.degradations.iter().filter(|d| d.link == index).filter_map(|d| d.how.bandwidth);
        let Some(bandwidth) = degraded.chain(config.bandwidth).min() else { return now };
        let free_at = self.free_at.entry(index).or_default();
        let duration = u128::from(bytes) * 1_000_000_000 / u128::from(bandwidth.max(1));
        *free_at = (*free_at).max(now).saturating_add(duration as u64);
        *free_at
    }

    #[inline]
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.links[self.index(from, to)].cuts > 0
    }

    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        let index = self.index(from, to);
        self.links[index].cuts += 1;
        self.cuts += 1;
    }

    pub fn mend(&mut self, from: NodeId, to: NodeId) {
        let index = self.index(from, to);
        self.links[index].cuts -= 1;
        self.cuts -= 1;
    }

    pub fn degrade(&mut self, fault: u32, from: NodeId, to: NodeId, how: Degradation) {
        let link = self.index(from, to);
        self.links[link].degradations += 1;
        self.degradations.push(Degraded { fault, link, how });
    }

    pub fn restore(&mut self, fault: u32) {
        let links = &mut self.links;
        self.degradations.retain(|degraded| {
            let ended = degraded.fault == fault;
            links[degraded.link].degradations -= u16::from(ended);
            !ended
        });
    }

    /// Ends what is done to everything that one node sends, and to nothing else.
    pub fn forget_sender(&mut self, from: NodeId) {
        let (first, nodes, links) = (self.index(from, NodeId(0)), self.nodes, &mut self.links);
        self.degradations.retain(|degraded| {
            let own = (first..first + nodes).contains(&degraded.link);
            links[degraded.link].degradations -= u16::from(own);
            !own
        });
        self.rules.retain(|rule| rule.select.from != Some(from));
    }

    pub fn add_rule(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub fn remove_rules(&mut self, fault: u32) {
        self.rules.retain(|rule| rule.fault != fault);
    }

    /// The first planned loss or delay that selects a message, which it uses up.
    #[inline]
    pub fn rule_for(&mut self, kind: &'static str, from: NodeId, to: NodeId) -> Option<(u32, Action)> {
        if self.rules.is_empty() {
            return None;
        }
        let at = self.rules.iter().position(|rule| rule.select.matches(kind, from, to))?;
        let rule = &mut self.rules[at];
        let hit = (rule.fault, rule.action);
        rule.remaining -= 1;
        if rule.remaining == 0 {
            self.rules.remove(at);
        }
        Some(hit)
    }
}

impl Default for Link {
    fn default() -> Self {
        // No send lies before the first: its ordinal is 0 even at time zero.
        Link { last_send: u64::MAX, ordinal: 0, decisions: 0, cuts: 0, degradations: 0, deviates: false, cursor: 0 }
    }
}

impl Passage {
    /// What a deviation makes of a message; `None` if it has no meaning for one.
    fn of(deviation: Deviation) -> Option<Passage> {
        match deviation {
            Deviation::Lost => Some(Passage::Lost),
            Deviation::Duplicated { first, second } => Some(Passage::Twice(nanos(first), nanos(second))),
            Deviation::Delayed(latency) => Some(Passage::Once(nanos(latency))),
            Deviation::Kept { .. } => None,
        }
    }
}

impl Link {
    fn deviation(&mut self, deviations: &[(Moment, Deviation)], moment: Moment) -> Option<Deviation> {
        while let Some(&(at, deviation)) = deviations.get(self.cursor as usize) {
            if at > moment {
                return None;
            }
            self.cursor += 1;
            if at == moment {
                return Some(deviation);
            }
        }
        None
    }
}
