//! Where things go on a line: time, event, bars of faults, the nodes' columns, and room for words.

use std::collections::{BTreeMap, BTreeSet};

use sim_core::Instant;
use sim_core::trace::What;

use crate::report::story::{Row, Story, Subject, visible};

/// The measures of one timeline.
pub(super) struct Layout {
    /// Digits before the decimal point of the largest time.
    whole: usize,
    /// Characters after that: decimal point, decimals, unit.
    fraction: usize,
    /// Width of the largest event number with its sign.
    event: usize,
    /// The slot of each lasting fault's bar, by its place in the story's bands.
    pub bars: BTreeMap<usize, usize>,
    /// How many slots there are.
    pub slots: usize,
    /// From one node's column to the next.
    pub pitch: usize,
    /// How many nodes have a column: all, or none if that is more than the terminal can show.
    pub nodes: usize,
    /// Where words go.
    pub room: Room,
    /// The letter of each role.
    pub letters: Vec<(&'static str, char)>,
}

/// Where the words of a row go, and how wide they may be.
pub(super) enum Room {
    /// Right of the columns.
    Beside(usize),
    /// On lines of their own.
    Below(usize),
}

/// Bars side by side at most; further faults are told in words only.
const MOST_SLOTS: usize = 8;
/// Columns are spread out as long as words keep this much.
const GOOD_WIDTH: usize = 44;
/// Words go below if they would have less than this.
const LEAST_WIDTH: usize = 26;

impl Layout {
    pub(super) fn new(story: &Story<'_>, rows: &[Row<'_>], width: usize) -> Self {
        let (mut whole, mut fraction, mut event) = (1, 1, 2);
        for row in rows {
            let (before, after) = split(row.at);
            whole = whole.max(before.len());
            fraction = fraction.max(after.len());
            event = event.max(row.event.to_string().len() + 1);
        }
        let bars = bars(story, rows);
        let slots = bars.values().map(|slot| slot + 1).max().unwrap_or(0);
        let nodes = story.recording.nodes.len();
        let mut layout = Layout {
            whole,
            fraction,
            event,
            bars,
            slots,
            pitch: 2,
            nodes,
            room: Room::Below(width.saturating_sub(4)),
            letters: letters(story),
        };
        for pitch in [8, 6, 5, 4, 3, 2] {
            layout.pitch = pitch;
            let rest = width.saturating_sub(layout.columns_end());
            if rest >= GOOD_WIDTH || pitch == 2 && rest >= LEAST_WIDTH {
                layout.room = Room::Beside(rest);
                return layout;
            }
        }
        if layout.columns_end() > width {
            layout.nodes = 0;
            let rest = width.saturating_sub(layout.columns_end());
            if rest >= LEAST_WIDTH {
                layout.room = Room::Beside(rest);
            }
        }
        layout
    }

    /// Time, event and mark of the chain.
    pub(super) fn gutter(&self, row: &Row<'_>) -> String {
        let (before, after) = split(row.at);
        let chain = if row.in_chain { '»' } else { ' ' };
        let event = format!("#{}", row.event);
        format!(
            "{before:>whole$}{after:<fraction$} {event:>width$} {chain} ",
            whole = self.whole,
            fraction = self.fraction,
            width = self.event
        )
    }

    pub(super) fn empty_gutter(&self) -> String {
        " ".repeat(self.gutter_width())
    }

    fn gutter_width(&self) -> usize {
        self.whole + self.fraction + 1 + self.event + 3
    }

    /// Columns taken by the bars of faults.
    pub(super) fn bars_width(&self) -> usize {
        if self.slots == 0 { 0 } else { self.slots + 1 }
    }

    /// Columns taken by the nodes: half a pitch left of the first, and as much right of the last.
    pub(super) fn lanes_width(&self) -> usize {
        self.nodes * self.pitch
    }

    /// Where a node's column is, from the left edge of the columns.
    pub(super) fn column(&self, node: usize) -> usize {
        node * self.pitch + (self.pitch - 1) / 2
    }

    fn columns_end(&self) -> usize {
        self.gutter_width() + self.bars_width() + self.lanes_width() + 1
    }

    /// The names above the columns: side by side if they fit, else as a stair.
    pub(super) fn header(&self, story: &Story<'_>) -> Vec<String> {
        if self.nodes == 0 {
            return Vec::new();
        }
        let names: Vec<String> = story.recording.nodes.iter().map(|node| visible(&node.name)).collect();
        let widths: Vec<usize> = names.iter().map(|name| textwrap::core::display_width(name)).collect();
        let left = self.gutter_width() + self.bars_width();
        if widths.iter().all(|width| *width < self.pitch) {
            let mut line = " ".repeat(left);
            for (name, width) in names.iter().zip(&widths) {
                // A name is centred on its column; column and centre are both rounded to the left.
                let before = (self.pitch - 1) / 2 - (width.saturating_sub(1)) / 2;
                line.push_str(&" ".repeat(before));
                line.push_str(name);
                line.push_str(&" ".repeat(self.pitch - before - width));
            }
            return vec![line];
        }
        let mut lines = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let mut line = " ".repeat(left);
            for earlier in 0..number {
                pad_to(&mut line, left + self.column(earlier));
                line.push('│');
            }
            pad_to(&mut line, left + self.column(number));
            line.push_str(name);
            lines.push(line);
        }
        lines
    }

    /// The letter of a role.
    pub(super) fn letter(&self, role: &str) -> char {
        self.letters.iter().find(|(name, _)| *name == role).map_or('│', |(_, letter)| *letter)
    }
}

fn pad_to(line: &mut String, column: usize) {
    // Everything before a name in its line is one column wide.
    let width = line.chars().count();
    line.push_str(&" ".repeat(column.saturating_sub(width)));
}

/// A time before its decimal point, and from there on.
fn split(at: Instant) -> (String, String) {
    let text = at.to_string();
    let point = text.find(['.', 's']).unwrap_or(text.len());
    (text[..point].to_owned(), text[point..].to_owned())
}

/// Gives each role a letter: the first of its name that is free, else a digit.
fn letters(story: &Story<'_>) -> Vec<(&'static str, char)> {
    let mut roles: Vec<&'static str> = Vec::new();
    for span in story.lanes.iter().flat_map(|lane| &lane.spans) {
        if !span.state.role().is_empty() && !roles.contains(&span.state.role()) {
            roles.push(span.state.role());
        }
    }
    let mut taken = BTreeSet::new();
    roles
        .into_iter()
        .map(|role| {
            let own = role.chars().filter(|c| c.is_ascii_alphabetic()).map(|c| c.to_ascii_uppercase());
            let letter = own.chain('a'..='z').chain('1'..='9').find(|letter| !taken.contains(letter)).unwrap_or('?');
            taken.insert(letter);
            (role, letter)
        })
        .collect()
}

/// Gives the bar of each lasting fault the leftmost slot that is free for as long as it lasts.
fn bars(story: &Story<'_>, rows: &[Row<'_>]) -> BTreeMap<usize, usize> {
    let drawn = |event: u64, began: bool, id: u32| {
        rows.iter().any(|row| match row.subject {
            Subject::Entry(index) if row.event == event => match story.entries()[index].what {
                What::FaultBegan { id: other, .. } => began && other == id,
                _ => false,
            },
            _ => false,
        })
    };
    let mut free_from = Vec::new();
    let mut bars = BTreeMap::new();
    for (number, band) in story.bands.iter().enumerate() {
        if !band.lasts || !drawn(band.began.event, true, band.id) {
            continue;
        }
        let until = band.ended.map_or(u64::MAX, |ended| ended.event);
        let slot = match free_from.iter().position(|free| *free <= band.began.event) {
            Some(slot) => slot,
            None if free_from.len() < MOST_SLOTS => {
                free_from.push(0);
                free_from.len() - 1
            }
            None => continue,
        };
        free_from[slot] = until.saturating_add(1);
        bars.insert(number, slot);
    }
    bars
}
