//! When exactly a promise about the future is broken.

use std::time::Duration;

use sim_core::library::{Always, BoundedWait, Eventually, Sometimes};
use sim_core::{Context, Fault, Instant, NodeId, Outcome, World};

use crate::script::{Act, Script, Server, Timer, secs};

const NANO: Duration = Duration::from_nanos(1);
const ALPHA: NodeId = NodeId(0);

fn alone() -> Script {
    Script::new(["alpha"])
}

fn passes(outcome: &Outcome) {
    assert_eq!(outcome.violation, None);
}

fn fails(outcome: Outcome, at: Duration, message: &str) {
    let violation = outcome.violation.expect("a violation");
    assert_eq!((violation.at, violation.message.as_str()), (Instant::from(at), message));
}

const WAIT: Act = |server, _| server.waiting = true;
const GO_ON: Act = |server, _| server.waiting = false;
const LIVE: Act = |server, _| server.live = true;
const BACKUP: Act = |server, _| server.live = false;

fn bounded_wait() -> BoundedWait<Server> {
    BoundedWait::no_longer_than("writers-progress", secs(5), "blocked", |server: &Server| server.waiting)
}

#[test]
fn a_wait_may_last_as_long_as_its_bound_and_not_a_nanosecond_longer() {
    passes(&alone().at(secs(1), "alpha", WAIT).at(secs(6), "alpha", GO_ON).check(bounded_wait()));
    let message = "alpha has been blocked for more than 5s, since 1s";
    let late = alone().at(secs(1), "alpha", WAIT).at(secs(6) + NANO, "alpha", GO_ON);
    fails(late.check(bounded_wait()), secs(6) + NANO, message);
    fails(alone().at(secs(1), "alpha", WAIT).check(bounded_wait()), secs(6) + NANO, message);
}

#[test]
fn two_short_waits_are_no_long_one() {
    let twice = alone().at(secs(1), "alpha", WAIT).at(secs(5), "alpha", GO_ON).at(secs(5), "alpha", WAIT);
    passes(&twice.at(secs(10), "alpha", GO_ON).check(bounded_wait()));
}

#[test]
fn a_pause_does_not_count_as_waiting() {
    let paused = |go_on: Duration| {
        let pause = Fault::Pause { node: ALPHA };
        alone()
            .at(secs(1), "alpha", WAIT)
            .fault(secs(3), pause, Some(secs(20)))
            .at(go_on, "alpha", GO_ON)
            .check(bounded_wait())
    };
    // Two seconds before the pause, so three are left after it.
    passes(&paused(secs(26)));
    let message = "alpha has been blocked for more than 5s, since 21s";
    fails(paused(secs(26) + NANO), secs(26) + NANO, message);
}

#[test]
fn a_restart_ends_a_wait() {
    let crash = Fault::Crash { node: ALPHA };
    passes(&alone().at(secs(1), "alpha", WAIT).fault(secs(5), crash, Some(secs(1))).check(bounded_wait()));
}

fn live_within(bound: u64) -> Eventually<Server> {
    Eventually::within("one-live", secs(bound), |world: &World<Server>| {
        world.node_ids().any(|node| world.actor(node).is_some_and(|server| server.live))
    })
}

/// A fault from 2 to 10 seconds, so that the world is quiet from then on.
fn troubled() -> Script {
    Script::new(["alpha", "beta"]).fault(secs(2), Fault::Pause { node: NodeId(1) }, Some(secs(8)))
}

/// Lets a server act by itself after some time.
fn put_off(server: &mut Server, act: Act, after: Duration, ctx: &mut Context<Server>) {
    server.put_off = Some(act);
    ctx.set_timer(Timer::Later, after);
}

// What an operator asks is planned like a fault and counts as one. A timer of the server's own does not.
const LIVE_AFTER_10S: Act = |server, ctx| put_off(server, LIVE, secs(10), ctx);
const LIVE_JUST_LATER: Act = |server, ctx| put_off(server, LIVE, secs(10) + NANO, ctx);
const BACKUP_AFTER_10S: Act = |server, ctx| put_off(server, BACKUP, secs(10), ctx);

#[test]
fn recovery_counts_from_the_end_of_the_last_fault() {
    passes(&troubled().at(secs(5), "alpha", LIVE_AFTER_10S).check(live_within(5)));
    let late = troubled().at(secs(5), "alpha", LIVE_JUST_LATER).check(live_within(5));
    fails(
        late,
        secs(15) + NANO,
        "it has not come true within 5s of 10s, when the world became quiet: it has come true since, too late",
    );
    fails(
        troubled().check(live_within(5)),
        secs(15) + NANO,
        "it has not come true within 5s of 10s, when the world became quiet: alpha is BACKUP, beta is BACKUP",
    );
}

#[test]
fn what_was_true_only_before_the_last_fault_has_not_recovered() {
    let script = troubled().at(secs(1), "alpha", LIVE).at(secs(5), "alpha", BACKUP);
    assert!(script.check(live_within(5)).violation.is_some());
}

#[test]
fn a_run_is_long_enough_to_decide_and_no_longer_than_it_must_be() {
    let outcome = troubled().lasting(secs(8)).check(live_within(30));
    fails(
        outcome,
        secs(40),
        "it has not come true within 30s of 10s, when the world became quiet: alpha is BACKUP, beta is BACKUP",
    );
    let outcome = troubled().at(secs(1), "alpha", LIVE).lasting(secs(8)).check(live_within(30));
    passes(&outcome);
    assert_eq!(outcome.end, Instant::from_secs(10));
}

#[test]
fn what_should_stay_is_asked_for_again_at_the_end() {
    let brief = || troubled().at(secs(1), "alpha", LIVE).at(secs(6), "alpha", BACKUP_AFTER_10S);
    passes(&brief().check(live_within(5)));
    let message = "it came true but does not hold at the end of the run: alpha is BACKUP, beta is BACKUP";
    fails(brief().check(live_within(5).and_stays()), secs(60), message);
    passes(&troubled().at(secs(1), "alpha", LIVE).check(live_within(5).and_stays()));
}

#[test]
fn the_reason_is_given_if_the_condition_knows_one() {
    let never =
        Eventually::within("synchronised", secs(1), |_: &World<Server>| Err("two files are missing".to_owned()));
    let message = "it has not come true within 1s of 0s, when the world became quiet: two files are missing; \
                   alpha is BACKUP";
    fails(alone().check(never), secs(1) + NANO, message);
}

#[test]
fn always_is_asked_of_the_touched_node_or_of_the_world() {
    let odd: Act = |server, _| server.number = 3;
    let even = Always::on_each_node("even", |server: &Server| server.number.is_multiple_of(2));
    fails(alone().at(secs(4), "alpha", odd).check(even), secs(4), "it does not hold: alpha is BACKUP");
    let sum = Always::in_world("sum", |world: &World<Server>| {
        let sum: u64 = world.node_ids().filter_map(|node| world.actor(node)).map(|server| server.number).sum();
        if sum <= 5 { Ok(()) } else { Err(format!("the sum is {sum}")) }
    });
    let script = Script::new(["alpha", "beta"]).at(secs(1), "alpha", odd).at(secs(2), "beta", odd);
    fails(script.check(sum), secs(2), "the sum is 6");
}

#[test]
fn sometimes_reports_what_was_reached_and_never_fails() {
    let mark: Act = |_, ctx| ctx.mark("resynced");
    assert_eq!(alone().at(secs(1), "alpha", mark).check(Sometimes::marked("resynced")).reached, ["resynced"]);
    let outcome = alone().check(Sometimes::marked("resynced"));
    assert!(outcome.reached.is_empty() && outcome.violation.is_none());

    let live = || Sometimes::on_a_node("was-live", |server: &Server| server.live);
    let brief = alone().at(secs(1), "alpha", LIVE).at(secs(1), "alpha", BACKUP);
    assert_eq!(brief.check(live()).reached, ["was-live"]);
    assert!(alone().check(live()).reached.is_empty());

    let two = Sometimes::in_world("two-live", |world: &World<Server>| {
        world.node_ids().filter(|&node| world.actor(node).is_some_and(|server| server.live)).count() == 2
    });
    let both = Script::new(["alpha", "beta"]).at(secs(1), "alpha", LIVE).at(secs(2), "beta", LIVE);
    assert_eq!(both.check(two).reached, ["two-live"]);
}
