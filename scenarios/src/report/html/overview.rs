//! The whole run on one straight time axis: a bar of roles for each node, and below it a bar for each fault.

use maud::{Markup, html};
use sim_core::Instant;

use super::draw::{class, definitions, names, px, roles, text_width};
use crate::report::story::{Band, Lane, Span, State, Story, visible};
use crate::report::words;

const WIDTH: f64 = 1310.0;
const BAR: f64 = 22.0;
const PITCH: f64 = 30.0;
const FAULT_BAR: f64 = 12.0;
const FAULT_PITCH: f64 = 22.0;
const TOP: f64 = 26.0;

struct Scale {
    left: f64,
    width: f64,
    end: f64,
}

impl Scale {
    fn x(&self, at: Instant) -> f64 {
        self.left + at.as_secs_f64() / self.end * self.width
    }
}

pub(super) fn overview(story: &Story<'_>, number: usize) -> Markup {
    let id = format!("o{number}");
    let names = names(story);
    let roles = roles(story);
    let left = names.iter().map(|name| text_width(name)).fold(60.0, f64::max) + 16.0;
    // A run in which no time passes is drawn as if it had lasted a nanosecond.
    let end = story.end().max(Instant::from_nanos(1)).as_secs_f64();
    let scale = Scale { left, width: (WIDTH - left - 60.0).max(400.0), end };
    let width = left + scale.width + 60.0;
    let faults_top = TOP + story.lanes.len() as f64 * PITCH + 8.0;
    let faults: Vec<Fault> = story.bands.iter().map(|band| Fault::new(story, band, &scale, width)).collect();
    let tops: Vec<f64> = faults
        .iter()
        .scan(faults_top, |top, fault| {
            *top += fault.height;
            Some(*top - fault.height)
        })
        .collect();
    let bottom = faults_top + faults.iter().map(|fault| fault.height).sum::<f64>();
    html! {
        svg.overview width=(px(width)) height=(px(bottom + 34.0)) role="img"
            aria-label="Roles and faults over time" {
            (definitions(&id))
            (axis(&scale, bottom))
            @for (row, (name, lane)) in names.iter().zip(&story.lanes).enumerate() {
                @let y = TOP + row as f64 * PITCH;
                text.name x=(px(left - 10.0)) y=(px(y + 15.5)) text-anchor="end" { (name) }
                (bar(lane, &roles, &scale, y, &id))
            }
            @for (fault, top) in faults.iter().zip(&tops) { (fault.draw(*top)) }
            @if let Some(violation) = &story.recording.outcome.violation {
                @let x = scale.x(violation.at);
                line.violation x1=(px(x)) x2=(px(x)) y1="14" y2=(px(bottom)) {}
                text.violation x=(px(x)) y="11" text-anchor=(if x > width * 0.6 { "end" } else { "start" }) {
                    "✗ " (visible(&violation.invariant)) " " (violation.at)
                }
            }
        }
    }
}

fn bar(lane: &Lane, roles: &[&'static str], scale: &Scale, y: f64, id: &str) -> Markup {
    html! {
        @for span in &lane.spans {
            @let (x, x2) = (scale.x(span.from), scale.x(span.to));
            @let width = (x2 - x).max(1.0);
            g {
                title { (span.state.words()) ", " (span.from) " to " (span.to) }
                @match span.state {
                    State::Down => line.down x1=(px(x)) x2=(px(x2)) y1=(px(y + BAR / 2.0)) y2=(px(y + BAR / 2.0)) {},
                    State::Up(_) | State::Paused(_) => {
                        rect class={ "life " (class(roles, span.state)) } x=(px(x)) y=(px(y)) width=(px(width))
                            height=(px(BAR)) rx="2" {}
                    }
                }
                @if matches!(span.state, State::Paused(_)) {
                    rect x=(px(x)) y=(px(y)) width=(px(width)) height=(px(BAR)) fill=(format!("url(#{id}-hatch)")) {}
                }
                @if let Some(label) = label(span, width) {
                    text.on-bar x=(px(x + 6.0)) y=(px(y + 15.5)) { (label) }
                }
            }
        }
    }
}

/// The words on a bar, if they fit.
fn label(span: &Span, width: f64) -> Option<String> {
    let words = visible(&span.state.words());
    (span.state != State::Down && text_width(&words) + 10.0 < width).then_some(words)
}

/// The bar of one fault and where its words go: right of it if there is room, else left of it, else below.
struct Fault {
    id: u32,
    words: String,
    from: f64,
    to: f64,
    words_at: (f64, f64, &'static str),
    height: f64,
}

impl Fault {
    fn new(story: &Story<'_>, band: &Band<'_>, scale: &Scale, width: f64) -> Self {
        let from = scale.x(band.began.at);
        let to = match (band.ended, band.lasts) {
            (Some(ended), _) => scale.x(ended.at),
            (None, true) => scale.x(story.end()),
            (None, false) => from,
        };
        let to = to.max(from + 3.0);
        let losses = words::losses(story, band).map_or_else(String::new, |losses| format!(" — {losses}"));
        let words = format!("{}{losses}", visible(band.text));
        let needed = text_width(&words) + 8.0;
        let (words_at, height) = if to + needed < width {
            ((to + 8.0, 10.5, "start"), FAULT_PITCH)
        } else if from - needed > scale.left {
            ((from - 8.0, 10.5, "end"), FAULT_PITCH)
        } else {
            ((from.min(width - needed).max(4.0), 26.0, "start"), FAULT_PITCH + 16.0)
        };
        Fault { id: band.id, words, from, to, words_at, height }
    }

    fn draw(&self, y: f64) -> Markup {
        let (x, below, anchor) = self.words_at;
        html! {
            g {
                title { "fault " (self.id) ": " (self.words) }
                rect.fault x=(px(self.from)) y=(px(y)) width=(px(self.to - self.from)) height=(px(FAULT_BAR))
                    rx="2" {}
                text.fault-text x=(px(x)) y=(px(y + below)) text-anchor=(anchor) { (self.words) }
            }
        }
    }
}

fn axis(scale: &Scale, bottom: f64) -> Markup {
    let step = tick(scale.end);
    let count = (scale.end / step).floor() as u64;
    html! {
        @for number in 0..=count {
            @let seconds = number as f64 * step;
            @let x = scale.left + seconds / scale.end * scale.width;
            line.grid x1=(px(x)) x2=(px(x)) y1="18" y2=(px(bottom)) {}
            text.tick x=(px(x)) y=(px(bottom + 18.0)) text-anchor="middle" { (tick_text(seconds)) }
        }
    }
}

/// A round step that gives between five and twelve ticks.
fn tick(end: f64) -> f64 {
    let rough = end / 10.0;
    let power = 10_f64.powi(rough.log10().floor() as i32);
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough).unwrap_or(rough)
}

fn tick_text(seconds: f64) -> String {
    let text = format!("{seconds:.9}");
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}
