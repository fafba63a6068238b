//! Each rule catches what it is there for, and lets the like of it pass.

use sim_core::Defect;

use super::*;

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

/// The rules that a file breaks, in order of line.
fn broken(path: &str, text: &str) -> Vec<&'static str> {
    check_files(&[file(path, text)]).into_iter().map(|complaint| complaint.rule).collect()
}

/// The rules that a line of the kernel breaks.
fn in_kernel(line: &str) -> Vec<&'static str> {
    broken("sim-core/src/sample.rs", &format!("//! Sample.\n{line}\n"))
}

#[test]
fn every_ban_of_the_kernel_catches_every_way_to_write_it() {
    for (line, rule) in [
        ("use std::collections::HashMap;", "hash-order"),
        ("use std::collections::{BTreeMap, HashSet as Set};", "hash-order"),
        ("fn f() { let m: std::collections::HashMap<u8, u8> = Default::default(); }", "hash-order"),
        ("fn f() { assert!(HashMap::<u8, u8>::new().is_empty()); }", "hash-order"),
        ("use std::time::{Duration, Instant};", "real-time"),
        ("use std::{fmt, time::SystemTime};", "real-time"),
        ("use std::time;", "real-time"),
        ("use std::{time as clock};", "real-time"),
        ("use std::time::*;", "real-time"),
        ("fn f() { let t = ::std::time::Instant::now(); }", "real-time"),
        ("use std::thread;", "threads"),
        ("fn f() { std::thread::spawn(|| ()); }", "threads"),
        ("use rayon::prelude::*;", "threads"),
        ("use std::sync::{Arc, Mutex};", "threads"),
        ("use std::sync::atomic::AtomicU64;", "threads"),
        ("use std::sync::*;", "threads"),
        ("fn f() { sleep(d); }", "sleep"),
        ("fn f() { runtime.sleep(d); }", "sleep"),
        ("static mut COUNT: u8 = 0;", "globals"),
        ("static NAMES: &[&str] = &[];", "globals"),
        ("thread_local! { }", "globals"),
        ("use std::sync::OnceLock;", "globals"),
        ("use std::cell::LazyCell;", "globals"),
        ("lazy_static! { }", "globals"),
        ("fn f() { let x = rand::thread_rng(); }", "randomness"),
        ("use rand::Rng;", "randomness"),
        ("fn f() { ChaCha8Rng::from_os_rng(); }", "randomness"),
        ("use std::fs::File;", "machine"),
        ("fn f() { println!(\"hello\"); }", "machine"),
    ] {
        let rules = in_kernel(line);
        assert!(rules.contains(&rule), "{line} should break {rule}, but breaks {rules:?}");
    }
}

#[test]
fn the_kernel_may_use_what_only_looks_like_it() {
    for line in [
        "use crate::Instant;",
        "use sim_core::{Instant, NodeId};",
        "use std::time::Duration;",
        "use std::sync::Arc;",
        "use rand_chacha::rand_core::{Rng, SeedableRng};",
        "// A HashMap, std::thread::sleep(d), static mut.",
        "/// Never std::time::Instant.\nfn f() {}",
        "const TEXT: &str = \"std::thread::spawn, HashMap, dbg!()\";",
        "fn f(s: &'static str) -> &'static str { s }",
        "struct Config { sleep: u8, thread: u8, time: u8 }",
        "fn f(todo: u8) -> bool { todo != 1 }",
    ] {
        assert_eq!(in_kernel(line), Vec::<&str>::new(), "{line}");
    }
}

#[test]
fn bans_are_for_the_kernel_and_the_protocols_only() {
    let line = "//! Sample.\nuse std::collections::HashMap;\n";
    assert_eq!(broken("protocols/src/lease/node.rs", line), ["hash-order"]);
    assert!(broken("scenarios/src/runner.rs", line).is_empty());
    let printing = "//! Sample.\nfn f() { println!(\"hello\"); }\n";
    assert_eq!(broken("protocols/src/lease/node.rs", printing), ["machine"]);
    assert!(broken("protocols/src/lease/tests.rs", printing).is_empty());
    assert!(broken("tests/determinism.rs", line).is_empty());
}

#[test]
fn files_are_whole_short_and_say_what_they_are() {
    assert_eq!(broken("scenarios/src/a.rs", "fn f() {}\n"), ["first-comment"]);
    assert_eq!(broken("scenarios/src/a.rs", "//! A.\nfn f() {} \n"), ["trailing-whitespace"]);
    assert_eq!(broken("README.md", "Text.\t\nMore.\r\n"), ["trailing-whitespace", "trailing-whitespace"]);
    assert_eq!(broken("scenarios/src/a.rs", "//! A.\nfn f() {}"), ["final-newline"]);
    for unfinished in ["todo!()", "unimplemented!(\"later\")", "dbg!(1)", "std::todo!()"] {
        let text = format!("//! A.\nfn f() {{ {unfinished} }}\n");
        assert_eq!(broken("scenarios/src/a.rs", &text), ["unfinished"], "{unfinished}");
    }
    let long = |lines: usize| format!("//! A.\n{}", "// Line.\n".repeat(lines - 1));
    assert_eq!(broken("tests/a.rs", &long(601)), ["length"]);
    assert!(broken("tests/a.rs", &long(600)).is_empty());
    assert_eq!(broken("tests/a.rs", "//! A.\nfn f( {\n"), ["parses"]);
}

#[test]
fn a_complaint_says_where_and_what_to_do() {
    let complaints = check_files(&[file("sim-core/src/a.rs", "//! A.\n\nuse std::{\n    fmt,\n    thread,\n};\n")]);
    assert_eq!(
        complaints[0].to_string(),
        "sim-core/src/a.rs:5: mentions std::thread; an actor is one state machine and a world one loop; \
         parallelism is across seeds (threads)"
    );
}

#[test]
fn an_exception_covers_its_place_and_rule_and_must_be_needed() {
    let complaints = || check_files(&[file("sim-core/src/search/a.rs", "//! A.\nuse std::thread;\nuse std::fs;\n")]);
    let exception = |path, rule| Exception { path, rule, reason: "it must" };
    let rules = |exceptions: &[Exception]| {
        except(complaints(), exceptions).into_iter().map(|complaint| complaint.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules(&[exception("sim-core/src/search/", "threads")]), ["machine"]);
    assert_eq!(rules(&[exception("sim-core/src/search/b.rs", "threads")]), ["threads", "threads", "machine"]);
    assert_eq!(rules(&[exception("sim-core/src/search", "threads")]), ["threads", "threads", "machine"]);
    let idle = except(Vec::new(), &[exception("sim-core/src/search/", "sleep")]);
    assert!(idle[0].message.contains("not needed"), "{idle:?}");
}

#[test]
fn imports_against_the_stream_are_found_whatever_they_are_called() {
    let manifest = |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n{rest}");
    let count = |name: &str, rest: &str| check_imports("x/Cargo.toml", &manifest(name, rest)).len();
    assert_eq!(count("sim-core", "[dependencies]\nserde = \"1\"\n"), 0);
    assert_eq!(count("scenarios", "[dependencies]\nprotocols.workspace = true\nsim-core.workspace = true\n"), 0);
    assert_eq!(count("sim-core", "[dependencies]\nprotocols.workspace = true\n"), 1);
    assert_eq!(count("protocols", "[dev-dependencies]\nscenarios.workspace = true\n"), 1);
    assert_eq!(count("protocols", "[build-dependencies]\ns = { package = \"scenarios\", path = \"..\" }\n"), 1);
    assert_eq!(count("sim-core", "[target.'cfg(unix)'.dependencies]\ntests.workspace = true\n"), 1);
    assert_eq!(check_imports("x/Cargo.toml", "[package\n").len(), 1);
}

const DEFECTS: &[Defect] = &[
    Defect { id: "LEASE-1", about: "Forgets the lease.", breaks: &["at-most-one-holder", "no-flapping"] },
    Defect { id: "LEASE-2", about: "Never renews.", breaks: &["eventually-held"] },
];

fn scenario(defects: &str, expect: &str) -> String {
    format!("about = \"A.\"\nprotocol = \"lease\"\n[cluster]\ndefects = [{defects}]\n[expect]\n{expect}\n")
}

/// The messages for these scenarios of a protocol with two defects.
fn canaries(texts: &[String]) -> Vec<String> {
    let files: Vec<File> = texts.iter().map(|text| file("scenarios/lease/a.toml", text)).collect();
    check_scenarios(&files, &[("lease", DEFECTS)]).into_iter().map(|complaint| complaint.message).collect()
}

#[test]
fn a_defect_without_a_canary_is_found() {
    let one = scenario("\"LEASE-1\"", "violates = \"no-flapping\"");
    let two = scenario("\"LEASE-2\"", "violates = \"eventually-held\"");
    assert_eq!(canaries(&[one.clone(), two.clone()]), Vec::<String>::new());
    assert_eq!(
        canaries(&[one]),
        ["no scenario switches on LEASE-2 and expects one of the violations that it causes (eventually-held)"]
    );
    assert_eq!(canaries(&[two]).len(), 1);
}

#[test]
fn a_canary_must_expect_what_its_defect_breaks() {
    let whole = [
        scenario("\"LEASE-1\"", "violates = \"no-flapping\""),
        scenario("\"LEASE-2\"", "violates = \"eventually-held\""),
    ];
    let with = |text: String| canaries(&[whole[0].clone(), whole[1].clone(), text]);
    assert_eq!(
        with(scenario("\"LEASE-1\"", "violates = \"eventually-held\"")),
        ["expects a violation of eventually-held, which LEASE-1 is not said to break"]
    );
    assert_eq!(with(scenario("\"LEASE-9\"", "violates = \"no-flapping\""))[0], "lease has no defect LEASE-9");
    assert!(with(scenario("\"LEASE-1\"", "verdict = \"pass\""))[0].contains("no violation is expected"));
    assert!(with("about = \"A.\"\nprotocol = \"raft\"\n".to_owned())[0].contains("\"raft\" is not one"));
    assert_eq!(with("about = \" \"\nprotocol = \"lease\"\n".to_owned()), ["say in `about` what it shows"]);
    assert!(with("about = \n".to_owned())[0].starts_with("is not TOML"));
    assert_eq!(with("about = \"A.\"\nprotocol = \"lease\"\n".to_owned()), Vec::<String>::new());
}
