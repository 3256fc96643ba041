//! What calls do not carry, over a kill of route: who is signed in where, and the versions of flows that
//! calls are in. Each lies in a memfd that the supervisor keeps; calls come back by the memos of the edges.
//!
//! ```text
//!  memfd = slot 0 ‖ slot 1            written in turn, so that one is always whole
//!  slot  = header ‖ value in JSON     of 4 MiB
//!  header = sequence u64 ‖ length u64, little-endian, written after the value
//! ```

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Serialize, de::DeserializeOwned};
use service::Context;
use std::{fs::File, io, os::unix::fs::FileExt};

const SLOT: u64 = 4 << 20;
const HEADER: u64 = 16;

/// The memory of one value that outlives the process.
pub struct Kept<T> {
    name: &'static str,
    memory: File,
    sequence: u64,
    value: T,
}

impl<T: Clone + Default + PartialEq + Serialize + DeserializeOwned> Kept<T> {
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
        (Self { name, memory, sequence, value: value.clone() }, value)
    }

    /// Keeps the value where it has changed.
    pub fn keep(&mut self, value: &T) {
        if *value == self.value {
            return;
        }
        if let Err(error) = self.write(value) {
            tracing::error!(%error, what = self.name, "it is not kept: a restart of route would lose it");
        }
        self.value.clone_from(value);
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
        self.memory.write_all_at(&header, base)
    }
}

/// The value of a slot and its sequence; `None` where the slot is not whole.
fn read<T: DeserializeOwned>(memory: &File, slot: u64) -> Option<(u64, T)> {
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
    Some((sequence, serde_json::from_slice(&text).ok()?))
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
}
