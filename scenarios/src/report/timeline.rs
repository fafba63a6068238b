//! The timeline on a terminal: who was what when, what was broken when, and then row by row what happened, one
//! column a node.
//!
//! A node's column is drawn with the letter of its role, so two primaries are two equal letters side by side. A bar
//! left of the columns runs for as long as a fault lasts, `»` marks what led to the violation, and a message is an
//! arrow at the moment of its delivery. Everything that a row says in signs it says in words too, whole.

mod canvas;
mod layout;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use sim_core::Instant;

use self::canvas::Painter;
use self::layout::{Layout, Room};
use super::story::{Recording, Row, Story, Subject, is_fault, visible};
use super::words;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether to use colour.
    pub color: bool,
    /// Whether to show every entry, and not only those that matter most.
    pub all: bool,
}

impl Default for Options {
    /// A hundred columns, no colour, what matters most.
    fn default() -> Self {
        Options { width: 100, color: false, all: false }
    }
}

pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const FAULT: Style = AnsiColor::Red.on_default();
pub(crate) const ALARM: Style = AnsiColor::Red.on_default().bold();
pub(crate) const QUIET: Style = Style::new().dimmed();
pub(crate) const CHAIN: Style = Style::new().bold();

/// Draws a recorded run. The text ends with a line break and holds no escape sequences unless colour was asked for.
pub fn render(recording: Recording<'_>, options: &Options) -> String {
    let story = Story::new(recording);
    let mut out = String::new();
    roles(&mut out, &story, options);
    faults(&mut out, &story, options);
    rows(&mut out, &story, options);
    out
}

/// Text in a style, if colour is wanted.
fn styled(text: &str, style: Style, options: &Options) -> String {
    if options.color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Who was what when: a line a node.
fn roles(out: &mut String, story: &Story<'_>, options: &Options) {
    let _ = writeln!(out, "{}", styled("Who was what, since when", HEADING, options));
    let names: Vec<String> = story.recording.nodes.iter().map(|node| visible(&node.name)).collect();
    let widest = names.iter().map(|name| textwrap::core::display_width(name)).max().unwrap_or(0);
    for (name, lane) in names.iter().zip(&story.lanes) {
        let pad = " ".repeat(widest - textwrap::core::display_width(name));
        let spans: Vec<String> =
            lane.spans.iter().map(|span| format!("{} {}", span.from, visible(&span.state.words()))).collect();
        hang(out, &format!("  {name}{pad}  "), &spans.join(", "), options);
    }
}

/// What was broken when: a line a fault, those that never took effect at the end.
fn faults(out: &mut String, story: &Story<'_>, options: &Options) {
    let fired = &story.recording.outcome.fired;
    if story.bands.is_empty() && fired.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", styled("What was broken", HEADING, options));
    for band in &story.bands {
        let when = match (band.ended, band.lasts) {
            (Some(ended), _) => format!("{} to {}", band.began.at, ended.at),
            (None, true) => format!("{} to the end", band.began.at),
            (None, false) => format!("{}", band.began.at),
        };
        let losses = words::losses(story, band).map_or_else(String::new, |losses| format!(" — {losses}"));
        let text = format!("{}{losses}", visible(band.text));
        hang(out, &format!("  fault {}  {when}: ", band.id), &text, options);
    }
    for (id, kind, fired) in fired.iter().filter(|(_, _, fired)| fired.count == 0) {
        debug_assert!(fired.first.is_none(), "fault {id} fired at a time but never");
        hang(out, &format!("  fault {id}  "), &format!("{kind}: never took effect in this run"), options);
    }
}

/// The rows, and above them the names of the columns.
fn rows(out: &mut String, story: &Story<'_>, options: &Options) {
    let rows = story.rows(options.all);
    let layout = Layout::new(story, &rows, options.width);
    let _ = writeln!(out, "\n{}", styled("What happened", HEADING, options));
    legend(out, story, &layout, options);
    for line in layout.header(story) {
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let mut painter = Painter::new(story, &layout, *options);
    for row in &rows {
        let body = words::row(story, row);
        let style = match row.subject {
            Subject::Violation => ALARM,
            Subject::Entry(index) if is_fault(&story.entries()[index].what) => FAULT,
            Subject::Fold(_) => QUIET,
            _ if row.in_chain => CHAIN,
            _ => Style::new(),
        };
        let first = format!("{}{}", layout.gutter(row), painter.row(row));
        let rest = format!("{}{}", layout.empty_gutter(), painter.between(row));
        lines(out, &first, &rest, &body, style, &layout, options);
    }
    footer(out, story, &rows, options);
}

/// One row: its columns and beside them, or below them where there is no room, its words.
fn lines(out: &mut String, first: &str, rest: &str, body: &str, style: Style, layout: &Layout, options: &Options) {
    match layout.room {
        Room::Beside(width) => {
            let settings = wrapping(width).subsequent_indent("  ");
            for (number, line) in textwrap::wrap(body, settings).iter().enumerate() {
                let columns = if number == 0 { first } else { rest };
                let _ = writeln!(out, "{columns}{}", styled(line.trim_end(), style, options));
            }
        }
        Room::Below(width) => {
            let _ = writeln!(out, "{}", first.trim_end());
            for line in textwrap::wrap(body, wrapping(width)) {
                let _ = writeln!(out, "    {}", styled(line.trim_end(), style, options));
            }
        }
    }
}

fn legend(out: &mut String, story: &Story<'_>, layout: &Layout, options: &Options) {
    let mut signs: Vec<String> = Vec::new();
    if layout.nodes > 0 {
        signs.extend(layout.letters.iter().map(|(role, letter)| format!("{letter} {}", visible(role))));
        signs.push("│ up without a role".to_owned());
        signs.push("┊ paused".to_owned());
    } else {
        signs.push("a column for each node takes a wider terminal".to_owned());
    }
    if layout.slots > 0 {
        signs.push("┃ while a fault lasts".to_owned());
    }
    if !story.chain.links.is_empty() {
        signs.push("» led to the violation".to_owned());
    }
    hang(out, "  ", &signs.join(", "), options);
}

fn footer(out: &mut String, story: &Story<'_>, rows: &[Row<'_>], options: &Options) {
    let total = story.entries().len();
    let shown = rows.iter().filter(|row| matches!(row.subject, Subject::Entry(_))).count();
    if options.all || shown == total {
        return;
    }
    let odd = story.odd_messages().map_or_else(String::new, |(lost, late)| {
        format!(" Left out among them: {lost} messages lost by chance or on purpose and {late} that came late.")
    });
    let end = end_words(story.end());
    hang(out, "  ", &format!("{shown} of {total} entries of {end}; --all shows every one.{odd}"), options);
}

fn end_words(end: Instant) -> String {
    format!("a run of {end}")
}

/// A text behind a head, its further lines indented as far as the text's beginning, if that leaves room.
fn hang(out: &mut String, head: &str, text: &str, options: &Options) {
    let head_width = textwrap::core::display_width(head);
    let indent = if head_width * 2 < options.width { head_width } else { 4 };
    let spaces = " ".repeat(indent);
    let settings = wrapping(options.width).initial_indent(head).subsequent_indent(&spaces);
    for line in textwrap::wrap(text, settings) {
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// Breaks between words only, unless one word is longer than a line.
fn wrapping<'a>(width: usize) -> textwrap::Options<'a> {
    textwrap::Options::new(width.max(16))
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
}

#[cfg(test)]
mod tests;
