//! What comes from the party: is it new, is it genuine, and what does it say.

use super::{
    Master, Mki, Protection, Suite, Window, estimate,
    transform::{Cipher, Keys, Place},
};
use crate::rtp::HEADER;
use serde::{Deserialize, Serialize};

/// Streams of one party that are told apart at a time: only genuine packets begin one.
const STREAMS: usize = 4;
/// RTCP's header and its sender (RFC 3711 §3.4).
const RTCP_CLEAR: usize = 8;

/// The receiving side of a leg's protection.
#[derive(Clone, Serialize, Deserialize)]
pub struct Inbound {
    suite: Suite,
    theirs: Master,
    pub(super) mki: Option<Mki>,
    pub(super) streams: Vec<Stream>,
    /// Made again of the master key after a restart.
    #[serde(skip)]
    keys: Option<Keys>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Stream {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
}

/// Why a packet is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Too short to be one.
    Malformed,
    /// Came before, or is too old to tell.
    Replayed,
    /// Not by who has the key, or changed on the way.
    Forged,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound").field("suite", &self.suite).field("streams", &self.streams).finish()
    }
}

impl Inbound {
    /// A side that has heard nothing.
    pub const fn new(protection: &Protection) -> Self {
        let Protection { suite, theirs, mki } = *protection;
        Self { suite, theirs, mki, streams: Vec::new(), keys: None }
    }

    /// Whether this is agreed still: then what was heard goes on.
    pub fn fits(&self, protection: &Protection) -> bool {
        let Protection { suite, theirs, mki } = *protection;
        (self.suite, self.theirs, self.mki) == (suite, theirs, mki)
    }

    /// Opens a packet of RTP where it lies; what is left of it is plain.
    ///
    /// # Errors
    /// [`Rejection`]: the packet is not to be used, and nothing changed.
    pub fn open_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), Rejection> {
        let clear = header(packet).ok_or(Rejection::Malformed)?;
        let &[_, _, s0, s1, _, _, _, _, i0, i1, i2, i3, ..] = packet.as_slice() else {
            return Err(Rejection::Malformed);
        };
        let (sequence, ssrc) = (u16::from_be_bytes([s0, s1]), u32::from_be_bytes([i0, i1, i2, i3]));
        let mut stream = self.stream(ssrc);
        let index = estimate(stream.rtp.newest, sequence);
        if !stream.rtp.admits(index) && !mutant::mutant("srtp-replay-unchecked") {
            return Err(Rejection::Replayed);
        }
        let roc = ((index >> 16) as u32).to_be_bytes();
        let place = Place { ssrc, index, clear, word: roc };
        let mki = self.mki;
        let (length, tag) = split(packet, &self.keys().rtp, mki, 0).ok_or(Rejection::Malformed)?;
        let (text, rest) = packet.split_at_mut(length);
        let tag = rest.get(tag).unwrap_or_default();
        self.keys().rtp.open(text, tag, &place, false).map_err(|_| Rejection::Forged)?;
        packet.truncate(length);
        stream.rtp.note(index);
        self.keep(stream);
        Ok(())
    }

    /// Opens a compound of RTCP where it lies.
    ///
    /// # Errors
    /// [`Rejection`]: the compound is not to be used, and nothing changed.
    pub fn open_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), Rejection> {
        let &[_, _, _, _, i0, i1, i2, i3, ..] = packet.as_slice() else { return Err(Rejection::Malformed) };
        let ssrc = u32::from_be_bytes([i0, i1, i2, i3]);
        let mut stream = self.stream(ssrc);
        let mki = self.mki;
        let (length, tag) = split(packet, &self.keys().rtcp, mki, 4).ok_or(Rejection::Malformed)?;
        let gcm = self.suite == Suite::Gcm128;
        // The word lies before a tag of HMAC and behind one of GCM.
        let at = if gcm { length + tag.end } else { length };
        let word =
            packet.get(at..).and_then(<[u8]>::first_chunk::<4>).copied().ok_or(Rejection::Malformed)?;
        let number = u32::from_be_bytes(word);
        let index = u64::from(number & 0x7fff_ffff);
        if number >> 31 == 0 || length < RTCP_CLEAR {
            // Both sides agreed to encipher.
            return Err(Rejection::Forged);
        }
        if !stream.rtcp.admits(index) {
            return Err(Rejection::Replayed);
        }
        let place = Place { ssrc, index, clear: RTCP_CLEAR, word };
        let (text, rest) = packet.split_at_mut(length);
        let tag = rest.get(tag).unwrap_or_default();
        self.keys().rtcp.open(text, tag, &place, true).map_err(|_| Rejection::Forged)?;
        packet.truncate(length);
        stream.rtcp.note(index);
        self.keep(stream);
        Ok(())
    }

    fn keys(&mut self) -> &Keys {
        self.keys.get_or_insert_with(|| Keys::derive(self.suite, &self.theirs))
    }

    fn stream(&self, ssrc: u32) -> Stream {
        let known = self.streams.iter().find(|stream| stream.ssrc == ssrc);
        known.copied().unwrap_or(Stream { ssrc, rtp: Window::default(), rtcp: Window::default() })
    }

    fn keep(&mut self, stream: Stream) {
        if let Some(known) = self.streams.iter_mut().find(|known| known.ssrc == stream.ssrc) {
            *known = stream;
            return;
        }
        if self.streams.len() == STREAMS {
            self.streams.remove(0);
        }
        self.streams.push(stream);
    }
}

/// Where the text of a packet ends, and where behind it the tag lies; a wrong MKI is no packet of ours.
fn split(
    packet: &[u8],
    cipher: &Cipher,
    mki: Option<Mki>,
    word: usize,
) -> Option<(usize, std::ops::Range<usize>)> {
    let name = mki.map_or(0, |mki| usize::from(mki.length));
    let length = packet.len().checked_sub(cipher.tag() + name + word)?;
    let gcm = cipher.tag() == 16;
    // HMAC: text ‖ word ‖ MKI ‖ tag (RFC 3711 §3.1, §3.4). GCM: text ‖ tag ‖ word ‖ MKI (RFC 7714 §8, §9).
    let at = if gcm { length + cipher.tag() + word } else { length + word };
    if let Some(mki) = mki
        && !mki.is(packet.get(at..at + name)?)
    {
        return None;
    }
    let tag = if gcm { 0..cipher.tag() } else { word + name..word + name + cipher.tag() };
    Some((length, tag))
}

/// Octets of a header of RTP with its sources and its extension (RFC 3550 §5.1).
fn header(packet: &[u8]) -> Option<usize> {
    let flags = *packet.first()?;
    let mut length = HEADER + usize::from(flags & 0x0f) * 4;
    if flags & 0x10 != 0 {
        let &[_, _, high, low] = packet.get(length..)?.first_chunk::<4>()?;
        length += 4 + usize::from(u16::from_be_bytes([high, low])) * 4;
    }
    (length <= packet.len()).then_some(length)
}
