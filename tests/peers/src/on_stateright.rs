//! The two-phase commit of `protocols::two_phase_commit` once more, on stateright's actor model: the same messages, timers
//! and decisions, so that both must count the same states.
//!
//! The network is unordered and does not duplicate: a message is delivered once, as in an exploration without a clock.

use std::borrow::Cow;

use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};
use stateright::{Checker, Expectation, Model};

/// A node: the transaction manager is the first, all others are resource managers.
#[derive(Clone)]
pub struct Node {
    resources: usize,
}

/// What a node remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The transaction manager: where it stands, and a bit for each that has prepared.
    Manager(Phase, u64),
    /// A resource manager: where it stands, and whether it was told.
    Resource(Phase, bool),
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing is decided.
    Working,
    /// Has promised to commit.
    Prepared,
    /// Has committed.
    Committed,
    /// Has aborted.
    Aborted,
}

/// What nodes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// I can commit.
    Prepared,
    /// Commit.
    Commit,
    /// Abort.
    Abort,
}

/// What a node does of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The work is done.
    Prepare,
    /// It may still abort.
    GiveUp,
}

const MANAGER: usize = 0;

impl Node {
    fn decide(&self, message: Message, o: &mut Out<Self>) {
        o.cancel_timer(Timer::GiveUp);
        (1..=self.resources).for_each(|resource| o.send(Id::from(resource), message));
    }
}

impl Actor for Node {
    type Msg = Message;
    type Timer = Timer;
    type State = State;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> State {
        o.set_timer(Timer::GiveUp, model_timeout());
        if usize::from(id) == MANAGER {
            return State::Manager(Phase::Working, 0);
        }
        o.set_timer(Timer::Prepare, model_timeout());
        State::Resource(Phase::Working, false)
    }

    fn on_msg(&self, _: Id, state: &mut Cow<State>, from: Id, message: Message, o: &mut Out<Self>) {
        match (&**state, message) {
            (&State::Manager(phase, prepared), Message::Prepared) => {
                let prepared = prepared | 1 << (usize::from(from) - 1);
                let all = phase == Phase::Working && prepared.count_ones() as usize == self.resources;
                *state.to_mut() = State::Manager(if all { Phase::Committed } else { phase }, prepared);
                if all {
                    self.decide(Message::Commit, o);
                }
            }
            (State::Resource(..), Message::Commit | Message::Abort) => {
                let phase = if message == Message::Commit { Phase::Committed } else { Phase::Aborted };
                *state.to_mut() = State::Resource(phase, true);
                o.cancel_timer(Timer::Prepare);
                o.cancel_timer(Timer::GiveUp);
            }
            _ => {}
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<State>, timer: &Timer, o: &mut Out<Self>) {
        match (&**state, timer) {
            (&State::Manager(_, prepared), _) => {
                *state.to_mut() = State::Manager(Phase::Aborted, prepared);
                self.decide(Message::Abort, o);
            }
            (&State::Resource(_, told), Timer::Prepare) => {
                *state.to_mut() = State::Resource(Phase::Prepared, told);
                o.cancel_timer(Timer::GiveUp);
                o.send(Id::from(MANAGER), Message::Prepared);
            }
            (&State::Resource(_, told), Timer::GiveUp) => {
                *state.to_mut() = State::Resource(Phase::Aborted, told);
                o.cancel_timer(Timer::Prepare);
            }
        }
    }
}

fn model(resources: usize) -> ActorModel<Node, (), ()> {
    let consistent = |_: &ActorModel<Node, (), ()>, state: &stateright::actor::ActorModelState<Node, ()>| {
        let any = |phase| state.actor_states.iter().any(|node| matches!(**node, State::Resource(p, _) if p == phase));
        !(any(Phase::Committed) && any(Phase::Aborted))
    };
    ActorModel::new((), ())
        .actors((0..=resources).map(|_| Node { resources }))
        .init_network(Network::new_unordered_nonduplicating([]))
        .property(Expectation::Always, "consistent", consistent)
}

/// Takes every order on one thread, depth first as Fencepost does or breadth first, and looks at the checker before it is
/// dropped. How many states there are; the violation is a panic.
pub fn every_order(resources: usize, breadth_first: bool, look: impl FnOnce()) -> u64 {
    let builder = model(resources).checker().threads(1);
    let check = |states: usize, broken: bool| {
        assert!(!broken, "two-phase commit is consistent");
        states as u64
    };
    if breadth_first {
        let checker = builder.spawn_bfs().join();
        look();
        check(checker.unique_state_count(), checker.discovery("consistent").is_some())
    } else {
        let checker = builder.spawn_dfs().join();
        look();
        check(checker.unique_state_count(), checker.discovery("consistent").is_some())
    }
}
