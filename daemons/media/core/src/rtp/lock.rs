//! Symmetric RTP (RFC 4961) with a lock on the source, so that nobody else can speak into a call or pull its
//! audio to himself.
//!
//! ```text
//!            from the announced address, or two in sequence from another one
//!   Open ──────────────────────────────────────────────────────────────────> Locked
//!    ^                                                                          │
//!    └── a new session description; or another source after SILENCE ────────────┘
//! ```
//!
//! The announced address locks at its first packet. Another address (a phone behind NAT) must bring two
//! packets in sequence of one stream first (RFC 3550 A.1), so a stray datagram does not take the call.

use super::{Packet, Ssrc};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};
use types::Monotonic;

/// Without a packet for so long, the lock opens for another address.
pub const SILENCE: Duration = Duration::from_secs(5);

/// Whose packets a leg hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLock {
    announced: Option<SocketAddr>,
    state: State,
    refused: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Open { candidate: Option<Candidate> },
    Locked { source: SocketAddr, heard: Monotonic },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Candidate {
    source: SocketAddr,
    ssrc: Ssrc,
    next: u16,
}

/// What is done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the party's.
    Accepted,
    /// It is the party's, the first under this lock.
    Locked,
    /// It may be the party's: one more in sequence will show.
    Doubtful,
    /// It is someone else's; counted.
    Refused,
}

impl SourceLock {
    /// An open lock; `announced` is the address of the remote session description.
    pub const fn new(announced: Option<SocketAddr>) -> Self {
        Self { announced, state: State::Open { candidate: None }, refused: 0 }
    }

    /// A new session description came: opens the lock, unless it announces what the last one did.
    pub fn announce(&mut self, announced: Option<SocketAddr>) {
        if self.announced != announced {
            self.announced = announced;
            self.state = State::Open { candidate: None };
        }
    }

    /// Where to send: the locked source, before that the announced address.
    pub const fn destination(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Locked { source, .. } => Some(*source),
            State::Open { .. } => self.announced,
        }
    }

    /// The locked source.
    pub const fn locked(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Locked { source, .. } => Some(*source),
            State::Open { .. } => None,
        }
    }

    /// RTP packets refused so far.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Judges a packet of the party's payload types.
    pub fn judge(&mut self, now: Monotonic, source: SocketAddr, packet: &Packet<'_>) -> Verdict {
        if mutant::mutant("media-no-source-lock") {
            self.state = State::Locked { source, heard: now };
            return Verdict::Accepted;
        }
        match &mut self.state {
            State::Locked { source: locked, heard } if *locked == source => {
                *heard = now;
                Verdict::Accepted
            }
            State::Locked { heard, .. } if now.since(*heard) < SILENCE => {
                self.refused += 1;
                Verdict::Refused
            }
            State::Locked { .. } => self.learn(now, source, packet, None),
            State::Open { candidate } => {
                let candidate = candidate.take();
                self.learn(now, source, packet, candidate)
            }
        }
    }

    fn learn(
        &mut self,
        now: Monotonic,
        source: SocketAddr,
        packet: &Packet<'_>,
        candidate: Option<Candidate>,
    ) -> Verdict {
        let proven = candidate
            .is_some_and(|c| c.source == source && c.ssrc == packet.ssrc && c.next == packet.sequence);
        if proven || self.announced == Some(source) {
            self.state = State::Locked { source, heard: now };
            return Verdict::Locked;
        }
        let next = packet.sequence.wrapping_add(1);
        self.state = State::Open { candidate: Some(Candidate { source, ssrc: packet.ssrc, next }) };
        Verdict::Doubtful
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::PayloadType;

    fn packet(sequence: u16) -> Packet<'static> {
        Packet {
            marker: false,
            payload_type: PayloadType(8),
            sequence,
            timestamp: 0,
            ssrc: Ssrc(7),
            payload: &[],
        }
    }

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    const fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000_000_000)
    }

    #[test]
    fn announced_address_locks_at_once_and_others_are_refused() {
        let mut lock = SourceLock::new(Some(address(4000)));
        assert_eq!(lock.judge(at(1), address(4000), &packet(1)), Verdict::Locked);
        assert_eq!(lock.judge(at(1), address(4000), &packet(2)), Verdict::Accepted);
        for sequence in 3..6 {
            assert_eq!(lock.judge(at(2), address(9999), &packet(sequence)), Verdict::Refused);
        }
        assert_eq!((lock.refused(), lock.destination()), (3, Some(address(4000))));
    }

    #[test]
    fn unannounced_address_needs_two_in_sequence() {
        let mut lock = SourceLock::new(Some(address(4000)));
        assert_eq!(lock.judge(at(1), address(5000), &packet(1)), Verdict::Doubtful);
        assert_eq!(lock.judge(at(1), address(6000), &packet(2)), Verdict::Doubtful);
        assert_eq!(lock.judge(at(1), address(6000), &packet(9)), Verdict::Doubtful);
        assert_eq!(lock.destination(), Some(address(4000)));
        assert_eq!(lock.judge(at(1), address(6000), &packet(10)), Verdict::Locked);
        assert_eq!(lock.destination(), Some(address(6000)));
    }

    #[test]
    fn opens_after_silence_or_a_new_description_only() {
        let mut lock = SourceLock::new(Some(address(4000)));
        lock.judge(at(1), address(4000), &packet(1));
        assert_eq!(lock.judge(at(5), address(5000), &packet(1)), Verdict::Refused);
        assert_eq!(lock.judge(at(6), address(5000), &packet(2)), Verdict::Doubtful);
        assert_eq!(lock.judge(at(6), address(5000), &packet(3)), Verdict::Locked);
        lock.announce(Some(address(4000)));
        assert_eq!(lock.locked(), Some(address(5000)), "the same description opens nothing");
        lock.announce(Some(address(7000)));
        assert_eq!(lock.judge(at(6), address(7000), &packet(1)), Verdict::Locked);
    }
}
