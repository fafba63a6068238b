//! Draws the bars and columns of one row.

use anstyle::{AnsiColor, Style};
use sim_core::NodeId;
use sim_core::trace::{Fate, What};

use super::layout::Layout;
use super::{ALARM, CHAIN, FAULT, Options};
use crate::report::story::{Row, State, Story, Subject, nodes_of};

/// Draws rows from the first to the last: it remembers what has already changed within the current event.
pub(super) struct Painter<'a> {
    story: &'a Story<'a>,
    layout: &'a Layout,
    options: Options,
    event: u64,
    changed: Vec<bool>,
}

/// One character and its style.
#[derive(Clone, Copy)]
struct Cell(char, Style);

const PLAIN: Style = Style::new();

/// Colours of roles, in the order in which the roles appeared.
const ROLE_COLORS: [AnsiColor; 6] =
    [AnsiColor::Green, AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::BrightGreen];

impl<'a> Painter<'a> {
    pub(super) fn new(story: &'a Story<'a>, layout: &'a Layout, options: Options) -> Self {
        Painter { story, layout, options, event: 0, changed: vec![false; story.lanes.len()] }
    }

    /// Bars and columns of a row.
    pub(super) fn row(&mut self, row: &Row<'_>) -> String {
        self.advance(row);
        let mut cells = self.columns(row);
        match row.subject {
            Subject::Entry(index) | Subject::Marks(index, ..) => self.entry(&mut cells, index, row.in_chain),
            Subject::Fold(fold) => {
                for &index in fold.round() {
                    for node in nodes_of(&self.story.entries()[index].what) {
                        self.put(&mut cells, node, Cell('⋮', CHAIN));
                    }
                }
            }
            Subject::Start => {}
            Subject::Violation => {
                for cell in &mut cells {
                    if cell.0 == ' ' {
                        cell.0 = '━';
                    }
                    cell.1 = ALARM;
                }
            }
        }
        self.text(&self.bars(row, true), &cells)
    }

    /// Bars and columns of the lines between a row and the next.
    pub(super) fn between(&self, row: &Row<'_>) -> String {
        self.text(&self.bars(row, false), &self.columns(row))
    }

    fn text(&self, bars: &[Cell], cells: &[Cell]) -> String {
        let mut out = String::new();
        for Cell(c, style) in bars.iter().chain(cells) {
            if self.options.color && *style != PLAIN {
                out.push_str(&format!("{style}{c}{style:#}"));
            } else {
                out.push(*c);
            }
        }
        out.push(' ');
        out
    }

    /// Within one event, a node's column changes at the row that says so and not before.
    fn advance(&mut self, row: &Row<'_>) {
        if row.event != self.event {
            self.event = row.event;
            self.changed.fill(false);
        }
        match row.subject {
            Subject::Entry(index) => match self.story.entries()[index].what {
                What::Started { node } | What::Stopped { node, .. } | What::Role { node, .. } => {
                    if let Some(changed) = self.changed.get_mut(node.index()) {
                        *changed = true;
                    }
                }
                What::FaultBegan { .. } | What::FaultEnded { .. } => self.changed.fill(true),
                _ => {}
            },
            Subject::Start | Subject::Violation => self.changed.fill(true),
            _ => {}
        }
    }

    fn state(&self, node: usize, event: u64) -> State {
        let lane = &self.story.lanes[node];
        if self.changed[node] { lane.state_after(event) } else { lane.state_before(event) }
    }

    fn columns(&self, row: &Row<'_>) -> Vec<Cell> {
        let mut cells = vec![Cell(' ', PLAIN); self.layout.lanes_width()];
        for node in 0..self.layout.nodes {
            let state = self.state(node, row.event);
            cells[self.layout.column(node)] = match state {
                State::Down => Cell(' ', PLAIN),
                State::Up(role) => Cell(self.layout.letter(role), self.color_of(role)),
                State::Paused(role) => Cell('┊', self.color_of(role)),
            };
        }
        cells
    }

    fn color_of(&self, role: &str) -> Style {
        let place = self.layout.letters.iter().position(|(name, _)| *name == role);
        place.map_or(PLAIN, |place| ROLE_COLORS[place % ROLE_COLORS.len()].on_default())
    }

    fn bars(&self, row: &Row<'_>, on_row: bool) -> Vec<Cell> {
        let mut cells = vec![Cell(' ', PLAIN); self.layout.bars_width()];
        for (&number, &slot) in &self.layout.bars {
            let band = &self.story.bands[number];
            let is = |began: bool| match row.subject {
                Subject::Entry(index) => match self.story.entries()[index].what {
                    What::FaultBegan { id, .. } => began && id == band.id && row.event == band.began.event,
                    What::FaultEnded { id, .. } => {
                        !began && id == band.id && band.ended.is_some_and(|ended| ended.event == row.event)
                    }
                    _ => false,
                },
                _ => false,
            };
            let sign = match (is(true), is(false)) {
                (true, _) if on_row => '┏',
                (_, true) if on_row => '┗',
                (_, true) => ' ',
                _ if band.covers(row.event) => '┃',
                _ => ' ',
            };
            if sign != ' ' {
                cells[slot] = Cell(sign, FAULT);
            }
        }
        cells
    }

    fn entry(&self, cells: &mut [Cell], index: usize, in_chain: bool) {
        let style = if in_chain { CHAIN } else { PLAIN };
        match &self.story.entries()[index].what {
            What::Delivered { from, to, .. } => self.arrow(cells, *from, *to, ['─', '▶', '◀'], style),
            What::Undeliverable { from, to, .. } => self.arrow(cells, *from, *to, ['─', '╳', '╳'], style),
            What::Sent { from, to, fate, .. } => {
                let ends = match fate {
                    Fate::Arrives(_) | Fate::Waits => ['╌', '▷', '◁'],
                    Fate::Lost | Fate::Cut | Fate::Dropped { .. } => ['╌', '╳', '╳'],
                };
                self.arrow(cells, *from, *to, ends, style);
            }
            What::FaultBegan { id, .. } => self.fault(cells, *id, '╳'),
            What::FaultEnded { id, .. } => self.fault(cells, *id, '○'),
            What::Started { node } => self.put(cells, *node, Cell('▲', style)),
            What::Stopped { node, .. } => self.put(cells, *node, Cell('▼', FAULT)),
            What::Role { node, to, .. } => {
                let style = self.color_of(to).bold();
                let column = self.layout.column(node.index());
                self.put(cells, *node, Cell(self.layout.letter(to), style));
                if self.layout.pitch > 2 && node.index() < self.layout.nodes {
                    cells[column - 1] = Cell('(', style);
                    cells[column + 1] = Cell(')', style);
                }
            }
            What::Mark { node, .. } => self.put(cells, *node, Cell('◆', style)),
            What::Timer { node, .. }
            | What::Connection { node, .. }
            | What::Synced { node, .. }
            | What::Command { node, .. }
            | What::Operation { node, .. } => self.put(cells, *node, Cell('●', style)),
        }
    }

    /// Nodes that a fault concerns; a single link is drawn as an arrow.
    fn fault(&self, cells: &mut [Cell], id: u32, sign: char) {
        let Some(band) = self.story.bands.iter().find(|band| band.id == id) else { return };
        if let [(from, to)] = band.links[..] {
            self.arrow(cells, from, to, ['╌', '▷', '◁'], FAULT);
            let middle = self.layout.column(from.index()).midpoint(self.layout.column(to.index()));
            if let Some(cell) = cells.get_mut(middle) {
                *cell = Cell(sign, FAULT);
            }
            return;
        }
        for &node in &band.nodes {
            self.put(cells, node, Cell(sign, FAULT));
        }
    }

    fn put(&self, cells: &mut [Cell], node: NodeId, cell: Cell) {
        if node.index() < self.layout.nodes {
            cells[self.layout.column(node.index())] = cell;
        }
    }

    /// An arrow drawn with [shaft, head to the right, head to the left].
    fn arrow(&self, cells: &mut [Cell], from: NodeId, to: NodeId, [shaft, right, left]: [char; 3], style: Style) {
        if from.index() >= self.layout.nodes || to.index() >= self.layout.nodes {
            return;
        }
        let (start, end) = (self.layout.column(from.index()), self.layout.column(to.index()));
        for cell in &mut cells[start.min(end)..=start.max(end)] {
            *cell = Cell(shaft, style);
        }
        cells[start] = Cell('●', style);
        if start != end {
            cells[end] = Cell(if end > start { right } else { left }, style);
        }
    }
}
