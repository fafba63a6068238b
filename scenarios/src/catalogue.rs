//! Where scenarios come from: the folder `scenarios` of the current directory, or the set that was built into the
//! command; and which of them a name on the command line means.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::NamedSource;

use crate::format::{self, FileError, Problem, nearest};
use crate::registry::{Compiled, Registry};
use crate::regressions::{self, Regression, RegressionError};

/// The folder that is looked for, and that names are relative to.
const FOLDER: &str = "scenarios";

/// Folders in there that hold no scenarios.
const NOT_SCENARIOS: &[&str] = &[regressions::FOLDER, "src", "tests", "examples", "benches", "target"];

/// All files below the folder of scenarios, as they were when this was built: path below the folder, and text.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The scenarios that can be named, sorted by name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

/// A scenario that has not been read.
#[derive(Clone, Debug)]
pub struct Entry {
    name: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// A file, and the folder that its name is relative to.
    Disk { path: PathBuf, root: PathBuf },
    /// A file that is built in, by its path below the folder of scenarios.
    Embedded { path: &'static str, text: &'static str },
}

impl Catalogue {
    /// The scenarios of `./scenarios`, or those that are built in if there are none. Of the latter, only those whose
    /// protocol is registered: a command of one's own need not know them all.
    ///
    /// # Errors
    /// If the folder exists and cannot be read.
    pub fn open(registry: &Registry) -> io::Result<Self> {
        let here = Path::new(FOLDER);
        let on_disk = if here.is_dir() { Self::of_folder(here)? } else { Catalogue { entries: Vec::new() } };
        Ok(if on_disk.entries.is_empty() { Self::built_in(registry) } else { on_disk })
    }

    /// The scenarios of a folder.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_folder(root: &Path) -> io::Result<Self> {
        let mut paths = Vec::new();
        collect(root, &mut paths)?;
        let mut entries: Vec<Entry> = paths.into_iter().map(|path| Entry::below(root, path)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Catalogue { entries })
    }

    /// The scenarios that are built in and whose protocol is registered.
    pub fn built_in(registry: &Registry) -> Self {
        let entries = EMBEDDED.iter().filter_map(|&(path, text)| {
            let name = path.strip_suffix(".toml")?;
            let known = protocol(text).is_some_and(|protocol| registry.get(&protocol).is_some());
            let is_scenario = !name.starts_with(regressions::FOLDER);
            (known && is_scenario).then(|| Entry { name: name.to_owned(), place: Place::Embedded { path, text } })
        });
        Catalogue { entries: entries.collect() }
    }

    /// All scenarios.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The scenarios that `wanted` means: a name such as `artemis/failback`, a folder of them such as `artemis`, or
    /// the path of a file or folder.
    ///
    /// # Errors
    /// If there is none, with the nearest name; or if a folder cannot be read.
    pub fn find(&self, wanted: &str) -> io::Result<Vec<Entry>> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.name == wanted) {
            return Ok(vec![entry.clone()]);
        }
        let path = Path::new(wanted);
        if path.is_file() {
            return Ok(vec![Entry::of_file(path)]);
        }
        let folder = format!("{}/", wanted.trim_end_matches('/'));
        let below: Vec<_> = self.entries.iter().filter(|entry| entry.name.starts_with(&folder)).cloned().collect();
        if !below.is_empty() {
            return Ok(below);
        }
        if path.is_dir() {
            let entries = Self::of_folder(path)?.entries;
            let named = entries.into_iter().map(|entry| entry.path().map(Entry::of_file).unwrap_or(entry));
            return Ok(named.collect());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, self.not_found(wanted)))
    }

    fn not_found(&self, wanted: &str) -> String {
        let name = wanted.trim_end_matches(".toml").trim_start_matches("./").trim_start_matches("scenarios/");
        let near = nearest(name, self.entries.iter().map(|entry| entry.name.as_str()));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.entries.is_empty() => "there are no scenarios here: give the path of a file".to_owned(),
            None => "`fencepost list scenarios` shows all of them".to_owned(),
        };
        format!("there is no scenario `{wanted}`; {hint}")
    }
}

impl Entry {
    /// The scenario in a file. If a folder above it is called `scenarios`, the name starts below that.
    pub fn of_file(path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let depth = absolute.ancestors().skip(1).position(|folder| folder.ends_with(FOLDER)).unwrap_or(0);
        // The same number of folders up from the path as it was written, which reads better in messages.
        match path.ancestors().nth(depth + 1) {
            Some(root) if depth == 0 || !root.as_os_str().is_empty() => Entry::below(root, path.to_owned()),
            _ => {
                let root = absolute.ancestors().nth(depth + 1).unwrap_or(&absolute).to_owned();
                Entry::below(&root, absolute)
            }
        }
    }

    fn below(root: &Path, path: PathBuf) -> Self {
        let below = path.strip_prefix(root).unwrap_or(&path).with_extension("");
        let name = below.to_string_lossy().replace('\\', "/");
        Entry { name, place: Place::Disk { path, root: root.to_owned() } }
    }

    /// What the scenario is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file, if it is not built in.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Disk { path, .. } => Some(path),
            Place::Embedded { .. } => None,
        }
    }

    /// What to call it on a command line.
    pub fn argument(&self) -> String {
        self.path().map_or_else(|| self.name.clone(), |path| path.display().to_string())
    }

    /// The file of its regressions, which need not exist: a scenario that is built in keeps new ones below
    /// `./scenarios`.
    pub fn regressions_path(&self) -> PathBuf {
        match &self.place {
            Place::Disk { root, .. } => regressions::path(root, &self.name),
            Place::Embedded { .. } => regressions::path(Path::new(FOLDER), &self.name),
        }
    }

    /// Reads the seeds that once failed; none if nobody kept any.
    ///
    /// # Errors
    /// If the file is there and cannot be read, or if a line of it is wrong.
    pub fn regressions(&self) -> io::Result<Vec<Regression>> {
        let path = self.regressions_path();
        let parsed = match (fs::read_to_string(&path), &self.place) {
            (Ok(text), _) => regressions::parse(&path, &text),
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display())));
            }
            (Err(_), Place::Disk { .. }) => return Ok(Vec::new()),
            (Err(_), Place::Embedded { .. }) => {
                let below = regressions::path(Path::new(""), &self.name);
                let text = EMBEDDED.iter().find(|(path, _)| below == Path::new(path)).map_or("", |(_, text)| text);
                regressions::parse(&below, text)
            }
        };
        parsed.map_err(|error: RegressionError| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The text of the file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn source(&self) -> io::Result<Arc<str>> {
        match &self.place {
            Place::Disk { path, .. } => fs::read_to_string(path).map(Arc::from),
            Place::Embedded { text, .. } => Ok(Arc::from(*text)),
        }
    }

    /// Reads the scenario and makes it ready to run.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn load(&self, registry: &Registry) -> Result<Box<dyn Compiled>, FileError> {
        let path = match &self.place {
            Place::Disk { path, .. } => path.as_path(),
            Place::Embedded { path, .. } => Path::new(path),
        };
        let text = self.source().map_err(|error| unreadable(path, &error))?;
        let scenario = Arc::new(format::parse(&self.name, path, text, registry)?);
        let protocol = registry.get(&scenario.protocol).expect("a scenario that was read names a registered protocol");
        protocol.compile(&scenario)
    }
}

fn unreadable(path: &Path, error: &io::Error) -> FileError {
    let file = path.display().to_string();
    let nothing = Arc::new(NamedSource::new(&file, Arc::from("")));
    let message = match error.kind() {
        io::ErrorKind::InvalidData => format!("{file} is not text in UTF-8"),
        _ => format!("{file} cannot be read: {error}"),
    };
    FileError::new(file, vec![Problem::new(nothing, message)])
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !NOT_SCENARIOS.contains(&name.as_str()) {
                collect(&path, paths)?;
            }
        } else if name.ends_with(".toml") && name != "Cargo.toml" {
            paths.push(path);
        }
    }
    Ok(())
}

/// The protocol that a file names, however wrong the rest may be.
fn protocol(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    Some(table.get("protocol")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(Entry::name).collect()
    }

    #[test]
    fn scenarios_are_named_by_their_path_below_the_folder() {
        let folder = folder(&[
            "scenarios/artemis/failback.toml",
            "scenarios/artemis/canaries/no-vote.toml",
            "scenarios/loose.toml",
            "scenarios/Cargo.toml",
            "scenarios/src/x.toml",
            "scenarios/regressions/artemis/failback.txt",
        ]);
        let root = folder.path().join("scenarios");
        let catalogue = Catalogue::of_folder(&root).unwrap();
        assert_eq!(names(catalogue.entries()), ["artemis/canaries/no-vote", "artemis/failback", "loose"]);
        assert_eq!(names(&catalogue.find("artemis").unwrap()), ["artemis/canaries/no-vote", "artemis/failback"]);
        assert_eq!(names(&catalogue.find("artemis/failback").unwrap()), ["artemis/failback"]);

        let by_path = catalogue.find(root.join("artemis/failback.toml").to_str().unwrap()).unwrap();
        assert_eq!(names(&by_path), ["artemis/failback"]);
        assert_eq!(by_path[0].regressions_path(), root.join("regressions/artemis/failback.txt"));
        let by_folder = Catalogue { entries: Vec::new() }.find(root.join("artemis").to_str().unwrap()).unwrap();
        assert_eq!(names(&by_folder), ["artemis/canaries/no-vote", "artemis/failback"]);
    }

    #[test]
    fn a_file_outside_any_folder_of_scenarios_is_named_by_itself() {
        let folder = folder(&["mine.toml"]);
        let entry = Entry::of_file(&folder.path().join("mine.toml"));
        assert_eq!(entry.name(), "mine");
        assert_eq!(entry.regressions_path(), folder.path().join("regressions/mine.txt"));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let folder = folder(&["artemis/failback.toml", "sling/delay.toml"]);
        let catalogue = Catalogue::of_folder(folder.path()).unwrap();
        let error = |name| catalogue.find(name).unwrap_err().to_string();
        assert_eq!(
            error("artemis/failbcak"),
            "there is no scenario `artemis/failbcak`; did you mean `artemis/failback`?"
        );
        assert_eq!(
            error("scenarios/sling/dely.toml"),
            "there is no scenario `scenarios/sling/dely.toml`; did you mean `sling/delay`?"
        );
        assert_eq!(
            error("zookeeper"),
            "there is no scenario `zookeeper`; `fencepost list scenarios` shows all of them"
        );
    }
}
