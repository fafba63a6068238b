//! How many runs each strategy needs to find the historical defects: uniform (each seed has all kinds of random faults),
//! swarm (each seed leaves kinds out) and guided (what reached something new is kept and gone on from).
//!
//! Most canaries set the stage for their defect and break with the first seed. So each defect is put into every clean
//! scenario of its protocol that breaks things at random, and the runs are counted until the property of its canary is
//! violated. Counts come from fixed seeds, so they are the same everywhere; some searches find what they look for early
//! by luck, so there are several of each.

mod child;
mod corpus;
mod dice;
mod guided;
mod reached;
mod searched;
mod targets;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use guided::Guided;
use rayon::iter::{IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};
use scenarios::registry::{Compiled, Registry};
use searched::Searched;
use sim_core::search::guarded;
use targets::Target;

/// Counts the runs that each strategy needs to find the historical defects.
#[derive(Parser)]
struct Args {
    /// Only defects whose id contains this.
    #[arg(long, default_value = "")]
    defect: String,
    /// Only scenarios whose name contains this.
    #[arg(long, default_value = "")]
    scenario: String,
    /// Searches of each strategy for each defect.
    #[arg(long, default_value_t = 5)]
    searches: u64,
    /// The first of the searches' base seeds, which lie 2^32 apart.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Runs after which a search is given up.
    #[arg(long, default_value_t = 10_000)]
    cap: u64,
    /// Compare the strategies only where uniform needs more than so many runs on average.
    #[arg(long, default_value_t = 1_000)]
    harder_than: u64,
    /// Give up on a defect in a scenario if uniform does not find it in so many runs, from seeds that are used for nothing
    /// else.
    #[arg(long, default_value_t = 10_000)]
    screen: u64,
}

/// What several searches of one strategy took.
struct Effort {
    /// Runs of all searches.
    runs: u64,
    /// Searches that found it.
    found: u64,
}

impl Effort {
    /// Runs for each time that it was found. With searches that were given up this is the estimate of the mean under which
    /// what was seen is likeliest.
    fn mean(&self) -> f64 {
        self.runs as f64 / self.found.max(1) as f64
    }

    fn text(&self) -> String {
        let more = if self.found == 0 { ">" } else { "" };
        format!("{more}{:.0} ({})", self.mean(), self.found)
    }
}

/// Runs seeds up to the first that finds the defect.
fn seeds(target: &Target, compiled: &dyn Compiled, base: u64, cap: u64) -> (u64, bool) {
    let finds = |seed: u64| target.is_found(&guarded(|| compiled.run(&compiled.schedule(base + seed))));
    (0..cap).find(|&seed| finds(seed)).map_or((cap, false), |seed| (seed + 1, true))
}

fn guide(target: &Target, base: u64, cap: u64) -> (u64, bool) {
    let searched = Searched { compiled: &*target.uniform };
    let search = Guided::new(&searched, base, cap).jobs(1).stop_when(|outcome| target.is_found(outcome));
    let found = search.run().expect("one thread can be had");
    (found.runs, !found.complete)
}

fn effort(args: &Args, search: impl Fn(u64) -> (u64, bool)) -> Effort {
    let searches = (args.first..args.first + args.searches).map(|number| search(number << 32));
    searches.fold(Effort { runs: 0, found: 0 }, |sum, (runs, found)| Effort {
        runs: sum.runs + runs,
        found: sum.found + u64::from(found),
    })
}

/// What a target came to.
enum Row {
    /// Not found while screening.
    Unseen,
    /// Uniform finds it soon.
    Easy,
    Hard {
        uniform: f64,
        swarm: f64,
        guided: f64,
    },
}

fn row(args: &Args, target: &Target) -> Row {
    if !seeds(target, &*target.uniform, 0, args.screen).1 {
        return Row::Unseen;
    }
    let uniform = effort(args, |base| seeds(target, &*target.uniform, base, args.cap));
    if uniform.mean() <= args.harder_than as f64 {
        return Row::Easy;
    }
    let swarm = effort(args, |base| seeds(target, &*target.swarm, base, args.cap));
    let guided = effort(args, |base| guide(target, base, args.cap));
    // One line at once, although several threads print.
    let _ = writeln!(
        std::io::stdout().lock(),
        "{:<22} {:<36} {:>14} {:>14} {:>14}",
        target.defect,
        target.scenario,
        uniform.text(),
        swarm.text(),
        guided.text()
    );
    Row::Hard { uniform: uniform.mean(), swarm: swarm.mean(), guided: guided.mean() }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let registry = Registry::bundled();
    let pairs = targets::pairs(&registry, &args.defect, &args.scenario);
    println!("runs for each time that the defect was found (how often it was found in {} searches)", args.searches);
    println!("{:<22} {:<36} {:>14} {:>14} {:>14}", "defect", "scenario", "uniform", "swarm", "guided");
    let row = |pair: &targets::Pair| pair.target(&registry).map(|target| row(&args, &target));
    let rows: Vec<Option<Row>> = pairs.par_iter().with_max_len(1).map(row).collect();
    let (mut unsound, mut unseen, mut easy) = (0, 0, 0);
    let (mut swarm_ratios, mut guided_ratios) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            None => unsound += 1,
            Some(Row::Unseen) => unseen += 1,
            Some(Row::Easy) => easy += 1,
            Some(Row::Hard { uniform, swarm, guided }) => {
                swarm_ratios.push(swarm / uniform);
                guided_ratios.push(guided / uniform);
            }
        }
    }
    println!(
        "{} pairs of a defect and a scenario: in {unsound} the scenario cannot have the defect, {unseen} were not found in \
         {} runs, {easy} need at most {} runs",
        pairs.len(),
        args.screen,
        args.harder_than
    );
    if guided_ratios.is_empty() {
        eprintln!("error: none is harder than that");
        return ExitCode::FAILURE;
    }
    println!(
        "median over the {} others, as a part of what uniform needs: swarm {:.2}, guided {:.2}",
        guided_ratios.len(),
        median(swarm_ratios),
        median(guided_ratios)
    );
    ExitCode::SUCCESS
}
