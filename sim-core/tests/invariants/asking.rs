//! Which events an invariant is asked after.

use std::sync::{Arc, Mutex};

use sim_core::{Check, Class, Constant, Invariant, NodeId, Touched, World};

use crate::script::{Act, Script, Server, secs};

const ALPHA: NodeId = NodeId(0);
const BETA: NodeId = NodeId(1);

/// Notes after what it was asked.
#[derive(Clone, Hash)]
struct Witness {
    cares_for: fn(NodeId) -> bool,
    answer: fn(usize) -> Check,
    asked: Constant<Arc<Mutex<Vec<Touched>>>>,
}

impl Invariant<Server> for Witness {
    fn name(&self) -> &str {
        "witness"
    }

    fn class(&self) -> Class {
        Class::Safety
    }

    fn concerns(&self, node: NodeId) -> bool {
        (self.cares_for)(node)
    }

    fn check(&mut self, _: &World<Server>, touched: Touched) -> Check {
        let mut asked = self.asked.lock().unwrap();
        asked.push(touched);
        (self.answer)(asked.len())
    }

    fn finish(&mut self, _: &World<Server>) -> Check {
        Check::Violated(format!("asked after {:?}", self.asked.lock().unwrap()))
    }
}

const NOTHING: Act = |_, _| {};

/// What a witness was asked after, in a run in which alpha and beta start and each does something once.
fn asked_after(cares_for: fn(NodeId) -> bool, answer: fn(usize) -> Check) -> Vec<Touched> {
    let asked = Arc::default();
    let witness = Witness { cares_for, answer, asked: Constant(Arc::clone(&asked)) };
    let outcome =
        Script::new(["alpha", "beta"]).at(secs(1), "alpha", NOTHING).at(secs(2), "beta", NOTHING).check(witness);
    assert!(outcome.violation.expect("a last look").message.starts_with("asked after"), "it looks at the end as well");
    asked.lock().unwrap().clone()
}

fn of(node: NodeId) -> Touched {
    Touched::Node(node)
}

#[test]
fn every_event_is_asked_after_unless_something_else_is_said() {
    let asked = asked_after(|_| true, |_| Check::Holds);
    for touched in [of(ALPHA), of(BETA), Touched::Any] {
        assert!(asked.contains(&touched), "{touched:?} is not among {asked:?}");
    }
}

#[test]
fn what_does_not_concern_it_does_not_reach_it() {
    let asked = asked_after(|node| node == BETA, |_| Check::Holds);
    assert!(!asked.contains(&of(ALPHA)), "{asked:?}");
    assert!(asked.contains(&of(BETA)) && asked.contains(&Touched::Any), "{asked:?}");
}

#[test]
fn what_is_settled_is_not_asked_again_before_the_end() {
    let settled = asked_after(|_| true, |times| if times == 2 { Check::Settled } else { Check::Holds });
    assert_eq!(settled.len(), 2);
}

/// Only a build with debug assertions looks.
#[cfg(debug_assertions)]
#[test]
fn who_looks_at_more_of_the_past_than_it_has_said_ends_the_run() {
    use sim_core::library::Always;
    use sim_core::{Instant, LookBack};

    type Look = fn(&World<Server>) -> bool;
    let looks: [(&str, Look, LookBack); 5] = [
        ("history", |world| world.history().notes().is_empty(), LookBack { notes: 0, ..LookBack::NOTHING }),
        ("marks", |world| world.mark_count("here") == 0, LookBack { marks: true, ..LookBack::NOTHING }),
        (
            "quiet_since",
            |world| world.quiet_since() != Some(Instant::MAX),
            LookBack { quiet: true, ..LookBack::NOTHING },
        ),
        ("fired", |world| world.fired().len() < 9, LookBack { fired: true, ..LookBack::NOTHING }),
        ("incarnation", |world| world.incarnation(ALPHA) < 9, LookBack { incarnations: true, ..LookBack::NOTHING }),
    ];
    for (what, look, said) in looks {
        let run = |back| {
            let always = Always::in_world("present", look).looking_back(back);
            Script::new(["alpha", "beta"]).at(secs(1), "alpha", NOTHING).check(always).violation
        };
        assert_eq!(run(said), None, "{what}");
        let violation = run(LookBack::NOTHING).unwrap_or_else(|| panic!("{what} may be looked at"));
        assert_eq!(violation.invariant, "no-panic");
        assert!(
            violation.message.contains(&format!("`present` has looked at `World::{what}`")),
            "{}",
            violation.message
        );
    }
}
