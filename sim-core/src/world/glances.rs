//! Whether an invariant looks at more of the past than it says.
//!
//! What is left out of a [`LookBack`] is a promise, and a search that was promised too much takes runs for one that are
//! not, and misses violations. A build with debug assertions, as tests are, does not take anybody's word for it: the
//! world notes what of its past is asked for.

use std::cell::Cell;

use crate::{Actor, LookBack, World};

/// What the world keeps of its past, one bit each.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Past {
    Notes = 1,
    Marks = 2,
    Quiet = 4,
    Fired = 8,
    Incarnations = 16,
}

/// What of it was asked for since somebody forgot all that was asked for before.
#[derive(Default)]
pub(super) struct Glances(Cell<u8>);

impl Glances {
    #[inline]
    pub(super) fn note(&self, past: Past) {
        if cfg!(debug_assertions) {
            self.0.set(self.0.get() | past as u8);
        }
    }
}

impl<A: Actor> World<A> {
    /// Lets an invariant look, and says which part of the past it has asked for beyond `back`. Nothing, in a build without
    /// debug assertions.
    #[inline]
    pub(crate) fn looked_at<R>(&self, back: LookBack, look: impl FnOnce(&World<A>) -> R) -> (R, Option<&'static str>) {
        if !cfg!(debug_assertions) {
            return (look(self), None);
        }
        self.glances.0.set(0);
        let found = look(self);
        let seen = self.glances.0.get();
        let beyond = [
            (Past::Notes, "history", back.notes < usize::MAX),
            (Past::Marks, "marks", back.marks),
            (Past::Quiet, "quiet_since", back.quiet),
            (Past::Fired, "fired", back.fired),
            (Past::Incarnations, "incarnation", back.incarnations),
        ]
        .into_iter()
        .find(|&(past, _, said)| !said && seen & past as u8 != 0);
        (found, beyond.map(|(_, what, _)| what))
    }
}
