//! Properties of what clients were told, on exact histories.

use sim_core::history::{Call, Step};
use sim_core::library::{Linearizable, NoDuplicateDelivery, NoLostWrite};
use sim_core::{Fault, Instant, NodeId, Outcome, World};

use crate::script::{Act, Script, Server, Timer, acknowledged_write, note, read, receive, secs};

fn script() -> Script {
    Script::new(["alpha", "beta", "client"])
}

fn no_loss() -> NoLostWrite<Server> {
    NoLostWrite::always("no-lost-write", |world: &World<Server>, write| {
        world.node_ids().any(|node| world.actor(node).is_some_and(|server| server.held.contains(&write.value)))
    })
}

fn violation(outcome: Outcome) -> Option<(Instant, String)> {
    outcome.violation.map(|violation| (violation.at, violation.message))
}

const HOLD_7: Act = |server, _| server.held.push(7);
const FORGET: Act = |server, _| server.held.clear();
const ACKNOWLEDGE_7: Act = |_, ctx| acknowledged_write(ctx, 1, 7);
const RECEIVE_7: Act = |_, ctx| receive(ctx, 1, 7);
const LOST: &str = "write 7 to 1, acknowledged to client at 2s, is lost: \
                    alpha is BACKUP, beta is BACKUP, client is BACKUP";

#[test]
fn a_write_is_missed_when_it_is_acknowledged_and_nowhere() {
    assert_eq!(
        violation(script().at(secs(2), "client", ACKNOWLEDGE_7).check(no_loss())),
        Some((Instant::from_secs(2), LOST.into()))
    );
}

#[test]
fn a_write_may_move_from_node_to_node() {
    let moved = script()
        .at(secs(1), "alpha", HOLD_7)
        .at(secs(2), "client", ACKNOWLEDGE_7)
        .at(secs(3), "beta", HOLD_7)
        .at(secs(4), "alpha", FORGET);
    assert_eq!(violation(moved.check(no_loss())), None);
}

#[test]
fn a_write_that_dies_with_its_holder_is_lost_at_that_moment() {
    let dead = script().at(secs(1), "alpha", HOLD_7).at(secs(2), "client", ACKNOWLEDGE_7).fault(
        secs(3),
        Fault::Crash { node: NodeId(0) },
        None,
    );
    let (at, message) = violation(dead.check(no_loss())).expect("lost");
    assert_eq!(at, Instant::from_secs(3));
    assert!(message.ends_with("alpha is down, beta is BACKUP, client is BACKUP"), "{message}");
}

#[test]
fn what_was_not_acknowledged_may_be_lost() {
    for step in [Step::Invoked, Step::Refused, Step::Unknown] {
        let act: Act = match step {
            Step::Invoked => |_, ctx| note(ctx, 1, Call::Write { key: 1, value: 7 }, Step::Invoked),
            Step::Refused => |_, ctx| note(ctx, 1, Call::Write { key: 1, value: 7 }, Step::Refused),
            _ => |_, ctx| note(ctx, 1, Call::Write { key: 1, value: 7 }, Step::Unknown),
        };
        assert_eq!(violation(script().at(secs(2), "client", act).check(no_loss())), None, "{step:?}");
    }
}

#[test]
fn a_received_message_need_not_be_held_whenever_it_was_acknowledged() {
    let held = || script().at(secs(1), "alpha", HOLD_7);
    let after =
        held().at(secs(2), "client", ACKNOWLEDGE_7).at(secs(3), "client", RECEIVE_7).at(secs(4), "alpha", FORGET);
    assert_eq!(violation(after.check(no_loss())), None);
    let before =
        held().at(secs(2), "client", RECEIVE_7).at(secs(3), "alpha", FORGET).at(secs(4), "client", ACKNOWLEDGE_7);
    assert_eq!(violation(before.check(no_loss())), None);
}

#[test]
fn many_writes_are_looked_at_in_turn() {
    const ACKNOWLEDGE_ALL: Act = |_, ctx| (0..20).for_each(|value| acknowledged_write(ctx, 1, value));
    // Not a planned fault, after which everything would be looked at.
    const DROP_13: Act = |server, _| server.held.retain(|&value| value != 13);
    const EVERY_SECOND: Act = |_, ctx| ctx.set_timer(Timer::Later, secs(1));
    let after = |check: NoLostWrite<Server>| {
        let script = script()
            .at(secs(1), "alpha", |server, ctx| {
                server.held = (0..20).collect();
                server.put_off = Some(DROP_13);
                ctx.set_timer(Timer::Later, secs(9));
            })
            .at(secs(2), "client", ACKNOWLEDGE_ALL)
            .at(secs(3), "beta", |server, ctx| {
                server.put_off = Some(EVERY_SECOND);
                EVERY_SECOND(server, ctx);
            });
        violation(script.lasting(secs(30)).check(check)).expect("lost").0
    };
    assert_eq!(after(no_loss().looking_at(usize::MAX)), Instant::from_secs(10));
    assert_eq!(after(no_loss().looking_at(0)), Instant::from_secs(30));
    // Four at a time, it takes five events to get round.
    let in_turn = after(no_loss());
    assert!(in_turn > Instant::from_secs(10) && in_turn <= Instant::from_secs(15), "{in_turn}");
}

#[test]
fn at_the_end_only_the_end_counts() {
    let at_the_end = || {
        NoLostWrite::at_the_end("no-lost-write", |world: &World<Server>, write| {
            world.node_ids().any(|node| world.actor(node).is_some_and(|server| server.held.contains(&write.value)))
        })
    };
    let acknowledged = || script().at(secs(2), "client", ACKNOWLEDGE_7);
    assert_eq!(violation(acknowledged().check(at_the_end())), Some((Instant::from_secs(60), LOST.into())));
    assert_eq!(violation(acknowledged().at(secs(9), "beta", HOLD_7).check(at_the_end())), None);
}

#[test]
fn a_message_is_received_once_from_each_queue() {
    let other_queue: Act = |_, ctx| receive(ctx, 2, 7);
    let unfinished: Act = |_, ctx| note(ctx, 5, Call::Receive { key: 1 }, Step::Invoked);
    let empty: Act = |_, ctx| note(ctx, 5, Call::Receive { key: 1 }, Step::Returned(None));
    let check = || NoDuplicateDelivery::named("no-duplicate-delivery");
    let fine = script()
        .at(secs(1), "alpha", RECEIVE_7)
        .at(secs(2), "alpha", other_queue)
        .at(secs(3), "beta", unfinished)
        .at(secs(4), "beta", empty)
        .at(secs(5), "beta", empty);
    assert_eq!(violation(fine.check(check())), None);
    let twice = script().at(secs(1), "alpha", RECEIVE_7).at(secs(2), "beta", RECEIVE_7);
    let message = "message 7 of queue 1 was delivered to alpha at 1s and again to beta at 2s";
    assert_eq!(violation(twice.check(check())), Some((Instant::from_secs(2), message.into())));
}

#[test]
fn every_key_is_a_register_of_its_own() {
    let check = || Linearizable::named("linearizable");
    let written = || script().at(secs(1), "client", ACKNOWLEDGE_7);
    assert_eq!(violation(written().at(secs(2), "client", |_, ctx| read(ctx, 2, None)).check(check())), None);
    assert_eq!(violation(written().at(secs(2), "client", |_, ctx| read(ctx, 1, Some(7))).check(check())), None);
    let (at, _) =
        violation(written().at(secs(2), "client", |_, ctx| read(ctx, 1, None)).check(check())).expect("stale");
    assert_eq!(at, Instant::from_secs(2));
}
