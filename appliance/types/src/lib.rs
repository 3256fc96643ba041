//! The words that every crate shares: ids, moments, personal data.
//!
//! Owns no behaviour of a daemon and knows no clock, no socket and no file.

mod id;
mod moment;
mod page;
mod pii;

pub use id::{
    AgentId, CallId, CaptureId, Extension, LegId, Name, NameError, PersonId, QueueId, RecordingId, TrunkId,
    Uid,
};
pub use moment::{Boot, Monotonic, Utc};
pub use page::Page;
pub use pii::Pii;
