//! How the pair with a lock manager introduces itself to the tools.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{Class, Cluster, Constant, Defect, Factory, Invariant, Named, Property, Protocol, Wire};

use super::broker::Broker;
use super::manager::Manager;
use super::{Command, Config, Node, Settings, invariants};
use crate::artemis::client::{Client, ClientConfig};

/// Artemis with a lock manager.
pub struct ArtemisLockManager;

/// The queue that all clients send to.
const QUEUE: u64 = 1;

const fn named(name: &'static str, about: &'static str) -> Named {
    Named { name, about }
}

const fn property(name: &'static str, class: Class, about: &'static str) -> Property {
    Property { name, class, about }
}

impl Protocol for ArtemisLockManager {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "artemis-lock-manager";
    const ABOUT: &'static str = "Artemis replicated pair whose activation is decided by a lock and a counted sequence.";

    const ROLES: &'static [Named] = &[
        named("lock-manager", "A lock and a counter for each NodeID, and sessions with a lease."),
        named("live", "The broker that normally serves, and is given its place back when it returns."),
        named("backup", "The broker that replicates, takes over, and gives the place back."),
        named("client", "Sends durable messages to whichever broker serves."),
    ];

    const DEFECTS: &'static [Defect] = &[
        Defect {
            id: "ARTEMIS-2716",
            about: "Whoever gets the lock activates, though somebody else may have served since its copy was made \
                    (the activation sequence came with ARTEMIS-3340).",
            breaks: &["no-acknowledged-send-lost", "backup-activates-only-if-up-to-date"],
        },
        Defect {
            id: "ARTEMIS-3340",
            about: "A live that loses its replica acknowledges at once, without raising the sequence, so that the absent \
                    replica may still activate.",
            breaks: &["no-acknowledged-send-lost"],
        },
        Defect {
            id: "ARTEMIS-3429",
            about: "A backup that restarts because the lock manager was out of reach competes under an id of its own.",
            breaks: &["at-most-one-live"],
        },
        Defect {
            id: "ARTEMIS-5017",
            about: "A backup that gives a live up forgets the connection to it and leaves it open.",
            breaks: &["no-leak"],
        },
    ];

    const MARKS: &'static [Named] = &[
        named("live-started", "The `live` broker serves for the first time."),
        named("primary-live-again", "The `live` broker serves again."),
        named("failover-complete", "The `backup` broker serves."),
        named("failback-started", "The acting live has closed its clients and told its replica to take over."),
        named("failback-complete", "The former acting live has seen its peer commit the next sequence."),
        named("replica-up-to-date", "A replica has confirmed that it has everything."),
        named("replica-lost", "A live has lost its replica."),
        named("sequence-raised", "A live has made its lost replica stale."),
        named("sequence-repaired", "A claim that somebody left unfinished is being finished."),
        named("stale", "A broker has found that its copy is older than what somebody has served since."),
        named("session-lost", "A broker has lost its session with the lock manager, or must take it for lost."),
    ];

    const INVARIANTS: &'static [Property] = &[
        property(
            "at-most-one-live",
            Class::Safety,
            "A1: two brokers are never LIVE and running for longer than self-stop and lock-poll together.",
        ),
        property(
            "no-acknowledged-send-lost",
            Class::Safety,
            "A2: the owner of the lock, when it serves, has every acknowledged message; otherwise some broker has it.",
        ),
        property(
            "backup-activates-only-if-up-to-date",
            Class::Safety,
            "A3: no broker is LIVE with a copy that was cut short.",
        ),
        property(
            "one-live-one-backup",
            Class::Liveness,
            "A4: of the brokers that are up, exactly one ends up LIVE and any other as its up-to-date replica.",
        ),
        property(
            "blocked-clients-progress",
            Class::Liveness,
            "A6: once nothing breaks any more, every client is told of a success.",
        ),
        property("no-leak", Class::Safety, "A7: a broker that does not serve keeps nothing of one that does."),
    ];

    const COMMANDS: &'static [Named] = &[named("stop", "Shut down.")];

    fn command(text: &str) -> Option<Command> {
        (text == "stop").then_some(Command::Stop)
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        for role in ["lock-manager", "live", "backup"] {
            let count = cluster.with_role(role).count();
            if count != 1 {
                return Err(format!(
                    "the cluster has {count} nodes with the role \"{role}\", expected one; write for example \
                     nodes = {{ zk = \"lock-manager\", alpha = \"live\", beta = \"backup\" }}"
                ));
            }
        }
        let config = &cluster.config;
        for (name, value) in [
            ("lock-poll", config.lock_poll),
            ("lock-acquire", config.lock_acquire),
            ("session-lease", config.session_lease),
            ("retry-replication-wait", config.retry_replication_wait),
            ("retry-interval", config.retry_interval),
            ("failure-check", config.failure_check),
            ("send-interval", config.send_interval),
        ] {
            if value < Duration::from_millis(1) {
                return Err(format!("{name} is {value:?}, expected at least 1ms, or the nodes would do nothing else"));
            }
        }
        if config.chunk_messages == 0 {
            return Err("chunk-messages is 0, expected at least 1, or no copy would ever end".to_owned());
        }
        Ok(())
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let settings = Constant(Arc::new(Settings::of(cluster)));
        let roles: Vec<String> = cluster.members.iter().map(|member| member.role.clone()).collect();
        let client = ClientConfig {
            send_interval: settings.config.send_interval,
            message_bytes: settings.config.message_bytes,
            call_timeout: settings.config.call_timeout,
            retry_interval: settings.config.retry_interval,
            forgets_unanswered_sends: false,
        };
        Arc::new(move |node| {
            let settings = settings.clone();
            match roles[node.index()].as_str() {
                "lock-manager" => Node::Manager(Manager::new(settings)),
                "live" | "backup" => Node::Broker(Box::new(Broker::new(settings, node))),
                _ => Node::Client(Client::new(client, QUEUE, [settings.live, settings.backup])),
            }
        })
    }

    fn wire() -> Option<Wire<Self::Actor>> {
        Some(Wire::new())
    }

    fn invariant(name: &str, cluster: &Cluster<Config>, within: Option<Duration>) -> Option<Box<dyn Invariant<Node>>> {
        invariants::build(name, cluster, within)
    }
}
