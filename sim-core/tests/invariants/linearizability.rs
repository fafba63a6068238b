//! The judgement on registers, against a search through all orders.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sim_core::history::{Call, Operation, Step};
use sim_core::library::Linearizable;
use sim_core::{
    Actor, CommandId, Context, Fault, FaultPlan, Instant, Limits, NodeId, Run, Schedule, Setup, Trigger, World,
};

/// A client that notes what it is told to.
#[derive(Clone, Hash)]
struct Teller;

impl Actor for Teller {
    type Message = ();
    type Timer = ();
    type Record = ();
    type Command = Operation;

    fn on_start(&mut self, _: &[()], _: &mut Context<Self>) {}
    fn on_message(&mut self, _: NodeId, (): (), _: &mut Context<Self>) {}
    fn on_timer(&mut self, (): (), _: &mut Context<Self>) {}
    fn on_command(&mut self, operation: Operation, ctx: &mut Context<Self>) {
        ctx.record(operation);
    }
}

type Steps = Vec<(NodeId, Operation)>;

/// Which step is the first that cannot be explained, and why.
fn judge(steps: &[(NodeId, Operation)]) -> Option<(usize, String)> {
    let mut setup = Setup::new(["c0", "c1", "c2"], |_| Teller);
    setup.commands = steps.iter().map(|&(_, operation)| operation).collect();
    let mut faults = FaultPlan::default();
    for (number, &(node, _)) in steps.iter().enumerate() {
        let command = CommandId(number as u32);
        faults.push(Trigger::At(moment(number)), Fault::Command { node, command }, None);
    }
    let world = World::new(&Arc::new(setup), &Arc::new(Schedule { faults, ..Schedule::calm(0) }));
    let outcome = Run::new(world, vec![Box::new(Linearizable::named("linearizable"))], Limits::default()).to_end();
    let violation = outcome.violation?;
    let number = (0..steps.len()).find(|&number| moment(number) == violation.at).expect("it is one of the steps");
    Some((number, violation.message))
}

/// When a step is noted.
fn moment(number: usize) -> Instant {
    Instant::from(Duration::from_millis(1 + number as u64))
}

/// An operation as the search sees it.
#[derive(Clone, Copy, Debug, Hash)]
struct Op {
    client: NodeId,
    id: u64,
    call: Call,
    begin: usize,
    /// `None` if it has not ended or nobody knows.
    end: Option<usize>,
    result: Option<Step>,
}

/// Whether some order of the operations explains the steps: the definition, by trying all.
fn explained(steps: &[(NodeId, Operation)]) -> bool {
    let mut ops: Vec<Op> = Vec::new();
    for (number, &(client, Operation { id, call, step })) in steps.iter().enumerate() {
        if step == Step::Invoked {
            ops.push(Op { client, id, call, begin: number, end: None, result: None });
            continue;
        }
        let op = ops.iter_mut().find(|op| (op.client, op.id) == (client, id)).expect("it has begun");
        op.result = Some(step);
        op.end = (step != Step::Unknown).then_some(number);
    }
    let done = |op: &Op| matches!(op.result, Some(Step::Returned(_)));
    // Without a result a read says nothing; what was refused must not have happened.
    ops.retain(|op| done(op) || matches!(op.call, Call::Write { .. }) && op.result != Some(Step::Refused));
    search(&ops, None)
}

fn search(remaining: &[Op], register: Option<u64>) -> bool {
    if remaining.iter().all(|op| op.end.is_none()) {
        return true;
    }
    (0..remaining.len()).any(|next| {
        let op = remaining[next];
        // Nothing that has ended before it began may come after it.
        if remaining.iter().any(|other| other.end.is_some_and(|end| end < op.begin)) {
            return false;
        }
        let mut rest = remaining.to_vec();
        rest.remove(next);
        match (op.call, op.result) {
            (Call::Write { value, .. }, _) => search(&rest, Some(value)),
            (_, Some(Step::Returned(seen))) => seen == register && search(&rest, register),
            _ => unreachable!("other operations are left out"),
        }
    })
}

/// Three clients, each with one operation at a time. What a read returns is drawn from the values written so far.
fn histories() -> impl Strategy<Value = Steps> {
    prop::collection::vec((0..3_u16, 0..100_u32, any::<prop::sample::Index>()), 0..16).prop_map(|choices| {
        let mut steps = Steps::new();
        let mut open: [Option<Operation>; 3] = [None; 3];
        let (mut writes, mut ids) = (0, 0);
        for (client, choice, index) in choices {
            let step = match open[client as usize].take() {
                None => {
                    let call = match choice % 2 {
                        0 => {
                            writes += 1;
                            Call::Write { key: 1, value: writes }
                        }
                        _ => Call::Read { key: 1 },
                    };
                    ids += 1;
                    let operation = Operation { id: ids, call, step: Step::Invoked };
                    open[client as usize] = Some(operation);
                    operation
                }
                Some(operation) => {
                    let seen = match index.index(writes as usize + 1) as u64 {
                        0 => None,
                        value => Some(value),
                    };
                    let step = match (operation.call, choice) {
                        (_, 0..10) => Step::Unknown,
                        (Call::Write { .. }, 10..20) => Step::Refused,
                        (Call::Write { .. }, _) => Step::Returned(None),
                        _ => Step::Returned(seen),
                    };
                    Operation { step, ..operation }
                }
            };
            steps.push((NodeId(client), step));
        }
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_first_step_that_no_order_explains_is_found(steps in histories()) {
        let first = (0..steps.len()).find(|&number| !explained(&steps[..=number]));
        let judged = judge(&steps);
        prop_assert_eq!(judged.as_ref().map(|(number, _)| *number), first, "{:?}", judged);
    }
}

/// A history as one line: `c0 w1 (` begins client 0's write of 1, `c0 w1 )` ends it; `r2 )` ends a read that saw 2,
/// `r- )` one that saw nothing, `?` gives up and `!` is refused.
fn history(text: &str) -> Steps {
    let mut reads = [0; 3];
    let words: Vec<&str> = text.split_whitespace().collect();
    let step = |words: &[&str]| {
        let [client, what, mark] = words else { panic!("three words a step: {words:?}") };
        let client: u16 = client[1..].parse().expect("a client");
        let value = what[1..].parse().ok();
        let step = match *mark {
            "(" => Step::Invoked,
            ")" => Step::Returned(value.filter(|_| what.starts_with('r'))),
            "?" => Step::Unknown,
            "!" => Step::Refused,
            _ => panic!("what is {mark}?"),
        };
        let read = &mut reads[client as usize];
        *read += u64::from(what.starts_with('r') && step == Step::Invoked);
        let (id, call) = match what.as_bytes()[0] {
            b'w' => (value.expect("a value"), Call::Write { key: 1, value: value.expect("a value") }),
            _ => (1000 + *read, Call::Read { key: 1 }),
        };
        (NodeId(client), Operation { id, call, step })
    };
    words.chunks(3).map(step).collect()
}

fn fine(text: &str) {
    assert_eq!(judge(&history(text)), None);
}

fn wrong(text: &str, at: usize, why: &str) {
    let (number, message) = judge(&history(text)).expect("a violation");
    assert_eq!(number, at, "{message}");
    assert!(message.contains(why), "{message}");
}

#[test]
fn a_read_sees_the_last_write() {
    fine("c0 r- ( c0 r- ) c0 w1 ( c0 w1 ) c1 r1 ( c1 r1 )");
    wrong("c0 w1 ( c0 w1 ) c1 r- ( c1 r- )", 3, "c0's write of 1 ended at 0.002s and then c1's read of nothing began");
    wrong(
        "c0 w1 ( c0 w1 ) c0 w2 ( c0 w2 ) c1 r1 ( c1 r1 )",
        5,
        "c0's write of 1 ended at 0.002s and then c0's write of 2 began at 0.003s, \
         but c0's write of 2 ended at 0.004s and then c1's read of 1 began at 0.005s",
    );
}

#[test]
fn operations_at_the_same_time_may_come_in_any_order() {
    fine("c0 w1 ( c1 r- ( c1 r- ) c1 r1 ( c1 r1 ) c0 w1 )");
    wrong("c0 w1 ( c1 r1 ( c1 r1 ) c1 r- ( c1 r- )", 4, "register 1 was not one register");
}

#[test]
fn a_write_of_unknown_outcome_may_come_late_or_never() {
    fine("c0 w1 ( c0 w1 ? c0 w2 ( c0 w2 ) c1 r2 ( c1 r2 ) c1 r1 ( c1 r1 )");
    fine("c0 w1 ( c0 w1 ? c0 w2 ( c0 w2 ) c1 r2 ( c1 r2 ) c1 r2 ( c1 r2 )");
    wrong("c0 w1 ( c0 w1 ? c1 r1 ( c1 r1 ) c1 r- ( c1 r- )", 5, "register 1 was not one register");
}

#[test]
fn a_refused_write_must_not_show() {
    fine("c0 w1 ( c0 w1 ! c1 r- ( c1 r- )");
    wrong("c0 w1 ( c0 w1 ! c1 r1 ( c1 r1 )", 3, "whose write had been refused");
    wrong("c0 w1 ( c1 r1 ( c1 r1 ) c0 w1 !", 3, "whose write had been refused");
}

#[test]
fn what_nobody_wrote_cannot_be_read() {
    wrong("c0 r9 ( c0 r9 )", 1, "c0 read from register 1 what nobody had written");
}

#[test]
fn a_workload_that_cannot_be_judged_is_reported() {
    wrong("c0 w1 ( c0 w1 ) c1 w1 (", 2, "a workload must write each value to a key once");
    wrong("c0 w1 )", 0, "the end of an operation that had not begun");
}

#[test]
fn a_request_sent_again_is_the_same_operation() {
    fine("c0 w1 ( c0 w1 ( c0 w1 ) c1 r1 ( c1 r1 )");
    fine("c0 w1 ( c0 w1 ? c0 w1 ( c0 w1 ) c1 r1 ( c1 r1 )");
}
