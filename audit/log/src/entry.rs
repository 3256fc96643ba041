//! One entry: a header of 56 bytes, integers big-endian, and a body in deterministic CBOR.
//!
//! ```text
//!   0  version u8 = 1        11  boot id [16]          43  UTC ns i64       56  body
//!   1  kind u16              27  boot counter u64      51  clock state u8
//!   3  sequence u64          35  monotonic ns u64      52  body length u32
//! ```
//!
//! A body is a map with small unsigned keys: 1 person, 2 claimed name, 3 reporting daemon, 4 from where,
//! 5 object, 6 phase, 7 outcome, 8 reason, 9 case number, 10 facts, 11 personal values by their digests. What
//! is absent has no key. An entry has exactly one encoding, and [`Entry::decode`] accepts no other.

use crate::cbor::{CborFault, Value};
use crate::hash::Digest;
use std::collections::BTreeMap;
use std::time::Duration;

/// The version that this code writes and reads.
pub const VERSION: u8 = 1;
/// Bytes before the body.
pub const HEADER: usize = 56;
/// The longest entry, so that its length fits the 16-bit prefix of an entry bundle (C2SP tlog-tiles).
pub const LONGEST: usize = 65_535;

/// What happened: a code of the vocabulary that the audit daemon's interface owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

impl Kind {
    /// The log itself reports that the wall clock did not follow the monotonic one (see [`crate::order`]).
    pub const CLOCK_STEPPED: Self = Self(4);
}

/// What the writer knows of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// Not asked, or the answer was not to be had.
    Unknown,
    /// The kernel says that no source disciplines its clock (STA_UNSYNC of adjtimex(2)).
    Unsynchronised,
    /// A source disciplines the clock.
    Synchronised,
}

impl ClockState {
    const fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Unsynchronised => 1,
            Self::Synchronised => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Unknown),
            1 => Some(Self::Unsynchronised),
            2 => Some(Self::Synchronised),
            _ => None,
        }
    }
}

/// When, by all clocks that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The boot of the machine, from `/proc/sys/kernel/random/boot_id`.
    pub boot: [u8; 16],
    /// The how-manyeth boot this log has seen, from 1.
    pub boot_counter: u64,
    /// CLOCK_MONOTONIC; less than 2⁶⁴ ns.
    pub monotonic: Duration,
    /// Nanoseconds since 1970-01-01T00:00:00Z without leap seconds.
    pub utc_nanos: i64,
    /// How far `utc_nanos` is to be trusted.
    pub clock: ClockState,
}

/// Whether the act is about to happen or is over. An act that can fail half-way has an entry that it began
/// and one that it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// One entry says it all. It has no key in the body.
    #[default]
    Once,
    /// The act begins once this entry is durable.
    Begun,
    /// The act is over; the fact `begun` names the sequence of its beginning.
    Ended,
}

/// How the act went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The act is done.
    Done,
    /// A rule forbade the act.
    Refused,
    /// The act was tried and did not succeed.
    Failed,
}

impl Outcome {
    const fn code(self) -> u64 {
        match self {
            Self::Done => 1,
            Self::Refused => 2,
            Self::Failed => 3,
        }
    }

    const fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::Done),
            2 => Some(Self::Refused),
            3 => Some(Self::Failed),
            _ => None,
        }
    }
}

/// Who, from where, on what, with which result and why. What happened is the entry's [`Kind`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The account of the person who acted, proved.
    pub person: Option<String>,
    /// The name under which somebody acted who did not prove it.
    pub claimed: Option<String>,
    /// The daemon that reported the act, known by its socket; it acted itself where there is no person.
    pub daemon: Option<String>,
    /// The address or terminal that the person used.
    pub from: Option<String>,
    /// What was acted upon.
    pub object: Option<String>,
    /// Whether the act is about to happen or is over.
    pub phase: Phase,
    /// How it went; `None` while that is not known.
    pub outcome: Option<Outcome>,
    /// The reason that the person or the rule gave.
    pub reason: Option<String>,
    /// The number of the case or ticket that the act serves.
    pub case: Option<String>,
    /// More facts by name; no personal data.
    pub facts: BTreeMap<String, String>,
    /// Personal values by name, each as SM3(salt ‖ value) (see [`crate::personal`]).
    pub personal: BTreeMap<String, Digest>,
}

/// An entry before the log gives it a place and a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What happened.
    pub kind: Kind,
    /// All that is known about it.
    pub body: Body,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub kind: Kind,
    /// The place in the log, from 0; the index of the leaf.
    pub sequence: u64,
    /// When.
    pub moment: Moment,
    /// All that is known about it.
    pub body: Body,
}

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading an entry at byte {at}: {fault}")]
pub struct EntryError {
    /// Offset within the bytes given.
    pub at: usize,
    /// What is wrong there.
    pub fault: EntryFault,
}

/// What is wrong with the bytes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// Fewer bytes than the header, or than the header promises.
    #[error("the entry is cut off")]
    Truncated,
    /// A version that this code does not know.
    #[error("unknown version")]
    Version,
    /// The length is over [`LONGEST`] or is not that of the bytes given.
    #[error("wrong length")]
    Length,
    /// No state of a clock has this code.
    #[error("unknown clock state")]
    Clock,
    /// The body is no deterministic CBOR.
    #[error("{0}")]
    Cbor(CborFault),
    /// The body is CBOR, but not the map that the format defines.
    #[error("the body is not of the defined form")]
    Body,
}

impl Entry {
    /// The one encoding of this entry, or its length where that is over [`LONGEST`].
    pub fn encode(&self) -> Result<Vec<u8>, usize> {
        let body = self.body.encode();
        let length = HEADER + body.len();
        let body_length = u32::try_from(body.len()).map_err(|_beyond| length)?;
        if length > LONGEST {
            return Err(length);
        }
        let mut out = Vec::with_capacity(length);
        out.push(VERSION);
        out.extend_from_slice(&self.kind.0.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.moment.boot);
        out.extend_from_slice(&self.moment.boot_counter.to_be_bytes());
        let monotonic = u64::try_from(self.moment.monotonic.as_nanos()).unwrap_or(u64::MAX);
        out.extend_from_slice(&monotonic.to_be_bytes());
        out.extend_from_slice(&self.moment.utc_nanos.to_be_bytes());
        out.push(self.moment.clock.code());
        out.extend_from_slice(&body_length.to_be_bytes());
        out.extend_from_slice(&body);
        Ok(out)
    }

    /// Reads exactly one entry from all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let header = bytes.first_chunk::<HEADER>().ok_or(wrong(bytes.len(), EntryFault::Truncated))?;
        let length = length(header)?;
        let body = &bytes[HEADER..];
        if bytes.len() < length {
            return Err(wrong(bytes.len(), EntryFault::Truncated));
        }
        if bytes.len() > length {
            return Err(wrong(length, EntryFault::Length));
        }
        let clock = ClockState::from_code(header[51]).ok_or(wrong(51, EntryFault::Clock))?;
        Ok(Self {
            kind: Kind(u16::from_be_bytes(field(header, 1))),
            sequence: u64::from_be_bytes(field(header, 3)),
            moment: Moment {
                boot: field(header, 11),
                boot_counter: u64::from_be_bytes(field(header, 27)),
                monotonic: Duration::from_nanos(u64::from_be_bytes(field(header, 35))),
                utc_nanos: i64::from_be_bytes(field(header, 43)),
                clock,
            },
            body: Body::decode(body).map_err(|error| wrong(HEADER + error.at, error.fault))?,
        })
    }
}

/// The length of the whole entry that begins with `header`.
pub fn length(header: &[u8; HEADER]) -> Result<usize, EntryError> {
    if header[0] != VERSION {
        return Err(wrong(0, EntryFault::Version));
    }
    usize::try_from(u32::from_be_bytes(field(header, 52)))
        .ok()
        .and_then(|body| body.checked_add(HEADER))
        .filter(|length| *length <= LONGEST)
        .ok_or(wrong(52, EntryFault::Length))
}

impl Body {
    /// The one encoding of this body.
    pub fn encode(&self) -> Vec<u8> {
        let mut pairs = Vec::new();
        let mut pair = |key: u64, value: Value| pairs.push((Value::Unsigned(key), value));
        let who = [(1, &self.person), (2, &self.claimed), (3, &self.daemon), (4, &self.from)];
        for (key, text) in who.into_iter().chain([(5, &self.object), (8, &self.reason), (9, &self.case)]) {
            if let Some(text) = text {
                pair(key, Value::Text(text.clone()));
            }
        }
        match self.phase {
            Phase::Once => {}
            Phase::Begun => pair(6, Value::Unsigned(1)),
            Phase::Ended => pair(6, Value::Unsigned(2)),
        }
        if let Some(outcome) = self.outcome {
            pair(7, Value::Unsigned(outcome.code()));
        }
        if !self.facts.is_empty() {
            let named =
                |(name, fact): (&String, &String)| (Value::Text(name.clone()), Value::Text(fact.clone()));
            pair(10, Value::Map(self.facts.iter().map(named).collect()));
        }
        if !self.personal.is_empty() {
            let named = |(name, digest): (&String, &Digest)| {
                (Value::Text(name.clone()), Value::Bytes(digest.to_vec()))
            };
            pair(11, Value::Map(self.personal.iter().map(named).collect()));
        }
        Value::Map(pairs).encode()
    }

    /// Reads a body from all of `bytes`; the error's offset counts from their beginning.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let value = Value::decode(bytes).map_err(|error| wrong(error.at, EntryFault::Cbor(error.fault)))?;
        let body = Self::from_value(value).ok_or(wrong(0, EntryFault::Body))?;
        // An empty map instead of none would be a second form.
        if body.encode() == bytes { Ok(body) } else { Err(wrong(0, EntryFault::Body)) }
    }

    fn from_value(value: Value) -> Option<Self> {
        let Value::Map(pairs) = value else { return None };
        let mut body = Self::default();
        for (key, value) in pairs {
            match (key, value) {
                (Value::Unsigned(1), Value::Text(text)) => body.person = Some(text),
                (Value::Unsigned(2), Value::Text(text)) => body.claimed = Some(text),
                (Value::Unsigned(3), Value::Text(text)) => body.daemon = Some(text),
                (Value::Unsigned(4), Value::Text(text)) => body.from = Some(text),
                (Value::Unsigned(5), Value::Text(text)) => body.object = Some(text),
                (Value::Unsigned(6), Value::Unsigned(1)) => body.phase = Phase::Begun,
                (Value::Unsigned(6), Value::Unsigned(2)) => body.phase = Phase::Ended,
                (Value::Unsigned(7), Value::Unsigned(code)) => body.outcome = Some(Outcome::from_code(code)?),
                (Value::Unsigned(8), Value::Text(text)) => body.reason = Some(text),
                (Value::Unsigned(9), Value::Text(text)) => body.case = Some(text),
                (Value::Unsigned(10), Value::Map(pairs)) => {
                    body.facts = pairs.into_iter().map(fact).collect::<Option<_>>()?;
                }
                (Value::Unsigned(11), Value::Map(pairs)) => {
                    body.personal = pairs.into_iter().map(personal).collect::<Option<_>>()?;
                }
                _ => return None,
            }
        }
        Some(body)
    }
}

fn fact(pair: (Value, Value)) -> Option<(String, String)> {
    match pair {
        (Value::Text(name), Value::Text(fact)) => Some((name, fact)),
        _ => None,
    }
}

fn personal(pair: (Value, Value)) -> Option<(String, Digest)> {
    match pair {
        (Value::Text(name), Value::Bytes(digest)) => Some((name, digest.try_into().ok()?)),
        _ => None,
    }
}

fn wrong(at: usize, fault: EntryFault) -> EntryError {
    EntryError { at, fault }
}

/// The `N` bytes of the header from `at`, which every caller names as a constant within it.
fn field<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&header[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn entry() -> Entry {
        Entry {
            kind: Kind(0x0102),
            sequence: 7,
            moment: Moment {
                boot: [0xb0; 16],
                boot_counter: 3,
                monotonic: Duration::from_nanos(5),
                utc_nanos: -1,
                clock: ClockState::Synchronised,
            },
            body: Body { person: Some("li".into()), outcome: Some(Outcome::Done), ..Body::default() },
        }
    }

    #[test]
    fn the_bytes_stand_where_the_format_says() {
        let bytes = entry().encode().unwrap();
        assert_eq!(bytes[..11], [1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(bytes[11..27], [0xb0; 16]);
        assert_eq!(bytes[27..43], [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(bytes[43..56], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 7]);
        assert_eq!(bytes[56..], [0xa2, 0x01, 0x62, b'l', b'i', 0x07, 0x01]);
        assert_eq!(Entry::decode(&bytes).unwrap(), entry());
    }

    #[test]
    fn a_second_form_is_refused() {
        let sound = entry().encode().unwrap();
        for (body, at) in [
            (&[0xa1, 0x0a, 0xa0][..], 56),                         // an empty map of facts
            (&[0xa2, 0x07, 0x01, 0x01, 0x62, b'l', b'i'][..], 59), // keys out of order
            (&[0xa1, 0x07, 0x18, 0x01][..], 59),                   // an argument too long
            (&[0xa1, 0x07, 0x04][..], 56),                         // no such outcome
            (&[0xa1, 0x06, 0x00][..], 56),                         // no such phase
            (&[0xa1, 0x0c, 0x01][..], 56),                         // no such key
            (&[0xa0, 0x00][..], 57),                               // a byte too many
        ] {
            let mut bytes = sound[..HEADER].to_vec();
            bytes[55] = u8::try_from(body.len()).unwrap();
            bytes.extend_from_slice(body);
            assert_eq!(Entry::decode(&bytes).unwrap_err().at, at, "{body:02x?}");
        }
        for cut in 0..sound.len() {
            assert_eq!(Entry::decode(&sound[..cut]).unwrap_err().fault, EntryFault::Truncated);
        }
    }

    #[test]
    fn too_long_is_refused_when_written() {
        let mut long = entry();
        long.body.reason = Some("x".repeat(LONGEST));
        assert!(long.encode().is_err());
    }
}
