//! What the whole-product tests share: where things are, and the rules of the source tree.

use std::fs;
use std::path::{Path, PathBuf};

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
