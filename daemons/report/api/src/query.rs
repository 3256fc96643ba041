//! Queries over call records.

use crate::{CallRecord, Disposition, Recorded};
use auth_api::Assertion;
use record_api::Outcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AgentId, CallId, Page, Pii, QueueId, Utc};

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

/// Says what became of a recording whose call is over.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Amend {
    /// As record told it. An earlier one than is known changes nothing.
    pub outcome: Outcome,
}

/// It is kept, with the record of its call or until that comes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Amended {}

/// Asks for what proves calls, without a word about persons: to be held against recordings and the audit log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// A supervisor or an officer.
    pub assertion: Assertion,
    /// Offered when, and how many.
    #[serde(flatten)]
    pub page: Page,
    /// Go on after this one, the last of the page before.
    #[serde(default)]
    pub after: Option<CallId>,
}

/// Calls, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LedgerPage {
    /// The newest first.
    pub calls: Vec<LedgerRow>,
    /// Whether there are more.
    pub more: bool,
}

/// What proves one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRow {
    /// The call.
    pub call: CallId,
    /// When it was offered.
    pub offered: Utc,
    /// When it was over.
    pub ended: Utc,
    /// How it ended.
    pub disposition: Disposition,
    /// SM3 of the kept record, 64 hexadecimal digits.
    pub digest: String,
    /// Its recording, or why there is none.
    pub recording: Recorded,
    /// What became of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}
