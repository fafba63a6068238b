//! A campaign: the same question asked of many seeds, on all cores.
//!
//! Each run stays on one thread and shares nothing with the others. What they came to is added up in the order of
//! the seeds, chunk by chunk, so the result is the same for any number of threads and memory stays bounded.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::{Chunk, Seeds, Tally, guarded};
use crate::Outcome;

/// Many runs of one scenario.
///
/// ```
/// use sim_core::search::{Campaign, Seeds};
/// # use sim_core::{Class, Instant, Outcome, Violation};
/// # fn run(seed: u64) -> Outcome {
/// #     let violation = (seed % 10 == 7).then(|| Violation {
/// #         invariant: "at-most-one-live".into(), class: Class::Safety, at: Instant::from_secs(3), event: 90,
/// #         node: None, message: "alpha and beta are both LIVE".into(),
/// #     });
/// #     Outcome { violation, events: 90, end: Instant::from_secs(3), trace_hash: seed, fired: vec![], marks: vec![], reached: vec![] }
/// # }
/// let report = Campaign::new(Seeds::first(100)).run(run)?;
/// assert_eq!(report.tally.failed, 10);
/// assert_eq!(report.tally.failures[0].seed, 7);
/// # Ok::<(), rayon::ThreadPoolBuildError>(())
/// ```
pub struct Campaign<'a> {
    seeds: Seeds,
    jobs: usize,
    keep: usize,
    twice: bool,
    /// The sum of the seeds that were run before.
    after: Option<Tally>,
    stop_when: Box<dyn Fn(&Outcome) -> bool + Sync + 'a>,
    cause: Cause<'a>,
    commit: Commit<'a>,
    progress: Progress<'a>,
}

type Progress<'a> = Box<dyn FnMut(&Tally) -> ControlFlow<()> + 'a>;
type Commit<'a> = Box<dyn FnMut(&Chunk) -> ControlFlow<()> + 'a>;
type Cause<'a> = Box<dyn Fn(u64, &Outcome) -> String + Sync + 'a>;

/// How a campaign went.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The sum of its runs.
    pub tally: Tally,
    /// The first seed whose second run differed from its first, if every seed was to be run twice. It ended the
    /// campaign.
    pub divergence: Option<Divergence>,
    /// Whether all seeds were run; false if something else ended the campaign.
    pub complete: bool,
}

/// Two runs of one seed that differed.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The seed.
    pub seed: u64,
    /// How it went first.
    pub first: Outcome,
    /// How it went the second time.
    pub second: Outcome,
}

/// Work between two looks at the result, in events: a few tenths of a second on one core.
const EVENTS_PER_CHUNK: u64 = 1_000_000;
/// Runs whose outcomes are held at once, at most.
const LARGEST_CHUNK: u64 = 4_096;

impl<'a> Campaign<'a> {
    /// A campaign over these seeds, on all cores, to the last of them.
    pub fn new(seeds: Seeds) -> Self {
        Campaign {
            seeds,
            jobs: 0,
            keep: 10,
            twice: false,
            after: None,
            stop_when: Box::new(|_| false),
            cause: Box::new(|_, _| String::new()),
            commit: Box::new(|_| ControlFlow::Continue(())),
            progress: Box::new(|_| ControlFlow::Continue(())),
        }
    }

    /// How many threads; as many as there are cores if 0.
    #[must_use]
    pub fn jobs(self, jobs: usize) -> Self {
        Campaign { jobs, ..self }
    }

    /// How many failures to keep whole; 10 unless asked.
    #[must_use]
    pub fn keep(self, failures: usize) -> Self {
        Campaign { keep: failures, ..self }
    }

    /// Runs every seed twice and compares everything about the two runs.
    #[must_use]
    pub fn check_determinism(self, twice: bool) -> Self {
        Campaign { twice, ..self }
    }

    /// Ends the campaign with the first seed, in their order, of which this is true.
    #[must_use]
    pub fn stop_when(self, stop: impl Fn(&Outcome) -> bool + Sync + 'a) -> Self {
        Campaign { stop_when: Box::new(stop), ..self }
    }

    /// Tells failures of one invariant apart by a text, which must depend on the seed alone: it is asked of each run with
    /// a violation, on the thread that made it. All failures of an invariant are alike unless asked.
    #[must_use]
    pub fn cause(self, cause: impl Fn(u64, &Outcome) -> String + Sync + 'a) -> Self {
        Campaign { cause: Box::new(cause), ..self }
    }

    /// Goes on behind the seeds that make up `tally`, the first ones of the campaign. The tally says how many failures
    /// to keep.
    #[must_use]
    pub fn after(self, tally: Tally) -> Self {
        Campaign { after: Some(tally), ..self }
    }

    /// Hands over each chunk of runs before it counts, in order: here is the place for a journal. If the answer is to
    /// break, the chunk does not count and the campaign ends.
    #[must_use]
    pub fn commit(self, commit: impl FnMut(&Chunk) -> ControlFlow<()> + 'a) -> Self {
        Campaign { commit: Box::new(commit), ..self }
    }

    /// Shows the sum so far a few times a second, and asks whether to go on: here is the place for a progress bar and
    /// for a limit of time, as this crate knows no clock.
    #[must_use]
    pub fn progress(self, progress: impl FnMut(&Tally) -> ControlFlow<()> + 'a) -> Self {
        Campaign { progress: Box::new(progress), ..self }
    }

    /// Makes the runs. `run` is called on several threads, once or twice a seed, and must depend on the seed alone.
    /// Panics are violations, as described at [`guarded`].
    ///
    /// # Errors
    /// If the operating system refuses the threads.
    pub fn run(mut self, run: impl Fn(u64) -> Outcome + Sync) -> Result<Report, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(self.jobs).build()?;
        let mut tally = self.after.take().unwrap_or_else(|| Tally::new(self.keep));
        loop {
            let seeds = self.seeds_from(tally.seeds, chunk_size(&tally, pool.current_num_threads()));
            if seeds.is_empty() {
                return Ok(Report { tally, divergence: None, complete: true });
            }
            let runs = self.run_chunk(&pool, &seeds, &run);
            let again = if self.twice { self.run_again(&pool, &seeds[..runs.len()], &run) } else { Vec::new() };
            let mut again = again.into_iter().rev();
            let mut chunk = Chunk::new(tally.seeds, tally.room());
            let mut stop = false;
            for (seed, (first, cause)) in seeds.into_iter().zip(runs) {
                if let Some(second) = again.next().filter(|second| *second != first) {
                    chunk.divergence = Some(Divergence { seed, first, second });
                    break;
                }
                stop = (self.stop_when)(&first);
                chunk.add(seed, first, &cause);
                if stop {
                    break;
                }
            }
            if (self.commit)(&chunk).is_break() {
                return Ok(Report { tally, divergence: None, complete: false });
            }
            tally.append(&chunk);
            if chunk.divergence.is_some() {
                return Ok(Report { tally, divergence: chunk.divergence, complete: false });
            }
            if stop || (self.progress)(&tally).is_break() {
                let complete = self.seeds.nth(tally.seeds).is_none();
                return Ok(Report { tally, divergence: None, complete });
            }
        }
    }

    /// The seeds of the chunk that starts with the `from`-th.
    fn seeds_from(&self, from: u64, size: u64) -> Vec<u64> {
        (from..from.saturating_add(size)).map_while(|n| self.seeds.nth(n)).collect()
    }

    /// Runs a chunk, up to and including the first seed that ends the campaign, and says the cause of each failure.
    fn run_chunk(
        &self,
        pool: &ThreadPool,
        chunk: &[u64],
        run: &(impl Fn(u64) -> Outcome + Sync),
    ) -> Vec<(Outcome, String)> {
        // Seeds behind one that ends the campaign need not be run. The earliest such seed is always run itself, so
        // which one ends it does not depend on the threads.
        let last = AtomicU64::new(u64::MAX);
        let (stop_when, cause) = (&self.stop_when, &self.cause);
        let runs: Vec<Option<(Outcome, String)>> = pool.install(|| {
            chunk
                .into_par_iter()
                .enumerate()
                .with_max_len(1)
                .map(|(position, &seed)| {
                    let position = position as u64;
                    if position > last.load(Ordering::Relaxed) {
                        return None;
                    }
                    let outcome = guarded(|| run(seed));
                    if stop_when(&outcome) {
                        last.fetch_min(position, Ordering::Relaxed);
                    }
                    let cause = outcome.violation.as_ref().map_or_else(String::new, |_| cause(seed, &outcome));
                    Some((outcome, cause))
                })
                .collect()
        });
        runs.into_iter().map_while(|run| run).take(last.into_inner().saturating_add(1) as usize).collect()
    }

    /// Runs a chunk once more and backwards, so that most seeds meet another thread and other predecessors: state that
    /// leaks from one run into the next on its thread shows as well. The outcomes come in that order.
    fn run_again(&self, pool: &ThreadPool, chunk: &[u64], run: &(impl Fn(u64) -> Outcome + Sync)) -> Vec<Outcome> {
        pool.install(|| chunk.into_par_iter().rev().with_max_len(1).map(|&seed| guarded(|| run(seed))).collect())
    }
}

/// How many seeds to run before the next look: as many as make enough work, judged by the runs so far.
fn chunk_size(so_far: &Tally, threads: usize) -> u64 {
    let threads = threads as u64;
    match so_far.events.checked_div(so_far.seeds) {
        None => 4 * threads,
        Some(mean) => (threads * EVENTS_PER_CHUNK / mean.max(1)).clamp(threads, LARGEST_CHUNK.max(threads)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Mutex;

    use super::*;
    use crate::{Class, Fired, Instant, NO_PANIC, Violation};

    /// A run that lasts `seed` milliseconds; every seventh seed fails, every fiftieth panics.
    fn run(seed: u64) -> Outcome {
        assert!(seed % 50 != 49, "seed {seed} is unlucky");
        let violation = (seed % 7 == 6).then(|| Violation {
            invariant: if seed.is_multiple_of(2) { "at-most-one-live" } else { "eventually-one-live" }.to_owned(),
            class: if seed.is_multiple_of(2) { Class::Safety } else { Class::Liveness },
            at: Instant::from_nanos(seed * 1_000_000),
            event: seed,
            node: None,
            message: format!("seed {seed}"),
        });
        Outcome {
            violation,
            events: 200_000 + seed,
            end: Instant::from_nanos(seed * 1_000_000),
            trace_hash: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            fired: vec![(0, "crash", Fired { count: 1, first: Some(Instant::ZERO) }), (1, "pause", Fired::default())],
            marks: vec![("failover-complete", seed % 3)],
            reached: if seed.is_multiple_of(10) { vec!["failback".to_owned()] } else { Vec::new() },
        }
    }

    #[test]
    fn the_sum_does_not_depend_on_the_number_of_threads() {
        let one = Campaign::new(Seeds::first(500)).jobs(1).run(run).unwrap();
        assert!(one.complete);
        assert_eq!(one.tally.seeds, 500);
        assert_eq!(one.tally.failed, 71 + 10 - 1, "every seventh, every fiftieth, and seed 349 is both");
        assert_eq!(one.tally.failures.len(), 10);
        assert_eq!(one.tally.violations[NO_PANIC].first_seed, 49);
        assert_eq!(one.tally.faults["crash"], super::super::FaultTally { planned: 490, fired: 490 });
        assert_eq!(one.tally.faults["pause"], super::super::FaultTally { planned: 490, fired: 0 });
        assert_eq!(one.tally.reached["failback"], 50);
        for jobs in [2, 3, 4] {
            assert_eq!(Campaign::new(Seeds::first(500)).jobs(jobs).run(run).unwrap(), one, "{jobs} threads");
        }
    }

    #[test]
    fn the_trace_hash_folds_the_runs_in_the_order_of_their_seeds() {
        let report = Campaign::new(Seeds::range(5..45)).run(run).unwrap();
        let mut expected = crate::trace::RollingHash::default();
        for seed in 5..45 {
            expected.add(run(seed).trace_hash);
        }
        assert_eq!(report.tally.trace_hash(), expected.value());
    }

    /// Failures of a seed that can be divided by four have another cause than the rest.
    fn cause(seed: u64, _: &Outcome) -> String {
        if seed.is_multiple_of(4) { "four" } else { "other" }.to_owned()
    }

    #[test]
    fn shards_together_are_the_whole_campaign() {
        for seeds in [Seeds::first(300), Seeds::listed((0..300).rev().collect())] {
            let whole = Campaign::new(seeds.clone()).cause(cause).run(run).unwrap().tally;
            let shard = |n: u64| {
                let part = seeds.shard(format!("{n}/4").parse().unwrap());
                Campaign::new(part).cause(cause).run(run).unwrap().tally
            };
            let parts: Vec<Tally> = (1..=4).map(shard).collect();
            let hashes = seeds.iter().map(|seed| guarded(|| run(seed)).trace_hash);
            assert_eq!(Tally::of_shards(10, &parts, |seed| seeds.position(seed).unwrap(), hashes), whole);
        }
    }

    #[test]
    fn failures_are_counted_by_invariant_and_cause() {
        let tally = Campaign::new(Seeds::first(200)).cause(cause).run(run).unwrap().tally;
        let groups: Vec<_> =
            tally.causes.iter().map(|((name, cause), t)| (&name[..], &cause[..], t.seeds, t.first.seed)).collect();
        let expected = [
            ("at-most-one-live", "four", 7, 20),
            ("at-most-one-live", "other", 7, 6),
            ("eventually-one-live", "other", 14, 13),
            (NO_PANIC, "other", 4, 49),
        ];
        assert_eq!(groups, expected);
        assert_eq!(tally.causes.values().map(|cause| cause.seeds).sum::<u64>(), tally.failed);
    }

    #[test]
    fn a_campaign_that_goes_on_after_any_chunk_comes_to_the_same() {
        let whole = Campaign::new(Seeds::first(200)).cause(cause).run(run).unwrap();
        for chunks in 1..6 {
            // As many chunks as a journal was given before the power went.
            let mut journal = Vec::new();
            let cut = Campaign::new(Seeds::first(200)).jobs(2).cause(cause).commit(|chunk| {
                if journal.len() == chunks {
                    return ControlFlow::Break(());
                }
                journal.push(chunk.clone());
                ControlFlow::Continue(())
            });
            let cut = cut.run(run).unwrap();
            let mut tally = Tally::new(10);
            journal.iter().for_each(|chunk| tally.append(chunk));
            assert_eq!((&cut.tally, cut.complete), (&tally, false), "what the journal refuses does not count");
            let resumed = Campaign::new(Seeds::first(200)).cause(cause).after(tally).run(run).unwrap();
            assert_eq!(resumed, whole, "after {chunks} chunks");
        }
    }

    #[test]
    fn a_campaign_that_stops_stops_at_the_same_seed_on_any_number_of_threads() {
        for jobs in [1, 2, 4] {
            let report = Campaign::new(Seeds::endless(0))
                .jobs(jobs)
                .stop_when(|outcome| outcome.violation.as_ref().is_some_and(|v| v.class == Class::Liveness))
                .run(run)
                .unwrap();
            assert_eq!((report.tally.seeds, report.tally.failed, report.complete), (14, 2, false), "{jobs} threads");
        }
    }

    #[test]
    fn progress_is_shown_between_chunks_and_can_end_the_campaign() {
        let shown = Cell::new(0);
        let report = Campaign::new(Seeds::endless(0))
            .jobs(2)
            .progress(|tally| {
                shown.set(shown.get() + 1);
                if tally.seeds < 30 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .run(run)
            .unwrap();
        assert_eq!((shown.get(), report.tally.seeds), (4, 8 + 9 + 9 + 9), "a chunk is a million events a thread");
    }

    #[test]
    fn a_panic_is_a_violation_that_says_where() {
        let report = Campaign::new(Seeds::one(49)).run(run).unwrap();
        let message = &report.tally.failures[0].violation.message;
        let expected = "the run could not be made: seed 49 is unlucky, at sim-core/src/search/campaign.rs:";
        assert!(message.starts_with(expected), "{message}");
    }

    #[test]
    fn a_run_that_depends_on_more_than_its_seed_is_found() {
        let runs = Mutex::new(0);
        let leaky = |seed| {
            let mut runs = runs.lock().unwrap();
            *runs += 1;
            Outcome { marks: vec![("runs-before", *runs)], ..run(seed) }
        };
        let report = Campaign::new(Seeds::range(50..90)).check_determinism(true).run(leaky).unwrap();
        let divergence = report.divergence.unwrap();
        assert_eq!((divergence.seed, report.complete), (50, false));
        assert_ne!(divergence.first.marks, divergence.second.marks);

        let sound = Campaign::new(Seeds::range(50..90)).check_determinism(true).run(run).unwrap();
        assert_eq!(sound.divergence, None);
        assert_eq!(sound.tally, Campaign::new(Seeds::range(50..90)).run(run).unwrap().tally);
    }
}
