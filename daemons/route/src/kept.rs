//! What calls do not carry, over a kill of route: who is signed in where, and the versions of flows that
//! calls are in. Each lies in a memfd that the supervisor keeps; calls come back by the memos of the edges.
//!
//! ```text
//!  memfd = slot 0 ‖ slot 1                     written in turn, so that one is always whole
//!  slot  = header ‖ value ‖ change ‖ change …  in JSON, of 4 MiB
//!  header = sequence u64 ‖ length u64          little-endian, written after what it counts
//! ```
//!
//! A change is appended, and counts once the length says so: what it costs does not grow with the value.

use nix::sys::memfd::{MFdFlags, memfd_create};
use route_core::{Flows, Roster};
use serde::{Serialize, de::DeserializeOwned};
use service::Context;
use std::{fs::File, io, os::unix::fs::FileExt};

const SLOT: u64 = 4 << 20;
const HEADER: u64 = 16;
/// So many bytes of changes, and the value is written anew.
const CHANGES: u64 = 256 << 10;

/// A value that can be told by what changed of it.
pub trait Piecewise: Clone + Default + PartialEq + Serialize + DeserializeOwned {
    /// What is another than `before`; `None` where only the whole value says it.
    fn changes(&self, before: &Self) -> Option<Self>;
    /// Takes changes over.
    fn follow(&mut self, changes: Self);
}

impl Piecewise for Roster {
    fn changes(&self, before: &Self) -> Option<Self> {
        self.changes(before)
    }

    fn follow(&mut self, changes: Self) {
        self.follow(changes);
    }
}

/// Seldom changed: always written whole.
impl Piecewise for Flows {
    fn changes(&self, _before: &Self) -> Option<Self> {
        None
    }

    fn follow(&mut self, changes: Self) {
        *self = changes;
    }
}

/// The memory of one value that outlives the process.
pub struct Kept<T> {
    name: &'static str,
    memory: File,
    sequence: u64,
    /// Bytes in the present slot, and how many of them are the value without its changes.
    length: u64,
    whole: u64,
    value: T,
}

impl<T: Piecewise> Kept<T> {
    /// Takes the memory of an earlier life, or makes one; with what was kept in it.
    pub fn open(house: &Context, name: &'static str) -> io::Result<(Self, T)> {
        if let Some(memory) = house.kept(name).pop() {
            return Ok(Self::of(name, File::from(memory)));
        }
        let memory = File::from(memfd_create(c"route", MFdFlags::MFD_CLOEXEC)?);
        house.keep(name, &memory);
        Ok(Self::of(name, memory))
    }

    fn of(name: &'static str, memory: File) -> (Self, T) {
        let newest = [0, 1]
            .into_iter()
            .filter_map(|slot| read::<T>(&memory, slot))
            .max_by_key(|(sequence, _)| *sequence);
        let (sequence, value) = newest.unwrap_or_default();
        // What comes next is written whole, into the other slot.
        (Self { name, memory, sequence, length: 0, whole: 0, value: value.clone() }, value)
    }

    /// Keeps the value where it has changed.
    pub fn keep(&mut self, value: &T) {
        let changes = value.changes(&self.value).filter(|_| self.whole > 0);
        let kept = match &changes {
            Some(changes) if *changes == T::default() => return,
            None if *value == self.value => return,
            Some(changes) => self.append(changes),
            None => Ok(Appended::NoRoom),
        };
        let kept = match kept {
            Ok(Appended::Done) => Ok(()),
            Ok(Appended::NoRoom) => self.write(value),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::error!(%error, what = self.name, "it is not kept: a restart of route would lose it");
            self.whole = 0;
        }
        match changes {
            Some(changes) => self.value.follow(changes),
            None => self.value.clone_from(value),
        }
    }

    fn append(&mut self, changes: &T) -> io::Result<Appended> {
        let text = serde_json::to_vec(changes)?;
        let length = self.length + text.len() as u64;
        if length > self.whole + CHANGES || length > SLOT - HEADER {
            return Ok(Appended::NoRoom);
        }
        let base = self.sequence % 2 * SLOT;
        self.memory.write_all_at(&text, base + HEADER + self.length)?;
        self.memory.write_all_at(&length.to_le_bytes(), base + 8)?;
        self.length = length;
        Ok(Appended::Done)
    }

    fn write(&mut self, value: &T) -> io::Result<()> {
        let text = serde_json::to_vec(value)?;
        let length = text.len() as u64;
        if length > SLOT - HEADER {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than a slot holds"));
        }
        self.sequence += 1;
        let base = self.sequence % 2 * SLOT;
        // The old header is made void first: text and header never belong to two different values.
        self.memory.write_all_at(&[0; HEADER as usize], base)?;
        self.memory.write_all_at(&text, base + HEADER)?;
        let header = [self.sequence.to_le_bytes(), length.to_le_bytes()].concat();
        self.memory.write_all_at(&header, base)?;
        (self.length, self.whole) = (length, length);
        Ok(())
    }
}

/// What came of appending changes.
enum Appended {
    Done,
    /// The slot has had enough of them.
    NoRoom,
}

/// The value of a slot and its sequence; `None` where the slot is not whole.
fn read<T: Piecewise>(memory: &File, slot: u64) -> Option<(u64, T)> {
    let mut header = [0; HEADER as usize];
    memory.read_exact_at(&mut header, slot * SLOT).ok()?;
    let (sequence, length) = header.split_at(8);
    let sequence = u64::from_le_bytes(sequence.try_into().ok()?);
    let length = u64::from_le_bytes(length.try_into().ok()?);
    if sequence == 0 || length > SLOT - HEADER {
        return None;
    }
    let mut text = vec![0; usize::try_from(length).ok()?];
    memory.read_exact_at(&mut text, slot * SLOT + HEADER).ok()?;
    let mut values = serde_json::Deserializer::from_slice(&text).into_iter::<T>();
    let mut value = values.next()?.ok()?;
    for changes in values {
        value.follow(changes.ok()?);
    }
    Some((sequence, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use route_core::Roster;

    fn roster(phone: &str) -> Roster {
        let agent = serde_json::json!({
            "alice": { "phone": phone, "state": "Ready", "since": 7, "idle": 9 }
        });
        serde_json::from_value(agent).unwrap()
    }

    fn kept(memory: &File) -> (Kept<Roster>, Roster) {
        Kept::of("roster", memory.try_clone().unwrap())
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let memory = File::from(memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap());
        let (mut seats, empty) = kept(&memory);
        assert_eq!(empty, Roster::default());
        seats.keep(&roster("8001"));
        let (mut seats, _) = kept(&memory);
        seats.keep(&roster("8002"));
        assert_eq!(kept(&memory).1, roster("8002"));
        // Killed in the middle of the third writing.
        memory.write_all_at(&[0; HEADER as usize], SLOT).unwrap();
        memory.write_all_at(b"{\"al", SLOT + HEADER).unwrap();
        let (mut seats, back) = kept(&memory);
        assert_eq!(back, roster("8002"));
        seats.keep(&roster("8003"));
        assert_eq!(kept(&memory).1, roster("8003"));
    }

    #[test]
    fn changes_are_appended_until_there_are_enough() {
        let memory = File::from(memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap());
        let (mut seats, _) = kept(&memory);
        let mut all = roster("8001");
        for number in 0..20_000 {
            all.follow(roster(&format!("{}", 1000 + number % 7)));
            seats.keep(&all);
            if number % 997 == 0 {
                assert_eq!(kept(&memory).1, all);
            }
        }
        assert_eq!(kept(&memory).1, all);
        assert!(seats.length < 2 * CHANGES, "{} bytes", seats.length);
        // Killed in the middle of a change: its length is not there yet.
        let end = seats.sequence % 2 * SLOT + HEADER + seats.length;
        memory.write_all_at(b"{\"al", end).unwrap();
        assert_eq!(kept(&memory).1, all);
    }

    #[test]
    fn an_agent_who_is_gone_stays_gone() {
        let memory = File::from(memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap());
        let (mut seats, _) = kept(&memory);
        seats.keep(&roster("8001"));
        seats.keep(&Roster::default());
        assert_eq!(kept(&memory).1, Roster::default());
    }
}
