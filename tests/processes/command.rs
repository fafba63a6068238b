//! `fencepost real`, `node` and `compare` as anybody may call them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn fencepost(arguments: &[&str]) -> Output {
    tests::fencepost().args(arguments).output().expect("fencepost can be started")
}

fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = fencepost(arguments);
    assert!(output.stdout.is_empty(), "nothing was run");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_cannot_be_done_to_real_processes_is_a_usage_error_that_says_what_to_do() {
    let parted = refused(&["real", "artemis/one-way-links", "--network", "loopback"]);
    let expected = "nodes that share one network cannot be parted: use `--network namespaces`, as root";
    assert!(parted.0 == Some(2) && parted.1.contains(expected), "{parted:?}");
    let disk = refused(&["real", "derby/defects/DERBY-L5", "--network", "loopback"]);
    assert!(disk.0 == Some(2) && disk.1.contains("plans a disk: a real disk works"), "{disk:?}");
}

#[test]
fn a_node_that_is_not_there_is_a_usage_error_with_the_names_of_those_that_are() {
    let near = refused(&["node", "lease/steady", "stor"]);
    assert_eq!(near, (Some(2), "error: `lease/steady` has no node `stor`; did you mean `store`?\n".to_owned()));
    let far = refused(&["node", "lease/steady", "alpha"]);
    assert_eq!(far, (Some(2), "error: `lease/steady` has no node `alpha`; there are a, b, c, store\n".to_owned()));
    let peer = refused(&["node", "lease/steady", "a", "--peer", "b=nowhere"]);
    assert!(peer.0 == Some(2) && peer.1.contains("write one such as beta=10.0.0.2:7400"), "{peer:?}");
}

#[test]
fn a_folder_with_old_disks_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(folder.path().join("log"), "old").expect("a file can be written");
    let keep = folder.path().to_str().expect("it is text");
    let (code, error) = refused(&["real", "lease/steady", "--network", "loopback", "--keep", keep]);
    assert!(code == Some(2) && error.contains("is not empty"), "{error}");
}

#[test]
fn a_run_is_reported_recorded_and_drawn() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (keep, page) = (folder.path().join("kept"), folder.path().join("page.html"));
    let output = tests::fencepost()
        .args(["real", "lease/steady", "--network", "loopback", "--speed", "20", "--message-format", "json"])
        .arg("--keep")
        .arg(&keep)
        .arg("--html")
        .arg(&page)
        .output()
        .expect("fencepost can be started");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is one JSON object");
    assert_eq!(line["type"], "real");
    assert_eq!((&line["violation"], &line["undecided"]), (&serde_json::Value::Null, &serde_json::json!([])));
    let marks: Vec<&str> = line["marks"].as_array().expect("a list").iter().filter_map(|mark| mark.as_str()).collect();
    assert!(marks.contains(&"lease-granted") && marks.contains(&"lease-resigned"), "{marks:?}");
    let record = fs::read_to_string(keep.join("record.json")).expect("it is kept");
    let record: serde_json::Value = serde_json::from_str(&record).expect("it is JSON");
    assert_eq!(record["notes"].as_array().map(|notes| notes.len() as u64), line["notes"].as_u64());
    assert!(keep.join("store/log").is_file(), "disks are kept");
    let page = fs::read_to_string(page).expect("it is written");
    assert!(page.contains("lease/steady") && page.contains("<svg"));
}

/// How many nodes run with disks in this folder.
fn nodes_in(folder: &Path) -> usize {
    let folder = folder.to_str().expect("it is text");
    let entries = fs::read_dir("/proc").expect("this is Linux").flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&format!("--disk\0{folder}"))).count()
}

/// Waits until so many nodes run.
fn wait_for_nodes(folder: &Path, count: usize) {
    let started = Instant::now();
    while nodes_in(folder) != count {
        assert!(started.elapsed() < Duration::from_secs(30), "{} nodes, not {count}", nodes_in(folder));
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a cluster of four nodes that would run for a minute.
fn long_run(folder: &Path) -> Child {
    let mut command = tests::fencepost();
    command.args(["real", "lease/steady", "--network", "loopback", "--keep"]).arg(folder);
    let run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("fencepost can be started");
    wait_for_nodes(folder, 4);
    run
}

#[test]
fn an_interrupted_run_leaves_no_process_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut run = long_run(folder.path());
    let interrupted = Command::new("kill").args(["-INT", &run.id().to_string()]).status();
    assert!(interrupted.is_ok_and(|status| status.success()));
    assert_eq!(run.wait().expect("it ends").code(), Some(130));
    wait_for_nodes(folder.path(), 0);
}

#[test]
fn nodes_end_when_their_supervisor_is_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut run = long_run(folder.path());
    run.kill().expect("it can be killed");
    run.wait().expect("it ends");
    wait_for_nodes(folder.path(), 0);
}
