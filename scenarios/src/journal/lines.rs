//! A file of lines that are whole or not there: JSON and a checksum each, written at once and synced.
//!
//! Apart from what the lines mean, because this is all that has to do with crashes. A process that is killed, or a
//! machine that loses power, can only tear the line that was being written, which is the last one; whoever opens the
//! file next takes it off. A line that is wrong anywhere else was changed by something else, and is refused.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use super::JournalError;

/// What every journal starts with.
pub(super) const MAGIC: &str = "{\"fencepost-journal\":";
/// Behind the JSON of each line: a space and eight hexadecimal digits in quotation marks, so that `jq` reads the file.
const CHECKSUM: usize = 11;

/// A journal's file that is written to. Nobody else can open it meanwhile.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: LockedFile,
    /// Where the last whole line ends.
    end: u64,
    /// Whether there may be part of a line behind it.
    torn: bool,
}

/// How much of a file is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where the last whole line ends.
    pub end: u64,
    /// Bytes behind it: a line that was being written when its writer ended.
    pub torn: u64,
}

/// An open file with a lock on it.
#[derive(Debug)]
pub(super) struct LockedFile(File);

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for LockedFile {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for LockedFile {
    /// Closing the file is not enough: a process that another thread is just starting has it open as well for a moment.
    fn drop(&mut self) {
        // If it cannot be unlocked, the end of the process does it.
        let _ = self.0.unlock();
    }
}

impl Lines {
    /// Opens a file to go on with it, or makes an empty one. Each line is handed to `each` with its place in the file. A
    /// torn one is taken off the end before anything is appended.
    pub fn open(
        path: &Path,
        each: impl FnMut(u64, &str) -> Result<(), String>,
    ) -> Result<(Self, Extent), JournalError> {
        let failed = |error| JournalError::Open { path: path.to_owned(), error };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(JournalError::Foreign { path: path.to_owned() });
        }
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        lock(path, file.try_lock())?;
        let file = LockedFile(file);
        let extent = scan(path, &file, each)?;
        if is_new {
            sync_folder(path).map_err(failed)?;
        }
        Ok((Lines { path: path.to_owned(), file, end: extent.end, torn: extent.torn > 0 }, extent))
    }

    /// Appends a line and waits until it is on the disk. If that fails, the file is as it was.
    pub fn append(&mut self, json: &str) -> Result<(), JournalError> {
        let line = format!("{json} \"{:08x}\"\n", crc32fast::hash(json.as_bytes()));
        let written = self.cut().and_then(|()| {
            self.torn = true;
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(line.as_bytes())?;
            self.file.sync_data()
        });
        match written {
            Ok(()) => {
                self.end += line.len() as u64;
                self.torn = false;
                Ok(())
            }
            Err(error) => {
                // If what is there of the line cannot be taken off either, the next to append does it.
                let _ = self.cut();
                Err(JournalError::Write { path: self.path.clone(), error })
            }
        }
    }

    /// Takes off what is behind the last whole line.
    fn cut(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.end)?;
            self.file.sync_data()?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Opens a file to look at it, which is refused while it is written to.
pub(super) fn read(
    path: &Path,
    each: impl FnMut(u64, &str) -> Result<(), String>,
) -> Result<(LockedFile, Extent), JournalError> {
    let failed = |error| JournalError::Open { path: path.to_owned(), error };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(JournalError::Foreign { path: path.to_owned() });
    }
    let file = File::open(path).map_err(failed)?;
    lock(path, file.try_lock_shared())?;
    let file = LockedFile(file);
    let extent = scan(path, &file, each)?;
    Ok((file, extent))
}

/// The JSON of the line at a place that [`read`] has told of.
pub(super) fn line_at(file: &mut File, at: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(at))?;
    let mut line = String::new();
    BufReader::new(file).read_line(&mut line)?;
    checked(line.trim_end_matches('\n').as_bytes())
        .map(str::to_owned)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the file has changed while it was read"))
}

fn lock(path: &Path, locked: Result<(), TryLockError>) -> Result<(), JournalError> {
    locked.map_err(|error| match error {
        TryLockError::WouldBlock => JournalError::Locked { path: path.to_owned() },
        TryLockError::Error(error) => JournalError::Open { path: path.to_owned(), error },
    })
}

fn scan(
    path: &Path,
    file: &File,
    mut each: impl FnMut(u64, &str) -> Result<(), String>,
) -> Result<Extent, JournalError> {
    let failed = |error| JournalError::Open { path: path.to_owned(), error };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let start = reader.fill_buf().map_err(failed)?;
    // Looked at before a line is read, because a file that is no journal may have no lines at all.
    let start = &start[..start.len().min(MAGIC.len())];
    if !MAGIC.as_bytes().starts_with(start) {
        return Err(JournalError::Foreign { path: path.to_owned() });
    }
    let (mut at, mut number) = (0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(failed)? as u64;
        if length == 0 {
            return Ok(Extent { end: at, torn: 0 });
        }
        number += 1;
        let json = line.strip_suffix(b"\n").and_then(checked);
        let Some(json) = json else {
            let is_last = reader.fill_buf().map_err(failed)?.is_empty();
            if is_last {
                return Ok(Extent { end: at, torn: length });
            }
            let what = "its checksum does not fit what it says".to_owned();
            return Err(JournalError::Damaged { path: path.to_owned(), line: number, what });
        };
        each(at, json).map_err(|what| JournalError::Damaged { path: path.to_owned(), line: number, what })?;
        at += length;
    }
}

/// The JSON of a line, if its checksum is right.
fn checked(line: &[u8]) -> Option<&str> {
    let (json, checksum) = line.split_at_checked(line.len().checked_sub(CHECKSUM)?)?;
    let expected = format!(" \"{:08x}\"", crc32fast::hash(json));
    (checksum == expected.as_bytes()).then(|| str::from_utf8(json).ok()).flatten()
}

/// Makes sure that the name of a new file survives a loss of power as well.
fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened.
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// What tells one build of a program from others: the length and the checksum of its file.
pub(super) fn fingerprint(program: &Path) -> io::Result<String> {
    let mut file = File::open(program)?;
    let mut hasher = crc32fast::Hasher::new();
    let (mut buffer, mut length) = (vec![0; 1 << 16], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{length:x}-{:08x}", hasher.finalize())),
            count => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}
