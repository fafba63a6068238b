//! One process of a node, as its supervisor has it.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use sim_core::NodeId;
use sim_core::host::frame::Frame;
use sim_core::host::record::{Framed, Said, Told};

/// What comes from processes.
pub struct Heard {
    /// Of which node.
    pub node: NodeId,
    /// Which of its processes, by the supervisor's count.
    pub child: u64,
    /// When it was heard.
    pub at: std::time::Instant,
    /// What it said; `None` when it says nothing more.
    pub said: Option<Said>,
}

/// A process that was started.
pub struct Child {
    /// Which of all that were started.
    pub number: u64,
    process: Process,
    stdin: ChildStdin,
    complaints: PathBuf,
}

impl Child {
    /// Starts a process. What it says goes to `heard`, what it complains of to a file.
    pub fn start(
        mut command: Command,
        node: NodeId,
        number: u64,
        complaints: &Path,
        heard: Sender<Heard>,
    ) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let log = File::options().create(true).append(true).open(complaints)?;
        // A group of its own: Ctrl-C is for the supervisor, which then ends it in good order.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut process = command.spawn()?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            unreachable!("both have just been asked for");
        };
        thread::Builder::new().name(format!("hears {node}")).spawn(move || {
            let mut stdout = BufReader::new(stdout);
            // Whatever is no frame of ours ends it like its end.
            while let Ok(Some(frame)) = Frame::wait_for(&mut stdout) {
                let Some(said) = Said::from_frame(&frame) else { break };
                if heard.send(Heard { node, child: number, at: std::time::Instant::now(), said: Some(said) }).is_err() {
                    return;
                }
            }
            // If nobody waits for it any more, nobody needs to know.
            _ = heard.send(Heard { node, child: number, at: std::time::Instant::now(), said: None });
        })?;
        Ok(Child { number, process, stdin, complaints: complaints.to_owned() })
    }

    /// Tells it something. If it is dead, its end is about to be heard.
    pub fn tell(&mut self, told: &Told) {
        if let Some(frame) = told.to_frame() {
            _ = self.stdin.write_all(&frame).and_then(|()| self.stdin.flush());
        }
    }

    /// Sends it a signal. One that has ended by itself needs none.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.process.wait()
    }

    /// The last of what it complained of.
    pub fn complaint(&self) -> String {
        let text = std::fs::read_to_string(&self.complaints).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        _ = self.process.wait();
    }
}
