//! What crosses a link and what does not.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sim_core::trace::{Fate, What};
use sim_core::{ConnectionId, Instant, NodeId, World};

use crate::chatter::{Chatter, Count, goes_on, links, run, scenes};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn nothing_crosses_a_link_that_was_cut_when_it_was_sent(scene in scenes()) {
        let mut world = scene.world();
        world.record();
        let mut seen = 0;
        // Datagrams that must never arrive, and data that must not before its link has been open again.
        let (mut never, mut not_yet) = (BTreeSet::new(), BTreeMap::new());
        while goes_on(&world) {
            let cut: BTreeSet<(NodeId, NodeId)> =
                links(scene.nodes).filter(|&(from, to)| world.is_cut(from, to)).collect();
            not_yet.retain(|_, link| cut.contains(link));
            world.step();
            let entries = &world.trace().expect("it records").entries;
            for entry in &entries[seen..] {
                match &entry.what {
                    What::Sent { from, to, message, connection, fate, .. } if cut.contains(&(*from, *to)) => {
                        if *connection {
                            not_yet.insert(message.clone(), (*from, *to));
                        } else {
                            prop_assert!(matches!(fate, Fate::Cut | Fate::Dropped { .. }), "{entry:?}");
                            never.insert(message.clone());
                        }
                    }
                    What::Sent { fate, .. } => prop_assert!(!matches!(fate, Fate::Cut), "{entry:?}"),
                    What::Delivered { message, .. } => {
                        prop_assert!(!never.contains(message), "{entry:?}");
                        prop_assert!(!not_yet.contains_key(message), "{entry:?}");
                    }
                    _ => {}
                }
            }
            seen = entries.len();
        }
    }

    #[test]
    fn a_datagram_arrives_when_it_was_decided_and_as_often(scene in scenes()) {
        let mut world = scene.world();
        world.record();
        run(&mut world);
        let mut expected: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
        for entry in &world.trace().expect("it records").entries {
            match &entry.what {
                What::Sent { message, connection: false, fate, .. } => {
                    let arrivals = if let Fate::Arrives(at) = fate { at.clone() } else { Vec::new() };
                    prop_assert!(arrivals.iter().all(|&at| at >= entry.at), "{entry:?}");
                    prop_assert!(expected.insert(message, arrivals).is_none(), "two equal messages: {message}");
                }
                What::Delivered { message, kind: "Datagram", .. } => {
                    // It may have waited for its receiver to be free, but it cannot be early or come once too often.
                    let arrivals = expected.get_mut(message.as_str()).expect("it was sent");
                    let next = arrivals.iter().position(|&at| at <= entry.at);
                    prop_assert!(next.is_some(), "{entry:?}, expected at {arrivals:?}");
                    arrivals.remove(next.expect("just checked"));
                }
                _ => {}
            }
        }
    }

    /// Order, wholeness and uniqueness on a connection are asserted by the chatters themselves.
    #[test]
    fn bytes_on_a_connection_are_consumed_or_buffered(scene in scenes()) {
        let mut world = scene.world();
        while goes_on(&world) {
            world.step();
            for node in world.node_ids() {
                check_buffers(&world, node)?;
            }
        }
    }

    #[test]
    fn once_nothing_breaks_every_buffer_runs_empty(mut scene in scenes()) {
        // Faults without an end stay, so those of this scene get one.
        for fault in &mut scene.schedule.faults.faults {
            fault.hold.get_or_insert(std::time::Duration::from_millis(100));
        }
        let mut world = scene.world();
        run(&mut world);
        prop_assume!(world.quiet_since().is_some());
        // Chatters never fall silent, so what was under way by now is given its time.
        let outstanding: Vec<(NodeId, ConnectionId, u64)> = world
            .node_ids()
            .flat_map(|node| world.connections(node).iter().map(move |c| (node, c.id)).collect::<Vec<_>>())
            .map(|(node, id)| (node, id, sent_by(&world, node, id).bytes))
            .collect();
        let patience = world.now() + std::time::Duration::from_secs(60);
        while world.next_event_at().is_some_and(|next| next < patience) {
            world.step();
        }
        for (node, id, bytes) in outstanding {
            let Some(connection) = world.connections(node).iter().find(|c| c.id == id) else { continue };
            // A process that has died since has taken with it what it had consumed.
            if world.connections(connection.peer).iter().all(|other| other.id != id) {
                continue;
            }
            let received = received_by(&world, connection.peer, id).bytes;
            prop_assert!(received >= bytes, "{node} has sent {bytes} bytes on {id:?}, {received} have come");
        }
    }
}

fn check_buffers(world: &World<Chatter>, node: NodeId) -> Result<(), TestCaseError> {
    for connection in world.connections(node) {
        // A process that has let go of its end consumes nothing more, and one that has died has forgotten its count.
        if world.connections(connection.peer).iter().all(|other| other.id != connection.id) {
            continue;
        }
        let sent = sent_by(world, node, connection.id).bytes;
        let consumed = received_by(world, connection.peer, connection.id).bytes;
        prop_assert!(consumed <= sent, "{node}: {connection:?} has delivered {consumed} of {sent} bytes");
        prop_assert!(
            (sent - consumed..=sent).contains(&connection.buffered),
            "{node}: {connection:?} buffers {} bytes, {sent} were sent and {consumed} consumed",
            connection.buffered
        );
    }
    Ok(())
}

fn sent_by(world: &World<Chatter>, node: NodeId, id: ConnectionId) -> Count {
    world.actor(node).and_then(|chatter| chatter.sent.get(&id).copied()).unwrap_or_default()
}

fn received_by(world: &World<Chatter>, node: NodeId, id: ConnectionId) -> Count {
    world.actor(node).and_then(|chatter| chatter.received.get(&id).copied()).unwrap_or_default()
}
