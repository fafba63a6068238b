//! Recordings made by hand, for the tests of everything that draws one.

use std::time::Duration;

use sim_core::trace::{Entry, Fate, Trace, What};
use sim_core::{Class, Fault, FaultPlan, Fired, HostId, Instant, Member, NodeId, Outcome, Trigger, Violation};

use super::story::Recording;

/// Everything that a [`Recording`] borrows.
pub struct Sample {
    pub nodes: Vec<Member>,
    pub faults: FaultPlan,
    pub trace: Trace,
    pub outcome: Outcome,
    event: u64,
    now: Instant,
    cause: u64,
}

impl Sample {
    /// A cluster in which nothing has happened.
    pub fn new(names: &[&str]) -> Self {
        let node = |(number, name): (usize, &&str)| Member {
            name: (*name).to_owned(),
            role: String::new(),
            host: HostId(number as u16),
        };
        Sample {
            nodes: names.iter().enumerate().map(node).collect(),
            faults: FaultPlan::default(),
            trace: Trace::default(),
            outcome: Outcome {
                violation: None,
                events: 0,
                end: Instant::ZERO,
                trace_hash: 0x5eed,
                fired: Vec::new(),
                marks: Vec::new(),
                reached: Vec::new(),
            },
            event: 0,
            now: Instant::ZERO,
            cause: 0,
        }
    }

    /// The recording.
    pub fn recording(&self) -> Recording<'_> {
        Recording {
            nodes: &self.nodes,
            faults: &self.faults,
            latency: Duration::from_millis(10),
            trace: &self.trace,
            outcome: &self.outcome,
        }
    }

    /// The next event, caused by an earlier one; returns its number.
    pub fn event(&mut self, at_micros: u64, cause: u64, what: What) -> u64 {
        self.event += 1;
        self.now = Instant::from_nanos(at_micros * 1_000);
        self.cause = cause;
        self.also(what);
        self.outcome.events = self.event;
        self.outcome.end = self.now;
        self.event
    }

    /// Something else that happened in the same event.
    pub fn also(&mut self, what: What) {
        self.trace.entries.push(Entry { event: self.event, at: self.now, cause: self.cause, what });
    }

    /// A message is sent in the current event and arrives after so many microseconds.
    pub fn send(&mut self, from: u16, to: u16, kind: &'static str, message: &str, after_micros: u64) {
        let at = self.now + Duration::from_micros(after_micros);
        self.send_to_fate(from, to, kind, message, Fate::Arrives(vec![at]));
    }

    /// A message is sent in the current event.
    pub fn send_to_fate(&mut self, from: u16, to: u16, kind: &'static str, message: &str, fate: Fate) {
        self.also(What::Sent {
            from: NodeId(from),
            to: NodeId(to),
            kind,
            message: message.to_owned(),
            connection: false,
            fate,
        });
    }

    /// A fault is planned; its id is returned.
    pub fn plan(&mut self, fault: Fault, hold: Option<Duration>) -> u32 {
        let kind = fault.kind();
        let id = self.faults.push(Trigger::At(Instant::ZERO), fault, hold);
        self.outcome.fired.push((id, kind, Fired::default()));
        id
    }

    /// A planned fault takes effect as an event of its own.
    pub fn begin(&mut self, at_micros: u64, id: u32, text: &str) -> u64 {
        let event = self.event(at_micros, 0, What::FaultBegan { id, text: text.to_owned() });
        for (other, _, fired) in &mut self.outcome.fired {
            if *other == id {
                fired.count += 1;
                fired.first.get_or_insert(self.now);
            }
        }
        event
    }

    /// A planned fault ends.
    pub fn end(&mut self, at_micros: u64, id: u32, text: &str) -> u64 {
        self.event(at_micros, 0, What::FaultEnded { id, text: text.to_owned() })
    }

    /// The run ends here with a violation.
    pub fn violated(&mut self, invariant: &str, node: Option<u16>, message: &str) {
        self.outcome.violation = Some(Violation {
            invariant: invariant.to_owned(),
            class: Class::Safety,
            at: self.now,
            event: self.event,
            node: node.map(NodeId),
            message: message.to_owned(),
        });
    }
}

pub fn delivered(from: u16, to: u16, kind: &'static str, message: &str) -> What {
    What::Delivered { from: NodeId(from), to: NodeId(to), kind, message: message.to_owned() }
}

pub fn timer(node: u16, timer: &str) -> What {
    What::Timer { node: NodeId(node), timer: timer.to_owned() }
}

pub fn role(node: u16, from: &'static str, to: &'static str) -> What {
    What::Role { node: NodeId(node), from, to }
}

/// Three nodes: heartbeats go round, the link from alpha to beta is cut, beta asks q1 and takes over, and a late
/// heartbeat of alpha shows that it never stopped.
pub fn split_brain() -> Sample {
    let mut s = Sample::new(&["alpha", "beta", "q1"]);
    for (node, name) in [(0, "LIVE"), (1, "BACKUP"), (2, "VOTER")] {
        s.also(What::Started { node: NodeId(node) });
        s.also(role(node, "", name));
    }
    let cut = s.plan(Fault::Cut { from: NodeId(0), to: NodeId(1) }, Some(Duration::from_secs(4)));
    let crash = s.plan(Fault::Crash { node: NodeId(2) }, Some(Duration::from_millis(700)));
    let pause = s.plan(Fault::Pause { node: NodeId(0) }, Some(Duration::from_millis(250)));
    s.plan(Fault::Reset { a: NodeId(0), b: NodeId(2) }, None);

    let mut tick = 0;
    let mut heard = 0;
    for round in 1..=40_u64 {
        let at = round * 100_000;
        if round == 8 {
            s.begin(750_000, crash, "crash q1");
            s.also(What::Stopped { node: NodeId(2), halted: false });
        }
        if round == 15 {
            s.end(1_450_000, crash, "crash q1");
            s.also(What::Started { node: NodeId(2) });
            s.also(role(2, "", "VOTER"));
        }
        let beat = format!("Heartbeat {{ term: 1, sequence: {round} }}");
        if round == 20 {
            s.begin(1_990_000, cut, "cut alpha -> beta");
        }
        if round == 22 {
            s.begin(2_110_000, pause, "pause alpha");
        }
        if round == 24 {
            s.end(2_360_000, pause, "pause alpha");
        }
        if round == 31 {
            break;
        }
        tick = s.event(at, tick, timer(0, "Heartbeat"));
        if round == 19 {
            // On its way when the link is cut, and slow.
            s.send(0, 1, "Heartbeat", &beat, 412_000);
        } else if round > 19 {
            s.send_to_fate(0, 1, "Heartbeat", &beat, Fate::Cut);
        } else {
            s.send(0, 1, "Heartbeat", &beat, 4_000);
            heard = s.event(at + 4_000, tick, delivered(0, 1, "Heartbeat", &beat));
        }
        if round == 19 {
            heard = s.event(1_980_000, heard, timer(1, "Watch"));
        }
        if round == 23 {
            let late = "Heartbeat { term: 1, sequence: 19 }";
            let sent = s.trace.entries.iter().rev().find_map(|entry| match &entry.what {
                What::Sent { message, .. } if message == late => Some(entry.event),
                _ => None,
            });
            s.event(2_312_000, sent.unwrap(), delivered(0, 1, "Heartbeat", late));
        }
    }
    let watch = s.event(3_112_000, heard, timer(1, "Watch"));
    s.also(What::Mark { node: NodeId(1), name: "failover-started" });
    let ask = "QuorumVote { node_id: 1, stay_live: false }";
    s.send(1, 2, "QuorumVote", ask, 6_250);
    let asked = s.event(3_118_250, watch, delivered(1, 2, "QuorumVote", ask));
    let reply = "VoteReply { grant: true, connector: \"tcp://beta:61616\" }";
    s.send(2, 1, "VoteReply", reply, 3_000);
    s.event(3_121_250, asked, delivered(2, 1, "VoteReply", reply));
    s.also(role(1, "BACKUP", "LIVE"));
    s.also(What::Mark { node: NodeId(1), name: "failover-complete" });
    s.violated("at-most-one-live", Some(1), "alpha and beta are both LIVE for node-id 1");
    s
}

/// Eight nodes in two halves.
pub fn eight_nodes() -> Sample {
    let names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "client-1", "client-2"];
    let mut s = Sample::new(&names);
    for node in 0..8_u16 {
        s.also(What::Started { node: NodeId(node) });
        s.also(role(
            node,
            "",
            if node == 0 {
                "PRIMARY"
            } else if node < 6 {
                "FOLLOWER"
            } else {
                "CLIENT"
            },
        ));
    }
    let groups = vec![(0..2).map(NodeId).collect::<Vec<_>>(), (2..6).map(NodeId).collect()];
    let partition = s.plan(Fault::Partition { groups }, Some(Duration::from_secs(2)));
    let crash = s.plan(Fault::Crash { node: NodeId(5) }, None);
    let lone = s.event(400_000, 0, timer(3, "Election"));
    s.begin(1_000_000, partition, "partition alpha, beta | gamma, delta, epsilon, zeta");
    s.begin(1_250_000, crash, "crash zeta");
    s.also(What::Stopped { node: NodeId(5), halted: false });
    let election = s.event(1_900_000, lone, timer(3, "Election"));
    s.also(role(3, "FOLLOWER", "CANDIDATE"));
    for to in [2, 4, 5] {
        s.send(3, to, "RequestVote", "RequestVote { term: 2, last: 17 }", 5_000);
    }
    s.send_to_fate(3, 0, "RequestVote", "RequestVote { term: 2, last: 17 }", Fate::Cut);
    s.send_to_fate(3, 1, "RequestVote", "RequestVote { term: 2, last: 17 }", Fate::Cut);
    let asked = s.event(1_905_000, election, delivered(3, 2, "RequestVote", "RequestVote { term: 2, last: 17 }"));
    s.send(2, 3, "Vote", "Vote { term: 2, granted: true }", 4_000);
    s.event(1_905_000, election, delivered(3, 4, "RequestVote", "RequestVote { term: 2, last: 17 }"));
    s.send(4, 3, "Vote", "Vote { term: 2, granted: true }", 4_500);
    s.event(1_905_000, election, What::Undeliverable { from: NodeId(3), to: NodeId(5), kind: "RequestVote" });
    s.event(1_909_000, asked, delivered(2, 3, "Vote", "Vote { term: 2, granted: true }"));
    s.also(role(3, "CANDIDATE", "PRIMARY"));
    let request = "Write { key: 7, value: 1204, session: \"client-1/44\", deadline: 2.5s }";
    let ask = s.event(1_950_000, 0, timer(6, "Next"));
    s.send(6, 0, "Write", request, 2_000);
    let write = s.event(1_952_000, ask, delivered(6, 0, "Write", request));
    s.send(0, 6, "Done", "Done { value: 1204 }", 3_123);
    s.event(1_955_123, write, delivered(0, 6, "Done", "Done { value: 1204 }"));
    s.violated(
        "no-acknowledged-write-lost",
        Some(6),
        "client-1 was told that 1204 is written, and delta, PRIMARY of term 2, does not have it",
    );
    s
}
