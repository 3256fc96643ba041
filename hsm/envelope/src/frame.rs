//! The cleartext frame before each chunk, its nonce, and the index that hops from frame to frame
//! (`docs/formats/sealed-file.md` §3).

use crate::{Error, HEADER_LEN, NoncePrefix, cursor::Cursor};
use gm::sm4::{NONCE_LEN, Nonce, TAG_LEN};
use std::time::Duration;

/// Bytes of a frame.
pub const FRAME_LEN: usize = 16;
/// The longest plaintext of a chunk, in bytes.
pub const CHUNK_LIMIT: usize = 16 * 1024;
/// The longest time that the records of one chunk span.
pub const CHUNK_SPAN: Duration = Duration::from_millis(500);
/// The shortest plaintext: its time, and no record.
pub(crate) const CHUNK_LEAST: usize = 8;

/// Whether a chunk ends its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Another chunk follows.
    Within,
    /// The file was finished with this chunk.
    Last,
}

/// What stands in cleartext before a sealed chunk. Each field is authenticated by the chunk behind it: index
/// and position in the nonce, the length by the tag, the time by its copy inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Within or last.
    pub position: Position,
    /// Bytes behind the frame: ciphertext and tag.
    pub sealed_len: usize,
    /// Counts the chunks of a file from 0.
    pub index: u32,
    /// The earliest media time in the chunk.
    pub time: Duration,
}

impl Frame {
    /// Reads a frame. Nothing in it is to be believed until its chunk has been opened.
    pub fn from_bytes(bytes: &[u8; FRAME_LEN]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        let position = match cursor.u8()? {
            0 => Position::Within,
            1 => Position::Last,
            _ => return Err(Error::Malformed("unknown flag of a chunk")),
        };
        cursor.zeros(1)?;
        let sealed_len = usize::from(cursor.u16()?);
        if !(CHUNK_LEAST + TAG_LEN..=CHUNK_LIMIT + TAG_LEN).contains(&sealed_len) {
            return Err(Error::Malformed("impossible length of a chunk"));
        }
        let index = cursor.u32()?;
        let time = Duration::from_nanos(cursor.u64()?);
        Ok(Self { position, sealed_len, index, time })
    }

    pub(crate) fn to_bytes(self) -> Result<[u8; FRAME_LEN], Error> {
        let mut bytes = [0; FRAME_LEN];
        bytes[0] = self.position.flag();
        let len = u16::try_from(self.sealed_len).map_err(|_longer| Error::RecordTooLong)?;
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.index.to_be_bytes());
        bytes[8..].copy_from_slice(&nanos(self.time)?.to_be_bytes());
        Ok(bytes)
    }

    /// Prefix ‖ index ‖ last flag (STREAM): different for every chunk of a file, and the last chunk's differs
    /// from that of a chunk in the middle.
    pub(crate) fn nonce(&self, prefix: NoncePrefix) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[..7].copy_from_slice(&prefix.0);
        nonce[7..11].copy_from_slice(&self.index.to_be_bytes());
        nonce[11] = self.position.flag();
        Nonce(nonce)
    }
}

impl Position {
    const fn flag(self) -> u8 {
        match self {
            Self::Within => 0,
            Self::Last => 1,
        }
    }
}

/// One chunk in an [`Index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indexed {
    /// Its frame.
    pub frame: Frame,
    /// Where the frame begins, in bytes from the start of the file.
    pub offset: u64,
}

/// Where each chunk begins, and when. Made by reading 16 bytes a chunk, without a key; works on a crashed file
/// too. A changed frame can lead a seek astray, but the chunk found there is then refused.
#[derive(Clone, Debug, Default)]
pub struct Index(Vec<Indexed>);

impl Index {
    /// An index of no chunks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to read the next [`FRAME_LEN`] bytes, or nothing when the last chunk is in the index. Where the
    /// file ends before the whole frame or its chunk, the index is complete and the file truncated.
    pub fn wanted(&self) -> Option<u64> {
        match self.0.last() {
            None => Some(HEADER_LEN as u64),
            Some(Indexed { frame: Frame { position: Position::Last, .. }, .. }) => None,
            Some(Indexed { frame, offset }) => {
                Some(offset.saturating_add((FRAME_LEN + frame.sealed_len) as u64))
            }
        }
    }

    /// Adds the frame that stands at [`Index::wanted`].
    pub fn push(&mut self, bytes: &[u8; FRAME_LEN]) -> Result<(), Error> {
        let offset = self.wanted().ok_or(Error::Trailing)?;
        let frame = Frame::from_bytes(bytes)?;
        let expected = u32::try_from(self.0.len()).map_err(|_more| Error::Full)?;
        if frame.index != expected {
            return Err(Error::Order { expected, found: frame.index });
        }
        self.0.push(Indexed { frame, offset });
        Ok(())
    }

    /// The first chunk that can hold a record of `time` or later; open from there on.
    pub fn seek(&self, time: Duration) -> Option<Indexed> {
        self.0.iter().find(|chunk| chunk.frame.time.saturating_add(CHUNK_SPAN) >= time).copied()
    }

    /// All chunks in their order.
    pub fn chunks(&self) -> &[Indexed] {
        &self.0
    }
}

/// Nanoseconds as the format holds them: up to 584 years.
pub(crate) fn nanos(time: Duration) -> Result<u64, Error> {
    u64::try_from(time.as_nanos()).map_err(|_longer| Error::Unsealable("media time beyond 584 years"))
}
