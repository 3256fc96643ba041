//! What people ask of the live state. Who asks is in the assertion, which route verifies by itself.

use crate::{AgentEntry, AgentState, Cause, Endpoint, LiveCall, QueueEntry, Reachability, TrunkEntry};
use auth_api::Assertion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AgentId, CallId, Extension, Name, QueueId, Utc};

/// Asks for the calls of this moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LiveCalls {
    /// Who asks: any signed-in person.
    pub assertion: Assertion,
}

/// The calls of this moment, the oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LiveCallList {
    /// One each.
    pub calls: Vec<LiveCall>,
}

/// Asks for the agents.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Agents {
    /// Who asks: any signed-in person.
    pub assertion: Assertion,
}

/// The agents, by name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentList {
    /// One each.
    pub agents: Vec<AgentEntry>,
}

/// Signs the asking agent in with a phone, or out. Who has signed in does auxiliary work (`Aux`) until they
/// say that they are ready; who signs out while talking is signed out after the call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignIn {
    /// The agent.
    pub assertion: Assertion,
    /// The phone; `None` signs out.
    #[serde(default)]
    pub phone: Option<Extension>,
}

/// Sets an agent's state.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SetState {
    /// The agent, or a supervisor.
    pub assertion: Assertion,
    /// Whose; `None` is one's own.
    #[serde(default)]
    pub agent: Option<AgentId>,
    /// `Ready`, `Aux` or `SignedOut`. While they talk, `Aux` and `SignedOut` hold from the end of the call;
    /// an offer that rings is withdrawn, and the caller keeps its place.
    pub state: AgentState,
}

/// Sets how long the after-call work of a call lasts from now on: of one that is over, or of the present one
/// from its end.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WrapUp {
    /// The agent, or a supervisor.
    pub assertion: Assertion,
    /// Whose; `None` is one's own.
    #[serde(default)]
    pub agent: Option<AgentId>,
    /// How many seconds, at most an hour.
    pub seconds: u32,
}

/// Tries a flow of the settings in force, without a phone: the very decisions that a call would meet.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TryFlow {
    /// Who asks: any signed-in person.
    pub assertion: Assertion,
    /// Which flow.
    pub flow: Name,
    /// When the call comes; now where it is left out.
    #[serde(default)]
    pub at: Option<Utc>,
    /// What the caller presses: at each menu what stands up to the next comma. Nothing between two commas
    /// lets a menu wait in vain.
    #[serde(default)]
    pub digits: String,
}

/// What a flow did.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tried {
    /// What happened, in order.
    pub moments: Vec<TriedMoment>,
    /// Where it ended.
    pub end: TriedEnd,
    /// Names or numbers of the flow's steps that were not met.
    pub unmet: Vec<String>,
}

/// Something that happened in a trial.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TriedMoment {
    /// When.
    pub at: Utc,
    /// What, as a code such as `flow.step`.
    pub what: String,
    /// Why, in one line.
    pub why: String,
}

/// Where a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriedEnd {
    /// In this queue: what follows depends on people.
    Queue(QueueId),
    /// The call was ended, with this cause.
    HungUp(Cause),
    /// No end within the time of a trial.
    Open,
}

/// Asks for the queues.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Queues {
    /// Who asks: any signed-in person.
    pub assertion: Assertion,
}

/// The queues, by name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QueueList {
    /// One each.
    pub queues: Vec<QueueEntry>,
}

/// Asks for trunks and phones.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Endpoints {
    /// Who asks: any signed-in person.
    pub assertion: Assertion,
}

/// Trunks and phones, and whether they can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointList {
    /// One each.
    pub endpoints: Vec<(Endpoint, Reachability)>,
    /// How the trunks stand, by name.
    #[serde(default)]
    pub trunks: Vec<TrunkEntry>,
}

/// Ends a call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HangUp {
    /// A supervisor, or the agent who talks.
    pub assertion: Assertion,
    /// The call.
    pub call: CallId,
    /// Why, for the audit log.
    pub reason: String,
}
