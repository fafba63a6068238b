//! The shared-store pair: failover and failback as they should go, and each defect beside the fix.

use std::time::Duration;

use super::case::{Case, caught, clean, secs};
use protocols::artemis_shared_store::ArtemisSharedStore;
use sim_core::{Degradation, Fault, HostId};

const ALL: &[&str] = &[
    "at-most-one-live",
    "at-most-one-writer",
    "no-acknowledged-send-lost",
    "one-live-one-backup",
    "blocked-clients-progress",
    "no-leak",
];

type Pair = Case<ArtemisSharedStore>;

fn pair(duration: u64) -> Pair {
    let nodes =
        [("nfs", "store"), ("alpha", "live"), ("beta", "backup"), ("client-1", "client"), ("client-2", "client")];
    Case::new(&nodes, secs(duration))
}

fn crash(name: &'static str) -> impl Fn(&Pair) -> Fault {
    move |case| Fault::Crash { node: case.node(name) }
}

fn pause(name: &'static str) -> impl Fn(&Pair) -> Fault {
    move |case| Fault::Pause { node: case.node(name) }
}

fn apart(a: &'static str, b: &'static str) -> impl Fn(&Pair) -> Fault {
    move |case| Fault::Partition { groups: vec![vec![case.node(a)], vec![case.node(b)]] }
}

#[test]
fn a_crash_leads_to_failover_and_a_return_to_failback() {
    let case = pair(180).fault(secs(10), secs(20), Some(secs(10)), crash("alpha"));
    let marks = ["live-started", "failover-complete", "failback-started", "failback-complete", "restarted-as-backup"];
    clean(&case.run(ALL, 0..50), 50, &marks);
}

#[test]
fn artemis_1842_the_look_out_of_a_former_live_goes_on() {
    let case = pair(180).defect("ARTEMIS-1842").fault(secs(10), secs(20), Some(secs(10)), crash("alpha"));
    caught(&case.run(ALL, 0..50), "no-leak");
}

#[test]
fn clients_with_nobody_to_serve_them_make_no_progress() {
    let case = strangers().defect("ARTEMIS-256c");
    caught(&case.run(&["blocked-clients-progress"], 0..100), "blocked-clients-progress");
}

#[test]
fn without_faults_the_backup_waits() {
    let campaign = pair(60).run(ALL, 0..20);
    clean(&campaign, 20, &["live-started"]);
    assert_eq!(campaign.marks.get("failover-complete"), None);
}

#[test]
fn a_live_that_is_cut_off_from_the_store_stops_before_its_lease_ends() {
    let case = pair(240).fault(secs(10), secs(20), Some(secs(50)), apart("nfs", "alpha"));
    clean(&case.run(ALL, 0..50), 50, &["lock-lost", "failover-complete", "failback-complete"]);
}

#[test]
fn artemis_4143_a_live_that_is_cut_off_from_the_store_notices_nothing() {
    let case = pair(240).defect("ARTEMIS-4143").fault(secs(10), secs(20), Some(secs(50)), apart("nfs", "alpha"));
    caught(&case.run(ALL, 0..50), "at-most-one-live");
}

#[test]
fn a_live_that_sleeps_beyond_its_lease_is_fenced_and_stops_when_it_wakes() {
    let case = pair(240).fault(secs(10), secs(20), Some(secs(40)), pause("alpha"));
    clean(&case.run(ALL, 0..50), 50, &["lock-lost", "failover-complete", "failback-complete"]);
}

#[test]
fn without_fencing_a_live_that_wakes_overwrites_what_was_acknowledged() {
    let case = pair(240).config(|config| config.journal_fencing = false).fault(
        secs(10),
        secs(20),
        Some(secs(40)),
        pause("alpha"),
    );
    caught(&case.run(&["no-acknowledged-send-lost"], 0..200), "no-acknowledged-send-lost");
}

#[test]
fn without_fencing_a_live_that_wakes_writes_without_the_lock() {
    let case = pair(240).config(|config| config.journal_fencing = false).fault(
        secs(10),
        secs(20),
        Some(secs(40)),
        pause("alpha"),
    );
    caught(&case.run(&["at-most-one-writer"], 0..200), "at-most-one-writer");
}

/// The live's machine reboots, so that its lock is free as soon as it is back, and what it writes reaches the store
/// late.
fn return_during_takeover(case: Pair) -> Pair {
    case.fault(secs(10), secs(12), Some(secs(3)), |case| Fault::HostFailure { host: HostId(case.node("alpha").0) })
        .fault(secs(11), secs(11), Some(secs(20)), |case| Fault::Degrade {
            from: case.node("alpha"),
            to: case.node("nfs"),
            degradation: Degradation { latency: Duration::from_millis(800), ..Degradation::default() },
        })
}

#[test]
fn a_live_that_is_back_during_the_takeover_gets_its_place_back() {
    clean(&return_during_takeover(pair(120)).run(ALL, 0..200), 200, &["live-started"]);
}

#[test]
fn art_l6_a_live_that_is_back_during_the_takeover_waits_for_ever() {
    let case = return_during_takeover(pair(120)).defect("ART-L6");
    caught(&case.run(ALL, 0..200), "one-live-one-backup");
}

fn slow_return(case: Pair) -> Pair {
    case.fault(secs(10), secs(12), Some(secs(20)), crash("alpha")).on_mark(
        "failback-started",
        secs(0),
        Some(secs(10)),
        pause("alpha"),
    )
}

#[test]
fn a_peer_that_is_slow_to_take_its_place_gets_it_all_the_same() {
    clean(&slow_return(pair(240)).run(ALL, 0..50), 50, &["failback-complete", "restarted-as-backup"]);
}

#[test]
fn artemis_256b_a_peer_that_is_slow_to_take_its_place_loses_it() {
    caught(&slow_return(pair(240)).defect("ARTEMIS-256b").run(ALL, 0..50), "one-live-one-backup");
}

/// The former live dies again, perhaps before it serves, after it has come back to the store alone.
fn short_return(case: Pair) -> Pair {
    case.fault(secs(10), secs(12), Some(secs(40)), crash("alpha")).fault(secs(53), secs(62), None, crash("alpha"))
}

/// The brokers never reach each other, so that there is no announcement of anyone.
fn strangers() -> Pair {
    short_return(pair(240)).fault(secs(0), secs(0), Some(secs(100)), apart("alpha", "beta"))
}

/// The acting live has announced itself as the backup before it took over; the returning one cannot.
fn estranged() -> Pair {
    short_return(pair(240)).fault(secs(40), secs(40), Some(secs(60)), apart("alpha", "beta"))
}

#[test]
fn an_unannounced_peer_is_not_handed_anything() {
    for case in [strangers(), estranged()] {
        let campaign = case.run(ALL, 0..100);
        clean(&campaign, 100, &["failover-complete", "failback-requested"]);
        assert_eq!(campaign.marks.get("failback-started"), None);
    }
}

#[test]
fn artemis_256c_an_unannounced_peer_is_handed_everything() {
    caught(&strangers().defect("ARTEMIS-256c").run(ALL, 0..100), "one-live-one-backup");
}

#[test]
fn artemis_423_a_brokers_own_entry_passes_for_the_announcement_of_its_peer() {
    caught(&estranged().defect("ARTEMIS-423").run(ALL, 0..100), "one-live-one-backup");
}

#[test]
fn artemis_423_is_harmless_without_an_entry_of_its_own() {
    let campaign = strangers().defect("ARTEMIS-423").run(ALL, 0..100);
    clean(&campaign, 100, &["failover-complete", "failback-requested"]);
    assert_eq!(campaign.marks.get("failback-started"), None);
}

#[test]
fn an_orderly_stop_is_not_a_failover() {
    let case = pair(120).fault(secs(10), secs(12), None, |case| Fault::Command {
        node: case.node("alpha"),
        command: sim_core::CommandId(0),
    });
    let campaign = case.run(&["at-most-one-live", "no-acknowledged-send-lost"], 0..20);
    clean(&campaign, 20, &["stopped-in-order"]);
    assert_eq!(campaign.marks.get("failover-complete"), None);
}

/// Crashes, stalls, host failures, and cut links between any two nodes, of every length up to beyond the lease.
fn storm(case: Pair) -> Pair {
    let window = (3_000, 60_000);
    let brokers = |case: &Pair| [case.node("alpha"), case.node("beta")];
    case.storm(3, window, (500, 20_000), move |case| {
        brokers(case).into_iter().chain([case.node("nfs")]).map(|node| Fault::Crash { node }).collect()
    })
    .storm(3, window, (200, 45_000), move |case| {
        brokers(case).into_iter().chain([case.node("nfs")]).map(|node| Fault::Pause { node }).collect()
    })
    .storm(2, window, (500, 40_000), |case| {
        [("nfs", "alpha"), ("nfs", "beta"), ("alpha", "beta")].map(|(a, b)| apart(a, b)(case)).into()
    })
    .storm(2, window, (500, 40_000), |case| {
        let nodes = ["nfs", "alpha", "beta", "client-1"].map(|name| case.node(name));
        let pairs = nodes.iter().flat_map(|&from| nodes.iter().map(move |&to| (from, to)));
        pairs.filter(|(from, to)| from != to).map(|(from, to)| Fault::Cut { from, to }).collect()
    })
    .storm(2, window, (0, 0), |case| {
        [("nfs", "alpha"), ("nfs", "beta"), ("alpha", "client-1")]
            .map(|(a, b)| Fault::Reset { a: case.node(a), b: case.node(b) })
            .into()
    })
}

#[test]
fn whatever_breaks_the_pair_recovers_and_loses_nothing() {
    clean(&storm(pair(60)).run(ALL, 0..200), 200, &["live-started"]);
}
