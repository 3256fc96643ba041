//! The peer's speech in another codec than the party's: waited for, made whole, and packed anew.
//!
//! Owns the pace of what is sent; the waiting is [`Playout`]'s.

use super::player::TICK;
use crate::{
    codec::{Codec, Decoder},
    rtp::ticks,
    sound::{Playout, Pulled},
};
use std::time::Duration;
use types::Monotonic;

/// Ticks later than this are passed over.
const CATCH_UP: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(super) struct Transcoder {
    /// Whose speech: the bridge, the stream of the party, and its codec.
    of: (u64, u64, Codec),
    /// The origin of its packets.
    pub number: u64,
    playout: Playout,
    packets: u64,
    began: Monotonic,
    next: Monotonic,
    samples: Vec<i16>,
}

impl Transcoder {
    /// For the speech of this bridge, stream and codec; packets go on the grid of ticks.
    pub fn new(now: Monotonic, of: (u64, u64, Codec), number: u64) -> Self {
        let next = Monotonic(now.0.next_multiple_of(TICK.as_nanos() as u64));
        let playout = Playout::new(Decoder::new(of.2));
        Self { of, number, playout, packets: 0, began: next, next, samples: Vec::new() }
    }

    pub fn is_of(&self, of: (u64, u64, Codec)) -> bool {
        self.of == of
    }

    pub fn put(&mut self, now: Monotonic, timestamp: u32, payload: &[u8], jitter: Duration) {
        self.playout.put(now, timestamp, payload, jitter);
    }

    /// The next packet's moment, number, timestamp and samples, if one is due and the peer says anything.
    pub fn turn(&mut self, now: Monotonic, time: Duration) -> Option<(Monotonic, u64, u32, &[i16])> {
        if now.since(self.next) > CATCH_UP {
            self.next = now;
        }
        while now >= self.next {
            let at = self.next;
            self.next = at.plus(time);
            self.samples.clear();
            if self.playout.pull(now, ticks(time) as usize, &mut self.samples) == Pulled::Samples {
                self.packets += 1;
                let timestamp = ticks(at.since(self.began));
                return Some((at, self.packets - 1, timestamp, &self.samples));
            }
        }
        None
    }
}
