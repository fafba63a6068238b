//! What the whole-product tests share: where things are, and the rules of the source tree.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// Whether a program is younger than every file that it was built from, which Cargo lists beside it.
fn is_current(program: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let (Some(built), Ok(list)) = (changed(program), fs::read_to_string(program.with_extension("d"))) else {
        return false;
    };
    let Some((_, files)) = list.split_once(": ") else { return false };
    // A path with a space is written with a backslash before it; it will not be found, and the program is built.
    files.split_whitespace().all(|file| changed(Path::new(file)).is_some_and(|changed| changed <= built))
}
