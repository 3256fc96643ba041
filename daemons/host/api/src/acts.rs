//! The acts of host on their way to the audit log. Calls go down only, so audit opens the stream, and host
//! waits on it for the word that its entry is durable.
//!
//! ```text
//!   begun ──Recorded──> (the act) ──> ended ──Recorded──> forgotten
//!     └── no word in time ──> refused, nothing happened
//! ```
//!
//! An end that was not confirmed is sent again on the next stream, also after a restart: audit may see it
//! twice, with the same fact `begun`.

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

/// Taken.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {}
