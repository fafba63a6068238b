//! The master's log buffers: what has been written and not yet been shipped.

use std::collections::VecDeque;
use std::sync::Arc;

use super::log::{Entry, Position};

/// What is shipped at a time: the content of one log buffer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// The records, oldest first.
    pub entries: Arc<[Entry]>,
    /// Where the log ends after them.
    pub end: Position,
}

/// A fixed number of buffers of a fixed size.
#[derive(Clone, Debug, Hash)]
pub struct LogBuffers {
    count: usize,
    size: u32,
    /// Full ones, oldest first.
    full: VecDeque<Chunk>,
    /// The one that is being filled, and how full it is.
    current: Vec<Entry>,
    bytes: u32,
    end: Position,
}

/// All buffers are full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Full;

impl LogBuffers {
    /// Empty buffers.
    pub fn new(count: u32, size: u32) -> Self {
        LogBuffers {
            count: count as usize,
            size,
            full: VecDeque::new(),
            current: Vec::new(),
            bytes: 0,
            end: Position::START,
        }
    }

    /// Appends a record, after which the log ends at `end`. Says whether a buffer has become full by that.
    ///
    /// # Errors
    /// If there is no room; nothing is appended.
    pub fn append(&mut self, entry: Entry, end: Position) -> Result<bool, Full> {
        let switch = self.bytes + entry.length > self.size;
        if switch {
            if self.full.len() + 1 >= self.count {
                return Err(Full);
            }
            self.switch();
        }
        self.bytes += entry.length;
        self.current.push(entry);
        self.end = end;
        Ok(switch)
    }

    fn switch(&mut self) {
        let entries = std::mem::take(&mut self.current).into();
        self.full.push_back(Chunk { entries, end: self.end });
        self.bytes = 0;
    }

    /// Takes the oldest content to ship it; the buffer is free from then on.
    pub fn take(&mut self) -> Option<Chunk> {
        if self.full.is_empty() && !self.current.is_empty() {
            self.switch();
        }
        self.full.pop_front()
    }

    /// Whether there is nothing to ship.
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.current.is_empty()
    }

    /// Fill information: how many of a hundred buffers are full.
    pub fn fill(&self) -> usize {
        self.full.len() * 100 / self.count
    }

    /// Throws everything away.
    pub fn clear(&mut self) {
        *self = LogBuffers::new(self.count as u32, self.size);
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::{Body, Log};
    use super::*;

    #[test]
    fn buffers_fill_are_refused_when_full_and_ship_in_order() {
        let (mut log, mut buffers) = (Log::default(), LogBuffers::new(3, 200));
        for transaction in 0..6 {
            let entry = log.append(Body::Update(transaction), 100);
            let switched = buffers.append(entry, log.position());
            assert_eq!(switched, Ok(transaction > 0 && transaction % 2 == 0));
        }
        assert_eq!(buffers.fill(), 66);
        let entry = log.append(Body::Update(6), 100);
        assert_eq!(buffers.append(entry, log.position()), Err(Full));
        let chunk = buffers.take().expect("a full buffer");
        assert_eq!((chunk.entries.len(), chunk.end.instant), (2, 200));
        assert_eq!(buffers.append(entry, log.position()), Ok(true));
        let rest: Vec<u64> = std::iter::from_fn(|| buffers.take()).map(|chunk| chunk.end.instant).collect();
        assert_eq!(rest, [400, 600, 700]);
        assert!(buffers.is_empty());
    }
}
