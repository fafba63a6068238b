//! The protocols.

pub mod transitions;
