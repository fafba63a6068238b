//! The work on madsim's own endpoints: tagged datagrams between simulated nodes, one task to receive and one to send.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use madsim::Config;
use madsim::net::Endpoint;
use madsim::runtime::{NodeHandle, Runtime};
use madsim::task;
use madsim::time::{Instant, sleep, sleep_until};

use crate::{
    HEARTBEAT_END, HEARTBEAT_EVERY, HEARTBEAT_FIRST, HEARTBEAT_NODES, LATENCY_MAX, LATENCY_MIN, PING_FIRST, PINGS,
    Work, payload,
};

const PORT: u16 = 1;
const TAG: u64 = 1;

/// Does the work and returns how many messages were delivered.
pub fn run(work: Work, seed: u64) -> u64 {
    // A fresh thread, because madsim keeps the seed of hash maps in thread locals: a run on a used thread is not
    // the run that its seed stands for.
    let simulation = thread::spawn(move || {
        let mut config = Config::default();
        config.net.send_latency = LATENCY_MIN..LATENCY_MAX;
        let runtime = Runtime::with_seed_and_config(seed, config);
        match work {
            Work::Heartbeat => heartbeat(&runtime),
            Work::PingPong { in_flight } => ping_pong(&runtime, in_flight),
        }
    });
    simulation.join().expect("the simulation does not panic")
}

fn heartbeat(runtime: &Runtime) -> u64 {
    let received = Arc::new(AtomicU64::new(0));
    let nodes: Vec<_> = (0..HEARTBEAT_NODES).map(|number| node(runtime, number)).collect();
    for (number, node) in (0..).zip(&nodes) {
        node.spawn(beat(number, received.clone()));
    }
    runtime.block_on(async { sleep(HEARTBEAT_END).await });
    end(runtime, &nodes, &received)
}

async fn beat(number: u16, received: Arc<AtomicU64>) {
    let start = Instant::now();
    let endpoint = Endpoint::bind(address(number)).await.expect("the port is free");
    let incoming = endpoint.clone();
    task::spawn(async move {
        let mut buffer = [0; 16];
        while incoming.recv_from(TAG, &mut buffer).await.is_ok() {
            received.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (mut at, mut sequence) = (HEARTBEAT_FIRST, 0_u64);
    while at < HEARTBEAT_END {
        sleep_until(start + at).await;
        sequence += 1;
        for peer in (0..HEARTBEAT_NODES).filter(|&peer| peer != number) {
            endpoint.send_to(address(peer), TAG, &payload(1, sequence)).await.expect("the network is up");
        }
        at += HEARTBEAT_EVERY;
    }
}

fn ping_pong(runtime: &Runtime, in_flight: u64) -> u64 {
    let received = Arc::new(AtomicU64::new(0));
    let nodes = [node(runtime, 0), node(runtime, 1)];
    nodes[1].spawn(answer(received.clone()));
    let pinger = nodes[0].spawn(ping(in_flight, received.clone()));
    runtime.block_on(pinger).expect("the pinger comes to an end");
    end(runtime, &nodes, &received)
}

async fn ping(in_flight: u64, received: Arc<AtomicU64>) {
    let endpoint = Endpoint::bind(address(0)).await.expect("the port is free");
    sleep(PING_FIRST).await;
    let mut sent = 0;
    while sent < in_flight {
        sent += 1;
        endpoint.send_to(address(1), TAG, &payload(0, sent)).await.expect("the network is up");
    }
    let mut buffer = [0; 16];
    for _ in 0..PINGS {
        endpoint.recv_from(TAG, &mut buffer).await.expect("the network is up");
        received.fetch_add(1, Ordering::Relaxed);
        if sent < PINGS {
            sent += 1;
            endpoint.send_to(address(1), TAG, &payload(0, sent)).await.expect("the network is up");
        }
    }
}

async fn answer(received: Arc<AtomicU64>) {
    let endpoint = Endpoint::bind(address(1)).await.expect("the port is free");
    let mut buffer = [0; 16];
    while let Ok((length, from)) = endpoint.recv_from(TAG, &mut buffer).await {
        received.fetch_add(1, Ordering::Relaxed);
        endpoint.send_to(from, TAG, &buffer[..length]).await.expect("the network is up");
    }
}

fn node(runtime: &Runtime, number: u16) -> NodeHandle {
    runtime.create_node().name(format!("node-{number}")).ip(address(number).ip()).build()
}

fn address(number: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + number as u8)), PORT)
}

/// Kills the nodes, without which a runtime that is dropped leaks what their tasks hold.
fn end(runtime: &Runtime, nodes: &[NodeHandle], received: &AtomicU64) -> u64 {
    for node in nodes {
        runtime.handle().kill(node.id());
    }
    // Lets the executor drop the tasks of the killed nodes.
    runtime.block_on(async { sleep(Duration::from_millis(1)).await });
    received.load(Ordering::Relaxed)
}
