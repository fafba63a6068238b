//! Where all nondeterminism comes from.
//!
//! Everything that is not decided by the protocol is a *decision* at a *site*: a directed link, a disk, a node's own
//! randomness, a planned fault. The n-th decision at a site is a pure function of (seed, site, n): one ChaCha key
//! from the seed, one stream a site. So removing a fault or a message never changes what is decided elsewhere, which
//! is what makes shrinking stable.
//!
//! A [`Schedule`] is a baseline, the clocks, the planned faults, and sparse deviations from the baseline. One that is
//! *explicit* says all that chance decided in a run, so that nothing of it depends on how random numbers are made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::copy::copied_by_field;
use crate::{ClockSetting, FaultPlan, Instant, NodeId, Trigger};

/// Everything outside the protocol that decides how a run goes.
#[derive(Debug, PartialEq)]
pub struct Schedule {
    /// Key of all randomness. On a calm baseline only the nodes' own draws use it, those that are not listed.
    pub seed: u64,
    /// How links and disks behave where no deviation says otherwise.
    pub baseline: Baseline,
    /// Clocks that differ from the world's.
    pub clocks: BTreeMap<NodeId, ClockSetting>,
    /// What is to break.
    pub faults: FaultPlan,
    /// Exceptions to the baseline.
    pub deviations: Deviations,
    /// Nodes whose process never starts, whatever is planned: the cluster is smaller by them. Their machines are there
    /// and refuse connections.
    pub absent: BTreeSet<NodeId>,
    /// The first numbers that nodes draw from their own randomness; the seed gives those that follow.
    pub draws: BTreeMap<NodeId, Vec<u64>>,
}

copied_by_field! { impl[] Schedule { seed, baseline, clocks, faults, deviations, absent, draws } }

/// How links and disks behave where no deviation says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The middling latency everywhere, no loss, no duplication.
    Calm,
    /// Drawn by the schedule's seed from the configured ranges and probabilities.
    Seeded,
}

impl Schedule {
    /// A run whose links and disks are drawn by `seed`; nothing planned to break.
    pub fn seeded(seed: u64) -> Self {
        Schedule {
            seed,
            baseline: Baseline::Seeded,
            clocks: BTreeMap::new(),
            faults: FaultPlan::default(),
            deviations: Deviations::default(),
            absent: BTreeSet::new(),
            draws: BTreeMap::new(),
        }
    }

    /// A run without surprises: every message takes the middling latency. The nodes' own randomness is `seed`'s.
    pub fn calm(seed: u64) -> Self {
        Schedule { baseline: Baseline::Calm, ..Schedule::seeded(seed) }
    }

    /// The world time at which a planned fault strikes, if it does not wait for anything: where in its window the seed
    /// puts it, or the middle of the window on a calm baseline.
    pub(crate) fn moment_of(&self, fault: u32, trigger: &Trigger, randomness: &mut Randomness) -> Option<Instant> {
        match *trigger {
            Trigger::At(at) => Some(at),
            Trigger::Window { from, to } => {
                let span = to.as_nanos().saturating_sub(from.as_nanos());
                let word = match self.baseline {
                    Baseline::Seeded => randomness.draw(Site::Fault(fault), 0)[0],
                    Baseline::Calm => 1 << 31,
                };
                Some(Instant::from_nanos(from.as_nanos() + scaled(word, span)))
            }
            Trigger::OnEvent(_) | Trigger::OnMark { .. } => None,
        }
    }

    /// The same with every window replaced by the moment in it at which the fault strikes.
    pub(crate) fn with_moments(&self) -> Schedule {
        let mut exact = self.clone();
        let mut randomness = Randomness::new(self.seed);
        for planned in &mut exact.faults.faults {
            if let Some(at) = self.moment_of(planned.id, &planned.trigger, &mut randomness) {
                planned.trigger = Trigger::At(at);
            }
        }
        exact
    }
}

/// A place where something is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// What happens to each message from one node to another.
    Link(NodeId, NodeId),
    /// How long each sync takes, and what a crash leaves of the unsynced tail.
    Disk(NodeId),
    /// What [`crate::Context::random`] returns.
    Node(NodeId),
    /// When and where the planned fault with this id strikes.
    Fault(u32),
    /// Free for the makers of schedules and workloads.
    Plan(u32),
}

impl Site {
    /// The number of the site's stream; distinct for distinct sites.
    const fn stream(self) -> u64 {
        match self {
            Site::Link(from, to) => 1 << 56 | (from.0 as u64) << 16 | to.0 as u64,
            Site::Disk(node) => 2 << 56 | node.0 as u64,
            Site::Node(node) => 3 << 56 | node.0 as u64,
            Site::Fault(id) => 4 << 56 | id as u64,
            Site::Plan(number) => 5 << 56 | number as u64,
        }
    }
}

/// One decision's worth of randomness: four independent words.
pub type Draw = [u32; 4];

/// Words in a block of buffered decisions: what one call of the generator makes.
const BLOCK_WORDS: usize = 64;
const DRAWS_PER_BLOCK: u32 = (BLOCK_WORDS / 4) as u32;
/// Places for the blocks of sites that have none of their own.
const SHARED: usize = 8;
/// Random access to the decisions of a seed: `draw(site, n)` is a pure function of (seed, site, n).
///
/// The last block of each site is kept so that consecutive decisions at a site cost a look-up; they are a cache, not
/// state, and a clone starts without them.
///
/// ```
/// use sim_core::{NodeId, Randomness, Site};
/// let link = Site::Link(NodeId(0), NodeId(1));
/// let mut a = Randomness::new(7);
/// let tenth = a.draw(link, 10);
/// let mut b = Randomness::new(7);
/// b.draw(Site::Disk(NodeId(0)), 3);
/// assert_eq!(b.draw(link, 10), tenth);
/// ```
#[derive(Debug)]
pub struct Randomness {
    seed: u64,
    key: ChaCha8Rng,
    /// How many nodes have places of their own for their sites.
    nodes: usize,
    /// Filled when first needed: most links of a large cluster carry nothing.
    buffers: Vec<Option<Box<Buffer>>>,
    /// Numbers that nodes draw before any of their stream; none in most runs.
    listed: Option<Arc<BTreeMap<NodeId, Vec<u64>>>>,
}

#[derive(Debug)]
struct Buffer {
    stream: u64,
    block: u32,
    words: [u32; BLOCK_WORDS],
}

impl Clone for Randomness {
    fn clone(&self) -> Self {
        let Randomness { seed, nodes, .. } = *self;
        Randomness { seed, key: self.key.clone(), nodes, buffers: Vec::new(), listed: self.listed.clone() }
    }

    fn clone_from(&mut self, source: &Self) {
        if (self.seed, self.nodes) == (source.seed, source.nodes) {
            // What is kept of a stream is right wherever its reader stands.
            self.listed.clone_from(&source.listed);
        } else {
            *self = source.clone();
        }
    }
}

impl Randomness {
    /// The decisions of `seed`.
    pub fn new(seed: u64) -> Self {
        Randomness::for_nodes(seed, 0)
    }

    /// The decisions of `seed`, with room to keep a block for each site of so many nodes. What is decided is the same.
    pub(crate) fn for_nodes(seed: u64, nodes: usize) -> Self {
        Randomness { seed, key: ChaCha8Rng::seed_from_u64(seed), nodes, buffers: Vec::new(), listed: None }
    }

    /// Gives nodes these numbers before any of their own streams.
    pub(crate) fn list(&mut self, draws: &BTreeMap<NodeId, Vec<u64>>) {
        self.listed = (!draws.is_empty()).then(|| Arc::new(draws.clone()));
    }

    fn listed(&self, node: NodeId, number: u32) -> Option<u64> {
        self.listed.as_ref()?.get(&node)?.get(number as usize).copied()
    }

    /// The `n`-th decision at `site`.
    #[inline]
    pub fn draw(&mut self, site: Site, n: u32) -> Draw {
        let stream = site.stream();
        let block = n / DRAWS_PER_BLOCK;
        let place = self.place(site);
        let buffer = match self.buffers.get(place) {
            Some(Some(buffer)) if buffer.stream == stream && buffer.block == block => buffer,
            _ => self.fill(place, stream, block),
        };
        let at = (n % DRAWS_PER_BLOCK) as usize * 4;
        [buffer.words[at], buffer.words[at + 1], buffer.words[at + 2], buffer.words[at + 3]]
    }

    /// Where a site's block is kept. Sites that are no known node's share a few places.
    #[inline]
    fn place(&self, site: Site) -> usize {
        let nodes = self.nodes;
        match site {
            Site::Link(from, to) if from.index().max(to.index()) < nodes => SHARED + from.index() * nodes + to.index(),
            Site::Node(node) if node.index() < nodes => SHARED + nodes * nodes + node.index(),
            Site::Disk(node) if node.index() < nodes => SHARED + nodes * nodes + nodes + node.index(),
            _ => site.stream() as usize % SHARED,
        }
    }

    #[cold]
    fn fill(&mut self, place: usize, stream: u64, block: u32) -> &Buffer {
        if self.buffers.is_empty() {
            self.buffers.resize_with(SHARED + self.nodes * (self.nodes + 2), || None);
        }
        let mut generator = self.key.clone();
        generator.set_stream(stream);
        generator.set_word_pos(u128::from(block) * BLOCK_WORDS as u128);
        let buffer =
            self.buffers[place].get_or_insert_with(|| Box::new(Buffer { stream, block, words: [0; BLOCK_WORDS] }));
        buffer.stream = stream;
        buffer.block = block;
        let mut bytes = [0; BLOCK_WORDS * 4];
        generator.fill_bytes(&mut bytes);
        for (word, bytes) in buffer.words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        buffer
    }
}

/// A draw scaled evenly to `0..=span`.
pub(crate) fn scaled(word: u32, span: u64) -> u64 {
    if span < 1 << 32 {
        (u64::from(word) * (span + 1)) >> 32
    } else {
        ((u128::from(word) * (u128::from(span) + 1)) >> 32) as u64
    }
}

/// Whether a draw falls below a probability.
pub(crate) fn chance(word: u32, probability: f64) -> bool {
    f64::from(word) < probability * 4_294_967_296.0
}

/// How far a node is in its own stream.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct NodeRandom {
    drawn: u32,
}

impl NodeRandom {
    /// As if so many numbers had been drawn.
    pub(crate) fn from_number(drawn: u32) -> Self {
        NodeRandom { drawn }
    }

    /// The node's next number: two words of a decision make one, so that a decision gives two numbers.
    pub(crate) fn next(&mut self, node: NodeId, randomness: &mut Randomness) -> u64 {
        let number = self.drawn;
        self.drawn += 1;
        randomness.listed(node, number).unwrap_or_else(|| {
            let draw = randomness.draw(Site::Node(node), number / 2);
            let half = (number % 2) as usize * 2;
            u64::from(draw[half]) << 32 | u64::from(draw[half + 1])
        })
    }

    /// All that the node has drawn so far.
    pub(crate) fn so_far(self, node: NodeId, randomness: &mut Randomness) -> Vec<u64> {
        let mut again = NodeRandom::default();
        (0..self.drawn).map(|_| again.next(node, randomness)).collect()
    }
}

/// An exception to what the baseline does with one message, one sync or one crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// The datagram never arrives; on a connection it is sent again after the retransmission timeout.
    Lost,
    /// The datagram arrives twice, the second time after this much latency. Without meaning on a connection.
    Duplicated {
        /// Latency of the first copy.
        first: Duration,
        /// Latency of the second copy.
        second: Duration,
    },
    /// The message arrives, or the sync ends, after this much latency instead of the baseline's.
    Delayed(Duration),
    /// A crash leaves this much of what was not synced; nothing on a calm baseline. Without meaning on a link.
    Kept {
        /// How many unsynced writes survive, oldest first.
        writes: u32,
        /// Whether the next one leaves a part of itself.
        torn: bool,
    },
}

/// Where a deviation applies: the site, the moment of the send, sync or crash, and its ordinal among those of the same
/// site at the same moment. Not a running number: removing one would then renumber all later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// World time of the send, the call of sync or the crash.
    pub at: Instant,
    /// Counts from zero the sends of the link, or the syncs and crashes of the disk, at that very instant.
    pub ordinal: u32,
}

/// Sparse exceptions to the baseline, by site and moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deviations {
    by_site: BTreeMap<Site, Vec<(Moment, Deviation)>>,
}

impl Deviations {
    /// Adds one, or replaces the one at the same site and moment.
    ///
    /// # Panics
    /// If the site is neither a link nor a disk: nothing else can deviate.
    pub fn insert(&mut self, site: Site, moment: Moment, deviation: Deviation) {
        assert!(matches!(site, Site::Link(..) | Site::Disk(_)), "only links and disks deviate, not {site:?}");
        let list = self.by_site.entry(site).or_default();
        match list.binary_search_by_key(&moment, |&(m, _)| m) {
            Ok(at) => list[at].1 = deviation,
            Err(at) => list.insert(at, (moment, deviation)),
        }
    }

    /// Removes the one at a site and moment, and returns it if there was one.
    pub fn remove(&mut self, site: Site, moment: Moment) -> Option<Deviation> {
        let list = self.by_site.get_mut(&site)?;
        let at = list.binary_search_by_key(&moment, |&(m, _)| m).ok()?;
        let (_, deviation) = list.remove(at);
        if list.is_empty() {
            self.by_site.remove(&site);
        }
        Some(deviation)
    }

    /// The one at a site and moment.
    pub fn get(&self, site: Site, moment: Moment) -> Option<Deviation> {
        let list = self.by_site.get(&site)?;
        let at = list.binary_search_by_key(&moment, |&(m, _)| m).ok()?;
        Some(list[at].1)
    }

    /// All of them, by site and then by moment.
    pub fn iter(&self) -> impl Iterator<Item = (Site, Moment, Deviation)> + '_ {
        self.by_site
            .iter()
            .flat_map(|(&site, list)| list.iter().map(move |&(moment, deviation)| (site, moment, deviation)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_site.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_site.is_empty()
    }

    /// Those of one site, in order of moment.
    pub(crate) fn at(&self, site: Site) -> &[(Moment, Deviation)] {
        self.by_site.get(&site).map_or(&[], Vec::as_slice)
    }
}
