//! Queries over call records.

use crate::CallRecord;
use auth_api::Assertion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AgentId, CallId, Page, Pii, QueueId};

/// Keeps a call record.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Save {
    /// The record.
    pub record: CallRecord,
}

/// It is kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    /// SM3 of its canonical form, 64 hexadecimal digits, as it stands in the audit log.
    pub digest: String,
}

/// Asks for call records, the newest first. Numbers come masked unless `reason` is given and the asker may
/// unmask, which is an audited act.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// A supervisor, an agent (sees their own only) or an officer.
    pub assertion: Assertion,
    /// Offered when, and how many.
    #[serde(flatten)]
    pub page: Page,
    /// From this number. A search over persons: it needs a reason.
    #[serde(default)]
    pub number: Option<Pii<String>>,
    /// Taken by this agent.
    #[serde(default)]
    pub agent: Option<AgentId>,
    /// Through this queue.
    #[serde(default)]
    pub queue: Option<QueueId>,
    /// Go on after this one, the last of the page before.
    #[serde(default)]
    pub after: Option<CallId>,
    /// Why numbers shall be shown or searched.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The call records asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CallRecordList {
    /// The newest first.
    pub calls: Vec<CallRecord>,
    /// Whether there are more.
    pub more: bool,
}

/// Asks for one call record.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Show {
    /// As for `List`.
    pub assertion: Assertion,
    /// Which.
    pub call: CallId,
    /// Why its number shall be shown.
    #[serde(default)]
    pub reason: Option<String>,
}
