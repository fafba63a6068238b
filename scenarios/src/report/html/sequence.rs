//! What happened, as a sequence diagram: the same rows as on the terminal, each node a lane coloured by its role.
//!
//! The vertical axis is the order of rows, stretched where much time passes, because what matters often happens
//! within milliseconds after minutes of nothing. A message that was long on its way is therefore a slanted arrow.

use std::time::Duration;

use maud::{Markup, html};
use sim_core::NodeId;
use sim_core::trace::{Fate, What};

use super::draw::{CHARACTER, class, definitions, names, px, roles, text_width};
use crate::report::story::{Band, Row, State, Story, Subject, is_fault, visible};
use crate::report::words;

const LINE: f64 = 17.0;
const LEAST_ROW: f64 = 24.0;
const TOP: f64 = 44.0;
const LANE: f64 = 13.0;
/// Characters on a line of words: as many as the page has room for beside the lanes, within these.
const WORDS: (f64, f64) = (50.0, 90.0);
/// Width of a page on which nothing needs to be scrolled.
const PAGE: f64 = 1310.0;
/// Closest and furthest lanes.
const PITCH: (f64, f64) = (88.0, 156.0);

/// Where each row and lane is.
struct Plan<'s> {
    rows: Vec<Row<'s>>,
    /// The words of each row, broken into lines.
    words: Vec<Vec<String>>,
    /// The height of each row's first line.
    y: Vec<f64>,
    bottom: f64,
    /// The first lane.
    left: f64,
    pitch: f64,
    /// Where words begin.
    right: f64,
    width: f64,
}

impl Plan<'_> {
    fn x(&self, node: NodeId) -> f64 {
        self.left + node.index() as f64 * self.pitch
    }

    /// The height of an event: of its first row, or between the rows around it.
    fn y_of(&self, event: u64) -> f64 {
        let next = self.rows.partition_point(|row| row.event < event);
        match (next.checked_sub(1).map(|before| self.y[before]), self.rows.get(next)) {
            (_, Some(row)) if row.event == event => self.y[next],
            (Some(before), Some(_)) => f64::midpoint(before, self.y[next]),
            (None, Some(_)) => self.y[next] - LEAST_ROW / 2.0,
            (Some(before), None) => before + LEAST_ROW / 2.0,
            (None, None) => TOP,
        }
    }

    /// The height at which a change made by an event shows: of the row that tells it.
    fn y_of_change(&self, story: &Story<'_>, event: u64, tells: impl Fn(&What) -> bool) -> f64 {
        let row = self.rows.iter().position(|row| match row.subject {
            Subject::Entry(index) => row.event == event && tells(&story.entries()[index].what),
            Subject::Start => row.event >= event,
            _ => false,
        });
        row.map_or_else(|| self.y_of(event), |row| self.y[row])
    }
}

pub(super) fn sequence(story: &Story<'_>, number: usize) -> Markup {
    let id = format!("q{number}");
    let names = names(story);
    let roles = roles(story);
    let plan = plan(story, &names);
    html! {
        svg.sequence width=(px(plan.width)) height=(px(plan.bottom + 12.0)) role="img"
            aria-label="Sequence of what happened" {
            (definitions(&id))
            @for (node, name) in names.iter().enumerate() {
                text.name x=(px(plan.x(NodeId(node as u16)))) y="20" text-anchor="middle" { (name) }
            }
            @for band in &story.bands { (shade(story, &plan, band)) }
            @for node in 0..names.len() { (lane(story, &plan, &roles, NodeId(node as u16), &id)) }
            @for at in 0..plan.rows.len() { (row(story, &plan, at, &id)) }
        }
    }
}

fn plan<'s>(story: &'s Story<'_>, names: &[String]) -> Plan<'s> {
    let rows = story.rows(false);
    let times = rows.iter().map(|row| text_width(&time_and_event(row))).fold(60.0, f64::max);
    let widest_name = names.iter().map(|name| text_width(name)).fold(0.0, f64::max);
    let roles = story.lanes.iter().flat_map(|lane| &lane.spans).map(|span| text_width(&span.state.words()));
    let pitch = (roles.fold(0.0, f64::max) + 20.0).clamp(PITCH.0, PITCH.1).max(widest_name + 14.0);
    let left = times + 30.0 + pitch / 2.0;
    let right = left + (names.len().max(1) as f64 - 0.5) * pitch + 30.0;
    let characters = ((PAGE - right) / CHARACTER).floor().clamp(WORDS.0, WORDS.1);
    let settings = textwrap::Options::new(characters as usize)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    let words: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let text = words::row(story, row);
            textwrap::wrap(&text, &settings).into_iter().map(|line| line.trim_end().to_owned()).collect()
        })
        .collect();
    let (mut y, mut at) = (Vec::new(), TOP);
    for (number, row) in rows.iter().enumerate() {
        if let Some(before) = number.checked_sub(1) {
            let height = (words[before].len() as f64 * LINE + 7.0).max(LEAST_ROW);
            at += height + stretch(row.at.since(rows[before].at));
        }
        y.push(at);
    }
    let bottom = at + words.last().map_or(1, Vec::len) as f64 * LINE + 14.0;
    let width = right + characters * CHARACTER + 16.0;
    Plan { rows, words, y, bottom, left, pitch, right, width }
}

/// More room where more time passes: nothing up to ten milliseconds, then the same again for each tenfold.
fn stretch(passed: Duration) -> f64 {
    let tens = (passed.as_secs_f64() / 0.01).max(1.0).log10();
    (tens * 7.0).min(30.0)
}

fn time_and_event(row: &Row<'_>) -> String {
    format!("{}  #{}", row.at, row.event)
}

/// A fault as a shaded span over the lanes that it concerns.
fn shade(story: &Story<'_>, plan: &Plan<'_>, band: &Band<'_>) -> Markup {
    let (Some(first), Some(last)) = (band.nodes.first(), band.nodes.last()) else { return html! {} };
    if !band.lasts || last.index() >= story.lanes.len() {
        return html! {};
    }
    let began = |what: &What| matches!(what, What::FaultBegan { id, .. } if *id == band.id);
    let ended = |what: &What| matches!(what, What::FaultEnded { id, .. } if *id == band.id);
    let top = plan.y_of_change(story, band.began.event, began);
    let bottom = band.ended.map_or(plan.bottom, |end| plan.y_of_change(story, end.event, ended));
    let half = (plan.pitch / 2.0 - 4.0).min(24.0);
    html! {
        g {
            title { "fault " (band.id) ": " (visible(band.text)) }
            // A node between two that are cut off from each other is not itself concerned.
            @for (left, right) in neighbours(&band.nodes) {
                rect.shade x=(px(plan.x(left) - half)) y=(px(top)) width=(px(plan.x(right) - plan.x(left) + 2.0 * half))
                    height=(px((bottom - top).max(2.0))) rx="4" {}
            }
            line.shade-link x1=(px(plan.x(*first))) x2=(px(plan.x(*last))) y1=(px(top)) y2=(px(top)) {}
        }
    }
}

/// The first and last of each run of nodes that stand side by side.
fn neighbours(nodes: &[NodeId]) -> Vec<(NodeId, NodeId)> {
    nodes.chunk_by(|a, b| a.0 + 1 == b.0).filter_map(|run| Some((*run.first()?, *run.last()?))).collect()
}

/// A node's life from top to bottom.
fn lane(story: &Story<'_>, plan: &Plan<'_>, roles: &[&'static str], node: NodeId, id: &str) -> Markup {
    let x = plan.x(node);
    let spans = &story.lanes[node.index()].spans;
    let tells = |what: &What| match what {
        What::Started { node: other } | What::Stopped { node: other, .. } | What::Role { node: other, .. } => {
            *other == node
        }
        What::FaultBegan { .. } | What::FaultEnded { .. } => true,
        _ => false,
    };
    let tops: Vec<f64> = spans.iter().map(|span| plan.y_of_change(story, span.event, tells)).collect();
    html! {
        @for (number, span) in spans.iter().enumerate() {
            @let top = tops[number];
            @let bottom = tops.get(number + 1).copied().unwrap_or(plan.bottom);
            @let height = (bottom - top).max(1.0);
            g {
                title { (names(story)[node.index()]) " " (span.state.words()) ", " (span.from) " to " (span.to) }
                @if span.state == State::Down {
                    line.down x1=(px(x)) x2=(px(x)) y1=(px(top)) y2=(px(bottom)) {}
                } @else {
                    rect class={ "life " (class(roles, span.state)) } x=(px(x - LANE / 2.0)) y=(px(top))
                        width=(px(LANE)) height=(px(height)) rx="2" {}
                }
                @if matches!(span.state, State::Paused(_)) {
                    rect x=(px(x - LANE / 2.0)) y=(px(top)) width=(px(LANE)) height=(px(height))
                        fill=(format!("url(#{id}-hatch)")) {}
                }
            }
            text.lane-role x=(px(x + LANE / 2.0 + 4.0)) y=(px(top + 15.0)) {
                (visible(&span.state.words()))
            }
        }
    }
}

fn row(story: &Story<'_>, plan: &Plan<'_>, at: usize, id: &str) -> Markup {
    let row = &plan.rows[at];
    let y = plan.y[at];
    let kind = match row.subject {
        Subject::Violation => "row violated",
        Subject::Entry(index) if is_fault(&story.entries()[index].what) => "row of-fault",
        _ if row.in_chain => "row of-chain",
        _ => "row",
    };
    html! {
        g class=(kind) {
            @if row.subject == Subject::Violation {
                line.violation x1=(px(10.0 + text_width(&time_and_event(row)) + 8.0)) x2=(px(plan.right - 8.0)) y1=(px(y)) y2=(px(y)) {}
            }
            text.time x="10" y=(px(y + 4.0)) { (time_and_event(row)) }
            @if let Subject::Entry(index) | Subject::Marks(index, ..) = row.subject {
                (sign(story, plan, index, y, row.in_chain, id))
            }
            @if let Subject::Fold(fold) = row.subject {
                @for &index in fold.round() {
                    @if let What::Delivered { from, to, .. } = &story.entries()[index].what {
                        (arrow(plan, (*from, y), (*to, y), "folded", id))
                    }
                }
            }
            text.words y=(px(y + 4.0)) {
                @for (number, line) in plan.words[at].iter().enumerate() {
                    tspan x=(px(plan.right)) dy=(if number == 0 { "0" } else { "17" }) { (line) }
                }
            }
        }
    }
}

/// What a row shows on the lanes.
fn sign(story: &Story<'_>, plan: &Plan<'_>, index: usize, y: f64, in_chain: bool, id: &str) -> Markup {
    let known = |node: &NodeId| node.index() < story.lanes.len();
    match &story.entries()[index].what {
        What::Delivered { from, to, kind, .. } | What::Undeliverable { from, to, kind } if known(from) && known(to) => {
            let start = story.sending(index).map_or(y, |sent| plan.y_of(sent.event)).min(y - 5.0);
            let line = if in_chain { "in-chain" } else { "head" };
            html! { (arrow(plan, (*from, start), (*to, y), line, id)) (kind_label(plan, (*from, start), (*to, y), kind)) }
        }
        What::Sent { from, to, kind, fate: Fate::Lost | Fate::Cut | Fate::Dropped { .. }, .. }
            if known(from) && known(to) =>
        {
            lost(plan, *from, *to, kind, y, id)
        }
        // The arrow is drawn by the row of the delivery.
        What::Sent { from, .. } if known(from) => dot(plan, *from, y, "dot"),
        What::Mark { node, .. } if known(node) => {
            let x = plan.x(*node);
            html! { path.mark d=(format!("M{0},{1} l6,6 l-6,6 l-6,-6 z", px(x), px(y - 6.0))) {} }
        }
        What::Role { node, .. } | What::Started { node } if known(node) => dot(plan, *node, y, "dot big"),
        What::Stopped { node, .. } if known(node) => cross(plan.x(*node), y),
        What::Timer { node, .. }
        | What::Connection { node, .. }
        | What::Synced { node, .. }
        | What::Command { node, .. }
        | What::Operation { node, .. }
            if known(node) =>
        {
            dot(plan, *node, y, "dot")
        }
        What::FaultBegan { id: fault, .. } => struck(story, plan, *fault, y),
        _ => html! {},
    }
}

fn dot(plan: &Plan<'_>, node: NodeId, y: f64, class: &str) -> Markup {
    let radius = if class.ends_with("big") { "6" } else { "4" };
    html! { circle class=(class) cx=(px(plan.x(node))) cy=(px(y)) r=(radius) {} }
}

fn cross(x: f64, y: f64) -> Markup {
    html! { path.cross d=(format!("M{0},{1} l10,10 m0,-10 l-10,10", px(x - 5.0), px(y - 5.0))) {} }
}

/// Crosses where a fault strikes: between the ends of a link, or on the nodes.
fn struck(story: &Story<'_>, plan: &Plan<'_>, fault: u32, y: f64) -> Markup {
    let Some(band) = story.bands.iter().find(|band| band.id == fault) else { return html! {} };
    if let [(from, to)] = band.links[..] {
        return cross(f64::midpoint(plan.x(from), plan.x(to)), y);
    }
    html! { @for &node in &band.nodes { (cross(plan.x(node), y)) } }
}

fn arrow(plan: &Plan<'_>, from: (NodeId, f64), to: (NodeId, f64), class: &str, id: &str) -> Markup {
    let right = plan.x(to.0) >= plan.x(from.0);
    let gap = LANE / 2.0 + 1.0;
    let (x1, x2) =
        if right { (plan.x(from.0) + gap, plan.x(to.0) - gap) } else { (plan.x(from.0) - gap, plan.x(to.0) + gap) };
    let marker = if class == "in-chain" { "chain" } else { "head" };
    html! {
        line class={ "message " (class) } x1=(px(x1)) y1=(px(from.1)) x2=(px(x2)) y2=(px(to.1))
            marker-end=(format!("url(#{id}-{marker})")) {}
    }
}

/// The kind of a message, along its arrow.
fn kind_label(plan: &Plan<'_>, from: (NodeId, f64), to: (NodeId, f64), kind: &str) -> Markup {
    let (x, y) = (f64::midpoint(plan.x(from.0), plan.x(to.0)), f64::midpoint(from.1, to.1));
    html! { text.kind x=(px(x)) y=(px(y - 4.0)) text-anchor="middle" { (visible(kind)) } }
}

/// A message that never arrives: an arrow to halfway, and a cross.
fn lost(plan: &Plan<'_>, from: NodeId, to: NodeId, kind: &str, y: f64, id: &str) -> Markup {
    let (x1, x2) = (plan.x(from), f64::midpoint(plan.x(from), plan.x(to)));
    html! {
        line.message.lost x1=(px(x1)) y1=(px(y)) x2=(px(x2)) y2=(px(y)) marker-end=(format!("url(#{id}-fault)")) {}
        (cross(x2 + if x2 > x1 { 7.0 } else { -7.0 }, y))
        text.kind x=(px(f64::midpoint(x1, x2))) y=(px(y - 5.0)) text-anchor="middle" {
            (visible(kind))
        }
    }
}
