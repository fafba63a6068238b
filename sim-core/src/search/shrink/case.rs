//! The smallest schedule so far that shows the failure, and how a candidate takes its place.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Budget, Observed, Shrunk, Size, Subject, Wounds};
use crate::trace::RollingHash;
use crate::{Baseline, Class, Deviation, Deviations, Instant, Moment, Outcome, Schedule, Site};

/// Deviations of a schedule whose failed candidates are worth remembering.
const REMEMBERED: usize = 64;

pub(super) struct Case<'a> {
    subject: &'a dyn Subject,
    budget: Budget<'a>,
    best: Schedule,
    outcome: Outcome,
    /// What is violated: name and class.
    target: (String, Class),
    /// What was broken at the violation in the beginning.
    wounds: Wounds,
    /// When to give up on a candidate.
    until: Instant,
    /// Whether the failure is not there where its cause has been mended, and must not be there for any candidate.
    mendable: bool,
    runs: u64,
    spent: bool,
    /// Digests of small candidates that have failed.
    failed: BTreeSet<u64>,
}

impl<'a> Case<'a> {
    /// `None` if the schedule violates nothing.
    pub fn new(subject: &'a dyn Subject, schedule: &Schedule, budget: Budget<'a>) -> Option<Self> {
        let trial = subject.run(schedule, Instant::MAX);
        let violation = trial.outcome.violation.as_ref()?;
        // What is to happen in the end can only be judged there. Something bad that takes much longer to happen than it
        // did is another run.
        let until = match violation.class {
            Class::Safety => violation.at + violation.at.since(Instant::ZERO) / 2 + Duration::from_secs(5),
            _ => Instant::MAX,
        };
        Some(
            Case {
                subject,
                budget,
                best: schedule.clone(),
                target: (violation.invariant.clone(), violation.class),
                wounds: trial.wounds,
                outcome: trial.outcome,
                until,
                mendable: false,
                runs: 1,
                spent: false,
                failed: BTreeSet::new(),
            }
            .with_mended(schedule),
        )
    }

    fn with_mended(mut self, schedule: &Schedule) -> Self {
        self.mendable = self.subject.mended(schedule, self.until).is_some_and(|outcome| !self.is_target(&outcome));
        self.runs += u64::from(self.mendable);
        self
    }

    /// Whether a failure of something to happen could be had by not asking for it: then what asks has to stay.
    pub fn needs_commands(&self) -> bool {
        self.target.1 == Class::Liveness && !self.mendable
    }

    pub fn best(&self) -> &Schedule {
        &self.best
    }

    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// Takes a candidate if it fails as it should.
    pub fn attempt(&mut self, candidate: Schedule) -> bool {
        if candidate == self.best || !self.may_run() {
            return false;
        }
        let digest = (candidate.deviations.len() <= REMEMBERED).then(|| digest(&candidate));
        if digest.is_some_and(|digest| self.failed.contains(&digest)) {
            return false;
        }
        self.runs += 1;
        let trial = self.subject.run(&candidate, self.until);
        let mut fails = self.is_the_failure(&trial.outcome, &trial.wounds);
        if fails && self.mendable {
            self.runs += 1;
            let mended = self.subject.mended(&candidate, self.until);
            fails = mended.is_some_and(|outcome| !self.is_target(&outcome));
        }
        if fails {
            (self.best, self.outcome) = (candidate, trial.outcome);
        } else {
            self.failed.extend(digest);
        }
        fails
    }

    /// Goes on from another failing schedule, and comes back if that does not lead to a smaller one.
    pub fn try_from(&mut self, start: Schedule, shrink: impl FnOnce(&mut Self)) {
        let (best, outcome) = (self.best.clone(), self.outcome.clone());
        if self.attempt(start) {
            shrink(self);
            if Size::of(&self.best).total() >= Size::of(&best).total() {
                (self.best, self.outcome) = (best, outcome);
            }
        }
    }

    /// Takes a candidate that may move what comes after a change: if it does not fail as it is, its deviations are put
    /// where the same messages are sent now.
    pub fn attempt_moved(&mut self, candidate: Schedule) -> bool {
        if self.attempt(candidate.clone()) {
            return true;
        }
        if candidate.deviations.is_empty() || candidate.deviations.len() > REMEMBERED {
            return false;
        }
        match self.moved(candidate) {
            Some(moved) => self.attempt(moved),
            None => false,
        }
    }

    /// The best run with all that chance decides written down; `None` if the budget is spent.
    pub fn explicit(&mut self) -> Option<Schedule> {
        self.observe(&self.best.clone()).map(|observed| observed.schedule)
    }

    /// Writes down all that chance decides, if the run takes the same course then.
    pub fn make_explicit(&mut self) {
        if let Some(explicit) = self.explicit() {
            self.attempt(explicit);
        }
    }

    /// Forgets deviations that meet nothing.
    pub fn prune(&mut self) {
        if self.best.baseline == Baseline::Calm
            && let Some(observed) = self.observe(&self.best.clone())
        {
            self.best.deviations = observed.schedule.deviations;
        }
    }

    /// What chance decides in a run; `None` if the budget is spent.
    fn observe(&mut self, schedule: &Schedule) -> Option<Observed> {
        self.may_run().then(|| {
            self.runs += 1;
            self.subject.observe(schedule, self.until).1
        })
    }

    /// Every send, sync and crash under a schedule; `None` if the budget is spent.
    pub fn decisions(&mut self, schedule: &Schedule) -> Option<Vec<(Site, Moment)>> {
        self.observe(schedule).map(|observed| observed.decisions)
    }

    /// The world time of each event under a schedule; none if the budget is spent.
    pub fn events(&mut self, schedule: &Schedule) -> Vec<Instant> {
        if !self.may_run() {
            return Vec::new();
        }
        self.runs += 1;
        self.subject.events(schedule, self.until)
    }

    /// Ends with what there is. `from` is what it was in the beginning, or nothing if that is still what there is.
    pub fn finish(mut self, from: Option<Size>) -> Shrunk {
        let to = Size::of(&self.best);
        // What the nodes drew, and the moments in windows, are written down last: nothing is decided by them any more.
        let (trial, observed) = self.subject.observe(&self.best, self.until);
        self.runs += 1;
        if self.is_the_failure(&trial.outcome, &trial.wounds) {
            (self.best, self.outcome) = (observed.schedule, trial.outcome);
        }
        let to = if self.best.baseline == Baseline::Calm { Size::of(&self.best) } else { to };
        let from = from.unwrap_or(to);
        Shrunk { schedule: self.best, outcome: self.outcome, from, to, runs: self.runs, complete: !self.spent }
    }

    fn may_run(&mut self) -> bool {
        self.spent = self.spent || self.runs >= self.budget.runs || !(self.budget.keep_going)();
        !self.spent
    }

    fn is_the_failure(&self, outcome: &Outcome, wounds: &Wounds) -> bool {
        self.is_target(outcome) && (self.target.1 == Class::Safety || wounds.is_within(&self.wounds))
    }

    fn is_target(&self, outcome: &Outcome) -> bool {
        let (name, class) = (&self.target.0, self.target.1);
        outcome.violation.as_ref().is_some_and(|violation| violation.invariant == *name && violation.class == class)
    }

    /// The candidate with each deviation at the n-th message of its link, where n is what it is in the best run.
    fn moved(&mut self, candidate: Schedule) -> Option<Schedule> {
        let number = |decisions: &[(Site, Moment)], site, moment| {
            let mut of_site = decisions.iter().filter(|(other, _)| *other == site);
            of_site.position(|(_, other)| *other == moment)
        };
        let before = self.observe(&self.best.clone())?.decisions;
        let mut numbered: Vec<(Site, usize, Moment, Deviation)> = Vec::new();
        for (site, moment, deviation) in candidate.deviations.iter() {
            numbered.push((site, number(&before, site, moment)?, moment, deviation));
        }
        numbered.sort_by_key(|&(.., moment, _)| moment);
        let mut moved = Schedule { deviations: Deviations::default(), ..candidate };
        for (site, number, _, deviation) in numbered {
            // Earlier deviations decide when later messages are sent.
            let decisions = self.observe(&moved)?.decisions;
            let (_, moment) = decisions.iter().filter(|(other, _)| *other == site).nth(number)?;
            moved.deviations.insert(site, *moment, deviation);
        }
        Some(moved)
    }
}

fn digest(schedule: &Schedule) -> u64 {
    let mut hash = RollingHash::default();
    hash.add_text(&format!("{schedule:?}"));
    hash.value()
}
