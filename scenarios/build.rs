//! Puts the scenario files and the seeds that once failed into the command, so that it works without the repository.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut files = Vec::new();
    for entry in fs::read_dir(&root)? {
        let path = entry?.path();
        let is_code = ["src", "tests", "examples", "benches", "target"].iter().any(|folder| path.ends_with(folder));
        if path.is_dir() && !is_code {
            collect(&path, &mut files)?;
        }
    }
    files.sort();

    let mut code = String::from("&[\n");
    for path in files {
        let below = path.strip_prefix(&root).expect("it was found there");
        let name = below.to_str().expect("names of scenarios are text").replace('\\', "/");
        writeln!(code, "    ({name:?}, include_str!({:?})),", path.display().to_string()).expect("a String takes all");
    }
    code.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("embedded.rs"), code)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml" || extension == "txt") {
            files.push(path);
        }
    }
    Ok(())
}
