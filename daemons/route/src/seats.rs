//! Who is signed in where, over a kill of route: two memfds' worth of state in one, which the supervisor
//! keeps. Calls come back by the memos that the edges keep; this is for agents without a call.
//!
//! ```text
//!  memfd = slot 0 ‖ slot 1            written in turn, so that one is always whole
//!  slot  = header ‖ roster in JSON    of 4 MiB
//!  header = sequence u64 ‖ length u64, little-endian, written after the roster
//! ```

use nix::sys::memfd::{MFdFlags, memfd_create};
use route_core::Roster;
use service::Context;
use std::{fs::File, io, os::unix::fs::FileExt};

const NAME: &str = "roster";
const SLOT: u64 = 4 << 20;
const HEADER: u64 = 16;

/// The memory that outlives the process.
pub struct Seats {
    memory: File,
    sequence: u64,
    kept: Roster,
}

impl Seats {
    /// Takes the memory of an earlier life, or makes one; with who sat where.
    pub fn open(house: &Context) -> io::Result<(Self, Roster)> {
        if let Some(memory) = house.kept(NAME).pop() {
            return Ok(Self::of(File::from(memory)));
        }
        let memory = File::from(memfd_create(c"route-roster", MFdFlags::MFD_CLOEXEC)?);
        house.keep(NAME, &memory);
        Ok(Self::of(memory))
    }

    fn of(memory: File) -> (Self, Roster) {
        let newest =
            [0, 1].into_iter().filter_map(|slot| read(&memory, slot)).max_by_key(|(sequence, _)| *sequence);
        let (sequence, roster) = newest.unwrap_or_default();
        (Self { memory, sequence, kept: roster.clone() }, roster)
    }

    /// Keeps the roster where it has changed.
    pub fn keep(&mut self, roster: &Roster) {
        if *roster == self.kept {
            return;
        }
        if let Err(error) = self.write(roster) {
            tracing::error!(%error, "the agents' seats are not kept: a restart would sign everyone out");
        }
        self.kept.clone_from(roster);
    }

    fn write(&mut self, roster: &Roster) -> io::Result<()> {
        let text = serde_json::to_vec(roster)?;
        let length = text.len() as u64;
        if length > SLOT - HEADER {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more agents than a slot holds"));
        }
        self.sequence += 1;
        let base = self.sequence % 2 * SLOT;
        // The old header is made void first: text and header never belong to two different rosters.
        self.memory.write_all_at(&[0; HEADER as usize], base)?;
        self.memory.write_all_at(&text, base + HEADER)?;
        let header = [self.sequence.to_le_bytes(), length.to_le_bytes()].concat();
        self.memory.write_all_at(&header, base)
    }
}

/// The roster of a slot and its sequence; `None` where the slot is not whole.
fn read(memory: &File, slot: u64) -> Option<(u64, Roster)> {
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

    fn roster(phone: &str) -> Roster {
        let agent = serde_json::json!({
            "alice": { "phone": phone, "state": "Ready", "since": 7, "idle": 9 }
        });
        serde_json::from_value(agent).unwrap()
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let memory = File::from(memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap());
        let (mut seats, empty) = Seats::of(memory.try_clone().unwrap());
        assert_eq!(empty, Roster::default());
        seats.keep(&roster("8001"));
        seats.keep(&roster("8002"));
        assert_eq!(Seats::of(memory.try_clone().unwrap()).1, roster("8002"));
        // Killed in the middle of the third writing.
        memory.write_all_at(&[0; HEADER as usize], SLOT).unwrap();
        memory.write_all_at(b"{\"al", SLOT + HEADER).unwrap();
        let (mut seats, back) = Seats::of(memory.try_clone().unwrap());
        assert_eq!(back, roster("8002"));
        seats.keep(&roster("8003"));
        assert_eq!(Seats::of(memory).1, roster("8003"));
    }
}
