//! The call record: everything that is kept of one call.

use record_api::{Consent, Outcome};
use route_api::{Cause, EndedBy, Endpoint, Party, Path, Quality, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AgentId, CallId, Extension, LegId, QueueId, RecordingId, Utc};

/// One call, from its offer to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallRecord {
    /// The call.
    pub call: CallId,
    /// When it was offered.
    pub offered: Utc,
    /// When it was over.
    pub ended: Utc,
    /// Who called.
    pub from: Party,
    /// What was dialled.
    pub dialled: String,
    /// The flow that took it and its version; empty where no number matched.
    pub flow: String,
    /// The queues through which it went.
    pub queued: Vec<Queued>,
    /// Each side of it.
    pub legs: Vec<LegRecord>,
    /// How it ended.
    pub disposition: Disposition,
    /// Its recording, or why there is none.
    pub recording: Recorded,
    /// What was decided on the way, and why, in order.
    pub decisions: Vec<Decision>,
    /// What became of its recording, as record told when the call was over: sealed, truncated, deleted. No part of
    /// what is kept under the record's digest; record's own entries in the audit log prove it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// One stay in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Queued {
    /// Which.
    pub queue: QueueId,
    /// Since when.
    pub entered: Utc,
    /// Until when.
    pub left: Utc,
    /// The agents who were rung, in order, each with the moment and what came of it.
    pub offers: Vec<OfferRecord>,
}

/// One offer to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferRecord {
    /// To whom.
    pub agent: AgentId,
    /// At which phone.
    pub phone: Extension,
    /// When it began to ring.
    pub at: Utc,
    /// When that ended.
    pub until: Utc,
    /// What came of it.
    pub outcome: OfferOutcome,
}

/// What came of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OfferOutcome {
    /// Answered.
    Answered,
    /// RONA: ring, no answer.
    NoAnswer,
    /// Refused, busy or not reachable.
    Failed,
    /// The caller gave up while it rang.
    Abandoned,
    /// A colleague took it while it rang.
    Taken,
}

/// One leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LegRecord {
    /// Which.
    pub leg: LegId,
    /// Over which endpoint.
    pub over: Endpoint,
    /// The agent at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// When it was offered or dialled.
    pub began: Utc,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Utc>,
    /// When it was over.
    pub ended: Utc,
    /// Why.
    pub cause: Cause,
    /// Who ended it.
    pub by: EndedBy,
    /// The protocol's own name (SIP Call-ID); empty where the edge gave none.
    pub reference: String,
    /// What its media received and sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// How its signalling went; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<SignallingRecord>,
}

/// The messages of a leg, in order, up to the answer to the one that ended it. No number and no name stands in
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignallingRecord {
    /// The moment from which the steps count.
    pub began: Utc,
    /// In order; at most 32.
    pub steps: Vec<Step>,
    /// How many were left out between the first and the last ones.
    #[serde(default)]
    pub left_out: u32,
    /// Between which addresses they went; at most 8.
    #[serde(default)]
    pub paths: Vec<Path>,
}

/// How a call ended, for the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// An agent talked with the caller.
    Answered,
    /// The caller gave up in a queue.
    Abandoned,
    /// The caller gave up, or was let go, before a queue.
    EndedInFlow,
    /// The house could not serve it: no such number, no agent, an overload.
    Refused,
    /// Something broke.
    Failed,
}

/// The recording, or why there is none: a call record without either is a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    /// This one, with each party's consent.
    Yes {
        /// Which.
        recording: RecordingId,
        /// Why each leg may be recorded.
        consents: Vec<(LegId, Consent)>,
    },
    /// None.
    No {
        /// Why.
        reason: NotRecorded,
    },
}

/// Why there is no recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotRecorded {
    /// Nobody talked.
    NoConversation,
    /// The announcement was not heard to its end.
    NoConsent,
    /// The settings say so.
    ByRule,
    /// record could not: disk, key or audit.
    Failed,
}

/// One decision and its reason: routing explains itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// When.
    pub at: Utc,
    /// What, as a code such as `queue.entered`.
    pub what: String,
    /// Why, in one line: the rule, the candidates, the scores.
    pub why: String,
}
