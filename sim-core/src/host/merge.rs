//! One record of what all processes did, in every order that can be told from it.
//!
//! Each process has a clock of its own. What is known of it is when it was asked for its time and when its answer came: the
//! answer was given between the two, so its clock is ahead of the supervisor's by something within bounds, as long as both
//! run at the same rate. Beyond that, what a process did is in its own order, a message is received after it was sent, nothing
//! comes from a process after it was killed, and what the supervisor had heard of before it did something came before that. What all this leaves open nobody can know, so a violation counts
//! only if it is there in every order that was tried: each process as early as it can have been while all others are as late,
//! and the other way round. A property of two nodes at one time is broken in all of them, or there was a moment between.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::mirror::{Deed, Divergence, Follower};
use super::record::{Came, Note, Stamp};
use crate::trace::Trace;
use crate::{Instant, NodeId, Outcome};

/// Everything that is known of a run of real processes. Times without a process are the supervisor's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// What processes noted, in the order in which it was heard.
    pub notes: Vec<(NodeId, Note)>,
    /// What is known of their clocks.
    pub readings: Vec<Reading>,
    /// What the plan did, in its order.
    pub deeds: Vec<Done>,
    /// Processes that were killed or ended.
    pub deaths: Vec<Death>,
    /// When it ended.
    pub end: Instant,
}

/// A process was asked for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Which node's.
    pub node: NodeId,
    /// Which of its processes.
    pub process: u32,
    /// When it was asked.
    pub asked: Instant,
    /// What it said.
    pub said: Instant,
    /// When the answer came.
    pub heard: Instant,
}

/// Something that the plan did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// When.
    pub at: Instant,
    /// What.
    pub deed: Deed,
    /// How many notes had been heard before: what they are about had happened.
    pub heard: usize,
}

/// The end of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Of which node.
    pub node: NodeId,
    /// Which of its processes.
    pub process: u32,
    /// What ended it.
    pub cause: Cause,
    /// What was left on its disk.
    pub disk: Vec<Vec<u8>>,
}

/// What ended a process: everything that the process did comes before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Its actor stopped it.
    Itself,
    /// The n-th deed of the plan, counted from zero.
    Deed(usize),
    /// A power board, during this note of its own.
    Board(NodeId, Stamp),
}

/// A run in every order that was tried.
pub struct Judgement {
    /// How it went in the most likely order, and what was recorded of it.
    pub likely: (Outcome, Trace),
    /// Names of what was violated, and in how many orders.
    pub violated: BTreeMap<String, usize>,
    /// How many were tried.
    pub orders: usize,
    /// What is known least of a clock: the width of its bounds.
    pub uncertainty: std::time::Duration,
}

impl Judgement {
    /// What was violated in every order.
    pub fn certain(&self) -> impl Iterator<Item = &str> {
        self.violated.iter().filter(|&(_, &count)| count == self.orders).map(|(name, _)| name.as_str())
    }

    /// Whether something was violated in some orders only: whether it happened cannot be told.
    pub fn is_open(&self) -> bool {
        self.certain().next().is_none() && !self.violated.is_empty()
    }
}

/// A process of a node.
type ProcessId = (NodeId, u32);

/// By how many nanoseconds the supervisor's clock is ahead of a process's: at least, and at most.
type Bounds = (i128, i128);

/// Where within its bounds a clock is taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Earliest,
    Middle,
    Latest,
}

/// A note that has yet to be told.
#[derive(Clone, Copy)]
struct Waiting<'a> {
    /// When, on the supervisor's clock, as far as the order is concerned.
    at: Instant,
    /// Its place among all that were heard.
    heard: usize,
    note: &'a Note,
}

/// What one order has next.
enum Step<'a> {
    Note(Instant, NodeId, &'a Note),
    Deed(Instant, Deed),
    Death(&'a Death),
}

impl Record {
    /// Goes through the record in every order that is to be tried, each time with a new follower.
    ///
    /// # Errors
    /// If an actor does something else than it did in its process.
    pub fn judge(&self, mut follower: impl FnMut(bool) -> Box<dyn Follower>) -> Result<Judgement, Divergence> {
        let bounds = self.bounds();
        let mut orders: Vec<Vec<Step>> = vec![self.order(&bounds, |_| Place::Middle)];
        for &process in bounds.keys() {
            let (own, others) = (Place::Earliest, Place::Latest);
            orders.push(self.order(&bounds, |which| if which == process { own } else { others }));
            orders.push(self.order(&bounds, |which| if which == process { others } else { own }));
        }
        let mut violated: BTreeMap<String, usize> = BTreeMap::new();
        let mut likely = None;
        for (number, order) in orders.iter().enumerate() {
            let (outcome, trace) = self.replay(order, follower(number == 0))?;
            if let Some(violation) = &outcome.violation {
                *violated.entry(violation.invariant.clone()).or_default() += 1;
            }
            likely.get_or_insert((outcome, trace));
        }
        let widest = bounds.values().map(|(least, most)| most - least).max().unwrap_or_default();
        Ok(Judgement {
            likely: likely.expect("there is at least one order"),
            violated,
            orders: orders.len(),
            uncertainty: std::time::Duration::from_nanos(widest.try_into().unwrap_or_default()),
        })
    }

    /// What is known of each clock.
    fn bounds(&self) -> BTreeMap<ProcessId, Bounds> {
        let mut bounds: BTreeMap<ProcessId, Bounds> = BTreeMap::new();
        for Reading { node, process, asked, said, heard } in &self.readings {
            let ahead = |at: &Instant| i128::from(at.as_nanos()) - i128::from(said.as_nanos());
            let known = bounds.entry((*node, *process)).or_insert((i128::MIN, i128::MAX));
            let (least, most) = (known.0.max(ahead(asked)), known.1.min(ahead(heard)));
            // Clocks that do not run at quite the same rate may contradict themselves by a little.
            *known = (least.min(most), least.max(most));
        }
        bounds
    }

    /// Everything in one order: by time, if each clock is where it is said to be, and never against what is certain.
    fn order(&self, bounds: &BTreeMap<ProcessId, Bounds>, place: impl Fn(ProcessId) -> Place) -> Vec<Step<'_>> {
        let mut queues: BTreeMap<ProcessId, VecDeque<Waiting>> = BTreeMap::new();
        for (heard, (node, note)) in self.notes.iter().enumerate() {
            let process = (*node, note.stamp.process);
            let (least, most) = bounds.get(&process).copied().unwrap_or_default();
            let (local, ahead) = match place(process) {
                Place::Earliest => (note.began, least),
                Place::Middle => (note.began, (least + most) / 2),
                // What a handler changed may have changed at its end.
                Place::Latest => (note.ended, most),
            };
            let at = u64::try_from(i128::from(local.as_nanos()) + ahead).unwrap_or_default();
            let at = Instant::from_nanos(at);
            queues.entry(process).or_default().push_back(Waiting { at, heard, note });
        }
        // How many of the notes that were heard first have been told, and which others.
        let (mut told_all, mut told_ahead) = (0, BTreeSet::new());
        let known: BTreeSet<(NodeId, Stamp)> = self.notes.iter().map(|(node, note)| (*node, note.stamp)).collect();
        let mut told: BTreeSet<(NodeId, Stamp)> = BTreeSet::new();
        let mut deeds = self.deeds.iter().enumerate().peekable();
        let mut deaths: Vec<&Death> = self.deaths.iter().collect();
        let mut steps = Vec::new();
        loop {
            let done = deeds.peek().map_or(self.deeds.len(), |(number, _)| *number);
            deaths.retain(|death| {
                let caused = match death.cause {
                    Cause::Itself => true,
                    Cause::Deed(number) => number < done,
                    Cause::Board(board, stamp) => told.contains(&(board, stamp)),
                };
                let over = caused && !queues.contains_key(&(death.node, death.process));
                if over {
                    steps.push(Step::Death(death));
                }
                !over
            });
            let sent = |note: &Note| match &note.came {
                Came::Message { from, sent, .. } => !known.contains(&(*from, *sent)) || told.contains(&(*from, *sent)),
                _ => true,
            };
            // Nothing ends a process that still has something to say.
            let ends_nobody = |cause: Cause| {
                let ended = self.deaths.iter().filter(|death| death.cause == cause);
                ended.map(|death| (death.node, death.process)).all(|process| !queues.contains_key(&process))
            };
            // An earlier process of the same node comes first as a whole.
            let first_of_node = |(node, process): ProcessId| queues.range((node, 0)..(node, process)).next().is_none();
            let ready = queues
                .iter()
                .filter(|(process, _)| first_of_node(**process))
                .filter_map(|(process, notes)| notes.front().map(|waiting| (*process, *waiting)))
                .filter(|((node, _), Waiting { note, .. })| sent(note) && ends_nobody(Cause::Board(*node, note.stamp)))
                .min_by_key(|(process, waiting)| (waiting.at, *process));
            let next_deed = deeds.peek().map(|(number, done)| (*number, **done));
            let next_deed =
                next_deed.filter(|(number, done)| told_all >= done.heard && ends_nobody(Cause::Deed(*number)));
            // Of a record that contradicts itself the parts are told one after the other.
            let any = || Some((*queues.first_key_value()?.0, *queues.first_key_value()?.1.front()?));
            let note = match (ready, next_deed) {
                (Some((process, waiting)), deed) if deed.is_none_or(|(_, done)| waiting.at < done.at) => {
                    Some((process, waiting))
                }
                (_, Some((_, done))) => {
                    deeds.next();
                    steps.push(Step::Deed(done.at, done.deed));
                    continue;
                }
                (_, None) => any(),
            };
            let Some((process, Waiting { at, heard, note })) = note else { return steps };
            let queue = queues.get_mut(&process).expect("its first note has just been seen");
            queue.pop_front();
            if queue.is_empty() {
                queues.remove(&process);
            }
            told.insert((process.0, note.stamp));
            told_ahead.insert(heard);
            while told_ahead.remove(&told_all) {
                told_all += 1;
            }
            steps.push(Step::Note(at, process.0, note));
        }
    }

    fn replay(&self, order: &[Step<'_>], mut follower: Box<dyn Follower>) -> Result<(Outcome, Trace), Divergence> {
        for step in order {
            match step {
                Step::Note(at, node, note) => {
                    follower.look(*at);
                    follower.note(*at, *node, note)?;
                }
                Step::Deed(at, deed) => {
                    follower.look(*at);
                    follower.deed(*at, *deed);
                }
                Step::Death(death) => follower.found(death.node, &death.disk),
            }
        }
        follower.look(self.end);
        Ok(follower.finish(self.end))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::host::mirror::Order;
    use crate::{Class, CommandId, ConnectionId, Violation};

    /// Believes that a node holds something from each even note on to the next odd one, and that two must not.
    #[derive(Default)]
    struct Believer {
        holders: BTreeSet<NodeId>,
        told: Rc<RefCell<Vec<(NodeId, u64)>>>,
        violation: Option<Violation>,
    }

    impl Follower for Believer {
        fn note(&mut self, at: Instant, node: NodeId, note: &Note) -> Result<(), Divergence> {
            self.told.borrow_mut().push((node, note.stamp.number));
            if note.stamp.number.is_multiple_of(2) {
                self.holders.insert(node)
            } else {
                self.holders.remove(&node)
            };
            if self.holders.len() > 1 {
                let (invariant, message) = ("one-holder".to_owned(), "two hold it".to_owned());
                let violation = Violation { invariant, class: Class::Safety, at, event: 0, node: Some(node), message };
                self.violation.get_or_insert(violation);
            }
            Ok(())
        }
        fn deed(&mut self, _: Instant, deed: Deed) {
            if let Deed::Begin(fault) = deed {
                self.holders.remove(&NodeId(fault as u16));
            }
        }
        fn found(&mut self, _: NodeId, _: &[Vec<u8>]) {}
        fn due(&self) -> Option<(Instant, Deed)> {
            None
        }
        fn orders(&mut self) -> Vec<Order> {
            Vec::new()
        }
        fn look(&mut self, _: Instant) {}
        fn end(&self) -> Instant {
            Instant::ZERO
        }
        fn violation(&self) -> Option<&Violation> {
            self.violation.as_ref()
        }
        fn finish(self: Box<Self>, at: Instant) -> (Outcome, Trace) {
            let (fired, marks, reached) = (Vec::new(), Vec::new(), Vec::new());
            let violation = self.violation;
            (Outcome { violation, events: 0, end: at, trace_hash: 0, fired, marks, reached }, Trace::default())
        }
    }

    fn millis(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    /// A record of two processes, whose clocks are known to within so many milliseconds on each side.
    fn record(notes: &[(u16, u64)], within: u64) -> Record {
        let mut record = Record::default();
        let mut numbers = [0; 2];
        for &(node, at) in notes {
            let number = &mut numbers[usize::from(node)];
            let stamp = Stamp { process: 0, number: *number };
            *number += 1;
            let (began, ended) = (millis(at), millis(at));
            let came = Came::Command(CommandId(0));
            record.notes.push((NodeId(node), Note { stamp, began, ended, came, state: Some(0) }));
        }
        for node in [NodeId(0), NodeId(1)] {
            let (asked, said, heard) = (millis(100 - within), millis(100), millis(100 + within));
            record.readings.push(Reading { node, process: 0, asked, said, heard });
        }
        record
    }

    fn judged(record: &Record) -> Judgement {
        record.judge(|_| Box::<Believer>::default()).expect("it believes everything")
    }

    fn order(record: &Record) -> Vec<(NodeId, u64)> {
        let told = Rc::new(RefCell::new(Vec::new()));
        let mut first = Some(Believer { told: told.clone(), ..Believer::default() });
        assert!(record.judge(|_| Box::new(first.take().unwrap_or_default())).is_ok());
        told.take()
    }

    #[test]
    fn two_at_a_time_are_certain_if_they_overlap_by_more_than_the_clocks_are_off() {
        let overlap = [(0, 10), (1, 20), (0, 30), (1, 40)];
        assert_eq!(judged(&record(&overlap, 1)).certain().collect::<Vec<_>>(), ["one-holder"]);
        let judgement = judged(&record(&overlap, 6));
        assert!(judgement.certain().next().is_none() && judgement.is_open(), "10 ms of overlap, and 12 of doubt");
    }

    #[test]
    fn one_after_the_other_is_sound_if_the_gap_is_wider_than_the_clocks_are_off() {
        let apart = [(0, 10), (0, 20), (1, 30), (1, 40)];
        let judgement = judged(&record(&apart, 4));
        assert!(judgement.violated.is_empty());
        assert_eq!(judgement.uncertainty, Duration::from_millis(8));
        assert!(judged(&record(&apart, 6)).is_open(), "a gap of 10 ms, and 12 of doubt");
    }

    #[test]
    fn what_was_sent_comes_before_it_is_received_whatever_the_clocks_say() {
        let mut record = record(&[(1, 10), (0, 20)], 1);
        let sent = Stamp { process: 0, number: 0 };
        let via: Option<ConnectionId> = None;
        record.notes[0].1.came = Came::Message { from: NodeId(0), sent, via, message: Vec::new() };
        assert_eq!(order(&record), [(NodeId(0), 0), (NodeId(1), 0)]);
    }

    #[test]
    fn what_was_heard_before_a_deed_comes_before_it_and_what_a_process_did_before_it_was_killed_too() {
        // Node 0 holds until it is killed, and node 1 takes over.
        let mut record = record(&[(0, 10), (1, 40)], 20);
        let deed = Deed::Begin(0);
        record.deeds.push(Done { at: millis(25), deed, heard: 1 });
        assert!(judged(&record).is_open(), "nothing says that node 1 took over after the crash");
        record.deaths.push(Death { node: NodeId(0), process: 0, cause: Cause::Deed(0), disk: Vec::new() });
        record.readings.push(Reading {
            node: NodeId(1),
            process: 0,
            asked: millis(99),
            said: millis(100),
            heard: millis(101),
        });
        assert!(judged(&record).violated.is_empty());
    }

    #[test]
    fn a_record_that_contradicts_itself_is_told_to_its_end() {
        let mut record = record(&[(0, 10), (1, 20)], 1);
        for (own, other) in [(0, 1), (1, 0)] {
            let sent = Stamp { process: 0, number: 0 };
            record.notes[own].1.came = Came::Message { from: NodeId(other), sent, via: None, message: Vec::new() };
        }
        assert_eq!(order(&record).len(), 2);
    }
}
