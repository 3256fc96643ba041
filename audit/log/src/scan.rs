//! Reading whole files in order: the frames of a segment, the notes of a checkpoint file.

use crate::checkpoint::{Checkpoint, NoteError};
use crate::disk::Disk;
use crate::entry::LONGEST;
use crate::error::{Alarm, Error, disk};
use crate::frame::{self, FIXED, Frame, FrameError, TRAILER};
use crate::hash::Sm3;
use crate::tree::Frontier;

/// Bytes that one read asks for.
const CHUNK: usize = 1 << 20;
/// The longest header of a segment: 64 peaks.
const LONGEST_HEADER: usize = FIXED + 64 * 32;

/// The frames of one segment, first to last.
pub struct Scan<'a, D> {
    disk: &'a D,
    name: String,
    /// What was read and not yet consumed begins at `consumed`.
    buffer: Vec<u8>,
    consumed: usize,
    /// The offset in the file of the first byte not yet consumed.
    offset: u64,
}

/// What stands at one offset of a segment.
#[derive(Debug)]
pub enum Step {
    /// A whole frame.
    Frame(Box<Frame>),
    /// The end of the file.
    End,
    /// Bytes that are no whole frame.
    Broken(FrameError),
}

impl<'a, D: Disk> Scan<'a, D> {
    /// Opens a segment; returns the tree before its first entry too.
    pub fn open(disk: &'a D, name: &str) -> Result<(Self, Frontier<Sm3>), Error> {
        let mut scan = Self { disk, name: name.to_owned(), buffer: Vec::new(), consumed: 0, offset: 0 };
        scan.fill(LONGEST_HEADER)?;
        let (edge, length) = frame::read_segment_header(&scan.buffer).ok_or_else(|| {
            let what = "no header of a segment".to_owned();
            Error::Tampered(Alarm { file: name.to_owned(), offset: 0, what })
        })?;
        scan.consume(length);
        Ok((scan, edge))
    }

    /// The offset of what [`Scan::step`] reads next.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads one frame and goes behind it. After [`Step::Broken`] it stays.
    pub fn step(&mut self) -> Result<Step, Error> {
        self.fill(LONGEST + TRAILER)?;
        let ahead = &self.buffer[self.consumed..];
        if ahead.is_empty() {
            return Ok(Step::End);
        }
        match frame::read_frame(ahead) {
            Ok(frame) => {
                self.consume(frame.length);
                Ok(Step::Frame(Box::new(frame)))
            }
            Err(error) => Ok(Step::Broken(error)),
        }
    }

    /// Whether what is broken here, at the entry `sequence`, had been acknowledged: a whole frame of a later
    /// group follows in this segment.
    pub fn acknowledged(&self, sequence: u64) -> Result<bool, Error> {
        let mut rest = Vec::new();
        loop {
            let at = rest.len();
            rest.resize(at + CHUNK, 0);
            let read = self.read(self.offset + at as u64, &mut rest[at..])?;
            rest.truncate(at + read);
            if read < CHUNK {
                return Ok(frame::later_group(&rest, sequence));
            }
        }
    }

    /// Makes `least` bytes available, or all that there are.
    fn fill(&mut self, least: usize) -> Result<(), Error> {
        let available = self.buffer.len() - self.consumed;
        if available >= least {
            return Ok(());
        }
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        let mut chunk = vec![0; CHUNK.max(least)];
        let read = self.read(self.offset + available as u64, &mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(())
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<usize, Error> {
        self.disk.read(&self.name, offset, into).map_err(disk("reading", &self.name))
    }

    fn consume(&mut self, length: usize) {
        self.consumed += length;
        self.offset += length as u64;
    }
}

/// The notes of one checkpoint file.
#[derive(Debug, Default)]
pub struct Notes {
    /// Each note with the offset at which it begins.
    pub notes: Vec<(u64, Checkpoint)>,
    /// The bytes of the whole notes.
    pub length: u64,
    /// What follows them, if anything does: [`NoteError::Truncated`] is a torn write.
    pub broken: Option<NoteError>,
}

/// Reads a checkpoint file; one that is not there has no notes.
pub fn notes<D: Disk>(on: &D, name: &str) -> Result<Notes, Error> {
    let Some(length) = on.length(name).map_err(disk("reading", name))? else { return Ok(Notes::default()) };
    let mut bytes = vec![0; usize::try_from(length).map_err(|_beyond| Error::Beyond(length))?];
    let read = on.read(name, 0, &mut bytes).map_err(disk("reading", name))?;
    bytes.truncate(read);
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let mut found = Notes::default();
    let mut rest = text;
    while !rest.is_empty() && found.broken.is_none() {
        match Checkpoint::parse(rest) {
            Ok((checkpoint, more)) => {
                found.notes.push((found.length, checkpoint));
                rest = more;
                found.length = (text.len() - rest.len()) as u64;
            }
            Err(error) => found.broken = Some(error),
        }
    }
    // Bytes that are no text: torn, unless they make out to be whole lines.
    let odd = &bytes[text.len()..];
    if !odd.is_empty() && found.broken.is_none_or(|error| error == NoteError::Truncated) {
        let whole = odd.contains(&b'\n');
        found.broken = Some(if whole { NoteError::Malformed } else { NoteError::Truncated });
    }
    Ok(found)
}
