//! The pair with a lock manager: activation as it should go, and each defect beside the fix.

use super::case::{Case, caught, clean, secs};
use protocols::artemis_lock_manager::ArtemisLockManager;
use sim_core::{Fault, Select};

const ALL: &[&str] = &[
    "at-most-one-live",
    "no-acknowledged-send-lost",
    "backup-activates-only-if-up-to-date",
    "one-live-one-backup",
    "blocked-clients-progress",
    "no-leak",
];

type Pair = Case<ArtemisLockManager>;

fn pair(duration: u64) -> Pair {
    let nodes =
        [("zk", "lock-manager"), ("alpha", "live"), ("beta", "backup"), ("client-1", "client"), ("client-2", "client")];
    Case::new(&nodes, secs(duration))
}

fn crash(name: &'static str) -> impl Fn(&Pair) -> Fault {
    move |case| Fault::Crash { node: case.node(name) }
}

fn apart(a: &'static str, b: &'static str) -> impl Fn(&Pair) -> Fault {
    move |case| Fault::Partition { groups: vec![vec![case.node(a)], vec![case.node(b)]] }
}

#[test]
fn without_faults_the_live_serves_and_the_backup_keeps_up() {
    let campaign = pair(60).run(ALL, 0..20);
    clean(&campaign, 20, &["live-started", "replica-up-to-date"]);
    assert_eq!(campaign.marks.get("failover-complete"), None);
}

#[test]
fn a_crash_leads_to_failover_and_a_return_to_failback() {
    // Down for longer than its session lasts: until then the lock stays its own.
    let case = pair(120).fault(secs(10), secs(20), Some(secs(30)), crash("alpha"));
    clean(&case.run(ALL, 0..50), 50, &["stale", "failover-complete", "failback-complete", "primary-live-again"]);
}

#[test]
fn a_live_that_loses_the_lock_manager_stops_before_its_replica_serves() {
    let case = pair(120).fault(secs(10), secs(20), Some(secs(40)), apart("zk", "alpha"));
    clean(&case.run(ALL, 0..50), 50, &["session-lost", "failover-complete", "failback-complete"]);
}

#[test]
fn a_live_that_sleeps_while_its_successor_starts_over_has_lost_nothing_for_it() {
    let case = pair(120)
        .fault(secs(10), secs(12), Some(secs(60)), |case| Fault::Pause { node: case.node("alpha") })
        .fault(secs(34), secs(36), None, |case| Fault::Reset { a: case.node("alpha"), b: case.node("beta") })
        .fault(secs(42), secs(44), Some(secs(13)), |case| Fault::Pause { node: case.node("beta") });
    clean(&case.run(ALL, 0..100), 100, &["failover-complete", "session-lost"]);
}

/// The replica stops, the live serves alone and stops, the replica starts alone.
fn replica_lost_then_live_lost(case: Pair) -> Pair {
    case.fault(secs(10), secs(12), Some(secs(20)), crash("beta")).fault(
        secs(20),
        secs(25),
        Some(secs(60)),
        crash("alpha"),
    )
}

#[test]
fn a_replica_that_was_left_behind_never_activates() {
    let campaign = replica_lost_then_live_lost(pair(120)).run(ALL, 0..50);
    clean(&campaign, 50, &["sequence-raised", "stale"]);
    assert_eq!(campaign.marks.get("failover-complete"), None);
}

#[test]
fn artemis_2716_a_replica_that_was_left_behind_activates_with_what_it_has() {
    let case = replica_lost_then_live_lost(pair(120)).defect("ARTEMIS-2716");
    caught(&case.run(ALL, 0..50), "no-acknowledged-send-lost");
}

/// The live is cut off from the lock manager and, when its lock has gone, from its replica. Its clients still reach it.
fn without_lock_then_without_replica() -> Pair {
    pair(120)
        .fault(secs(10), secs(12), Some(secs(60)), apart("zk", "alpha"))
        .fault(secs(40), secs(42), Some(secs(30)), apart("alpha", "beta"))
        .fault(secs(42), secs(43), None, |case| Fault::Reset { a: case.node("alpha"), b: case.node("beta") })
}

#[test]
fn a_message_that_a_live_acknowledges_after_it_has_lost_its_lock_is_missed() {
    // A session that its broker believes in for ever, although the lock manager has ended it.
    let case = || without_lock_then_without_replica().config(|config| config.session_expiry = secs(300));
    let lost = &["no-acknowledged-send-lost"];
    clean(&case().run(lost, 0..50), 50, &["replica-lost", "failover-complete"]);
    caught(&case().defect("ARTEMIS-3340").run(lost, 0..50), lost[0]);
}

#[test]
fn clients_that_wait_for_a_copy_to_be_confirmed_wait_no_longer_than_its_timeout() {
    let late = |timeout| {
        pair(60).config(|config| config.initial_replication_sync_timeout = timeout).storm(
            1,
            (1_000, 1_000),
            (40_000, 40_000),
            |case| {
                let select = Select { kind: Some("SyncFinishedAck"), from: Some(case.node("beta")), to: None };
                vec![Fault::Delay { select, count: 1, by: secs(400) }]
            },
        )
    };
    let progress = &["blocked-clients-progress"];
    clean(&late(secs(30)).run(progress, 0..20), 20, &["live-started"]);
    caught(&late(secs(3600)).run(progress, 0..20), progress[0]);
}

/// The live dies before the end of the copy has reached its backup, which starts over without it.
fn copy_cut_short() -> Pair {
    pair(120)
        .storm(1, (0, 0), (60_000, 60_000), |case| {
            let select = Select { kind: Some("SyncDone"), from: None, to: Some(case.node("beta")) };
            vec![Fault::Delay { select, count: 1, by: secs(30) }]
        })
        .fault(secs(8), secs(12), Some(secs(60)), crash("alpha"))
        .fault(secs(13), secs(15), Some(secs(2)), crash("beta"))
}

#[test]
fn a_backup_with_half_a_copy_waits_for_its_live() {
    clean(&copy_cut_short().run(ALL, 0..50), 50, &["live-started"]);
}

#[test]
fn artemis_2716_a_backup_with_half_a_copy_activates() {
    let invariant = "backup-activates-only-if-up-to-date";
    caught(&copy_cut_short().defect("ARTEMIS-2716").run(&[invariant], 0..50), invariant);
}

/// The replica is back while the live is still raising its sequence, and is refused.
fn refused() -> Pair {
    pair(120)
        .storm(1, (8_000, 8_000), (40_000, 40_000), |case| {
            let select = Select { kind: Some("CompareAndSet"), from: Some(case.node("alpha")), to: None };
            vec![Fault::Delay { select, count: 1, by: secs(15) }]
        })
        .fault(secs(10), secs(12), Some(secs(1)), crash("beta"))
}

#[test]
fn a_backup_that_is_refused_tries_again() {
    clean(&refused().run(ALL, 0..50), 50, &["replica-lost"]);
}

#[test]
fn artemis_5017_a_backup_that_is_refused_keeps_the_connection() {
    caught(&refused().defect("ARTEMIS-5017").run(ALL, 0..50), "no-leak");
}

#[test]
fn a_replica_that_loses_the_lock_manager_starts_over() {
    let case = pair(120).fault(secs(10), secs(20), Some(secs(20)), apart("zk", "beta"));
    clean(&case.run(ALL, 0..50), 50, &["session-lost", "replica-lost", "sequence-raised"]);
}

#[test]
fn artemis_3429_a_replica_that_loses_the_lock_manager_competes_under_another_id() {
    let case = pair(120).defect("ARTEMIS-3429").fault(secs(10), secs(20), Some(secs(20)), apart("zk", "beta"));
    caught(&case.run(ALL, 0..50), "at-most-one-live");
}

#[test]
fn a_claim_that_was_never_committed_is_repaired() {
    // The broker dies between its claim and its commit: the answer to the claim is on its way for ten seconds.
    let case = pair(120)
        .fault(secs(10), secs(12), Some(secs(30)), crash("beta"))
        .storm(1, (9_000, 9_000), (60_000, 60_000), |case| {
            let select = Select { kind: Some("Swapped"), from: None, to: Some(case.node("alpha")) };
            vec![Fault::Delay { select, count: 1, by: secs(10) }]
        })
        .fault(secs(14), secs(18), Some(secs(10)), crash("alpha"));
    let campaign = case.run(ALL, 0..50);
    clean(&campaign, 50, &["live-started"]);
    assert!(campaign.marks.contains_key("sequence-repaired"), "{:?}", campaign.marks);
}

#[test]
fn a_repair_that_is_cut_short_is_repaired_in_turn() {
    // As above, and then the answer to its repair is late as well, and it dies again.
    let case = pair(120)
        .fault(secs(10), secs(12), Some(secs(60)), crash("beta"))
        .storm(1, (9_000, 9_000), (80_000, 80_000), |case| {
            let select = Select { kind: Some("Swapped"), from: None, to: Some(case.node("alpha")) };
            vec![Fault::Delay { select, count: 2, by: secs(15) }]
        })
        .fault(secs(14), secs(18), Some(secs(10)), crash("alpha"))
        .fault(secs(40), secs(46), Some(secs(10)), crash("alpha"));
    let campaign = case.run(ALL, 0..200);
    clean(&campaign, 200, &["live-started"]);
    assert!(campaign.marks.contains_key("sequence-repaired"), "{:?}", campaign.marks);
}

/// Crashes, stalls, slow disks, and cut links between any two nodes, of every length up to beyond the lease.
fn storm(case: Pair) -> Pair {
    let (window, servers) = ((3_000, 60_000), ["zk", "alpha", "beta"]);
    case.storm(3, window, (500, 20_000), |case| servers.map(|name| crash(name)(case)).into())
        .storm(3, window, (200, 40_000), |case| servers.map(|name| Fault::Pause { node: case.node(name) }).into())
        .storm(2, window, (500, 40_000), |case| {
            [("zk", "alpha"), ("zk", "beta"), ("alpha", "beta")].map(|(a, b)| apart(a, b)(case)).into()
        })
        .storm(2, window, (500, 40_000), |case| {
            let nodes = ["zk", "alpha", "beta", "client-1"].map(|name| case.node(name));
            let pairs = nodes.iter().flat_map(|&from| nodes.iter().map(move |&to| (from, to)));
            pairs.filter(|(from, to)| from != to).map(|(from, to)| Fault::Cut { from, to }).collect()
        })
        .storm(2, window, (0, 0), |case| {
            [("zk", "alpha"), ("zk", "beta"), ("alpha", "beta"), ("alpha", "client-1")]
                .map(|(a, b)| Fault::Reset { a: case.node(a), b: case.node(b) })
                .into()
        })
}

#[test]
fn whatever_breaks_the_pair_recovers_and_loses_nothing() {
    let campaign = storm(pair(60)).run(ALL, 0..200);
    clean(&campaign, 200, &["live-started"]);
    assert!(campaign.marks.contains_key("sequence-raised"), "{:?}", campaign.marks);
}
