//! `fencepost explore`: every placement of a few faults, and a certificate or a counterexample.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sim_core::search::{Exploration, ExploreProgress, Untimed};
use sim_core::{Class, Schedule};

use super::args::{ExploreArgs, MessageFormat};
use super::exit::{self, Stop};
use super::terminal::Terminal;
use super::{Environment, campaign, write_file};
use crate::catalogue::Entry;
use crate::explore::{Plan, is_certificate};
use crate::format::{Breaks, Explore, Scenario, advice, schedule};
use crate::registry::{Compiled, Registry, objection_to_searching};
use crate::report::explored::Ends;
use crate::report::story::Recording;
use crate::report::{explored, json, timeline};

/// Explores scenarios one after the other. The exit code is that of the worst.
pub fn explore(args: &ExploreArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let environment = Environment::read().map_err(Stop::Usage)?;
    let entries = campaign::select(&args.scenarios, registry)?;
    let failed = |error| Stop::Failed(format!("cannot listen for Ctrl-C: {error}"));
    terminal.stop_on_interrupt().map_err(failed)?;
    let mut chosen = Vec::new();
    let mut codes = Vec::new();
    let mut ends = Ends::default();
    for entry in &entries {
        match entry.load(registry) {
            Ok(compiled) if args.clean && compiled.scenario().is_canary() => {}
            Ok(compiled) => match objection_to_searching(&*compiled) {
                None => chosen.push((entry, compiled)),
                Some(objection) => {
                    terminal.print_error(&format!("error: {objection}\n"))?;
                    codes.push(exit::USAGE);
                    ends.refused += 1;
                }
            },
            Err(error) => {
                terminal.print_problems(&error)?;
                codes.push(exit::BAD_FILE);
                ends.unreadable += 1;
            }
        }
    }
    if chosen.is_empty() && codes.is_empty() {
        return Err(Stop::NothingSelected("no scenario is left to explore".to_owned()));
    }
    if chosen.len() > 1 && args.schedule.is_some() {
        let why = format!("these are {} scenarios, but `--schedule` takes one: leave it out", chosen.len());
        return Err(Stop::Usage(why));
    }
    let width = chosen.iter().map(|(entry, _)| entry.name().chars().count()).max().unwrap_or(0);
    let jobs = args.jobs.or(environment.jobs).unwrap_or(0);
    let mut session = Session { args, jobs, brief: (chosen.len() > 1).then_some(width), ends };
    let started = Instant::now();
    for (entry, compiled) in &chosen {
        if terminal.is_interrupted() {
            break;
        }
        codes.push(session.one(entry, &**compiled, terminal)?);
    }
    if session.brief.is_some() {
        session.say(&explored::summary(&session.ends, started.elapsed()), terminal)?;
    }
    Ok(match exit::worst(&codes) {
        exit::EXPECTED | exit::INCONCLUSIVE if terminal.is_interrupted() => exit::INTERRUPTED,
        code => code,
    })
}

struct Session<'a> {
    args: &'a ExploreArgs,
    jobs: usize,
    /// If there are several scenarios, each certificate is one line with its name padded to this.
    brief: Option<usize>,
    ends: Ends,
}

impl Session<'_> {
    fn one(&mut self, entry: &Entry, compiled: &dyn Compiled, terminal: &mut Terminal) -> Result<u8, Stop> {
        let scenario = compiled.scenario();
        if self.args.untimed || scenario.explore.untimed {
            return self.every_order(compiled, terminal);
        }
        let mut plan = Plan::new(scenario, &self.wanted(compiled)?);
        plan.seed = self.args.seed.unwrap_or(0);
        let started = Instant::now();
        let exploration = self.search(compiled, &plan, terminal)?;
        let wall = started.elapsed();
        let file = self.save(compiled, &exploration)?;
        let text = match self.brief {
            Some(width) if is_certificate(&exploration) => explored::line(scenario, &plan, &exploration, wall, width),
            _ => explored::explored(scenario, &plan, &exploration, wall),
        };
        let again = campaign::again(entry);
        let found = file.as_deref().map(|file| explored::counterexample(scenario, &exploration, file, &again));
        if self.args.message_format == MessageFormat::Json {
            let line = json::explored(scenario, &plan, &exploration, file.as_deref(), wall);
            terminal.print(&format!("{line}\n"))?;
        }
        self.say(&format!("{text}{}", found.unwrap_or_default()), terminal)?;
        let violated = exploration.counterexample.as_ref().and_then(|found| found.outcome.violation.as_ref());
        Ok(self.ended(violated.map(|violation| violation.class), is_certificate(&exploration), exploration.worlds()))
    }

    /// Counts how an exploration ended, and says which exit code that is.
    fn ended(&mut self, violated: Option<Class>, certified: bool, worlds: u64) -> u8 {
        self.ends.worlds += worlds;
        let (count, code) = match violated {
            Some(Class::Safety) => (&mut self.ends.violated, exit::SAFETY),
            Some(_) => (&mut self.ends.violated, exit::LIVENESS),
            None if certified => (&mut self.ends.certified, exit::EXPECTED),
            None => (&mut self.ends.incomplete, exit::INCONCLUSIVE),
        };
        *count += 1;
        code
    }

    /// What people want to read, which goes elsewhere if a machine reads standard output.
    fn say(&self, text: &str, terminal: &mut Terminal) -> Result<(), Stop> {
        match self.args.message_format {
            MessageFormat::Human => terminal.print(text)?,
            MessageFormat::Json => terminal.print_error(text)?,
        }
        Ok(())
    }

    /// Every order of messages and timers.
    fn every_order(&mut self, compiled: &dyn Compiled, terminal: &mut Terminal) -> Result<u8, Stop> {
        let scenario = compiled.scenario();
        let mut base = Schedule::calm(self.args.seed.unwrap_or(0));
        base.faults.faults.clone_from(&scenario.steps);
        let halt = Arc::new(AtomicBool::new(false));
        let watch = Watch::new(self.args.time, terminal.interrupted(), Arc::clone(&halt));
        let bar = terminal.exploration(&scenario.name);
        let started = Instant::now();
        let orders = compiled.orders(Untimed::default().halt(halt).progress(|states| bar.show_states(states)), &base);
        let wall = started.elapsed();
        watch.end();
        bar.end();
        let text = match (&orders.violation, self.brief) {
            (Some((outcome, trace)), _) => {
                let recording = Recording::new(scenario, &base, outcome, trace);
                let options = timeline::Options { width: terminal.width(), color: terminal.color(), all: false };
                let picture = timeline::render(recording, &options);
                format!("{picture}\n{}", explored::orders(scenario, &orders, wall))
            }
            (None, Some(width)) if orders.complete => explored::orders_line(scenario, &orders, wall, width),
            (None, _) => explored::orders(scenario, &orders, wall),
        };
        if self.args.message_format == MessageFormat::Json {
            terminal.print(&format!("{}\n", json::orders(scenario, &orders, wall)))?;
        }
        self.say(&text, terminal)?;
        Ok(self.ended(orders.violation.as_ref().map(|_| Class::Safety), orders.complete, orders.worlds))
    }

    fn search(&self, compiled: &dyn Compiled, plan: &Plan, terminal: &Terminal) -> Result<Exploration, Stop> {
        let scenario = compiled.scenario();
        let halt = Arc::new(AtomicBool::new(false));
        let bar = terminal.exploration(&scenario.name);
        let explorer =
            plan.explorer(scenario).jobs(self.jobs).halt(Arc::clone(&halt)).progress(|so_far: &ExploreProgress| {
                bar.show(so_far);
                ControlFlow::Continue(())
            });
        let watch = Watch::new(self.args.time, terminal.interrupted(), halt);
        let exploration = compiled.explore(explorer, &plan.base(scenario));
        watch.end();
        bar.end();
        exploration.map_err(|error| Stop::Failed(format!("cannot start threads: {error}")))
    }

    /// What the command line asks for.
    fn wanted(&self, compiled: &dyn Compiled) -> Result<Explore, Stop> {
        let scenario = compiled.scenario();
        let node = |name: &String| {
            let names = scenario.members.iter().map(|member| member.name.as_str());
            let unknown =
                || Stop::Usage(format!("`{}` has no node `{name}`; {}", scenario.name, advice(name, "nodes", names)));
            scenario.node(name).ok_or_else(unknown)
        };
        let kinds = compiled.message_kinds();
        let kind = |name: &String| {
            let unknown = || {
                let help = advice(name, "kinds", kinds.iter().copied());
                Stop::Usage(format!("`{}` has no message of the kind `{name}`; {help}", scenario.protocol))
            };
            kinds.iter().copied().find(|kind| kind == name).ok_or_else(unknown)
        };
        Ok(Explore {
            untimed: false,
            faults: self.args.faults,
            deviations: self.args.deviations,
            window: self.args.window,
            nodes: self.args.nodes.iter().map(node).collect::<Result<_, _>>()?,
            messages: self.args.messages.iter().map(kind).collect::<Result<_, _>>()?,
            breaks: breaks(&self.args.breaks, scenario),
        })
    }

    /// Writes the schedule of a counterexample.
    fn save(&self, compiled: &dyn Compiled, exploration: &Exploration) -> Result<Option<PathBuf>, Stop> {
        let scenario = compiled.scenario();
        let Some(found) = &exploration.counterexample else { return Ok(None) };
        let path = self.args.schedule.clone().unwrap_or_else(|| {
            let folder = if Path::new("target").is_dir() { "target/fencepost" } else { "fencepost-out" };
            Path::new(folder).join(format!("{}.explored.toml", scenario.name.replace(['/', '\\'], "-")))
        });
        let mut note = explored::sentences(scenario, &found.schedule).join("\n");
        if let Some(violation) = &found.outcome.violation {
            note = format!("{}: {}\n{note}", violation.invariant, violation.message);
        }
        write_file(&path, &schedule::write(scenario, &found.schedule, &note))?;
        Ok(Some(path))
    }
}

/// Ends a search when its time is up or somebody has pressed Ctrl-C, also within its largest piece of work.
pub(super) struct Watch {
    done: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Watch {
    pub(super) fn new(limit: Option<Duration>, interrupted: Arc<AtomicBool>, halt: Arc<AtomicBool>) -> Self {
        let (started, done) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let is_done = Arc::clone(&done);
        let thread = thread::spawn(move || {
            while !is_done.load(Ordering::Relaxed) {
                if interrupted.load(Ordering::Relaxed) || limit.is_some_and(|limit| started.elapsed() >= limit) {
                    halt.store(true, Ordering::Relaxed);
                }
                thread::park_timeout(Duration::from_millis(20));
            }
        });
        Watch { done, thread }
    }

    pub(super) fn end(self) {
        self.done.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        // It only sets a flag, so it cannot have panicked.
        let _ = self.thread.join();
    }
}

/// The kinds that were asked for: with their own times if there are any, else with those of the file or the usual ones.
fn breaks(wanted: &[(&'static str, Option<Duration>)], scenario: &Scenario) -> Breaks {
    let (mut breaks, mut usual, mut file) = (Breaks::default(), Breaks::everything(), scenario.explore.breaks.clone());
    for &(kind, time) in wanted {
        breaks.drop |= kind == "drop";
        let Some(times) = breaks.times(kind) else { continue };
        match (time, file.times(kind)) {
            (Some(time), _) => times.push(time),
            (None, Some(own)) if !own.is_empty() => times.clone_from(own),
            (None, _) => times.extend(usual.times(kind).into_iter().flatten().map(|time| *time)),
        }
    }
    breaks
}
