//! Explicit schedules: reading gives back what was written, and what no longer fits is refused.

use std::path::Path;
use std::time::Duration;

use crate::common::{EVERYTHING, read, registry};
use proptest::prelude::*;
use scenarios::format::schedule::{self, scenario_name};
use scenarios::format::{FileError, Scenario};
use scenarios::nemesis;
use sim_core::{
    Baseline, ClockSetting, CommandId, Degradation, Deviation, DiskTrouble, Fault, HostId, Instant, Moment, NodeId,
    PlannedFault, Schedule, Select, Site, Trigger,
};

fn everything() -> Scenario {
    read(EVERYTHING).expect("it is sound")
}

fn read_back(text: &str, scenario: &Scenario) -> Result<Schedule, FileError> {
    schedule::read(Path::new("kept.toml"), text.into(), scenario, &registry())
}

fn node() -> impl Strategy<Value = NodeId> {
    (0..5_u16).prop_map(NodeId)
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![0..10_000_000_000_u64, any::<u64>()].prop_map(Duration::from_nanos)
}

fn instant() -> impl Strategy<Value = Instant> {
    duration().prop_map(Instant::from)
}

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["Heartbeat", "Request", "Answer"])
}

fn select() -> impl Strategy<Value = Select> {
    (prop::option::of(kind()), prop::option::of(node()), prop::option::of(node())).prop_map(|(kind, from, to)| Select {
        kind,
        from,
        to,
    })
}

fn degradation() -> impl Strategy<Value = Degradation> {
    (duration(), duration(), 0.0..=1.0, 0.0..=1.0, prop::option::of(1..i64::MAX as u64)).prop_map(
        |(latency, jitter, loss, duplication, bandwidth)| Degradation { latency, jitter, loss, duplication, bandwidth },
    )
}

fn trouble() -> impl Strategy<Value = DiskTrouble> {
    prop_oneof![
        duration().prop_map(|by| DiskTrouble::Slow { by }),
        Just(DiskTrouble::Failing),
        Just(DiskTrouble::Lying)
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let nodes = || prop::collection::vec(node(), 0..4);
    let drift = || prop::option::of(-ClockSetting::MAX_DRIFT_PPM..=ClockSetting::MAX_DRIFT_PPM);
    prop_oneof![
        node().prop_map(|node| Fault::Crash { node }),
        node().prop_map(|node| Fault::Restart { node }),
        node().prop_map(|node| Fault::Pause { node }),
        node().prop_map(|node| Fault::Resume { node }),
        (node(), duration()).prop_map(|(node, per_event)| Fault::Slow { node, per_event }),
        (node(), any::<i64>(), drift()).prop_map(|(node, step, drift_ppm)| Fault::Clock { node, step, drift_ppm }),
        prop::collection::vec(nodes(), 0..4).prop_map(|groups| Fault::Partition { groups }),
        (nodes(), nodes()).prop_map(|(from, to)| Fault::OneWay { from, to }),
        (node(), node()).prop_map(|(from, to)| Fault::Cut { from, to }),
        Just(Fault::Heal),
        (node(), node()).prop_map(|(a, b)| Fault::Reset { a, b }),
        (node(), node(), degradation()).prop_map(|(from, to, degradation)| Fault::Degrade { from, to, degradation }),
        (select(), any::<u32>()).prop_map(|(select, count)| Fault::Drop { select, count }),
        (select(), any::<u32>(), duration()).prop_map(|(select, count, by)| Fault::Delay { select, count, by }),
        (node(), trouble()).prop_map(|(node, trouble)| Fault::Disk { node, trouble }),
        (0..4_u16).prop_map(|host| Fault::HostFailure { host: HostId(host) }),
        (node(), 0..2_u32).prop_map(|(node, id)| Fault::Command { node, command: CommandId(id) }),
    ]
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let mark = prop::sample::select(vec!["started", "promoted"]);
    prop_oneof![
        instant().prop_map(Trigger::At),
        (instant(), instant()).prop_map(|(a, b)| Trigger::Window { from: a.min(b), to: a.max(b) }),
        any::<u64>().prop_map(Trigger::OnEvent),
        (mark, prop::option::of(node()), any::<u32>(), duration())
            .prop_map(|(mark, node, occurrence, plus)| Trigger::OnMark { mark, node, occurrence, plus }),
    ]
}

fn deviation() -> impl Strategy<Value = (Site, Moment, Deviation)> {
    let site = prop_oneof![(node(), node()).prop_map(|(a, b)| Site::Link(a, b)), node().prop_map(Site::Disk)];
    let moment = (instant(), any::<u32>()).prop_map(|(at, ordinal)| Moment { at, ordinal });
    let deviation = prop_oneof![
        Just(Deviation::Lost),
        duration().prop_map(Deviation::Delayed),
        (duration(), duration()).prop_map(|(first, second)| Deviation::Duplicated { first, second }),
        any::<(u32, bool)>().prop_map(|(writes, torn)| Deviation::Kept { writes, torn }),
    ];
    (site, moment, deviation)
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let planned = (any::<u32>(), trigger(), fault(), prop::option::of(duration()));
    let clock = (duration(), -ClockSetting::MAX_DRIFT_PPM..=ClockSetting::MAX_DRIFT_PPM)
        .prop_map(|(offset, drift_ppm)| ClockSetting { offset, drift_ppm });
    let clocks = prop::collection::btree_map(node(), clock, 0..5);
    let draws = prop::collection::btree_map(node(), prop::collection::vec(any::<u64>(), 0..12), 0..5);
    let parts = (any::<u64>(), any::<bool>(), clocks, prop::collection::btree_set(node(), 0..3), draws);
    (parts, prop::collection::vec(planned, 0..12), prop::collection::vec(deviation(), 0..12)).prop_map(
        |((seed, calm, clocks, absent, draws), planned, deviations)| {
            let mut schedule = Schedule { clocks, absent, draws, ..Schedule::seeded(seed) };
            schedule.baseline = if calm { Baseline::Calm } else { Baseline::Seeded };
            for (id, trigger, fault, hold) in planned {
                let hold = hold.filter(|_| fault.has_extent());
                if schedule.faults.faults.iter().all(|other| other.id != id) {
                    schedule.faults.faults.push(PlannedFault { id, trigger, fault, hold });
                }
            }
            for (site, moment, deviation) in deviations {
                schedule.deviations.insert(site, moment, deviation);
            }
            schedule
        },
    )
}

proptest! {
    #[test]
    fn reading_gives_back_what_was_written(schedule in any_schedule()) {
        let scenario = everything();
        let text = schedule::write(&scenario, &schedule, "A note.");
        let back = read_back(&text, &scenario).map_err(|error| {
            TestCaseError::fail(format!("{:?}\n{text}", miette::Report::new(error)))
        })?;
        prop_assert_eq!(back, schedule);
    }

    #[test]
    fn what_a_seed_makes_of_a_scenario_survives_being_written(seed: u64) {
        let scenario = everything();
        let schedule = nemesis::schedule(&scenario, seed);
        let text = schedule::write(&scenario, &schedule, "");
        prop_assert_eq!(read_back(&text, &scenario).expect("it was just written"), schedule);
    }
}

fn example(scenario: &Scenario) -> String {
    let mut schedule = Schedule::calm(0x9e37_79b9_7f4a_7c15);
    schedule.clocks.insert(NodeId(1), ClockSetting { offset: Duration::from_millis(1500), drift_ppm: -200 });
    schedule.faults.push(
        Trigger::At(Instant::from_secs(10)),
        Fault::Crash { node: NodeId(0) },
        Some(Duration::from_millis(2500)),
    );
    let link = Site::Link(NodeId(0), NodeId(1));
    let at = Instant::from_nanos(14_203_000_001);
    schedule.deviations.insert(link, Moment { at, ordinal: 0 }, Deviation::Delayed(Duration::from_secs(3)));
    schedule.deviations.insert(link, Moment { at, ordinal: 1 }, Deviation::Lost);
    schedule::write(scenario, &schedule, "at-most-one-primary is violated at 17.2s.\nShrunk from 7 faults.")
}

#[test]
fn a_schedule_is_a_file_for_people() {
    insta::assert_snapshot!(example(&everything()));
}

#[test]
fn a_schedule_says_which_scenario_it_belongs_to() {
    assert_eq!(scenario_name(&example(&everything())).as_deref(), Some("test"));
    assert_eq!(scenario_name("not even TOML"), None);
}

fn refusal(text: &str, scenario: &Scenario) -> String {
    let error = read_back(text, scenario).expect_err("it should be refused");
    crate::common::rendered(&error)
}

#[test]
fn a_stale_schedule_says_so_and_what_to_do() {
    let text = example(&everything());
    let changed = read(&EVERYTHING.replace("duration = \"120s\"", "duration = \"121s\"")).expect("it is sound");
    insta::assert_snapshot!(refusal(&text, &changed));
}

#[test]
fn line_ends_do_not_make_a_schedule_stale() {
    let text = example(&everything());
    let other_ends = read(&EVERYTHING.replace('\n', "\r\n")).expect("it is sound");
    assert!(read_back(&text, &other_ends).is_ok());
}

#[test]
fn a_schedule_of_another_scenario_is_refused() {
    let text = example(&everything()).replace("scenario = \"test\"", "scenario = \"artemis/failback\"");
    insta::assert_snapshot!(refusal(&text, &everything()));
}

#[test]
fn mistakes_of_an_editor_are_all_named() {
    let text = example(&everything())
        .replace("node = \"alpha\"", "node = \"alfa\"")
        .replace("delayed = \"3s\"", "delayed = 3")
        .replace("nth = 1, lost = true", "nth = 1, lost = true, delayed = \"1s\"");
    insta::assert_snapshot!(refusal(&text, &everything()));
}

#[test]
fn a_later_version_is_refused() {
    let text = example(&everything()).replace("schedule = 1", "schedule = 2");
    insta::assert_snapshot!(refusal(&text, &everything()));
}
