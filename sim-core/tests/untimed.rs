//! Every order of messages and timers: as many states as there are, and what only one order breaks is found.

use std::sync::Arc;

use sim_core::library::Always;
use sim_core::search::{Orders, Untimed};
use sim_core::{Actor, Context, Instant, Limits, NodeId, Run, Schedule, Setup, World};
use std::time::Duration;

/// Sends so many messages, arms so many timers, and notes what has come.
#[derive(Clone, Hash)]
struct Node {
    different: u8,
    same: u8,
    timers: u8,
    /// The bits of what has come, and how many of the messages that are all the same.
    come: (u64, u8),
    last: u8,
}

#[derive(Clone, Debug, Hash)]
enum Message {
    Number(u8),
    Same,
}
sim_core::kinds!(Message { Number, Same });

impl Actor for Node {
    type Message = Message;
    type Timer = u8;
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) {
        if ctx.node() != NodeId(0) {
            return;
        }
        for number in 0..self.different {
            ctx.send(NodeId(1), Message::Number(number));
        }
        for _ in 0..self.same {
            ctx.send(NodeId(1), Message::Same);
        }
        // However much later one is than another: there is no clock.
        for timer in 0..self.timers {
            ctx.set_timer(timer, Duration::from_secs(u64::from(timer) * 1000));
        }
    }

    fn on_message(&mut self, _: NodeId, message: Message, ctx: &mut Context<Self>) {
        assert_eq!(ctx.now(), Instant::ZERO, "time stands still");
        match message {
            Message::Number(number) => {
                self.come.0 |= 1 << number;
                // Only the fourth before all others shows this.
                if self.come.0 == 1 << 3 {
                    self.last = 1;
                }
            }
            Message::Same => self.come.1 += 1,
        }
    }

    fn on_timer(&mut self, timer: u8, _: &mut Context<Self>) {
        self.come.0 |= 1 << timer;
    }
}

fn orders(different: u8, same: u8, timers: u8, depth: usize) -> Orders {
    let node = Node { different, same, timers, come: (0, 0), last: 0 };
    let setup = Arc::new(Setup::new(["sender", "receiver"], move |_| node.clone()));
    let never_last = || Always::on_each_node("fourth-is-not-first", |node: &Node| node.last == 0);
    Untimed::default().depth(depth).explore(|| {
        let world = World::new(&setup, &Arc::new(Schedule::calm(0)));
        Run::new(world, vec![Box::new(never_last())], Limits::default())
    })
}

#[test]
fn what_is_independent_comes_in_every_order_and_each_subset_is_a_state() {
    for (different, timers) in [(0, 0), (3, 0), (0, 5), (2, 3)] {
        let found = orders(different, 0, timers, usize::MAX);
        assert!(found.complete && found.violation.is_none());
        let things = u32::from(different + timers);
        assert_eq!(found.distinct_states, 2_u64.pow(things));
        assert_eq!(found.worlds, u64::from(things) * 2_u64.pow(things) / 2);
        assert_eq!(found.longest, u64::from(things));
    }
}

#[test]
fn messages_that_are_the_same_are_one_choice_and_each_arrives_once() {
    let found = orders(0, 5, 0, usize::MAX);
    assert_eq!((found.distinct_states, found.worlds, found.longest), (6, 5, 5));
}

#[test]
fn what_only_one_order_breaks_is_found_and_told() {
    assert!(orders(3, 0, 2, usize::MAX).violation.is_none());
    let found = orders(4, 0, 2, usize::MAX);
    assert!(!found.complete);
    let (outcome, trace) = found.violation.expect("the fourth message can come first");
    assert_eq!(outcome.violation.unwrap().invariant, "fourth-is-not-first");
    assert!(trace.entries.iter().any(|entry| format!("{:?}", entry.what).contains("Number(3)")), "{trace:?}");
}

#[test]
fn a_way_that_is_cut_off_is_no_certificate() {
    let found = orders(3, 0, 0, 2);
    assert!(!found.complete && found.violation.is_none());
    assert!(orders(3, 0, 0, 3).complete);
}
