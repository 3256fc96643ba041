//! Opening sealed segments again: to make sound of them, or to see whether they are whole. Blocking work.

use crate::shelf::{About, Shelf};
use envelope::{Dek, Ending, FRAME_LEN, HEADER_LEN, Index, ObjectId, Opener, Position, Segment};
use gm::{sm3::Sm3, sm4::TAG_LEN};
use mutant::mutant;
use record_api::RecordingState;
use record_core::{Rate, Stereo, wav_header};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};
use types::{RecordingId, Utc};

/// Bytes read at once.
const PIECE: usize = 256 << 10;
/// The longest silence between two segments that is believed: beyond it the wall clock was set meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

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

/// Writes the sound of a recording as WAV. Goes through the file twice, because a WAV begins with its length and its
/// rate: 16 kHz where a party spoke G.722, else 8 kHz.
///
/// # Errors
/// A chunk that does not open, the end of a whole recording missing, or the kernel's.
pub fn write_wav(shelf: &Shelf, about: &About, keys: &[Dek], mut target: impl Write) -> io::Result<Written> {
    let (samples, rate) = mix(shelf, about, keys, Rate::Narrow, |_| Ok(()))?;
    let samples = if rate == Rate::Wide { 2 * samples } else { samples };
    let mut digest = Sm3::new();
    let mut size = 0;
    let mut put = |bytes: &[u8]| {
        digest.update(bytes);
        size += bytes.len() as u64;
        target.write_all(bytes)
    };
    put(&wav_header(rate, samples))?;
    mix(shelf, about, keys, rate, &mut put)?;
    target.flush()?;
    Ok(Written { size, digest: digest.finish().to_string() })
}

/// Mixes all segments at this rate and returns how many samples there are, and the rate at which all of it would be
/// heard. A segment's times count from its own start, and
/// no segment begins before the one before it has ended.
fn mix(
    shelf: &Shelf,
    about: &About,
    keys: &[Dek],
    rate: Rate,
    mut put: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, Rate)> {
    let (mut stereo, mut sound) = (Stereo::new(rate), Vec::new());
    let (mut first, mut end) = (None::<Utc>, Duration::ZERO);
    for (segment, dek) in (0..).map(Segment).zip(keys) {
        let mut offset = None;
        let ending = each_chunk(shelf, about, segment, dek, |opener, chunk| {
            let start = opener.header().start;
            let offset = *offset.get_or_insert_with(|| {
                let later = start.since(*first.get_or_insert(start));
                if (end..=end + LONGEST_PAUSE).contains(&later) { later } else { end }
            });
            for mut record in chunk.records() {
                record.time = record.time.saturating_add(offset);
                end = end.max(record.time);
                while stereo.advance(record.time, &mut sound) {
                    put(&sound)?;
                    sound.clear();
                }
                stereo.push(&record, &mut sound);
            }
            put(&sound)?;
            sound.clear();
            Ok(())
        })?;
        if lacks_end(about, ending) {
            return Err(damaged("the end of the recording has been taken away"));
        }
    }
    let heard = stereo.heard();
    let samples = stereo.finish(&mut sound);
    put(&sound)?;
    Ok((samples, heard))
}

/// Opens every chunk of every segment and says how far that goes.
///
/// # Errors
/// The kernel's.
pub fn inspect(shelf: &Shelf, about: &About, keys: &[Dek]) -> io::Result<Inspection> {
    let (mut found, mut before) = (Inspection::default(), 0);
    for (segment, dek) in (0..).map(Segment).zip(keys) {
        let path = shelf.sealed_path(about.recording.recording, segment);
        let mut opened = 0_usize;
        let outcome = each_chunk(shelf, about, segment, dek, |_, _| {
            opened += 1;
            Ok(())
        });
        found.chunks += opened as u64;
        let length = path.metadata()?.len();
        match outcome {
            Ok(ending) if lacks_end(about, ending) => {
                found.first_bad_byte.get_or_insert(before + length);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let index = index(&path)?;
                let offset = index.chunks().get(opened).map(|chunk| chunk.offset).or(index.wanted());
                found.first_bad_byte.get_or_insert(before + offset.unwrap_or(length).min(length));
            }
            Err(error) => return Err(error),
        }
        before += length;
    }
    Ok(found)
}

/// Whether a segment ends too early: a recording that was sealed whole has no end missing.
fn lacks_end(about: &About, ending: Ending) -> bool {
    about.recording.state == RecordingState::Sealed
        && ending != Ending::Complete
        && !mutant("record-end-unchecked")
}

/// Hands every whole chunk to `each` and says how the file ended.
fn each_chunk(
    shelf: &Shelf,
    about: &About,
    segment: Segment,
    dek: &Dek,
    mut each: impl FnMut(&Opener, envelope::Chunk) -> io::Result<()>,
) -> io::Result<Ending> {
    let recording = about.recording.recording;
    let path = shelf.sealed_path(recording, segment);
    let file = File::open(&path)?;
    // One that was sealed whole is read to its last byte, whatever stands there.
    let end = match about.recording.state {
        RecordingState::Sealed => file.metadata()?.len(),
        _ => written_until(&path)?,
    };
    if end < HEADER_LEN as u64 {
        // The daemon ended before the first byte of this segment was on the disk.
        return Ok(Ending::Truncated { missing: 0, torn: 0 });
    }
    let mut file = file.take(end);
    let mut header = [0; HEADER_LEN];
    file.read_exact(&mut header)?;
    let mut opener = Opener::new(dek, &header).map_err(damaged)?;
    if (opener.header().object, opener.header().segment) != (ObjectId(recording.0), segment) {
        return Err(damaged("the file stands in another's place"));
    }
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

/// What there is to say of sealed segments without a key.
pub struct Measure {
    /// Bytes of all segments.
    pub size: u64,
    /// SM3 of all segments one after the other, hexadecimal.
    pub digest: String,
    /// How the first segment that is cut off ends, or that none is.
    pub tail: Tail,
}

/// Reads all segments.
///
/// # Errors
/// The kernel's.
pub fn measure(shelf: &Shelf, recording: RecordingId, segments: u32) -> io::Result<Measure> {
    let (mut size, mut digest, mut end) = (0, Sm3::new(), Tail::Whole);
    let mut piece = vec![0; PIECE];
    for segment in (0..segments).map(Segment) {
        let path = shelf.sealed_path(recording, segment);
        let mut file = File::open(&path)?;
        loop {
            let length = file.read(&mut piece)?;
            if length == 0 {
                break;
            }
            digest.update(&piece[..length]);
            size += length as u64;
        }
        if end == Tail::Whole {
            end = tail(&path)?;
        }
    }
    Ok(Measure { size, digest: digest.finish().to_string(), tail: end })
}

/// How the segment ends.
///
/// # Errors
/// The kernel's.
pub fn tail(path: &Path) -> io::Result<Tail> {
    let length = written_until(path)?;
    let index = index(path)?;
    let whole =
        |chunk: &&envelope::Indexed| chunk.offset + (FRAME_LEN + chunk.frame.sealed_len) as u64 <= length;
    let last = index.chunks().iter().rev().find(whole);
    Ok(match last {
        Some(chunk) if chunk.frame.position == Position::Last => Tail::Whole,
        last => Tail::CutOff { after: last.map_or(Duration::ZERO, |chunk| chunk.frame.time) },
    })
}

/// The moment from which the times of a segment count, as its header says it; `None` where the header did not come to
/// the disk. To be believed where no harm is done by a wrong one: it is read without the key.
///
/// # Errors
/// The kernel's.
pub fn start(path: &Path) -> io::Result<Option<Utc>> {
    let mut header = [0; HEADER_LEN];
    match File::open(path)?.read_exact(&mut header) {
        Ok(()) => Ok(envelope::Header::from_bytes(&header).ok().map(|header| header.start)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Up to where a segment was written. After a loss of power a file system may give a file its length and of its last
/// blocks nothing but zeros: what ends so was never a chunk. It opens no way for whoever changes a file, who could as
/// well cut it off there: a chunk ends with 16 bytes that are zeros in one of 2¹²⁸.
fn written_until(path: &Path) -> io::Result<u64> {
    let length = path.metadata()?.len();
    if mutant("record-zeros-are-damage") {
        return Ok(length);
    }
    let blank = blank_from(path)?;
    // It ends with something else than zeros, or never came further than its header.
    if blank >= length || blank < HEADER_LEN as u64 {
        return Ok(blank);
    }
    let index = index(path)?;
    for chunk in index.chunks() {
        if blank + TAG_LEN as u64 <= chunk.offset + (FRAME_LEN + chunk.frame.sealed_len) as u64 {
            return Ok(blank.clamp(chunk.offset, length));
        }
    }
    Ok(match index.wanted() {
        Some(next) if blank < next + FRAME_LEN as u64 => blank.max(next).min(length),
        _ => length,
    })
}

/// Where the zeros begin that end a file; its length where it ends with something else.
fn blank_from(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut piece = vec![0; 4096];
    while end > 0 {
        let begin = end.saturating_sub(piece.len() as u64);
        file.seek(SeekFrom::Start(begin))?;
        let piece = &mut piece[..usize::try_from(end - begin).unwrap_or_default()];
        file.read_exact(piece)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
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
