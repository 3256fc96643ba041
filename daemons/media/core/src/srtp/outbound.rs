//! What goes to the party: each index once.

use super::{
    Master, Suite, Window, estimate,
    transform::{Keys, Place},
};
use crate::rtp::HEADER;
use serde::{Deserialize, Serialize};

/// How far a stream leaps when it comes back from a snapshot, and how far it may get beyond one: less than half
/// the circle of sequence numbers, so that the party follows (RFC 3711 §3.3.1).
pub const LEAP: u64 = 1 << 14;
/// The same for RTCP, whose index stands in the packet.
const RTCP_LEAP: u32 = 1 << 20;
/// RTCP's header and its sender.
const RTCP_CLEAR: usize = 8;

/// The sending side of a leg's protection.
#[derive(Clone, Serialize, Deserialize)]
pub struct Outbound {
    suite: Suite,
    ours: Master,
    used: Window,
    reported: u32,
    /// Where the next life begins, if it begins at the last snapshot: nothing at it or beyond is used in this one.
    #[serde(skip)]
    granted: Option<u64>,
    #[serde(skip)]
    life: Life,
    #[serde(skip)]
    keys: Option<Keys>,
}

/// Which life of the process it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    /// Not the one that began the stream, and it has not leapt yet. What is read from a snapshot is so.
    #[default]
    Later,
    Same,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("suite", &self.suite).field("used", &self.used).finish()
    }
}

impl Outbound {
    /// A side that has sent nothing.
    pub const fn new(suite: Suite, ours: Master) -> Self {
        let used = Window { newest: None, came: 0 };
        Self { suite, ours, used, reported: 0, granted: None, life: Life::Same, keys: None }
    }

    /// The suite in use.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The state is kept as it stands, with `next` the sequence number of the packet that comes next: how far beyond
    /// it this life may go is bounded by what the next life leaves out.
    pub fn kept(&mut self, next: u16) {
        self.granted = Some(estimate(self.used.newest, next) + LEAP);
    }

    /// Whether the stream has to leap by [`LEAP`] before anything is sealed: once, when it comes back from a
    /// snapshot, in which `next` was the sequence number of the packet that comes next.
    pub fn take_leap(&mut self, next: u16) -> bool {
        let leaps = self.life == Life::Later;
        self.life = Life::Same;
        if leaps && !mutant::mutant("srtp-no-leap") {
            let next = estimate(self.used.newest, next);
            self.used = Window { newest: Some(next + LEAP - 1), came: u64::MAX };
            self.reported = (self.reported + RTCP_LEAP) & 0x7fff_ffff;
            return true;
        }
        false
    }

    /// Seals the packet of RTP (of 12 octets of header) that lies in `buffer` from `start` on. `false` where its
    /// index was used, is too old, or is not granted: it must not be sent.
    #[must_use]
    pub fn seal_rtp(&mut self, buffer: &mut Vec<u8>, start: usize) -> bool {
        let Some(&[_, _, s0, s1, _, _, _, _, i0, i1, i2, i3]) =
            buffer.get(start..).and_then(<[u8]>::first_chunk::<HEADER>)
        else {
            return false;
        };
        let index = estimate(self.used.newest, u16::from_be_bytes([s0, s1]));
        let granted = self.granted.is_none_or(|end| index < end);
        if !granted || !self.used.admits(index) || self.life == Life::Later {
            return false;
        }
        self.used.note(index);
        let word = ((index >> 16) as u32).to_be_bytes();
        let place = Place { ssrc: u32::from_be_bytes([i0, i1, i2, i3]), index, clear: HEADER, word };
        self.keys().rtp.seal(buffer, start, &place, false)
    }

    /// Seals the compound of RTCP that lies in `buffer` from `start` on. `false` after 2³¹ of them.
    #[must_use]
    pub fn seal_rtcp(&mut self, buffer: &mut Vec<u8>, start: usize) -> bool {
        let Some(&[_, _, _, _, i0, i1, i2, i3]) =
            buffer.get(start..).and_then(<[u8]>::first_chunk::<RTCP_CLEAR>)
        else {
            return false;
        };
        if self.reported >= 0x7fff_ffff || self.life == Life::Later {
            return false;
        }
        self.reported += 1;
        let word = (self.reported | 1 << 31).to_be_bytes();
        let ssrc = u32::from_be_bytes([i0, i1, i2, i3]);
        let place = Place { ssrc, index: self.reported.into(), clear: RTCP_CLEAR, word };
        self.keys().rtcp.seal(buffer, start, &place, true)
    }

    fn keys(&mut self) -> &Keys {
        self.keys.get_or_insert_with(|| Keys::derive(self.suite, &self.ours))
    }
}
