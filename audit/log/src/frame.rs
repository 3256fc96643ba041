//! A segment: a header that carries the tree so far, and one frame an entry.
//!
//! ```text
//! segment header                          frame
//!   0  magic "YMAUDIT\x01"                  0      entry (its header tells its length n)
//!   8  first sequence u64                   n      group: sequence of the first entry of its group, u64
//!  16  peaks, 32 B each, one a 1-bit        n + 8  check: first 8 B of H(0x02 ‖ leaf ‖ group)
//!      of the first sequence
//! ```
//!
//! The check tells a whole frame from a torn one. The group tells a torn tail from damage: a group is written
//! only when the one before is durable, so where a whole frame of a later group follows, what is broken
//! before it had been acknowledged.

use crate::entry::{self, Entry, EntryError, EntryFault};
use crate::hash::{Digest, Sm3, TreeHash};
use crate::tree::Frontier;

/// The first bytes of every segment.
pub const MAGIC: &[u8; 8] = b"YMAUDIT\x01";
/// The bytes of a segment header before the peaks.
pub const FIXED: usize = 16;
/// The bytes of a frame after its entry.
pub const TRAILER: usize = 16;

/// The header of the segment that continues the tree `edge`.
pub fn segment_header(edge: &Frontier<Sm3>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&edge.size().to_be_bytes());
    edge.peaks().iter().for_each(|peak| out.extend_from_slice(peak));
    out
}

/// Reads the header at the beginning of `bytes`: the tree before the first entry, and the header's length.
pub fn read_segment_header(bytes: &[u8]) -> Option<(Frontier<Sm3>, usize)> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let first = u64::from_be_bytes(*first);
    let count = usize::try_from(first.count_ones()).ok()?;
    let (peaks, _none) = rest.get(..count * 32)?.as_chunks::<32>();
    Some((Frontier::from_peaks(first, peaks.to_vec())?, FIXED + count * 32))
}

/// Appends the frame of an encoded entry with this leaf hash.
pub fn write_frame(out: &mut Vec<u8>, encoded: &[u8], leaf: &Digest, group: u64) {
    out.extend_from_slice(encoded);
    out.extend_from_slice(&group.to_be_bytes());
    out.extend_from_slice(&check(leaf, group));
}

/// One whole frame.
#[derive(Debug)]
pub struct Frame {
    /// The entry in it.
    pub entry: Entry,
    /// The hash of its leaf.
    pub leaf: Digest,
    /// The sequence of the first entry of its group.
    pub group: u64,
    /// The bytes that the frame takes.
    pub length: usize,
}

/// Why no whole frame stands at the beginning of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The entry in it cannot be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The check does not belong to the entry and its group.
    #[error("the check does not match the entry")]
    Check,
}

impl FrameError {
    /// The byte of the frame that is wrong; 0 where any byte of the frame may be the wrong one.
    pub const fn at(&self) -> usize {
        match self {
            // The bytes may end too early, or the length claim too much.
            Self::Entry(EntryError { fault: EntryFault::Truncated, .. }) | Self::Check => 0,
            Self::Entry(error) => error.at,
        }
    }
}

/// Reads the frame at the beginning of `bytes`; more may follow. The check is tested before the body is read.
pub fn read_frame(bytes: &[u8]) -> Result<Frame, FrameError> {
    let cut = EntryError { at: bytes.len(), fault: EntryFault::Truncated };
    let header = bytes.first_chunk::<{ entry::HEADER }>().ok_or(cut)?;
    let length = entry::length(header)?;
    let (encoded, rest) = bytes.split_at_checked(length).ok_or(cut)?;
    let (group, rest) = rest.split_first_chunk::<8>().ok_or(cut)?;
    let (found, _more) = rest.split_first_chunk::<8>().ok_or(cut)?;
    let group = u64::from_be_bytes(*group);
    let leaf = Sm3::leaf(encoded);
    if *found != check(&leaf, group) {
        return Err(FrameError::Check);
    }
    Ok(Frame { entry: Entry::decode(encoded)?, leaf, group, length: length + TRAILER })
}

/// Whether a whole frame of a group that began after the sequence `broken` stands anywhere in `bytes`.
pub fn later_group(bytes: &[u8], broken: u64) -> bool {
    (0..bytes.len()).any(|at| {
        let rest = &bytes[at..];
        // The version and a plausible sequence are looked at first: hashing at every byte would be slow.
        let Some(header) = rest.first_chunk::<{ entry::HEADER }>() else { return false };
        let mut sequence = [0; 8];
        sequence.copy_from_slice(&header[3..11]);
        let sequence = u64::from_be_bytes(sequence);
        header[0] == entry::VERSION
            && sequence > broken
            && sequence - broken <= bytes.len() as u64
            && read_frame(rest).is_ok_and(|frame| frame.group > broken)
    })
}

fn check(leaf: &Digest, group: u64) -> [u8; 8] {
    let digest = Sm3::digest(&[&[2], leaf, &group.to_be_bytes()]);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    first
}
