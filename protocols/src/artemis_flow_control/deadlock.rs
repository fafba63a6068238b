//! What a thread waits for, and whom that keeps waiting in turn: how a blocked writer is explained to people.

use super::broker::Broker;
use super::locks::Thread;
use super::replication_writer::Write;

impl Broker {
    /// The waits from `thread` on, one after the other, up to the first that closes a ring or that nobody inside this
    /// broker can end.
    pub fn explain_wait(&self, thread: Thread) -> String {
        let mut text = Vec::new();
        let mut seen = vec![thread];
        let mut at = thread;
        loop {
            let (what, by) = self.awaited_by(at);
            let Some(next) = by.iter().copied().find(|t| seen.contains(t)).or(by.first().copied()) else {
                text.push(format!("{at:?} waits for {what}"));
                return text.join("; ");
            };
            text.push(format!("{at:?} waits for {what}, which depends on {next:?}"));
            if seen.contains(&next) {
                text.push("that is a ring".to_owned());
                return text.join("; ");
            }
            if !self.waiting.contains_key(&next) {
                return text.join("; ");
            }
            seen.push(next);
            at = next;
        }
    }

    /// What a thread waits for, and who could end that.
    fn awaited_by(&self, thread: Thread) -> (String, Vec<Thread>) {
        if let Some(lock) = self.locks.awaited_by(thread) {
            return (format!("the {lock:?} lock"), self.locks.blockers(thread));
        }
        if self.writes.get(&thread).is_some_and(Write::awaits_ready) {
            return ("the replica to become writable".to_owned(), vec![Thread::EventLoop]);
        }
        if self.page_writer.is_awaited_by(thread) {
            return ("page writer credits".to_owned(), vec![Thread::PageWriter]);
        }
        ("the replica's confirmation".to_owned(), Vec::new())
    }
}
