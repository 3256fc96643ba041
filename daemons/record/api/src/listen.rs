//! What people ask of recordings. Each privileged act carries a person and a reason.

use crate::{DiskHealth, Recording};
use auth_api::Assertion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{CallId, Page, RecordingId, Utc};

/// Asks for recordings, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// A supervisor or an officer.
    pub assertion: Assertion,
    /// Of this call only.
    #[serde(default)]
    pub call: Option<CallId>,
    /// Go on after this one, the last of the page before.
    #[serde(default)]
    pub after: Option<RecordingId>,
    /// Begun when, and how many.
    #[serde(flatten)]
    pub page: Page,
}

/// The recordings asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RecordingList {
    /// The newest first.
    pub recordings: Vec<Recording>,
    /// Whether there are more.
    pub more: bool,
}

/// Asks for one recording.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Show {
    /// A supervisor or an officer.
    pub assertion: Assertion,
    /// Which.
    pub recording: RecordingId,
}

/// Asks for the audio. The descriptor to write to comes with the call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Export {
    /// A supervisor.
    pub assertion: Assertion,
    /// Which.
    pub recording: RecordingId,
    /// Why, for the audit log; not empty.
    pub reason: String,
    /// The case, where there is one.
    #[serde(default)]
    pub case: Option<String>,
}

/// The audio has been written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Exported {
    /// Bytes written.
    pub size: u64,
    /// SM3 of what was written, 64 hexadecimal digits.
    pub digest: String,
    /// The audit entry of this act.
    pub sequence: u64,
    /// Whether the recording was whole.
    pub recording: Recording,
}

/// Asks whether a recording is whole.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Verify {
    /// A supervisor or the audit administrator.
    pub assertion: Assertion,
    /// Which.
    pub recording: RecordingId,
    /// Why, for the audit log; not empty.
    pub reason: String,
}

/// What opening every chunk showed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// Chunks that open.
    pub chunks: u64,
    /// The first byte that does not fit, where one does not.
    #[serde(default)]
    pub first_bad_byte: Option<u64>,
    /// As it stands in the list.
    pub recording: Recording,
}

/// Puts a recording on legal hold. Answered with the recording; one that is on hold already keeps its first one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// A supervisor or the security administrator.
    pub assertion: Assertion,
    /// Which.
    pub recording: RecordingId,
    /// Why, for the audit log; not empty.
    pub reason: String,
    /// The case, where there is one.
    #[serde(default)]
    pub case: Option<String>,
}

/// Lifts a legal hold: its retention alone counts again. Answered with the recording.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// The security administrator.
    pub assertion: Assertion,
    /// Which.
    pub recording: RecordingId,
    /// Why, for the audit log; not empty.
    pub reason: String,
}

/// Asks how the disk of recordings is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Disk {}

/// How the disk of recordings is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiskReport {
    /// How it is.
    pub health: DiskHealth,
    /// Bytes that are free; nothing before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<u64>,
    /// When it will be full, by the trend; nothing while it does not fill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_at: Option<Utc>,
}
