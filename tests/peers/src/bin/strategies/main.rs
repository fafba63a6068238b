//! How many runs each strategy needs to find the historical defects: uniform (each seed has all kinds of random faults),
//! swarm (each seed leaves kinds out) and guided (what reached something new is kept and gone on from).
//!
//! Most canaries set the stage for their defect and break with the first seed. So each defect is put into every clean
//! scenario of its protocol that breaks things at random, and the runs are counted until the property of its canary is
//! violated. Counts come from fixed seeds, so they are the same everywhere; some searches find what they look for early
//! by luck, so there are several of each, and their median counts. A search that is given up needs more runs than it made,
//! nobody knows how many: every count is a range from what it is at least to what it is at most.

mod child;
mod corpus;
mod dice;
mod guided;
mod range;
mod reached;
mod searched;
mod targets;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::iter;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use guided::Guided;
use range::Range;
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
    /// The strategies that are compared with uniform.
    #[arg(long, value_delimiter = ',', default_value = "swarm,guided")]
    strategies: Vec<Strategy>,
    /// Searches of each strategy for each defect.
    #[arg(long, default_value_t = 8)]
    searches: u64,
    /// The first of the searches' base seeds, which lie 2^32 apart.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Runs after which a search is given up.
    #[arg(long, default_value_t = 10_000)]
    cap: u64,
    /// Compare the strategies only where uniform needs more than so many runs in the median.
    #[arg(long, default_value_t = 1_000)]
    harder_than: u64,
    /// Give up on a defect in a scenario if uniform does not find it in so many runs, from seeds that are used for nothing
    /// else; 0 to give up on none.
    #[arg(long, default_value_t = 10_000)]
    screen: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Strategy {
    Uniform,
    Swarm,
    Guided,
}

/// What several searches of one strategy took.
struct Effort {
    /// The median.
    runs: Range,
    /// Searches that found it.
    found: usize,
}

impl Effort {
    fn text(&self) -> String {
        format!("{:.0} ({})", self.runs, self.found)
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

fn search(strategy: Strategy, target: &Target, base: u64, cap: u64) -> (u64, bool) {
    match strategy {
        Strategy::Uniform => seeds(target, &*target.uniform, base, cap),
        Strategy::Swarm => seeds(target, &*target.swarm, base, cap),
        Strategy::Guided => guide(target, base, cap),
    }
}

fn effort(args: &Args, target: &Target, strategy: Strategy) -> Effort {
    let numbers: Vec<u64> = (args.first..args.first + args.searches).collect();
    let one = |&number: &u64| search(strategy, target, number << 32, args.cap);
    let ends: Vec<(u64, bool)> = numbers.par_iter().with_max_len(1).map(one).collect();
    let runs =
        ends.iter().map(|&(runs, is_found)| if is_found { Range::of(runs as f64) } else { Range::above(runs as f64) });
    Effort { runs: Range::median(runs), found: ends.iter().filter(|(_, is_found)| *is_found).count() }
}

/// What a target came to.
enum Row {
    /// Not found while screening.
    Unseen,
    /// Uniform finds it soon.
    Easy,
    /// What each of the other strategies needs, as a part of what uniform needs.
    Hard(Vec<Range>),
}

fn row(args: &Args, target: &Target) -> Row {
    if args.screen > 0 && !seeds(target, &*target.uniform, 0, args.screen).1 {
        return Row::Unseen;
    }
    let uniform = effort(args, target, Strategy::Uniform);
    if uniform.runs.least <= args.harder_than as f64 {
        return Row::Easy;
    }
    let others: Vec<Effort> = args.strategies.iter().map(|&strategy| effort(args, target, strategy)).collect();
    let texts = line(iter::once(&uniform).chain(&others).map(Effort::text));
    // One line at once, although several threads print.
    let _ = writeln!(std::io::stdout().lock(), "{:<22} {:<36}{texts}", target.defect, target.scenario);
    Row::Hard(others.iter().map(|other| other.runs / uniform.runs).collect())
}

fn line(columns: impl Iterator<Item = String>) -> String {
    columns.map(|column| format!(" {column:>14}")).collect()
}

fn name(strategy: Strategy) -> String {
    strategy.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn main() -> ExitCode {
    let args = Args::parse();
    let registry = Registry::bundled();
    let pairs = targets::pairs(&registry, &args.defect, &args.scenario);
    println!("median of the runs of {} searches (how many of them found the defect)", args.searches);
    let names = iter::once(Strategy::Uniform).chain(args.strategies.iter().copied()).map(name);
    println!("{:<22} {:<36}{}", "defect", "scenario", line(names));
    let row = |pair: &targets::Pair| pair.target(&registry).map(|target| row(&args, &target));
    let rows: Vec<Option<Row>> = pairs.par_iter().with_max_len(1).map(row).collect();
    let (mut unsound, mut unseen, mut easy) = (0, 0, 0);
    let mut hard: Vec<Vec<Range>> = Vec::new();
    for row in rows {
        match row {
            None => unsound += 1,
            Some(Row::Unseen) => unseen += 1,
            Some(Row::Easy) => easy += 1,
            Some(Row::Hard(ratios)) => hard.push(ratios),
        }
    }
    println!(
        "{} pairs of a defect and a scenario: in {unsound} the scenario cannot have the defect, {unseen} were not found in \
         {} runs, {easy} need at most {} runs",
        pairs.len(),
        args.screen,
        args.harder_than
    );
    if hard.is_empty() {
        eprintln!("error: none is harder than that");
        return ExitCode::FAILURE;
    }
    for (column, &strategy) in args.strategies.iter().enumerate() {
        let median = Range::median(hard.iter().map(|ratios| ratios[column]));
        println!(
            "{} needs {median:.2} times as many runs as uniform, in the median over the {} others",
            name(strategy),
            hard.len()
        );
    }
    ExitCode::SUCCESS
}
