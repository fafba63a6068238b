//! The same work on four engines, so that their speeds can be compared: a bare event loop, Fencepost, madsim and
//! turmoil.
//!
//! Each engine gets a module of its own, written as a user of that engine would write it. What they are to do is
//! said once, here. `benches/peers.rs` runs and times them, in turns; this crate is outside the default members so
//! that an ordinary build does not compile the other frameworks.

use std::time::Duration;

mod bare;
pub mod fencepost;
#[cfg(madsim)]
mod on_madsim;
pub mod on_stateright;
mod on_turmoil;

/// Shortest latency of a message.
pub const LATENCY_MIN: Duration = Duration::from_millis(1);
/// Longest latency of a message.
pub const LATENCY_MAX: Duration = Duration::from_millis(10);

/// Nodes that send each other heartbeats.
pub const HEARTBEAT_NODES: u16 = 3;
/// Time between two heartbeats of a node.
pub const HEARTBEAT_EVERY: Duration = Duration::from_millis(100);
/// When each node sends its first heartbeat: late enough for every engine's sockets to be bound, and such that the
/// last one arrives before the end.
pub const HEARTBEAT_FIRST: Duration = Duration::from_millis(50);
/// Virtual time of a heartbeat run.
pub const HEARTBEAT_END: Duration = Duration::from_secs(60);

/// When the first pings are sent: late enough for every engine's sockets to be bound.
pub const PING_FIRST: Duration = Duration::from_millis(50);
/// Pings sent in all, each of which is answered once.
pub const PINGS: u64 = 1_800;
/// Virtual time within which every ping and its answer has arrived, one at a time and each as late as can be.
pub const PING_END: Duration = Duration::from_secs(60);

/// Something for an engine to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Three nodes send each other a heartbeat every 100 ms for a minute.
    Heartbeat,
    /// Two nodes play ping-pong: one sends, the other answers, and each answer lets the next ping go.
    PingPong {
        /// Pings on their way at a time.
        in_flight: u64,
    },
}

impl Work {
    /// Messages that have been delivered when the work is done.
    pub const fn deliveries(self) -> u64 {
        match self {
            Work::Heartbeat => {
                let beats = HEARTBEAT_END.as_millis() / HEARTBEAT_EVERY.as_millis();
                let nodes = HEARTBEAT_NODES as u64;
                beats as u64 * nodes * (nodes - 1)
            }
            Work::PingPong { .. } => 2 * PINGS,
        }
    }
}

/// Something that can do the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A hand-written loop around a binary heap: no payload, no invariant, no trace. What a machine can do at most.
    Bare,
    /// Fencepost with payload, an invariant checked after every event, and the rolling hash.
    Fencepost,
    /// madsim, with a fresh thread for each seed as its determinism needs.
    Madsim,
    /// turmoil, with a tick of one millisecond.
    Turmoil,
}

impl Engine {
    /// All of them, in the order in which they take turns.
    pub const ALL: [Engine; 4] = [Engine::Bare, Engine::Fencepost, Engine::Madsim, Engine::Turmoil];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Bare => "bare loop",
            Engine::Fencepost => "Fencepost",
            Engine::Madsim => "madsim",
            Engine::Turmoil => "turmoil",
        }
    }

    /// Does the work once, from nothing to the end.
    ///
    /// # Panics
    /// If not exactly the messages that the work calls for were delivered: its time would mean nothing.
    pub fn run(self, work: Work, seed: u64) {
        let delivered = match self {
            Engine::Bare => bare::run(work, seed),
            Engine::Fencepost => fencepost::run(work, seed),
            #[cfg(madsim)]
            Engine::Madsim => on_madsim::run(work, seed),
            #[cfg(not(madsim))]
            Engine::Madsim => panic!("{WITHOUT_MADSIM}"),
            Engine::Turmoil => on_turmoil::run(work, seed),
        };
        assert_eq!(
            delivered,
            work.deliveries(),
            "{} delivered {delivered} messages of {work:?} with seed {seed}, which calls for {}",
            self.name(),
            work.deliveries()
        );
    }
}

/// What a message carries where an engine sends bytes: the same two numbers as Fencepost's message.
fn payload(term: u64, sequence: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&term.to_le_bytes());
    bytes[8..].copy_from_slice(&sequence.to_le_bytes());
    bytes
}

/// What to say when this crate was built without madsim's simulator.
pub const WITHOUT_MADSIM: &str = "\
this was built without `--cfg madsim`, so madsim would run on the real clock and there is nothing to compare.
The workspace sets the flag in .cargo/config.toml, but a RUSTFLAGS or CARGO_ENCODED_RUSTFLAGS variable overrides it.
Unset the variable, or add the flag to it: RUSTFLAGS=\"$RUSTFLAGS --cfg madsim\" cargo bench -p peers";

#[cfg(test)]
mod tests {
    use super::*;

    /// Each run checks its own count.
    fn every_work_is_done_by(engine: Engine) {
        for seed in 0..3 {
            engine.run(Work::Heartbeat, seed);
            engine.run(Work::PingPong { in_flight: 1 }, seed);
            engine.run(Work::PingPong { in_flight: 64 }, seed);
        }
    }

    #[test]
    fn the_bare_loop_does_the_work() {
        every_work_is_done_by(Engine::Bare);
    }

    #[test]
    fn fencepost_does_the_work() {
        every_work_is_done_by(Engine::Fencepost);
    }

    #[cfg(madsim)]
    #[test]
    fn madsim_does_the_work() {
        every_work_is_done_by(Engine::Madsim);
    }

    #[test]
    fn turmoil_does_the_work() {
        every_work_is_done_by(Engine::Turmoil);
    }
}
