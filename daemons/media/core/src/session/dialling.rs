//! Keys pressed for a party by the house: what one party pressed, in the other's way (RFC 4733 packets where it knows
//! telephone events, tones of Q.23 where not).
//!
//! Owns the keys that wait and the clock of the one that sounds; never where they came from. While keys sound nothing
//! else is heard.

use super::player::TICK;
use crate::{
    dtmf::{self, Digit},
    rtp::ticks,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};
use types::Monotonic;

/// The most keys that wait.
const MOST: usize = 32;
/// The shortest a key sounds (Q.24 asks for 40 ms, old exchanges for more), and the longest: what fits the 16 bits
/// of an event's duration.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(8);
/// Packets after a key: its end three times (RFC 4733 §2.5.1.4), or silence.
const AFTER: u8 = 3;
/// Ticks later than this are passed over.
const CATCH_UP: Duration = Duration::from_millis(100);

/// The keys of one leg.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dialling {
    keys: VecDeque<Key>,
    /// Since the first of them began.
    packets: u64,
    elapsed: u32,
    next: Option<Monotonic>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    digit: Digit,
    /// How long it was held; `None` while it is.
    held: Option<Duration>,
    /// When it began to sound, in ticks since the first key did.
    began: u32,
    /// How long it sounded, and packets since.
    sounded: u32,
    after: u8,
}

/// A packet that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub at: Monotonic,
    pub number: u64,
    pub timestamp: u32,
    pub sound: Sound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    /// The tones of a key, from this tick of theirs on.
    Tones(Digit, u32),
    Silence,
    /// A telephone event; the first packet of one is marked.
    Event {
        event: dtmf::Event,
        first: bool,
    },
}

impl Dialling {
    pub fn sounds(&self) -> bool {
        !self.keys.is_empty()
    }

    /// A key is down. Whether it is the first: the packets of a new origin begin.
    pub fn press(&mut self, digit: Digit) -> bool {
        let first = self.keys.is_empty();
        if first {
            *self = Self::default();
        }
        if self.keys.len() < MOST {
            self.keys.push_back(Key { digit, held: None, began: self.elapsed, sounded: 0, after: 0 });
        }
        first
    }

    /// The key that went down last is up again.
    pub fn release(&mut self, held: Duration) {
        if let Some(key) = self.keys.back_mut() {
            key.held.get_or_insert(held);
        }
    }

    /// What is due at this moment, in packets of `time`.
    pub fn turn(&mut self, now: Monotonic, time: Duration, events: bool) -> Option<Turn> {
        let key = self.keys.front_mut()?;
        let next = self.next.get_or_insert(Monotonic(now.0.next_multiple_of(TICK.as_nanos() as u64)));
        if now < *next {
            return None;
        }
        if now.since(*next) > CATCH_UP {
            *next = now;
        }
        let (at, step) = (*next, ticks(time));
        *next = at.plus(time);
        let wanted = key.held.map_or(LONGEST, |held| held.clamp(SHORTEST, LONGEST));
        let sounding = key.sounded < ticks(wanted);
        let from = key.sounded;
        if sounding {
            key.sounded += step;
        } else {
            key.after += 1;
        }
        let (timestamp, sound) = if events {
            let duration = u16::try_from(key.sounded).unwrap_or(u16::MAX);
            let event = dtmf::Event { code: key.digit.event(), end: !sounding, duration };
            (key.began, Sound::Event { event, first: from == 0 })
        } else if sounding {
            (self.elapsed, Sound::Tones(key.digit, from))
        } else {
            (self.elapsed, Sound::Silence)
        };
        let turn = Turn { at, number: self.packets, timestamp, sound };
        self.packets += 1;
        self.elapsed += step;
        if key.after == AFTER {
            self.keys.pop_front();
            if let Some(key) = self.keys.front_mut() {
                key.began = self.elapsed;
            }
        }
        Some(turn)
    }
}

/// The hertz of a key (ITU-T Q.23).
pub(super) const fn hertz(digit: Digit) -> (f64, f64) {
    const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    let (row, column) = match digit.event() {
        0 => (3, 1),
        digit @ 1..=9 => ((digit - 1) / 3, (digit - 1) % 3),
        10 => (3, 0),
        11 => (3, 2),
        letter => ((letter - 12) & 3, 3),
    };
    (LOW[row as usize], HIGH[column as usize])
}
