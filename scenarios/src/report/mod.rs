//! How a run is told: to a person at a terminal, to a browser, to a machine.

pub mod html;
pub mod story;
pub mod timeline;
mod words;

#[cfg(test)]
mod sample;
