//! The leg contract of media: what is opened, played, joined, tapped and heard.

use crate::{Endpoint, Memo, Page, SessionDescription, capture::Copying};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{LegId, Name, RecordingId, Utc};

/// What route wants of media (route → media). A command to a leg that is closed is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaCommand {
    /// The edge is attached: the first reply of the stream.
    Attached {},
    /// Makes the media side of a leg, or negotiates an open one anew. With the far side's offer the answer
    /// comes back in `Opened`, without it our own offer does (RFC 3264).
    Open {
        /// The leg.
        leg: LegId,
        /// The far side's offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<SessionDescription>,
        /// Kept for route.
        memo: Memo,
        /// The leg that it is to be bridged with, where there is one: its codec is preferred.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beside: Option<LegId>,
        /// By which endpoint the leg comes or goes: the settings say how its sound is protected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over: Option<Endpoint>,
    },
    /// Gives the far side's answer to our offer.
    Accept {
        /// The leg.
        leg: LegId,
        /// The answer.
        answer: SessionDescription,
    },
    /// Gives an answer of the far side that a later one may replace, and lets another leg hear what comes from it:
    /// early media (RFC 3960). One way: who has not answered hears nothing. What the hearer plays gives way while
    /// something comes, and is back after a pause. Ends with `Bridge`, `Part` or the end of either. Where the
    /// answer cannot be met nothing changes, and nothing is said.
    Early {
        /// The leg of who is called.
        leg: LegId,
        /// The answer.
        answer: SessionDescription,
        /// Who hears it.
        to: LegId,
    },
    /// Plays prompts to a leg, one after the other without a gap, in place of what it plays or hears now.
    Play {
        /// The leg.
        leg: LegId,
        /// Route's number of this playing, returned in `Played`.
        play: u32,
        /// The prompts' names, 1 to 32: WAV files of the prompts directory, without their extension; or tones:
        /// `tone.ringback`, `tone.busy`, `tone.congestion`, `tone.unobtainable`, `tone.dial`, `tone.waiting`.
        prompts: Vec<Name>,
        /// How often.
        times: Times,
    },
    /// Ends the playing of a leg.
    Stop {
        /// The leg.
        leg: LegId,
    },
    /// Lets two legs hear each other; ends what they play.
    Bridge {
        /// One.
        leg: LegId,
        /// The other.
        with: LegId,
    },
    /// Parts a leg from its bridge.
    Part {
        /// The leg.
        leg: LegId,
    },
    /// Records what comes from the party of this leg, as a track of a recording. Goes on through bridges
    /// until `Untap` or `Close`. The same again changes nothing.
    Tap {
        /// The leg.
        leg: LegId,
        /// The recording.
        recording: RecordingId,
        /// The track of this party.
        track: u8,
    },
    /// Ends the tap.
    Untap {
        /// The leg.
        leg: LegId,
    },
    /// Keeps another memo.
    Remember {
        /// The leg.
        leg: LegId,
        /// Kept for route.
        memo: Memo,
    },
    /// Copies the packets of these legs, and hands down where they are.
    Capture(Copying),
    /// Ends the leg's media.
    Close {
        /// The leg.
        leg: LegId,
    },
}

/// How often a playing is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Once, to its end.
    Once,
    /// Again and again, until something else is heard.
    Endless,
}

/// What media says (route ← media).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaEvent {
    /// The media side stands: our answer, or our offer.
    Opened {
        /// The leg.
        leg: LegId,
        /// Our description.
        description: SessionDescription,
    },
    /// The far side's answer is taken.
    Accepted {
        /// The leg.
        leg: LegId,
    },
    /// `Open` or `Accept` is not possible; the leg's media is closed. Of a leg that was open already only
    /// the new negotiation is refused: it goes on as it was.
    Refused {
        /// The leg.
        leg: LegId,
        /// Why.
        reason: MediaRefusal,
        /// In words, for the trace.
        detail: String,
    },
    /// A playing is over.
    Played {
        /// The leg.
        leg: LegId,
        /// Route's number.
        play: u32,
        /// The prompts, in order; where it did not end whole, they were not all heard.
        prompts: Vec<PlayedPrompt>,
        /// The first frame's sending.
        began: Utc,
        /// The last frame's sending.
        ended: Utc,
        /// How it ended.
        extent: Extent,
    },
    /// Nothing is played, since one of the prompts cannot be: no such file, or no audio in it.
    NotPlayed {
        /// The leg.
        leg: LegId,
        /// Route's number.
        play: u32,
        /// The prompt.
        prompt: Name,
        /// Why.
        detail: String,
    },
    /// A digit that came with the media: as a telephone event (RFC 4733), or heard as tones of a party that knows
    /// none.
    Digit {
        /// The leg.
        leg: LegId,
        /// 0-9, *, #, A-D.
        digit: char,
    },
    /// The far side hears us no more: it has put the call on hold (RFC 3264 §8.4).
    Held {
        /// The leg.
        leg: LegId,
    },
    /// The far side hears us again.
    Resumed {
        /// The leg.
        leg: LegId,
    },
    /// Nothing has come from the far side for the time that the settings give.
    Silent {
        /// The leg.
        leg: LegId,
    },
    /// The recording side does not keep up: this many batches were dropped since the last word.
    TapLost {
        /// The recording.
        recording: RecordingId,
        /// Batches dropped.
        batches: u32,
    },
    /// The leg's media is over. The last event of every leg that was opened.
    Closed {
        /// The leg.
        leg: LegId,
        /// What was received and sent.
        quality: Quality,
    },
}

/// A prompt of a playing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlayedPrompt {
    /// Its name.
    pub prompt: Name,
    /// SM3 of its file, 64 hexadecimal digits: the proof of what was announced.
    pub digest: String,
}

/// How a playing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// To the end of the last prompt.
    Whole,
    /// Before it: something else was to be heard, or the leg ended.
    Part,
}

/// Why media cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaRefusal {
    /// No common codec, or a description that cannot be met.
    NotAcceptable,
    /// The description is no SDP.
    Malformed,
    /// No port left.
    NoPort,
}

/// What was received and sent on a leg (RFC 3550 §6.4.1 for the terms).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quality {
    /// The codec's name, as in the description.
    pub codec: String,
    /// The cipher of SRTP, as in `a=crypto` (RFC 4568), where it was protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srtp: Option<String>,
    /// RTP packets received.
    pub received: u64,
    /// RTP packets that never came, by sequence number.
    pub lost: u64,
    /// RTP packets that came after one with a higher number.
    #[serde(default)]
    pub reordered: u64,
    /// RTP packets from elsewhere than the locked source, refused.
    pub foreign: u64,
    /// Protected packets that were not genuine or came again, refused.
    #[serde(default)]
    pub forged: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Interarrival jitter at the end, in microseconds.
    pub jitter_us: u64,
    /// The last round trip that reports showed, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// RTP packets that did not come to the far side, by its last report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub far_lost: Option<u64>,
    /// Interarrival jitter at the far side, by its last report, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub far_jitter_us: Option<u64>,
    /// How good what was received was, by the E-model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mos: Option<Mos>,
}

/// A mean opinion score (ITU-T P.800) as the E-model estimates it (G.107): 1.00 to 4.50, written as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Mos(u16);

impl Mos {
    /// So many hundredths; what lies beyond the scale is its end.
    pub const fn hundredths(hundredths: u16) -> Self {
        Self(match hundredths {
            0..100 => 100,
            451.. => 450,
            within => within,
        })
    }
}

impl TryFrom<f64> for Mos {
    type Error = &'static str;

    fn try_from(score: f64) -> Result<Self, Self::Error> {
        if (1.0..=4.5).contains(&score) {
            Ok(Self((score * 100.0).round() as u16))
        } else {
            Err("a mean opinion score is 1.00 to 4.50")
        }
    }
}

impl From<Mos> for f64 {
    fn from(score: Mos) -> Self {
        Self::from(score.0) / 100.0
    }
}

impl std::fmt::Display for Mos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl JsonSchema for Mos {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Mos".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 1, "maximum": 4.5 })
    }
}

/// A leg whose media stands when media attaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveMedia {
    /// The leg.
    pub leg: LegId,
    /// The leg it is bridged with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridged: Option<LegId>,
    /// What route's last command carried.
    pub memo: Memo,
}

/// Attaches the media edge: the last page of what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachMedia {
    /// Which page.
    pub page: Page,
    /// Every leg whose media stands now and stood on no page before.
    pub legs: Vec<LiveMedia>,
}

/// Says what media heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hear {
    /// What.
    pub event: MediaEvent,
}
