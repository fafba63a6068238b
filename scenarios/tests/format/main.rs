//! Tests of the scenario format: what is read, what is refused and how, what a seed makes of it.

mod broken;
mod common;
mod mutations;
mod nemesis;
mod schedules;
mod schema;
mod sound;
