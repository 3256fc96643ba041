//! Where things stand in the one tree. A space is the first byte of its keys:
//!
//! | space | key | value |
//! |---|---|---|
//! | 1 format | | [`Format`] as JSON |
//! | 2 row | table 00 key | version (8 bytes), value as JSON |
//! | 3 entry | table 00 index 00 index-key key | |
//! | 4 log | position | [`Entry`] |
//! | 5 id | batch id | position |
//! | 6 lease | name | `Lease` as JSON |
//!
//! Numbers are big-endian. The log holds every batch that was decided, refused ones too: it is the feed and
//! the memory of outcomes in one, and what falls off its end is forgotten in both.

use crate::{BatchId, Change, Changed, Generation, Key, LeaseName, Outcome, Position, Version};
use serde::{Deserialize, Serialize};
use std::fmt;
use types::Uid;

/// The layout that this module reads and writes.
pub(super) const LAYOUT: u32 = 1;

/// What the database is: written at its making and by upgrades.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Format {
    pub(super) layout: u32,
    pub(super) schema: String,
    pub(super) version: u32,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in layout {}", self.schema, self.version, self.layout)
    }
}

pub(super) const FORMAT: [u8; 1] = [1];
pub(super) const LOG: [u8; 1] = [4];

pub(super) fn rows(table: &str) -> Vec<u8> {
    [&[2], table.as_bytes(), &[0]].concat()
}

pub(super) fn row(table: &str, key: &[u8]) -> Vec<u8> {
    [&[2], table.as_bytes(), &[0], key].concat()
}

pub(super) fn index(table: &str, index: &str) -> Vec<u8> {
    [&[3], table.as_bytes(), &[0], index.as_bytes(), &[0]].concat()
}

pub(super) fn entry(table: &str, index: &str, index_key: &[u8], key: &[u8]) -> Vec<u8> {
    [&[3], table.as_bytes(), &[0], index.as_bytes(), &[0], index_key, key].concat()
}

pub(super) fn log(position: Position) -> Vec<u8> {
    [LOG.as_slice(), &position.0.to_be_bytes()].concat()
}

pub(super) fn position(log_key: &[u8]) -> Option<Position> {
    log_key.strip_prefix(&LOG)?.try_into().ok().map(|bytes| Position(u64::from_be_bytes(bytes)))
}

pub(super) fn id(id: BatchId) -> Vec<u8> {
    [&[5], id.0.0.as_slice()].concat()
}

pub(super) fn lease(name: &LeaseName) -> Vec<u8> {
    [&[6], name.0.as_str().as_bytes()].concat()
}

/// A stored row: its version before its value.
pub(super) fn versioned(version: Version, value: &[u8]) -> Vec<u8> {
    [&version.0.to_be_bytes(), value].concat()
}

/// The parts of a stored row.
pub(super) fn version(stored: &[u8]) -> Option<(Version, &[u8])> {
    let (version, value) = stored.split_first_chunk()?;
    Some((Version(u64::from_be_bytes(*version)), value))
}

/// One decided batch in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: BatchId,
    pub(super) fingerprint: u64,
    pub(super) outcome: Outcome,
    pub(super) changes: Vec<Change>,
}

impl Key for Entry {
    fn encode(&self, to: &mut Vec<u8>) {
        self.id.0.encode(to);
        self.fingerprint.encode(to);
        match self.outcome {
            Outcome::Committed(position) => (0_u8, position.0).encode(to),
            Outcome::Conflict { operation, found } => {
                (1_u8, operation, found.map(|version| version.0)).encode(to);
            }
            Outcome::Fenced { current } => (2_u8, current.0).encode(to),
        }
        // A batch has at most 256 operations, a key at most 512 bytes.
        (self.changes.len() as u16).encode(to);
        for change in &self.changes {
            change.table.encode(to);
            (change.key.len() as u16).encode(to);
            to.extend_from_slice(&change.key);
            u8::from(change.changed == Changed::Removed).encode(to);
        }
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        let (id, fingerprint) = (BatchId(Uid::decode(from)?), u64::decode(from)?);
        let outcome = match u8::decode(from)? {
            0 => Outcome::Committed(Position(u64::decode(from)?)),
            1 => {
                let operation = u16::decode(from)?;
                Outcome::Conflict { operation, found: Option::<u64>::decode(from)?.map(Version) }
            }
            2 => Outcome::Fenced { current: Generation(u64::decode(from)?) },
            _ => return None,
        };
        let mut changes = Vec::new();
        for _ in 0..u16::decode(from)? {
            let (table, length) = (String::decode(from)?, u16::decode(from)?);
            let key = from.split_off(..usize::from(length))?.to_vec();
            let changed = match u8::decode(from)? {
                0 => Changed::Put,
                1 => Changed::Removed,
                _ => return None,
            };
            changes.push(Change { table, key, changed });
        }
        Some(Self { id, fingerprint, outcome, changes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn log_entries_round_trip(
            id: [u8; 16], fingerprint: u64, number: u64, operation: u16, found: Option<u64>, which in 0..3,
            changes: Vec<(String, Vec<u8>, bool)>,
        ) {
            let outcome = match which {
                0 => Outcome::Committed(Position(number)),
                1 => Outcome::Conflict { operation, found: found.map(Version) },
                _ => Outcome::Fenced { current: Generation(number) },
            };
            let changes = changes
                .into_iter()
                .map(|(table, key, put)| Change { table, key, changed: if put { Changed::Put } else { Changed::Removed } })
                .collect();
            let entry = Entry { id: BatchId(Uid(id)), fingerprint, outcome, changes };
            let bytes = entry.bytes();
            let mut left = bytes.as_slice();
            prop_assert_eq!(Entry::decode(&mut left), Some(entry));
            prop_assert!(left.is_empty());
        }

        #[test]
        fn no_log_entry_panics(bytes: Vec<u8>) {
            let _ = Entry::decode(&mut bytes.as_slice());
        }
    }
}
