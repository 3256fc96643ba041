//! A recording, its tracks and the proof that each party knew of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{CallId, LegId, Name, PersonId, QueueId, RecordingId, Utc};

/// Begins a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Begin {
    /// Its id, made by route; a repeated `Begin` of the same id changes nothing.
    pub recording: RecordingId,
    /// The conversation to which it belongs.
    pub call: CallId,
    /// The parties known now.
    pub tracks: Vec<Track>,
    /// What route wants to be told of the call where nobody else knows it any more, after a loss of power; opaque,
    /// at most [`MEMO`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub memo: String,
}

/// The longest memo, in bytes; of a longer one nothing is kept.
pub const MEMO: usize = 8192;

/// Adds a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Join {
    /// The recording.
    pub recording: RecordingId,
    /// The party.
    pub track: Track,
    /// The call as it is now, in the place of the memo before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub memo: String,
}

/// Ends a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finish {
    /// The recording.
    pub recording: RecordingId,
    /// The queues through which its call went: the longest of their retentions holds. Where nobody tells them, the
    /// longest of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<QueueId>,
}

/// Feeds a recording; the descriptor comes with the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feed {
    /// The recording.
    pub recording: RecordingId,
}

/// It has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Begun {}

/// One party's side of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Track {
    /// Its number in the file: 0 the caller, 1 the first agent, and on.
    pub track: u8,
    /// The leg from which it comes.
    pub leg: LegId,
    /// Who speaks there.
    pub party: PartyRole,
    /// Why this party may be recorded.
    pub consent: Consent,
}

/// Who speaks on a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartyRole {
    /// The customer.
    Customer,
    /// One of the house's agents.
    Agent,
    /// Somebody outside the house whom it has called: for a phone, or in the middle of a call, consulted or taking it over.
    Outside,
}

/// Why a party may be recorded (个人信息保护法 §13, §14): a track without consent is not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// The announcement was played to its end to this party, who stayed.
    Announced {
        /// The prompt.
        prompt: Name,
        /// SM3 of the prompt's file, 64 hexadecimal digits.
        digest: String,
        /// The end of the playing.
        at: Utc,
    },
    /// An agent of the house, who knows by contract.
    Employed {},
    /// Heard no announcement; the settings say that the house answers for the consent (`record.outside`).
    Ruled {},
    /// None.
    Refused {},
}

/// One recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recording {
    /// Its id.
    pub recording: RecordingId,
    /// The conversation.
    pub call: CallId,
    /// When it began.
    pub began: Utc,
    /// When it was sealed; `None` while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Utc>,
    /// Whether it is whole.
    pub state: RecordingState,
    /// Its parties.
    pub tracks: Vec<Track>,
    /// Length of the sealed file in bytes.
    pub size: u64,
    /// SM3 of the sealed file, 64 hexadecimal digits; empty while it goes on.
    pub digest: String,
    /// RTP packets recorded, by the count of those lives of the daemon that ended in order: what a killed one
    /// sealed is in the file and not in this number.
    pub packets: u64,
    /// Packets that were known to be lost before they were sealed.
    pub lost: u64,
    /// Packets left out: of a party without consent, or of nobody that route had announced.
    #[serde(default)]
    pub masked: u64,
    /// The queues through which its call went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<QueueId>,
    /// Until when it is kept at least, by the settings of now; `None` while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_until: Option<Utc>,
    /// Why it is kept beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<LegalHold>,
    /// When its keys and its sound were deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Utc>,
}

/// A person's word that a recording must not be deleted, whatever its retention: a dispute, a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LegalHold {
    /// Who said so.
    pub by: PersonId,
    /// When.
    pub at: Utc,
    /// Why, in the person's own words.
    pub reason: String,
    /// The case to which it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
}

/// Whether a recording is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// It goes on.
    Recording,
    /// Sealed to its end.
    Sealed,
    /// Cut off by a crash, a power cut or a disk that failed: every whole chunk opens, something is missing.
    Truncated,
    /// Its retention is over: keys and sound are deleted, or about to be where `deleted` says no moment yet.
    Deleted,
}
