//! Opening sealed segments again: to make sound of them, or to see whether they are whole. Blocking work.

use crate::shelf::Shelf;
use envelope::{Dek, Ending, FRAME_LEN, HEADER_LEN, Index, Opener, Position, Segment};
use gm::sm3::Sm3;
use record_core::{Stereo, wav_header};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};
use types::{RecordingId, Utc};

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// What was written.
pub struct Written {
    /// Bytes.
    pub size: u64,
    /// SM3 of them, hexadecimal.
    pub digest: String,
}

/// What opening showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Chunks that open.
    pub chunks: u64,
    /// The first byte that does not fit, counted through all segments.
    pub first_bad_byte: Option<u64>,
}

/// Writes the sound of a recording as WAV. Goes through the file twice, because a WAV begins with its length.
///
/// # Errors
/// A chunk that does not open, or the kernel's.
pub fn write_wav(
    shelf: &Shelf,
    recording: RecordingId,
    keys: &[Dek],
    mut target: impl Write,
) -> io::Result<Written> {
    let samples = mix(shelf, recording, keys, |_| Ok(()))?;
    let mut digest = Sm3::new();
    let mut size = 0;
    let mut put = |bytes: &[u8]| {
        digest.update(bytes);
        size += bytes.len() as u64;
        target.write_all(bytes)
    };
    put(&wav_header(samples))?;
    mix(shelf, recording, keys, &mut put)?;
    target.flush()?;
    Ok(Written { size, digest: digest.finish().to_string() })
}

/// Mixes all segments and returns how many samples there are. A segment's times count from its own start.
fn mix(
    shelf: &Shelf,
    recording: RecordingId,
    keys: &[Dek],
    mut put: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let (mut stereo, mut sound, mut start) = (Stereo::default(), Vec::new(), None::<Utc>);
    for (segment, dek) in (0..).map(Segment).zip(keys) {
        each_chunk(&shelf.sealed_path(recording, segment), dek, |opener, chunk| {
            let begin = *start.get_or_insert(opener.header().start);
            let later = opener.header().start.since(begin);
            for mut record in chunk.records() {
                record.time += later;
                stereo.push(&record, &mut sound);
            }
            put(&sound)?;
            sound.clear();
            Ok(())
        })?;
    }
    let samples = stereo.finish(&mut sound);
    put(&sound)?;
    Ok(samples)
}

/// Opens every chunk of every segment and says how far that goes.
///
/// # Errors
/// The kernel's.
pub fn inspect(shelf: &Shelf, recording: RecordingId, keys: &[Dek]) -> io::Result<Inspection> {
    let (mut found, mut before) = (Inspection::default(), 0);
    for (segment, dek) in (0..).map(Segment).zip(keys) {
        let path = shelf.sealed_path(recording, segment);
        let mut opened = 0_usize;
        let outcome = each_chunk(&path, dek, |_, _| {
            opened += 1;
            Ok(())
        });
        found.chunks += opened as u64;
        match outcome {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let offset = index(&path)?.chunks().get(opened).map_or(0, |chunk| chunk.offset);
                found.first_bad_byte.get_or_insert(before + offset);
            }
            Err(error) => return Err(error),
        }
        before += path.metadata()?.len();
    }
    Ok(found)
}

/// Hands every whole chunk to `each` and says how the file ended.
fn each_chunk(
    path: &Path,
    dek: &Dek,
    mut each: impl FnMut(&Opener, envelope::Chunk) -> io::Result<()>,
) -> io::Result<Ending> {
    let mut file = File::open(path)?;
    let mut header = [0; HEADER_LEN];
    file.read_exact(&mut header).map_err(|_short| damaged("the header is cut off"))?;
    let mut opener = Opener::new(dek, &header).map_err(damaged)?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(opener.end());
        }
        opener.feed(&piece[..length]);
        while let Some(chunk) = opener.poll().map_err(damaged)? {
            each(&opener, chunk)?;
        }
    }
}

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// How a segment lies on the disk, as its cleartext frames tell without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The last chunk is there.
    Whole,
    /// It is not: the daemon or the machine ended before.
    CutOff {
        /// The media time of the last whole chunk.
        after: Duration,
    },
}

/// How the segment ends.
///
/// # Errors
/// The kernel's.
pub fn tail(path: &Path) -> io::Result<Tail> {
    let length = path.metadata()?.len();
    let index = index(path)?;
    let whole =
        |chunk: &&envelope::Indexed| chunk.offset + (FRAME_LEN + chunk.frame.sealed_len) as u64 <= length;
    let last = index.chunks().iter().rev().find(whole);
    Ok(match last {
        Some(chunk) if chunk.frame.position == Position::Last => Tail::Whole,
        last => Tail::CutOff { after: last.map_or(Duration::ZERO, |chunk| chunk.frame.time) },
    })
}

/// Where each chunk lies, as far as the frames make sense.
fn index(path: &Path) -> io::Result<Index> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let (mut index, mut frame) = (Index::new(), [0; FRAME_LEN]);
    while let Some(at) = index.wanted().filter(|at| at + FRAME_LEN as u64 <= length) {
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut frame)?;
        if index.push(&frame).is_err() {
            break;
        }
    }
    Ok(index)
}
