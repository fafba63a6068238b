//! Exhaustive exploration: it finds what is there with as few faults as it takes, says how much it tried, and neither
//! merging paths nor the number of threads changes what it says.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use proptest::prelude::*;
use sim_core::library::AtMostOne;
use sim_core::search::{Exploration, Explorer, Menu, MessageMenu};
use sim_core::{
    Actor, Context, Deviation, Fault, Instant, Invariant, Limits, NodeId, Run, Schedule, Setup, Trigger, World,
};

/// A primary that beats, and a backup that takes over when it has heard nothing for a while.
#[derive(Clone, Hash)]
struct Server {
    patience: Duration,
    primary: bool,
    /// Whether a process that starts remembers that it was the primary.
    heard: u8,
}

#[derive(Clone, Debug, Hash)]
enum Message {
    Alive,
    Echo,
}
sim_core::kinds!(Message { Alive, Echo });

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Beat,
    TakeOver,
}

const BEAT: Duration = Duration::from_millis(100);
const ALPHA: NodeId = NodeId(0);
const BETA: NodeId = NodeId(1);

impl Actor for Server {
    type Message = Message;
    type Timer = Timer;
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) {
        self.primary = ctx.node() == ALPHA;
        match self.primary {
            true => ctx.set_timer(Timer::Beat, BEAT),
            false => ctx.set_timer(Timer::TakeOver, self.patience),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, ctx: &mut Context<Self>) {
        match message {
            Message::Alive if !self.primary => {
                ctx.set_timer(Timer::TakeOver, self.patience);
                ctx.send(from, Message::Echo);
            }
            Message::Alive => {}
            Message::Echo => self.heard = (self.heard + 1) % 4,
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Self>) {
        match timer {
            Timer::Beat => {
                ctx.send(NodeId(1 - ctx.node().0), Message::Alive);
                ctx.set_timer(Timer::Beat, BEAT);
            }
            Timer::TakeOver => self.primary = true,
        }
    }
}

fn one_primary() -> Box<dyn Invariant<Server>> {
    Box::new(AtMostOne::new("at-most-one-primary", "primary", |server: &Server| server.primary))
}

/// Makes runs of a pair with so much patience that last for so long.
fn pair(patience: Duration, duration: Duration) -> impl Fn(&Schedule) -> Run<Server> + Sync {
    let server = Server { patience, primary: false, heard: 0 };
    let setup = Arc::new(Setup::new(["alpha", "beta"], move |_| server.clone()));
    move |schedule| {
        let world = World::new(&setup, &Arc::new(schedule.clone()));
        Run::new(world, vec![one_primary()], Limits { duration, ..Limits::default() })
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn of_fault(fault: Fault, hold: Duration) -> Menu {
    Menu { faults: vec![(fault, Some(hold))], ..Menu::default() }
}

fn of_messages(lost: bool, late: Vec<Duration>) -> Menu {
    Menu { messages: MessageMenu { lost, late, ..MessageMenu::default() }, ..Menu::default() }
}

/// Everything that can be on a menu.
fn everything() -> Vec<Menu> {
    let groups = vec![vec![ALPHA], vec![BETA]];
    vec![
        of_fault(Fault::Crash { node: ALPHA }, ms(400)),
        of_fault(Fault::Pause { node: ALPHA }, ms(400)),
        of_fault(Fault::Cut { from: ALPHA, to: BETA }, ms(400)),
        of_fault(Fault::Partition { groups }, ms(400)),
        of_messages(true, vec![]),
        of_messages(false, vec![ms(120)]),
    ]
}

fn explore(menu: Menu, faults: u8, make: impl Fn(&Schedule) -> Run<Server> + Sync) -> Exploration {
    Explorer::new(menu, faults).jobs(1).explore(&Schedule::calm(0), make).unwrap()
}

#[test]
fn each_kind_of_fault_alone_breaks_a_backup_that_is_in_a_hurry() {
    for menu in everything() {
        let found = explore(menu.clone(), 2, pair(ms(150), ms(1_500)));
        let counterexample = found.counterexample.unwrap_or_else(|| panic!("{menu:?} breaks nothing"));
        assert_eq!(counterexample.breaks, 1, "{menu:?}");
        assert!(!found.complete);
        assert_eq!(counterexample.outcome.violation.unwrap().invariant, "at-most-one-primary");
        let schedule = counterexample.schedule;
        assert_eq!(schedule.faults.faults.len() + schedule.deviations.len(), 1, "{schedule:?}");
    }
}

#[test]
fn without_faults_nothing_breaks_and_a_certificate_says_what_was_tried() {
    let found = explore(Menu::default(), 2, pair(ms(150), ms(1_500)));
    assert!(found.complete && found.counterexample.is_none());
    assert_eq!(found.worlds(), 0);
    let (cut, patient) = (of_fault(Fault::Cut { from: BETA, to: ALPHA }, ms(400)), pair(ms(150), ms(1_500)));
    let found = explore(cut, 1, patient);
    assert!(found.complete && found.counterexample.is_none(), "nobody needs an echo");
    assert_eq!(found.worlds(), found.places);
}

/// An exploration that is ended before it has begun has not seen that there is nothing to try.
#[test]
fn what_is_ended_at_once_is_no_certificate() {
    for faults in [0, 1] {
        let explorer = Explorer::new(of_messages(true, Vec::new()), faults).halt(Arc::new(AtomicBool::new(true)));
        let make = pair(ms(500), Duration::from_secs(1));
        let exploration = explorer.explore(&Schedule::calm(0), make).expect("threads can be started");
        assert!(!exploration.complete, "{exploration:?}");
    }
}

#[test]
fn what_needs_three_losses_is_found_with_three_and_not_with_two() {
    let losses = of_messages(true, vec![]);
    let two = explore(losses.clone(), 2, pair(ms(350), ms(1_000)));
    assert!(two.complete && two.counterexample.is_none());
    let three = explore(losses.clone(), 3, pair(ms(350), ms(1_000)));
    let counterexample = three.counterexample.expect("three beats in a row are enough");
    assert_eq!(counterexample.breaks, 3);
    assert_eq!(counterexample.schedule.deviations.len(), 3);
    assert!(counterexample.schedule.deviations.iter().all(|(.., deviation)| deviation == Deviation::Lost));
    // The same on a budget of their own.
    let deviations = Explorer::new(losses, 0).deviations(3).jobs(1);
    let again = deviations.explore(&Schedule::calm(0), pair(ms(350), ms(1_000))).unwrap();
    assert_eq!(again.counterexample, Some(counterexample));
}

#[test]
fn a_fault_and_a_lost_message_are_found_together() {
    // The pause hides two beats and the loss a third.
    let menu = Menu {
        faults: vec![(Fault::Pause { node: ALPHA }, Some(ms(210)))],
        messages: MessageMenu { lost: true, ..MessageMenu::default() },
        ..Menu::default()
    };
    let alone = explore(menu.clone(), 1, pair(ms(320), ms(1_000)));
    assert!(alone.complete && alone.counterexample.is_none());
    let both = Explorer::new(menu, 1).deviations(1).jobs(1);
    let both = both.explore(&Schedule::calm(0), pair(ms(320), ms(1_000))).unwrap();
    let schedule = both.counterexample.expect("together they are long enough").schedule;
    assert_eq!((schedule.faults.faults.len(), schedule.deviations.len()), (1, 1));
}

#[test]
fn a_window_keeps_faults_out() {
    let window = Some((Instant::from(ms(500)), Instant::from(ms(700))));
    let menu = Menu { window, ..of_fault(Fault::Pause { node: ALPHA }, ms(400)) };
    let schedule = explore(menu, 1, pair(ms(150), ms(1_500))).counterexample.unwrap().schedule;
    let Trigger::At(at) = schedule.faults.faults[0].trigger else { panic!("{schedule:?}") };
    assert!(window.is_some_and(|(from, to)| from <= at && at < to), "{at}");
}

#[test]
fn only_the_messages_that_are_meant_are_lost() {
    let with = |kinds: Vec<&'static str>| {
        let messages = MessageMenu { lost: true, kinds, ..MessageMenu::default() };
        explore(Menu { messages, ..Menu::default() }, 1, pair(ms(150), ms(1_500)))
    };
    assert!(with(vec!["Alive"]).counterexample.is_some());
    let echoes = with(vec!["Echo"]);
    assert!(echoes.counterexample.is_none() && echoes.worlds() > 10);
}

#[test]
fn a_violation_of_the_calm_run_needs_nothing_to_break() {
    let found = explore(Menu::default(), 2, pair(ms(50), ms(1_500)));
    assert_eq!(found.counterexample.unwrap().breaks, 0);
}

#[test]
fn a_lost_echo_is_forgotten_and_its_world_is_merged() {
    let echoes = MessageMenu { lost: true, late: vec![ms(1)], kinds: vec!["Echo"], ..MessageMenu::default() };
    let menu = Menu { messages: echoes, ..Menu::default() };
    let merged = explore(menu.clone(), 2, pair(ms(150), ms(3_000)));
    let apart = Explorer::new(menu, 2).jobs(1).merge(false);
    let apart = apart.explore(&Schedule::calm(0), pair(ms(150), ms(3_000))).unwrap();
    assert_eq!((merged.complete, apart.complete), (true, true));
    assert!(merged.worlds() * 2 < apart.worlds(), "{} of {} worlds", merged.worlds(), apart.worlds());
}

/// The search order is the same and only what was found to be in order is left out: so the very same is found.
fn same_however_it_is_searched(
    patience: u64,
    hold: u64,
    late: u64,
    which: u8,
    faults: u8,
) -> Result<(), TestCaseError> {
    let mut menu = Menu::default();
    for (bit, item) in everything().into_iter().enumerate().filter(|(bit, _)| which & 1 << bit != 0) {
        menu.faults.extend(item.faults.into_iter().map(|(fault, _)| (fault, Some(ms(hold)))));
        menu.messages.lost |= bit == 4;
        menu.messages.late.extend((bit == 5).then_some(ms(late)));
    }
    let make = pair(ms(patience), ms(700));
    let explorer = |jobs, merge| Explorer::new(menu.clone(), faults).jobs(jobs).merge(merge);
    let [merged, threads, apart] = [(1, true), (3, true), (1, false)]
        .map(|(jobs, merge)| explorer(jobs, merge).explore(&Schedule::calm(7), &make).unwrap());
    prop_assert_eq!(&merged, &threads);
    prop_assert_eq!((&merged.counterexample, merged.complete), (&apart.counterexample, apart.complete));
    prop_assert!(merged.worlds() <= apart.worlds());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn merging_and_threads_change_nothing_that_is_found(
        patience in 110..400_u64, hold in 1..400_u64, late in 1..300_u64, which in 1..64_u8, faults in 1..3_u8,
    ) {
        same_however_it_is_searched(patience, hold, late, which, faults)?;
    }
}

/// Two paths come to one state, of which one has timers in its queue that were set anew since. Which of them goes on is a
/// matter of chance, so it is tried several times.
#[test]
fn what_means_nothing_any_more_is_not_counted() {
    for _ in 0..200 {
        same_however_it_is_searched(306, 96, 39, 8, 2).unwrap();
    }
}
