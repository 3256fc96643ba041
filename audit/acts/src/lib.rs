//! The acts of the daemons that stand below audit, on their way into the log. Calls go down only, so audit
//! opens the stream, and the daemon below waits on it for the word that its entry is durable.
//!
//! ```text
//!   begun ──Recorded──> (the act) ──> ended ──Recorded──> forgotten
//!     └── no word in time ──> refused, nothing happened; [`Unrecorded`] says why
//! ```
//!
//! `key` and `host` name [`Acts`], [`Recorded`] and [`Unrecorded`] in their interfaces and keep a [`Journal`]. What was sent
//! and not confirmed when a stream ends is sent again on the next: audit may see it twice.

mod announce;
mod journal;

pub use announce::announce;
pub use journal::{Journal, Pending};

use audit_event::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Attaches audit to the acts of this daemon. A new stream takes the place of the one before.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Acts {}

/// One act, which waits for `Recorded`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Act {
    /// Its number within the stream.
    pub act: u64,
    /// What shall be in the log.
    pub event: Event,
}

/// Confirms an act.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// Its number within the stream.
    pub act: u64,
    /// Its entry.
    pub sequence: u64,
}

/// Says that the log does not take an act now: a full disk. Audit goes on trying, and confirms it when it could.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unrecorded {
    /// Its number within the stream.
    pub act: u64,
    /// Why, as audit's code.
    pub code: String,
    /// Why, in one line.
    pub message: String,
}

/// Taken.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {}
