//! How the shared-store pair introduces itself to the tools.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{Class, Cluster, Constant, Defect, Factory, Invariant, Named, Property, Protocol, Wire};

use super::broker::Broker;
use super::client::Client;
use super::store::Store;
use super::{Command, Config, Node, Settings, invariants};

/// Artemis with a shared store.
pub struct ArtemisSharedStore;

const fn named(name: &'static str, about: &'static str) -> Named {
    Named { name, about }
}

const fn property(name: &'static str, class: Class, about: &'static str) -> Property {
    Property { name, class, about }
}

impl Protocol for ArtemisSharedStore {
    type Actor = Node;
    type Config = Config;

    const NAME: &'static str = "artemis-shared-store";
    const ABOUT: &'static str = "Artemis pair over one journal on a network file system, with failover and failback.";

    const ROLES: &'static [Named] = &[
        named("store", "The network file system: journal, lock file, and locks that lapse."),
        named("live", "The broker that normally serves, and asks for its place when it returns."),
        named("backup", "The broker that waits, takes over, and gives the place back."),
        named("client", "Sends durable messages to whichever broker serves."),
    ];

    const DEFECTS: &'static [Defect] = &[
        Defect {
            id: "ARTEMIS-256b",
            about: "LIVE is written before anyone serves, and a sleep stands in for waiting until the peer does.",
            breaks: &["one-live-one-backup"],
        },
        Defect {
            id: "ARTEMIS-256c",
            about: "The acting live gives up its place without having heard from the peer.",
            breaks: &["blocked-clients-progress", "one-live-one-backup"],
        },
        Defect {
            id: "ARTEMIS-423",
            about: "The acting live takes its own entry in the topology for the peer's announcement.",
            breaks: &["blocked-clients-progress", "one-live-one-backup"],
        },
        Defect {
            id: "ARTEMIS-1842",
            about: "The look-out for a request to fail back goes on after the broker has stopped serving.",
            breaks: &["no-leak"],
        },
        Defect {
            id: "ARTEMIS-4143",
            about: "A serving broker does not notice that its lock on the network file system has gone to another.",
            breaks: &["at-most-one-live"],
        },
        Defect {
            id: "ART-L6",
            about: "A `live` broker that found nobody serving never announces itself to the backup that then took over.",
            breaks: &["one-live-one-backup"],
        },
    ];

    const MARKS: &'static [Named] = &[
        named("live-started", "The `live` broker serves, and found nobody serving before it."),
        named("failover-complete", "The backup serves."),
        named("failback-requested", "The `live` broker has written FAILINGBACK."),
        named("failback-started", "The acting live has closed its clients to give the place back."),
        named("failback-complete", "The `live` broker serves again after another did."),
        named("failback-abandoned", "The acting live stays, because the peer has not announced itself."),
        named("restarted-as-backup", "The former acting live is on its way to being the backup."),
        named("lock-lost", "A broker has found its lock gone, or unconfirmed, and restarts."),
        named("stopped-in-order", "A serving broker has closed its clients to shut down."),
    ];

    const INVARIANTS: &'static [Property] = &[
        property(
            "at-most-one-live",
            Class::Safety,
            "A1: two brokers are never LIVE and running for longer than lock-monitor and store-timeout together.",
        ),
        property(
            "at-most-one-writer",
            Class::Safety,
            "A1: the store takes journal writes from the owner of the primary lock only, at every instant.",
        ),
        property(
            "no-acknowledged-send-lost",
            Class::Safety,
            "A2: every acknowledged message is in the journal, at every instant.",
        ),
        property(
            "one-live-one-backup",
            Class::Liveness,
            "A4: of the brokers that are up, exactly one ends up LIVE and any other as its backup.",
        ),
        property(
            "blocked-clients-progress",
            Class::Liveness,
            "A6: once nothing breaks any more, every client is told of a success.",
        ),
        property(
            "no-leak",
            Class::Safety,
            "A7: a broker that has given up its place keeps the mount and nothing else.",
        ),
    ];

    const COMMANDS: &'static [Named] = &[named("stop", "Shut down in good order.")];

    fn command(text: &str) -> Option<Command> {
        (text == "stop").then_some(Command::Stop)
    }

    fn validate(cluster: &Cluster<Config>) -> Result<(), String> {
        for role in ["store", "live", "backup"] {
            let count = cluster.with_role(role).count();
            if count != 1 {
                return Err(format!(
                    "the cluster has {count} nodes with the role \"{role}\", expected one; write for example \
                     nodes = {{ nfs = \"store\", alpha = \"live\", beta = \"backup\" }}"
                ));
            }
        }
        for (name, value) in [
            ("store-poll", cluster.config.store_poll),
            ("failback-check", cluster.config.failback_check),
            ("lock-monitor", cluster.config.lock_monitor),
            ("lock-lease", cluster.config.lock_lease),
            ("retry-interval", cluster.config.retry_interval),
            ("send-interval", cluster.config.send_interval),
        ] {
            if value < Duration::from_millis(1) {
                return Err(format!("{name} is {value:?}, expected at least 1ms, or the nodes would do nothing else"));
            }
        }
        Ok(())
    }

    fn factory(cluster: &Cluster<Config>) -> Factory<Node> {
        let settings = Constant(Arc::new(Settings::of(cluster)));
        let roles: Vec<String> = cluster.members.iter().map(|member| member.role.clone()).collect();
        Arc::new(move |node| {
            let settings = settings.clone();
            match roles[node.index()].as_str() {
                "store" => Node::Store(Store::new(settings)),
                "live" | "backup" => Node::Broker(Box::new(Broker::new(settings, node))),
                _ => Node::Client(Client::new(settings)),
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
