//! What a user sees: transcripts of the command, as it is called from a folder of a user's own. Each is a few commands
//! with all that they print and their exit codes, and is read as a diff when it changes.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tests::fencepost;

/// A scenario that passes, in a file that is small enough to know by heart.
const STEADY: &str = r#"schema = 1
about = "Two members share a lease while one of them is cut off for a while."
protocol = "lease"
duration = "20s"
seeds = 5

[cluster]
nodes = { alpha = "member", beta = "member", gamma = "member", log = "store" }

[[step]]
at = "5s"
do.cut = { from = "alpha", to = "beta", for = "4s" }

[[invariant]]
always = "at-most-one-holder"
[[invariant]]
sometimes = "lease-granted"
"#;

/// A scenario that fails: nothing says that the violation is expected.
const LATE_WRITE: &str = r#"schema = 1
about = "A write that was late overwrites what the next holder of the lease has written since."
protocol = "lease"
duration = "40s"
seeds = 5

[cluster]
nodes = { a = "member", b = "member", c = "member", store = "store" }
defects = ["no-fencing"]

[[step]]
at = "10s"
do.delay = { kind = "Write", by = "15s" }
[[step]]
at = "12s"
do.partition = { groups = [["a"], ["b"], ["c"]], for = "5s" }

[[invariant]]
always = "writes-in-order"
"#;

/// A folder of a user, and what was typed there.
struct Session {
    folder: TempDir,
    text: String,
}

impl Session {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Session { folder, text: String::new() }
    }

    /// A file in the folder.
    fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
        self
    }

    /// Calls the command. A word of the line that has a `=` in it and comes first is a variable.
    fn run(mut self, line: &str) -> Self {
        let mut command = fencepost();
        command.current_dir(self.folder.path());
        let mut words = line.split_whitespace().peekable();
        while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
            command.env(name, value);
            words.next();
        }
        assert_eq!(words.next(), Some("fencepost"), "a transcript is about the command");
        let output = command.args(words).output().expect("the command can be run");
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        self.text.push_str(&format!("$ {line}\n{out}"));
        if !err.is_empty() {
            self.text.push_str(&format!("[standard error]\n{err}"));
        }
        let code = output.status.code().expect("the command is not ended by a signal");
        self.text.push_str(&format!("[exit code {code}]\n\n"));
        self
    }

    /// What a file says now.
    fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.folder.path().join(path)).expect("the file is there")
    }
}

/// Compares with the snapshot, times of the wall clock left out.
macro_rules! assert_transcript {
    ($text:expr) => {
        insta::with_settings!({
            omit_expression => true,
            filters => [
                (r" +\S+ ev/s", "  [speed]"),
                (r" +speed\n", "  speed\n"),
                (r#""wall_s":[0-9.e-]+"#, r#""wall_s":[time]"#),
                (r"in \d+(\.\d+)? ?(s|ms|us|µs|ns)\b", "in [time]"),
                (r#"time="[0-9.]+""#, r#"time="[time]""#),
                (r#"timestamp="[^"]+""#, r#"timestamp="[time]""#),
            ],
        }, {
            insta::assert_snapshot!($text);
        })
    };
}

fn steady() -> Session {
    Session::new().file("scenarios/lease/steady.toml", STEADY)
}

#[test]
fn help_of_the_command_and_of_each_verb() {
    let mut session = Session::new().run("fencepost --help");
    for verb in ["run", "fuzz", "merge", "replay", "shrink", "defects", "check", "list"] {
        session = session.run(&format!("fencepost {verb} --help"));
    }
    assert_transcript!(session.text);
}

#[test]
fn a_scenario_that_passes() {
    assert_transcript!(steady().run("fencepost run").run("fencepost run lease/steady --seed 3").text);
}

#[test]
fn a_scenario_that_fails_names_the_seed_and_how_to_see_it_again() {
    assert_transcript!(
        Session::new()
            .file("scenarios/lease/late-write.toml", LATE_WRITE)
            .run("fencepost run")
            .run("fencepost replay lease/late-write --seed 0")
            .text
    );
}

#[test]
fn a_failing_seed_is_shrunk_to_its_cause_and_the_file_is_replayed() {
    let session = Session::new()
        .file("scenarios/lease/late-write.toml", LATE_WRITE)
        .run("fencepost shrink lease/late-write --seed 3 --out kept/late.toml");
    let kept = session.read("kept/late.toml");
    let session = session
        .run("fencepost replay --schedule kept/late.toml --html page.html")
        .run("fencepost shrink lease/late-write --seed 3 --message-format json")
        .run("fencepost run --message-format json")
        .run("fencepost run --no-shrink --message-format json")
        .file("scenarios/lease/late-write.toml", &LATE_WRITE.replace("15s", "16s"))
        .run("fencepost replay --schedule kept/late.toml")
        .run("fencepost shrink lease/late-write")
        .run("fencepost shrink lease --seed 1 --time 0s");
    assert!(session.read("page.html").contains("writes-in-order"));
    assert_transcript!(format!("{}$ cat kept/late.toml\n{kept}", session.text));
}

#[test]
fn a_seed_that_violates_nothing_is_not_shrunk() {
    assert_transcript!(steady().run("fencepost shrink lease/steady --seed 0").text);
}

#[test]
fn a_file_with_mistakes_is_told_all_of_them_where_they_are() {
    let wrong = STEADY
        .replace("beta = \"member\"", "beta = \"membre\"")
        .replace("do.cut", "do.cutt")
        .replace("always = \"at-most-one-holder\"", "always = \"at-most-one-holdr\"");
    assert_transcript!(
        Session::new().file("scenarios/lease/wrong.toml", &wrong).run("fencepost check").run("fencepost run").text
    );
}

#[test]
fn a_wrong_command_line_or_environment_is_an_error_that_says_what_to_type() {
    assert_transcript!(
        steady()
            .run("fencepost rum")
            .run("fencepost run lease/stedy")
            .run("fencepost run nowhere.toml")
            .run("fencepost run --seeds 9..5")
            .run("fencepost run --seeds 0")
            .run("fencepost run --jobs 0")
            .run("fencepost run --shard 3/2")
            .run("fencepost run --shard 2/2")
            .run("fencepost run --time soon")
            .run("fencepost replay lease/steady")
            .run("FENCEPOST_SEED=lucky fencepost run")
            .run("FENCEPOST_SEEDS=-1 fencepost run")
            .run("FENCEPOST_JOBS=many fencepost run")
            .run("FENCEPOST_SEED=1 FENCEPOST_SEEDS=2 fencepost run")
            .text
    );
}

#[test]
fn defects_are_caught_and_one_without_a_canary_is_an_error() {
    let canary = format!("{LATE_WRITE}[expect]\nviolates = \"writes-in-order\"\n");
    assert_transcript!(
        Session::new()
            .file("scenarios/lease/defects/late-write.toml", &canary)
            .run("fencepost defects")
            .run("fencepost defects --system lease --seeds 3 --message-format json")
            .run("fencepost defects --system laese")
            .run("fencepost defects --seeds 0")
            .run("FENCEPOST_JOBS=many fencepost defects")
            .text
    );
}

#[test]
fn machines_get_a_line_of_json_for_each_scenario_and_junit() {
    let session = steady().run("fencepost run --message-format json --junit out.xml");
    let text = format!("{}{}", session.text, session.read("out.xml"));
    assert_transcript!(text);
}

#[test]
fn a_campaign_in_shards_is_continued_and_merged() {
    assert_transcript!(
        Session::new()
            .file("scenarios/lease/late-write.toml", LATE_WRITE)
            .run("fencepost fuzz lease --seeds 7 --shard 1/2 --journal 1.log")
            .run("fencepost fuzz lease --seeds 7 --shard 1/2 --journal 1.log --message-format json")
            .run("fencepost merge 1.log")
            .run("fencepost merge 1.log --partial --message-format json")
            .run("fencepost fuzz lease --seeds 9 --shard 2/2 --journal 1.log")
            .run("fencepost fuzz lease --seeds 7 --shard 2/2 --journal 2.log --message-format json")
            .run("fencepost merge 1.log 2.log")
            .run("FENCEPOST_TIME=soon fencepost fuzz lease")
            .text
    );
}

#[test]
fn a_page_is_written_where_it_was_asked_for_and_needs_nothing_else() {
    let session = steady().run("fencepost replay lease/steady --seed 0 --html page.html");
    let page = session.read("page.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("lease/steady"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "a page loads nothing");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_and_not_a_panic() {
    let session = steady().run("fencepost run --html scenarios/lease/steady.toml/page.html");
    assert!(session.text.contains("scenarios/lease/steady.toml/page.html"), "{}", session.text);
    assert!(session.text.ends_with("[exit code 1]\n\n"), "{}", session.text);
    assert!(!session.text.contains("panicked"), "{}", session.text);
}

#[test]
fn colour_is_used_when_it_is_asked_for_and_not_in_a_pipe() {
    assert!(steady().run("fencepost run --color always").text.contains("\u{1b}["));
    assert!(!steady().run("fencepost run").text.contains("\u{1b}["));
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let session = Session::new().run(&format!("fencepost completions {shell}"));
        assert!(session.text.contains("replay") && session.text.ends_with("[exit code 0]\n\n"), "{shell}");
    }
}

/// Two holders, because a member forgets what it has promised when it crashes.
const FORGETFUL: &str = r#"schema = 1
about = "A member that crashes forgets whom it supports."
protocol = "lease"
duration = "12s"
seeds = 5

[cluster]
nodes = { a = "member", b = "member", c = "member", store = "store" }
defects = ["no-fencing"]

[[step]]
at = "3s"
do.partition = { groups = [["a"], ["b"], ["c"]], for = "5s" }

[[invariant]]
always = "writes-in-order"

[explore]
nodes = ["a", "b", "c", "store"]
messages = ["Write"]
delay = ["100ms", "8s"]
drop = true
"#;

#[test]
fn an_exploration_ends_in_a_certificate_or_in_a_schedule_that_replays() {
    let session = Session::new().file("steady.toml", STEADY).file("late.toml", FORGETFUL);
    let session = session
        .run("fencepost explore steady.toml --window 6s..8s --break crash=1s,cut --jobs 1")
        .run("fencepost explore steady.toml --window 6s..8s --break crash=1s,cut --jobs 2 --message-format json")
        .run("fencepost explore late.toml --schedule found.toml")
        .run("fencepost replay late.toml --schedule found.toml")
        .run("fencepost explore steady.toml --break crush")
        .run("fencepost explore steady.toml --nodes omega");
    insta::with_settings!({ filters => vec![
        (r"\d+\.\d s, ", "[seconds], "),
        (r#""wall_s":[0-9.e-]+"#, r#""wall_s":[seconds]"#),
    ] }, {
        insta::assert_snapshot!(session.text);
    });
    assert!(session.text.contains("CERTIFIED steady") && session.text.contains("FOUND late"), "{}", session.text);
}

/// One that cannot be explored to its end in the time that it gets.
#[test]
fn of_several_explorations_each_certificate_is_a_line_and_what_is_left_untried_is_not_green() {
    let steady = format!("{STEADY}\n[explore]\nwindow = [\"6s\", \"8s\"]\ncrash = \"1s\"\n");
    let session = Session::new()
        .file("scenarios/lease/steady.toml", &steady)
        .file("scenarios/lease/steadier.toml", &steady.replace("6s", "7s"))
        .run("fencepost explore --clean --faults 1 --jobs 1")
        .run("fencepost explore --message-format json --jobs 2")
        .run("fencepost explore --schedule both.toml")
        .file("scenarios/late.toml", FORGETFUL)
        .run("fencepost explore --jobs 1")
        .run("fencepost explore lease/steady --window 30s..31s")
        .run("fencepost explore lease/steady --window 7s..8s --nodes alpha,beta --break cut=1s");
    insta::with_settings!({ filters => vec![
        (r"\d+\.\d s([,\n])", "[seconds]$1"),
        (r" in (\d+ms|\d+\.\d+s)\n", " in [time]\n"),
        (r#""wall_s":[0-9.e-]+"#, r#""wall_s":[seconds]"#),
    ] }, {
        insta::assert_snapshot!(session.text);
    });
    assert!(session.text.contains("2 scenarios: 2 certified"), "{}", session.text);
    // A nanosecond is not enough for anything.
    let hurried = Session::new().file("steady.toml", STEADY).run("fencepost explore steady.toml --faults 2 --time 1ns");
    assert!(
        hurried.text.contains("INCOMPLETE steady") && hurried.text.ends_with("[exit code 13]\n\n"),
        "{}",
        hurried.text
    );
}
