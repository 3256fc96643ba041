//! One party's side of a call: its line at the signalling edge and its sound at the media edge.
//!
//! ```text
//!  line   Undialled ─► Ringing ─► Established ─► Ending ─► Ended
//!             └─► Undone (never reached the edge)    any ──┘
//!  sound  Unopened ─► Opening ─► Open ─► Closing ─► Closed
//! ```

use record_api::Consent;
use report_api::{LegRecord, SignallingRecord};
use route_api::{Cause, EndedBy, Endpoint, Ladder, Quality, SessionDescription};
use serde::{Deserialize, Serialize};
use types::{AgentId, LegId, Monotonic, Utc};

/// One leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub id: LegId,
    pub over: Endpoint,
    pub agent: Option<AgentId>,
    pub began: Utc,
    pub answered: Option<Utc>,
    pub reference: String,
    pub line: Line,
    pub sound: Sound,
    pub track: Track,
    pub negotiation: Negotiation,
    /// Whether a party outside has been told that it is recorded.
    #[serde(default)]
    pub told: Told,
    /// Its answer to our offer, until a later offer: a media edge that comes back may not have heard it.
    #[serde(skip)]
    pub answer: Option<SessionDescription>,
    /// How its signalling went, once it is over: too long for a memo, so the edge keeps it until all of the call
    /// is kept, and says it again with the end.
    #[serde(skip)]
    pub ladder: Ladder,
    /// Our answer to its offer, while it is not answered because another is called first. With it that call rings on
    /// over a restart, unless there are keys in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<SessionDescription>,
    /// Its answer to our offer before it has answered the call: what it says by it is heard, and no more.
    #[serde(skip)]
    pub said_early: Option<SessionDescription>,
}

/// The signalling side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// Ours, and not dialled yet.
    Undialled,
    /// Ours, given up before it was dialled: the edge never knew of it.
    Undone,
    /// Offered to us, or dialled by us.
    Ringing,
    /// Answered.
    Established,
    /// Told to end.
    Ending { cause: Cause },
    /// Over.
    Ended { at: Utc, cause: Cause, by: EndedBy },
}

/// The media side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sound {
    Unopened,
    Opening,
    Open,
    Closing,
    Closed { quality: Option<Quality> },
}

/// The party's track in the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Track {
    /// None.
    Off,
    /// record has been asked.
    Asked { number: u8, consent: Consent },
    /// record is ready for it.
    Ready { number: u8, consent: Consent },
    /// media taps the party.
    Tapped { number: u8, consent: Consent },
}

/// Whether a party outside has been told that it is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// Not, or not yet.
    #[default]
    Nothing,
    /// It hears the announcement, under this number.
    Hearing { play: u32 },
    /// The announcement is over, heard or not.
    Over,
}

/// Whether the far side asked for another description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Negotiation {
    Settled,
    /// media works on the answer.
    Changing,
}

impl Leg {
    /// A leg that came in.
    pub fn offered(id: LegId, over: Endpoint, began: Utc, reference: String) -> Self {
        Self { line: Line::Ringing, reference, ..Self::ours(id, over, None, began) }
    }

    /// A leg that is to be dialled.
    pub fn ours(id: LegId, over: Endpoint, agent: Option<AgentId>, began: Utc) -> Self {
        Self {
            id,
            over,
            agent,
            began,
            answered: None,
            reference: String::new(),
            line: Line::Undialled,
            sound: Sound::Unopened,
            track: Track::Off,
            negotiation: Negotiation::Settled,
            told: Told::Nothing,
            answer: None,
            ladder: Ladder::default(),
            early: None,
            said_early: None,
        }
    }

    /// Whether the edge has said, or never will say, that it is over.
    pub fn line_over(&self) -> bool {
        matches!(self.line, Line::Undone | Line::Ended { .. })
    }

    /// Whether its media is not to be expected any more.
    pub fn sound_over(&self) -> bool {
        matches!(self.sound, Sound::Unopened | Sound::Closed { .. })
    }

    /// Whether nothing more will come of it.
    pub fn over(&self) -> bool {
        self.line_over() && self.sound_over()
    }

    /// Whether it was ever offered or dialled, and so belongs into the call record.
    pub fn known(&self) -> bool {
        !matches!(self.line, Line::Undialled | Line::Undone)
    }

    /// The line is over; the first word counts.
    pub fn end(&mut self, at: Utc, cause: Cause, by: EndedBy) {
        if !self.line_over() {
            self.line = Line::Ended { at, cause, by };
        }
    }

    /// When it was over.
    pub fn ended_at(&mut self, moment: Utc) {
        let least = self.answered.unwrap_or(self.began);
        if let Line::Ended { at, .. } = &mut self.line {
            *at = moment.max(least);
        }
    }

    /// What is kept of it. A line whose end never came counts as ended `now`, by a failure. `utc` is the
    /// calendar's word for a moment.
    pub fn record(&self, now: Utc, utc: impl Fn(Monotonic) -> Utc) -> LegRecord {
        let (ended, cause, by) = match self.line {
            Line::Ended { at, cause, by } => (at, cause, by),
            Line::Ending { cause } => (now, cause, EndedBy::Failure),
            Line::Undialled | Line::Undone | Line::Ringing | Line::Established => {
                (now, Cause::RecoveryOnTimerExpiry, EndedBy::Failure)
            }
        };
        let quality = match &self.sound {
            Sound::Closed { quality } => quality.clone(),
            Sound::Unopened | Sound::Opening | Sound::Open | Sound::Closing => None,
        };
        LegRecord {
            leg: self.id,
            over: self.over.clone(),
            agent: self.agent.clone(),
            began: self.began,
            answered: self.answered,
            ended,
            cause,
            by,
            reference: self.reference.clone(),
            quality,
            ladder: (!self.ladder.is_empty()).then(|| SignallingRecord {
                began: utc(self.ladder.began),
                steps: self.ladder.steps.clone(),
                left_out: self.ladder.left_out,
                paths: self.ladder.paths.clone(),
            }),
        }
    }
}
