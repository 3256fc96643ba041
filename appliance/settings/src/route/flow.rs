//! A flow: what a caller goes through, as a graph of steps.
//!
//! A step without `next` goes on with the one that stands below it, and after the last the call ends: so a
//! plain list of steps is a flow, and a menu is one whose steps have names.
//!
//! ```text
//!   greeting ─► recorded ─► open? ── closed ─► night ─► (hang up)
//!                             │ open
//!                             ▼
//!               ┌─ * ─────── menu ── 1 ─► loans ─┐ full, overdue, unstaffed
//!               └────────────▲ └ no input ─► people ─► closing ─► (end)
//! ```

use crate::value::{Fault, Period, Prompt, as_text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};
use types::{Name, QueueId};

/// What a caller goes through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The flow's name.
    pub name: Name,
    /// The first is the beginning.
    pub steps: Vec<Step>,
}

/// One step of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// By which others lead here; one that only follows the step above needs none.
    pub name: Option<Name>,
    /// What is done.
    pub does: Deed,
    /// Where it goes on; with the step below where it is left out.
    pub next: Option<Name>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Plays a prompt to its end. Digits pressed meanwhile wait for the next menu.
    Play(Prompt),
    /// Plays the announcement that the call is recorded, and keeps the proof that it was heard. Recording
    /// begins after it.
    Announce(Prompt),
    /// Lets the caller choose by digits.
    Menu(Menu),
    /// Asks the calendar: goes on where people work now.
    Hours(Hours),
    /// Lets the caller wait for an agent and talk with one.
    Queue(Queueing),
    /// Ends the call.
    HangUp(HangUp),
}

/// A choice by digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Menu {
    /// What there is to choose.
    pub prompt: Prompt,
    /// Keys, and the step that each leads to. Where one choice begins another, such as 1 and 12, the time
    /// between digits or # decides.
    pub choices: BTreeMap<Keys, Name>,
    /// Whether a digit ends the prompt.
    #[serde(default = "yes")]
    pub barge_in: bool,
    /// Whether digits count that were pressed before the menu began.
    #[serde(default = "yes")]
    pub type_ahead: bool,
    /// Whether the digits are a secret: then they are neither kept nor shown.
    #[serde(default)]
    pub sensitive: bool,
    /// How long the first digit is waited for, after the prompt.
    #[serde(default = "first_digit")]
    pub first_digit: Period,
    /// How long each further digit is waited for.
    #[serde(default = "inter_digit")]
    pub inter_digit: Period,
    /// What happens where the digits are no choice.
    #[serde(default)]
    pub invalid: Limit,
    /// What happens where no digit comes.
    #[serde(default)]
    pub no_input: Limit,
}

/// How often a caller may fail at a menu, and what becomes of it then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// After so many failures the call goes on elsewhere.
    pub times: u8,
    /// Said before the menu's prompt is said again.
    pub prompt: Option<Prompt>,
    /// Where the call goes on; as after any step where it is left out.
    pub next: Option<Name>,
}

impl Default for Limit {
    fn default() -> Self {
        Self { times: 3, prompt: None, next: None }
    }
}

/// A question to a calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Which.
    pub calendar: Name,
    /// The step for every time in which nobody works.
    pub closed: Name,
    /// The step for holidays, where it is another one.
    #[serde(default)]
    pub holiday: Option<Name>,
}

/// The way into a queue, and the ways out of it without an agent. In the file the name of the queue alone
/// says that they all go on as after any step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Queueing {
    /// Which.
    pub name: QueueId,
    /// The step for a caller who finds as many waiting as may wait.
    pub full: Option<Name>,
    /// The step for a caller who has waited for as long as one may.
    pub overdue: Option<Name>,
    /// The step for a caller while nobody who serves the queue is signed in. Left out, the caller waits for
    /// somebody to come.
    pub unstaffed: Option<Name>,
}

/// With which cause of ITU-T Q.850 a call is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HangUp {
    /// 16: all is said.
    NormalClearing,
    /// 17: busy.
    UserBusy,
    /// 21: refused.
    CallRejected,
    /// 34: no room.
    NoCircuitAvailable,
    /// 41: a failure that may pass.
    TemporaryFailure,
}

/// 1 to 8 digits, * or #.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keys(String);

impl Keys {
    /// The keys as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Keys {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let sound = text.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
        if sound && (1..=8).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(Fault::Keys) }
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text! {
    Keys: "^[0-9*#]{1,8}$";
}

impl fmt::Display for Deed {
    /// In one line, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Play(prompt) => write!(f, "play {prompt}"),
            Self::Announce(prompt) => write!(f, "announce {prompt}"),
            Self::Menu(menu) => write!(f, "menu {}", menu.prompt),
            Self::Hours(hours) => write!(f, "hours {}", hours.calendar),
            Self::Queue(queue) => write!(f, "queue {}", queue.name),
            Self::HangUp(cause) => write!(f, "hang up ({cause})"),
        }
    }
}

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NormalClearing => "normal-clearing",
            Self::UserBusy => "user-busy",
            Self::CallRejected => "call-rejected",
            Self::NoCircuitAvailable => "no-circuit-available",
            Self::TemporaryFailure => "temporary-failure",
        })
    }
}

/// One way out of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// On what: keys, or a word such as `closed`; empty for the usual way.
    pub on: String,
    /// Where it leads.
    pub to: Where,
    /// What it takes to go it.
    pub needs: Needs,
}

/// Where a way leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The step at this place of the list.
    Step(usize),
    /// The call ends.
    End,
    /// A name that no step has.
    Nowhere,
}

/// What it takes to go a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing but time that the house itself takes: a circle of such ways has no end.
    Nothing,
    /// Something that the caller does.
    Caller,
    /// A wait in a queue.
    Wait,
}

impl Flow {
    /// The place of the step of this name.
    pub fn find(&self, name: &Name) -> Option<usize> {
        self.steps.iter().position(|step| step.name.as_ref() == Some(name))
    }

    /// What people call the step: its name, else its number.
    pub fn called(&self, at: usize) -> String {
        match self.steps.get(at).and_then(|step| step.name.as_ref()) {
            Some(name) => name.to_string(),
            None => (at + 1).to_string(),
        }
    }

    /// Where a name leads; where there is none, the usual way on from the step at this place.
    pub fn onward(&self, at: usize, name: Option<&Name>) -> Where {
        let next = || self.steps.get(at).and_then(|step| step.next.as_ref());
        match name.or_else(next) {
            Some(name) => self.find(name).map_or(Where::Nowhere, Where::Step),
            None if at + 1 < self.steps.len() => Where::Step(at + 1),
            None => Where::End,
        }
    }

    /// Every way out of a step.
    pub fn ways(&self, at: usize) -> Vec<Way> {
        let Some(step) = self.steps.get(at) else { return Vec::new() };
        let way = |on: &str, name: Option<&Name>, needs| Way {
            on: on.to_owned(),
            to: self.onward(at, name),
            needs,
        };
        match &step.does {
            Deed::Play(_) | Deed::Announce(_) => vec![way("", None, Needs::Nothing)],
            Deed::Menu(menu) => {
                let chosen =
                    menu.choices.iter().map(|(keys, name)| way(keys.as_str(), Some(name), Needs::Caller));
                chosen
                    .chain([
                        way("invalid", menu.invalid.next.as_ref(), Needs::Caller),
                        way("no input", menu.no_input.next.as_ref(), Needs::Nothing),
                    ])
                    .collect()
            }
            Deed::Hours(hours) => {
                let holiday = hours.holiday.as_ref().unwrap_or(&hours.closed);
                vec![
                    way("open", None, Needs::Nothing),
                    way("closed", Some(&hours.closed), Needs::Nothing),
                    way("holiday", Some(holiday), Needs::Nothing),
                ]
            }
            Deed::Queue(queue) => {
                let unstaffed =
                    queue.unstaffed.as_ref().map(|name| way("unstaffed", Some(name), Needs::Nothing));
                let full = way("full", queue.full.as_ref(), Needs::Nothing);
                let overdue = way("overdue", queue.overdue.as_ref(), Needs::Wait);
                [full, overdue].into_iter().chain(unstaffed).collect()
            }
            Deed::HangUp(_) => vec![Way { on: String::new(), to: Where::End, needs: Needs::Nothing }],
        }
    }
}

const fn yes() -> bool {
    true
}

const fn first_digit() -> Period {
    Period::seconds(5)
}

const fn inter_digit() -> Period {
    Period::seconds(3)
}
