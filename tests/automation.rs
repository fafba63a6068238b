//! The workflows and manifests that run campaigns on other people's machines: read as YAML, and their command lines
//! executed one by one with small budgets. What is handed on between jobs stays in one folder here.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use saphyr::{LoadableYamlNode, YamlOwned};
use tempfile::TempDir;
use tests::{fencepost, files, workspace};

type Variables = BTreeMap<String, String>;

/// The documents of a file of the workspace.
fn yaml(path: &str) -> Vec<YamlOwned> {
    let text = fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    YamlOwned::load_from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn get<'a>(yaml: &'a YamlOwned, key: &str) -> Option<&'a YamlOwned> {
    yaml.as_mapping()?.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
}

#[track_caller]
fn at<'a>(yaml: &'a YamlOwned, path: &[&str]) -> &'a YamlOwned {
    path.iter().fold(yaml, |yaml, key| get(yaml, key).unwrap_or_else(|| panic!("there is no {key} of {path:?}")))
}

fn list(yaml: &YamlOwned) -> &[YamlOwned] {
    yaml.as_sequence().map_or(&[], |list| list.as_slice())
}

/// A text, or a number or flag as a text.
fn text(yaml: &YamlOwned) -> String {
    let number = || yaml.as_integer().map(|number| number.to_string());
    yaml.as_str().map(str::to_owned).or_else(number).unwrap_or_else(|| panic!("{yaml:?} is no text"))
}

/// A checkout with the command in its PATH, and with stand-ins for what is not there or takes too long.
struct Machine {
    folder: TempDir,
    variables: Variables,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let machine = Machine { folder, variables: Variables::new() };
        symlink(workspace().join("scenarios"), machine.path("scenarios")).expect("a link can be made");
        let program = PathBuf::from(fencepost().get_program());
        let bin = machine.path("bin");
        fs::create_dir_all(&bin).expect("a folder can be made");
        symlink(&program, bin.join("fencepost")).expect("a link can be made");
        // The very build that is asked for is what made this test.
        // Property tests take long and are what they are without this file: all that matters here is their seed.
        let cargo = format!(
            "case \"$*\" in\n\
             'build --locked --release --package scenarios') mkdir -p target/release && cp '{}' target/release/fencepost ;;\n\
             'test --locked --package sim-core --package protocols') test -n \"$PROPTEST_RNG_SEED\" ;;\n\
             *) exit 1 ;;\n\
             esac",
            program.display()
        );
        machine.script("bin/cargo", &cargo);
        machine.script("bin/rustup", "case \"$1\" in toolchain | default) ;; *) exit 1 ;; esac");
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn script(&self, path: &str, text: &str) {
        fs::write(self.path(path), format!("#!/bin/sh\n{text}\n")).expect("a file can be written");
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).expect("it can be made executable");
    }

    fn shell(&self, shell: &[&str], line: &str, variables: &Variables) -> Output {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(line).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FENCEPOST_") {
                command.env_remove(name);
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.path("bin").display())).env("CI", "true");
        command.envs(variables).envs(&self.variables);
        command.output().expect("a shell can be run")
    }
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A workflow with what its expressions stand for.
struct Workflow {
    yaml: YamlOwned,
    path: &'static str,
}

/// How a job ended, by its name.
type Ends = BTreeMap<String, bool>;

impl Workflow {
    fn read(path: &'static str) -> Self {
        let mut documents = yaml(path);
        assert_eq!(documents.len(), 1, "{path}");
        Workflow { yaml: documents.remove(0), path }
    }

    /// Executes all jobs in the order of what they need. `budgets` stand for variables of the same names.
    fn execute(&self, machine: &mut Machine, budgets: &[(&str, &str)]) -> Ends {
        machine.variables = budgets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut ends = Ends::new();
        let mut used = Variables::new();
        let jobs = at(&self.yaml, &["jobs"]).as_mapping().expect("jobs have names");
        while ends.len() < jobs.len() {
            let before = ends.len();
            for (name, job) in jobs {
                let name = text(name);
                let needs: Vec<String> = get(job, "needs").map(|needs| vec![text(needs)]).unwrap_or_default();
                if !ends.contains_key(&name) && needs.iter().all(|need| ends.contains_key(need)) {
                    let success = self.job(&name, job, machine, &mut used);
                    ends.insert(name, success);
                }
            }
            assert!(ends.len() > before, "{}: jobs need each other", self.path);
        }
        for (name, _) in budgets {
            assert!(used.contains_key(*name), "{}: {name} is not a variable of it", self.path);
        }
        ends
    }

    /// Every member of its matrix, if it has one.
    fn job(&self, name: &str, job: &YamlOwned, machine: &Machine, used: &mut Variables) -> bool {
        let matrix = get(job, "strategy").map(|strategy| at(strategy, &["matrix", "shard"]));
        let members: Vec<Option<String>> = match matrix {
            Some(shards) => list(shards).iter().map(|shard| Some(text(shard))).collect(),
            None => vec![None],
        };
        let mut success = true;
        for member in &members {
            let mut variables = Variables::new();
            for env in [get(&self.yaml, "env"), get(job, "env")].into_iter().flatten() {
                for (name, value) in env.as_mapping().expect("variables have names") {
                    variables.insert(text(name), evaluated(&text(value), member.as_deref()));
                }
            }
            if let (Some(shards), Some(_)) = (variables.get("SHARDS"), member) {
                assert_eq!(*shards, members.len().to_string(), "{}: SHARDS of {name}", self.path);
            }
            used.extend(variables.clone());
            success &=
                list(at(job, &["steps"])).iter().all(|step| self.step(step, machine, &variables, member.as_deref()));
        }
        success
    }

    /// Whether the job goes on.
    fn step(&self, step: &YamlOwned, machine: &Machine, variables: &Variables, member: Option<&str>) -> bool {
        let Some(line) = get(step, "run").map(text) else {
            let action = text(at(step, &["uses"]));
            assert!(action.starts_with("actions/") && action.contains("@v"), "{}: {action}", self.path);
            if action.starts_with("actions/upload-artifact") && !is_ignored(step) {
                let path = evaluated(&text(at(step, &["with", "path"])), member);
                assert!(machine.path(&path).exists(), "{}: there is no {path} to keep", self.path);
            }
            return true;
        };
        if line.starts_with(".ci/") {
            let metadata = fs::metadata(workspace().join(&line)).expect("the script is there");
            assert!(metadata.permissions().mode() & 0o111 != 0, "{line} cannot be executed");
            return true;
        }
        assert!(
            !line.contains("${{"),
            "{}: an expression in a command line can be anything; use env: {line}",
            self.path
        );
        // As GitHub calls it.
        let output = machine.shell(&["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"], &line, variables);
        let may_fail = get(step, "continue-on-error").and_then(YamlOwned::as_bool) == Some(true);
        let code = output.status.code();
        assert!(!matches!(code, Some(2 | 96 | 101 | 126 | 127) | None), "{line}: {code:?}\n{}", shown(&output));
        output.status.success() || may_fail
    }
}

/// Whether what a step keeps need not be there.
fn is_ignored(step: &YamlOwned) -> bool {
    text(at(step, &["with", "if-no-files-found"])) == "ignore"
}

/// A value without its expressions, of which only a few are used.
fn evaluated(value: &str, member: Option<&str>) -> String {
    let value =
        value.replace("${{ matrix.shard }}", member.unwrap_or("no matrix")).replace("${{ github.run_number }}", "7");
    assert!(!value.contains("${{"), "this test does not know what {value} stands for");
    value.trim().to_owned()
}

#[test]
fn every_workflow_asks_for_no_more_rights_than_it_needs_and_comes_to_an_end() {
    let workflows = files(".github/workflows", &[".yml"]);
    assert!(workflows.len() >= 3, "{} workflows", workflows.len());
    for file in workflows {
        let [workflow] = &yaml(&file.path)[..] else { panic!("{} is one document", file.path) };
        assert_eq!(text(at(workflow, &["permissions", "contents"])), "read", "{}", file.path);
        for (name, job) in at(workflow, &["jobs"]).as_mapping().expect("jobs have names") {
            assert!(get(job, "timeout-minutes").is_some(), "{}: {} could run for ever", file.path, text(name));
        }
    }
}

#[test]
fn the_pull_request_workflow_runs_regressions_and_a_short_search() {
    let workflow = Workflow::read(".github/workflows/pull-request.yml");
    let mut machine = Machine::new();
    // One small scenario stands for all of them.
    fs::remove_file(machine.path("scenarios")).expect("the link can be removed");
    fs::create_dir(machine.path("scenarios")).expect("a folder can be made");
    symlink(workspace().join("scenarios/lease"), machine.path("scenarios/lease")).expect("a link can be made");
    let budgets = [("SEARCH_TIME", "50ms"), ("SEARCH_SCENARIOS", "lease/partition lease/steady")];
    let ends = workflow.execute(&mut machine, &budgets);
    assert_eq!(ends, [("checks".to_owned(), true), ("search".to_owned(), true)].into());
    for report in ["report/scenarios.xml", "report/search.xml", "report/search.html"] {
        assert!(machine.path(report).exists(), "there is no {report}");
    }
    // A violation turns it red.
    let canary = fs::read_to_string(workspace().join("scenarios/lease/defects/no-fencing.toml")).expect("it is there");
    let (canary, _) = canary.split_once("[expect]").expect("it is a canary");
    fs::write(machine.path("scenarios/broken.toml"), canary).expect("it can be written");
    assert!(!workflow.execute(&mut machine, &budgets)["search"]);
}

#[test]
fn the_nightly_workflow_merges_its_shards_and_its_canary_fails() {
    let workflow = Workflow::read(".github/workflows/nightly.yml");
    let mut machine = Machine::new();
    let scenarios = "lease/partition lease/steady";
    let budgets = [
        ("NIGHTLY_SEEDS", "60"),
        ("NIGHTLY_SCENARIOS", scenarios),
        ("NIGHTLY_EXPLORE", "two-phase-commit"),
        ("NIGHTLY_DEFECTS", "--system lease"),
    ];
    let ends = workflow.execute(&mut machine, &budgets);
    assert!(ends.len() == 6 && ends.values().all(|success| *success), "{ends:?}");
    assert_same_hashes(&machine, &machine.path("report/nightly.xml"), scenarios, "420..480");

    // What a shard finds turns the report red, although the shard's own job goes on.
    let mut machine = Machine::new();
    let broken = machine.path("broken.toml");
    let canary = fs::read_to_string(workspace().join("scenarios/lease/defects/no-fencing.toml")).expect("it is there");
    fs::write(&broken, canary.split_once("[expect]").expect("it is a canary").0).expect("it can be written");
    let budgets = [
        ("NIGHTLY_SEEDS", "8"),
        ("NIGHTLY_SCENARIOS", "broken.toml"),
        ("NIGHTLY_EXPLORE", "broken.toml"),
        ("NIGHTLY_DEFECTS", "--system lease"),
    ];
    let ends = workflow.execute(&mut machine, &budgets);
    assert_eq!((ends["shard"], ends["merge"], ends["explore"], ends["canary"]), (true, false, false, true));
}

/// The trace hashes of a report are those of the campaign in one piece.
fn assert_same_hashes(machine: &Machine, report: &Path, scenarios: &str, seeds: &str) {
    let line = format!("fencepost fuzz {scenarios} --seeds {seeds} --junit whole.xml");
    let output = machine.shell(&["bash", "-c"], &line, &Variables::new());
    assert!(output.status.success(), "{}", shown(&output));
    let hashes = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.lines().filter(|line| line.contains("trace-hash")).map(str::to_owned).collect::<Vec<_>>()
    };
    let whole = hashes(&machine.path("whole.xml"));
    assert_eq!(whole.len(), scenarios.split(' ').count());
    assert_eq!(hashes(report), whole);
}

/// A pod of a job, as far as it matters here.
struct Pod<'a> {
    spec: &'a YamlOwned,
    container: &'a YamlOwned,
}

impl<'a> Pod<'a> {
    fn of(job: &'a YamlOwned) -> Self {
        let spec = at(job, &["spec", "template", "spec"]);
        let [container] = list(at(spec, &["containers"])) else { panic!("a pod has one container") };
        Pod { spec, container }
    }

    fn variables(&self) -> Variables {
        let pair = |variable: &YamlOwned| (text(at(variable, &["name"])), text(at(variable, &["value"])));
        list(at(self.container, &["env"])).iter().map(pair).collect()
    }

    /// Its command on a machine whose volume is a folder.
    fn run(&self, machine: &Machine, changed: &[(&str, &str)]) -> Output {
        let mut variables = self.variables();
        for (name, value) in changed {
            let known = variables.insert((*name).to_owned(), (*value).to_owned()).is_some();
            assert!(known || *name == "JOB_COMPLETION_INDEX", "{name} is not a variable of the pod");
        }
        let command: Vec<String> = list(at(self.container, &["command"])).iter().map(text).collect();
        let [argument] = list(at(self.container, &["args"])) else { panic!("a shell takes one argument") };
        let shell: Vec<&str> = command.iter().map(String::as_str).collect();
        machine.shell(&shell, &text(argument), &variables)
    }

    /// What is mounted where the journals are.
    fn assert_has_volume(&self, claim: &str) {
        let [mount] = list(at(self.container, &["volumeMounts"])) else { panic!("there is one volume") };
        assert_eq!(text(at(mount, &["mountPath"])), self.variables()["JOURNALS"]);
        assert_eq!(text(at(self.container, &["workingDir"])), self.variables()["JOURNALS"]);
        let [volume] = list(at(self.spec, &["volumes"])) else { panic!("there is one volume") };
        assert_eq!(text(at(volume, &["name"])), text(at(mount, &["name"])));
        assert_eq!(text(at(volume, &["persistentVolumeClaim", "claimName"])), claim);
    }
}

#[test]
fn the_manifest_runs_a_shard_a_pod_and_merges_them() {
    let [claim, job] = &yaml("deploy/kubernetes/campaign.yaml")[..] else { panic!("a volume and a job") };
    let [merge] = &yaml("deploy/kubernetes/merge.yaml")[..] else { panic!("a job") };
    assert_eq!(text(at(claim, &["kind"])), "PersistentVolumeClaim");
    let claim = text(at(claim, &["metadata", "name"]));
    for job in [job, merge] {
        assert_eq!(
            (text(at(job, &["apiVersion"])), text(at(job, &["kind"]))),
            ("batch/v1".to_owned(), "Job".to_owned())
        );
        assert_eq!(text(at(job, &["spec", "template", "spec", "restartPolicy"])), "Never");
        Pod::of(job).assert_has_volume(&claim);
    }
    assert_eq!(text(at(job, &["spec", "completionMode"])), "Indexed");
    let completions = at(job, &["spec", "completions"]).as_integer().expect("a number");
    let pod = Pod::of(job);
    assert_eq!(pod.variables()["SHARDS"], completions.to_string(), "every shard has a pod");

    let machine = Machine::new();
    let journals = machine.path("volume").display().to_string();
    let scenarios = "lease/partition lease/steady";
    let small = [("JOURNALS", journals.as_str()), ("SCENARIOS", scenarios), ("FENCEPOST_SEEDS", "0..50")];
    for index in 0..completions {
        let index = index.to_string();
        // A pod that is begun again goes on with its journal.
        for _ in 0..2 {
            let output = pod.run(&machine, &[&small[..], &[("JOB_COMPLETION_INDEX", &index)]].concat());
            assert!(output.status.success(), "pod {index}: {}", shown(&output));
        }
    }
    let output = Pod::of(merge).run(&machine, &small[..1]);
    assert!(output.status.success(), "{}", shown(&output));
    assert!(machine.path("volume/report.html").exists());
    assert_same_hashes(&machine, &machine.path("volume/report.xml"), scenarios, "0..50");

    // A pod that finds something has done its work; one that cannot work is begun again; the merged report is red.
    fs::remove_dir_all(machine.path("volume")).expect("the volume can be emptied");
    let canary = fs::read_to_string(workspace().join("scenarios/lease/defects/no-fencing.toml")).expect("it is there");
    let broken = canary.split_once("[expect]").expect("it is a canary").0;
    fs::write(machine.path("broken.toml"), broken).expect("it can be written");
    let red = [("JOURNALS", journals.as_str()), ("SCENARIOS", "broken.toml"), ("FENCEPOST_SEEDS", "0..8")];
    for index in 0..completions {
        let output = pod.run(&machine, &[&red[..], &[("JOB_COMPLETION_INDEX", &index.to_string())]].concat());
        assert!(output.status.success(), "pod {index}: {}", shown(&output));
    }
    assert_eq!(Pod::of(merge).run(&machine, &red[..1]).status.code(), Some(10));
    let nothing =
        pod.run(&machine, &[("SCENARIOS", "nowhere.toml"), ("JOURNALS", &journals), ("JOB_COMPLETION_INDEX", "0")]);
    assert_eq!(nothing.status.code(), Some(4));
}

#[test]
fn the_image_is_built_as_the_manifests_expect() {
    let text = fs::read_to_string(workspace().join("deploy/Dockerfile")).expect("it is there");
    for line in
        ["RUN cargo build --locked --release --package scenarios", "ENTRYPOINT [\"fencepost\"]", "USER 65532:65532"]
    {
        assert!(text.lines().any(|known| known == line), "there is no {line}");
    }
    let manifest = yaml("deploy/kubernetes/campaign.yaml");
    let user = at(&manifest[1], &["spec", "template", "spec", "securityContext", "runAsUser"]);
    assert_eq!(user.as_integer(), Some(65532));
}
