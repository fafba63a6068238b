//! Transcripts of the command as a user meets it: the built program, in a folder with a few small scenarios.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const CLUSTER: &str = r#"schema = 1
protocol = "lease"
duration = "40s"
seeds = 4
cluster.nodes = { a = "member", b = "member", c = "member", store = "store" }
"#;

/// A late write meets a store that does not fence: every seed violates `writes-in-order`.
const UNFENCED: &str = r#"cluster.defects = ["no-fencing"]
step = [
    { at = "10s", do.delay = { kind = "Write", by = "15s" } },
    { at = "12s", do.partition = { groups = [["a"], ["b"], ["c"]], for = "5s" } },
]
invariant = [{ always = "writes-in-order" }]
"#;

/// Nobody has a majority after this.
const ALONE: &str = r#"step = [
    { at = "5s", do.crash = { node = "a" } },
    { at = "5s", do.crash = { node = "b" } },
]
invariant = [{ eventually = "one-holder", within = "10s" }]
"#;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.add("small/clean", "about = \"Nothing breaks.\"\ninvariant = [{ sometimes = \"lease-granted\" }]\n");
        folder.add("small/canary", &format!("about = \"Caught.\"\n{UNFENCED}expect.violates = \"writes-in-order\"\n"));
        folder
    }

    fn add(&self, name: &str, rest: &str) {
        let path = self.0.path().join(format!("scenarios/{name}.toml"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Keys of the top level come before tables; dotted keys are none.
        fs::write(path, format!("{CLUSTER}{rest}")).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fencepost"));
        command.args(line.split_whitespace()).current_dir(self.0.path());
        for variable in ["CI", "FENCEPOST_SEED", "FENCEPOST_SEEDS", "FENCEPOST_JOBS", "NO_COLOR", "CLICOLOR_FORCE"] {
            command.env_remove(variable);
        }
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Exit code, standard output and standard error.
    #[track_caller]
    fn transcript(&self, line: &str) -> String {
        let output = self.run(line);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        format!(
            "$ fencepost {line}\n{out}{}[exit {}]",
            if err.is_empty() { err } else { format!("-- stderr\n{err}") },
            output.status.code().unwrap()
        )
    }

    fn code(&self, line: &str) -> i32 {
        self.run(line).status.code().unwrap()
    }

    fn json(&self, line: &str) -> Vec<Value> {
        let output = self.run(&format!("{line} --message-format json"));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Snapshots without what differs from machine to machine or with every change of a protocol.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"t=[0-9.]+s event #\d+", "t=[time] event #[n]");
    settings.add_filter(r"# t=[0-9.]+s", "# t=[time]");
    settings.add_filter(r"0x[0-9a-f]{16}", "[hash]");
    settings.add_filter(r" +[0-9.]+[Mk]? ev/s", "  [speed]");
    settings.add_filter(r"virtual time +speed", "virtual time  speed");
    settings.add_filter(r"[0-9,]+ events", "[n] events");
    settings.add_filter(r"\d[0-9dhms .]* of virtual time in [0-9.a-z ]+\n", "[time] of virtual time in [time]\n");
    settings.add_filter(r" {2,}\d+m \d+s| {2,}[0-9.]+s", "  [time]");
    settings.add_filter(
        r"value \d+ of epoch \d+, but it has held one of epoch \d+",
        "value [n] of epoch [n], but it has held one of epoch [n]",
    );
    settings
}

#[test]
fn a_run_ends_with_a_table_of_verdicts() {
    let folder = Folder::new();
    settings().bind(|| insta::assert_snapshot!(folder.transcript("run")));
    assert_eq!(text(&folder.run("").stdout).lines().count(), 5, "no verb at all is `run`");
}

#[test]
fn a_failure_is_lines_to_paste_and_a_file() {
    let folder = Folder::new();
    folder.add("small/broken", &format!("about = \"Fails.\"\n{UNFENCED}"));
    settings().bind(|| insta::assert_snapshot!(folder.transcript("run small/broken --seeds 2")));
    let saved = fs::read_to_string(folder.0.path().join("fencepost-out/small-broken-0x0.txt")).unwrap();
    assert!(saved.starts_with("FAIL small/broken  seed 0x0  writes-in-order\n"), "{saved}");
    assert!(saved.contains("  replay: fencepost replay scenarios/small/broken.toml --seed 0x0\n"), "{saved}");
    assert!(saved.contains("  cause:  delay the next Write by 15 s"), "{saved}");
    let schedule = "--schedule fencepost-out/small-broken-0x0.toml";
    assert!(
        saved.ends_with(&format!("  replay: fencepost replay scenarios/small/broken.toml {schedule}\n")),
        "{saved}"
    );
    assert_eq!(folder.code(&format!("replay {schedule}")), 10, "what is left fails alike");
}

#[test]
fn json_of_a_shrink_is_documented_and_says_where_the_schedule_is() {
    let folder = Folder::new();
    folder.add("small/broken", &format!("about = \"Fails.\"\n{UNFENCED}"));
    let manual = include_str!("../JSON.md");
    let by_itself = folder.json("fuzz small/broken --seeds 1");
    let asked = folder.json("shrink small/broken --seed 0x0");
    for shrink in [&by_itself[0], &asked[0]] {
        for field in shrink.as_object().unwrap().keys() {
            assert!(manual.contains(&format!("`{field}`")) || field == "type", "JSON.md does not describe {field}");
        }
        assert_eq!((&shrink["type"], &shrink["invariant"]), (&"shrink".into(), &"writes-in-order".into()));
        assert_eq!((&shrink["scenario"], &shrink["seed"]), (&"small/broken".into(), &"0x0".into()));
        assert!(shrink["faults"].as_u64() <= Some(2) && shrink["deviations"] == 0, "{shrink}");
        let schedule = shrink["schedule"].as_str().unwrap();
        assert_eq!(folder.code(&format!("replay --schedule {schedule}")), 10);
    }
    assert_eq!((by_itself.len(), &by_itself[1]["type"]), (3, &"scenario".into()));
    assert_eq!(folder.json("fuzz small/broken --seeds 1 --no-shrink").len(), 2);
    assert_eq!(folder.json("fuzz small/canary --seeds 1").len(), 2, "what a canary expects is no failure");
    assert_eq!(folder.code("shrink small/clean --seed 0"), 1, "there is nothing to shrink");
    assert_eq!(folder.code("shrink small/broken"), 2, "which seed?");
}

#[test]
fn a_kept_seed_is_run_first_ever_after() {
    let folder = Folder::new();
    folder.add("small/broken", &format!("about = \"Fails.\"\n{UNFENCED}"));
    assert_eq!(folder.code("fuzz small/broken --seeds 7..8 --keep"), 10);
    let kept = fs::read_to_string(folder.0.path().join("scenarios/regressions/small/broken.txt")).unwrap();
    assert!(kept.contains("\n0x7 writes-in-order  # t="), "{kept}");
    let lines = folder.json("run small/broken --seeds 3..4 --no-shrink");
    assert_eq!((&lines[0]["regressions"], &lines[0]["first_failing_seed"]), (&1.into(), &"0x7".into()));

    fs::write(folder.0.path().join("scenarios/regressions/small/clean.txt"), "1 at-most-one-holder\n").unwrap();
    assert_eq!(folder.code("run small/clean"), 0, "a kept seed of a scenario that should pass must pass");
    fs::write(folder.0.path().join("scenarios/regressions/small/canary.txt"), "1 at-most-one-holder\n").unwrap();
    assert_eq!(folder.code("run small/canary"), 1, "a kept seed of a canary must still fail as it did");
    fs::write(folder.0.path().join("scenarios/regressions/small/canary.txt"), "one\n").unwrap();
    assert_eq!(folder.code("run small/canary"), 96);
}

#[test]
fn each_exit_code_has_its_cause() {
    let folder = Folder::new();
    folder.add("other/unsafe", &format!("about = \"Fails.\"\n{UNFENCED}"));
    folder.add("other/stuck", &format!("about = \"Stuck.\"\n{ALONE}"));
    folder.add("other/vain", "about = \"Vain.\"\ninvariant = [{ sometimes = \"stale-write-refused\" }]\n");
    folder.add(
        "other/blind",
        "about = \"Blind.\"\ninvariant = [{ always = \"writes-in-order\" }]\nexpect.violates = \"writes-in-order\"\n",
    );
    folder.add("other/bad", "about = \"Bad.\"\nspeed = 3\n");
    assert_eq!(folder.code("run small"), 0);
    assert_eq!(folder.code("run other/blind"), 1);
    assert_eq!(folder.code("rnu"), 2);
    assert_eq!(folder.code("run --seeds none"), 2);
    assert_eq!(folder.code("run nowhere"), 4);
    assert_eq!(folder.code("run small/clean --shard 2/2"), 4);
    assert_eq!(folder.code("run other/unsafe"), 10);
    assert_eq!(folder.code("run other/stuck"), 11);
    assert_eq!(folder.code("run other/vain"), 13);
    assert_eq!(folder.code("run other/bad"), 96);
    assert_eq!(folder.code("run"), 10, "a violation goes before the rest");
    assert_eq!(folder.code("replay small/canary --seed 0"), 10, "a replay is about one run");
    assert_eq!(folder.code("replay small/clean --seed 0"), 0);
}

#[test]
fn json_lines_are_documented_and_nothing_else_is_on_standard_output() {
    let folder = Folder::new();
    let lines = folder.json("run");
    let manual = include_str!("../JSON.md");
    for line in &lines {
        for field in line.as_object().unwrap().keys() {
            assert!(manual.contains(&format!("`{field}`")) || field == "type", "JSON.md does not describe {field}");
        }
    }
    let [canary, clean, summary] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (&canary["type"], &canary["verdict"], &canary["expected"]),
        (&"scenario".into(), &"safety".into(), &true.into())
    );
    assert_eq!((&canary["first_failing_seed"], &canary["invariant"]), (&"0x0".into(), &"writes-in-order".into()));
    assert_eq!(canary["faults_fired"], serde_json::json!({ "delay": 1, "partition": 1 }));
    assert_eq!((&clean["verdict"], &clean["seeds"], &clean["failed"]), (&"pass".into(), &4.into(), &0.into()));
    assert_eq!((&clean["first_failing_seed"], &clean["invariant"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&summary["type"], &summary["scenarios"], &summary["unexpected"]),
        (&"summary".into(), &2.into(), &0.into())
    );
}

#[test]
fn the_result_does_not_depend_on_threads_and_shards_cover_the_seeds() {
    let folder = Folder::new();
    let hash = |options: &str| folder.json(&format!("fuzz small/clean --seeds 30 {options}"))[0]["trace_hash"].clone();
    let one = hash("--jobs 1");
    assert_eq!(one, hash("--jobs 4"));
    assert_eq!(one, hash("--jobs 2 --check-determinism"));
    let seeds = |shard: &str| folder.json(&format!("fuzz small/clean --seeds 30 --shard {shard}"))[0]["seeds"].as_u64();
    assert_eq!((seeds("1/4"), seeds("2/4"), seeds("3/4"), seeds("4/4")), (Some(8), Some(8), Some(7), Some(7)));
}

#[test]
fn errors_say_what_to_type_next() {
    let folder = Folder::new();
    folder.add("small/bad", "about = \"Bad.\"\ndurration = \"3s\"\ninvariant = [{ always = \"at-most-one-holdr\" }]\n");
    settings().bind(|| {
        insta::assert_snapshot!("check_bad", folder.transcript("check small/bad"));
        insta::assert_snapshot!("unknown_scenario", folder.transcript("run small/claen"));
        insta::assert_snapshot!("no_seed", folder.transcript("replay small/clean"));
    });
    let output = folder.command("run").env("FENCEPOST_JOBS", "many").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "error: the environment variable FENCEPOST_JOBS is wrong: `many` is not a number of threads from 1 to 1024\n"
    );
}

#[test]
fn the_environment_stands_for_options() {
    let folder = Folder::new();
    let output = folder.command("run small/clean --message-format json").env("FENCEPOST_SEED", "0x5").output().unwrap();
    let line: Value = serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap();
    assert_eq!(line["seeds"], 1);
    let output =
        folder.command("run small/clean --seeds 3 --message-format json").env("FENCEPOST_SEED", "0x5").output();
    let line: Value = serde_json::from_str(text(&output.unwrap().stdout).lines().next().unwrap()).unwrap();
    assert_eq!(line["seeds"], 3, "the command line goes first");
}

#[test]
fn help_and_lists() {
    let folder = Folder::new();
    settings().bind(|| {
        insta::assert_snapshot!("help", folder.transcript("--help"));
        insta::assert_snapshot!("list", folder.transcript("list --protocol lease"));
    });
}

#[test]
fn files_that_were_asked_for_are_written() {
    let folder = Folder::new();
    folder.add("small/broken", &format!("about = \"Fails.\"\n{UNFENCED}"));
    assert_eq!(folder.code("run --junit out/junit.xml --html out/page.html"), 10);
    let read = |name: &str| fs::read_to_string(folder.0.path().join("out").join(name)).unwrap();
    let junit = read("junit.xml");
    assert!(junit.contains("<testsuite name=\"small\" tests=\"3\"") && junit.contains("failures=\"1\""), "{junit}");
    assert!(read("page.html").contains("small/broken"));
}

#[test]
fn the_bundled_scenarios_are_there_without_a_folder() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fencepost"))
        .args(["list", "scenarios", "--protocol", "lease"])
        .current_dir(nowhere.path())
        .output()
        .unwrap();
    assert!(text(&output.stdout).contains("lease/steady"), "{output:?}");
    for named_twice in [&["run", "lease/steady"][..], &["run", "lease/steady", "lease/steady"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_fencepost"))
            .args(named_twice)
            .args(["--seeds", "2"])
            .current_dir(nowhere.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(text(&output.stdout).contains("1 scenario: as expected; 2 seeds"), "{output:?}");
    }
}
