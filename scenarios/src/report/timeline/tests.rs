//! What the timeline looks like, from recordings made by hand.

use sim_core::NodeId;
use sim_core::trace::What;

use super::*;
use crate::report::sample::{self, Sample, eight_nodes, split_brain};

fn drawn(sample: &Sample, width: usize, all: bool) -> String {
    render(sample.recording(), &Options { width, color: false, all })
}

fn widest(text: &str) -> usize {
    text.lines().map(textwrap::core::display_width).max().unwrap_or(0)
}

#[test]
fn a_split_brain_of_three_nodes() {
    insta::assert_snapshot!(drawn(&split_brain(), 100, false));
}

#[test]
fn a_partition_of_eight_nodes() {
    insta::assert_snapshot!(drawn(&eight_nodes(), 100, false));
}

#[test]
fn every_entry_is_there_with_all() {
    insta::assert_snapshot!(drawn(&split_brain(), 120, true));
}

#[test]
fn eight_nodes_on_a_narrow_terminal_have_their_words_below() {
    insta::assert_snapshot!(drawn(&eight_nodes(), 60, false));
}

#[test]
fn color_changes_nothing_but_color() {
    for sample in [split_brain(), eight_nodes()] {
        let options = Options { color: true, ..Options::default() };
        let colored = render(sample.recording(), &options);
        assert!(colored.contains("\u{1b}[31m"), "faults are red");
        let stripped = anstream_free(&colored);
        assert_eq!(stripped, drawn(&sample, 100, false));
    }
}

/// Removes colours, which are all of the form `ESC [ ... m`.
fn anstream_free(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').expect("an escape sequence ends").1);
    }
    out
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let names: Vec<String> = (0..60).map(|number| format!("node-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for width in [60, 72, 80, 100, 160] {
        let mut crowd = Sample::new(&names);
        crowd.event(1_000, 0, sample::delivered(59, 0, "Ping", "Ping"));
        crowd.violated("strange", Some(0), "node-0 heard node-59");
        for sample in [split_brain(), eight_nodes(), crowd] {
            for all in [false, true] {
                let text = drawn(&sample, width, all);
                assert!(widest(&text) <= width, "{} columns on a terminal of {width}:\n{text}", widest(&text));
            }
        }
    }
}

#[test]
fn whole_values_survive_a_very_narrow_terminal() {
    let text = drawn(&eight_nodes(), 20, false);
    let joined: String = text.split_whitespace().collect();
    assert!(joined.contains("session:\"client-1/44\",deadline:2.5s}"), "{text}");
}

#[test]
fn control_characters_of_names_and_messages_do_not_reach_the_terminal() {
    let mut hostile = Sample::new(&["al\u{1b}[2Jpha", "be\rta"]);
    hostile.send(0, 1, "Ping", "Ping { text: \u{7}\u{9b}31m\u{202e} }", 1_000);
    hostile.event(1_000, 0, sample::delivered(0, 1, "Ping", "Ping { text: \u{7}\u{9b}31m\u{202e} }"));
    hostile.violated("no-\u{1b}panic", Some(1), "line one\nline two\u{1b}]0;title\u{7}");
    let text = drawn(&hostile, 100, true);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains("al\\u{1b}[2Jpha") && text.contains("line one\\nline two"), "{text}");
}

#[test]
fn a_run_of_which_nothing_was_recorded_and_one_without_nodes_can_be_drawn() {
    for sample in [Sample::new(&["alpha", "beta"]), Sample::new(&[])] {
        assert!(drawn(&sample, 100, false).contains("What happened"));
        assert!(drawn(&sample, 0, true).contains("What happened"));
    }
}

#[test]
fn entries_about_a_node_that_does_not_exist_are_told_in_words() {
    let mut odd = Sample::new(&["alpha"]);
    odd.event(1_000, 0, sample::delivered(0, 9, "Ping", "Ping"));
    odd.also(What::Mark { node: NodeId(9), name: "seen" });
    odd.also(sample::role(9, "", "LIVE"));
    odd.violated("strange", Some(9), "alpha heard n9");
    let text = drawn(&odd, 100, false);
    assert!(text.contains("alpha → n9: Ping") && text.contains("n9: mark seen"), "{text}");
}
