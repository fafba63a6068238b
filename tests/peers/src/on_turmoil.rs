//! The work on turmoil's simulated UDP sockets, with a tick of one millisecond.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use turmoil::net::UdpSocket;
use turmoil::{Builder, Result, Sim};

use crate::{
    HEARTBEAT_END, HEARTBEAT_EVERY, HEARTBEAT_FIRST, HEARTBEAT_NODES, LATENCY_MAX, LATENCY_MIN, PING_END, PING_FIRST,
    PINGS, Work, payload,
};

const PORT: u16 = 9000;

/// Does the work and returns how many messages were delivered.
pub fn run(work: Work, seed: u64) -> u64 {
    match work {
        Work::Heartbeat => heartbeat(seed),
        Work::PingPong { in_flight } => ping_pong(seed, in_flight),
    }
}

fn simulation(seed: u64, duration: Duration) -> Sim<'static> {
    Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(LATENCY_MIN)
        .max_message_latency(LATENCY_MAX)
        // A few ticks more than the clients need, so that it is they who end the run.
        .simulation_duration(duration + Duration::from_secs(1))
        .udp_capacity(1024)
        .build()
}

fn heartbeat(seed: u64) -> u64 {
    let received = Arc::new(AtomicU64::new(0));
    let mut simulation = simulation(seed, HEARTBEAT_END);
    for number in 0..HEARTBEAT_NODES {
        simulation.client(address(number).ip(), beat(number, received.clone()));
    }
    simulation.run().expect("no client fails");
    received.load(Ordering::Relaxed)
}

async fn beat(number: u16, received: Arc<AtomicU64>) -> Result {
    let start = Instant::now();
    let socket = Rc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?);
    let incoming = socket.clone();
    tokio::task::spawn_local(async move {
        let mut buffer = [0; 16];
        while incoming.recv_from(&mut buffer).await.is_ok() {
            received.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (mut at, mut sequence) = (HEARTBEAT_FIRST, 0_u64);
    while at < HEARTBEAT_END {
        sleep_until(start + at).await;
        sequence += 1;
        for peer in (0..HEARTBEAT_NODES).filter(|&peer| peer != number) {
            socket.send_to(&payload(1, sequence), address(peer)).await?;
        }
        at += HEARTBEAT_EVERY;
    }
    sleep_until(start + HEARTBEAT_END).await;
    Ok(())
}

fn ping_pong(seed: u64, in_flight: u64) -> u64 {
    let received = Arc::new(AtomicU64::new(0));
    let mut simulation = simulation(seed, PING_END);
    let counter = received.clone();
    simulation.host(address(1).ip(), move || answer(counter.clone()));
    simulation.client(address(0).ip(), ping(in_flight, received.clone()));
    simulation.run().expect("the pinger does not fail");
    received.load(Ordering::Relaxed)
}

async fn ping(in_flight: u64, received: Arc<AtomicU64>) -> Result {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    sleep(PING_FIRST).await;
    let mut sent = 0;
    while sent < in_flight {
        sent += 1;
        socket.send_to(&payload(0, sent), address(1)).await?;
    }
    let mut buffer = [0; 16];
    for _ in 0..PINGS {
        socket.recv_from(&mut buffer).await?;
        received.fetch_add(1, Ordering::Relaxed);
        if sent < PINGS {
            sent += 1;
            socket.send_to(&payload(0, sent), address(1)).await?;
        }
    }
    Ok(())
}

async fn answer(received: Arc<AtomicU64>) -> Result {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let mut buffer = [0; 16];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        received.fetch_add(1, Ordering::Relaxed);
        socket.send_to(&buffer[..length], from).await?;
    }
}

fn address(number: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 168, 0, 1 + number as u8)), PORT)
}
