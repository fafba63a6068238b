//! The library of invariants, from both sides.
//!
//! The modules named after a property test its exact edges, on a cluster that follows a script. `canaries` and
//! `tiny` have for each property a small actor with the very defect that it is for, and a sound twin: the first must
//! be caught, the second must pass for every seed.

#[path = "../common/script.rs"]
mod script;

mod asking;
mod canaries;
mod edges;
mod histories;
mod linearizability;
mod liveness;
mod tiny;
