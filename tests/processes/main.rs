//! Nodes as real processes: what they survive, and what is said when something cannot be done. Nothing here takes the rights
//! of root.

mod bad_peers;
mod command;
mod node;
