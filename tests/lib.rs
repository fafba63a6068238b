//! What the whole-product tests share: where things are, and the rules of the source tree.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

pub mod rules;

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies one folder below the workspace").to_owned()
}

/// A file of the workspace that holds text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path below the root of the workspace, with slashes.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// The files below a folder of the workspace whose names end in one of `endings`, by path. Folders that hold what is
/// built or downloaded, and hidden ones, are left out.
///
/// # Panics
/// If a folder or a file cannot be read, which is an error of the test's surroundings.
pub fn files(folder: &str, endings: &[&str]) -> Vec<File> {
    let mut files = Vec::new();
    collect(&workspace(), folder, endings, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, folder: &str, endings: &[&str], files: &mut Vec<File>) {
    let place = root.join(folder);
    let entries = fs::read_dir(&place).unwrap_or_else(|error| panic!("cannot list {}: {error}", place.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("cannot list {}: {error}", place.display()));
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.path().is_dir() {
            if !name.starts_with('.') && name != "target" {
                collect(root, &path, endings, files);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let text = fs::read_to_string(entry.path()).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
            files.push(File { path, text });
        }
    }
}

/// The `fencepost` command of this very build, called from the root of the workspace and without what the
/// environment would have it do differently.
///
/// # Panics
/// If it cannot be built.
pub fn fencepost() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let program = BUILT.get_or_init(build_fencepost);
    let mut command = Command::new(program);
    command.current_dir(workspace());
    let fencepost = ["FENCEPOST_SEED", "FENCEPOST_SEEDS", "FENCEPOST_TIME", "FENCEPOST_JOBS"];
    for variable in fencepost.into_iter().chain(["CI", "NO_COLOR", "CLICOLOR_FORCE"]) {
        command.env_remove(variable);
    }
    command.env("COLUMNS", "100");
    command
}

/// Cargo builds the programs of a test's own package only. A run of all tests has built this one for its own package's
/// tests; otherwise it is asked for.
fn build_fencepost() -> PathBuf {
    let tests = env::current_exe().expect("a test knows its own path");
    // target/<profile>/deps/<test>
    let profile = tests.ancestors().nth(2).expect("tests lie two folders below the profile's");
    let program = profile.join(format!("fencepost{}", env::consts::EXE_SUFFIX));
    // To ask would build most of it a second time: Cargo chooses other features of what a package alone depends on.
    if is_current(&program) {
        return program;
    }
    let target = profile.parent().expect("a profile's folder lies in the target folder");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "scenarios", "--bin", "fencepost", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(workspace()).status().expect("cargo can be run");
    assert!(status.success(), "fencepost cannot be built: {status}");
    program
}

/// What `fencepost` is built from.
const SOURCES: &[&str] = &["Cargo.lock", "Cargo.toml", ".cargo", "sim-core", "protocols", "scenarios"];

/// Whether a program is at least as young as all that it is built from.
fn is_current(program: &Path) -> bool {
    let built = fs::metadata(program).and_then(|metadata| metadata.modified());
    built.is_ok_and(|built| SOURCES.iter().all(|source| is_older(&workspace().join(source), built)))
}

/// Whether neither a file nor, of a folder, anything in it was changed after a moment. What no program is built from does not
/// count.
fn is_older(path: &Path, moment: SystemTime) -> bool {
    let is_extension = |extension| matches!(extension, "md" | "json" | "snap");
    if path.ends_with("tests") || path.extension().and_then(OsStr::to_str).is_some_and(is_extension) {
        return true;
    }
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
    let is_older_below = || {
        let entries = fs::read_dir(path);
        entries.is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| is_older(&entry.path(), moment))))
    };
    changed.is_ok_and(|changed| changed <= moment) && (!path.is_dir() || is_older_below())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_program_is_current_until_something_that_it_is_built_from_changes() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let place = |name: &str| folder.path().join(name);
        let built = SystemTime::now() + Duration::from_secs(60);
        let write = |name: &str, changed: SystemTime| {
            fs::create_dir_all(place(name).parent().expect("it is below the folder")).expect("a folder can be made");
            let file = fs::File::create(place(name)).expect("a file can be made");
            file.set_modified(changed).expect("its time can be set");
        };
        for name in ["src/lib.rs", "tests/a.rs", "README.md"] {
            write(name, built);
        }
        assert!(is_older(folder.path(), built), "what is as old as the program was there when it was built");
        let later = built + Duration::from_secs(1);
        write("tests/a.rs", later);
        write("README.md", later);
        assert!(is_older(folder.path(), built), "it is not built from these");
        write("src/deep/table.css", later);
        assert!(!is_older(folder.path(), built));
        assert!(!is_older(&place("missing"), built));
    }
}
