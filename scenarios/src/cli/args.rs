//! What can be typed: verbs, options, and the help that describes them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sim_core::Instant;
use sim_core::search::{Seeds, Shard, parse_seed};

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

const AFTER_HELP: &str = "\
Examples:
  fencepost                                       every bundled scenario
  fencepost run artemis                           all scenarios of one folder
  fencepost fuzz artemis/failback --time 10m      look for a seed that fails
  fencepost replay artemis/failback --seed 0x2a   see what happened
  fencepost shrink artemis/failback --seed 0x2a   reduce it to its cause

Exit codes:
  0   everything is as the scenario files expect
  1   anything that has no code of its own, such as a canary that caught nothing
  2   the command line or an environment variable is wrong
  4   nothing was selected
  10  a safety property was violated
  11  a liveness property was violated
  12  two runs of one seed differed
  13  inconclusive: something that should sometimes happen never did, or an exploration was not finished
  96  a scenario file is wrong
  130 interrupted

If several apply, a violation goes before the rest. Environment variables stand for options that are not given:
FENCEPOST_SEED, FENCEPOST_SEEDS, FENCEPOST_TIME and FENCEPOST_JOBS.";

const RUN_EXAMPLES: &str = "\
Examples:
  fencepost run                               every bundled scenario with its own seeds
  fencepost run artemis/failback my.toml      one by name, one from a file
  fencepost run artemis --seeds 5000          more seeds
  fencepost run --shard 2/4 --junit out.xml   the second quarter of the scenarios, in a CI job
  fencepost run --check-determinism           every seed twice

A scenario is never split between shards, because its verdict is about all of its seeds; `fuzz --shard` splits the seeds.
A canary stops at the first violation that it expects.";

const FUZZ_EXAMPLES: &str = "\
Examples:
  fencepost fuzz artemis/failback --seeds 100000
  fencepost fuzz scenarios/artemis/failback.toml --time 10m --shard 2/4
  fencepost fuzz artemis/failback --seeds 5000..10000 --keep
  fencepost fuzz artemis derby --time 8h --journal night.log

Without --seeds or --time, runs the scenario's own seeds. With --time alone, runs seeds from 0 on until the time is up.
The same seeds give the same trace hash, whatever --jobs is. Shards deal out the seeds in turn:
2/4 of 0..100 are 1, 5, 9 and so on. `fencepost merge` joins their journals.

A journal survives a crash and `kill -9`: give the same command again, and it goes on behind the
last seed that was written down. With --time, each time the command is given is one more such
time. A journal of other seeds, of other scenarios, or of a scenario or program that has changed
since is refused.";

const MERGE_EXAMPLES: &str = "\
Examples:
  fencepost fuzz artemis/failback --seeds 1000000 --shard 1/2 --journal 1.log
  fencepost fuzz artemis/failback --seeds 1000000 --shard 2/2 --journal 2.log
  fencepost merge 1.log 2.log --junit out.xml

The report, the trace hash and the exit code are those that the campaign would have had in one
piece. A shard that is missing or has not ended is an error that says what to type to finish it.
The scenarios must be where the shards found them, and must not have changed.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  fencepost replay artemis/failback --seed 0x9e3779b97f4a7c15
  fencepost replay artemis/failback --seed 7 --all --html run.html
  fencepost replay --schedule shrunk.toml

The exit code is that of this one run: 0 if nothing was violated, 10 or 11 if something was, whatever the file expects.";

const EXPLORE_EXAMPLES: &str = "\
Examples:
  fencepost explore lease/steady --faults 2 --window 10s..13s
  fencepost explore artemis/failback --break cut=3s,drop --nodes alpha,beta
  fencepost explore lease sling --clean --time 60s --message-format json
  fencepost explore --clean --faults 1

The run in which nothing breaks but what the scenario's own steps break is taken at every event, and everything on the menu
is tried there: first one fault at a time, then every two, up to K. States that were seen before are not gone on from. So
what is found needs all its faults, and if nothing is found, nothing of what was enumerated can break the scenario.
A file narrows the menu in its table `[explore]`; of several scenarios, each certificate is one line.

The exit code is 0 if everything was tried and nothing violated, 10 or 11 if something was, whatever the file expects, and 13
if the time was up before, or if there was no place for any fault.";

const SHRINK_EXAMPLES: &str = "\
Examples:
  fencepost shrink artemis/failback --seed 0x9e3779b97f4a7c15
  fencepost shrink artemis/failback --seed 7 --out failback-7.toml
  fencepost replay --schedule failback-7.toml --html run.html

Leaves out faults, steps, commands and clients that the failure does not need, makes what is left short and round, and gives
every message the middling latency unless it matters that it was lost or late. What is left violates the same property. It
is written as a schedule, which says exactly what happens and holds whatever the seed would draw. Faults include the steps
of the scenario, commands and clocks that are off. A scenario with a defect is shrunk to a run that passes without it.

The exit code is 0 if a schedule was written, and 1 if the seed violates nothing.";

const REAL_EXAMPLES: &str = "\
Examples:
  fencepost real artemis/failover                                     as root: in network namespaces
  fencepost real lease/steady --network loopback --speed 10           as anybody, if nobody is parted
  fencepost real pvc/contention-after-death --speed 10 --html run.html

Each node is a process with sockets, a clock and a folder as its disk. Crashes kill it, pauses stop it, partitions let packets
vanish between network namespaces; a scenario that plans what cannot be done to real processes is refused. What they note is
merged, and the properties of the scenario are asked of it in every order that the clocks allow: what is violated in all of
them has happened. The latency, loss and disks of the scenario mean nothing here.

The exit code is 0 if nothing was violated, 10 or 11 if something was, whatever the file expects, 12 if an actor is no state
machine, and 13 if it cannot be told in which order things happened.";

const COMPARE_EXAMPLES: &str = "\
Examples:
  fencepost compare artemis/failover artemis/failback derby/failover        as root
  fencepost compare lease --network loopback

A scenario that should pass is run once in each world, a canary until it is caught there. Milestones are the marks that the
scenario asks for with `sometimes`. The exit code is 0 if all worlds come to what the file expects, with the milestones in one
order, and 1 if not.";

const NODE_EXAMPLES: &str = "\
Examples, each in a terminal of its own:
  fencepost node lease/steady alpha
  fencepost node lease/steady beta
  fencepost node lease/steady gamma

Says when its role changes and what marks it sets, until its actor stops or it is interrupted. It listens on the loopback
interface unless told otherwise; whoever can reach it there can speak to it, as nothing is encrypted.";

const DEFECTS_EXAMPLES: &str = "\
Examples:
  fencepost defects                     every defect of every system
  fencepost defects --system derby      those of one folder of scenarios
  fencepost defects --seeds 1000        each on more seeds than its scenario asks for
  fencepost defects --shrink            and how small each becomes
  fencepost defects --explore           and with how many faults exploration finds it

A defect is a bug of a protocol's history that a scenario can switch back on. Each has a canary, a scenario that switches it
on and expects the violation that it causes. The canary is run up to the first seed that shows it; then the same scenario
is run without the defect, on all of its seeds, and must not violate anything. A defect without a canary is an error.

With --explore, K is the smallest number of faults that show it when they are placed on the calm
run of the canary, at any event, as with `fencepost explore`: 0 if that run shows it by itself, and
`-` if it takes more than the canary's table `[explore]` allows, or what is not placed, such as an
odd clock. Each may take a minute; what takes longer is inconclusive.";

const LIST_EXAMPLES: &str = "\
Examples:
  fencepost list scenarios
  fencepost list invariants marks --protocol artemis";

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
