//! The live state as a stream: the whole of it first, then what changes.
//!
//! ```text
//!   console ── Watch(assertion) ──► route
//!          ◄─ whole, since, since … ─ ─   at most one a pace; what changes twice in it is told once
//! ```

use crate::{AgentEntry, EndpointList, LiveCall, QueueEntry};
use auth_api::Assertion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AgentId, CallId, QueueId};

/// Opens the stream of the live state. It ends when the assertion expires: somebody of the house must be there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Watch {
    /// Who watches: any signed-in person.
    pub assertion: Assertion,
}

/// What a message tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The live state from its beginning: what was known before is void. It may go on in the next messages.
    Whole,
    /// What has changed since the message before.
    #[default]
    Since,
}

/// What has changed of the live state. Numbers are masked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// Whether it is the beginning.
    pub scope: Scope,
    /// Calls that are new or as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<LiveCall>,
    /// Calls that are over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<CallId>,
    /// Agents that are new or as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentEntry>,
    /// Agents who are none any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents_gone: Vec<AgentId>,
    /// Queues that are new or as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<QueueEntry>,
    /// Queues that are none any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues_gone: Vec<QueueId>,
    /// Trunks and phones, all of them, where any of them changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointList>,
}

impl Changed {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
