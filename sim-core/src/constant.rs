//! What is no part of a state because it never changes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// A value that is the same in every state that a run can be in: a closure, a table of settings.
///
/// Searches tell states apart by their hash ([`crate::Run::fingerprint`]). Code has no hash, and what never changes
/// needs none: this wrapper lets a struct that holds such things beside its state derive [`Hash`] all the same, so
/// that no field of its state can be forgotten. Whatever it holds must neither change nor be changed through it.
///
/// ```
/// use sim_core::Constant;
/// use std::sync::Arc;
///
/// #[derive(Clone, Hash)]
/// struct Limit {
///     /// Different before and after, so part of the state.
///     exceeded: u64,
///     is_over: Constant<Arc<dyn Fn(u64) -> bool + Send + Sync>>,
/// }
///
/// let limit = Limit { exceeded: 0, is_over: Constant(Arc::new(|number| number > 9)) };
/// assert!((limit.is_over)(12));
/// ```
#[derive(Clone, Copy, Default)]
pub struct Constant<T>(pub T);

impl<T> Hash for Constant<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<T> Deref for Constant<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Constant<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
