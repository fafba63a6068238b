//! A scenario as a guided search sees it: what its nemesis draws can be put together anew, and its steps cannot.

use std::mem;
use std::time::Duration;

use sim_core::{Fault, FaultPlan, HostId, Instant, NodeId, Outcome, PlannedFault, Schedule, Trigger};

use scenarios::format::{RandomFaults, RandomKind};
use scenarios::nemesis::IDS_PER_KIND;
use scenarios::registry::Compiled;

use crate::guided::Subject;
use crate::reached::Reached;

/// A scenario that is searched.
pub struct Searched<'a> {
    /// Ready to run.
    pub compiled: &'a dyn Compiled,
}

impl Subject for Searched<'_> {
    fn schedule(&self, seed: u64) -> Schedule {
        self.compiled.schedule(seed)
    }

    fn run(&self, schedule: &Schedule) -> (Outcome, Reached) {
        let (outcome, trace) = self.compiled.record(schedule);
        let reached = Reached::of(&outcome, &trace);
        (outcome, reached)
    }

    fn is_free(&self, fault: &PlannedFault) -> bool {
        is_drawn(fault)
    }

    fn confine(&self, plan: &mut FaultPlan) {
        let (drawn, steps) = mem::take(&mut plan.faults).into_iter().partition(is_drawn);
        plan.faults = steps;
        if let Some(random) = &self.compiled.scenario().random {
            plan.faults.extend(allowed(random, drawn));
        }
    }
}

/// Whether the nemesis has drawn a fault; a step of the file has a lower id.
fn is_drawn(fault: &PlannedFault) -> bool {
    fault.id >= IDS_PER_KIND
}

/// Those of the faults that the nemesis could have drawn together: it keeps to a window, to so many of a kind at once and
/// in all, and strikes no node and no machine that the same kind still has in its hands.
fn allowed(random: &RandomFaults, mut faults: Vec<PlannedFault>) -> Vec<PlannedFault> {
    faults.sort_by_key(|fault| (fault.id / IDS_PER_KIND, moment(fault)));
    let mut allowed = Vec::new();
    for kind in &random.kinds {
        let mut in_force: Vec<(Instant, Option<Victim>)> = Vec::new();
        let mut left = most(random, kind);
        for fault in faults.iter().filter(|fault| fault.id / IDS_PER_KIND == kind.fault.number() + 1) {
            let (at, victim) = (moment(fault), victim(&fault.fault));
            in_force.retain(|&(until, _)| until >= at);
            let is_room = left > 0 && kind.at_most.is_none_or(|most| in_force.len() < most as usize);
            let is_struck = victim.is_some() && in_force.iter().any(|&(_, other)| other == victim);
            if !is_room || is_struck {
                continue;
            }
            let Some(hold) = hold(random, kind, fault) else { continue };
            left -= 1;
            in_force.extend(hold.map(|hold| (at + hold, victim)));
            allowed.push(PlannedFault { hold, ..fault.clone() });
        }
    }
    allowed
}

/// How many faults of a kind there may be. The nemesis can draw any number in theory; three times as many as usual is
/// what it draws at most in practice, and a plan that is put together again and again must not grow for ever.
fn most(random: &RandomFaults, kind: &RandomKind) -> u32 {
    let (from, to) = random.window;
    let usual = to.since(from).as_nanos() / kind.every.as_nanos().max(1);
    let most = u32::try_from(usual * 3 + 3).unwrap_or(u32::MAX);
    kind.total.map_or(most, |total| total.min(most))
}

/// How long a fault lasts where it is now; `None` if it cannot be there.
fn hold(random: &RandomFaults, kind: &RandomKind, fault: &PlannedFault) -> Option<Option<Duration>> {
    let ((from, to), at) = (random.window, moment(fault));
    if at < from || at > to {
        return None;
    }
    let remains = to.since(at);
    match (fault.hold, kind.hold) {
        (Some(hold), Some((shortest, _))) if random.settle => (shortest <= remains).then(|| Some(hold.min(remains))),
        // Messages that are still to be lost or late at the end of the window are spared.
        (Some(_), None) if random.settle => (!remains.is_zero()).then_some(Some(remains)),
        (hold, _) => Some(hold),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Node(NodeId),
    Host(HostId),
}

/// What a fault strikes so that nothing of its kind can strike it at the same time.
fn victim(fault: &Fault) -> Option<Victim> {
    match *fault {
        Fault::Crash { node }
        | Fault::Pause { node }
        | Fault::Slow { node, .. }
        | Fault::Clock { node, .. }
        | Fault::Disk { node, .. }
        | Fault::Command { node, .. } => Some(Victim::Node(node)),
        Fault::HostFailure { host } => Some(Victim::Host(host)),
        _ => None,
    }
}

/// When a fault that was drawn strikes; the nemesis knows the time of all of them.
fn moment(fault: &PlannedFault) -> Instant {
    match fault.trigger {
        Trigger::At(at) => at,
        _ => Instant::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use scenarios::catalogue::Catalogue;
    use scenarios::registry::Registry;

    use super::*;
    use crate::guided::Guided;

    fn scenarios() -> Vec<Box<dyn Compiled>> {
        let registry = Registry::bundled();
        let entries = Catalogue::built_in(&registry).entries().to_vec();
        let mut scenarios: Vec<_> =
            entries.iter().map(|entry| entry.load(&registry).expect("a bundled scenario is sound")).collect();
        scenarios.retain(|compiled| compiled.scenario().random.is_some());
        scenarios
    }

    fn sorted(plan: &FaultPlan) -> Vec<&PlannedFault> {
        let mut faults: Vec<_> = plan.faults.iter().collect();
        faults.sort_by_key(|fault| fault.id);
        faults
    }

    #[test]
    fn what_the_nemesis_draws_is_allowed() {
        for compiled in scenarios() {
            for seed in 0..30 {
                let drawn = compiled.schedule(seed).faults;
                let mut confined = drawn.clone();
                Searched { compiled: &*compiled }.confine(&mut confined);
                assert_eq!(sorted(&confined), sorted(&drawn), "{} seed {seed}", compiled.scenario().name);
            }
        }
    }

    #[test]
    fn what_is_put_together_keeps_to_the_rules_of_the_file() {
        for compiled in scenarios() {
            let scenario = compiled.scenario();
            let random = scenario.random.as_ref().expect("only those were chosen");
            let searched = Searched { compiled: &*compiled };
            for seed in 0..10 {
                // The faults of two seeds at once.
                let mut both = compiled.schedule(seed).faults;
                let other = compiled.schedule(seed + 1000).faults.faults.into_iter().filter(is_drawn);
                both.faults.extend(other.map(|fault| PlannedFault { id: fault.id + IDS_PER_KIND / 2, ..fault }));
                searched.confine(&mut both);
                let again = both.clone();
                searched.confine(&mut both);
                assert_eq!(both, again, "what is allowed stays allowed");
                let steps = both.faults.iter().filter(|fault| !is_drawn(fault));
                assert!(steps.eq(&scenario.steps), "{}", scenario.name);
                for kind in &random.kinds {
                    let of = |fault: &&PlannedFault| fault.id / IDS_PER_KIND == kind.fault.number() + 1;
                    let faults: Vec<_> = both.faults.iter().filter(of).collect();
                    for fault in &faults {
                        let (at, end) = (moment(fault), moment(fault) + fault.hold.unwrap_or_default());
                        assert!(at >= random.window.0 && (end <= random.window.1 || !random.settle));
                        let others = faults.iter().filter(|other| {
                            let ends = moment(other) + other.hold.unwrap_or_default();
                            other.hold.is_some() && other.id != fault.id && moment(other) <= at && at <= ends
                        });
                        assert!(kind.at_most.is_none_or(|most| others.count() < most as usize), "{}", scenario.name);
                    }
                    assert!(kind.total.is_none_or(|total| faults.len() <= total as usize));
                }
            }
        }
    }

    #[test]
    fn a_guided_search_finds_a_defect_and_its_schedule_shows_it_again() {
        let compiled = scenarios().into_iter().find(|c| c.scenario().name == "lease/defects/forgets-promises");
        let compiled = compiled.expect("the canary is bundled");
        let searched = Searched { compiled: &*compiled };
        let search = |jobs| {
            let guided = Guided::new(&searched, 1, 20_000).jobs(jobs);
            guided.stop_when(|outcome| outcome.violation.is_some()).run().expect("threads can be had")
        };
        let found = search(2);
        assert_eq!(found, search(1));
        let failing = found.failures.first().expect("the canary's own faults show it");
        assert_eq!(compiled.run(&failing.schedule), failing.outcome);
    }
}
