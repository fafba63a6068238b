//! How a run is told: to a person at a terminal, to a browser, to a machine.

pub mod defects;
pub mod explored;
pub mod failure;
pub mod html;
pub mod json;
pub mod junit;
pub mod shrunk;
pub mod story;
pub mod table;
pub mod timeline;
pub(crate) mod words;
pub mod worlds;

#[cfg(test)]
mod sample;
