//! What was measured, as a table for people and one JSON object for programs.

use std::fmt;

use peers::{Engine, Work};
use serde::{Deserialize, Serialize};

/// Everything that was measured.
pub struct Report {
    pub heartbeat: Comparison,
    pub ping_pong_1: Comparison,
    pub ping_pong_64: Comparison,
    pub worlds: Worlds,
    pub footprint: Footprint,
    pub failback: Failback,
}

/// Milliseconds that each engine takes for one work.
#[derive(Serialize)]
pub struct Comparison {
    pub bare_ms: f64,
    pub fencepost_ms: f64,
    pub madsim_ms: f64,
    pub turmoil_ms: f64,
}

/// Small and large worlds.
pub struct Worlds {
    pub three: WorldTimes,
    pub fifty: WorldTimes,
}

/// Microseconds that it takes to make a world and to fork one.
pub struct WorldTimes {
    pub construct_us: f64,
    pub clone_us: f64,
}

/// How fast a bundled scenario runs on one core.
#[derive(Serialize)]
pub struct Failback {
    #[serde(skip)]
    pub scenario: String,
    pub events_per_s: f64,
    pub seeds_per_s: f64,
}

/// What the program `footprint` found.
#[derive(Deserialize)]
pub struct Footprint {
    pub three_nodes: usize,
    pub fifty_nodes: usize,
    pub seeds: u64,
    pub live_bytes: [usize; 2],
    pub resident_kib: Option<[u64; 2]>,
}

/// The last line of the output.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    heartbeat: &'a Comparison,
    ping_pong_1: &'a Comparison,
    ping_pong_64: &'a Comparison,
    world: World,
    failback: &'a Failback,
}

#[derive(Serialize)]
struct World {
    construct_us: f64,
    clone_us: f64,
    bytes: usize,
}

impl Report {
    fn line(&self) -> Line<'_> {
        Line {
            kind: "bench",
            heartbeat: &self.heartbeat,
            ping_pong_1: &self.ping_pong_1,
            ping_pong_64: &self.ping_pong_64,
            world: World {
                construct_us: self.worlds.three.construct_us,
                clone_us: self.worlds.three.clone_us,
                bytes: self.footprint.three_nodes,
            },
            failback: &self.failback,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heartbeat.table(
            f,
            Work::Heartbeat,
            "heartbeat: 3 nodes, one to each other every 100 ms for 60 virtual s",
        )?;
        self.ping_pong_1.table(f, Work::PingPong { in_flight: 1 }, "ping-pong, one in flight")?;
        self.ping_pong_64.table(f, Work::PingPong { in_flight: 64 }, "ping-pong, 64 in flight")?;

        writeln!(f, "\n{:<28}{:>14}{:>14}{:>14}", "world", "construct", "clone", "size")?;
        let worlds = [
            ("3 nodes", &self.worlds.three, self.footprint.three_nodes),
            ("50 nodes", &self.worlds.fifty, self.footprint.fifty_nodes),
        ];
        for (name, times, bytes) in worlds {
            let WorldTimes { construct_us, clone_us } = times;
            writeln!(f, "  {name:<26}{construct_us:>11.2} us{clone_us:>11.2} us{bytes:>8} bytes")?;
        }

        let Footprint { seeds, live_bytes: [before, after], resident_kib, .. } = &self.footprint;
        writeln!(f, "\nmemory before and after {seeds} seeds of one virtual second")?;
        writeln!(f, "  live heap                 {before:>8} bytes{after:>8} bytes")?;
        if let Some([before, after]) = resident_kib {
            writeln!(f, "  resident                    {before:>8} KiB{after:>10} KiB")?;
        }
        let Failback { scenario, events_per_s, seeds_per_s } = &self.failback;
        writeln!(f, "\n{scenario} on one core")?;
        writeln!(
            f,
            "  {events_per_s:.0} events/s, {seeds_per_s:.0} seeds/s, {:.0} events a seed",
            events_per_s / seeds_per_s
        )?;
        writeln!(f, "\n{}", serde_json::to_string(&self.line()).expect("plain numbers become JSON"))
    }
}

impl Comparison {
    fn table(&self, f: &mut fmt::Formatter<'_>, work: Work, title: &str) -> fmt::Result {
        let messages = work.deliveries();
        writeln!(f, "\n{title} ({messages} messages)")?;
        writeln!(
            f,
            "  {:<12}{:>12}{:>14}{:>16}{:>18}",
            "", "ms a seed", "ns a message", "times the bare", "Fencepost faster"
        )?;
        let times = [self.bare_ms, self.fencepost_ms, self.madsim_ms, self.turmoil_ms];
        for (engine, ms) in Engine::ALL.into_iter().zip(times) {
            let (each, bare, faster) = (ms * 1e6 / messages as f64, ms / self.bare_ms, ms / self.fencepost_ms);
            writeln!(f, "  {:<12}{ms:>12.3}{each:>14.0}{bare:>16.1}{faster:>17.1}x", engine.name())?;
        }
        Ok(())
    }
}
