//! Ways of choosing which schedules to run.
//!
//! A protocol is tested by running it under many schedules. What is here decides which ones and adds up what came
//! of them; how a single run goes is [`crate::Run`]'s business. Every search is generic over a function from what
//! it varies to an [`crate::Outcome`], so it knows neither actors nor file formats.

mod campaign;
mod explore;
mod guard;
mod seeds;
pub mod shrink;
mod tally;

pub use campaign::{Campaign, Divergence, Report};
pub use explore::{
    Counterexample, Exploration, ExploreProgress, Explorer, Level, Menu, MessageMenu, Orders, Untimed,
    odds_of_confusion,
};
#[cfg(madsim)]
pub(crate) use guard::attempt;
pub use guard::guarded;
pub use seeds::{ParseSeedError, ParseSeedsError, ParseShardError, Seeds, Shard, parse_seed};
pub use tally::{CauseTally, Chunk, Failure, FaultTally, InvariantTally, Tally};
