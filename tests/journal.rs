//! Long campaigns, with real processes and real ends: killed at any moment and continued, dealt out to shards and
//! merged, each comes to what it would have come to in one piece.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::fencepost;

/// Some seeds of it fail, in more than one way.
const UNFENCED: &str = r#"schema = 1
about = "Members are cut off while writes are late, and the store has forgotten to look at who sends them."
protocol = "lease"
duration = "60s"
seeds = 40

[cluster]
nodes = { a = "member", b = "member", c = "member", store = "store" }
defects = ["no-fencing"]

[random]
window = ["3s", "40s"]
swarm = true
partition = { every = "12s", hold = ["500ms", "8s"], one-way = 0.3 }
pause = { every = "15s", hold = ["500ms", "8s"] }
delay = { every = "12s", kinds = ["Write"], by = ["1s", "20s"] }

[[invariant]]
always = "at-most-one-holder"
[[invariant]]
always = "writes-in-order"
[[invariant]]
sometimes = "lease-expired"
"#;

/// A folder with scenarios in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().expect("a temporary folder can be made"));
        let folder = place.path("scenarios/lease");
        fs::create_dir_all(&folder).expect("a folder can be made");
        fs::write(folder.join("unfenced.toml"), UNFENCED).expect("a file can be written");
        let steady = UNFENCED.replace("defects = [\"no-fencing\"]\n", "");
        fs::write(folder.join("fenced.toml"), steady).expect("a file can be written");
        place
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = fencepost();
        command.current_dir(self.0.path()).args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> Ran {
        Ran::new(line, self.command(line).output().expect("the command can be run"))
    }
}

/// What a command printed.
struct Ran {
    line: String,
    /// Lines of JSON, without times of the wall clock.
    json: Vec<Value>,
    out: String,
    err: String,
    code: Option<i32>,
}

impl Ran {
    fn new(line: &str, output: Output) -> Self {
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut json: Vec<Value> = out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        for line in json.iter_mut().filter_map(Value::as_object_mut) {
            line.remove("wall_s");
        }
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Ran { line: line.to_owned(), json, out, err, code: output.status.code() }
    }

    /// The same results and the same end.
    #[track_caller]
    fn assert_like(&self, other: &Ran) {
        assert!(!self.json.is_empty(), "{}: {}{}", self.line, self.out, self.err);
        assert_eq!(self.json, other.json, "{}\n{}", self.line, self.err);
        assert_eq!(self.code, other.code, "{}\n{}", self.line, self.err);
    }
}

/// How many seeds of the first scenario each whole line of a journal is about.
fn journaled(path: &Path) -> Vec<(u64, u64)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let runs = lines.filter_map(|line| {
        let line: Value = serde_json::Deserializer::from_str(line).into_iter().next()?.ok()?;
        let runs = line.get("runs")?;
        Some((runs["first"].as_u64()?, runs["seeds"].as_u64()?))
    });
    runs.collect()
}

/// A few fixed numbers that look like chance: how long a process is left alone before it is killed.
fn moments() -> impl Iterator<Item = Duration> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(Duration::from_millis(20 + state % 400))
    })
}

#[test]
fn a_campaign_that_is_killed_again_and_again_comes_to_what_it_would_have_come_to() {
    let place = Place::new();
    let line = "fuzz lease/fenced --seeds 9000 --jobs 1 --message-format json";
    let whole = place.run(line);
    assert_eq!(whole.code, Some(0), "{}{}", whole.out, whole.err);
    let line = format!("{line} --journal night.log");
    let journal = place.path("night.log");
    let mut kills = 0;
    let mut moments = moments();
    // Enough times to be killed before, while and after lines are written, and while the file is read.
    while kills < 12 {
        let mut process =
            place.command(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be run");
        thread::sleep(moments.next().expect("there are always more"));
        if process.try_wait().expect("it can be asked").is_some() {
            break;
        }
        process.kill().expect("it can be killed");
        process.wait().expect("it has ended");
        kills += 1;
    }
    assert!(kills > 0, "it was never killed: give it more seeds");
    let before: u64 = journaled(&journal).iter().map(|(_, seeds)| seeds).sum();
    let resumed = place.run(&line);
    resumed.assert_like(&whole);
    if before > 0 {
        assert!(resumed.err.contains("journal night.log: going on after"), "{}", resumed.err);
    }
    // No seed is there twice, and none is missing.
    let mut next = 0;
    for (first, seeds) in journaled(&journal) {
        assert_eq!(first, next);
        next += seeds;
    }
    assert_eq!(next, 9000);
    // Once more: there is nothing left to run, and the same to tell.
    let again = place.run(&line);
    again.assert_like(&whole);
    assert_eq!(journaled(&journal).iter().map(|(_, seeds)| seeds).sum::<u64>(), 9000);
}

#[test]
fn several_scenarios_share_a_journal_and_each_goes_on_where_it_was() {
    let place = Place::new();
    let line = "run lease --seeds 300 --message-format json";
    let whole = place.run(line);
    assert_eq!(whole.code, Some(10), "{}{}", whole.out, whole.err);
    let journaled = format!("{line} --journal all.log");
    place.run(&journaled).assert_like(&whole);
    // As if it had been killed after any of its lines.
    let text = fs::read_to_string(place.path("all.log")).expect("it was written");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert!(lines.len() > 3, "{text}");
    for count in 0..lines.len() {
        fs::write(place.path("all.log"), lines[..count].concat()).expect("it can be written");
        place.run(&journaled).assert_like(&whole);
    }
}

#[test]
fn a_canary_that_was_stopped_by_its_violation_stays_stopped() {
    let place = Place::new();
    let canary = format!("{UNFENCED}[expect]\nviolates = \"writes-in-order\"\n");
    fs::write(place.path("scenarios/lease/unfenced.toml"), canary).expect("it can be written");
    let line = "run lease/unfenced --seeds 2000 --message-format json";
    let whole = place.run(line);
    assert_eq!(whole.code, Some(0), "{}", whole.err);
    let line = format!("{line} --journal canary.log");
    place.run(&line).assert_like(&whole);
    place.run(&line).assert_like(&whole);
}

#[test]
fn merged_shards_are_the_whole_campaign() {
    let place = Place::new();
    for (verb, shards) in [("fuzz lease --seeds 101", 3), ("run lease --seeds 100", 2), ("fuzz lease/unfenced", 1)] {
        let whole = place.run(&format!("{verb} --message-format json --junit whole.xml"));
        let journals: Vec<String> = (1..=shards).map(|number| format!("{number}-of-{shards}.log")).collect();
        for (number, journal) in (1..).zip(&journals) {
            place.run(&format!("{verb} --shard {number}/{shards} --journal {journal}"));
        }
        let mut shuffled = journals.clone();
        shuffled.reverse();
        let merged = place.run(&format!("merge {} --message-format json --junit merged.xml", shuffled.join(" ")));
        merged.assert_like(&whole);
        assert_eq!(whole.code, Some(10), "one of the scenarios fails");
        let cases = |file: &str| {
            let text = fs::read_to_string(place.path(file)).expect("it was written");
            let has = |line: &&str| {
                line.contains("trace-hash") || line.contains("first-failing-seed") || line.contains("<failure")
            };
            text.lines().filter(has).map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(!cases("whole.xml").is_empty());
        assert_eq!(cases("merged.xml"), cases("whole.xml"), "{verb}");
    }
}

#[test]
fn shards_with_a_limit_of_time_are_merged_and_continued() {
    let place = Place::new();
    for number in 1..=2 {
        let ran =
            place.run(&format!("fuzz lease/fenced --time 200ms --shard {number}/2 --journal {number}.log --jobs 1"));
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    }
    let seeds = |ran: &Ran| ran.json[0]["seeds"].as_u64().expect("a number");
    let merged = place.run("merge 1.log 2.log --message-format json");
    assert_eq!((merged.code, &merged.json[0]["complete"]), (Some(0), &Value::Bool(false)), "{}", merged.err);
    let first = place.run("merge 1.log --partial --message-format json");
    assert_eq!(first.code, Some(1), "part of a campaign is never a success");
    let second = place.run("merge 2.log --partial --message-format json");
    assert_eq!(seeds(&merged), seeds(&first) + seeds(&second));
    // The same command gives it the same time once more.
    place.run("fuzz lease/fenced --time 200ms --shard 1/2 --journal 1.log --jobs 1");
    let more = place.run("merge 1.log 2.log --message-format json");
    assert!(seeds(&more) > seeds(&merged), "{} seeds and then {}", seeds(&merged), seeds(&more));
}

/// A canary may violate what it expects as often as it likes; one seed that violates something else is still told.
#[test]
fn an_unexpected_failure_behind_many_expected_ones_is_shown_and_counts() {
    let place = Place::new();
    let soon = "[[invariant]]\neventually = \"one-holder\"\nwithin = \"5s\"\n[[invariant]]\nsometimes";
    let canary = UNFENCED.replace("[[invariant]]\nsometimes", soon);
    let canary = format!("{canary}[expect]\nviolates = \"writes-in-order\"\n");
    fs::write(place.path("scenarios/lease/unfenced.toml"), canary).expect("it can be written");
    let ran = place.run("fuzz lease/unfenced --seeds 100..600 --no-shrink --message-format json");
    let [expected, unexpected, ..] = &ran.json[0]["causes"].as_array().expect("a list")[..] else {
        panic!("{}", ran.out)
    };
    assert_eq!((&expected["invariant"], &unexpected["invariant"]), (&"writes-in-order".into(), &"one-holder".into()));
    assert!(expected["seeds"].as_u64() > Some(20), "more than are kept whole: {}", ran.out);
    let first = &ran.json[0]["first_failing_seed"];
    assert_eq!((ran.code, first), (Some(11), &unexpected["first_seed"]), "{}", ran.out);
}

#[test]
fn many_failures_of_two_causes_are_two_groups() {
    let ran = |line: &str| {
        let output = fencepost().args(line.split_whitespace()).output().expect("the command can be run");
        Ran::new(line, output)
    };
    let json = ran("fuzz artemis/defects/ARTEMIS-1837 --seeds 300 --message-format json");
    let causes = json.json[0]["causes"].as_array().expect("a list");
    assert_eq!(causes.len(), 2, "{}", json.out);
    let seeds: u64 = causes.iter().filter_map(|cause| cause["seeds"].as_u64()).sum();
    assert_eq!(Some(seeds), json.json[0]["failed"].as_u64());
    assert!(seeds > 50, "{seeds} failures are not many");
    for cause in causes {
        let (first, message) =
            (cause["first_seed"].as_str().expect("a seed"), cause["message"].as_str().expect("a text"));
        let replayed = ran(&format!("replay artemis/defects/ARTEMIS-1837 --seed {first}"));
        let said: Vec<&str> = replayed.out.split_whitespace().collect();
        let message: Vec<&str> = message.split_whitespace().take(8).collect();
        assert!(said.windows(message.len()).any(|words| words == message), "{message:?} in {}", replayed.out);
    }
    let shown = ran("fuzz artemis/defects/ARTEMIS-1837 --seeds 300");
    assert!(shown.out.contains(" of 300 seeds fail in 2 ways:"), "{}", shown.out);
}

#[test]
fn journals_that_do_not_make_up_a_campaign_are_refused() {
    let place = Place::new();
    for number in [1, 3] {
        place.run(&format!("fuzz lease/fenced --seeds 9 --shard {number}/3 --journal {number}.log"));
    }
    place.run("fuzz lease/fenced --seeds 9 --shard 2/3 --journal 2.log");
    place.run("fuzz lease/fenced --seeds 9 --shard 2/3 --journal 2-again.log");
    place.run("fuzz lease/fenced --seeds 12 --shard 2/3 --journal 2-of-more.log");
    place.run("fuzz lease/fenced --seeds 9 --shard 2/4 --journal 2-of-4.log");
    let refused = |journals: &str, why: &str| {
        let ran = place.run(&format!("merge {journals}"));
        assert_eq!(ran.code, Some(1), "{journals}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(why), "{journals}: {}", ran.err);
    };
    refused("1.log 3.log", "there is no journal of shard 2/3; make it with --shard 2/3");
    refused("1.log 2.log 2-again.log 3.log", "2.log and 2-again.log are both shard 2/3");
    refused(
        "1.log 2-of-more.log 3.log",
        "1.log and 2-of-more.log are not of one campaign; of the first: its seeds are 0..9, not 0..12",
    );
    refused("1.log 2-of-4.log 3.log", "it is dealt out to 3 shards, not to 4");
    refused("1.log 2.log nowhere.log", "cannot open the journal nowhere.log");
    refused("1.log scenarios/lease/fenced.toml", "scenarios/lease/fenced.toml is not a journal");

    // Killed before its last line was written.
    let text = fs::read_to_string(place.path("2.log")).expect("it was written");
    let kept: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(place.path("2.log"), kept[..kept.len() - 1].concat()).expect("it can be written");
    refused(
        "1.log 2.log 3.log",
        "2.log has 0 of 3 seeds of lease/fenced; the same command goes on with it: fencepost fuzz",
    );
    assert_eq!(place.run("merge 1.log 2.log 3.log --partial").code, Some(1));
    assert_eq!(place.run("fuzz lease/fenced --seeds 9 --shard 2/3 --journal 2.log").code, Some(0));
    assert_eq!(place.run("merge 1.log 2.log 3.log").code, Some(0));

    let changed = UNFENCED.replace("duration = \"60s\"", "duration = \"61s\"");
    fs::write(place.path("scenarios/lease/fenced.toml"), changed).expect("it can be written");
    refused("1.log 2.log 3.log", "is not here, or has changed since the shards were run");
    let stale = place.run("fuzz lease/fenced --seeds 9 --shard 2/3 --journal 2.log");
    assert_eq!(stale.code, Some(1));
    assert!(
        stale.err.contains("the journal 2.log is stale: scenarios/lease/fenced.toml has changed since"),
        "{}",
        stale.err
    );
}

#[test]
fn one_process_at_a_time_writes_a_journal() {
    let place = Place::new();
    let line = "fuzz lease/fenced --time 1h --jobs 1 --journal busy.log";
    let mut first = place.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be run");
    let started = Instant::now();
    while fs::read(place.path("busy.log")).map_or(0, |text| text.len()) == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "the journal was never begun");
        thread::sleep(Duration::from_millis(10));
    }
    let second = place.run(line);
    first.kill().expect("it can be killed");
    first.wait().expect("it has ended");
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains("the journal busy.log is in use by another process"), "{}", second.err);
}

/// The system's limit of the size of a file stands for a disk that is full: both fail in the middle of a line.
#[test]
#[cfg(unix)]
fn a_disk_that_is_full_is_an_error_and_loses_nothing() {
    let place = Place::new();
    let line = "fuzz lease/fenced --seeds 3000 --jobs 1 --message-format json";
    let whole = place.run(line);
    let line = format!("{line} --journal small.log");
    let program = place.command("").get_program().to_string_lossy().into_owned();
    let limited = format!("ulimit -f 16; trap '' XFSZ; exec '{program}' {line}");
    let mut shell = Command::new("sh");
    shell.current_dir(place.0.path()).args(["-c", &limited]).env_remove("FENCEPOST_SEEDS").env_remove("FENCEPOST_TIME");
    let full = Ran::new(&limited, shell.output().expect("a shell can be run"));
    assert_eq!(full.code, Some(1), "{}{}", full.out, full.err);
    assert!(full.err.contains("error: cannot write the journal small.log: "), "{}", full.err);
    assert!(full.err.contains("make room and give the same command again"), "{}", full.err);
    let ran: u64 = journaled(&place.path("small.log")).iter().map(|(_, seeds)| seeds).sum();
    assert_eq!(full.json[0]["seeds"].as_u64(), Some(ran), "what is told is what was written down");
    assert!(0 < ran && ran < 3000, "{ran} seeds fit into the file");
    place.run(&line).assert_like(&whole);
}

#[test]
fn a_journal_that_cannot_be_is_an_error_that_says_why() {
    let place = Place::new();
    let error = |line: &str, code: i32, why: &str| {
        let ran = place.run(line);
        assert_eq!(ran.code, Some(code), "{line}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(why), "{line}: {}", ran.err);
    };
    error("fuzz lease/fenced --journal scenarios/lease/fenced.toml", 1, "scenarios/lease/fenced.toml is not a journal");
    error("fuzz lease/fenced --journal scenarios", 1, "scenarios is not a journal");
    error("fuzz lease/fenced --journal scenarios/lease/fenced.toml/x.log", 1, "cannot open the journal");
    error("run lease/fenced --seed 3 --journal x.log", 2, "leave out --journal to run one seed");
    error("merge", 2, "<JOURNAL>...");
    place.run("fuzz lease/fenced --seeds 9 --journal nine.log");
    error("fuzz lease/fenced --seeds 10 --journal nine.log", 1, "its seeds are 0..9, not 0..10");
    error("run lease/fenced --seeds 9 --journal nine.log", 1, "it is of `fuzz`, not `run`");
}
