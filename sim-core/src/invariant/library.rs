//! The library of common invariants.
