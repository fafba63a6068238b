//! What the kernel and the protocols must not touch, because it differs from one run to the next: hash order, the
//! real clock, threads, globals, true randomness, the machine.

use super::Complaint;
use super::tokens::{Name, Next};
use crate::File;

/// Whether a file belongs to what must be deterministic.
pub(super) fn applies_to(path: &str) -> bool {
    path.starts_with("sim-core/src/") || path.starts_with("protocols/src/")
}

/// A rule: its name, what it forbids, and what to use instead.
struct Ban {
    rule: &'static str,
    /// Whole paths, and everything below them.
    paths: &'static [&'static str],
    /// Names, wherever they come from.
    names: &'static [&'static str],
    instead: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        rule: "hash-order",
        paths: &["std::hash::RandomState", "ahash", "hashbrown", "indexmap"],
        names: &["HashMap", "HashSet", "RandomState", "DefaultHasher"],
        instead: "use BTreeMap, BTreeSet or Vec: their order is the same in every run",
    },
    Ban {
        rule: "real-time",
        paths: &["std::time::Instant", "std::time::SystemTime", "std::time::UNIX_EPOCH", "std::time::*", "chrono"],
        names: &["SystemTime", "UNIX_EPOCH"],
        instead: "use sim_core::Instant and the clock of the context",
    },
    Ban {
        rule: "threads",
        paths: &[
            "std::thread",
            "std::sync::Mutex",
            "std::sync::RwLock",
            "std::sync::Condvar",
            "std::sync::Barrier",
            "std::sync::mpsc",
            "std::sync::atomic",
            "std::sync::*",
            "crossbeam",
            "parking_lot",
            "rayon",
            "tokio",
            "async_std",
        ],
        names: &["Mutex", "RwLock", "AtomicBool", "AtomicU32", "AtomicU64", "AtomicUsize", "AtomicPtr"],
        instead: "an actor is one state machine and a world one loop; parallelism is across seeds",
    },
    Ban {
        rule: "globals",
        paths: &["std::thread_local", "std::sync::Once", "once_cell", "lazy_static"],
        names: &["static", "thread_local", "lazy_static", "OnceLock", "LazyLock", "OnceCell", "LazyCell"],
        instead: "keep state in the world or the actor, and constants in a const",
    },
    Ban {
        rule: "randomness",
        paths: &["rand", "fastrand", "getrandom", "rand_core::OsRng"],
        names: &["thread_rng", "from_entropy", "from_os_rng", "OsRng"],
        instead: "use the randomness of the schedule: Context::random, or Randomness::draw",
    },
    Ban {
        rule: "machine",
        paths: &["std::fs", "std::net", "std::env", "std::process", "std::io", "std::os"],
        names: &[],
        instead: "send, write and read through the context",
    },
];

pub(super) fn check(file: &File, names: &[Name]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for name in names {
        for ban in BANS {
            if ban.forbids(name) {
                complaints.push(Complaint {
                    path: file.path.clone(),
                    line: name.line,
                    rule: ban.rule,
                    message: format!("mentions {}; {}", name.path, ban.instead),
                });
            }
        }
        let last = name.path.rsplit("::").next().unwrap_or_default();
        if last == "sleep" && name.next == Next::Parentheses {
            complaints.push(Complaint {
                path: file.path.clone(),
                line: name.line,
                rule: "sleep",
                message: "sleeps; set a timer, or occupy the node with Context::busy".to_owned(),
            });
        }
        // A test may say what it found; nobody runs it for its terminal.
        let test = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
        if !test && ["print", "println", "eprint", "eprintln"].contains(&last) && name.next == Next::Bang {
            complaints.push(Complaint {
                path: file.path.clone(),
                line: name.line,
                rule: "machine",
                message: format!("{last}! writes to somebody's terminal; set a mark, or use tracing"),
            });
        }
    }
    complaints
}

impl Ban {
    fn forbids(&self, name: &Name) -> bool {
        let below =
            |path: &&str| name.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        // A whole module brought in by name would hide what is used of it.
        let parents = ["std::time", "std::sync", "std::thread"];
        let whole_module = parents.contains(&name.path.as_str())
            && self.paths.iter().any(|path| path.starts_with(&format!("{}::", name.path)));
        self.paths.iter().any(below) || whole_module || name.path.split("::").any(|part| self.names.contains(&part))
    }
}
