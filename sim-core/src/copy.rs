//! Copies that reuse the memory of what they replace.
//!
//! A search copies a world at every step. What `derive` makes of [`Clone::clone_from`] is a new value and the end of the old
//! one, with all their allocations; here it is a copy field by field, which allocates only what has grown.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Implements [`Clone`] for a struct, all of whose fields are named.
macro_rules! copied_by_field {
    (impl[$($generics:tt)*] $type:ty { $($field:ident),+ $(,)? }) => {
        impl<$($generics)*> Clone for $type {
            fn clone(&self) -> Self {
                Self { $($field: self.$field.clone()),+ }
            }

            fn clone_from(&mut self, source: &Self) {
                $(self.$field.clone_from(&source.$field);)+
            }
        }
    };
}
pub(crate) use copied_by_field;

/// A queue that is empty nearly always, and then costs nothing to copy.
#[derive(Debug)]
pub(crate) struct Line<T>(VecDeque<T>);

impl<T> Default for Line<T> {
    fn default() -> Self {
        Line(VecDeque::new())
    }
}

impl<T: Clone> Clone for Line<T> {
    fn clone(&self) -> Self {
        Line(self.0.clone())
    }

    fn clone_from(&mut self, source: &Self) {
        if !(self.0.is_empty() && source.0.is_empty()) {
            self.0.clone_from(&source.0);
        }
    }
}

impl<T> Deref for Line<T> {
    type Target = VecDeque<T>;

    #[inline]
    fn deref(&self) -> &VecDeque<T> {
        &self.0
    }
}

impl<T> DerefMut for Line<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut VecDeque<T> {
        &mut self.0
    }
}

/// Copies a value that many may share: into the own one if nobody else has it, and else by sharing.
pub(crate) fn copy_shared<T: Clone>(own: &mut Arc<T>, source: &Arc<T>) {
    if Arc::ptr_eq(own, source) {
        return;
    }
    match Arc::get_mut(own) {
        Some(own) => own.clone_from(source),
        None => *own = Arc::clone(source),
    }
}
