//! The live state, as people see it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AgentId, CallId, Extension, LegId, QueueId, RecordingId, Utc};

/// One call of this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveCall {
    /// Its id, which its call record will carry.
    pub call: CallId,
    /// When it was offered.
    pub offered: Utc,
    /// The caller's number, masked.
    pub from: String,
    /// What was dialled.
    pub dialled: String,
    /// How far it is.
    pub stage: Stage,
    /// The step of its flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Where it waits or waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueId>,
    /// Who talks, or is rung.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Its recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingId>,
    /// Its legs.
    pub legs: Vec<LegId>,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Offered, its media is being opened.
    Arriving,
    /// Hears a prompt.
    Announcing,
    /// Is to press digits.
    Choosing,
    /// Waits in a queue.
    Waiting,
    /// An agent's phone rings.
    Offering,
    /// Another is called for the caller: by a phone that dialled, or for a transfer.
    Reaching,
    /// Talks.
    Talking,
    /// Ends.
    Ending,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentEntry {
    /// Who.
    pub agent: AgentId,
    /// The phone at which they are signed in; of someone signed out, the one that the settings give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Extension>,
    /// Their state.
    pub state: AgentState,
    /// Since when.
    pub since: Utc,
    /// When their wrap-up ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Utc>,
    /// Their call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// The queues that they serve.
    pub queues: Vec<QueueId>,
}

/// An agent's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Not signed in.
    SignedOut,
    /// Waits for a contact.
    Ready,
    /// Auxiliary work: takes no contact, for this reason.
    Aux(String),
    /// Is being offered a contact.
    Offered,
    /// Talks.
    Talking,
    /// After-call work, until the wrap-up time is over or they are ready.
    WrapUp,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueEntry {
    /// Which.
    pub queue: QueueId,
    /// Who waits, the next one first.
    pub waiting: Vec<CallId>,
    /// Since when the one waits who has waited for longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<Utc>,
    /// The agents who serve it, by state.
    pub agents: AgentCounts,
}

/// Agents by state; who is signed out is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentCounts {
    /// Wait for a contact.
    pub ready: u32,
    /// Are being offered one.
    pub offered: u32,
    /// Talk.
    pub talking: u32,
    /// Do after-call work.
    pub wrap_up: u32,
    /// Do auxiliary work.
    pub aux: u32,
}

impl AgentCounts {
    /// All who are signed in.
    pub const fn signed_in(&self) -> u32 {
        self.ready + self.offered + self.talking + self.wrap_up + self.aux
    }
}
