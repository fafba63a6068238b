//! Frames: what is sent between processes, and written to their disks, piece by piece.
//!
//! A frame says how long it is, in which version of this format it is written, and what its bytes add up to. Whoever reads
//! one believes none of this: a frame that is too long, of another version or damaged is refused before anything is kept of
//! it, so that a peer that sends garbage costs no more memory than one frame.
//!
//! ```text
//! 0       4         5        6          10              14
//! | magic | version | kind   | length   | CRC-32        | payload
//! | "FNCP"| 1       | u8     | u32, LE  | of kind, length and payload, LE
//! ```

use std::fmt;
use std::io;

use ::tokio::io::{AsyncRead, AsyncReadExt};

/// The version of the format: of frames, and of what is in them.
pub const VERSION: u8 = 1;
/// Bytes that a payload has at most.
pub const MAX_PAYLOAD: usize = 256 << 10;
/// Bytes that a message or a record has at most: what is written around it, in a note of it for one, must find room too.
pub const MAX_VALUE: usize = MAX_PAYLOAD - 256;
/// Bytes in front of a payload.
pub const HEADER: usize = 14;

const MAGIC: [u8; 4] = *b"FNCP";

/// What was sent, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the payload is; whoever exchanges frames agrees on the numbers.
    pub kind: u8,
    /// At most [`MAX_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// They do not begin like one.
    Garbage,
    /// It is of a version that this program does not know.
    Version(u8),
    /// It claims to be longer than any frame is.
    TooLong(u32),
    /// Its bytes do not add up.
    Damaged,
    /// It ends before its end.
    Torn,
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFrame::Garbage => f.write_str("this is no frame"),
            BadFrame::Version(version) => write!(f, "a frame of version {version}, this program speaks {VERSION}"),
            BadFrame::TooLong(length) => write!(f, "a frame of {length} bytes, no frame has more than {MAX_PAYLOAD}"),
            BadFrame::Damaged => f.write_str("a frame whose checksum is wrong"),
            BadFrame::Torn => f.write_str("a part of a frame"),
        }
    }
}

impl std::error::Error for BadFrame {}

struct Header {
    kind: u8,
    length: u32,
    sum: u32,
}

impl Header {
    fn read(bytes: &[u8; HEADER]) -> Result<Header, BadFrame> {
        let [m0, m1, m2, m3, version, kind, l0, l1, l2, l3, s0, s1, s2, s3] = *bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(BadFrame::Garbage);
        }
        if version != VERSION {
            return Err(BadFrame::Version(version));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length as usize > MAX_PAYLOAD {
            return Err(BadFrame::TooLong(length));
        }
        Ok(Header { kind, length, sum: u32::from_le_bytes([s0, s1, s2, s3]) })
    }
}

fn sum(kind: u8, payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[kind]);
    sum.update(&(payload.len() as u32).to_le_bytes());
    sum.update(payload);
    sum.finalize()
}

impl Frame {
    /// The frame as it is sent; `None` if the payload is too long.
    pub fn bytes(kind: u8, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() > MAX_PAYLOAD {
            return None;
        }
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend(MAGIC);
        bytes.extend([VERSION, kind]);
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(sum(kind, payload).to_le_bytes());
        bytes.extend(payload);
        Some(bytes)
    }

    /// The frame at the beginning of these bytes, and what comes after it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn split(bytes: &[u8]) -> Result<(Frame, &[u8]), BadFrame> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or(BadFrame::Torn)?;
        let header = Header::read(header)?;
        let (payload, rest) = rest.split_at_checked(header.length as usize).ok_or(BadFrame::Torn)?;
        let frame = Frame { kind: header.kind, payload: payload.to_vec() };
        if sum(frame.kind, &frame.payload) != header.sum {
            return Err(BadFrame::Damaged);
        }
        Ok((frame, rest))
    }

    /// Waits for the next frame; `None` if nothing comes any more.
    ///
    /// # Errors
    /// What is wrong with it, or with what it is read from.
    pub fn wait_for(from: &mut impl io::Read) -> Result<Option<Frame>, ReadError> {
        let mut header = [0; HEADER];
        if from.read(&mut header[..1])? == 0 {
            return Ok(None);
        }
        from.read_exact(&mut header[1..]).map_err(torn)?;
        let header = Header::read(&header)?;
        let mut payload = vec![0; header.length as usize];
        from.read_exact(&mut payload).map_err(torn)?;
        if sum(header.kind, &payload) != header.sum {
            return Err(BadFrame::Damaged.into());
        }
        Ok(Some(Frame { kind: header.kind, payload }))
    }

    /// Reads the next frame; `None` if nothing comes any more. Not to be cancelled half-way.
    ///
    /// # Errors
    /// What is wrong with it, or with what it is read from.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Frame>, ReadError> {
        let mut header = [0; HEADER];
        let mut filled = 0;
        while filled < HEADER {
            match from.read(&mut header[filled..]).await {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(BadFrame::Torn.into()),
                Ok(read) => filled += read,
                Err(error) => return Err(error.into()),
            }
        }
        let header = Header::read(&header)?;
        // Grows with what really comes, not with what was promised.
        let mut payload = Vec::new();
        from.take(u64::from(header.length)).read_to_end(&mut payload).await?;
        if payload.len() < header.length as usize {
            return Err(BadFrame::Torn.into());
        }
        if sum(header.kind, &payload) != header.sum {
            return Err(BadFrame::Damaged.into());
        }
        Ok(Some(Frame { kind: header.kind, payload }))
    }
}

fn torn(error: io::Error) -> ReadError {
    if error.kind() == io::ErrorKind::UnexpectedEof { BadFrame::Torn.into() } else { error.into() }
}

/// Why no frame could be read.
#[derive(Debug)]
pub enum ReadError {
    /// There is none.
    Bad(BadFrame),
    /// There is nothing to read from any more.
    Io(std::io::Error),
}

impl From<BadFrame> for ReadError {
    fn from(bad: BadFrame) -> Self {
        ReadError::Bad(bad)
    }
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> Self {
        ReadError::Io(error)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Bad(bad) => bad.fmt(f),
            ReadError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(kind: u8, payload: Vec<u8>, rest: Vec<u8>) {
            let mut bytes = Frame::bytes(kind, &payload).expect("it is short");
            bytes.extend(&rest);
            prop_assert_eq!(Frame::split(&bytes), Ok((Frame { kind, payload }, &rest[..])));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            prop_assert!(Frame::split(&bytes).is_err());
        }

        #[test]
        fn any_flipped_bit_is_found(payload in proptest::collection::vec(any::<u8>(), 1..40), at: prop::sample::Index, bit in 0_u8..8) {
            let mut bytes = Frame::bytes(3, &payload).expect("it is short");
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(Frame::split(&bytes).is_err());
        }

        #[test]
        fn every_part_of_a_frame_is_torn(payload: Vec<u8>, at: prop::sample::Index) {
            let bytes = Frame::bytes(3, &payload).expect("it is short");
            prop_assert_eq!(Frame::split(&bytes[..at.index(bytes.len())]), Err(BadFrame::Torn));
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_at_its_header() {
        let mut bytes = Frame::bytes(0, b"x").expect("it is short");
        bytes[6..10].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Frame::split(&bytes), Err(BadFrame::TooLong(u32::MAX)));
        assert_eq!(Frame::bytes(0, &vec![0; MAX_PAYLOAD + 1]), None);
    }
}
