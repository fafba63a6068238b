//! The supervisor of a run: starts the processes of a cluster, breaks what the plan breaks, and writes down what they note.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::process::Signal;
use sim_core::host::merge::{Cause, Death, Done, Reading, Record};
use sim_core::host::mirror::{Deed, Follower, Order};
use sim_core::host::record::{Came, Note, Said, Told};
use sim_core::host::tokio::{find, tear};
use sim_core::{Instant, NodeId, Randomness, Schedule, Site};

use super::child::{Child, Heard};
use super::{Network, Options, Problem, Tell};
use crate::registry::Compiled;

/// How often each process is asked for its time.
const QUESTIONS: Duration = Duration::from_millis(100);
/// How long a process may take to start, or to end by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a cluster to the end of its scenario.
pub fn run(
    compiled: &dyn Compiled,
    schedule: &Schedule,
    options: &Options,
    tell: Tell<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Record, Problem> {
    let follower = compiled.follow(schedule, false).expect("whoever cannot be followed is refused before");
    let names = compiled.node_names();
    let network = Network::new(options.network, names.len())?;
    let (sender, heard) = channel();
    let mut cluster = Cluster {
        follower,
        names,
        options,
        schedule,
        network,
        tell,
        stop,
        started: std::time::Instant::now(),
        children: BTreeMap::new(),
        starting: Vec::new(),
        record: Record::default(),
        suffering: BTreeSet::new(),
        backlog: VecDeque::new(),
        sender,
        heard,
        spawned: 0,
        questions: Vec::new(),
        asked: std::time::Instant::now(),
    };
    cluster.play()?;
    Ok(cluster.record)
}

struct Cluster<'a> {
    follower: Box<dyn Follower>,
    names: &'a [String],
    options: &'a Options,
    schedule: &'a Schedule,
    network: Network,
    tell: Tell<'a>,
    stop: &'a dyn Fn() -> bool,
    started: std::time::Instant,
    children: BTreeMap<NodeId, Running>,
    /// Nodes whose processes are to start as soon as nothing else is to be done.
    starting: Vec<NodeId>,
    record: Record,
    /// Which nodes bring about which faults of the plan by themselves, as long as these are in force.
    suffering: BTreeSet<(NodeId, u32)>,
    /// What was heard while something else was waited for.
    backlog: VecDeque<Heard>,
    sender: Sender<Heard>,
    heard: Receiver<Heard>,
    /// Processes so far.
    spawned: u64,
    /// When each question was asked, by number.
    questions: Vec<Instant>,
    /// When everybody was asked last.
    asked: std::time::Instant,
}

/// A process that is there.
struct Running {
    child: Child,
    /// Its number on its node, once it has said so.
    process: Option<u32>,
    /// What it has found on its disk.
    found: Vec<Vec<u8>>,
    /// Bytes of its log that are sure to survive.
    synced: u64,
    /// When it was told to begin, and what it was told that it is.
    begun: Option<Instant>,
    /// It ends by itself.
    ending: bool,
}

impl Cluster<'_> {
    /// What it is for the protocol.
    fn now(&self) -> Instant {
        self.on_our_clock(std::time::Instant::now())
    }

    fn on_our_clock(&self, at: std::time::Instant) -> Instant {
        Instant::ZERO + at.saturating_duration_since(self.started).mul_f64(self.options.speed)
    }

    fn name(&self, node: NodeId) -> &str {
        &self.names[node.index()]
    }

    fn disk(&self, node: NodeId) -> PathBuf {
        self.options.directory.join(self.name(node))
    }

    fn say(&mut self, what: &str) {
        let now = self.now();
        (self.tell)(now, what);
    }

    /// Lets the run happen.
    fn play(&mut self) -> Result<(), Problem> {
        // Time stands still until everybody is there.
        while let Some((Instant::ZERO, Deed::Start(_))) = self.follower.due() {
            self.do_what_is_due(Instant::ZERO)?;
        }
        self.start_all(true)?;
        while self.now() < self.follower.end() {
            if (self.stop)() {
                return Err(Problem::Interrupted);
            }
            let now = self.now();
            self.follower.look(now);
            // The plan waits for those that are starting: they are there as soon as it has started them.
            if self.follower.due().is_some_and(|(at, deed)| at <= now && self.may_be_done(deed)) {
                self.do_what_is_due(now)?;
                continue;
            }
            self.start_all(false)?;
            if self.asked.elapsed() >= QUESTIONS {
                self.ask_for_the_time();
            }
            if let Some(heard) = self.next(self.wait())? {
                self.hear(heard)?;
            }
        }
        self.record.end = self.now();
        Ok(())
    }

    fn may_be_done(&self, deed: Deed) -> bool {
        let all_there = self.starting.is_empty() && self.children.values().all(|running| running.process.is_some());
        matches!(deed, Deed::Start(_)) || all_there
    }

    /// Until when nothing is to be done if nobody says anything.
    fn wait(&self) -> Duration {
        let due = self.follower.due().filter(|(_, deed)| self.may_be_done(*deed));
        let due = due.map_or(Instant::MAX, |(at, _)| at).min(self.follower.end());
        due.since(self.now()).div_f64(self.options.speed).min(Duration::from_millis(20))
    }

    fn next(&mut self, wait: Duration) -> Result<Option<Heard>, Problem> {
        if let Some(heard) = self.backlog.pop_front() {
            return Ok(Some(heard));
        }
        match self.heard.recv_timeout(wait) {
            Ok(heard) => Ok(Some(heard)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => unreachable!("we hold a sender ourselves"),
        }
    }

    fn do_what_is_due(&mut self, now: Instant) -> Result<(), Problem> {
        let Some((_, deed)) = self.follower.due() else { return Ok(()) };
        self.follower.deed(now, deed);
        self.record.deeds.push(Done { at: now, deed, heard: self.record.notes.len() });
        let cause = Cause::Deed(self.record.deeds.len() - 1);
        if !matches!(deed, Deed::Start(_)) {
            let text = self.describe(deed);
            self.say(&text);
        }
        self.carry_out(cause)
    }

    fn describe(&self, deed: Deed) -> String {
        let (Deed::Begin(place) | Deed::End(place)) = deed else { return String::new() };
        let fault = &self.schedule.faults.faults[place as usize].fault;
        let nodes = fault.node().map_or(String::new(), |node| format!(" {}", self.name(node)));
        let ends = if matches!(deed, Deed::End(_)) { "ends: " } else { "" };
        format!("{ends}{}{nodes}", fault.kind())
    }

    fn carry_out(&mut self, cause: Cause) -> Result<(), Problem> {
        for order in self.follower.orders() {
            match order {
                Order::Vanish(node) => self.network.isolate(node, true)?,
                Order::Appear(node) => self.network.isolate(node, false)?,
                Order::Kill(node) => self.kill(node, cause)?,
                Order::Reap(node) => {
                    if let Some(running) = self.children.get_mut(&node) {
                        running.ending = true;
                    }
                }
                Order::Start(node) => self.starting.push(node),
                Order::Pause(node) => self.signal(node, Signal::STOP),
                Order::Resume(node) => self.signal(node, Signal::CONT),
                Order::Cut(from, to) => self.network.cut(from, to, true)?,
                Order::Mend(from, to) => self.network.cut(from, to, false)?,
                Order::Command(node, command) => self.tell_node(node, &Told::Command(command)),
                Order::Suffer(node, place, begins) => {
                    if begins && self.schedule.faults.faults[place as usize].fault.has_extent() {
                        self.suffering.insert((node, place));
                    } else {
                        self.suffering.remove(&(node, place));
                    }
                    self.tell_node(node, &Told::Fault { place, begins });
                }
            }
        }
        Ok(())
    }

    fn tell_node(&mut self, node: NodeId, told: &Told) {
        if let Some(running) = self.children.get_mut(&node) {
            running.child.tell(told);
        }
    }

    fn signal(&self, node: NodeId, signal: Signal) {
        if let Some(running) = self.children.get(&node) {
            running.child.signal(signal);
        }
    }

    /// Starts what is to be started, and lets them all begin at one time.
    fn start_all(&mut self, first: bool) -> Result<(), Problem> {
        let nodes = std::mem::take(&mut self.starting);
        for &node in &nodes {
            if let Some(running) = self.children.get(&node) {
                // The one before it is about to end.
                let number = running.child.number;
                self.wait_for(node, number, |said| said.is_none())?;
                self.ended(node)?;
            }
            self.spawn(node)?;
        }
        for &node in &nodes {
            let number = self.children[&node].child.number;
            self.wait_for(node, number, |said| said.as_ref().is_none_or(|said| *said == Said::Ready))?;
            let log = self.disk(node).join("log");
            let synced = std::fs::metadata(log).map(|log| log.len()).unwrap_or_default();
            if let Some(running) = self.children.get_mut(&node) {
                running.synced = synced;
            }
        }
        if first {
            self.started = std::time::Instant::now();
        }
        for node in nodes {
            let now = self.now();
            if let Some(running) = self.children.get_mut(&node) {
                running.begun = Some(now);
                running.child.tell(&Told::Begin { now });
                // What is still in force strikes this one like the one before it.
                for &(_, place) in self.suffering.range((node, 0)..=(node, u32::MAX)) {
                    running.child.tell(&Told::Fault { place, begins: true });
                }
            }
        }
        Ok(())
    }

    fn spawn(&mut self, node: NodeId) -> Result<(), Problem> {
        let options = self.options;
        let mut command = self.network.command(node, &options.program);
        command.args(["node", &options.scenario, self.name(node), "--supervised"]);
        command.arg("--disk").arg(self.disk(node));
        command.args(["--seed", &self.schedule.seed.to_string(), "--speed", &options.speed.to_string()]);
        command.args(["--run", &(u64::from(std::process::id()) << 32 | self.started_at()).to_string()]);
        command.args(["--listen", &self.network.address(node).to_string()]);
        for peer in (0..self.names.len() as u16).map(NodeId).filter(|&peer| peer != node) {
            command.arg("--peer").arg(format!("{}={}", self.name(peer), self.network.address(peer)));
        }
        self.spawned += 1;
        let complaints = options.directory.join(format!("{}.stderr", self.name(node)));
        let child = Child::start(command, node, self.spawned, &complaints, self.sender.clone())
            .map_err(|error| Problem::Refused(format!("{} cannot be started: {error}", self.name(node))))?;
        let running = Running { child, process: None, found: Vec::new(), synced: 0, begun: None, ending: false };
        self.children.insert(node, running);
        Ok(())
    }

    /// Something that tells this run from others of the same process.
    fn started_at(&self) -> u64 {
        u64::from(
            self.network
                .address(NodeId(0))
                .to_string()
                .bytes()
                .fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))),
        )
    }

    /// Waits until a process says what is wanted of it, or nothing any more. What else is heard meanwhile is kept.
    fn wait_for(&mut self, node: NodeId, child: u64, wanted: impl Fn(&Option<Said>) -> bool) -> Result<(), Problem> {
        let deadline = std::time::Instant::now() + PATIENCE;
        let mut heard_before = std::mem::take(&mut self.backlog).into_iter();
        let said = loop {
            let wait = deadline.saturating_duration_since(std::time::Instant::now());
            let heard = match heard_before.next() {
                Some(heard) => Ok(heard),
                None => self.heard.recv_timeout(wait),
            };
            match heard {
                Ok(heard) if heard.child == child && wanted(&heard.said) => break heard.said,
                Ok(Heard { child: who, said: Some(Said::Failed(why)), .. }) if who == child => {
                    return Err(Problem::Died(format!("{}: {why}", self.name(node))));
                }
                Ok(Heard { node, child: who, said: Some(Said::Found(records)), .. }) => self.found(node, who, records),
                Ok(heard) => self.backlog.push_back(heard),
                Err(_) => return Err(Problem::Died(format!("{} is not ready after {PATIENCE:?}", self.name(node)))),
            }
        };
        self.backlog.extend(heard_before);
        match said {
            None if !self.children[&node].ending => Err(self.died(node)),
            _ => Ok(()),
        }
    }

    /// A process has found something on its disk.
    fn found(&mut self, node: NodeId, child: u64, records: Vec<Vec<u8>>) {
        if let Some(running) = self.children.get_mut(&node).filter(|running| running.child.number == child) {
            running.found.extend(records);
        }
    }

    fn died(&mut self, node: NodeId) -> Problem {
        let status = self.children.get_mut(&node).map(|running| running.child.wait());
        let complaint = self.children.get(&node).map(|running| running.child.complaint()).unwrap_or_default();
        let how = match status {
            Some(Ok(status)) => status.to_string(),
            _ => "nobody knows how".to_owned(),
        };
        Problem::Died(format!("the process of {} ended: {how}\n{complaint}", self.name(node)))
    }

    /// Kills a process, and takes down everything that it still had to say.
    fn kill(&mut self, node: NodeId, cause: Cause) -> Result<(), Problem> {
        self.starting.retain(|&starting| starting != node);
        let Some(running) = self.children.get(&node) else { return Ok(()) };
        let number = running.child.number;
        running.child.signal(Signal::KILL);
        // What it had said before and nobody has listened to yet.
        let (own, others) = std::mem::take(&mut self.backlog).into_iter().partition(|heard| heard.child == number);
        self.backlog = others;
        let mut last_words: VecDeque<Heard> = own;
        let deadline = std::time::Instant::now() + PATIENCE;
        while last_words.back().is_none_or(|heard| heard.said.is_some()) {
            let wait = deadline.saturating_duration_since(std::time::Instant::now());
            match self.heard.recv_timeout(wait) {
                Ok(heard) if heard.child == number => last_words.push_back(heard),
                Ok(heard) => self.backlog.push_back(heard),
                Err(_) => return Err(Problem::Died(format!("{} does not die", self.name(node)))),
            }
        }
        for heard in last_words {
            match heard.said {
                Some(Said::Note(note)) => {
                    let note = self.completed(node, note);
                    self.take_down(node, heard.at, note);
                }
                Some(Said::Clock { question, now }) => self.take_down_time(node, heard.at, question, now),
                _ => {}
            }
        }
        let Some(mut running) = self.children.remove(&node) else { return Ok(()) };
        _ = running.child.wait();
        // A machine that fails loses of what was not synced as much as it likes.
        let process = running.process.unwrap_or_default();
        let mut randomness = Randomness::new(self.schedule.seed);
        let draw = u64::from(randomness.draw(Site::Disk(node), process)[0]);
        let keeps = |unsynced: u64| (draw * (unsynced + 1)) >> 32;
        tear(&self.disk(node), running.synced, keeps)?;
        self.bury(node, running.process, cause)
    }

    /// A process has ended by itself.
    fn ended(&mut self, node: NodeId) -> Result<(), Problem> {
        let Some(mut running) = self.children.remove(&node) else { return Ok(()) };
        _ = running.child.wait();
        self.bury(node, running.process, Cause::Itself)
    }

    /// Takes down what a process has left.
    fn bury(&mut self, node: NodeId, process: Option<u32>, cause: Cause) -> Result<(), Problem> {
        let found = find(&self.disk(node));
        let disk = found.map_err(|error| Problem::Died(format!("the disk of {}: {error}", self.name(node))))?.records;
        self.follower.found(node, &disk);
        if let Some(process) = process {
            self.record.deaths.push(Death { node, process, cause, disk });
        }
        Ok(())
    }

    fn ask_for_the_time(&mut self) {
        self.asked = std::time::Instant::now();
        for running in self.children.values_mut().filter(|running| running.begun.is_some()) {
            let question = self.questions.len() as u64;
            let asked = Instant::ZERO + self.started.elapsed().mul_f64(self.options.speed);
            self.questions.push(asked);
            running.child.tell(&Told::Clock { question });
        }
    }

    fn hear(&mut self, heard: Heard) -> Result<(), Problem> {
        let Heard { node, child, at, said } = heard;
        if self.children.get(&node).is_none_or(|running| running.child.number != child) {
            return Ok(()); // All that matters of it was taken down when it was killed.
        }
        match said {
            Some(Said::Ready) => Ok(()),
            Some(Said::Found(records)) => {
                self.found(node, child, records);
                Ok(())
            }
            Some(Said::Note(note)) => {
                let note = self.completed(node, note);
                let stamp = note.stamp;
                let now = self.now();
                let followed = self.follower.note(now, node, &note);
                self.take_down(node, at, note);
                followed.map_err(|divergence| Problem::Nondeterministic(divergence.to_string()))?;
                self.carry_out(Cause::Board(node, stamp))
            }
            Some(Said::Clock { question, now }) => {
                self.take_down_time(node, at, question, now);
                Ok(())
            }
            Some(Said::Power { .. }) => {
                // The note before it has seen to it.
                self.tell_node(node, &Told::Switched);
                Ok(())
            }
            Some(Said::Failed(why)) => Err(Problem::Died(format!("{}: {why}", self.name(node)))),
            None if self.children[&node].ending => self.ended(node),
            // An actor that panics has said so before; the invariants will.
            None if self.follower.violation().is_some_and(|violation| violation.invariant == sim_core::NO_PANIC) => {
                self.ended(node)
            }
            None => Err(self.died(node)),
        }
    }

    /// A note with what the process has said before.
    fn completed(&mut self, node: NodeId, mut note: Note) -> Note {
        if let (Came::Start { disk }, Some(running)) = (&mut note.came, self.children.get_mut(&node)) {
            *disk = std::mem::take(&mut running.found);
        }
        note
    }

    fn take_down(&mut self, node: NodeId, heard: std::time::Instant, note: Note) {
        let heard = self.on_our_clock(heard);
        let Some(running) = self.children.get_mut(&node) else { return };
        let process = note.stamp.process;
        match &note.came {
            Came::Start { .. } => {
                running.process = Some(process);
                // It was told what it is, and it began after that.
                if let Some(begun) = running.begun {
                    self.record.readings.push(Reading { node, process, asked: begun, said: begun, heard });
                }
            }
            Came::Synced { ok: true, length, .. } => running.synced = *length,
            _ => {}
        }
        self.record.notes.push((node, note));
    }

    fn take_down_time(&mut self, node: NodeId, heard: std::time::Instant, question: u64, said: Instant) {
        let heard = self.on_our_clock(heard);
        let process = self.children.get(&node).and_then(|running| running.process);
        let asked = usize::try_from(question).ok().and_then(|question| self.questions.get(question)).copied();
        if let (Some(process), Some(asked)) = (process, asked) {
            self.record.readings.push(Reading { node, process, asked, said, heard });
        }
    }
}
