//! What a story reads from recordings made by hand.

use std::time::Duration;

use super::*;
use crate::report::sample::{Sample, delivered, eight_nodes, role, split_brain, timer};

fn states(story: &Story<'_>, node: usize) -> Vec<String> {
    story.lanes[node].spans.iter().map(|span| format!("{} {}", span.from, span.state.words())).collect()
}

#[test]
fn a_lane_has_every_role_pause_and_absence_without_a_gap() {
    let sample = split_brain();
    let story = Story::new(sample.recording());
    assert_eq!(states(&story, 0), ["0s LIVE", "2.11s LIVE (paused)", "2.36s LIVE"]);
    assert_eq!(states(&story, 2), ["0s VOTER", "0.75s down", "1.45s VOTER"]);
    for lane in &story.lanes {
        assert!(lane.spans.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert_eq!(lane.spans.last().map(|span| span.to), Some(story.end()));
    }
}

#[test]
fn the_chain_goes_from_the_violation_to_the_start_and_folds_what_repeats() {
    let sample = split_brain();
    let story = Story::new(sample.recording());
    let entries = story.entries();
    assert_eq!(story.chain.links.last().map(|link| link.event), sample.outcome.violation.as_ref().map(|v| v.event));
    // Each link is caused by the one before, except where rounds were folded away.
    let gaps: Vec<_> = story.chain.links.windows(2).filter(|pair| pair[1].cause != pair[0].event).collect();
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(story.chain.folds.len(), 1);
    let Folded::Rounds { rounds, round } = &story.chain.folds[0].what else { panic!("{:?}", story.chain.folds) };
    assert_eq!((*rounds, round.len()), (17, 1));
    assert_eq!(entries[round[0]].what, timer(0, "Heartbeat"));
}

#[test]
fn rounds_of_several_events_are_recognised() {
    let mut sample = Sample::new(&["a", "b"]);
    let mut cause = 0;
    for round in 0..10 {
        let at = round * 1_000;
        sample.send(0, 1, "Ping", &format!("Ping {round}"), 100);
        cause = sample.event(at + 100, cause, delivered(0, 1, "Ping", &format!("Ping {round}")));
        sample.send(1, 0, "Pong", &format!("Pong {round}"), 100);
        cause = sample.event(at + 200, cause, delivered(1, 0, "Pong", &format!("Pong {round}")));
    }
    sample.violated("enough", Some(0), "a is tired");
    let story = Story::new(sample.recording());
    assert_eq!(story.chain.links.len(), 2, "{:?}", story.chain);
    assert!(matches!(story.chain.folds[0].what, Folded::Rounds { rounds: 9, .. }), "{:?}", story.chain.folds);
    assert_eq!(story.chain.folds[0].from.1, 1);
    assert_eq!(story.chain.folds[0].to.1, 18);
}

#[test]
fn what_lies_far_back_is_counted() {
    let mut sample = Sample::new(&["a"]);
    let mut cause = 0;
    for number in 1..=100 {
        cause = sample.event(number, cause, timer(0, &format!("Step({number})")));
    }
    sample.violated("enough", Some(0), "a is tired");
    let story = Story::new(sample.recording());
    assert_eq!(story.chain.links.len(), 24);
    assert_eq!(story.chain.events.len(), 100);
    let [fold] = &story.chain.folds[..] else { panic!("{:?}", story.chain.folds) };
    assert_eq!((&fold.what, fold.from.1, fold.to.1), (&Folded::Earlier(76), 1, 76));
    assert!(story.rows(true).iter().all(|row| row.in_chain), "with all, every link is marked");
}

#[test]
fn a_process_that_starts_again_has_not_changed_its_role() {
    let mut sample = Sample::new(&["a"]);
    sample.also(What::Started { node: NodeId(0) });
    sample.event(1_000, 0, role(0, "STARTING", "LIVE"));
    sample.event(2_000, 0, What::Stopped { node: NodeId(0), halted: true });
    sample.event(3_000, 0, What::Started { node: NodeId(0) });
    sample.event(4_000, 0, role(0, "LIVE", "BACKUP"));
    let story = Story::new(sample.recording());
    assert_eq!(states(&story, 0), ["0s STARTING", "0.001s LIVE", "0.002s down", "0.003s up", "0.004s BACKUP"]);
    assert_eq!(crate::report::words::entry(&story, 4), "a is BACKUP");
}

#[test]
fn the_other_nodes_that_a_violation_names_have_their_last_change_explained() {
    let mut sample = Sample::new(&["alpha", "alpha-2", "beta"]);
    let first = sample.event(10, 0, timer(0, "Promote"));
    sample.also(role(0, "BACKUP", "LIVE"));
    let not_named = sample.event(20, 0, timer(1, "Promote"));
    sample.also(role(1, "BACKUP", "LIVE"));
    let last = sample.event(30, 0, timer(2, "Promote"));
    sample.violated("at-most-one-live", Some(2), "alpha and beta are both LIVE");
    let story = Story::new(sample.recording());
    assert!(story.chain.contains(first) && story.chain.contains(last));
    assert!(!story.chain.contains(not_named), "alpha-2 is not named by a text that says alpha");
}

#[test]
fn a_property_that_was_asked_at_the_end_has_no_causing_event() {
    let mut sample = Sample::new(&["alpha"]);
    sample.event(10, 0, timer(0, "Tick"));
    sample.violated("eventually", None, "nobody is LIVE");
    assert_eq!(Story::new(sample.recording()).chain, Chain::default());
}

#[test]
fn a_cause_that_is_not_earlier_ends_the_chain() {
    let mut sample = Sample::new(&["alpha"]);
    let event = sample.event(10, 1, timer(0, "Tick"));
    sample.violated("strange", Some(0), "alpha");
    assert_eq!(Story::new(sample.recording()).chain.links.len(), event as usize);
}

#[test]
fn deliveries_are_paired_with_their_own_sendings() {
    let mut sample = Sample::new(&["a", "b"]);
    let sent = sample.event(0, 0, timer(0, "Tick"));
    // Equal messages in one event: the moment of arrival tells them apart.
    sample.send(0, 1, "Ping", "Ping", 3_000);
    sample.send(0, 1, "Ping", "Ping", 1_000);
    let also = Fate::Arrives(vec![Instant::from_nanos(2_000_000), Instant::from_nanos(4_000_000)]);
    sample.send_to_fate(0, 1, "Ping", "Ping", also);
    for at in [1_000, 2_000, 3_000, 4_000] {
        sample.event(at, sent, delivered(0, 1, "Ping", "Ping"));
    }
    let story = Story::new(sample.recording());
    let first = story.entries().len() - 4;
    let fates: Vec<_> = (first..first + 4)
        .map(|at| match &story.sending(at).unwrap().what {
            What::Sent { fate: Fate::Arrives(moments), .. } => moments.len(),
            _ => 0,
        })
        .collect();
    assert_eq!(fates, [1, 2, 1, 2]);
}

#[test]
fn late_is_later_than_a_healthy_network_allows() {
    let sample = split_brain();
    let story = Story::new(sample.recording());
    let late: Vec<_> = (0..story.entries().len()).filter(|&at| story.is_late(at)).collect();
    assert_eq!(late.len(), 1);
    assert_eq!(story.transit(late[0]), Some(Duration::from_millis(412)));
}

#[test]
fn a_fault_counts_what_it_swallowed_and_knows_whom_it_concerns() {
    let sample = eight_nodes();
    let story = Story::new(sample.recording());
    let partition = &story.bands[0];
    assert_eq!(partition.nodes.len(), 6);
    assert_eq!(partition.links.len(), 2 * 2 * 4);
    assert_eq!(story.lost_to(partition).len(), 2);
    assert_eq!(story.lost_to(&story.bands[1]).len(), 0);
}

#[test]
fn the_set_up_is_one_row_and_a_mark_set_again_and_again_is_one_row() {
    let mut sample = Sample::new(&["a", "b"]);
    for node in 0..2 {
        sample.also(What::Started { node: NodeId(node) });
        sample.also(role(node, "", "LIVE"));
    }
    for at in 1..=9 {
        sample.event(at, 0, timer(0, "Tick"));
        sample.also(What::Mark { node: NodeId(0), name: "ticked" });
    }
    let story = Story::new(sample.recording());
    let subjects: Vec<_> = story.rows(false).into_iter().map(|row| row.subject).collect();
    let last = story.entries().len() - 1;
    assert_eq!(subjects, [Subject::Start, Subject::Marks(last, 9, Instant::from_nanos(1_000))]);
    assert_eq!(story.rows(true).len(), story.entries().len());
}

#[test]
fn a_heal_ends_cuts_and_a_restart_ends_a_crash() {
    use sim_core::Fault;
    let mut sample = Sample::new(&["a", "b"]);
    let cut = sample.plan(Fault::Cut { from: NodeId(0), to: NodeId(1) }, None);
    let crash = sample.plan(Fault::Crash { node: NodeId(1) }, None);
    let heal = sample.plan(Fault::Heal, None);
    sample.begin(10, cut, "cut a -> b");
    sample.begin(20, crash, "crash b");
    sample.event(30, 0, What::Started { node: NodeId(1) });
    sample.begin(40, heal, "heal everything");
    let story = Story::new(sample.recording());
    let ended: Vec<_> = story.bands.iter().map(|band| band.ended.map(|point| point.event)).collect();
    assert_eq!(ended, [Some(4), Some(3), None]);
}
