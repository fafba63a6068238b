//! For each property an actor with the defect that it is for, which must be caught, and its sound twin, which must
//! pass for every seed. Node 0 is the one that the others deal with.

use std::collections::BTreeSet;
use std::time::Duration;

use sim_core::history::{Call, Operation, Step};
use sim_core::library::{
    Agreement, Always, AtMostOne, Bounded, BoundedBuffer, BoundedWait, Eventually, Linearizable, NoDuplicateDelivery,
    NoLeak, NoLostWrite, Sometimes, Stable,
};
use sim_core::{
    BufferLimits, ConnectionEvent, ConnectionId, Fault, FaultPlan, Instant, NetworkConfig, NodeId, Trigger, World,
};

use crate::script::secs;
use crate::tiny::{Ctx, Event, Say, Tiny, Trial};

const ZERO: NodeId = NodeId(0);
const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Some time between two and twenty seconds, by seed.
fn some_time() -> Trigger {
    Trigger::Window { from: Instant::from_secs(2), to: Instant::from_secs(20) }
}

fn one_fault(fault: Fault, hold: Option<Duration>) -> FaultPlan {
    let mut plan = FaultPlan::default();
    plan.push(some_time(), fault, hold);
    plan
}

fn lossy(loss: f64, duplication: f64) -> NetworkConfig {
    NetworkConfig { loss, duplication, ..NetworkConfig::default() }
}

/// Node 0 is primary and node 1 takes over when it hears nothing. The sound primary resigns before that, if it gets
/// no answer.
#[derive(Clone, Default, Hash)]
struct Takeover {
    sound: bool,
    primary: bool,
}

fn takeover(pair: &mut Takeover, event: Event, ctx: &mut Ctx<'_, Takeover>) {
    match event {
        Event::Start if ctx.node() == ZERO => {
            pair.primary = true;
            ctx.set_timer("beat", millis(100));
            ctx.set_timer("resign", millis(400));
        }
        Event::Start if ctx.node() == ONE => ctx.set_timer("silence", millis(1000)),
        Event::Timer("beat") => {
            ctx.send(ONE, Say("beat", 0));
            ctx.set_timer("beat", millis(100));
        }
        Event::Message(_, "beat", _) => {
            ctx.set_timer("silence", millis(1000));
            ctx.send(ZERO, Say("heard", 0));
        }
        Event::Message(_, "heard", _) => ctx.set_timer("resign", millis(400)),
        Event::Timer("silence") => pair.primary = true,
        Event::Timer("resign") if pair.sound => {
            pair.primary = false;
            ctx.cancel_timer("beat");
        }
        _ => {}
    }
}

#[test]
fn at_most_one_catches_a_takeover_on_mere_silence() {
    let trial = |sound| {
        let partition = Fault::Partition { groups: vec![vec![ZERO], vec![ONE]] };
        let faults = one_fault(partition, Some(secs(5)));
        Trial { faults, ..Trial::new(Takeover { sound, primary: false }, takeover) }
    };
    let one_primary = || AtMostOne::new("at-most-one-primary", "primary", |node: &Tiny<Takeover>| node.state.primary);
    trial(false).is_caught(one_primary());
    trial(true).passes(one_primary());
    // The partition lasts longer than this grace, and shorter than this one.
    trial(false).is_caught(one_primary().with_grace(secs(3)));
    trial(false).passes(one_primary().with_grace(secs(30)));
}

/// Node 0 announces a new view every second. The sound one first waits until nobody goes by the old one any more.
#[derive(Clone, Default, Hash)]
struct Views {
    sound: bool,
    current: Option<u64>,
    next: u64,
    ready: BTreeSet<NodeId>,
}

fn views(views: &mut Views, event: Event, ctx: &mut Ctx<'_, Views>) {
    match event {
        Event::Start | Event::Timer(_) if ctx.node() == ZERO => {
            views.next += 1;
            views.ready.clear();
            let word = if views.sound { "leave" } else { "install" };
            views.current = (!views.sound).then_some(views.next);
            [ONE, TWO].into_iter().for_each(|node| ctx.send(node, Say(word, views.next)));
            ctx.set_timer("change", secs(1));
        }
        Event::Message(_, "leave", number) => {
            views.next = number;
            views.current = None;
            ctx.send(ZERO, Say("ready", number));
        }
        Event::Message(from, "ready", number) if number == views.next => {
            views.ready.insert(from);
            if views.ready.len() == 2 {
                views.current = Some(number);
                [ONE, TWO].into_iter().for_each(|node| ctx.send(node, Say("install", number)));
            }
        }
        Event::Message(_, "install", number) if !views.sound || number == views.next => views.current = Some(number),
        _ => {}
    }
}

#[test]
fn agreement_catches_a_view_that_is_installed_without_leaving_the_old_one() {
    let trial = |sound| Trial {
        network: lossy(0.1, 0.0),
        ..Trial::new(Views { sound, current: None, next: 0, ready: BTreeSet::new() }, views)
    };
    let agreement = || Agreement::everywhere("view-agreement", |node: &Tiny<Views>| node.state.current.as_ref());
    trial(false).is_caught(agreement());
    trial(true).passes(agreement());
}

/// Node 2 writes to node 0, which copies to node 1. The sound one acknowledges when the copy is there.
#[derive(Clone, Default, Hash)]
struct Copies {
    sound: bool,
    held: BTreeSet<u64>,
    written: u64,
}

fn copies(copies: &mut Copies, event: Event, ctx: &mut Ctx<'_, Copies>) {
    let write = |value, step| Operation { id: value, call: Call::Write { key: 0, value }, step };
    match event {
        Event::Start | Event::Timer(_) if ctx.node() == TWO => {
            copies.written += 1;
            ctx.record(write(copies.written, Step::Invoked));
            ctx.send(ZERO, Say("write", copies.written));
            ctx.set_timer("write", millis(50));
        }
        Event::Message(_, "write", value) => {
            copies.held.insert(value);
            ctx.send(ONE, Say("copy", value));
            if !copies.sound {
                ctx.send(TWO, Say("done", value));
            }
        }
        Event::Message(_, "copy", value) => {
            copies.held.insert(value);
            ctx.send(ZERO, Say("copied", value));
        }
        Event::Message(_, "copied", value) if copies.sound => ctx.send(TWO, Say("done", value)),
        Event::Message(_, "done", value) => ctx.record(write(value, Step::Returned(None))),
        _ => {}
    }
}

#[test]
fn no_lost_write_catches_an_acknowledgement_before_the_copy() {
    let trial = |sound| Trial {
        network: lossy(0.05, 0.0),
        faults: one_fault(Fault::Crash { node: ZERO }, None),
        ..Trial::new(Copies { sound, ..Copies::default() }, copies)
    };
    let held = |world: &World<Tiny<Copies>>, value: u64| {
        [ZERO, ONE].iter().any(|&node| world.actor(node).is_some_and(|node| node.state.held.contains(&value)))
    };
    let always = || NoLostWrite::always("no-lost-write", move |world, write| held(world, write.value));
    let at_the_end = || NoLostWrite::at_the_end("no-lost-write", move |world, write| held(world, write.value));
    trial(false).is_caught(always());
    trial(false).is_caught(at_the_end());
    trial(true).passes(always());
    trial(true).passes(at_the_end());
}

/// Node 0 delivers each message until it is acknowledged. The sound consumer knows what it has had.
#[derive(Clone, Default, Hash)]
struct Consumer {
    sound: bool,
    had: BTreeSet<u64>,
    number: u64,
}

fn consumer(consumer: &mut Consumer, event: Event, ctx: &mut Ctx<'_, Consumer>) {
    match event {
        Event::Start | Event::Timer(_) if ctx.node() == ZERO => {
            ctx.send(ONE, Say("message", consumer.number));
            ctx.set_timer("again", millis(200));
        }
        Event::Message(from, "message", value) => {
            ctx.send(from, Say("ack", value));
            if consumer.had.insert(value) || !consumer.sound {
                let step = Step::Returned(Some(value));
                ctx.record(Operation { id: value, call: Call::Receive { key: 0 }, step });
            }
        }
        Event::Message(_, "ack", value) if value == consumer.number => consumer.number += 1,
        _ => {}
    }
}

#[test]
fn no_duplicate_delivery_catches_a_consumer_without_memory() {
    let trial =
        |sound| Trial { network: lossy(0.1, 0.0), ..Trial::new(Consumer { sound, ..Consumer::default() }, consumer) };
    trial(false).is_caught(NoDuplicateDelivery::named("no-duplicate-delivery"));
    trial(true).passes(NoDuplicateDelivery::named("no-duplicate-delivery"));
}

/// Nodes 1 and 2 write and read by turns; node 0 has the register and copies it to node 1 a little later. The sound
/// clients read at node 0, the others at node 1.
#[derive(Clone, Default, Hash)]
struct Register {
    sound: bool,
    value: u64,
    written: u64,
    id: u64,
    open: Option<Call>,
}

fn register(register: &mut Register, event: Event, ctx: &mut Ctx<'_, Register>) {
    let note = |id, call, step| Operation { id, call, step };
    match event {
        Event::Start | Event::Timer(_) if ctx.node() != ZERO => {
            if let Some(call) = register.open.take() {
                ctx.record(note(register.id, call, Step::Unknown));
            }
            register.id += 1;
            let call = if ctx.random_below(2) == 0 {
                register.written += 1;
                let value = 1000 * u64::from(ctx.node().0) + register.written;
                ctx.send(ZERO, Say("write", value));
                Call::Write { key: 0, value }
            } else {
                ctx.send(if register.sound { ZERO } else { ONE }, Say("read", register.id));
                Call::Read { key: 0 }
            };
            register.open = Some(call);
            ctx.record(note(register.id, call, Step::Invoked));
            ctx.set_timer("next", millis(100));
        }
        Event::Message(from, "write", value) => {
            register.value = value;
            ctx.send(ONE, Say("copy", value));
            ctx.send(from, Say("written", value));
        }
        Event::Message(_, "copy", value) => register.value = value,
        Event::Message(from, "read", _) => ctx.send(from, Say("is", register.value)),
        Event::Message(_, word @ ("written" | "is"), value) => {
            let answered = match register.open {
                Some(Call::Write { value: asked, .. }) => word == "written" && asked == value,
                Some(_) => word == "is",
                None => false,
            };
            if answered {
                let call = register.open.take().expect("it was open");
                let seen = (word == "is" && value != 0).then_some(value);
                ctx.record(note(register.id, call, Step::Returned(seen)));
            }
        }
        _ => {}
    }
}

#[test]
fn linearizable_catches_reads_from_a_copy_that_lags() {
    // Answers take at most 20 ms, so none is so late that it could be taken for that to the next question.
    let trial =
        |sound| Trial { network: lossy(0.1, 0.0), ..Trial::new(Register { sound, ..Register::default() }, register) };
    trial(false).is_caught(Linearizable::named("linearizable"));
    trial(true).passes(Linearizable::named("linearizable"));
}

/// Node 0 sends to node 1, which is slow. The sound sender heeds back-pressure.
#[derive(Clone, Default, Hash)]
struct Sender {
    sound: bool,
    connection: Option<ConnectionId>,
}

fn sender(sender: &mut Sender, event: Event, ctx: &mut Ctx<'_, Sender>) {
    match event {
        Event::Start if ctx.node() == ZERO => _ = ctx.connect(ONE),
        Event::Connection(ConnectionEvent::Opened(id)) => {
            sender.connection = Some(id);
            ctx.set_timer("send", millis(5));
        }
        Event::Timer("send") => {
            let id = sender.connection.expect("it is open");
            if !sender.sound || ctx.is_writable(id) {
                ctx.send_on(id, Say("data", 0));
            }
            ctx.set_timer("send", millis(5));
        }
        Event::Message(_, "data", _) => ctx.busy(millis(8)),
        _ => {}
    }
}

#[test]
fn bounded_buffer_catches_a_sender_that_does_not_heed_back_pressure() {
    let buffer = BufferLimits { low: 10_000, high: 50_000, capacity: 10_000_000 };
    let trial = |sound| Trial {
        network: NetworkConfig { buffer, ..NetworkConfig::default() },
        ..Trial::new(Sender { sound, connection: None }, sender)
    };
    let bounded = || BoundedBuffer::at_most("bounded-buffer", 50_000, 1000);
    trial(false).is_caught(bounded());
    trial(true).passes(bounded());
}

/// Node 1 asks node 0 for work faster than that can do it at times. The sound one turns requests down.
#[derive(Clone, Default, Hash)]
struct Worker {
    sound: bool,
    backlog: u64,
}

fn worker(worker: &mut Worker, event: Event, ctx: &mut Ctx<'_, Worker>) {
    match event {
        Event::Start | Event::Timer("ask") if ctx.node() == ONE => {
            ctx.send(ZERO, Say("work", 0));
            let pause = ctx.random_duration(millis(100));
            ctx.set_timer("ask", pause);
        }
        Event::Message(_, "work", _) if !worker.sound || worker.backlog < 10 => {
            worker.backlog += 1;
            if worker.backlog == 1 {
                ctx.set_timer("done", millis(60));
            }
        }
        Event::Timer("done") => {
            worker.backlog -= 1;
            if worker.backlog > 0 {
                ctx.set_timer("done", millis(60));
            }
        }
        _ => {}
    }
}

#[test]
fn bounded_catches_a_backlog_without_limit() {
    let trial = |sound| Trial::new(Worker { sound, backlog: 0 }, worker);
    let backlog =
        || Bounded::at_most("bounded-backlog", 10, "requests in the backlog", |node: &Tiny<Worker>| node.state.backlog);
    trial(false).is_caught(backlog());
    trial(true).passes(backlog());
}

/// Node 0 opens a session and is told to stop at some moment. The defective one closes only what is open by then.
#[derive(Clone, Default, Hash)]
struct Session {
    sound: bool,
    stopped: bool,
    open: Option<ConnectionId>,
}

fn session(session: &mut Session, event: Event, ctx: &mut Ctx<'_, Session>) {
    match event {
        Event::Start if ctx.node() == ZERO => {
            let patience = ctx.random_duration(millis(30));
            ctx.set_timer("stop", patience);
            ctx.connect(ONE);
        }
        Event::Connection(ConnectionEvent::Opened(id)) => session.open = Some(id),
        Event::Timer("stop") => {
            session.stopped = true;
            let connections: Vec<ConnectionId> = match session.sound {
                true => ctx.connections().iter().map(|connection| connection.id).collect(),
                false => session.open.into_iter().collect(),
            };
            connections.into_iter().for_each(|id| ctx.close(id));
        }
        _ => {}
    }
}

#[test]
fn no_leak_catches_a_connection_that_opens_after_the_stop() {
    let trial = |sound| Trial::new(Session { sound, stopped: false, open: None }, session);
    let no_leak = || NoLeak::when("no-leak", "stopped", |node: &Tiny<Session>| node.state.stopped);
    trial(false).is_caught(no_leak());
    trial(false).is_caught(no_leak().with_grace(secs(1)));
    trial(true).passes(no_leak());
}

/// Node 1 believes that node 0 is there or not. The sound one does not jump to conclusions.
#[derive(Clone, Default, Hash)]
struct Belief {
    sound: bool,
    there: bool,
}

fn belief(belief: &mut Belief, event: Event, ctx: &mut Ctx<'_, Belief>) {
    match event {
        Event::Start | Event::Timer("beat") if ctx.node() == ZERO => {
            ctx.send(ONE, Say("beat", 0));
            ctx.set_timer("beat", millis(100));
        }
        Event::Message(_, "beat", _) => {
            belief.there = true;
            ctx.set_timer("silence", if belief.sound { secs(3) } else { millis(150) });
        }
        Event::Timer("silence") => belief.there = false,
        _ => {}
    }
}

#[test]
fn stable_catches_a_role_that_follows_every_lost_message() {
    let trial = |sound| Trial { network: lossy(0.3, 0.0), ..Trial::new(Belief { sound, there: false }, belief) };
    let stable = || Stable::watching("no-flapping", 4, secs(5), |node: &Tiny<Belief>| node.state.there);
    trial(false).is_caught(stable());
    trial(true).passes(stable());
}

/// Node 1 calls node 0 and waits for the answer. The sound one gives up after a second.
#[derive(Clone, Default, Hash)]
struct Caller {
    sound: bool,
    waiting: bool,
}

fn caller(caller: &mut Caller, event: Event, ctx: &mut Ctx<'_, Caller>) {
    match event {
        Event::Start | Event::Timer("call") if ctx.node() == ONE => {
            caller.waiting = true;
            ctx.send(ZERO, Say("call", 0));
            if caller.sound {
                ctx.set_timer("give up", secs(1));
            }
        }
        Event::Message(from, "call", _) => ctx.send(from, Say("answer", 0)),
        Event::Message(_, "answer", _) | Event::Timer("give up") => {
            caller.waiting = false;
            ctx.cancel_timer("give up");
            ctx.set_timer("call", secs(1));
        }
        _ => {}
    }
}

#[test]
fn bounded_wait_catches_a_call_without_a_timeout() {
    let trial = |sound| Trial {
        network: lossy(0.05, 0.0),
        faults: one_fault(Fault::Pause { node: ONE }, Some(secs(9))),
        ..Trial::new(Caller { sound, waiting: false }, caller)
    };
    let wait =
        || BoundedWait::no_longer_than("calls-end", secs(2), "in a call", |node: &Tiny<Caller>| node.state.waiting);
    trial(false).is_caught(wait());
    trial(true).passes(wait());
}

/// Node 1 keeps in touch with node 0. The defective one stops asking after ten failures.
#[derive(Clone, Default, Hash)]
struct Touch {
    sound: bool,
    failures: u64,
}

fn touch(touch: &mut Touch, event: Event, ctx: &mut Ctx<'_, Touch>) {
    match event {
        Event::Start | Event::Timer("ask") if ctx.node() == ONE => {
            touch.failures += 1;
            ctx.send(ZERO, Say("there?", 0));
            if touch.sound || touch.failures < 10 {
                ctx.set_timer("ask", millis(500));
            }
        }
        Event::Message(from, "there?", _) => ctx.send(from, Say("yes", 0)),
        Event::Message(_, "yes", _) => touch.failures = 0,
        _ => {}
    }
}

#[test]
fn eventually_catches_a_client_that_gives_up_for_good() {
    let trial = |sound| {
        let mut faults = FaultPlan::default();
        for hold in [2, 8] {
            faults.push(some_time(), Fault::Cut { from: ZERO, to: ONE }, Some(secs(hold)));
        }
        Trial { faults, ..Trial::new(Touch { sound, failures: 0 }, touch) }
    };
    let in_touch = || {
        Eventually::within("in-touch", secs(5), |world: &World<Tiny<Touch>>| {
            world.actor(ONE).is_some_and(|node| node.state.failures <= 1)
        })
    };
    trial(false).is_caught(in_touch());
    trial(true).passes(in_touch());
    // With an answer on its way, it is out of touch for a moment, so staying is asked for with more patience.
    trial(false).is_caught(in_touch().and_stays());
}

/// Node 1 returns what it borrowed from node 0, over a network that delivers twice. The sound lender counts each
/// return once.
#[derive(Clone, Default, Hash)]
struct Lender {
    sound: bool,
    tokens: u64,
    returned: u64,
}

fn lender(lender: &mut Lender, event: Event, ctx: &mut Ctx<'_, Lender>) {
    match event {
        Event::Start if ctx.node() == ZERO => {
            lender.tokens = 10;
            ctx.set_timer("lend", millis(100));
        }
        Event::Timer("lend") => {
            if lender.tokens > 0 {
                lender.tokens -= 1;
                ctx.send(ONE, Say("token", 0));
            }
            ctx.set_timer("lend", millis(100));
        }
        Event::Message(from, "token", _) if from == ZERO => {
            lender.returned += 1;
            ctx.send(ZERO, Say("token", lender.returned));
        }
        Event::Message(_, "token", number) if !lender.sound || number > lender.returned => {
            lender.returned = number;
            lender.tokens += 1;
        }
        _ => {}
    }
}

#[test]
fn always_catches_tokens_that_come_from_nowhere() {
    // Only the way back duplicates, so that the borrower returns what it got.
    let trial = |sound| {
        let twice = sim_core::Degradation { duplication: 0.5, ..Default::default() };
        let faults = one_fault(Fault::Degrade { from: ONE, to: ZERO, degradation: twice }, None);
        Trial { faults, ..Trial::new(Lender { sound, ..Lender::default() }, lender) }
    };
    let conserved = || {
        Always::on_each_node("tokens-conserved", |node: &Tiny<Lender>| match node.state.tokens {
            0..=10 => Ok(()),
            tokens => Err(format!("there are {tokens} tokens, but only 10 were ever made")),
        })
    };
    trial(false).is_caught(conserved());
    trial(true).passes(conserved());
}

/// Node 1 repeats its request if there is no answer in time. The defective one was never compiled with that branch.
#[derive(Clone, Default, Hash)]
struct Repeater {
    sound: bool,
}

fn repeater(repeater: &mut Repeater, event: Event, ctx: &mut Ctx<'_, Repeater>) {
    match event {
        Event::Start | Event::Timer("ask") if ctx.node() == ONE => {
            ctx.send(ZERO, Say("ask", 0));
            ctx.set_timer("repeat", millis(100));
        }
        Event::Message(from, "ask", _) => ctx.send(from, Say("answer", 0)),
        Event::Message(_, "answer", _) => {
            ctx.cancel_timer("repeat");
            ctx.set_timer("ask", millis(500));
        }
        Event::Timer("repeat") if repeater.sound => {
            ctx.mark("repeated");
            ctx.send(ZERO, Say("ask", 0));
            ctx.set_timer("repeat", millis(100));
        }
        _ => {}
    }
}

#[test]
fn sometimes_tells_a_branch_that_is_taken_from_one_that_never_is() {
    let trial = |sound, loss| Trial { network: lossy(loss, 0.0), ..Trial::new(Repeater { sound }, repeater) };
    assert!(trial(true, 0.05).seeds_reached(Sometimes::marked("repeated")) > 0);
    assert_eq!(trial(false, 0.05).seeds_reached(Sometimes::marked("repeated")), 0);
    // Nor is it if nothing goes wrong.
    assert_eq!(trial(true, 0.0).seeds_reached(Sometimes::marked("repeated")), 0);
}
