//! What of a recording is arithmetic: which frames are kept, when they happened, how the tracks become
//! two channels again, and when the disk will be full.
//!
//! ```text
//!  tap frames ──> Take ──> Sealer (hsm/envelope) ──> bytes of the sealed file
//!  bytes of the sealed file ──> Opener ──> Stereo ──> two-channel WAV
//! ```
//!
//! Never touches a file, a clock or a key store; the shell hands in keys and moments and writes what comes out.

mod forecast;
mod stereo;
mod take;

pub use forecast::Trend;
pub use stereo::{Rate, Stereo, wav_header};
pub use take::{Counts, Take};

/// What was attempted and refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The packet on the feed is no batch of the tap framing.
    #[error("reading a batch of tap frames: malformed")]
    MalformedBatch,
    /// The sealing refused.
    #[error("sealing a frame: {0}")]
    Sealing(#[from] envelope::Error),
}
