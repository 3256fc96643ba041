//! Records in, sealed chunks out.

use crate::{
    CHUNK_LIMIT, CHUNK_SPAN, Dek, Error, Frame, HEADER_LEN, Header, NoncePrefix, Position, Record,
    frame::{CHUNK_LEAST, nanos},
    header::additional,
};
use gm::sm4::{self, TAG_LEN};
use mutant::mutant;
use std::time::Duration;
use zeroize::Zeroizing;

/// Seals one file. The caller appends what it is given to the file, in order, and flushes at least every
/// [`CHUNK_SPAN`]; what is not flushed is lost with the process. A file is sealed in one go: none is ever
/// reopened to append, for its key has gone with its sealer.
pub struct Sealer {
    key: sm4::Key,
    prefix: NoncePrefix,
    additional: [u8; 48],
    next: Option<u32>,
    pending: Pending,
}

/// Records that wait for their chunk.
struct Pending {
    /// Room for the chunk's time, then encoded records.
    plaintext: Zeroizing<Vec<u8>>,
    /// The earliest and latest time of the records.
    times: Option<(Duration, Duration)>,
    /// The latest time of all records ever.
    latest: Duration,
}

impl Sealer {
    /// Begins a file: the sealer, and the header to write first. `dek` is used for this file and no other.
    pub fn new(dek: &Dek, header: Header) -> (Self, [u8; HEADER_LEN]) {
        let bytes = header.to_bytes(dek);
        let sealer = Self {
            key: sm4::Key::new(dek.bytes()),
            prefix: header.prefix,
            additional: additional(&bytes, header.object),
            next: Some(0),
            pending: Pending::new(),
        };
        (sealer, bytes)
    }

    /// Takes a record. Appends a whole chunk to `out` first where the record does not fit beside the waiting
    /// ones: where they would span more than [`CHUNK_SPAN`] or [`CHUNK_LIMIT`] together.
    pub fn push(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        if CHUNK_LEAST + record.encoded_len() > CHUNK_LIMIT {
            return Err(Error::RecordTooLong);
        }
        if !self.pending.fits(record) {
            self.seal(Position::Within, out)?;
        }
        self.pending.add(record)
    }

    /// Appends the waiting records to `out` as a whole chunk; nothing where none wait.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.pending.times.is_none() { Ok(()) } else { self.seal(Position::Within, out) }
    }

    /// Ends the file: appends the waiting records, or none, to `out` as the chunk that says it is the last.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.seal(Position::Last, out)
    }

    fn seal(&mut self, position: Position, out: &mut Vec<u8>) -> Result<(), Error> {
        let index = self.next.ok_or(Error::Full)?;
        let (time, plaintext) = self.pending.take()?;
        let frame = Frame { position, sealed_len: plaintext.len() + TAG_LEN, index, time };
        out.extend_from_slice(&frame.to_bytes()?);
        let begin = out.len();
        out.extend_from_slice(&plaintext);
        let tag = self.key.seal_in_place(&frame.nonce(self.prefix), &self.additional, &mut out[begin..])?;
        out.extend_from_slice(&tag.0);
        if !mutant("nonce-reuse") {
            self.next = index.checked_add(1);
        }
        Ok(())
    }
}

impl Pending {
    fn new() -> Self {
        Self { plaintext: Self::empty(), times: None, latest: Duration::ZERO }
    }

    /// Room for a whole chunk at once, so that growing leaves no copy of plaintext behind.
    fn empty() -> Zeroizing<Vec<u8>> {
        let mut plaintext = Zeroizing::new(Vec::with_capacity(CHUNK_LIMIT));
        plaintext.extend_from_slice(&[0; CHUNK_LEAST]);
        plaintext
    }

    fn fits(&self, record: &Record<'_>) -> bool {
        let Some((earliest, latest)) = self.times else { return true };
        let span = latest.max(record.time).saturating_sub(earliest.min(record.time));
        span <= CHUNK_SPAN && self.plaintext.len() + record.encoded_len() <= CHUNK_LIMIT
    }

    fn add(&mut self, record: &Record<'_>) -> Result<(), Error> {
        record.encode(&mut self.plaintext)?;
        let (earliest, latest) = self.times.unwrap_or((record.time, record.time));
        self.times = Some((earliest.min(record.time), latest.max(record.time)));
        self.latest = self.latest.max(record.time);
        Ok(())
    }

    /// The chunk's time and its plaintext, which begins with that time.
    fn take(&mut self) -> Result<(Duration, Zeroizing<Vec<u8>>), Error> {
        let time = self.times.take().map_or(self.latest, |(earliest, _latest)| earliest);
        let mut plaintext = std::mem::replace(&mut self.plaintext, Self::empty());
        plaintext[..CHUNK_LEAST].copy_from_slice(&nanos(time)?.to_be_bytes());
        Ok((time, plaintext))
    }
}
