//! Sealed chunks in, records out.

use crate::{
    CHUNK_SPAN, Dek, Error, FRAME_LEN, Frame, HEADER_LEN, Header, Indexed, Position, Records, cursor::Cursor,
    frame::CHUNK_LEAST, header::additional,
};
use gm::sm4::{self, TAG_LEN, Tag};
use mutant::mutant;
use std::time::Duration;
use zeroize::Zeroizing;

/// Opens one file, chunk by chunk: feed it bytes in file order, then poll until nothing comes.
///
/// ```text
///             feed, poll                    poll: the last chunk
///  new ──> expecting chunk n ──> … ──────────────────────────────> ended
///             ^       │ seek(m)
///             └───────┘ expecting chunk m
/// ```
///
/// A chunk is shown only when its tag is right, its place in the file is its own, and each of its records is
/// sound. The whole file was read only if [`Opener::end`] says [`Ending::Complete`].
pub struct Opener {
    key: sm4::Key,
    header: Header,
    additional: [u8; 48],
    fed: Vec<u8>,
    expected: Option<u32>,
}

/// How the bytes of a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the chunk that says it is the last.
    Complete,
    /// Before it: the process that sealed was killed, or somebody cut the file. `missing` is the first chunk
    /// that did not come whole, `torn` the bytes there are of it.
    Truncated {
        /// The first chunk that is not there.
        missing: u32,
        /// Bytes behind the last whole chunk.
        torn: usize,
    },
}

/// An opened chunk. Its plaintext is wiped when dropped.
pub struct Chunk {
    frame: Frame,
    plaintext: Zeroizing<Vec<u8>>,
}

impl Opener {
    /// Checks that the header was made with `dek`.
    pub fn new(dek: &Dek, header: &[u8; HEADER_LEN]) -> Result<Self, Error> {
        let parsed = Header::committed(header, dek)?;
        Ok(Self {
            key: sm4::Key::new(dek.bytes()),
            header: parsed,
            additional: additional(header, parsed.object),
            fed: Vec::new(),
            expected: Some(0),
        })
    }

    /// The header, now known to be authentic.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Takes the next bytes of the file, as many as there are.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.fed.extend_from_slice(bytes);
    }

    /// The next chunk in order, or nothing until more bytes come.
    pub fn poll(&mut self) -> Result<Option<Chunk>, Error> {
        let Some(expected) = self.expected else {
            return if self.fed.is_empty() { Ok(None) } else { Err(Error::Trailing) };
        };
        let Some(frame) = self.fed.first_chunk() else { return Ok(None) };
        let frame = Frame::from_bytes(frame)?;
        if frame.index != expected {
            return Err(Error::Order { expected, found: frame.index });
        }
        let whole = FRAME_LEN + frame.sealed_len;
        let Some(sealed) = self.fed.get(FRAME_LEN..whole) else { return Ok(None) };
        let chunk = self.open(frame, sealed)?;
        self.fed.drain(..whole);
        self.expected = match frame.position {
            Position::Last => None,
            Position::Within => Some(expected.checked_add(1).ok_or(Error::Full)?),
        };
        Ok(Some(chunk))
    }

    /// Goes to a chunk that an index found: forgets the bytes fed so far and expects those from
    /// `chunk.offset` on.
    pub fn seek(&mut self, chunk: &Indexed) {
        self.fed.clear();
        self.expected = Some(chunk.frame.index);
    }

    /// Opens one chunk on its own: `sealed` are the `frame.sealed_len` bytes behind its frame. Says nothing
    /// about the chunks beside it.
    pub fn open(&self, frame: Frame, sealed: &[u8]) -> Result<Chunk, Error> {
        let refused = Error::NotAuthentic(frame.index);
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(refused)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        self.key
            .open_in_place(&frame.nonce(self.header.prefix), &self.additional, &mut plaintext, &Tag(*tag))
            .map_err(|_opaque| Error::NotAuthentic(frame.index))?;
        let chunk = Chunk { frame, plaintext };
        chunk.check()?;
        Ok(chunk)
    }

    /// How the file ended, when no more bytes come.
    pub fn end(&self) -> Ending {
        match self.expected {
            Some(missing) if !mutant("last-flag-ignored") => {
                Ending::Truncated { missing, torn: self.fed.len() }
            }
            _ => Ending::Complete,
        }
    }
}

impl Chunk {
    /// Counts the chunks of the file from 0.
    pub const fn index(&self) -> u32 {
        self.frame.index
    }

    /// Within or last.
    pub const fn position(&self) -> Position {
        self.frame.position
    }

    /// The earliest media time in it.
    pub const fn time(&self) -> Duration {
        self.frame.time
    }

    /// Its records, in the order in which they were sealed.
    pub fn records(&self) -> Records<'_> {
        Records::new(self.plaintext.get(CHUNK_LEAST..).unwrap_or_default())
    }

    /// That the frame told the truth about the time, and that each record is sound and within the span.
    fn check(&self) -> Result<(), Error> {
        let mut cursor = Cursor::new(&self.plaintext);
        if Duration::from_nanos(cursor.u64()?) != self.frame.time {
            return Err(Error::NotAuthentic(self.frame.index));
        }
        let mut records = Records::new(cursor.rest());
        while let Some(record) = records.step()? {
            if record.time.checked_sub(self.frame.time).is_none_or(|after| after > CHUNK_SPAN) {
                return Err(Error::Malformed("a record outside the span of its chunk"));
            }
        }
        Ok(())
    }
}
