//! The commands in the documents exist: every line of a shell block that calls `fencepost` or `cargo` names verbs,
//! options, packages and scenarios that are there. The documents are read before anything is run, and nobody runs
//! them after.

use std::collections::{BTreeMap, BTreeSet};

use scenarios::catalogue::Catalogue;
use tests::{File, fencepost, files, workspace};

/// A command line in a document.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    place: String,
    words: Vec<String>,
}

/// The commands of all shell blocks of a document.
fn commands(file: &File) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut block: Option<&str> = None;
    let mut carried = String::new();
    for (number, line) in file.text.lines().enumerate() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language.trim()) };
            continue;
        }
        let command = match block {
            // What has no prompt in a console is output.
            Some("console" | "text") => line.trim_start().strip_prefix("$ "),
            Some("sh" | "bash" | "shell") => Some(line),
            _ => None,
        };
        let Some(command) = command else { continue };
        if let Some(start) = command.strip_suffix('\\') {
            carried = format!("{carried}{start} ");
            continue;
        }
        let words = words(&format!("{carried}{command}"));
        carried.clear();
        if !words.is_empty() {
            lines.push(Line { place: format!("{}:{}", file.path, number + 1), words });
        }
    }
    lines
}

/// The words of a command line up to a comment, a pipe or another command; variables in front are left out.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote, mut started) = (String::new(), None, false);
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => (quote, started) = (Some(c), true),
            (None, '#') if !started => break,
            (None, '|' | ';' | '&' | '>') => break,
            (None, c) if c.is_whitespace() => {
                if started {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            (_, c) => {
                word.push(c);
                started = true;
            }
        }
    }
    let is_variable = |word: &&String| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    words.iter().skip_while(is_variable).cloned().collect()
}

/// The long help of the command, or of one of its verbs; none if there is no such verb.
fn help(verb: Option<&str>) -> Option<String> {
    let output = fencepost().args(verb).arg("--help").output().expect("the command can be run");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What is wrong with a call of `fencepost`.
fn wrong_with_fencepost(arguments: &[String], helps: &mut BTreeMap<Option<String>, Option<String>>) -> Vec<String> {
    let catalogue =
        Catalogue::of_folder(&workspace().join("scenarios")).expect("the folder of scenarios can be listed");
    let protocols: BTreeSet<&str> = catalogue.entries().iter().filter_map(|e| e.name().split('/').next()).collect();
    let verb = arguments.first().filter(|first| !first.starts_with('-')).cloned();
    let entry = helps.entry(verb.clone()).or_insert_with_key(|verb| help(verb.as_deref()));
    let Some(help) = entry else { return vec![format!("there is no verb {}", verb.unwrap_or_default())] };
    let mut wrong = Vec::new();
    for argument in arguments.iter().skip(usize::from(verb.is_some())) {
        let option = argument.split('=').next().unwrap_or(argument);
        if option.starts_with('-') {
            let known = help.split(|c: char| c.is_whitespace() || ",=[]`".contains(c)).any(|word| word == option);
            if !known {
                wrong.push(format!("{} has no option {option}", verb.as_deref().unwrap_or("fencepost")));
            }
        } else if argument.starts_with("scenarios/") {
            // A file to be written, such as a new scenario, need not exist.
            if !workspace().join(argument).exists() && verb.as_deref() != Some("new") {
                wrong.push(format!("there is no {argument}"));
            }
        } else if let Some((folder, _)) = argument.split_once('/')
            && protocols.contains(folder)
            && catalogue.find(argument).is_err()
            && verb.as_deref() != Some("new")
        {
            wrong.push(format!("there is no scenario {argument}"));
        }
    }
    wrong
}

/// What is wrong with a call of `cargo`, and the call of `fencepost` in it if there is one.
fn wrong_with_cargo(arguments: &[String]) -> (Vec<String>, Option<Vec<String>>) {
    let mut wrong = Vec::new();
    let known =
        ["bench", "build", "check", "clippy", "doc", "fmt", "fuzz", "insta", "install", "nextest", "run", "test"];
    let verb = arguments.first().map(String::as_str).unwrap_or_default();
    if !known.contains(&verb) {
        wrong.push(format!("cargo {verb} is not one of {}", known.join(", ")));
    }
    let mut before = arguments.split(|argument| argument == "--");
    let own = before.next().unwrap_or_default();
    let after: Option<Vec<String>> = before.next().map(<[String]>::to_vec);
    let manifests = files("", &["Cargo.toml"]);
    for pair in own.windows(2) {
        let name = &pair[1];
        let exists = match pair[0].as_str() {
            "-p" | "--package" => manifests.iter().any(|file| file.text.contains(&format!("name = \"{name}\""))),
            "--test" | "--bench" | "--bin" | "--example" => {
                !files("", &[&format!("{name}.rs")]).is_empty()
                    || manifests.iter().any(|file| file.text.contains(&format!("name = \"{name}\"")))
            }
            _ => true,
        };
        if !exists {
            wrong.push(format!("there is no {name} for {}", pair[0]));
        }
    }
    let runs_fencepost =
        verb == "run" && !own.iter().any(|argument| ["-p", "--example", "--bin"].contains(&argument.as_str()));
    (wrong, if runs_fencepost { Some(after.unwrap_or_default()) } else { None })
}

#[test]
fn every_command_in_the_documents_exists() {
    let documents = files("", &[".md"]);
    assert!(documents.iter().any(|file| file.path == "README.md"), "there is no README.md");
    let mut helps = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for line in documents.iter().flat_map(commands) {
        let program = line.words[0].rsplit('/').next().unwrap_or_default();
        let found = match program {
            "fencepost" => wrong_with_fencepost(&line.words[1..], &mut helps),
            "cargo" => {
                let (mut found, inner) = wrong_with_cargo(&line.words[1..]);
                if let Some(inner) = inner {
                    found.extend(wrong_with_fencepost(&inner, &mut helps));
                }
                found
            }
            _ => continue,
        };
        checked += 1;
        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", line.place)));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(checked > 5, "only {checked} commands were found; are the blocks marked as console or sh?");
}

#[test]
fn commands_are_found_in_shell_blocks_only_and_split_as_a_shell_does() {
    let text = "\
```console\n$ FENCEPOST_SEED=0x2a cargo test -p tests artemis/x -- --exact   # once more\nFAIL fencepost\n```\n\
```sh\nfencepost run 'a b' \\\n  --jobs 2 | head\n```\n```toml\nfencepost = 1\n```\nfencepost nothing\n";
    let file = File { path: "a.md".to_owned(), text: text.to_owned() };
    let found: Vec<_> = commands(&file).into_iter().map(|line| line.words.join("·")).collect();
    assert_eq!(found, ["cargo·test·-p·tests·artemis/x·--·--exact", "fencepost·run·a b·--jobs·2"]);
}

#[test]
fn commands_that_do_not_exist_are_found() {
    let words = |line: &str| words(line);
    let fencepost = |line: &str| wrong_with_fencepost(&words(line), &mut BTreeMap::new());
    assert_eq!(fencepost("run --seeds 10"), Vec::<String>::new());
    assert_eq!(fencepost("dance"), ["there is no verb dance"]);
    assert_eq!(fencepost("run --speeds=10"), ["run has no option --speeds"]);
    assert_eq!(fencepost("run scenarios/nowhere/x.toml"), ["there is no scenarios/nowhere/x.toml"]);
    let cargo = |line: &str| wrong_with_cargo(&words(line));
    assert_eq!(cargo("test -p tests --test determinism"), (Vec::new(), None));
    assert_eq!(cargo("run --release -- run --seeds 3").1, Some(words("run --seeds 3")));
    assert_eq!(cargo("run --release").1, Some(Vec::new()));
    assert_eq!(cargo("test -p nowhere").0, ["there is no nowhere for -p"]);
    assert_eq!(cargo("flambe").0.len(), 1);
}
