//! The milestones that nodes set, for triggers and `sometimes`.

use sim_core::Named;

/// Declares each mark once.
macro_rules! marks {
    ($($name:literal, $about:literal;)+) => {
        /// All of them.
        pub(super) const MARKS: &[Named] = &[$(Named { name: $name, about: $about },)+];
    };
}

marks! {
    "connected", "A node has reached the coordination service, for the first time or again.";
    "connection-lost", "A node has lost its connection to the coordination service.";
    "session-lost", "A node's session has expired.";
    "collector-timed-out", "A keepalive has gone on without a collector that hung.";
    "collector-failed", "A collector has met an error.";
    "collector-died", "A collector has died without a result.";
    "contended", "A node has begun to contend for the primary key.";
    "contention-won", "A node has written its name into the primary key.";
    "contention-lost", "A node has not got the lock, or was too late.";
    "takeover-started", "A node begins to take over.";
    "takeover-phase-a", "A takeover comes to phase A.";
    "takeover-phase-b", "A takeover comes to phase B.";
    "takeover-phase-c", "A takeover comes to phase C.";
    "takeover-phase-d", "A takeover comes to phase D.";
    "takeover-phase-e", "A takeover comes to phase E.";
    "takeover-phase-f", "A takeover comes to phase F.";
    "takeover-phase-g", "A takeover comes to phase G.";
    "went-on-without-dns", "A takeover has gone on though the database leader could not be switched.";
    "moved-away-in-takeover", "A takeover has ended, and the key names another node.";
    "primary", "A takeover is complete.";
    "relinquish-started", "A node begins to give up.";
    "reader-lock-timed-out", "A node has gone on to the next phase without its lock.";
    "relinquished", "A node has given everything up.";
    "fence-started", "A node has not reported, and is about to be marked dead.";
    "marked-dead", "A node was marked dead.";
    "saving-throw-passed", "A node that was marked dead has reported.";
    "shot", "A node has used up its saving throws.";
    "fence-succeeded", "A node is known to be off, or to have been off.";
    "fence-failed", "A node is not known to have been off.";
    "fenced", "A node was marked fenced.";
    "fence-aborted", "A fencer has lost its lock or its connection.";
    "stopped-itself", "A node has stopped itself, as it could not reach the coordination service.";
    "vm-started", "A virtual machine was started.";
    "vm-stopped", "A virtual machine was stopped because it has been given away.";
    "vm-storage-freed", "The storage lock of a fenced node's virtual machine was removed.";
    "vm-storage-was-free", "There was no such lock.";
    "vm-recovered", "A fenced node's virtual machine was given to another.";
    "vm-migrated", "A virtual machine was moved.";
    "shutdown-started", "A node begins to shut down.";
    "shutdown-without-successor", "A primary has waited for a successor for long enough.";
    "shutdown-complete", "A node has shut down.";
    "board-mood-changed", "A board behaves differently from now on.";
}

#[cfg(test)]
mod tests {
    use super::MARKS;

    #[test]
    fn names_are_used_once() {
        for (number, mark) in MARKS.iter().enumerate() {
            assert!(MARKS[..number].iter().all(|other| other.name != mark.name), "{}", mark.name);
        }
    }
}
