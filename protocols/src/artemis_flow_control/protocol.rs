//! How the protocol introduces itself: everything that a scenario file can name.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{Class, Cluster, Constant, Defect, Factory, Invariant, Named, Property, Protocol, Wire};

use super::broker::Broker;
use super::client::Client;
use super::config::Config;
use super::defects::{DEFECTS, Defects};
use super::invariants::{
    BLOCKED_WRITERS_PROGRESS, BlockedWritersProgress, NO_ACKNOWLEDGED_SEND_LOST, NO_LEAK, NoLeak,
    OUTBOUND_BYTES_BOUNDED, OutboundBytesBounded, no_acknowledged_send_lost,
};
use super::messages::{COMMANDS, Command};
use super::node::Node;
use super::replica::Replica;

/// What the time bounds allow beyond the sum of the protocol's own timers: threads take turns, and timers are late.
const SLACK: Duration = Duration::from_secs(5);
/// Flow control of bridged and replicated Artemis brokers.
#[derive(Clone, Copy, Debug, Hash)]
pub struct ArtemisFlowControl;

impl Protocol for ArtemisFlowControl {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "artemis-flow-control";
    const ABOUT: &'static str = "Artemis brokers, a bridge and a replica under back-pressure: writability, producer \
                                 credits, paging, and the locks around them.";
    const ROLES: &'static [Named] = &[
        Named { name: "source", about: "The broker that clients send to; it bridges to the target, if there is one." },
        Named { name: "target", about: "The broker that the bridge sends to; its consumer takes the messages." },
        Named { name: "replica", about: "Follows the source's journal." },
        Named { name: "client", about: "Sends messages to the source." },
    ];
    const DEFECTS: &'static [Defect] = DEFECTS;
    const MARKS: &'static [Named] = &[
        Named { name: "bridge-connected", about: "The bridge has its first session." },
        Named { name: "bridge-reconnected", about: "The bridge has a session again." },
        Named { name: "bridge-busy", about: "The bridge refused a message because the transport was not writable." },
        Named { name: "bridge-writable", about: "A busy bridge was told that the transport is writable." },
        Named { name: "bridge-paused", about: "The bridge refused a message for want of credits." },
        Named { name: "credits-cache-full", about: "A session has credits for more addresses than its cache holds." },
        Named { name: "credits-swept", about: "Idle credits were dropped from an overfull cache." },
        Named { name: "producer-blocked", about: "A client's producer waits for credits." },
        Named { name: "producer-blocked-by-transport", about: "A client's producer waits for the transport." },
        Named { name: "client-disconnected", about: "A client closed its connection when asked to." },
        Named { name: "client-reconnected", about: "A client has a session again." },
        Named { name: "duplicate-detected", about: "A broker was sent a message that it had already." },
        Named { name: "silent-peer-dropped", about: "A broker closed a connection that had been silent too long." },
        Named { name: "page-written", about: "The page writer wrote a batch." },
        Named { name: "page-credits-exhausted", about: "A session waits for credits of the page writer." },
        Named { name: "replication-blocked", about: "A writer waits for the replica's connection." },
        Named { name: "replication-writable", about: "A writer that waited for the replica was woken." },
        Named { name: "replica-in-sync", about: "A replica has confirmed that it has everything." },
        Named { name: "replica-dropped", about: "The source closed the connection to a replica that was too slow." },
        Named { name: "replication-stopped", about: "The source goes on without its replica." },
        Named { name: "tear-down", about: "A client's harness began to clean up." },
        Named { name: "tear-down-step-failed", about: "A step of a tear-down failed." },
        Named { name: "run-cleaned-up", about: "A run of a workload has left nothing behind." },
        Named { name: "leak-reported", about: "A harness reported that a run has left something behind." },
    ];
    const INVARIANTS: &'static [Property] = &[
        Property {
            name: OUTBOUND_BYTES_BOUNDED,
            class: Class::Safety,
            about: "A5: no node has more than the high watermark and one packet outstanding on a connection.",
        },
        Property {
            name: BLOCKED_WRITERS_PROGRESS,
            class: Class::Liveness,
            about: "A6: blocked writers get on, or their peer is dropped, within bounded time.",
        },
        Property {
            name: NO_LEAK,
            class: Class::Safety,
            about: "A7: no thread, session, factory or credit request outlives its owner.",
        },
        Property {
            name: NO_ACKNOWLEDGED_SEND_LOST,
            class: Class::Safety,
            about: "A2: a message that a client was told is safe is on a broker's disk until it is at the target.",
        },
    ];
    const COMMANDS: &'static [Named] = COMMANDS;

    fn command(text: &str) -> Option<Command> {
        Command::parse(text)
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        let count = |role| cluster.with_role(role).count();
        if count("source") != 1 {
            return Err(format!(
                "there are {} nodes with the role `source`; there has to be exactly one",
                count("source")
            ));
        }
        for role in ["target", "replica"] {
            if count(role) > 1 {
                return Err(format!(
                    "there are {} nodes with the role `{role}`; there can be at most one",
                    count(role)
                ));
            }
        }
        if count("client") == 0 {
            return Err("nobody sends anything; add `clients = 1`".into());
        }
        cluster.config.problem().map_or(Ok(()), Err)
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let config = Constant(Arc::new(cluster.config.clone()));
        let defects = Defects::from_ids(&cluster.defects);
        let source = cluster.with_role("source").next().expect("a validated cluster has a source");
        let target = cluster.with_role("target").next();
        let roles: Vec<String> = cluster.members.iter().map(|member| member.role.clone()).collect();
        Arc::new(move |node| {
            let config = config.clone();
            match roles[node.index()].as_str() {
                "source" => Node::Broker(Box::new(Broker::new("SOURCE", config, defects, target))),
                "target" => Node::Broker(Box::new(Broker::new("TARGET", config, defects, None))),
                "replica" => Node::Replica(Replica::new(config, source)),
                _ => Node::Client(Box::new(Client::new(config, defects, source))),
            }
        })
    }

    fn wire() -> Option<Wire<Self::Actor>> {
        Some(Wire::new())
    }

    fn invariant(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        let config = &cluster.config;
        Some(match name {
            OUTBOUND_BYTES_BOUNDED => Box::new(OutboundBytesBounded { packet: config.largest_packet().into() }),
            BLOCKED_WRITERS_PROGRESS => {
                let (slow, silent) = (config.slow_replica_limit() + SLACK, config.silent_peer_limit() + SLACK);
                // A connection to a machine that has vanished is only found to be dead by its silence.
                let within = within.unwrap_or(silent + config.retry_interval);
                Box::new(BlockedWritersProgress::new(slow, silent, within))
            }
            NO_LEAK => {
                // Close listeners wait for locks whose owners may wait for a peer.
                Box::new(NoLeak::new(config.silent_peer_limit() + SLACK, config.leak_rescan_timeout + SLACK))
            }
            NO_ACKNOWLEDGED_SEND_LOST => {
                let nodes = |role| cluster.with_role(role).collect();
                Box::new(no_acknowledged_send_lost(nodes("source"), nodes("target")))
            }
            _ => return None,
        })
    }
}
