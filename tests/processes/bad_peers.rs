//! Whoever can reach a node can send it anything. It goes on, and its memory has bounds.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use sim_core::host::frame::{Frame, HEADER, MAX_PAYLOAD, VERSION};
use sim_core::host::tokio::find;

use super::node::Cluster;

/// What a node may need for all that bad peers do to it, in kilobytes.
const BOUND: u64 = 64 << 10;

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("the node listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket has time limits");
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a socket has time limits");
    stream
}

/// Sends bytes on a connection of its own, and waits until the node has closed it.
fn is_refused(to: SocketAddr, bytes: &[u8]) {
    let mut stream = connect(to);
    // The node may have closed it before it has all of them.
    _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => assert!(answer.is_empty(), "nothing is said to strangers"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
}

/// A frame that is sound, whatever is in it.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    Frame::bytes(kind, payload).expect("it is short")
}

/// Bytes that look like noise, and are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(step).collect()
}

#[test]
fn a_cluster_goes_on_while_it_is_sent_garbage() {
    let mut cluster = Cluster::start(1);
    let holder = cluster.wait_for(3, "is HOLDER");
    let before: Vec<u64> = cluster.nodes.iter().map(super::node::Node::memory).collect();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
    for node in &cluster.nodes {
        let to = node.address;
        is_refused(to, &noise(100_000));
        is_refused(to, b"GET / HTTP/1.1\r\nHost: fencepost\r\n\r\n");
        // Of another version, too long, damaged, of no known kind, and sound but not what a stranger begins with.
        let mut other = frame(0x11, b"hello");
        other[4] = VERSION + 1;
        is_refused(to, &other);
        let mut long = frame(0x11, b"hello");
        long[6..10].copy_from_slice(&u32::MAX.to_le_bytes());
        is_refused(to, &long);
        let mut damaged = frame(0x11, b"hello");
        damaged[HEADER] ^= 1;
        is_refused(to, &damaged);
        is_refused(to, &frame(0x77, b"hello"));
        is_refused(to, &frame(0x11, &noise(MAX_PAYLOAD)));
        for length in [0, 1, HEADER, 100, 1_400, 60_000] {
            for _ in 0..50 {
                udp.send_to(&noise(length), to).expect("a datagram can be sent");
            }
        }
        udp.send_to(&frame(0x10, &noise(1_000)), to).expect("a datagram can be sent");
    }
    for (node, before) in cluster.nodes.iter().zip(before) {
        assert!(node.memory() < before + BOUND, "{} kB, {before} kB before", node.memory());
    }
    // They still hear each other: when the holder dies another one follows.
    cluster.crash(holder);
    cluster.wait_for(3, "is HOLDER");
}

#[test]
fn strangers_who_say_nothing_keep_nobody_else_out_and_are_forgotten() {
    let mut cluster = Cluster::start(2);
    let holder = cluster.wait_for(3, "is HOLDER");
    let memory: Vec<u64> = cluster.nodes.iter().map(super::node::Node::memory).collect();
    let descriptors = cluster.nodes[0].descriptors();
    // Half-open for as long as we like: one says nothing, the other the beginning of a greeting, byte by byte.
    let mut strangers: Vec<TcpStream> = Vec::new();
    for node in &cluster.nodes {
        strangers.extend((0..200).map(|_| connect(node.address)));
    }
    let slow = frame(0x11, &noise(1_000));
    for byte in slow.iter().take(20) {
        for stranger in strangers.iter_mut().step_by(10) {
            // Refused already, most of them.
            _ = stranger.write_all(&[*byte]);
        }
    }
    for (node, before) in cluster.nodes.iter().zip(memory) {
        assert!(node.memory() < before + BOUND, "{} kB, {before} kB before", node.memory());
    }
    cluster.crash(holder);
    cluster.wait_for(3, "is HOLDER");
    // The node closes them all, if it has to with its patience at its end.
    for mut stranger in strangers {
        let mut rest = Vec::new();
        if let Err(error) = stranger.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
    if holder != 0 {
        assert!(cluster.nodes[0].descriptors() <= descriptors + 8, "they are not closed");
    }
}

#[test]
fn a_node_recovers_from_a_torn_log_and_refuses_one_that_is_damaged_in_the_middle() {
    let mut cluster = Cluster::start(3);
    let store = 3;
    let holder = cluster.wait_for(3, "is HOLDER");
    // A write that was not finished when the machine failed.
    let mut log = fs::read(cluster.log(store)).expect("the store has written something");
    assert!(log.len() > HEADER);
    let torn = log[..HEADER + 1].to_vec();
    log.extend(&torn);
    cluster.nodes.remove(store);
    File::create(cluster.log(store)).and_then(|mut file| file.write_all(&log)).expect("the log can be written");
    let again = cluster.spawn(store);
    cluster.nodes.push(again);
    cluster.crash(holder);
    cluster.wait_for(3, "is HOLDER");
    let disk = cluster.log(store);
    let found = find(disk.parent().expect("it is in a folder")).expect("it is sound");
    assert_eq!(found.torn, 0, "what was torn is cut off, and more is written behind what was sound");

    cluster.nodes.remove(store);
    let mut log = fs::read(cluster.log(store)).expect("it is there");
    log[HEADER] ^= 1;
    fs::write(cluster.log(store), log).expect("the log can be written");
    let error = cluster.fails_to_start(store);
    assert!(error.contains("the log is damaged at byte 0, and what comes behind is sound"), "{error}");
}
