//! What is written is read again, whatever became of the last line, and nothing else is taken for a journal.

use std::fs;
use std::path::PathBuf;

use sim_core::search::{Failure, Seeds};
use sim_core::{Class, Fired, NodeId, Outcome, Violation};
use tempfile::TempDir;

use super::*;
use crate::registry::Engine;
use crate::regressions::Regression;

fn header() -> Header {
    let listed = |name: &str| Listed { name: name.to_owned(), argument: name.to_owned(), hash: Some("0x1".to_owned()) };
    Header {
        format: FORMAT,
        version: "1.0.0".to_owned(),
        build: "abc".to_owned(),
        engine: Engine::Native,
        verb: Verb::Fuzz,
        shard: None,
        seeds: Some(Seeds::first(1000)),
        endless: false,
        check_determinism: false,
        scenarios: vec![listed("lease/one"), listed("lease/two")],
        command: vec!["target/fencepost".to_owned(), "fuzz".to_owned(), "my files".to_owned()],
    }
}

fn outcome(seed: u64) -> Outcome {
    let violation = seed.is_multiple_of(3).then(|| Violation {
        invariant: "at-most-one-live".to_owned(),
        class: Class::Safety,
        at: sim_core::Instant::from_nanos(seed),
        event: seed,
        node: Some(NodeId(1)),
        message: format!("seed {seed}\n\"quoted\""),
    });
    Outcome {
        violation,
        events: 10 + seed,
        end: sim_core::Instant::from_secs(seed),
        trace_hash: u64::MAX - seed,
        fired: vec![(7, "crash", Fired { count: 2, first: None })],
        marks: vec![("failover", seed)],
        reached: vec!["failback".to_owned()],
    }
}

/// So many seeds from `first` on.
fn chunk(first: u64, seeds: u64) -> Chunk {
    let mut chunk = Chunk::new(first, KEEP);
    (first..first + seeds)
        .for_each(|seed| chunk.add(seed, outcome(seed), if seed.is_multiple_of(2) { "even" } else { "odd" }));
    chunk
}

fn whole(seeds: u64) -> Tally {
    let mut tally = Tally::new(KEEP);
    tally.append(&chunk(0, seeds));
    tally
}

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/night.log");
        Place { _folder: folder, path }
    }

    fn open(&self) -> Result<Journal, JournalError> {
        Journal::open(&self.path, &header())
    }

    /// Opens it, writes these runs of the first scenario and closes it.
    fn commit(&self, chunks: &[Chunk]) {
        let mut journal = self.open().unwrap();
        let mut past = journal.past(0);
        chunks.iter().for_each(|chunk| assert!((past.commit)(chunk).is_continue()));
    }

    fn error(&self) -> String {
        self.open().unwrap_err().to_string().replace(self.path.to_str().unwrap(), "night.log")
    }
}

#[test]
fn what_is_written_is_read_again() {
    let place = Place::new();
    place.commit(&[chunk(0, 50), chunk(50, 1)]);
    let first = outcome(51);
    let second = Outcome { trace_hash: 3, fired: Vec::new(), marks: Vec::new(), reached: Vec::new(), ..first.clone() };
    let bare = Outcome { trace_hash: first.trace_hash, ..second.clone() };
    let divergence = Divergence { seed: 51, first: bare, second };
    let last = Chunk { divergence: Some(divergence.clone()), ..Chunk::new(51, KEEP) };
    place.commit(&[last]);

    let regression = Regression { seed: 3, invariant: "at-most-one-live".to_owned() };
    let failure = Failure { seed: 3, violation: outcome(3).violation.unwrap() };
    let replayed =
        [Replayed { regression: regression.clone(), failure: Some(failure) }, Replayed { regression, failure: None }];
    {
        let mut journal = place.open().unwrap();
        journal.kept(1, &replayed);
        journal.time_up(1);
    }
    let journal = place.open().unwrap();
    assert!(!journal.was_torn());
    let [one, two] = journal.states() else { panic!("there are two scenarios") };
    assert_eq!((&one.tally, &one.divergence), (&whole(51), &Some(divergence)));
    assert_eq!((one.time_up, two.time_up), (false, true));
    assert_eq!((&two.tally, &two.regressions[..]), (&whole(0), &replayed[..]));
}

#[test]
fn a_line_that_was_torn_anywhere_is_left_out_and_written_again() {
    let place = Place::new();
    place.commit(&[chunk(0, 5), chunk(5, 3)]);
    let good = fs::read(&place.path).unwrap();
    place.commit(&[chunk(8, 2)]);
    let all = fs::read(&place.path).unwrap();
    for length in good.len()..all.len() {
        fs::write(&place.path, &all[..length]).unwrap();
        let journal = place.open().unwrap();
        assert_eq!(journal.states()[0].tally, whole(8), "cut after {length} of {} bytes", all.len());
        assert_eq!(journal.was_torn(), length > good.len());
        drop(journal);
        place.commit(&[chunk(8, 2)]);
        assert_eq!(place.open().unwrap().states()[0].tally, whole(10));
    }
    // A file that has got its length but not what was in it, as after a loss of power.
    fs::write(&place.path, [good, vec![0; 300]].concat()).unwrap();
    place.commit(&[chunk(8, 2)]);
    assert_eq!(place.open().unwrap().states()[0].tally, whole(10));
}

#[test]
fn a_first_line_that_was_torn_anywhere_is_written_again() {
    let place = Place::new();
    drop(place.open().unwrap());
    let header = fs::read(&place.path).unwrap();
    for length in 0..header.len() {
        fs::write(&place.path, &header[..length]).unwrap();
        place.commit(&[chunk(0, 2)]);
        assert_eq!(place.open().unwrap().states()[0].tally, whole(2), "cut after {length} bytes");
        fs::remove_file(&place.path).unwrap();
    }
}

#[test]
fn a_line_that_is_wrong_before_the_last_is_refused() {
    let place = Place::new();
    place.commit(&[chunk(0, 5), chunk(5, 3)]);
    let all = fs::read(&place.path).unwrap();
    let last = all[..all.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    for at in (0..last).step_by(13) {
        let mut damaged = all.clone();
        damaged[at] ^= 0x20;
        fs::write(&place.path, &damaged).unwrap();
        place.open().expect_err("a byte has changed");
        assert_eq!(fs::read(&place.path).unwrap(), damaged, "what is refused is left as it is");
    }
    let mut lines: Vec<&str> = str::from_utf8(&all).unwrap().split_inclusive('\n').collect();
    lines.remove(1);
    fs::write(&place.path, lines.concat()).unwrap();
    assert_eq!(
        place.error(),
        "line 2 of the journal night.log is wrong: it goes on after 5 seeds, but there are 0 before it; the lines before it \
         are good: remove the rest of the file to run what is missing again, or the whole file to start anew"
    );
}

#[test]
fn what_is_no_journal_is_left_as_it_is() {
    let place = Place::new();
    fs::create_dir_all(place.path.parent().unwrap()).unwrap();
    for text in ["schema = 1\n", "{}", "no line break", "{\"fencepost-diary\":1}\n"] {
        fs::write(&place.path, text).unwrap();
        let expected =
            "night.log is not a journal, and is left as it is: give the name of a new file, or that of a journal";
        assert_eq!(place.error(), expected);
        assert_eq!(fs::read_to_string(&place.path).unwrap(), text);
    }
    fs::remove_file(&place.path).unwrap();
    fs::create_dir(&place.path).unwrap();
    assert!(place.error().contains("is not a journal"));
}

#[test]
fn a_journal_of_another_campaign_is_refused_with_what_is_different() {
    let place = Place::new();
    drop(place.open().unwrap());
    let error = |change: fn(&mut Header)| {
        let mut wanted = header();
        change(&mut wanted);
        let error = Journal::open(&place.path, &wanted).unwrap_err().to_string();
        error.replace(place.path.to_str().unwrap(), "night.log")
    };
    let other = |what: &str| format!("the journal night.log is of another campaign: {what}; give another file");
    assert_eq!(error(|h| h.seeds = Some(Seeds::range(5..10))), other("its seeds are 0..1000, not 5..10"));
    assert_eq!(error(|h| h.seeds = None), other("its seeds are 0..1000, not each scenario's own"));
    assert_eq!(error(|h| h.shard = Some("2/4".to_owned())), other("it is of no shard, not of shard 2/4"));
    assert_eq!(error(|h| h.verb = Verb::Run), other("it is of `fuzz`, not `run`"));
    assert_eq!(error(|h| h.check_determinism = true), other("each seed is run once, not twice"));
    assert_eq!(error(|h| h.scenarios.truncate(1)), other("its scenarios are lease/one, lease/two, not lease/one"));
    let stale = |what: &str| {
        format!(
            "the journal night.log is stale: {what}; what it holds may not be what would come of it now: give another file, \
             or remove this one to start anew"
        )
    };
    assert_eq!(error(|h| h.scenarios[1].hash = None), stale("lease/two has changed since"));
    assert_eq!(error(|h| h.build.clear()), stale("the program has changed since: it is another build"));
    // How the command was typed does not matter.
    let typed = Header { command: Vec::new(), ..header() };
    assert!(Journal::open(&place.path, &typed).is_ok());
    assert_eq!(header().command(), "fencepost fuzz 'my files'");
}

#[test]
fn a_journal_of_a_later_format_is_refused_with_its_version() {
    let place = Place::new();
    let later = Header { format: 2, ..header() };
    drop(Journal::open(&place.path, &later).unwrap());
    let error = place.error();
    assert!(error.contains("it is of version 2 of the format, and this program knows version 1"), "{error}");
}

#[test]
fn two_cannot_write_the_same_journal() {
    let place = Place::new();
    let first = place.open().unwrap();
    assert_eq!(
        place.error(),
        "the journal night.log is in use by another process: wait until that has ended, or give another file"
    );
    let merge = merge::Shards::read(std::slice::from_ref(&place.path)).unwrap_err().to_string();
    assert!(merge.contains("is in use by another process"), "{merge}");
    drop(first);
    assert!(place.open().is_ok());
}
