//! Files that are wrong, each with what is said about it: read the snapshots as someone who has just made the mistake.

use std::path::{Path, PathBuf};

use scenarios::format::{FileError, parse};

use crate::common::{registry, rendered};

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let entries = std::fs::read_dir(folder).expect("a folder of this crate");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).expect("a name in ASCII")
}

fn refused(path: &Path) -> FileError {
    let text = std::fs::read_to_string(path).expect("a file of this crate");
    let shown = format!("{}.toml", stem(path));
    match parse(stem(path), Path::new(&shown), text.into(), &registry()) {
        Ok(_) => panic!("{} is accepted, and it is broken", path.display()),
        Err(error) => error,
    }
}

#[test]
fn every_broken_file_is_told_what_is_wrong() {
    let corpus = corpus();
    assert!(corpus.len() >= 40, "only {} broken files", corpus.len());
    for path in corpus {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "../broken" }, {
            insta::assert_snapshot!(stem(&path), rendered(&refused(&path)));
        });
    }
}

#[test]
fn no_diagnostic_is_generic() {
    for path in corpus() {
        for problem in refused(&path).problems() {
            let name = stem(&path);
            assert!(problem.position().is_some(), "{name}: `{problem}` points nowhere");
            let advice = problem.advice().unwrap_or_default();
            assert!(advice.len() > 10, "{name}: `{problem}` does not say what to do");
            assert!(problem.message().len() > 15, "{name}: `{problem}` says too little");
            for word in ["invalid", "Error", "unexpected", "error", "null", "NaN"] {
                assert!(!problem.message().contains(word), "{name}: `{problem}` is what a machine would say");
            }
        }
    }
}

#[test]
fn each_problem_is_told_once() {
    for path in corpus() {
        let error = refused(&path);
        let mut seen: Vec<_> = error.problems().iter().map(|p| (p.position(), p.message().to_owned())).collect();
        let all = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), all, "{} says something twice", stem(&path));
    }
}
