//! When exactly a safety property is violated, to the nanosecond.

use std::time::Duration;

use sim_core::library::{Agreement, AtMostOne, BoundedBuffer, NoLeak, Stable};
use sim_core::{Connection, Fault, Instant, NodeId, Outcome};

use crate::script::{Act, Packet, Script, Server, Timer, secs};

const NANO: Duration = Duration::from_nanos(1);

fn one_live() -> AtMostOne<Server> {
    AtMostOne::new("at-most-one-live", "LIVE", |server: &Server| server.live)
}

fn live(server: &mut Server, _: &mut sim_core::Context<Server>) {
    server.live = true;
}

fn backup(server: &mut Server, _: &mut sim_core::Context<Server>) {
    server.live = false;
}

fn pair() -> Script {
    Script::new(["alpha", "beta", "gamma"])
}

fn passes(outcome: &Outcome) {
    assert_eq!(outcome.violation, None);
}

fn fails(outcome: Outcome, at: Duration, message: &str) {
    let violation = outcome.violation.expect("a violation");
    assert_eq!((violation.at, violation.message.as_str()), (Instant::from(at), message));
}

#[test]
fn without_grace_two_at_the_same_instant_are_one_too_many() {
    let overlap = pair().at(secs(1), "alpha", live).at(secs(2), "beta", live).at(secs(2), "alpha", backup);
    fails(overlap.check(one_live()), secs(2), "alpha and beta are both LIVE");
    let handover = pair().at(secs(1), "alpha", live).at(secs(2), "alpha", backup).at(secs(2), "beta", live);
    passes(&handover.check(one_live()));
}

#[test]
fn an_overlap_may_last_as_long_as_the_grace_and_not_a_nanosecond_longer() {
    let overlap = |length: Duration| {
        pair().at(secs(1), "alpha", live).at(secs(2), "beta", live).at(secs(2) + length, "alpha", backup)
    };
    let graceful = || one_live().with_grace(secs(3));
    passes(&overlap(secs(3)).check(graceful()));
    let message = "alpha and beta are both LIVE for more than 3s, since 2s";
    fails(overlap(secs(3) + NANO).check(graceful()), secs(5) + NANO, message);
    // Nobody has to do anything for it to be noticed.
    fails(overlap(secs(50)).check(graceful()), secs(5) + NANO, message);
}

#[test]
fn the_grace_starts_anew_only_when_nobody_overlaps() {
    let rolling = pair()
        .at(secs(1), "alpha", live)
        .at(secs(2), "beta", live)
        .at(secs(3), "gamma", live)
        .at(secs(3), "alpha", backup)
        .at(secs(4) + NANO, "gamma", backup);
    let message = "beta and gamma are both LIVE for more than 2s, since 2s";
    fails(rolling.check(one_live().with_grace(secs(2))), secs(4) + NANO, message);

    let twice = pair()
        .at(secs(1), "alpha", live)
        .at(secs(2), "beta", live)
        .at(secs(4), "alpha", backup)
        .at(secs(5), "gamma", live)
        .at(secs(7), "beta", backup);
    passes(&twice.check(one_live().with_grace(secs(2))));
}

#[test]
fn a_grace_of_nothing_lets_an_instant_pass() {
    let at_once = pair().at(secs(1), "alpha", live).at(secs(2), "beta", live).at(secs(2), "alpha", backup);
    passes(&at_once.check(one_live().with_grace(Duration::ZERO)));
    let lasting = pair().at(secs(1), "alpha", live).at(secs(2), "beta", live);
    let message = "alpha and beta are both LIVE for more than 0ns, since 2s";
    fails(lasting.check(one_live().with_grace(Duration::ZERO)), secs(2) + NANO, message);
}

#[test]
fn a_node_that_is_down_claims_nothing_and_a_paused_one_still_does() {
    let alpha = NodeId(0);
    let dead = pair().at(secs(1), "alpha", live).fault(secs(2), Fault::Crash { node: alpha }, Some(secs(5)));
    passes(&dead.at(secs(3), "beta", live).check(one_live()));
    let stalled = pair().at(secs(1), "alpha", live).fault(secs(2), Fault::Pause { node: alpha }, Some(secs(5)));
    fails(stalled.at(secs(3), "beta", live).check(one_live()), secs(3), "alpha and beta are both LIVE");
}

#[test]
fn three_are_named_as_three() {
    let three = pair().at(secs(1), "alpha", live).at(secs(2), "beta", live).at(secs(3), "gamma", live);
    let message = "alpha, beta and gamma are all LIVE for more than 4s, since 2s";
    fails(three.check(one_live().with_grace(secs(4))), secs(6) + NANO, message);
}

#[test]
fn only_claims_of_the_same_group_clash() {
    let per_group = || AtMostOne::per("at-most-one-live", "LIVE for node-id", |server: &Server| server.group);
    let [one, two]: [Act; 2] = [|server, _| server.group = Some(1), |server, _| server.group = Some(2)];
    passes(&pair().at(secs(1), "alpha", one).at(secs(2), "beta", two).check(per_group()));
    let clash = pair().at(secs(1), "alpha", one).at(secs(2), "beta", two).at(secs(3), "beta", one);
    fails(clash.check(per_group()), secs(3), "alpha and beta are both LIVE for node-id 1");
}

#[test]
fn a_claim_may_lapse_by_time_alone() {
    // `number` is the second at which the claim ends.
    let lease = || {
        AtMostOne::in_world("at-most-one-holder", "holding", |world, node, server: &Server| {
            world.clock(node).now(world.now()) < Instant::from_secs(server.number)
        })
    };
    let [until_5, until_9]: [Act; 2] = [|server, _| server.number = 5, |server, _| server.number = 9];
    passes(&pair().at(secs(1), "alpha", until_5).at(secs(5), "beta", until_9).check(lease()));
    let early = pair().at(secs(1), "alpha", until_5).at(secs(5) - NANO, "beta", until_9);
    fails(early.check(lease()), secs(5) - NANO, "alpha and beta are both holding");
    // The overlap of exactly one second ends without an event.
    let graced = pair().at(secs(1), "alpha", until_5).at(secs(4), "beta", until_9);
    passes(&graced.check(lease().with_grace(secs(1))));
}

#[test]
fn views_must_be_equal_only_where_they_overlap_and_are_current() {
    type View = Vec<&'static str>;
    let agreement = || {
        Agreement::where_views_overlap(
            "view-agreement",
            |server: &Server| server.view.as_ref(),
            |a: &View, b: &View| a.iter().any(|member| b.contains(member)),
        )
    };
    let [ab, a, b, none]: [Act; 4] = [
        |server, _| server.view = Some(vec!["alpha", "beta"]),
        |server, _| server.view = Some(vec!["alpha"]),
        |server, _| server.view = Some(vec!["beta"]),
        |server, _| server.view = None,
    ];
    passes(&pair().at(secs(1), "alpha", a).at(secs(2), "beta", b).check(agreement()));
    passes(&pair().at(secs(1), "alpha", ab).at(secs(2), "beta", ab).check(agreement()));
    let split = || pair().at(secs(1), "alpha", ab).at(secs(2), "beta", ab).at(secs(3), "beta", b);
    let views = r#"["alpha", "beta"] and ["beta"]"#;
    fails(split().check(agreement()), secs(3), &format!("alpha and beta are in different current views: {views}"));
    let between = pair().at(secs(1), "alpha", ab).at(secs(2), "alpha", none).at(secs(3), "beta", b);
    passes(&between.check(agreement()));

    let graceful = || agreement().with_grace(secs(2));
    passes(&split().at(secs(5), "alpha", a).check(graceful()));
    let message = format!("alpha and beta are in different current views for more than 2s, since 3s: {views}");
    fails(split().at(secs(5) + NANO, "alpha", a).check(graceful()), secs(5) + NANO, &message);
}

#[test]
fn a_buffer_may_pass_its_limit_by_one_packet() {
    let send = |count: u64| {
        let send: Act = match count {
            4 => |_, ctx| (0..4).for_each(|_| _ = ctx.send_on(ctx.connections()[0].id, Packet { bytes: 1000 })),
            _ => |_, ctx| (0..5).for_each(|_| _ = ctx.send_on(ctx.connections()[0].id, Packet { bytes: 1000 })),
        };
        let connect: Act = |_, ctx| _ = ctx.connect(NodeId(1));
        let limit = BoundedBuffer::at_most("bounded-buffer", 3000, 1000);
        pair().at(secs(1), "alpha", connect).at(secs(2), "alpha", send).check(limit)
    };
    passes(&send(4));
    let message = "alpha buffers 5000 bytes for beta on n0#0, at most 3000 and one packet of 1000 are allowed";
    fails(send(5), secs(2), message);
}

#[test]
fn a_stopped_node_owns_nothing_after_the_grace() {
    let no_leak = || NoLeak::when("no-leak", "stopped", |server: &Server| server.stopped);
    let arm: Act = |_, ctx| ctx.set_timer(Timer::Tick, secs(50));
    let cancel: Act = |_, ctx| ctx.cancel_timer(Timer::Tick);
    let stop: Act = |server, _| server.stopped = true;
    let armed = || pair().at(secs(1), "alpha", arm).at(secs(2), "alpha", stop);
    fails(armed().check(no_leak()), secs(2), "alpha is stopped but still has timer Tick");
    passes(&armed().check(no_leak().except_timers(|timer| timer == Timer::Tick)));
    passes(&armed().at(secs(5), "alpha", cancel).check(no_leak().with_grace(secs(3))));
    let late = armed().at(secs(5) + NANO, "alpha", cancel).check(no_leak().with_grace(secs(3)));
    fails(late, secs(5) + NANO, "alpha is stopped but still has timer Tick for more than 3s, since 2s");
}

#[test]
fn every_kind_of_leftover_is_listed() {
    let own: Act = |server, ctx| {
        server.stopped = true;
        server.resources = vec!["lock 7".to_owned()];
        ctx.connect(NodeId(1));
        ctx.run_job(secs(9), Timer::Tick);
        ctx.run_job(secs(9), Timer::Tick);
    };
    let no_leak =
        NoLeak::when("no-leak", "stopped", |server: &Server| server.stopped).and(|server| server.resources.clone());
    let message = "alpha is stopped but still has connection n0#0 with beta, 2 running jobs, lock 7";
    fails(pair().at(secs(1), "alpha", own).check(no_leak), secs(1), message);
}

#[test]
fn an_idle_node_keeps_only_the_connections_that_are_excepted() {
    let connect: Act = |server, ctx| {
        server.stopped = true;
        ctx.connect(NodeId(1));
        ctx.connect(NodeId(1));
    };
    let no_leak = || NoLeak::when("no-leak", "stopped", |server: &Server| server.stopped);
    let script = || pair().at(secs(1), "alpha", connect);
    passes(&script().check(no_leak().except_connections(|server, kept| server.stopped && kept.peer == NodeId(1))));
    let first = |_: &Server, kept: &Connection| kept.id.serial == 0;
    let message = "alpha is stopped but still has connection n0#1 with beta";
    fails(script().check(no_leak().except_connections(first)), secs(1), message);
}

#[test]
fn changes_count_while_they_are_in_the_window() {
    let flip = |times: &[Duration]| {
        let acts = [live as Act, backup as Act];
        times.iter().enumerate().fold(pair(), |script, (n, &at)| script.at(at, "alpha", acts[n % 2]))
    };
    let stable = || Stable::role("no-flapping", 2, secs(10));
    passes(&flip(&[secs(1), secs(2), secs(11) + NANO]).check(stable()));
    let message =
        r#"alpha has changed 3 times within 10s, at most 2 are allowed; the last was from "BACKUP" to "LIVE" at 11s"#;
    fails(flip(&[secs(1), secs(2), secs(11)]).check(stable()), secs(11), message);
}

#[test]
fn a_restart_is_no_flapping() {
    let crash = |at| (secs(at), Fault::Crash { node: NodeId(0) }, Some(secs(1)));
    let script = [1, 3, 5, 7].into_iter().fold(pair(), |script, second| {
        let (at, fault, hold) = crash(second);
        script.fault(at, fault, hold).at(secs(second - 1) + NANO, "alpha", live)
    });
    passes(&script.check(Stable::role("no-flapping", 5, secs(60))));
}

#[test]
fn changes_under_faults_can_be_left_out() {
    let flips = |from: u64| {
        let pause = Fault::Pause { node: NodeId(1) };
        (0..6).fold(pair().fault(secs(0), pause, Some(secs(20))), |script, n| {
            script.at(secs(from + n), "alpha", if n % 2 == 0 { live } else { backup })
        })
    };
    let stable = || Stable::role("no-flapping", 2, secs(10)).when_quiet();
    passes(&flips(10).check(stable()));
    assert!(flips(10).check(Stable::role("no-flapping", 2, secs(10))).violation.is_some());
}
