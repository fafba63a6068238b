//! A node's disk as a directory.
//!
//! `log` holds a [frame](super::super::frame) for each write, in order; a truncation is one too, so that it is as durable as
//! the writes around it. `starts` says how many processes have lived there. What a machine that fails leaves of the last
//! write is found by its checksum and cut off. Damage with sound writes behind it is no such tail: nobody starts on that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::super::frame::{Frame, MAX_VALUE};
use crate::SyncToken;

const RECORD: u8 = 1;
const TRUNCATE: u8 = 2;
/// What may wait for the disk before the node waits too.
const QUEUE: usize = 1024;

/// What was found on a disk.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The records, oldest first.
    pub records: Vec<Vec<u8>>,
    /// Bytes of the log that are sound.
    pub length: u64,
    /// Bytes behind them, left by a write that was not finished.
    pub torn: u64,
    /// Whether something was truncated, so that the log could be shorter.
    truncated: bool,
}

/// Reads the log in a directory; an empty one if there is none.
///
/// # Errors
/// What the file system says, or that the log is damaged elsewhere than at its end.
pub fn find(directory: &Path) -> io::Result<Found> {
    let log = match fs::read(directory.join("log")) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut found = Found { records: Vec::new(), length: 0, torn: 0, truncated: false };
    let mut rest = &log[..];
    while !rest.is_empty() {
        match Frame::split(rest) {
            Ok((Frame { kind: RECORD, payload }, after)) => {
                found.records.push(payload);
                rest = after;
            }
            Ok((Frame { kind: TRUNCATE, .. }, after)) => {
                found.records.clear();
                found.truncated = true;
                rest = after;
            }
            // A tail that was torn, unless something sound comes behind it.
            _ if (1..rest.len()).all(|from| Frame::split(&rest[from..]).is_err()) => break,
            _ => {
                let at = log.len() - rest.len();
                let message = format!("the log is damaged at byte {at}, and what comes behind is sound");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
    }
    found.torn = rest.len() as u64;
    found.length = log.len() as u64 - found.torn;
    Ok(found)
}

/// What is asked of the disk's thread.
enum Request {
    Append(Vec<u8>),
    Truncate,
    Sync(SyncToken),
}

/// The disk of a process that is up.
pub struct Disk {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
    /// How many processes have lived there before.
    pub process: u32,
    /// What was found there.
    pub found: Found,
}

/// A sync has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub token: SyncToken,
    /// Whether everything that was written before it is durable.
    pub ok: bool,
    /// Bytes of the log that it covered.
    pub length: u64,
}

impl Disk {
    /// Makes a directory a process's disk. `ended` is called, on another thread, at the end of each sync.
    ///
    /// # Errors
    /// What the file system says, or that the log is damaged.
    pub fn open(directory: &Path, ended: impl Fn(Ended) + Send + 'static) -> io::Result<Disk> {
        fs::create_dir_all(directory)?;
        let process = count_start(directory)?;
        let found = find(directory)?;
        let path = directory.join("log");
        if found.truncated {
            rewrite(directory, &found.records)?;
        }
        let mut log = OpenOptions::new().create(true).append(true).open(&path)?;
        if !found.truncated && found.torn > 0 {
            log.set_len(found.length)?;
        }
        log.sync_all()?;
        File::open(directory)?.sync_all()?;
        let mut length = log.metadata()?.len();
        let (requests, asked): (_, Receiver<Request>) = sync_channel(QUEUE);
        let thread = thread::Builder::new().name("disk".to_owned()).spawn(move || {
            // After one write has failed nobody knows what the log holds: no later sync is a good one.
            let mut sound = true;
            for request in asked {
                let frame = match request {
                    Request::Append(record) if record.len() > MAX_VALUE => None,
                    Request::Append(record) => Frame::bytes(RECORD, &record),
                    Request::Truncate => Frame::bytes(TRUNCATE, &[]),
                    Request::Sync(token) => {
                        sound &= log.sync_data().is_ok();
                        ended(Ended { token, ok: sound, length });
                        continue;
                    }
                };
                // A record that is too long cannot be written.
                sound &= frame.is_some_and(|frame| {
                    length += frame.len() as u64;
                    log.write_all(&frame).is_ok()
                });
            }
            _ = log.sync_all();
        })?;
        Ok(Disk { requests: Some(requests), thread: Some(thread), process, found })
    }

    /// Appends a record.
    pub fn append(&self, record: Vec<u8>) {
        self.ask(Request::Append(record));
    }

    /// Discards everything written so far.
    pub fn truncate(&self) {
        self.ask(Request::Truncate);
    }

    /// Makes everything written so far durable.
    pub fn sync(&self, token: SyncToken) {
        self.ask(Request::Sync(token));
    }

    fn ask(&self, request: Request) {
        if let Some(requests) = &self.requests {
            // Its thread lives as long as it is asked.
            _ = requests.send(request);
        }
    }
}

/// A process that stops in good order waits until what it wrote is written.
impl Drop for Disk {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

/// Counts the processes; says how many there were before.
fn count_start(directory: &Path) -> io::Result<u32> {
    let path = directory.join("starts");
    let before = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| {
            let message = format!("{} should hold a number, and holds {text:?}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    replace(directory, "starts", format!("{}\n", before + 1).as_bytes())?;
    Ok(before)
}

/// Writes the log anew, with these records only.
fn rewrite(directory: &Path, records: &[Vec<u8>]) -> io::Result<()> {
    let log: Vec<u8> = records.iter().filter_map(|record| Frame::bytes(RECORD, record)).flatten().collect();
    replace(directory, "log", &log)
}

/// Replaces a file as a whole: whoever looks, after whatever failure, finds the old one or the new one.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new: PathBuf = directory.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, directory.join(name))?;
    File::open(directory)?.sync_all()
}

/// Takes away what a machine that fails may lose: bytes behind the end of the last sync, from `keeps` on. Says how many.
///
/// # Errors
/// What the file system says.
pub fn tear(directory: &Path, synced: u64, keeps: impl FnOnce(u64) -> u64) -> io::Result<u64> {
    let log = match OpenOptions::new().write(true).open(directory.join("log")) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let unsynced = log.metadata()?.len().saturating_sub(synced);
    let lost = unsynced - keeps(unsynced).min(unsynced);
    if lost > 0 {
        log.set_len(synced + unsynced - lost)?;
    }
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Opens a disk whose syncs can be waited for.
    fn open(directory: &Path) -> (Disk, mpsc::Receiver<Ended>) {
        let (sender, ended) = mpsc::channel();
        let disk = Disk::open(directory, move |sync| _ = sender.send(sync)).expect("the directory is sound");
        (disk, ended)
    }

    fn written(directory: &Path, records: &[&[u8]]) -> u64 {
        let (disk, ended) = open(directory);
        records.iter().for_each(|record| disk.append(record.to_vec()));
        disk.sync(SyncToken(1));
        let sync = ended.recv().expect("syncs end");
        assert!(sync.ok);
        sync.length
    }

    #[test]
    fn what_was_synced_is_found_and_processes_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let length = written(directory.path(), &[b"one", b"two"]);
        let (disk, _) = open(directory.path());
        assert_eq!(
            disk.found,
            Found { records: vec![b"one".to_vec(), b"two".to_vec()], length, torn: 0, truncated: false }
        );
        assert_eq!(disk.process, 1);
    }

    #[test]
    fn a_torn_tail_is_cut_off_wherever_it_was_torn() {
        let directory = tempfile::tempdir().unwrap();
        let synced = written(directory.path(), &[b"one"]);
        let whole = written(directory.path(), &[b"a longer one"]);
        for keeps in 0..whole - synced {
            let here = tempfile::tempdir().unwrap();
            fs::copy(directory.path().join("log"), here.path().join("log")).unwrap();
            assert_eq!(tear(here.path(), synced, |_| keeps).unwrap(), whole - synced - keeps);
            assert_eq!(find(here.path()).unwrap().torn, keeps);
            let (disk, ended) = open(here.path());
            assert_eq!(disk.found.records, [b"one"]);
            // What is written behind it can be read.
            disk.append(b"three".to_vec());
            disk.sync(SyncToken(1));
            ended.recv().unwrap();
            assert_eq!(find(here.path()).unwrap().records, [&b"one"[..], b"three"]);
        }
    }

    #[test]
    fn a_truncation_lasts_and_the_log_gets_shorter() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, _) = open(directory.path());
        disk.append(b"old".to_vec());
        disk.truncate();
        disk.append(b"new".to_vec());
        drop(disk);
        let before = fs::metadata(directory.path().join("log")).unwrap().len();
        let (disk, _) = open(directory.path());
        assert_eq!(disk.found.records, [b"new"]);
        assert!(fs::metadata(directory.path().join("log")).unwrap().len() < before);
    }

    #[test]
    fn nobody_starts_on_a_log_that_is_damaged_in_the_middle() {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path(), &[b"one", b"two"]);
        let path = directory.path().join("log");
        let mut log = fs::read(&path).unwrap();
        log[15] ^= 1;
        fs::write(&path, log).unwrap();
        let error = Disk::open(directory.path(), |_| {}).err().expect("it is refused");
        assert_eq!(error.to_string(), "the log is damaged at byte 0, and what comes behind is sound");
    }

    #[test]
    fn a_record_that_cannot_be_written_fails_this_sync_and_all_later_ones() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, ended) = open(directory.path());
        disk.append(vec![0; MAX_VALUE + 1]);
        disk.sync(SyncToken(1));
        disk.append(b"short".to_vec());
        disk.sync(SyncToken(2));
        assert!(!ended.recv().unwrap().ok);
        assert!(!ended.recv().unwrap().ok);
    }
}
