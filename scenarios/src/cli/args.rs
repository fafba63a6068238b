//! What can be typed: verbs, options, and the help that describes them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sim_core::Instant;
use sim_core::search::{Seeds, Shard, parse_seed};

use super::examples::{
    AFTER_HELP, COMPARE_EXAMPLES, DEFECTS_EXAMPLES, EXPLORE_EXAMPLES, FUZZ_EXAMPLES, LIST_EXAMPLES, MERGE_EXAMPLES,
    NODE_EXAMPLES, REAL_EXAMPLES, REPLAY_EXAMPLES, RUN_EXAMPLES, SHRINK_EXAMPLES,
};
use crate::format::Breaks;
use crate::real;
use crate::registry::Engine;

/// Deterministic simulation testing of failover protocols.
///
/// Without a verb, runs every bundled scenario.
#[derive(Debug, Parser)]
#[command(name = "fencepost", version, after_long_help = AFTER_HELP)]
pub struct Cli {
    /// What to do; `run` if left out.
    #[command(subcommand)]
    pub verb: Option<Verb>,

    #[command(flatten)]
    pub common: Common,
}

/// Options of every verb.
#[derive(Clone, Copy, Debug, Args)]
pub struct Common {
    /// When to use colour; `auto` is on terminals, unless NO_COLOR is set.
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line on standard output, and nothing else there.
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Runs scenarios and compares each verdict with what its file expects
    Run(RunArgs),
    /// Runs many seeds of scenarios and shows what fails
    Fuzz(FuzzArgs),
    /// Joins the journals of a campaign's shards into one report
    Merge(MergeArgs),
    /// Runs one seed again and draws what happened
    Replay(ReplayArgs),
    /// Tries every placement of a few faults, and ends in a certificate or a counterexample
    Explore(ExploreArgs),
    /// Reduces a failing seed to its cause: a few faults and odd messages, in a file that can be replayed
    Shrink(ShrinkArgs),
    /// Runs a scenario as real processes that really break, and asks the same of what they did
    Real(RealArgs),
    /// Runs scenarios natively, on madsim and as real processes, and compares verdicts and milestones
    Compare(CompareArgs),
    /// Runs one node of a scenario as this process
    Node(NodeArgs),
    /// Catches every historical defect, and shows that each is gone when it is fixed
    Defects(DefectsArgs),
    /// Reads scenario files and shows everything that is wrong with them
    Check(CheckArgs),
    /// Lists what can be run, and what a scenario file can name
    List(ListArgs),
    /// Prints the JSON schema of scenario files, for editors
    Schema,
    /// Prints a script that completes this command in a shell
    #[command(
        after_long_help = "Example, for bash:\n  fencepost completions bash > ~/.local/share/bash-completion/completions/fencepost"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Default, Args)]
#[command(after_long_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// Names such as `artemis/failback`, folders such as `artemis`, or files; every bundled scenario if left out.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,

    /// Run one seed of each; decimal, or hexadecimal after 0x. [env: FENCEPOST_SEED]
    #[arg(long, value_name = "SEED", value_parser = parse_seed, conflicts_with_all = ["seeds", "time"])]
    pub seed: Option<u64>,

    /// Run the first N seeds of each, or those from A up to, not including, B. [env: FENCEPOST_SEEDS]
    #[arg(long, value_name = "N|A..B")]
    pub seeds: Option<Seeds>,

    /// Run seeds of each scenario for this long, such as `90s`, `10m` or `1h 30m`. [env: FENCEPOST_TIME]
    #[arg(long, value_name = "DURATION", value_parser = parse_time)]
    pub time: Option<Duration>,

    /// Run only the i-th of n equal parts of the scenarios, counted from 1, such as 2/4.
    #[arg(long, value_name = "i/n")]
    pub shard: Option<Shard>,

    #[command(flatten)]
    pub how: How,
}

#[derive(Debug, Args)]
#[command(after_long_help = FUZZ_EXAMPLES)]
pub struct FuzzArgs {
    /// Names such as `artemis/failback`, folders such as `artemis`, or files.
    #[arg(value_name = "SCENARIO", required = true)]
    pub scenarios: Vec<String>,

    /// Run the first N seeds of each, or those from A up to, not including, B. [env: FENCEPOST_SEEDS]
    #[arg(long, value_name = "N|A..B")]
    pub seeds: Option<Seeds>,

    /// Run seeds of each scenario for this long, such as `90s`, `10m` or `1h 30m`. [env: FENCEPOST_TIME]
    #[arg(long, value_name = "DURATION", value_parser = parse_time)]
    pub time: Option<Duration>,

    /// Run only the i-th of n equal parts of the seeds, counted from 1, such as 2/4.
    #[arg(long, value_name = "i/n")]
    pub shard: Option<Shard>,

    #[command(flatten)]
    pub how: How,
}

/// Options of `run` and `fuzz`.
#[derive(Debug, Default, Args)]
pub struct How {
    /// Threads; as many as there are cores if left out. The result does not depend on it. [env: FENCEPOST_JOBS]
    #[arg(long, short, value_name = "N", value_parser = parse_jobs)]
    pub jobs: Option<usize>,

    /// Run every seed twice and compare all that can be told of the two runs.
    #[arg(long)]
    pub check_determinism: bool,

    /// What runs the nodes: `native`, or `madsim`, a simulator that others have written.
    #[arg(long, value_name = "ENGINE", default_value_t)]
    pub engine: Engine,

    /// Write down what was run to this file; if it is there already, go on where it ends.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,

    #[command(flatten)]
    pub report: Reporting,
}

/// Options of everything that ends in verdicts.
#[derive(Debug, Default, Args)]
pub struct Reporting {
    /// Keep the failures that are shown: add them to the seeds that are run before any other.
    #[arg(long)]
    pub keep: bool,

    /// Do not shrink the failures that are shown; it takes a few seconds at most.
    #[arg(long)]
    pub no_shrink: bool,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub message_format: MessageFormat,

    /// Write the results to this file as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Write the results to this file as a web page, with a picture of each first failure.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_long_help = MERGE_EXAMPLES)]
pub struct MergeArgs {
    /// The journals of all shards, in any order.
    #[arg(value_name = "JOURNAL", required = true)]
    pub journals: Vec<PathBuf>,

    /// Report on what there is, even if shards are missing or have not ended; never ends with 0 then.
    #[arg(long)]
    pub partial: bool,

    #[command(flatten)]
    pub report: Reporting,
}

#[derive(Debug, Args)]
#[command(after_long_help = REPLAY_EXAMPLES)]
pub struct ReplayArgs {
    /// The scenario: a name such as `artemis/failback`, or a file.
    #[arg(value_name = "SCENARIO", required_unless_present = "schedule")]
    pub scenario: Option<String>,

    /// The seed; decimal, or hexadecimal after 0x. [env: FENCEPOST_SEED]
    #[arg(long, value_name = "SEED", value_parser = parse_seed)]
    pub seed: Option<u64>,

    /// Run what this file says, instead of what a seed makes of the scenario.
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    pub schedule: Option<PathBuf>,

    /// What runs the nodes: `native`, or `madsim`, on which a seed is another run.
    #[arg(long, value_name = "ENGINE", default_value_t, conflicts_with = "schedule")]
    pub engine: Engine,

    /// Show every event, and not only those that matter most.
    #[arg(long)]
    pub all: bool,

    /// Write the run to this file as a web page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_long_help = EXPLORE_EXAMPLES)]
pub struct ExploreArgs {
    /// Names such as `artemis/failback`, folders such as `lease`, or files; every bundled scenario if left out.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,

    /// Take every order of messages and timers, whatever the clock says, and break nothing: for protocols whose safety rests
    /// on no clock.
    #[arg(long, conflicts_with_all = ["faults", "deviations", "window", "breaks", "nodes", "messages"])]
    pub untimed: bool,

    /// How much breaks at most, lost and late messages among it; 1 unless the file says otherwise.
    #[arg(long, short = 'K', value_name = "K", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub faults: Option<u8>,

    /// How many messages are lost or late in addition, at most; 0 unless the file says otherwise.
    #[arg(long, short = 'D', value_name = "D", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub deviations: Option<u8>,

    /// Break something only from one moment to another, such as 10s..13s.
    #[arg(long, value_name = "A..B", value_parser = parse_window)]
    pub window: Option<(Instant, Instant)>,

    /// Break only this, each with its duration: crash, pause, cut, partition, isolate, delay, drop, such as
    /// `crash,pause=500ms,drop`. Several durations of one kind are written as several kinds.
    #[arg(long = "break", value_name = "KIND[=DURATION]", value_delimiter = ',', value_parser = parse_break)]
    pub breaks: Vec<(&'static str, Option<Duration>)>,

    /// Break only these nodes and what is between them, such as `alpha,beta`.
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    pub nodes: Vec<String>,

    /// Lose or delay only messages of these kinds, such as `Heartbeat,Vote`.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub messages: Vec<String>,

    /// What the nodes' own draws are drawn by; decimal, or hexadecimal after 0x. 0 if left out.
    #[arg(long, value_name = "SEED", value_parser = parse_seed)]
    pub seed: Option<u64>,

    /// Leave out scenarios that expect a violation.
    #[arg(long)]
    pub clean: bool,

    /// Stop after this long for each scenario, such as `90s` or `10m`. What was not tried by then makes it inconclusive.
    #[arg(long, value_name = "DURATION", value_parser = parse_time)]
    pub time: Option<Duration>,

    /// Threads; as many as there are cores if left out. The result does not depend on it. [env: FENCEPOST_JOBS]
    #[arg(long, short, value_name = "N", value_parser = parse_jobs)]
    pub jobs: Option<usize>,

    /// Write the schedule of a counterexample to this file, and not below `target/fencepost`. Takes one scenario.
    #[arg(long, value_name = "FILE")]
    pub schedule: Option<PathBuf>,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
#[command(after_long_help = SHRINK_EXAMPLES)]
pub struct ShrinkArgs {
    /// The scenario: a name such as `artemis/failback`, or a file.
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,

    /// A seed that fails; decimal, or hexadecimal after 0x. [env: FENCEPOST_SEED]
    #[arg(long, value_name = "SEED", value_parser = parse_seed)]
    pub seed: Option<u64>,

    /// Stop after this long with the smallest that was found, such as `10s` or `1m`.
    #[arg(long, value_name = "DURATION", value_parser = parse_time, default_value = "30s")]
    pub time: Duration,

    /// Write the schedule to this file; to one in `target/fencepost` or `fencepost-out` if left out.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
#[command(after_long_help = REAL_EXAMPLES)]
pub struct RealArgs {
    /// The scenario: a name such as `artemis/failback`, or a file.
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,

    /// What its faults and the nodes' own draws are drawn by; decimal, or hexadecimal after 0x. [env: FENCEPOST_SEED]
    #[arg(long, value_name = "SEED", value_parser = parse_seed)]
    pub seed: Option<u64>,

    /// What connects the nodes.
    #[arg(long, value_name = "NETWORK", default_value = "namespaces")]
    pub network: real::Kind,

    /// Seconds that pass for the protocol in one of the machine's, from 0.1 to 50.
    #[arg(long, value_name = "N", value_parser = parse_speed, default_value = "1")]
    pub speed: f64,

    /// Keep the disks, what the processes complained of and the record of the run in this folder, which must be empty.
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub message_format: MessageFormat,

    /// Write the run to this file as a web page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_long_help = COMPARE_EXAMPLES)]
pub struct CompareArgs {
    /// Names such as `artemis/failback`, folders such as `lease`, or files; every bundled scenario if left out.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,

    /// What connects the nodes of real processes.
    #[arg(long, value_name = "NETWORK", default_value = "namespaces")]
    pub network: real::Kind,

    /// Seconds that pass for real processes in one of the machine's, from 0.1 to 50.
    #[arg(long, value_name = "N", value_parser = parse_speed, default_value = "10")]
    pub speed: f64,

    /// How often real processes may try to show what a canary expects, each time with another seed.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub tries: usize,

    /// Scenarios that run as real processes at a time.
    #[arg(long, short, value_name = "N", value_parser = parse_jobs, default_value = "4")]
    pub jobs: usize,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
#[command(after_long_help = NODE_EXAMPLES)]
pub struct NodeArgs {
    /// The scenario: a name such as `artemis/failback`, or a file.
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,

    /// The node, by its name in the scenario.
    #[arg(value_name = "NODE")]
    pub node: String,

    /// Where it listens, for TCP and UDP; on the loopback interface, at port 7400 and so on by its number, if left out.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Where another node listens, such as `beta=10.0.0.2:7400`; on the loopback interface of this machine if left out.
    #[arg(long = "peer", value_name = "NODE=ADDRESS", value_parser = parse_peer)]
    pub peers: Vec<(String, SocketAddr)>,

    /// The folder that is its disk; `fencepost-disks/NODE` if left out.
    #[arg(long, value_name = "FOLDER")]
    pub disk: Option<PathBuf>,

    /// What its own draws are drawn by; decimal, or hexadecimal after 0x. [env: FENCEPOST_SEED]
    #[arg(long, value_name = "SEED", value_parser = parse_seed)]
    pub seed: Option<u64>,

    /// Seconds that pass for the protocol in one of the machine's, from 0.1 to 50; the same for all nodes.
    #[arg(long, value_name = "N", value_parser = parse_speed, default_value = "1")]
    pub speed: f64,

    /// Tells this cluster from others at the same addresses; the same for all of its nodes.
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    pub run: u64,

    /// Speak to a supervisor over standard input and output, in frames.
    #[arg(long, hide = true)]
    pub supervised: bool,
}

#[derive(Debug, Args)]
#[command(after_long_help = DEFECTS_EXAMPLES)]
pub struct DefectsArgs {
    /// Only those of this system: a folder of scenarios, such as `artemis`.
    #[arg(long, value_name = "NAME")]
    pub system: Option<String>,

    /// Run the first N seeds of each canary, or those from A up to, not including, B. [env: FENCEPOST_SEEDS]
    #[arg(long, value_name = "N|A..B")]
    pub seeds: Option<Seeds>,

    /// Shrink what each canary finds, and show how small it gets and how long that takes.
    #[arg(long)]
    pub shrink: bool,

    /// Show as K how many faults it takes at least, without any seed, by exploring each canary as its file says.
    #[arg(long)]
    pub explore: bool,

    /// Threads; as many as there are cores if left out. The result does not depend on it. [env: FENCEPOST_JOBS]
    #[arg(long, short, value_name = "N", value_parser = parse_jobs)]
    pub jobs: Option<usize>,

    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files, folders or names; every bundled scenario if left out.
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_long_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// What to list; everything if left out.
    #[arg(value_enum)]
    pub what: Vec<Listed>,

    /// Only what belongs to this protocol.
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,

    /// How to list.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    /// The protocols.
    Protocols,
    /// The scenarios.
    Scenarios,
    /// The properties that a scenario can ask for.
    Invariants,
    /// The historical defects that a scenario can switch on.
    Defects,
    /// The milestones that a scenario can wait for.
    Marks,
}

/// A limit of time.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let duration = humantime_serde::re::humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a duration such as 90s, 10m or 1h 30m"))?;
    if duration.is_zero() { Err("no time at all: write a duration such as 10m".to_owned()) } else { Ok(duration) }
}

fn parse_window(text: &str) -> Result<(Instant, Instant), String> {
    let wrong = || format!("`{text}` is not a window; write two moments such as 10s..13s");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let moment = |text| humantime_serde::re::humantime::parse_duration(text).map(Instant::from).map_err(|_| wrong());
    let (from, to) = (moment(from)?, moment(to)?);
    if from < to {
        Ok((from, to))
    } else {
        Err("the window must end later than it starts, such as 10s..13s".to_owned())
    }
}

fn parse_break(text: &str) -> Result<(&'static str, Option<Duration>), String> {
    let (name, time) = text.split_once('=').map_or((text, None), |(name, time)| (name, Some(time)));
    let known = Breaks::KINDS.iter().copied().find(|&kind| kind == name);
    let kind = known.ok_or_else(|| format!("`{name}` is none of {}", Breaks::KINDS.join(", ")))?;
    match time {
        Some(_) if kind == "drop" => Err("a message that is lost is lost for good: write `drop`".to_owned()),
        Some(time) => Ok((kind, Some(parse_time(time)?))),
        None => Ok((kind, None)),
    }
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.1..=50.0).contains(&speed) => Ok(speed),
        _ => Err(format!("`{text}` is not a number from 0.1 to 50")),
    }
}

fn parse_peer(text: &str) -> Result<(String, SocketAddr), String> {
    let wrong = || format!("`{text}` is not a node with an address; write one such as beta=10.0.0.2:7400");
    let (node, address) = text.split_once('=').ok_or_else(wrong)?;
    Ok((node.to_owned(), address.parse().map_err(|_| wrong())?))
}

/// A number of threads.
pub fn parse_jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=1024) => Ok(jobs),
        _ => Err(format!("`{text}` is not a number of threads from 1 to 1024")),
    }
}
