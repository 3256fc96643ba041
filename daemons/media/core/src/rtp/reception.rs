//! The stream received: extended sequence numbers, loss, duplicates and jitter (RFC 3550 A.1, A.3, A.8).

use super::{Packet, Ssrc, ticks};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use types::Monotonic;

/// RFC 3550 A.1: a jump ahead of fewer packets is loss, of more a restart.
const MAX_DROPOUT: u64 = 3000;
/// Packets behind the newest for which duplicates are told from late ones.
const WINDOW: u64 = 64;
/// Where extended numbers begin: high enough that early packets and the sums of earlier streams fit below.
const ORIGIN: u64 = 1 << 48;

/// What is known of one stream received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reception {
    ssrc: Ssrc,
    /// Extended sequence numbers: 2¹⁶ for each cycle, begun at [`ORIGIN`].
    base: u64,
    highest: u64,
    /// Bit n: the packet `highest - n` came.
    came: u64,
    suspect: Option<Suspect>,
    received: u64,
    duplicates: u64,
    reordered: u64,
    stale: u64,
    transit: u32,
    /// Interarrival jitter, in sixteenths of a tick.
    jitter: u32,
    reported: Reported,
}

/// A packet that does not fit the stream: the next one shows whether the stream restarted (RFC 3550 A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Suspect {
    ssrc: Ssrc,
    next: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reported {
    expected: u64,
    received: u64,
}

/// How a packet stands to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// New; its extended sequence number.
    New(u64),
    /// New, and the stream began anew with it: another SSRC or another numbering.
    Restarted(u64),
    /// Came before.
    Duplicate,
    /// Too far behind to tell, or out of the stream.
    Stale,
}

/// The figures of a stream, for the end of a call and for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Packets that came, without duplicates.
    pub received: u64,
    /// Packets that should have come and did not.
    pub lost: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after one of a higher number.
    pub reordered: u64,
    /// Packets dropped as too late or out of the stream.
    pub stale: u64,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter: Duration,
}

impl Reception {
    /// A stream that begins with this packet, and the packet's extended sequence number.
    pub fn begin(now: Monotonic, packet: &Packet<'_>) -> (Self, u64) {
        let first = ORIGIN | u64::from(packet.sequence);
        let stream = Self {
            ssrc: packet.ssrc,
            base: first,
            highest: first,
            came: 1,
            suspect: None,
            received: 1,
            duplicates: 0,
            reordered: 0,
            stale: 0,
            transit: clock(now).wrapping_sub(packet.timestamp),
            jitter: 0,
            reported: Reported::default(),
        };
        (stream, first)
    }

    /// Whose stream it is.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The extended highest sequence number received (RFC 3550 §6.4.1), modulo 2³².
    pub const fn highest(&self) -> u32 {
        self.highest as u32
    }

    /// Interarrival jitter in ticks.
    pub const fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// Takes note of a packet.
    pub fn arrive(&mut self, now: Monotonic, packet: &Packet<'_>) -> Arrival {
        let ahead = packet.sequence.wrapping_sub(self.highest as u16);
        let fits = packet.ssrc == self.ssrc
            && (u64::from(ahead) < MAX_DROPOUT || u64::from(ahead.wrapping_neg()) < WINDOW * 2);
        if !fits {
            return self.restart(now, packet);
        }
        if packet.ssrc == self.ssrc {
            self.suspect = None;
        }
        let extended = if u64::from(ahead) < MAX_DROPOUT {
            self.highest + u64::from(ahead)
        } else {
            self.highest - u64::from(ahead.wrapping_neg())
        };
        if extended > self.highest {
            let step = extended - self.highest;
            self.came = if step < WINDOW { self.came << step } else { 0 };
            self.highest = extended;
        }
        let behind = self.highest - extended;
        if behind >= WINDOW {
            self.stale += 1;
            return Arrival::Stale;
        }
        if self.came & 1 << behind != 0 {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        self.came |= 1 << behind;
        self.reordered += u64::from(behind > 0);
        self.base = self.base.min(extended);
        self.received += 1;
        self.take_jitter(now, packet.timestamp);
        Arrival::New(extended)
    }

    /// The cumulative number lost, at least 0 (RFC 3550 A.3).
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// The fraction lost since the last call, in 256ths (RFC 3550 A.3).
    pub fn take_fraction_lost(&mut self) -> u8 {
        let now = Reported { expected: self.expected(), received: self.received };
        let expected = now.expected.saturating_sub(self.reported.expected);
        let received = now.received.saturating_sub(self.reported.received);
        self.reported = now;
        match expected.saturating_sub(received) {
            0 => 0,
            lost => u8::try_from(lost * 256 / expected).unwrap_or(u8::MAX),
        }
    }

    /// The figures so far.
    pub fn totals(&self) -> Totals {
        Totals {
            received: self.received,
            lost: self.lost(),
            duplicates: self.duplicates,
            reordered: self.reordered,
            stale: self.stale,
            jitter: super::lasting(self.jitter()),
        }
    }

    fn expected(&self) -> u64 {
        self.highest - self.base + 1
    }

    /// Two packets in sequence make a new stream; a single odd one is dropped (RFC 3550 A.1).
    fn restart(&mut self, now: Monotonic, packet: &Packet<'_>) -> Arrival {
        let proven = self.suspect.is_some_and(|s| s.ssrc == packet.ssrc && s.next == packet.sequence);
        if !proven {
            self.suspect = Some(Suspect { ssrc: packet.ssrc, next: packet.sequence.wrapping_add(1) });
            self.stale += 1;
            return Arrival::Stale;
        }
        self.succeed(now, packet)
    }

    /// Another stream of the same party begins with this packet.
    pub fn succeed(&mut self, now: Monotonic, packet: &Packet<'_>) -> Arrival {
        let (mut stream, first) = Self::begin(now, packet);
        // The figures of a leg go on over a restart; only the numbering is new.
        let (lost, received) = (self.lost(), self.received);
        stream.received += received;
        stream.base = stream.base.saturating_sub(lost + received);
        stream.duplicates = self.duplicates;
        stream.reordered = self.reordered;
        stream.stale = self.stale;
        stream.jitter = self.jitter;
        stream.reported = Reported { expected: lost + received, received };
        *self = stream;
        Arrival::Restarted(first)
    }

    fn take_jitter(&mut self, now: Monotonic, timestamp: u32) {
        let transit = clock(now).wrapping_sub(timestamp);
        let change = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        // A clock that jumped says nothing about the network.
        if change < super::CLOCK {
            self.jitter = self.jitter + change - ((self.jitter + 8) >> 4);
        }
    }
}

fn clock(now: Monotonic) -> u32 {
    ticks(now.since(Monotonic(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::PayloadType;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn packet(ssrc: u32, sequence: u16) -> Packet<'static> {
        Packet {
            marker: false,
            payload_type: PayloadType(8),
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: Ssrc(ssrc),
            payload: &[],
        }
    }

    const fn at(packet: u64) -> Monotonic {
        Monotonic(packet * 20_000_000)
    }

    #[test]
    fn counts_loss_over_the_wrap() {
        let (mut stream, first) = Reception::begin(at(0), &packet(1, 65_533));
        let arrivals: Vec<_> =
            [65_534, 65_535, 1, 2, 0, 2].map(|s| stream.arrive(at(1), &packet(1, s))).into();
        let new = |n| Arrival::New(first + n);
        assert_eq!(arrivals, [new(1), new(2), new(4), new(5), new(3), Arrival::Duplicate]);
        assert_eq!((stream.lost(), stream.totals().duplicates, stream.totals().reordered), (0, 1, 1));
        stream.arrive(at(9), &packet(1, 12));
        assert_eq!(stream.lost(), 9);
        assert_eq!(stream.take_fraction_lost(), (9 * 256 / 16) as u8);
        assert_eq!(stream.take_fraction_lost(), 0);
    }

    #[test]
    fn another_stream_needs_two_in_sequence() {
        let (mut stream, _) = Reception::begin(at(0), &packet(1, 10));
        assert_eq!(stream.arrive(at(1), &packet(2, 500)), Arrival::Stale);
        assert!(matches!(stream.arrive(at(1), &packet(1, 11)), Arrival::New(_)), "the old stream goes on");
        assert_eq!(stream.arrive(at(2), &packet(2, 501)), Arrival::Stale);
        assert!(matches!(stream.arrive(at(3), &packet(2, 502)), Arrival::Restarted(_)));
        assert_eq!(stream.ssrc(), Ssrc(2));
        assert_eq!((stream.totals().received, stream.lost()), (3, 0));
    }

    #[test]
    fn steady_stream_has_no_jitter() {
        let (mut stream, _) = Reception::begin(at(100), &packet(1, 100));
        for n in 101..400 {
            stream.arrive(at(n), &packet(1, n as u16));
        }
        assert_eq!(stream.jitter(), 0);
        for n in 400..600 {
            // Every other packet 5 ms late: the estimate tends to 5 ms.
            let now = at(n).plus(Duration::from_millis(n % 2 * 5));
            stream.arrive(now, &packet(1, n as u16));
        }
        let jitter = stream.totals().jitter;
        assert!(jitter > Duration::from_millis(4) && jitter <= Duration::from_millis(5), "{jitter:?}");
    }

    proptest! {
        /// Whatever comes in whatever order: no number is new twice, and the sums hold.
        #[test]
        fn every_number_is_new_once(start: u16, steps in proptest::collection::vec(-70i32..100, 1..300)) {
            let (mut stream, first) = Reception::begin(at(0), &packet(1, start));
            let mut seen = HashSet::from([first]);
            let mut sequence = start;
            for step in steps {
                sequence = sequence.wrapping_add(step as u16);
                match stream.arrive(at(1), &packet(1, sequence)) {
                    Arrival::New(extended) => {
                        prop_assert_eq!(extended as u16, sequence);
                        prop_assert!(seen.insert(extended));
                    }
                    Arrival::Restarted(_) => seen.clear(),
                    Arrival::Duplicate | Arrival::Stale => {}
                }
            }
        }
    }
}
