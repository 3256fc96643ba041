//! Waiting for packets that are late: a jitter buffer that grows with the lateness it meets and shrinks again.
//!
//! Owns the packets that wait and the place of the next sample on the party's clock. Packets come in whatever order
//! by [`Playout::put`]; samples are drawn at an even pace by [`Playout::pull`].
//!
//! ```text
//!            as much as the target lies behind what is drawn, or the first packet waited so long
//!   Filling ───────────────────────────────────────────────────────────────────────► Playing
//!      ^                     nothing came for QUIET                                      │
//!      └─────────────────────────────────────────────────────────────────────────────────┘
//! ```

use super::Concealment;
use crate::{codec::Decoder, rtp};
use std::{collections::VecDeque, time::Duration};
use types::Monotonic;

/// The most packets that wait: more are of a sender gone wild.
const MOST: usize = 64;
/// The least and the most that is waited for a packet.
const LEAST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(160);
/// Without a packet for so long the party is silent, and what it says next is a beginning.
const QUIET: u32 = 200 * TICKS;
/// Over so many samples the least depth is taken; where it is more than needed, the buffer shrinks by [`STEP`].
const WATCHED: u32 = 2000 * TICKS;
const STEP: u32 = 10 * TICKS;
/// What may lie in wait for nothing.
const SPARE: u32 = 30 * TICKS;
/// RTP ticks, and samples, of a millisecond.
const TICKS: u32 = 8;

/// One party's packets on their way to being heard.
#[derive(Clone, Debug)]
pub struct Playout {
    decoder: Decoder,
    concealment: Concealment,
    waiting: VecDeque<Waiting>,
    state: State,
    target: Duration,
    /// Decoded, not yet drawn.
    samples: VecDeque<i16>,
    scratch: Vec<i16>,
    late: u64,
    concealed: u64,
}

#[derive(Clone, Debug)]
struct Waiting {
    timestamp: u32,
    payload: Vec<u8>,
}

#[derive(Clone, Debug)]
enum State {
    Filling { since: Option<Monotonic> },
    Playing { next: u32, missing: u32, grow: u32, watched: u32, least: u32 },
}

/// What a drawing gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// As many samples as were asked for.
    Samples,
    /// The party says nothing.
    Nothing,
}

impl Playout {
    /// A buffer that waits for its first packet.
    pub fn new(decoder: Decoder) -> Self {
        Self {
            decoder,
            concealment: Concealment::default(),
            waiting: VecDeque::new(),
            state: State::Filling { since: None },
            target: LEAST,
            samples: VecDeque::new(),
            scratch: Vec::new(),
            late: 0,
            concealed: 0,
        }
    }

    /// Packets that came when their time was over.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Samples that were made up.
    pub const fn concealed(&self) -> u64 {
        self.concealed
    }

    /// Takes a packet; `jitter` is what its stream shows.
    pub fn put(&mut self, now: Monotonic, timestamp: u32, payload: &[u8], jitter: Duration) {
        let strange = match (&self.state, self.waiting.back()) {
            (State::Playing { next, .. }, _) => distance(*next, timestamp).unsigned_abs() > 8000,
            (State::Filling { .. }, Some(newest)) => {
                distance(newest.timestamp, timestamp).unsigned_abs() > 8000
            }
            _ => false,
        };
        if strange || self.waiting.len() >= MOST {
            self.waiting.clear();
            self.samples.clear();
            self.state = State::Filling { since: None };
        }
        match &mut self.state {
            State::Filling { since } => {
                since.get_or_insert(now);
                self.target = self.target.max(jitter * 2 + LEAST).min(LONGEST);
            }
            State::Playing { next, grow, .. } => {
                let lasts = self.decoder.ticks(payload.len());
                let behind = distance(timestamp.wrapping_add(lasts), *next);
                if behind >= 0 {
                    self.late += 1;
                    let missed = rtp::lasting(behind as u32 + lasts);
                    let target = (self.target + missed).min(LONGEST);
                    *grow += rtp::ticks(target.saturating_sub(self.target));
                    self.target = target;
                    return;
                }
            }
        }
        let at = self.waiting.partition_point(|waiting| distance(waiting.timestamp, timestamp) > 0);
        if self.waiting.get(at).is_none_or(|waiting| waiting.timestamp != timestamp) {
            self.waiting.insert(at, Waiting { timestamp, payload: payload.to_vec() });
        }
    }

    /// Appends the next `length` samples, if the party says anything.
    pub fn pull(&mut self, now: Monotonic, length: usize, out: &mut Vec<i16>) -> Pulled {
        if let State::Filling { since } = self.state {
            let (Some(since), Some(first)) = (since, self.waiting.front()) else { return Pulled::Nothing };
            let there = rtp::lasting(self.depth(first.timestamp));
            if there < self.target + rtp::lasting(length as u32) && now.since(since) < self.target {
                return Pulled::Nothing;
            }
            let next = first.timestamp;
            self.state = State::Playing { next, missing: 0, grow: 0, watched: 0, least: u32::MAX };
        }
        while self.samples.len() < length {
            self.play(length - self.samples.len());
        }
        out.extend(self.samples.drain(..length));
        self.settle(length as u32);
        Pulled::Samples
    }

    /// Decodes the next packet, or makes up for it.
    fn play(&mut self, wanted: usize) {
        let State::Playing { next, missing, grow, .. } = &mut self.state else { return };
        self.scratch.clear();
        let wanted = wanted as u32;
        if *grow > 0 {
            // Time is made for those that will be as late.
            let length = wanted.min(*grow);
            *grow -= length;
            self.concealment.conceal(length as usize, &mut self.scratch);
            self.concealed += u64::from(length);
            self.samples.extend(&self.scratch);
            return;
        }
        let ahead = self.waiting.front().map(|first| distance(*next, first.timestamp));
        match ahead {
            Some(..=0) => {
                let Some(first) = self.waiting.pop_front() else { return };
                self.decoder.decode(&first.payload, &mut self.scratch);
                let over = distance(first.timestamp, *next).max(0) as usize;
                let fresh = self.scratch.get_mut(over..).unwrap_or_default();
                self.concealment.speech(fresh);
                *next = next.wrapping_add(fresh.len() as u32);
                *missing = 0;
                self.samples.extend(&*fresh);
            }
            gap => {
                let owed = gap.map_or(u32::MAX, |gap| gap as u32);
                if self.decoder.conceal(&mut self.scratch) {
                    self.scratch.truncate(owed as usize);
                    self.concealment.speech(&mut self.scratch);
                } else {
                    self.concealment.conceal(wanted.min(owed) as usize, &mut self.scratch);
                }
                let length = self.scratch.len() as u32;
                self.concealed += u64::from(length);
                *next = next.wrapping_add(length);
                *missing += length;
                self.samples.extend(&self.scratch);
            }
        }
    }

    /// Begins anew after silence, and gives up what waits for nothing.
    fn settle(&mut self, drawn: u32) {
        let State::Playing { next, .. } = self.state else { return };
        let depth = self.depth(next) + self.samples.len() as u32;
        let State::Playing { next, missing, watched, least, .. } = &mut self.state else { return };
        if *missing >= QUIET {
            self.state = State::Filling { since: None };
            self.samples.clear();
            self.concealment = Concealment::default();
            self.target = (self.target - self.target / 4).max(LEAST);
            return;
        }
        *least = depth.min(*least);
        *watched += drawn;
        if *watched >= WATCHED {
            if *least > SPARE && self.waiting.front().is_some_and(|first| first.timestamp == *next) {
                *next = next.wrapping_add(STEP);
                self.target = self.target.saturating_sub(rtp::lasting(STEP)).max(LEAST);
                // The next packet loses its beginning, and the seam is blended as after a loss.
                self.scratch.clear();
                self.concealment.conceal(0, &mut self.scratch);
            }
            (*watched, *least) = (0, u32::MAX);
        }
    }

    /// Ticks from `start` to the end of what waits.
    fn depth(&self, start: u32) -> u32 {
        let end = |last: &Waiting| last.timestamp.wrapping_add(self.decoder.ticks(last.payload.len()));
        let end = self.waiting.back().map(end);
        end.map_or(0, |end| distance(start, end).max(0) as u32)
    }
}

/// How far `to` lies ahead of `from` on the RTP clock, the shorter way round.
const fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::Codec, g711::Law};
    use proptest::prelude::*;

    const FRAME: Duration = Duration::from_millis(20);

    /// Packets `n` of a voice that says 100 · n, and when each comes; 20 ms are drawn every 20 ms. What each drawing
    /// gave, by its first sample.
    fn heard(arrivals: &[(u32, u64)], drawings: u64) -> (Vec<Option<i16>>, Playout) {
        let mut playout = Playout::new(Decoder::new(Codec::Pcma));
        let mut heard = vec![];
        let mut arrivals = arrivals.to_vec();
        arrivals.sort_by_key(|(_, at)| *at);
        let mut arrivals = arrivals.into_iter().peekable();
        for tick in 0..drawings {
            let now = tick * 20;
            while let Some((n, at)) = arrivals.next_if(|(_, at)| *at <= now) {
                let octet = Law::A.compress((100 * n) as i16);
                playout.put(moment(at), n * 160, &[octet; 160], Duration::ZERO);
            }
            let mut out = vec![];
            let pulled = playout.pull(moment(now), 160, &mut out);
            heard.push((pulled == Pulled::Samples).then(|| out[159]));
        }
        (heard, playout)
    }

    const fn moment(milliseconds: u64) -> Monotonic {
        Monotonic(1_000_000_000 + milliseconds * 1_000_000)
    }

    fn said(n: u32) -> Option<i16> {
        Some(Law::A.expand(Law::A.compress((100 * n) as i16)))
    }

    #[test]
    fn an_even_stream_is_heard_one_packet_later() {
        let arrivals: Vec<_> = (0..50).map(|n| (n, 10 + 20 * u64::from(n))).collect();
        let (heard, playout) = heard(&arrivals, 50);
        let first = heard.iter().position(Option::is_some).unwrap();
        assert!(first <= 2, "{first}");
        for (n, drawn) in heard[first..].iter().enumerate() {
            assert_eq!(*drawn, said(n as u32));
        }
        assert_eq!((playout.late(), playout.concealed()), (0, 0));
    }

    #[test]
    fn order_is_restored_and_a_gap_is_filled() {
        let arrivals: Vec<_> = (0..60)
            .filter(|n| *n != 30)
            .map(|n| (n, 20 * u64::from(n) + if n == 20 { 19 } else { 0 }))
            .collect();
        let (heard, playout) = heard(&arrivals, 60);
        let first = heard.iter().position(Option::is_some).unwrap();
        let wrong: Vec<_> = (0..50).filter(|n| heard[first + *n as usize] != said(*n)).collect();
        assert_eq!(wrong, [30]);
        assert_eq!(playout.concealed(), 160);
    }

    /// From packet 50 on every third is 70 ms late: a few are lost, then the buffer has grown.
    #[test]
    fn it_grows_with_the_lateness_it_meets_and_shrinks_again() {
        let late = |n: u32| if (50..250).contains(&n) && n.is_multiple_of(3) { 70 } else { 0 };
        let arrivals: Vec<_> = (0..1500).map(|n| (n, 20 * u64::from(n) + late(n))).collect();
        let (heard, playout) = heard(&arrivals, 1500);
        assert!((1..5).contains(&playout.late()), "{}", playout.late());
        let delay = |at: usize| at as i64 - (0..1500).find(|n| said(*n) == heard[at]).map_or(0, i64::from);
        // Levels of A-law are too coarse to tell every packet: delay is seen by where the last one comes.
        let end = heard.iter().rposition(|drawn| *drawn == said(1499)).unwrap_or(1499);
        assert!(end <= 1499 && delay(10) <= 2, "{end}");
        let depth = playout.depth(match playout.state {
            State::Playing { next, .. } => next,
            State::Filling { .. } => 0,
        });
        assert!(depth <= 60 * TICKS, "{depth}");
    }

    #[test]
    fn a_party_that_falls_silent_begins_anew() {
        let arrivals: Vec<_> = (0..20)
            .map(|n| (n, 20 * u64::from(n)))
            .chain((100..120).map(|n| (n, 20 * u64::from(n))))
            .collect();
        let (heard, _) = heard(&arrivals, 125);
        assert!(heard[40..95].iter().all(Option::is_none));
        let again = heard[95..].iter().position(Option::is_some).unwrap() + 95;
        assert!((100..=102).contains(&again), "{again}");
        assert_eq!(heard[again], said(100));
    }

    proptest! {
        /// Whatever comes: it stays within its bounds and gives what is asked for.
        #[test]
        fn stays_within_its_bounds(packets in proptest::collection::vec((any::<u32>(), 0_usize..400, 0_u64..50), 1..200)) {
            let mut playout = Playout::new(Decoder::new(Codec::G722));
            let (mut now, mut out) = (0, vec![]);
            for (timestamp, length, later) in packets {
                now += later;
                let timestamp = if timestamp % 3 == 0 { timestamp } else { timestamp % 9000 };
                playout.put(moment(now), timestamp, &vec![0x55; length], Duration::from_millis(later));
                out.clear();
                let pulled = playout.pull(moment(now), 160, &mut out);
                prop_assert_eq!(out.len(), if pulled == Pulled::Samples { 160 } else { 0 });
                prop_assert!(playout.waiting.len() <= MOST && playout.target <= LONGEST);
            }
        }

        #[test]
        fn drawing_is_even(lengths in proptest::collection::vec(1_u64..100, 2..60)) {
            let mut playout = Playout::new(Decoder::new(Codec::Pcmu));
            let mut out = vec![];
            for (n, length) in lengths.iter().enumerate() {
                playout.put(moment(n as u64 * 20), n as u32 * 160, &[0xff; 160], FRAME);
                out.clear();
                if playout.pull(moment(n as u64 * 20), *length as usize, &mut out) == Pulled::Samples {
                    prop_assert_eq!(out.len() as u64, *length);
                }
            }
        }
    }
}
