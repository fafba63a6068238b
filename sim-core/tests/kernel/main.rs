//! What the kernel promises about any protocol under any faults, as properties over random worlds.

mod chatter;
mod determinism;
mod disk;
mod fingerprint;
mod network;
mod time;
