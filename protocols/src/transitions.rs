//! A protocol's state machine as one checked table.
//!
//! The table stands next to the protocol's description, so that it can be read beside the paper; handlers only say
//! what has happened. What has no line in the table cannot happen: it is a panic, which a run reports as a violation
//! of `no-panic` with its seed.

use std::fmt::{Debug, Write};

/// A state machine whose every step is a line of its table; [`transitions!`](crate::transitions!) writes it.
pub trait StateMachine: Copy + Eq + Debug + 'static {
    /// What can happen to it.
    type Event: Copy + Eq + Debug + 'static;

    /// All that can happen, and where it leads.
    const TABLE: &'static [Transition<Self, Self::Event>];

    /// Goes where the table says.
    ///
    /// # Panics
    /// If the event has no line in the table for the present state.
    fn step(&mut self, event: Self::Event) {
        let line = Self::TABLE.iter().find(|line| line.event == event && line.from.contains(self));
        let Some(line) = line else { panic!("there is no transition from {self:?} on {event:?}") };
        *self = line.to;
    }
}

/// One line of a table.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Transition<S: 'static, E> {
    /// What happens.
    pub event: E,
    /// The states in which it can happen.
    pub from: &'static [S],
    /// The state that it leads to.
    pub to: S,
}

/// Writes the [`StateMachine`] of a state and an event type from lines of the form `Event(From | From => To);`.
///
/// ```
/// use protocols::transitions::StateMachine;
/// #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
/// enum Door { Open, Shut, Locked }
/// #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
/// enum Deed { Close, Lock, Break }
/// protocols::transitions! { Door on Deed {
///     Close(Open => Shut);
///     Lock(Shut => Locked);
///     Break(Shut | Locked => Open);
/// } }
/// let mut door = Door::Open;
/// door.step(Deed::Close);
/// assert_eq!(door, Door::Shut);
/// ```
#[macro_export]
macro_rules! transitions {
    ($state:ident on $event:ident { $($name:ident($($from:ident)|+ => $to:ident);)+ }) => {
        impl $crate::transitions::StateMachine for $state {
            type Event = $event;
            const TABLE: &'static [$crate::transitions::Transition<Self, $event>] = &[
                $($crate::transitions::Transition {
                    event: $event::$name,
                    from: &[$($state::$from),+],
                    to: $state::$to,
                },)+
            ];
        }
    };
}

/// The table as text, one line a transition, for a snapshot that shows every change of it in a review.
pub fn render<S: StateMachine>() -> String {
    let mut text = String::new();
    for line in S::TABLE {
        let from: Vec<String> = line.from.iter().map(|state| format!("{state:?}")).collect();
        writeln!(text, "{:?}: {} => {:?}", line.event, from.join(" | "), line.to).expect("a string can grow");
    }
    text
}

/// Checks that a table says one thing for each state and event, and that every state but `initial` is led to.
///
/// # Errors
/// The first fault of the table, in words.
pub fn check<S: StateMachine>(initial: S) -> Result<(), String> {
    let lines = || S::TABLE.iter().flat_map(|line| line.from.iter().map(move |&from| (from, line.event, line.to)));
    for (number, (from, event, _)) in lines().enumerate() {
        if lines().take(number).any(|(f, e, _)| f == from && e == event) {
            return Err(format!("{event:?} has two lines for {from:?}"));
        }
        if from != initial && !lines().any(|(_, _, to)| to == from) {
            return Err(format!("nothing leads to {from:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Lamp {
        Off,
        On,
        Broken,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Deed {
        Press,
        Drop,
    }

    transitions! { Lamp on Deed {
        Press(Off => On);
        Drop(Off | On => Broken);
    } }

    #[test]
    fn a_step_goes_where_the_table_says() {
        let mut lamp = Lamp::Off;
        lamp.step(Deed::Press);
        assert_eq!(lamp, Lamp::On);
        lamp.step(Deed::Drop);
        assert_eq!(lamp, Lamp::Broken);
    }

    #[test]
    #[should_panic(expected = "there is no transition from Broken on Press")]
    fn a_step_that_is_not_in_the_table_is_a_panic() {
        Lamp::Broken.clone().step(Deed::Press);
    }

    #[test]
    fn a_table_is_rendered_line_by_line() {
        assert_eq!(render::<Lamp>(), "Press: Off => On\nDrop: Off | On => Broken\n");
        assert_eq!(check(Lamp::Off), Ok(()));
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Muddled {
        Here,
        There,
    }

    transitions! { Muddled on Deed {
        Press(Here => Here);
        Press(Here => There);
    } }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Torn {
        Here,
        There,
    }

    transitions! { Torn on Deed {
        Press(There => Here);
    } }

    #[test]
    fn an_ambiguous_or_torn_table_is_exposed() {
        assert_eq!(check(Muddled::Here), Err("Press has two lines for Here".to_owned()));
        assert_eq!(check(Torn::Here), Err("nothing leads to There".to_owned()));
    }
}
