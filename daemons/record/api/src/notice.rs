//! What record tells route on the stream that route opened: what became of recordings whose call is over, and how
//! the disk is.
//!
//! ```text
//!  route ── Attach ──────────► record
//!        ◄─ outcome, disk ─ ─ ─   │      an outcome comes again on each stream until it is noted
//!  route ── Noted(recording) ──►  │
//! ```
//!
//! A recording that nobody had ended when record began anew is told with number 0: route ends it where its call is
//! gone. With what an earlier life left comes the call's memo, for a call that no call record knows.

use crate::RecordingState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{CallId, RecordingId, Utc};

/// Attaches route. A new stream takes the place of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attach {}

/// One word to route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// What became of a recording: for its call record.
    Outcome(Outcome),
    /// How the disk of recordings is; the first word on each stream.
    Disk(DiskHealth),
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Which.
    pub recording: RecordingId,
    /// Its call.
    pub call: CallId,
    /// Counts the outcomes of this recording: a later one supersedes it.
    pub number: u32,
    /// When; of one that nobody has ended, the moment of its last whole chunk.
    pub at: Utc,
    /// Sealed, truncated or deleted; recording where nobody has ended it.
    pub state: RecordingState,
    /// SM3 of the sealed file, 64 hexadecimal digits.
    pub digest: String,
    /// Packets that were known to be lost on the way to it.
    pub lost: u64,
    /// Packets of parties without consent that were left out.
    pub masked: u64,
    /// What route had written of the call when it last said Begin or Join: only of what an earlier life left.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub memo: String,
}

/// An outcome is in the call record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noted {
    /// Of which recording.
    pub recording: RecordingId,
    /// Which of its outcomes.
    pub number: u32,
}

/// How the disk of recordings is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskHealth {
    /// There is room for longer than the settings want to be warned before.
    #[default]
    Good,
    /// By the trend it will be full within the time of `warn_before`.
    Filling,
    /// Less is free than `minimum_free`: no recording begins.
    Full,
    /// It has taken nothing for some seconds, or failed: no recording begins.
    Stalled,
}

impl DiskHealth {
    /// Whether recordings can be written.
    pub const fn takes_recordings(self) -> bool {
        matches!(self, Self::Good | Self::Filling)
    }
}
