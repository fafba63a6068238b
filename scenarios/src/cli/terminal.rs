//! Where output goes: styles only where they are wanted, whole lines, progress on terminals only, and a way to stop.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use miette::{GraphicalReportHandler, GraphicalTheme};
use sim_core::search::{ExploreProgress, Tally};
use terminal_size::terminal_size_of;

use super::args::Color;
use super::exit;
use crate::format::FileError;
use crate::report::table;

/// Standard output and standard error.
pub struct Terminal {
    out: AutoStream<io::Stdout>,
    err: AutoStream<io::Stderr>,
    interrupted: Arc<AtomicBool>,
}

impl Terminal {
    /// With colour when asked for.
    pub fn new(color: Color) -> Self {
        let choice = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Terminal {
            out: AutoStream::new(io::stdout(), choice),
            err: AutoStream::new(io::stderr(), choice),
            interrupted: Arc::default(),
        }
    }

    /// Writes whole lines to standard output.
    ///
    /// # Errors
    /// If it is closed or full.
    pub fn print(&mut self, lines: &str) -> io::Result<()> {
        self.out.write_all(lines.as_bytes())?;
        self.out.flush()
    }

    /// Writes whole lines to standard error.
    ///
    /// # Errors
    /// If it is closed or full.
    pub fn print_error(&mut self, lines: &str) -> io::Result<()> {
        self.err.write_all(lines.as_bytes())
    }

    /// Shows everything that is wrong with a file, on standard error.
    ///
    /// # Errors
    /// If it is closed or full.
    pub fn print_problems(&mut self, error: &FileError) -> io::Result<()> {
        let color = self.err.current_choice() != ColorChoice::Never;
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false);
        let mut text = String::new();
        for problem in error.problems() {
            // The handler only fails if the text does, which cannot be.
            let written = handler.render_report(&mut text, problem);
            debug_assert!(written.is_ok());
            text.push('\n');
        }
        self.print_error(&text)
    }

    /// Whether what is printed is in colour.
    pub fn color(&self) -> bool {
        self.out.current_choice() != ColorChoice::Never
    }

    /// Columns of the terminal, or 100 if there is none.
    pub fn width(&self) -> usize {
        terminal_size_of(io::stdout()).map_or(100, |(width, _)| usize::from(width.0))
    }

    /// From now on, Ctrl-C ends a campaign in good order; a second one ends the process at once.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn stop_on_interrupt(&self) -> Result<(), ctrlc::Error> {
        let interrupted = Arc::clone(&self.interrupted);
        ctrlc::set_handler(move || {
            if interrupted.swap(true, Ordering::Relaxed) {
                // The terminal has shown `^C` behind whatever was on the line.
                if io::stderr().is_terminal() {
                    let _ = writeln!(io::stderr());
                }
                process::exit(exit::INTERRUPTED.into());
            }
        })
    }

    /// Whether somebody has pressed Ctrl-C.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// What Ctrl-C sets.
    pub fn interrupted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    /// Follows an exploration.
    pub fn exploration(&self, scenario: &str) -> ExplorationBar {
        ExplorationBar::new(scenario)
    }

    /// Follows the progress of a campaign over `seeds` seeds, of which `ran` were run before, or over as many as fit
    /// into `time`.
    pub fn progress(&self, scenario: &str, seeds: Option<u64>, time: Option<Duration>, ran: u64) -> Progress {
        let progress = Progress::new(scenario, seeds, time, Arc::clone(&self.interrupted));
        if !progress.by_time {
            progress.bar.set_position(ran);
            progress.bar.reset_eta();
        }
        progress
    }
}

/// A bar on standard error, which is there only if that is a terminal.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    /// Whether the bar counts milliseconds, and not seeds.
    by_time: bool,
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    fn new(scenario: &str, seeds: Option<u64>, time: Option<Duration>, interrupted: Arc<AtomicBool>) -> Self {
        let by_time = time.is_some();
        let length = time.map_or(seeds.unwrap_or(0), |time| time.as_millis() as u64);
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix} {bar:24} {percent:>3}%  {msg}  {eta:>4} left");
        bar.set_style(style.expect("the template is right"));
        bar.set_prefix(scenario.to_owned());
        Progress { bar, started: Instant::now(), by_time, interrupted }
    }

    /// Shows the sum so far, and says whether to go on.
    pub fn show(&self, tally: &Tally) -> ControlFlow<()> {
        self.bar.set_position(if self.by_time { self.started.elapsed().as_millis() as u64 } else { tally.seeds });
        let failed = match tally.failed {
            0 => String::new(),
            failed => format!(", {} failed", HumanCount(failed)),
        };
        self.bar.set_message(format!("{}{failed}", table::counted(tally.seeds, "seed")));
        if self.interrupted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Takes the bar away.
    pub fn end(self) {
        self.bar.finish_and_clear();
    }
}

/// A bar on standard error, which is there only if that is a terminal, with how much of a level is done.
pub struct ExplorationBar(ProgressBar);

impl ExplorationBar {
    fn new(scenario: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix} {bar:24} {percent:>3}%  {msg}  {eta:>4} left");
        bar.set_style(style.expect("the template is right"));
        bar.set_prefix(scenario.to_owned());
        ExplorationBar(bar)
    }

    /// Shows how far it is, and by that about how long this level still takes.
    pub fn show(&self, so_far: &ExploreProgress) {
        let ExploreProgress { level, places_done, places, worlds, distinct_states } = *so_far;
        if places_done == 0 {
            self.0.reset_eta();
        }
        self.0.set_length(places);
        self.0.set_position(places_done);
        let (level, worlds) = (table::counted(level.into(), "fault"), table::counted(worlds, "world"));
        self.0.set_message(format!("{level}: {worlds}, {}", table::counted(distinct_states, "state")));
    }

    /// Shows how many states there are so far; nobody knows how many there will be.
    pub fn show_states(&self, states: u64) {
        self.0.set_message(table::counted(states, "state"));
    }

    /// Takes the bar away.
    pub fn end(self) {
        self.0.finish_and_clear();
    }
}
