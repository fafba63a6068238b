//! The engines that a scenario can run on.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use ::tokio::sync::mpsc::Receiver;
use rayon::ThreadPoolBuildError;
use serde::{Deserialize, Serialize};
use sim_core::host::mirror::Follower;
use sim_core::host::record::Told;
use sim_core::host::tokio;
use sim_core::search::shrink::{Observed, Trial};
use sim_core::search::{Exploration, Explorer, Orders, Untimed};
use sim_core::trace::Trace;
use sim_core::{Instant, Outcome, Schedule};

use super::Compiled;
use crate::format::Scenario;

/// What brings the events of a run about.
///
/// ```
/// use scenarios::registry::Engine;
/// assert_eq!("madsim".parse(), Ok(Engine::Madsim));
/// assert_eq!(Engine::default().to_string(), "native");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Fencepost's own: the fastest, and the only one that can search.
    #[default]
    Native,
    /// madsim, a simulator of asynchronous programs that others have written.
    Madsim,
}

impl Engine {
    /// Makes a scenario run on this engine. What searches, such as shrinking and exploring, is the native engine's.
    pub fn host(self, compiled: Box<dyn Compiled>) -> Box<dyn Compiled> {
        match self {
            Engine::Native => compiled,
            Engine::Madsim => Box::new(OnMadsim(compiled)),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Engine::Native => "native",
            Engine::Madsim => "madsim",
        })
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "native" => Ok(Engine::Native),
            "madsim" if cfg!(madsim) => Ok(Engine::Madsim),
            "madsim" => {
                Err("this program was built without madsim's simulator; a variable RUSTFLAGS replaces the flag \
                             `--cfg madsim` of .cargo/config.toml: unset it, or add the flag to it, and build again"
                    .to_owned())
            }
            _ => Err("there is no such engine; write `native` or `madsim`".to_owned()),
        }
    }
}

/// Why a scenario cannot run on its engine; `None` if it can.
pub fn objection_to(compiled: &dyn Compiled) -> Option<String> {
    objection(compiled, "add `--engine madsim`")
}

/// Why a scenario cannot be searched by what only the native engine does, such as exploring; `None` if it can.
pub fn objection_to_searching(compiled: &dyn Compiled) -> Option<String> {
    objection(
        compiled,
        "what fails of it is found by `fencepost fuzz --engine madsim` and seen by `fencepost replay --engine madsim`",
    )
}

fn objection(compiled: &dyn Compiled, remedy: &str) -> Option<String> {
    let nodes = compiled.asynchronous();
    (compiled.engine() == Engine::Native && !nodes.is_empty()).then(|| {
        format!(
            "of `{}`, {} {} asynchronous code, which only madsim can run: {remedy}",
            compiled.scenario().name,
            nodes.join(", "),
            if nodes.len() == 1 { "is" } else { "are" }
        )
    })
}

/// A scenario whose runs are madsim's.
struct OnMadsim(Box<dyn Compiled>);

impl Compiled for OnMadsim {
    fn engine(&self) -> Engine {
        Engine::Madsim
    }

    fn scenario(&self) -> &Arc<Scenario> {
        self.0.scenario()
    }

    fn node_names(&self) -> &[String] {
        self.0.node_names()
    }

    fn schedule(&self, seed: u64) -> Schedule {
        self.0.schedule(seed)
    }

    fn run(&self, schedule: &Schedule) -> Outcome {
        self.0.run_on_madsim(schedule, false).0
    }

    fn record(&self, schedule: &Schedule) -> (Outcome, Trace) {
        self.0.run_on_madsim(schedule, true)
    }

    fn asynchronous(&self) -> &[String] {
        self.0.asynchronous()
    }

    fn run_on_madsim(&self, schedule: &Schedule, record: bool) -> (Outcome, Trace) {
        self.0.run_on_madsim(schedule, record)
    }

    fn follow(&self, schedule: &Schedule, record: bool) -> Option<Box<dyn Follower>> {
        self.0.follow(schedule, record)
    }

    fn live(
        &self,
        schedule: &Schedule,
        options: &tokio::Options,
        observer: &mut dyn tokio::Observer,
        told: Receiver<Told>,
    ) -> Option<io::Result<tokio::Ending>> {
        self.0.live(schedule, options, observer, told)
    }

    fn message_kinds(&self) -> &'static [&'static str] {
        self.0.message_kinds()
    }

    fn explore(&self, explorer: Explorer<'_>, base: &Schedule) -> Result<Exploration, ThreadPoolBuildError> {
        self.0.explore(explorer, base)
    }

    fn orders(&self, untimed: Untimed<'_>, base: &Schedule) -> Orders {
        self.0.orders(untimed, base)
    }

    fn run_until(&self, schedule: &Schedule, until: Instant) -> Trial {
        self.0.run_until(schedule, until)
    }

    fn observe(&self, schedule: &Schedule, until: Instant) -> (Trial, Observed) {
        self.0.observe(schedule, until)
    }

    fn event_times(&self, schedule: &Schedule, until: Instant) -> Vec<Instant> {
        self.0.event_times(schedule, until)
    }

    fn without_defects(&self) -> Option<Box<dyn Compiled>> {
        self.0.without_defects().map(|fixed| Engine::Madsim.host(fixed))
    }
}
