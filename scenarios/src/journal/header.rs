//! The first line of a journal: which campaign it is of, so that no other is ever continued by it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sim_core::search::{Seeds, Shard};

use crate::registry::Engine;
use crate::report::failure::quoted;
use crate::runner::{Options, Which};

/// Version of the format.
pub const FORMAT: u32 = 1;

/// Which campaign a journal is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// [`FORMAT`]; its key comes first in the file, by which journals are recognised.
    #[serde(rename = "fencepost-journal")]
    pub format: u32,
    /// The version of this crate.
    pub version: String,
    /// Tells the program from other builds of it: a protocol that was changed makes another program.
    pub build: String,
    /// What runs the nodes.
    pub engine: Engine,
    /// `run` or `fuzz`.
    pub verb: Verb,
    /// Which part of the campaign, such as `2/4`; all of it if not given.
    pub shard: Option<String>,
    /// The seeds of each scenario before they were dealt out to shards; each scenario's own if not given.
    pub seeds: Option<Seeds>,
    /// Whether scenarios go on behind their own seeds, until their time is up.
    pub endless: bool,
    /// Whether every seed is run twice.
    pub check_determinism: bool,
    /// The scenarios of the campaign, those of other shards included.
    pub scenarios: Vec<Listed>,
    /// The command that began the journal, for messages.
    pub command: Vec<String>,
}

/// What a campaign is for, and what its shards share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Shards share the scenarios.
    Run,
    /// Shards share the seeds of each scenario.
    Fuzz,
}

/// A scenario of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its place as an argument of the command.
    pub argument: String,
    /// Hash of its text, in hexadecimal; none if the file cannot be read.
    pub hash: Option<String>,
}

impl Header {
    /// The header of a campaign that this program makes.
    ///
    /// # Errors
    /// If the program's own file, which tells its builds apart, cannot be read.
    pub fn new(verb: Verb, shard: Option<Shard>, options: &Options, scenarios: Vec<Listed>) -> std::io::Result<Self> {
        let seeds = match &options.seeds {
            Which::Seeds(seeds) => Some(seeds.clone()),
            Which::OfScenario => None,
            Which::One(seed) => Some(Seeds::one(*seed)),
        };
        Ok(Header {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: super::lines::fingerprint(&std::env::current_exe()?)?,
            engine: options.engine,
            verb,
            shard: shard.map(|shard| shard.to_string()),
            endless: seeds.is_none() && options.time.is_some(),
            seeds,
            check_determinism: options.check_determinism,
            scenarios,
            command: std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        })
    }

    /// The shard, if it is one.
    pub fn shard(&self) -> Option<Shard> {
        self.shard.as_ref().and_then(|shard| shard.parse().ok())
    }

    /// The command that began the journal, for a shell.
    pub fn command(&self) -> String {
        let program = self.command.first().and_then(|program| Path::new(program).file_stem()?.to_str());
        let words = [program.unwrap_or("fencepost")].into_iter().chain(self.command.iter().skip(1).map(String::as_str));
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// In what another campaign differs from the one of this journal, shards aside; nothing if they are the same.
    pub fn differences(&self, other: &Header) -> Vec<Difference> {
        let mut all = Vec::new();
        let mut campaign = |what: &str, mine: String, others: String| {
            if mine != others {
                all.push(Difference::Campaign(format!("{what} {mine}, not {others}")));
            }
        };
        campaign("it is of", format!("`{}`", self.verb.name()), format!("`{}`", other.verb.name()));
        campaign("its engine is", self.engine.to_string(), other.engine.to_string());
        campaign("its seeds are", self.seeds_text(), other.seeds_text());
        campaign("each seed is run", self.times().to_owned(), other.times().to_owned());
        campaign("its scenarios are", self.names(), other.names());
        if self.version != other.version || self.build != other.build {
            all.push(Difference::Stale("the program has changed since: it is another build".to_owned()));
        }
        for (mine, others) in self.scenarios.iter().zip(&other.scenarios) {
            if mine.name == others.name && mine.hash != others.hash {
                all.push(Difference::Stale(format!("{} has changed since", mine.argument)));
            }
        }
        all
    }

    fn seeds_text(&self) -> String {
        match &self.seeds {
            Some(seeds) => seeds.to_string(),
            None if self.endless => "all from 0 on".to_owned(),
            None => "each scenario's own".to_owned(),
        }
    }

    fn times(&self) -> &'static str {
        if self.check_determinism { "twice" } else { "once" }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
        match &names[..] {
            [first, second, rest @ ..] if rest.len() > 2 => format!("{first}, {second} and {} more", rest.len()),
            _ => names.join(", "),
        }
    }

    /// What the scenarios were run with; the limit of time and the number of threads are not part of it.
    pub fn options(&self) -> Options {
        Options {
            seeds: self.seeds.clone().map_or(Which::OfScenario, Which::Seeds),
            shard: self.shard().filter(|_| self.verb == Verb::Fuzz),
            time: self.endless.then_some(std::time::Duration::MAX),
            check_determinism: self.check_determinism,
            engine: self.engine,
            exhaustive: self.verb == Verb::Fuzz,
            ..Options::default()
        }
    }
}

impl Verb {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Run => "run",
            Verb::Fuzz => "fuzz",
        }
    }
}

/// Why a journal cannot be continued by a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is of another campaign.
    Campaign(String),
    /// It is of this one, but what was run is not what would be run now.
    Stale(String),
}

impl Difference {
    /// In words.
    pub fn text(&self) -> &str {
        match self {
            Difference::Campaign(text) | Difference::Stale(text) => text,
        }
    }
}
