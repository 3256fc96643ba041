//! `[route]`: which number leads to which flow, what a flow does, who takes the contacts of a queue.

mod calendar;
mod dial_plan;
mod flow;
mod written;

pub use calendar::{Calendar, Days, WeeklyHours, Zone};
pub use dial_plan::{DialRule, TrunkWay};
pub use flow::{Deed, Flow, HangUp, Hours, Keys, Limit, Menu, Needs, Queueing, Step, Way, Where};

use crate::speech::Language;
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
    /// Which numbers outside phones may call and callers may be transferred to, by how they begin; none where
    /// it is empty.
    pub outside: Vec<Dialled>,
    /// Which of them may not be called after all, by how they begin: of both lists the longer beginning counts.
    pub barred: Vec<Dialled>,
    /// How many calls outside one phone may have at a time: what a stolen password is worth to a thief.
    pub outside_calls: u32,
    /// Numbers that every phone may call at all times, whatever else is allowed and however many calls there are:
    /// over the trunks of their rule, else over every trunk in the order of their names, as they were dialled.
    pub emergency: Vec<Dialled>,
    /// Over which trunks numbers outside are called, and in which form. Without any rule over every trunk in the order
    /// of their names, as they were dialled.
    pub dial_plan: Vec<DialRule>,
    /// Dialled numbers and their flows. A number that stands here not is answered with 404.
    pub numbers: Vec<Number>,
    /// What a caller goes through.
    pub flows: Vec<Flow>,
    /// When people work: weekly hours, holidays, make-up days.
    pub calendars: Vec<Calendar>,
    /// Where callers wait.
    pub queues: Vec<Queue>,
    /// Who takes the callers.
    pub agents: Vec<Agent>,
    /// The reasons of auxiliary work that an agent may give; any where the list is empty. The house itself
    /// gives others: `sign-in`, `rona`, `busy`, `refused`, `phone-failed`, `phone-lost`.
    pub aux_reasons: Vec<Name>,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            max_calls: 1000,
            outside: Vec::new(),
            barred: Vec::new(),
            outside_calls: 2,
            emergency: dial_plan::emergency(),
            dial_plan: Vec::new(),
            numbers: Vec::new(),
            flows: Vec::new(),
            calendars: Vec::new(),
            queues: Vec::new(),
            agents: Vec::new(),
            aux_reasons: Vec::new(),
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
    /// What waiting callers are told from time to time; nothing where it is left out.
    #[serde(default)]
    pub while_waiting: Option<WhileWaiting>,
    /// How many callers may wait; one more goes on to the flow's next step.
    #[serde(default = "max_waiting")]
    pub max_waiting: u32,
    /// How long a caller waits before the flow's next step.
    #[serde(default = "max_wait")]
    pub max_wait: Period,
}

/// What waiting callers are told, between the music.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhileWaiting {
    /// The time from one word to the next; the first comes two seconds after entering.
    #[serde(default = "every")]
    pub every: Period,
    /// Said first.
    #[serde(default)]
    pub prompt: Option<Prompt>,
    /// Whether the caller is told its place.
    #[serde(default)]
    pub position: bool,
    /// Whether the caller is told how long it will take, as soon as the queue has had conversations to
    /// reckon from.
    #[serde(default)]
    pub estimate: bool,
    /// The languages of place and estimate, one after the other.
    #[serde(default = "languages")]
    pub languages: Vec<Language>,
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

fn languages() -> Vec<Language> {
    vec![Language::ZhCn]
}

const fn every() -> Period {
    Period::seconds(30)
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
