//! Services that protocols lean on: each is a component that a protocol embeds in the actors of its nodes.

pub mod coordination;
pub mod membership;
pub mod power;
pub mod repository;
