//! What the page contains, from recordings made by hand.

use super::*;
use crate::report::sample::{self, Sample, eight_nodes, split_brain};

fn properties() -> Vec<PropertyRow<'static>> {
    vec![
        PropertyRow {
            name: "at-most-one-live",
            class: Class::Safety,
            about: "A1: at most one server of a pair is LIVE.",
            found: Found::Violated,
        },
        PropertyRow {
            name: "one-live-one-backup",
            class: Class::Liveness,
            about: "A4: after failback there is one live and one backup.",
            found: Found::Undecided,
        },
        PropertyRow {
            name: "failback-complete",
            class: Class::Coverage,
            about: "At least one seed completes a failback.",
            found: Found::Reached,
        },
    ]
}

fn section<'a>(
    sample: &'a Sample,
    properties: &'a [PropertyRow<'a>],
    facts: &'a [(&'a str, String)],
    commands: &'a [(&'a str, String)],
) -> Section<'a> {
    Section {
        scenario: "artemis/failback",
        about: "The old live server returns over a one-way link and must not serve before it has resynced.",
        verdict: Verdict::Fail,
        headline: "at-most-one-live: alpha and beta are both LIVE for node-id 1",
        facts,
        properties,
        commands,
        recording: Some(sample.recording()),
    }
}

fn whole(sample: &Sample) -> String {
    let facts = [("seed", "0x9e3779b97f4a7c15".to_owned()), ("events", sample.outcome.events.to_string())];
    let commands =
        [("replay", "fencepost replay scenarios/artemis/failback.toml --seed 0x9e3779b97f4a7c15".to_owned())];
    page("Fencepost report", &[section(sample, &properties(), &facts, &commands)])
}

/// The text of a page, without its style, script and markup, and with one space between words.
fn text(page: &str) -> String {
    let body = &page[page.find("<body>").unwrap()..page.find("<script>").unwrap()];
    let parts = body.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    parts.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_report_goes_from_verdict_to_properties_to_pictures_to_log() {
    let page = whole(&split_brain());
    let places = ["badge fail", "<h3>Properties", "svg class=\"overview\"", "svg class=\"sequence\"", "<h3>Log"]
        .map(|part| page.find(part).unwrap_or_else(|| panic!("there is no {part}")));
    assert!(places.is_sorted(), "{places:?}");
    let words = text(&page);
    assert!(words.contains("VIOLATION of at-most-one-live: alpha and beta are both LIVE for node-id 1"), "{words}");
    assert!(words.contains("fencepost replay scenarios/artemis/failback.toml --seed 0x9e3779b97f4a7c15"), "{words}");
    assert!(words.contains("cut alpha -&gt; beta — lost to it: 11 Heartbeat"), "{words}");
}

#[test]
fn every_entry_is_in_the_log_with_its_nodes_and_its_part_in_the_chain() {
    let sample = split_brain();
    let page = whole(&sample);
    let rows = page.matches("<tr data-nodes=").count() + page.matches("<tr class=\"chain\" data-nodes=").count();
    assert_eq!(rows, sample.trace.entries.len());
    let story = Story::new(sample.recording());
    let chain = (0..story.entries().len()).filter(|&at| story.is_link(at)).count();
    assert_eq!(page.matches("<tr class=\"chain\"").count(), chain);
    assert!(page.contains("<tr data-nodes=\"0 1\"><td>0.104s</td><td>#2</td><td>#1</td>"), "{page}");
}

#[test]
fn the_picture_of_eight_nodes_has_a_lane_for_each_and_an_arrow_for_each_link() {
    let page = whole(&eight_nodes());
    let picture = &page[page.find("svg class=\"sequence\"").unwrap()..];
    assert_eq!(picture.matches("<text class=\"name\"").count(), 8);
    assert_eq!(picture.matches("class=\"message in-chain\"").count(), 4);
    assert_eq!(picture.matches("<line class=\"violation\"").count(), 1);
    assert_eq!(picture.matches("<rect class=\"shade\"").count(), 2);
}

#[test]
fn the_page_needs_and_allows_nothing_from_elsewhere() {
    let page = whole(&split_brain());
    for forbidden in ["http://", "https://", "src=", "<link", "@import", "url(h"] {
        assert!(!page.contains(forbidden), "the page contains {forbidden}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn what_nodes_and_messages_are_called_is_never_markup() {
    let attack = "</text><script>alert(1)</script>\"'&\u{1b}[0m";
    let mut hostile = Sample::new(&[attack, "\"onload=\"x"]);
    let sent = hostile.event(0, 0, sample::timer(0, attack));
    hostile.send(0, 1, "Ping", attack, 1_000);
    hostile.event(1_000, sent, sample::delivered(0, 1, "Ping", attack));
    let cut = hostile.plan(sim_core::Fault::Heal, None);
    hostile.begin(2_000, cut, attack);
    hostile.violated(attack, Some(1), attack);
    let facts = [("seed", attack.to_owned())];
    let rows = [PropertyRow { name: attack, class: Class::Safety, about: attack, found: Found::Violated }];
    let mut section = section(&hostile, &rows, &facts, &facts);
    (section.scenario, section.about, section.headline) = (attack, attack, attack);
    let page = page(attack, &[section]);
    assert_eq!(page.matches("<script>").count(), 1, "only the page's own");
    assert!(!page.contains("alert(1)</script>") && !page.contains("\"onload=\""), "{page}");
    assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "control characters are written out");
}

#[test]
fn every_element_that_is_opened_is_closed() {
    for sample in [split_brain(), eight_nodes(), Sample::new(&[])] {
        let page = whole(&sample);
        let body = &page[page.find("<body>").unwrap()..];
        let mut open: Vec<&str> = Vec::new();
        for tag in body.split('<').skip(1).filter_map(|part| part.split_once('>').map(|(tag, _)| tag)) {
            let name = tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "wrongly nested");
            } else if name != "input" {
                open.push(name);
            }
            if name == "script" && !tag.starts_with('/') {
                break;
            }
        }
        assert_eq!(open, ["body", "script"]);
    }
}

#[test]
fn the_same_recording_makes_the_same_page() {
    assert_eq!(whole(&eight_nodes()), whole(&eight_nodes()));
}

#[test]
fn several_scenarios_have_a_table_of_contents_with_the_bad_ones_first() {
    let quiet = |scenario, verdict| Section {
        scenario,
        about: "",
        verdict,
        headline: "",
        facts: &[],
        properties: &[],
        commands: &[],
        recording: None,
    };
    let page = page("Report", &[quiet("a/good", Verdict::Pass), quiet("b/bad", Verdict::Fail)]);
    let words = text(&page);
    assert!(words.starts_with("Report FAIL b/bad PASS a/good"), "{words}");
    assert!(page.contains("href=\"#s1\"") && page.contains("<section id=\"s1\""));
}
