//! What happens to a core.

use super::{Play, Port, Track};
use crate::{
    codec::Codec,
    rtp::Seed,
    srtp::{Keying, Policy},
};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};
use types::{LegId, RecordingId};

/// How a leg is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The party's offer; without it the leg makes one.
    pub offer: Option<&'a [u8]>,
    /// Opaque: kept for the asker over restarts.
    pub memo: &'a str,
    /// The leg's RTP address, with an even port; RTCP is one above.
    pub address: SocketAddr,
    /// The session id of `o=` (RFC 8866 §5.2), unique.
    pub session: u64,
    /// Random beginnings of the stream sent.
    pub seed: Seed,
    /// The codecs that the leg may speak, the preferred first.
    pub codecs: &'a [Codec],
    /// The leg that this one is to be bridged with: what that one speaks is preferred to all, so that nothing has to
    /// be transcoded.
    pub beside: Option<LegId>,
    /// Whether the leg is protected.
    pub policy: Policy,
    /// Its keys, of random octets.
    pub keying: &'a Keying,
}

/// What happens to a core.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Opens a leg, or negotiates an open one anew: [`super::Event::Opened`]. Of an open leg only `offer` counts.
    Open(LegId, Opening<'a>),
    /// The party's answer to our offer: [`super::Event::Accepted`].
    Accept(LegId, &'a [u8]),
    /// An answer of the party to our first offer that a later one may replace, and who hears what comes from the
    /// party meanwhile: early media (RFC 3960). Nothing goes to the party. What the hearer plays goes on until
    /// something comes, and again where nothing comes for [`super::PAUSE`]. Ends with a bridge, [`Input::Part`]
    /// or the end of either leg.
    Early {
        /// The party.
        leg: LegId,
        /// Its answer.
        answer: &'a [u8],
        /// Who hears it.
        to: LegId,
    },
    /// Plays a prompt, in place of what is played or heard: [`super::Event::Played`] at its end.
    Play(LegId, Play<'a>),
    /// Ends the prompt.
    Stop(LegId),
    /// Lets two legs hear each other; ends their prompts and parts them from whom they heard.
    Bridge(LegId, LegId),
    /// Parts a leg from its bridge.
    Part(LegId),
    /// Hands what comes from the party to a recording, until [`Input::Untap`] or [`Input::Close`].
    Tap(LegId, RecordingId, Track),
    /// Ends the tap: [`super::Output::TapEnded`] after its last batch.
    Untap(LegId),
    /// Keeps another memo.
    Remember(LegId, &'a str),
    /// Ends the leg: [`super::Event::Closed`].
    Close(LegId),
    /// A datagram came to one of the leg's ports.
    Datagram {
        /// Whose port.
        leg: LegId,
        /// Which port.
        port: Port,
        /// From where.
        source: SocketAddr,
        /// What.
        bytes: &'a [u8],
    },
    /// The record side did not take a batch.
    TapRefused(RecordingId),
    /// Time went on; comes every [`super::TICK`].
    Tick,
    /// The state of the core as it is now is kept, and is what a next life would begin with.
    Kept,
    /// The process is about to end and the legs are not: hands over every batch as it is.
    Flush,
}

/// Bounds and waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The most legs.
    pub legs: usize,
    /// How long nothing comes until [`super::Event::Silent`].
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { legs: 4000, silence: Duration::from_secs(15) }
    }
}
