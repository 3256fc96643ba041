//! The stream sent: one SSRC, sequence numbers and timestamps without a break, whatever feeds it.
//!
//! A party hears prompts, then another party, then music: to its phone this is one stream. What is relayed
//! keeps its own distances (a packet lost or overtaken on the way in is seen so on the way out), moved by a
//! constant that is chosen where the origin changes.

use super::{CLOCK, Packet, PayloadType, Ssrc, ticks};
use serde::{Deserialize, Serialize};
use types::Monotonic;

/// Where extended numbers begin: late enough that an earlier packet of an origin fits below.
const ORIGIN: u64 = 1 << 48;

/// Random beginnings, drawn by the shell (RFC 3550 §5.1, §8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// The name of the stream.
    pub ssrc: Ssrc,
    /// The first sequence number.
    pub sequence: u16,
    /// The first timestamp.
    pub timestamp: u32,
}

/// What feeds the stream: while it stays the same, distances are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The house itself: the count of what it began to say (a prompt, keys, a party's speech in another codec).
    House(u64),
    /// Another party's stream: the count of the streams begun on that leg, in a bridge of this count.
    Party {
        /// Which bridge.
        bridge: u64,
        /// Which stream of the party.
        stream: u64,
    },
}

/// One stream sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    ssrc: Ssrc,
    /// Extended sequence number of the newest packet sent, begun at [`ORIGIN`].
    highest: u64,
    /// Timestamp after that packet, and when it went.
    timestamp: u32,
    at: Option<Monotonic>,
    feed: Option<Feed>,
    packets: u32,
    octets: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Feed {
    origin: Origin,
    /// Extended sequence number and timestamp of the origin's first packet, there and here.
    first: (u64, u32),
    start: (u64, u32),
    /// Packets of the origin that were passed over, so that the numbers close up.
    skipped: u64,
    /// The newest packet passed on or over; the newest passed over, before which nothing may go any more.
    newest: u64,
    floor: u64,
}

impl Sending {
    /// A stream that has sent nothing.
    pub fn new(seed: Seed) -> Self {
        Self {
            ssrc: seed.ssrc,
            highest: (ORIGIN | u64::from(seed.sequence)) - 1,
            timestamp: seed.timestamp,
            at: None,
            feed: None,
            packets: 0,
            octets: 0,
        }
    }

    /// The name of the stream.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Packets and payload octets sent so far, modulo 2³² (RFC 3550 §6.4.1).
    pub const fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// The timestamp that belongs to `now`.
    pub fn timestamp(&self, now: Monotonic) -> u32 {
        self.at.map_or(self.timestamp, |at| self.timestamp.wrapping_add(ticks(now.since(at))))
    }

    /// The sequence number that comes next.
    pub const fn next(&self) -> u16 {
        (self.highest + 1) as u16
    }

    /// Leaves out so many sequence numbers.
    pub fn leap(&mut self, numbers: u64) {
        self.highest += numbers;
        self.feed = None;
    }

    /// The header of a packet of `origin` whose extended sequence number and timestamp there are these; a
    /// duration of `span` ticks. `None` where it is older than the change to this origin.
    pub fn pass<'a>(
        &mut self,
        now: Monotonic,
        origin: Origin,
        (extended, timestamp): (u64, u32),
        span: u32,
        packet: (bool, PayloadType, &'a [u8]),
    ) -> Option<Packet<'a>> {
        let (marker, payload_type, payload) = packet;
        let changed = self.feed.as_ref().is_none_or(|feed| feed.origin != origin);
        if changed {
            self.feed = Some(self.begin(now, origin, (extended, timestamp)));
        }
        let feed = self.feed.as_mut()?;
        let sequence = (extended.checked_sub(feed.first.0)? + feed.start.0).checked_sub(feed.skipped)?;
        if sequence < feed.start.0 || extended < feed.floor {
            return None;
        }
        let timestamp = timestamp.wrapping_sub(feed.first.1).wrapping_add(feed.start.1);
        feed.newest = feed.newest.max(extended);
        if sequence > self.highest {
            self.highest = sequence;
            self.timestamp = timestamp.wrapping_add(span);
            self.at = Some(now);
        }
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        Some(Packet {
            marker: marker || changed,
            payload_type,
            sequence: sequence as u16,
            timestamp,
            ssrc: self.ssrc,
            payload,
        })
    }

    /// A packet of `origin` is not passed on: the next one takes its number, so that it is no loss.
    pub fn skip(&mut self, origin: Origin, extended: u64) {
        let feed = self.feed.as_mut().filter(|feed| feed.origin == origin && extended > feed.newest);
        if let Some(feed) = feed {
            feed.newest = extended;
            feed.floor = extended;
            feed.skipped += 1;
        }
    }

    fn begin(&self, now: Monotonic, origin: Origin, first: (u64, u32)) -> Feed {
        // The end of the last packet, or later where nothing was sent for a while: `at` is when that packet
        // went, so its own span has to be taken off the time that passed.
        let timestamp = match self.at {
            Some(at) => {
                let silence = ticks(now.since(at)).saturating_sub(self.span());
                self.timestamp.wrapping_add(silence)
            }
            None => self.timestamp,
        };
        Feed {
            origin,
            first,
            start: (self.highest + 1, timestamp),
            skipped: 0,
            newest: first.0,
            floor: first.0,
        }
    }

    /// The usual length of a packet, 20 ms.
    const fn span(&self) -> u32 {
        CLOCK / 50
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PCMA: PayloadType = PayloadType(8);
    const PARTY: Origin = Origin::Party { bridge: 1, stream: 1 };

    fn sending() -> Sending {
        Sending::new(Seed { ssrc: Ssrc(9), sequence: 65_535, timestamp: 1000 })
    }

    const fn at(packet: u64) -> Monotonic {
        Monotonic(1_000_000_000 + packet * 20_000_000)
    }

    fn pass(
        stream: &mut Sending,
        now: u64,
        origin: Origin,
        extended: u64,
        timestamp: u32,
    ) -> Option<(u16, u32)> {
        let sent = stream.pass(at(now), origin, (extended, timestamp), 160, (false, PCMA, &[0; 160]))?;
        Some((sent.sequence, sent.timestamp))
    }

    #[test]
    fn goes_on_over_a_change_of_origin_and_the_wrap() {
        let mut stream = sending();
        assert_eq!(pass(&mut stream, 0, Origin::House(1), 0, 0), Some((65_535, 1000)));
        assert_eq!(pass(&mut stream, 1, Origin::House(1), 1, 160), Some((0, 1160)));
        assert_eq!(pass(&mut stream, 2, PARTY, 70_000, 5_000_000), Some((1, 1320)));
        assert_eq!(pass(&mut stream, 3, PARTY, 70_001, 5_000_160), Some((2, 1480)));
        // Three packets of silence, then music: the clock went on.
        assert_eq!(pass(&mut stream, 7, Origin::House(2), 0, 0), Some((3, 1480 + 4 * 160)));
    }

    #[test]
    fn keeps_loss_and_order_of_the_way_in() {
        let mut stream = sending();
        assert_eq!(pass(&mut stream, 0, PARTY, 100, 16_000), Some((65_535, 1000)));
        assert_eq!(pass(&mut stream, 1, PARTY, 103, 16_480), Some((2, 1480)));
        assert_eq!(pass(&mut stream, 1, PARTY, 101, 16_160), Some((0, 1160)));
        assert_eq!(pass(&mut stream, 1, PARTY, 99, 15_840), None, "older than the change");
    }

    #[test]
    fn closes_up_over_what_is_skipped() {
        let mut stream = sending();
        assert_eq!(pass(&mut stream, 0, PARTY, 100, 0), Some((65_535, 1000)));
        stream.skip(PARTY, 101);
        stream.skip(PARTY, 101);
        assert_eq!(pass(&mut stream, 2, PARTY, 102, 320), Some((0, 1320)));
    }

    #[test]
    fn marks_the_first_of_an_origin() {
        let mut stream = sending();
        let marks: Vec<bool> = [(PARTY, 1), (PARTY, 2), (Origin::House(1), 0), (Origin::House(1), 1)]
            .map(|(origin, n)| stream.pass(at(n), origin, (n, 0), 160, (false, PCMA, &[])).unwrap().marker)
            .into();
        assert_eq!(marks, [true, false, true, false]);
        assert_eq!(stream.sent(), (4, 0));
    }

    #[test]
    fn timestamp_of_now_follows_the_clock() {
        let mut stream = sending();
        pass(&mut stream, 0, PARTY, 1, 0);
        assert_eq!(stream.timestamp(at(0).plus(Duration::from_secs(1))), 1160 + 8000);
    }
}
