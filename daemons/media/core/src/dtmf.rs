//! Telephone events (RFC 4733): digits out of packets that repeat themselves.
//!
//! Owns the state of one event; never the payload type, which is the session description's.
//!
//! ```text
//!            packet of a newer timestamp                 end bit, a newer event, or QUIET
//!   Idle ───────────────────────────────> Pressed ─────────────────────────────────────> Released
//!    (a packet of the same timestamp lengthens Pressed and changes nothing in Released)
//! ```

use crate::rtp::lasting;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use types::Monotonic;

/// An event whose end was lost is over when no packet of it came for so long (RFC 4733 §2.6.2: they come
/// every 50 ms).
pub const QUIET: Duration = Duration::from_millis(200);

/// A key of a telephone: `0` to `9`, `*`, `#`, `A` to `D`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "char", into = "char")]
pub struct Digit(u8);

const KEYS: &[u8; 16] = b"0123456789*#ABCD";

impl Digit {
    /// The key of an event code (RFC 4733 §3.2); `None` for events that are no keys.
    pub fn from_event(event: u8) -> Option<Self> {
        (usize::from(event) < KEYS.len()).then_some(Self(event))
    }

    /// The event code.
    pub const fn event(self) -> u8 {
        self.0
    }
}

impl From<Digit> for char {
    fn from(digit: Digit) -> Self {
        KEYS.get(usize::from(digit.0)).map_or('0', |key| Self::from(*key))
    }
}

impl TryFrom<char> for Digit {
    type Error = &'static str;
    fn try_from(key: char) -> Result<Self, Self::Error> {
        let event = KEYS.iter().position(|k| char::from(*k) == key.to_ascii_uppercase());
        event.and_then(|e| u8::try_from(e).ok()).map(Self).ok_or("a digit is one of 0-9, *, #, A-D")
    }
}

// Digits can be a card number or a PIN: they are shown to nobody by accident.
impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit(‹personal›)")
    }
}

/// The payload of one packet (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Event code; 0 to 15 are keys.
    pub code: u8,
    /// Whether this is a last packet of the event.
    pub end: bool,
    /// Since the timestamp, in ticks.
    pub duration: u16,
}

impl Event {
    /// The first event of a payload; `None` where it is cut off.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[code, flags, high, low, ..] = payload else { return None };
        Some(Self { code, end: flags & 0x80 != 0, duration: u16::from_be_bytes([high, low]) })
    }

    /// The payload, with power `volume` in −dBm0 (0 to 63).
    pub const fn payload(self, volume: u8) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, if self.end { 0x80 } else { 0 } | volume & 0x3f, high, low]
    }
}

/// A key that was pressed and released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Which key.
    pub digit: Digit,
    /// How long it was held.
    pub held: Duration,
}

/// The events of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keypad(Option<Key>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    code: u8,
    timestamp: u32,
    /// Ticks of the segments before this one (RFC 4733 §2.5.1.3).
    before: u32,
    duration: u16,
    heard: Monotonic,
    state: KeyState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum KeyState {
    Pressed,
    Released,
}

impl Keypad {
    /// Takes a packet of the event's payload type. Up to one press comes out of it.
    pub fn take(&mut self, now: Monotonic, timestamp: u32, event: Event) -> Option<Press> {
        let Some(key) = &mut self.0 else {
            return self.press(now, timestamp, event);
        };
        let ahead = timestamp.wrapping_sub(key.timestamp);
        if ahead == 0 {
            if key.state == KeyState::Released {
                return None;
            }
            key.heard = now;
            key.duration = key.duration.max(event.duration);
            return if event.end { key.release() } else { None };
        }
        if ahead >= 1 << 31 {
            return None;
        }
        if key.state == KeyState::Pressed && key.code == event.code && ahead == u32::from(u16::MAX) {
            key.before += ahead;
            key.timestamp = timestamp;
            key.duration = event.duration;
            key.heard = now;
            return if event.end { key.release() } else { None };
        }
        // The end of the key before was lost. Where this packet ends its own key too, that one is told by
        // a repetition of the end (RFC 4733 §2.5.1.4 sends it three times) or by `tick`.
        match key.release() {
            Some(press) => {
                self.0 = Some(Key::new(now, timestamp, event));
                Some(press)
            }
            None => self.press(now, timestamp, event),
        }
    }

    /// Ends a key of which nothing came for [`QUIET`].
    pub fn tick(&mut self, now: Monotonic) -> Option<Press> {
        self.0.as_mut().filter(|key| now.since(key.heard) >= QUIET)?.release()
    }

    fn press(&mut self, now: Monotonic, timestamp: u32, event: Event) -> Option<Press> {
        let key = self.0.insert(Key::new(now, timestamp, event));
        if event.end { key.release() } else { None }
    }
}

impl Key {
    const fn new(now: Monotonic, timestamp: u32, event: Event) -> Self {
        Self {
            code: event.code,
            timestamp,
            before: 0,
            duration: event.duration,
            heard: now,
            state: KeyState::Pressed,
        }
    }

    fn release(&mut self) -> Option<Press> {
        if self.state == KeyState::Released {
            return None;
        }
        self.state = KeyState::Released;
        let held = lasting(self.before.saturating_add(u32::from(self.duration)));
        Digit::from_event(self.code).map(|digit| Press { digit, held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> Monotonic {
        Monotonic(milliseconds * 1_000_000)
    }

    fn keys(presses: impl IntoIterator<Item = Option<Press>>) -> String {
        presses.into_iter().flatten().map(|press| char::from(press.digit)).collect()
    }

    const fn event(code: u8, end: bool, duration: u16) -> Event {
        Event { code, end, duration }
    }

    /// RFC 4733 §5: the example dials "911", each key in many packets, the end three times.
    #[test]
    fn dials_911_of_the_rfc() {
        let mut keypad = Keypad::default();
        let mut presses = Vec::new();
        for (code, timestamp) in [(9, 0), (1, 11_200), (1, 18_400)] {
            for duration in [400, 800, 1200] {
                presses.push(keypad.take(at(0), timestamp, event(code, false, duration)));
            }
            for _ in 0..3 {
                presses.push(keypad.take(at(0), timestamp, event(code, true, 1600)));
            }
        }
        assert_eq!(keys(presses.clone()), "911");
        assert_eq!(presses.iter().flatten().next().unwrap().held, Duration::from_millis(200));
    }

    #[test]
    fn a_lost_end_loses_no_digit() {
        let mut keypad = Keypad::default();
        assert_eq!(keypad.take(at(0), 0, event(5, false, 400)), None);
        assert_eq!(keys([keypad.take(at(300), 4000, event(5, false, 400))]), "5");
        assert_eq!(keypad.tick(at(499)), None);
        assert_eq!(keys([keypad.tick(at(500)), keypad.tick(at(900))]), "5");
        // All of a key but its end was lost, and its end comes late and twice.
        assert_eq!(keys([10, 11].map(|t| keypad.take(at(t), 9000, event(11, true, 800)))), "#");
        assert_eq!(keypad.take(at(12), 4000, event(5, true, 800)), None, "older than the newest");
    }

    #[test]
    fn a_key_held_for_long_is_one_key() {
        let mut keypad = Keypad::default();
        assert_eq!(keypad.take(at(0), 100, event(3, false, u16::MAX)), None);
        assert_eq!(keypad.take(at(20), 100 + 0xffff, event(3, false, 160)), None);
        let press = keypad.take(at(40), 100 + 0xffff, event(3, true, 465)).unwrap();
        assert_eq!(press.held, Duration::from_millis(8250));
    }

    #[test]
    fn events_that_are_no_keys_are_no_digits() {
        let mut keypad = Keypad::default();
        assert_eq!(keypad.take(at(0), 0, event(16, true, 800)), None, "hook flash");
        assert_eq!(Event::parse(&[1, 0x8a, 0]), None);
        assert_eq!(Event::parse(&event(1, true, 800).payload(10)), Some(event(1, true, 800)));
    }
}
