//! What record offers: recordings begun by route, fed by media, listened to by people.
//!
//! ```text
//!  route ── Begin(recording, call, tracks) ──► record ◄── Feed(recording, descriptor) ── media
//!  route ── Join(recording, track) ──────────►   │            batches of tap frames ([`tap`])
//!  route ── Finish(recording) ───────────────►   └─► sealed file, one data key each
//! ```

#[cfg(feature = "wire")]
mod listen;
mod notice;
mod recording;
pub mod tap;

#[cfg(feature = "wire")]
pub use listen::*;
pub use notice::*;
pub use recording::*;

#[cfg(feature = "wire")]
service::interface! {
    /// Sealed recordings.
    pub interface Record = "record" {
        /// Begins a recording: its key is fetched, its file stands, its beginning is audited.
        call Begin -> Begun;
        /// Adds a party to a recording, with its consent or without.
        call Join -> Begun;
        /// Ends a recording when every feed is drained; answers when it is sealed.
        call Finish -> Recording;
        /// Hands over one end of a SOCK_SEQPACKET pair, on which batches of tap frames come.
        call Feed -> Begun;
        /// The recordings, the newest first, as far as the asker may see them.
        call List -> RecordingList;
        /// One recording.
        call Show -> Recording;
        /// Writes the audio to the descriptor that comes with the call, as a two-channel WAV. A privileged act.
        call Export -> Exported;
        /// Keeps a recording whatever its retention. A privileged act.
        call Hold -> Recording;
        /// Lifts a legal hold. A privileged act.
        call Release -> Recording;
        /// What became of recordings, and how the disk is.
        stream Attach -> Notice;
        /// How the disk of recordings is, for people.
        call Disk -> DiskReport;
        /// An outcome is in the call record.
        call Noted -> Begun;
        /// Opens every chunk and says whether the recording is whole. A privileged act.
        call Verify -> Verified;
    }
}
