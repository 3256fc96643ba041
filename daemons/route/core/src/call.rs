//! One call: everything that route knows of it, in one place, so that it can travel as a memo.

use crate::{agent::Next, digits::Digits, flows::Position, leg::Leg, outside::Ways};
use record_api::{Consent, Finish};
use report_api::{Decision, Disposition, NotRecorded, OfferRecord, Queued};
use route_api::{Party, SessionDescription, Wanted};
use serde::{Deserialize, Serialize};
use types::{AgentId, CallId, Extension, LegId, Monotonic, Name, QueueId, RecordingId, Utc};

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub id: CallId,
    pub offered: Utc,
    pub from: Party,
    pub dialled: String,
    /// Where it is in its flow; none where no number matched.
    pub position: Option<Position>,
    /// Steps since the caller last did something or waited: bounded, so that no flow spins.
    pub unasked: u32,
    /// What was pressed and no menu has taken.
    pub digits: Digits,
    /// Whether its flow asks for secrets anywhere: then no digit is kept over a kill.
    pub secrets: Secrets,
    pub caller: Leg,
    /// Every leg that was made for an agent, in order.
    pub agents: Vec<Leg>,
    pub stage: Stage,
    /// A new leg that wants the place of one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacing: Option<Replacing>,
    /// Until when the phone that asked for a transfer which failed is taken to hang up for that reason alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_until: Option<Monotonic>,
    /// The proof that the caller heard the announcement; none, no recording.
    pub consent: Option<Consent>,
    pub recording: Recording,
    /// Stays in queues that are over.
    pub queued: Vec<Queued>,
    pub overflow: Overflow,
    pub decisions: Vec<Decision>,
    /// The last playing's number.
    pub plays: u32,
    /// The last track's number.
    pub tracks: u8,
    /// The memo that the edge has now.
    #[serde(skip)]
    pub remembered: String,
    /// Where it stands on the agenda.
    #[serde(skip)]
    pub due: Option<Monotonic>,
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    Arriving(Arrival),
    Playing(Playing),
    Choosing(Choosing),
    Waiting(Wait),
    Offering(Wait, Offer),
    Reaching(Reach),
    Talking(Talk),
    Ending { disposition: Disposition, until: Monotonic },
}

/// From the offer to the first sound. Descriptions are not kept over a restart: they are long, and what needs
/// them lasts milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Arrival {
    /// media makes its side.
    Opening {
        #[serde(skip)]
        offer: Option<SessionDescription>,
        offerer: Offerer,
        until: Monotonic,
    },
    /// The caller has our answer, and confirms it.
    Answering {
        #[serde(skip)]
        description: Option<SessionDescription>,
        offerer: Offerer,
        until: Monotonic,
    },
    /// The offer was ours: media takes the caller's answer.
    Accepting {
        #[serde(skip)]
        answer: Option<SessionDescription>,
        until: Monotonic,
    },
}

/// Whose description came first (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offerer {
    Caller,
    House,
}

/// What the caller hears to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Playing {
    pub play: u32,
    pub prompt: Name,
    pub purpose: Purpose,
    pub until: Monotonic,
}

/// A menu.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choosing {
    pub hears: Hears,
    /// When the prompt is overdue, or no further digit is waited for.
    pub until: Monotonic,
    /// How often the digits were no choice, and how often none came.
    pub invalid: u8,
    pub no_input: u8,
}

/// What a caller hears at a menu.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Hears {
    /// These, one after the other.
    Prompts { play: u32, prompts: Vec<Name> },
    /// Nothing more: the caller is to press.
    Silence,
}

/// What waiting callers hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comfort {
    /// Music, or silence.
    Music,
    /// The word that is said from time to time, under this number.
    Word { play: u32 },
}

/// Whether a flow asks for secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Secrets {
    None,
    Asked,
}

/// What a prompt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// To be heard.
    Prompt,
    /// To be consented to.
    Announcement,
}

/// A stay in a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    pub queue: QueueId,
    pub place: Place,
    pub entered: Utc,
    /// Then the flow goes on.
    pub until: Monotonic,
    /// No offer before this moment: the house failed to make one.
    pub hold: Monotonic,
    /// How often the house failed so.
    pub failures: u32,
    /// What is heard.
    pub comfort: Comfort,
    /// When the next word is due.
    pub word: Monotonic,
    pub offers: Vec<OfferRecord>,
}

/// A place in a queue: by the moment of entering, then by order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub entered: Monotonic,
    pub order: u64,
}

/// An offer to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    pub agent: AgentId,
    pub phone: Extension,
    pub leg: LegId,
    /// When it began to ring; before that, when it was made.
    pub at: Utc,
    pub step: OfferStep,
    pub until: Monotonic,
}

/// How far an offer is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OfferStep {
    /// media makes our description.
    Opening,
    /// The edge dials.
    Dialling,
    /// The phone rings.
    Ringing,
    /// The agent answered, media takes the answer.
    Connecting {
        #[serde(skip)]
        answer: Option<SessionDescription>,
    },
}

/// Somebody is called for the caller, other than by a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// What was dialled.
    pub to: String,
    pub leg: LegId,
    /// Who sits there, and what they do afterwards.
    pub agent: Option<AgentId>,
    pub next: Next,
    /// When it began to ring; before that, when it was wanted.
    pub at: Utc,
    pub step: OfferStep,
    pub until: Monotonic,
    /// The conversation whose place it takes; none in a call from a phone.
    pub instead: Option<Talk>,
    /// Over which trunks it is tried; none at a phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ways: Option<Ways>,
}

/// A leg that is being taken in the place of another (RFC 3891).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replacing {
    pub leg: LegId,
    /// Whose place it wants, and until when.
    pub of: LegId,
    pub wanted: Wanted,
    pub until: Monotonic,
    /// Its offer; nothing where it wants ours, and in another life of route.
    #[serde(skip)]
    pub offer: Option<SessionDescription>,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Talk {
    /// Who talks with the caller; none at a phone where nobody is signed in, and outside.
    pub agent: Option<AgentId>,
    pub leg: LegId,
    /// The queue by which the caller came; none in a call from a phone.
    pub queue: Option<QueueId>,
    /// Since when.
    pub since: Monotonic,
    pub hold: Hold,
}

/// Whether the caller is on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    None,
    /// The other side does not hear the caller, who hears music.
    Held,
}

/// The recording of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recording {
    /// Not asked for yet.
    None,
    /// Asked for, record has not answered.
    Asked(RecordingId),
    /// record is ready.
    Begun(RecordingId),
    /// There will be none.
    Failed(NotRecordedFor),
    /// record has been told to end it.
    Finished(RecordingId),
}

/// Why record did not begin, as it can be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotRecordedFor {
    Rule,
    Failure,
}

/// Whether a queue of the flow let the caller go on unserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overflow {
    None,
    Happened,
}

impl Call {
    /// The leg of this id.
    pub fn leg(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs_mut().find(|leg| leg.id == id)
    }

    /// Every leg, the caller's first.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        std::iter::once(&self.caller).chain(&self.agents)
    }

    /// Every leg, the caller's first.
    pub fn legs_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        std::iter::once(&mut self.caller).chain(&mut self.agents)
    }

    /// The last moment at which something is known to have happened to it.
    pub fn latest(&self) -> Utc {
        let legs = self.legs().flat_map(|leg| [Some(leg.began), leg.answered]).flatten();
        let stage = match &self.stage {
            Stage::Waiting(wait) => Some(wait.entered),
            Stage::Offering(_, offer) => Some(offer.at),
            Stage::Reaching(reach) => Some(reach.at),
            Stage::Arriving(_)
            | Stage::Playing(_)
            | Stage::Choosing(_)
            | Stage::Talking(_)
            | Stage::Ending { .. } => None,
        };
        let decided = self.decisions.last().map(|decision| decision.at);
        legs.chain(stage).chain(decided).fold(self.offered, Utc::max)
    }

    /// When something has to be done though nothing happens.
    pub fn deadline(&self, now: Monotonic) -> Option<Monotonic> {
        let replacing = self.replacing.as_ref().map(|replacing| replacing.until);
        self.stage_deadline(now).into_iter().chain(replacing).min()
    }

    fn stage_deadline(&self, now: Monotonic) -> Option<Monotonic> {
        Some(match &self.stage {
            Stage::Arriving(
                Arrival::Opening { until, .. }
                | Arrival::Answering { until, .. }
                | Arrival::Accepting { until, .. },
            ) => *until,
            Stage::Playing(playing) => playing.until,
            Stage::Choosing(choosing) => choosing.until,
            Stage::Waiting(wait) if wait.hold > now => wait.until.min(wait.word).min(wait.hold),
            Stage::Waiting(wait) => wait.until.min(wait.word),
            Stage::Offering(_, offer) => offer.until,
            Stage::Reaching(reach) => reach.until,
            // Nobody is cut off for talking long: the line itself says when it is dead.
            Stage::Talking(_) => return None,
            Stage::Ending { until, .. } => *until,
        })
    }

    /// The agent who is rung or talks.
    pub fn agent(&self) -> Option<&AgentId> {
        match &self.stage {
            Stage::Offering(_, offer) => Some(&offer.agent),
            Stage::Talking(talk) => talk.agent.as_ref(),
            Stage::Reaching(reach) => {
                let before = reach.instead.as_ref().and_then(|talk| talk.agent.as_ref());
                before.or(reach.agent.as_ref())
            }
            Stage::Arriving(_)
            | Stage::Playing(_)
            | Stage::Choosing(_)
            | Stage::Waiting(_)
            | Stage::Ending { .. } => None,
        }
    }

    /// The word to record that nothing more comes, with the queues that say for how long the recording stays.
    pub fn finish(&self, recording: RecordingId) -> Finish {
        let mut queues: Vec<QueueId> = self.queued.iter().map(|stay| stay.queue.clone()).collect();
        queues.sort();
        queues.dedup();
        Finish { recording, queues }
    }

    /// The recording's id, while there is one or was one.
    pub fn recording(&self) -> Option<RecordingId> {
        match self.recording {
            Recording::Asked(id) | Recording::Begun(id) | Recording::Finished(id) => Some(id),
            Recording::None | Recording::Failed(_) => None,
        }
    }
}

impl From<NotRecordedFor> for NotRecorded {
    fn from(why: NotRecordedFor) -> Self {
        match why {
            NotRecordedFor::Rule => Self::ByRule,
            NotRecordedFor::Failure => Self::Failed,
        }
    }
}
