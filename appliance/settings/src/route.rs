//! `[route]`: which number leads to which flow, what a flow does, who takes the contacts of a queue.

use crate::value::{Dialled, Period, Prompt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AgentId, Extension, Name, QueueId};

/// Where calls go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// How many calls may be alive at a time; one more is refused with 503.
    pub max_calls: u32,
    /// Dialled numbers and their flows. A number that stands here not is answered with 404.
    pub numbers: Vec<Number>,
    /// What a caller goes through.
    pub flows: Vec<Flow>,
    /// Where callers wait.
    pub queues: Vec<Queue>,
    /// Who takes the callers.
    pub agents: Vec<Agent>,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            max_calls: 1000,
            numbers: Vec::new(),
            flows: Vec::new(),
            queues: Vec::new(),
            agents: Vec::new(),
        }
    }
}

/// One dialled number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// The number as the carrier sends it in the request-URI.
    pub dialled: Dialled,
    /// The name of the flow that it leads to.
    pub flow: Name,
}

/// What a caller goes through, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The flow's name.
    pub name: Name,
    /// Done in this order; the call ends after the last.
    pub steps: Vec<Step>,
}

/// One step of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Plays a prompt to its end.
    Play(Prompt),
    /// Plays the announcement that the call is recorded, and keeps the proof that it was heard. Recording
    /// begins after it.
    Announce(Prompt),
    /// Lets the caller wait for an agent and talk with one.
    Queue(QueueId),
}

/// Where callers wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The queue's name.
    pub name: QueueId,
    /// Whom the next caller is offered to.
    #[serde(default)]
    pub strategy: Strategy,
    /// How long an agent's phone rings before the offer goes to another.
    #[serde(default = "ring")]
    pub ring: Period,
    /// How long an agent is left alone after a call, to finish the notes.
    #[serde(default = "wrap_up")]
    pub wrap_up: Period,
    /// What waiting callers hear, over and over; silence where it is left out.
    #[serde(default)]
    pub music: Option<Prompt>,
    /// How many callers may wait; one more goes on to the flow's next step.
    #[serde(default = "max_waiting")]
    pub max_waiting: u32,
    /// How long a caller waits before the flow's next step.
    #[serde(default = "max_wait")]
    pub max_wait: Period,
}

/// Whom the next caller is offered to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Among the agents of the highest skill who are free, the one who has been free for longest.
    #[default]
    LongestIdle,
}

/// A person who takes callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The account's name.
    pub name: AgentId,
    /// The phone at which the agent sits when no other is named at sign-on.
    #[serde(default)]
    pub extension: Option<Extension>,
    /// The queues the agent serves.
    #[serde(default)]
    pub queues: Vec<Skill>,
}

/// How well an agent serves a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    /// The queue.
    pub queue: QueueId,
    /// From 1 (learner) to 10 (master).
    #[serde(default = "level")]
    pub level: u8,
}

const fn ring() -> Period {
    Period::seconds(15)
}

const fn wrap_up() -> Period {
    Period::seconds(30)
}

const fn max_waiting() -> u32 {
    200
}

const fn max_wait() -> Period {
    Period::seconds(15 * 60)
}

const fn level() -> u8 {
    5
}
