//! The least that any simulator must do: take the earliest event from a heap and put its consequences back.
//!
//! No payload, no node state beyond a counter, no invariant, no trace, and the cheapest generator there is. Its speed
//! is the limit that the others are measured against.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{
    HEARTBEAT_END, HEARTBEAT_EVERY, HEARTBEAT_FIRST, HEARTBEAT_NODES, LATENCY_MAX, LATENCY_MIN, PING_FIRST, PINGS, Work,
};

/// Does the work and returns how many messages were delivered.
pub fn run(work: Work, seed: u64) -> u64 {
    match work {
        Work::Heartbeat => heartbeat(seed),
        Work::PingPong { in_flight } => ping_pong(seed, in_flight),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick { node: u16 },
    Message { to: u16 },
}

/// Events in the order of time, and of insertion within the same instant.
struct Queue {
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    random: u64,
}

impl Queue {
    fn new(seed: u64) -> Self {
        Queue { heap: BinaryHeap::new(), sequence: 0, random: seed }
    }

    fn push(&mut self, at: u64, event: Event) {
        self.heap.push(Reverse((at, self.sequence, event)));
        self.sequence += 1;
    }

    fn send(&mut self, now: u64, to: u16) {
        let (min, max) = (LATENCY_MIN.as_nanos() as u64, LATENCY_MAX.as_nanos() as u64);
        let latency = min + ((u128::from(self.random()) * u128::from(max - min + 1)) >> 64) as u64;
        self.push(now + latency, Event::Message { to });
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn heartbeat(seed: u64) -> u64 {
    let (every, end) = (HEARTBEAT_EVERY.as_nanos() as u64, HEARTBEAT_END.as_nanos() as u64);
    let mut queue = Queue::new(seed);
    let mut received = [0_u64; HEARTBEAT_NODES as usize];
    for node in 0..HEARTBEAT_NODES {
        queue.push(HEARTBEAT_FIRST.as_nanos() as u64, Event::Tick { node });
    }
    while let Some(Reverse((now, _, event))) = queue.heap.pop() {
        if now > end {
            break;
        }
        match event {
            Event::Tick { node } => {
                for peer in (0..HEARTBEAT_NODES).filter(|&peer| peer != node) {
                    queue.send(now, peer);
                }
                queue.push(now + every, Event::Tick { node });
            }
            Event::Message { to } => received[to as usize] += 1,
        }
    }
    received.iter().sum()
}

fn ping_pong(seed: u64, in_flight: u64) -> u64 {
    const PINGER: u16 = 0;
    const PONGER: u16 = 1;
    let mut queue = Queue::new(seed);
    let (mut received, mut sent) = ([0_u64; 2], 0);
    queue.push(PING_FIRST.as_nanos() as u64, Event::Tick { node: PINGER });
    while let Some(Reverse((now, _, event))) = queue.heap.pop() {
        match event {
            Event::Tick { .. } => {
                for _ in 0..in_flight {
                    queue.send(now, PONGER);
                    sent += 1;
                }
            }
            Event::Message { to } => {
                received[to as usize] += 1;
                if to == PONGER {
                    queue.send(now, PINGER);
                } else if sent < PINGS {
                    queue.send(now, PONGER);
                    sent += 1;
                }
            }
        }
    }
    received.iter().sum()
}
