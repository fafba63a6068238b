//! A protocol with a bug behind a lock of several digits, which only guidance opens in reasonable time; what is reached;
//! and what a child keeps of its parent.

use std::sync::Arc;
use std::time::Duration;

use sim_core::library::Always;
use sim_core::{
    Actor, CommandId, Context, Fault, FaultPlan, Instant, Invariant, Limits, NodeId, Outcome, PlannedFault, Randomness,
    Run, Schedule, Setup, Site, Trigger, World,
};

use crate::child;
use crate::dice::Dice;
use crate::guided::{Found, Guided, Subject};
use crate::reached::Reached;

/// What opens the lock, one command after the other.
const CODE: [u32; 6] = [3, 1, 4, 1, 5, 2];
/// Commands that there are.
const DIGITS: u32 = 6;
/// Commands in a run.
const PRESSED: usize = 10;
/// Set when so many digits were right in a row.
const RIGHT: [&str; 6] = ["one", "two", "three", "four", "five", "open"];

/// A lock: a wrong digit, and it starts over.
#[derive(Clone, Default, Hash)]
struct Lock {
    right: usize,
}

impl Actor for Lock {
    type Message = ();
    type Timer = ();
    type Record = ();
    type Command = u32;

    fn on_start(&mut self, _: &[()], _: &mut Context<Self>) {}

    fn on_message(&mut self, _: NodeId, (): (), _: &mut Context<Self>) {}

    fn on_timer(&mut self, (): (), _: &mut Context<Self>) {}

    fn on_command(&mut self, digit: u32, ctx: &mut Context<Self>) {
        if CODE.get(self.right) != Some(&digit) {
            self.right = 0;
            return;
        }
        ctx.mark(RIGHT[self.right]);
        self.right += 1;
    }
}

struct Lockpicking {
    setup: Arc<Setup<Lock>>,
    /// Whether a run says what it reached.
    tells: bool,
}

fn lockpicking(tells: bool) -> Lockpicking {
    let setup = Setup { commands: (0..DIGITS).collect(), ..Setup::new(["lock"], |_| Lock::default()) };
    Lockpicking { setup: Arc::new(setup), tells }
}

impl Lockpicking {
    fn start(&self, schedule: &Schedule) -> Run<Lock> {
        let shut = Always::on_each_node("shut", |lock: &Lock| lock.right < CODE.len());
        let invariants: Vec<Box<dyn Invariant<Lock>>> = vec![Box::new(shut)];
        let limits = Limits { duration: Duration::from_secs(20), ..Limits::default() };
        Run::new(World::new(&self.setup, &Arc::new(schedule.clone())), invariants, limits)
    }
}

impl Subject for Lockpicking {
    fn schedule(&self, seed: u64) -> Schedule {
        let mut randomness = Randomness::new(seed);
        let mut schedule = Schedule::seeded(seed);
        for id in 0..PRESSED as u32 {
            let draw = randomness.draw(Site::Plan(0), id);
            schedule.faults.faults.push(PlannedFault {
                id,
                trigger: Trigger::At(Instant::from_nanos(u64::from(draw[0]) * 4)),
                fault: Fault::Command { node: NodeId(0), command: CommandId(draw[1] % DIGITS) },
                hold: None,
            });
        }
        self.confine(&mut schedule.faults);
        schedule
    }

    fn run(&self, schedule: &Schedule) -> (Outcome, Reached) {
        let mut run = self.start(schedule);
        run.world.record();
        let outcome = run.to_end();
        let reached = run.world.trace().map_or_else(Reached::default, |trace| Reached::of(&outcome, trace));
        (outcome, if self.tells { reached } else { Reached::default() })
    }

    fn is_free(&self, _: &PlannedFault) -> bool {
        true
    }

    fn confine(&self, plan: &mut FaultPlan) {
        plan.faults.sort_by_key(child::moment);
        plan.faults.truncate(PRESSED);
    }
}

fn search(tells: bool, first_seed: u64, runs: u64, jobs: usize) -> Found {
    let subject = lockpicking(tells);
    let search = Guided::new(&subject, first_seed, runs).jobs(jobs);
    search.stop_when(|outcome| outcome.violation.is_some()).run().unwrap()
}

#[test]
fn guidance_opens_a_lock_digit_by_digit() {
    let runs = |tells| (0..4).map(|number| search(tells, number << 32, 20_000, 2).runs).sum::<u64>();
    // Without being told what was reached, it can only try one seed after the other.
    let (guided, blind) = (runs(true), runs(false));
    assert!(guided * 4 < blind, "guided in {guided} runs, blind in {blind}");
}

#[test]
fn what_is_found_can_be_run_again() {
    let found = search(true, 7, 5_000, 2);
    let failing = &found.failures[0];
    assert_eq!(failing.run + 1, found.runs);
    assert_eq!(lockpicking(true).start(&failing.schedule).to_end(), failing.outcome);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let one = search(true, 3, 400, 1);
    assert!(one.reached > 10, "{} things reached", one.reached);
    for jobs in [2, 3] {
        assert_eq!(search(true, 3, 400, jobs), one);
    }
}

#[test]
fn a_run_reaches_what_it_shows_of_itself_and_no_more() {
    let subject = lockpicking(true);
    let press = |digits: &[u32]| {
        let mut schedule = Schedule::seeded(0);
        for (id, &digit) in (0..).zip(digits) {
            schedule.faults.faults.push(PlannedFault {
                id,
                trigger: Trigger::At(Instant::from_secs(1 + u64::from(id))),
                fault: Fault::Command { node: NodeId(0), command: CommandId(digit) },
                hold: None,
            });
        }
        subject.run(&schedule).1
    };
    let nothing = press(&[0]);
    assert_eq!(nothing, press(&[0, 0]), "a second wrong digit shows nothing");
    let (one, two) = (press(&[3]), press(&[3, 1]));
    let new = |of: &Reached, than: &Reached| {
        let of: Vec<Instant> =
            of.features.iter().filter(|(feature, _)| !than.features.contains_key(feature)).map(|(_, &at)| at).collect();
        of
    };
    assert!(!new(&one, &nothing).is_empty() && new(&nothing, &one).is_empty());
    let then = new(&two, &one);
    assert!(!then.is_empty() && then.iter().all(|&at| at == Instant::from_secs(2)), "{then:?}");
    // Wrong in between: the same marks as `one`, set twice.
    assert!(!new(&press(&[3, 0, 3]), &one).is_empty(), "how often counts");
}

#[test]
fn a_child_keeps_what_led_there() {
    let subject = lockpicking(true);
    let at = Instant::from_secs(9);
    let parent = subject.schedule(1);
    let mut others = 0;
    for step in 0..50 {
        let child = child::of(&subject, &parent, at, &mut Dice::new(5, step));
        let before = |schedule: &Schedule| {
            let faults = schedule.faults.faults.iter().filter(|fault| child::moment(fault) < Some(at));
            faults.cloned().collect::<Vec<_>>()
        };
        assert_eq!(before(&child), before(&parent));
        let mut ids: Vec<u32> = child.faults.faults.iter().map(|fault| fault.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), child.faults.faults.len(), "ids are unique");
        others += u32::from(child != parent);
    }
    assert!(others > 40, "{others} of 50 are another schedule");
}
