//! The leg contract of media: what is opened, played, joined, tapped and heard.

use crate::{Memo, SessionDescription, capture::Copying};
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
    },
    /// Gives the far side's answer to our offer.
    Accept {
        /// The leg.
        leg: LegId,
        /// The answer.
        answer: SessionDescription,
    },
    /// Plays a prompt to a leg, in place of what it plays or hears now.
    Play {
        /// The leg.
        leg: LegId,
        /// Route's number of this playing, returned in `Played`.
        play: u32,
        /// The prompt's name: a WAV file of the prompts directory, without its extension.
        prompt: Name,
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

/// How often a prompt is played.
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
        /// The prompt.
        prompt: Name,
        /// SM3 of the prompt's file, 64 hexadecimal digits: the proof of what was announced.
        digest: String,
        /// The first frame's sending.
        began: Utc,
        /// The last frame's sending.
        ended: Utc,
        /// How it ended.
        extent: Extent,
    },
    /// The prompt cannot be played: no such file, or no audio in it.
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
    /// A digit that came with the media (RFC 4733).
    Digit {
        /// The leg.
        leg: LegId,
        /// 0-9, *, #, A-D.
        digit: char,
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

/// How a playing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// To the end of the prompt.
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
    /// RTP packets received.
    pub received: u64,
    /// RTP packets that never came, by sequence number.
    pub lost: u64,
    /// RTP packets from elsewhere than the locked source, refused.
    pub foreign: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Interarrival jitter at the end, in microseconds.
    pub jitter_us: u64,
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

/// Attaches the media edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachMedia {
    /// Every leg whose media stands now.
    pub legs: Vec<LiveMedia>,
}

/// Says what media heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hear {
    /// What.
    pub event: MediaEvent,
}
