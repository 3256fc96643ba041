//! The words that every crate shares: ids, moments, personal data.
//!
//! Owns no behaviour of a daemon and knows no clock, no socket and no file.

mod id;
mod moment;
mod network;
mod page;
mod pii;

pub use id::{
    AgentId, CallId, CaptureId, Extension, LegId, Name, NameError, PersonId, QueueId, RecordingId, TrunkId,
    Uid,
};
pub use moment::{Boot, Monotonic, Utc};
pub use network::network;
pub use page::Page;
pub use pii::Pii;

/// What the names of tones begin with: prompts that are made, not read from a file.
pub const TONE: &str = "tone.";
