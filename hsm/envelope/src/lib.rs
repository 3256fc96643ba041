//! Sealed objects: how a data key is wrapped, and how a recording lies on disk so that nobody reads, changes,
//! shortens or reorders it unnoticed.
//!
//! Owns two formats, specified byte by byte in `docs/formats/`: the [`WrappedDek`] and the sealed file. Never
//! touches a file, a clock or a random source by itself but where the name says so; the caller reads and
//! writes bytes.
//!
//! ```text
//!  records ──> Sealer ──> header ‖ chunk 0 ‖ chunk 1 ‖ … ‖ last chunk ──> Opener ──> records
//!                │DEK                                                       │DEK
//!               Kek::wrap ──> WrappedDek, kept apart from the file ──> Kek::unwrap
//! ```

mod cursor;
mod dek;
mod frame;
mod header;
mod opener;
mod record;
mod salvage;
mod sealer;
mod wrapped;

pub use dek::{DEK_LEN, Dek, Epoch, Kek, KekId, ObjectId};
pub use frame::{CHUNK_LIMIT, CHUNK_SPAN, FRAME_LEN, Frame, Index, Indexed, Position};
pub use header::{HEADER_LEN, Header, KeyReference, NoncePrefix, Segment};
pub use opener::{Chunk, Ending, Opener};
pub use record::{Body, Media, PayloadType, Record, Records, RtpTimestamp, Track, TrackDescription};
pub use salvage::{Salvage, salvage};
pub use sealer::Sealer;
pub use wrapped::{Algorithm, WrappedDek};

/// What was attempted and refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not of this format, or of a version that this reader does not know.
    #[error("reading a sealed object: {0}")]
    Malformed(&'static str),
    /// The key is not the one that sealed this file, or its header was changed (the commitment differs).
    #[error("opening a sealed file: the key does not belong to this header")]
    WrongKey,
    /// A wrapped key was changed, or was wrapped under another KEK.
    #[error("unwrapping a data key: not authentic under this KEK")]
    WrongKek,
    /// A chunk was changed, or belongs to another place or another file.
    #[error("opening chunk {0}: not authentic")]
    NotAuthentic(u32),
    /// A chunk is missing, repeated or out of place.
    #[error("opening chunk {expected}: found chunk {found} in its place")]
    Order {
        /// The chunk that belongs here.
        expected: u32,
        /// The chunk that its frame names.
        found: u32,
    },
    /// Bytes stand behind the chunk that says it is the last.
    #[error("opening a sealed file: bytes behind the last chunk")]
    Trailing,
    /// A record is longer than a chunk may be, or a text in it longer than 255 bytes.
    #[error("sealing a record: too long")]
    RecordTooLong,
    /// A record that has no place in the format: a time beyond 584 years, a kind that has its own meaning.
    #[error("sealing a record: {0}")]
    Unsealable(&'static str),
    /// 2³² chunks are in the file; it needs a new segment with a new key.
    #[error("sealing a chunk: the file holds 2³² chunks already")]
    Full,
    /// The cryptographic library refused.
    #[error(transparent)]
    Gm(#[from] gm::Error),
}

/// That secret keys cannot be shown or copied: each of these must not compile.
///
/// ```compile_fail,E0277
/// fn can<T: std::fmt::Debug>() {}
/// can::<envelope::Dek>();
/// ```
/// ```compile_fail,E0277
/// fn can<T: Clone>() {}
/// can::<envelope::Dek>();
/// ```
/// ```compile_fail,E0277
/// fn can<T: std::fmt::Debug>() {}
/// can::<envelope::Kek>();
/// ```
/// ```compile_fail,E0277
/// fn can<T: Clone>() {}
/// can::<envelope::Kek>();
/// ```
#[cfg(doctest)]
struct Secrecy;
