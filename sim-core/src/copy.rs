//! Copies that reuse the memory of what they replace.
//!
//! A search copies a world at every step. What `derive` makes of [`Clone::clone_from`] is a new value and the end of the old
//! one, with all their allocations; here it is a copy field by field, which allocates only what has grown.

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
