//! What a core wants done, and what it tells.

use super::{Batch, Dropped, Extent, Far, Port, PromptDigest, Track, TrackTotals};
use crate::{codec::Codec, dtmf::Digit, emodel::Mos, rtp::Totals, srtp::Suite};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};
use types::{LegId, Monotonic, RecordingId};

/// What a core wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send this datagram from one of the leg's ports.
    Send {
        /// Whose port.
        leg: LegId,
        /// Which port.
        port: Port,
        /// Where to.
        to: SocketAddr,
        /// What.
        datagram: &'a [u8],
    },
    /// Hand this to the record side, or drop it and say [`super::Input::TapRefused`].
    Tap {
        /// Which recording.
        recording: RecordingId,
        /// What was received.
        batch: Batch<'a>,
    },
    /// Tell this to whom the legs belong.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The leg stands: our answer, or our offer.
    Opened {
        /// The leg.
        leg: LegId,
        /// Our description (RFC 8866).
        description: String,
    },
    /// The party's answer is taken.
    Accepted {
        /// The leg.
        leg: LegId,
    },
    /// A playing is over.
    Played {
        /// The leg.
        leg: LegId,
        /// The asker's number.
        play: u32,
        /// The prompts' names in order, each with the SM3 of its file.
        prompts: Vec<(String, PromptDigest)>,
        /// When the first packet went.
        began: Monotonic,
        /// When the last packet went; as `began` where none did.
        ended: Monotonic,
        /// How it ended.
        extent: Extent,
    },
    /// The party pressed a key (RFC 4733, or heard in its voice where it knows no telephone events).
    Digit {
        /// The leg.
        leg: LegId,
        /// Which key.
        digit: Digit,
        /// For how long.
        held: Duration,
    },
    /// The party hears us no more: it has put the call on hold (RFC 3264 §8.4).
    Held {
        /// The leg.
        leg: LegId,
    },
    /// The party hears us again.
    Resumed {
        /// The leg.
        leg: LegId,
    },
    /// Nothing came from the party for the time that [`super::Limits`] give; told once, until something comes.
    Silent {
        /// The leg.
        leg: LegId,
    },
    /// A tap is over; no batch of this track follows.
    TapEnded {
        /// Which recording.
        recording: RecordingId,
        /// Whose.
        track: Track,
        /// What was handed over.
        totals: TrackTotals,
    },
    /// The record side did not take batches of a recording since the last word.
    TapLost {
        /// Which recording.
        recording: RecordingId,
        /// How many.
        batches: u64,
    },
    /// The leg is no more.
    Closed {
        /// The leg.
        leg: LegId,
        /// What was received and sent.
        quality: Quality,
    },
}

/// What was received and sent on a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// The codec agreed on.
    pub codec: Option<Codec>,
    /// How it was protected.
    pub protection: Option<Suite>,
    /// The stream received.
    pub received: Totals,
    /// Packets from elsewhere than the locked source.
    pub foreign: u64,
    /// Packets sent, modulo 2³².
    pub sent: u64,
    /// The last round trip that reports showed (RFC 3550 §6.4.1).
    pub round_trip: Option<Duration>,
    /// How good what was heard of the party was; `None` where nothing was.
    pub mos: Option<Mos>,
    /// What the party's last report says of what it heard.
    pub far: Option<Far>,
    /// Datagrams not heard.
    pub dropped: Dropped,
}

/// A leg as it stands, for the asker that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The leg.
    pub leg: LegId,
    /// Its RTP address.
    pub address: SocketAddr,
    /// With which it is bridged.
    pub bridged: Option<LegId>,
    /// The recording it is tapped for.
    pub tapped: Option<RecordingId>,
    /// What was last remembered.
    pub memo: &'a str,
}
