//! The core's state in two memfds that the supervisor keeps: written in turn, so that one is always whole.
//!
//! ```text
//!  file = number u64 ‖ length u64 ‖ MAGIC ‖ the core in postcard      (little-endian; number 0: not whole)
//! ```
//!
//! What a snapshot costs decides how often it is made: never more than one fiftieth of the time, nor ten times a
//! second.

use crate::error::Error;
use media_core::Core;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::{
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    time::Duration,
};
use types::Monotonic;

/// The names under which the supervisor keeps the two.
pub const NAMES: [&str; 2] = ["snapshot.0", "snapshot.1"];
const HEADER: u64 = 16;
/// Names the form of what follows: another one, of another version, is not read, and the legs of that life end.
const MAGIC: &[u8; 16] = b"yanmen media 1\n\0";
/// Without a command the state ages no more than this; relayed audio and prompts bridge it.
const OLDEST: Duration = Duration::from_secs(1);
const SHARE: u32 = 50;
/// With a command it is written so soon at the earliest.
const SOONEST: Duration = Duration::from_millis(100);

/// Where the state is kept.
#[derive(Debug)]
pub struct Snapshot {
    files: [File; 2],
    number: u64,
    bytes: Vec<u8>,
    /// No sooner than this, and by then at the latest.
    earliest: Monotonic,
    latest: Monotonic,
}

impl Snapshot {
    /// Two new files.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn new() -> Result<Self, Error> {
        let [one, other] = NAMES.map(|name| memfd_create(name, MFdFlags::MFD_CLOEXEC));
        let attempted = Error::errno("making a file in memory");
        Ok(Self::of([one.map_err(&attempted)?, other.map_err(attempted)?]))
    }

    /// The files of an earlier life, and the newest state that is whole in them.
    pub fn reopen(kept: [OwnedFd; 2]) -> (Self, Option<Core>) {
        let mut snapshot = Self::of(kept);
        let mut whole: Vec<(u64, Core)> = snapshot.files.iter().filter_map(read).collect();
        whole.sort_by_key(|(number, _)| *number);
        let newest = whole.pop();
        snapshot.number = newest.as_ref().map_or(0, |(number, _)| *number);
        (snapshot, newest.map(|(_, core)| core).filter(|_| !mutant::mutant("media-state-forgotten")))
    }

    /// The descriptors with the names under which they are to be kept.
    pub fn descriptors(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>)> {
        NAMES.into_iter().zip(self.files.iter().map(AsFd::as_fd))
    }

    /// Writes the state, where it `changed` by a command or is old, and the time for it has come.
    ///
    /// # Errors
    /// [`Error::System`]: the state before stays.
    pub fn keep(&mut self, now: Monotonic, changed: bool, core: &Core) -> Result<bool, Error> {
        if now < self.earliest || !changed && now < self.latest {
            return Ok(false);
        }
        self.write(core)?;
        let took = service::clock::monotonic().since(now);
        self.earliest = now.plus(SOONEST.max(took * SHARE));
        self.latest = now.plus(OLDEST.max(took * SHARE));
        Ok(true)
    }

    /// Writes the state now.
    ///
    /// # Errors
    /// [`Error::System`]: the state before stays.
    pub fn write(&mut self, core: &Core) -> Result<(), Error> {
        let attempted = Error::system("keeping the state of all legs");
        self.bytes.clear();
        self.bytes.extend_from_slice(MAGIC);
        self.bytes = postcard::to_extend(core, std::mem::take(&mut self.bytes))
            .map_err(|error| attempted(std::io::Error::other(error)))?;
        let number = self.number + 1;
        let [one, other] = &self.files;
        let file = if number.is_multiple_of(2) { one } else { other };
        // Not whole until its number stands there, which is written last.
        let header = [0; HEADER as usize];
        file.write_all_at(&header, 0).map_err(&attempted)?;
        file.write_all_at(&self.bytes, HEADER).map_err(&attempted)?;
        let mut header = [0; HEADER as usize];
        let (first, second) = header.split_at_mut(8);
        first.copy_from_slice(&number.to_le_bytes());
        second.copy_from_slice(&(self.bytes.len() as u64).to_le_bytes());
        file.write_all_at(&header, 0).map_err(&attempted)?;
        self.number = number;
        Ok(())
    }

    fn of(files: [OwnedFd; 2]) -> Self {
        let files = files.map(File::from);
        Self { files, number: 0, bytes: Vec::new(), earliest: Monotonic(0), latest: Monotonic(0) }
    }
}

fn read(file: &File) -> Option<(u64, Core)> {
    let mut header = [0; HEADER as usize];
    file.read_exact_at(&mut header, 0).ok()?;
    let (number, length) = header.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*number);
    let length = u64::from_le_bytes(*length.first_chunk()?);
    if number == 0 || length > file.metadata().ok()?.len() {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut bytes, HEADER).ok()?;
    match bytes.strip_prefix(MAGIC).map(postcard::take_from_bytes) {
        Some(Ok((core, []))) => Some((number, core)),
        _ => {
            tracing::error!("a kept state cannot be read: it is of another version");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_write_leaves_the_state_before() {
        let mut snapshot = Snapshot::new().unwrap();
        for _ in 0..3 {
            snapshot.write(&Core::default()).unwrap();
        }
        // The newest, number 3, is torn: its number is not there yet.
        snapshot.files[1].write_all_at(&[0; 16], 0).unwrap();
        let kept = || snapshot.files.each_ref().map(|file| OwnedFd::from(file.try_clone().unwrap()));
        let (again, core) = Snapshot::reopen(kept());
        assert_eq!((again.number, core.is_some()), (2, true));
        snapshot.files[0].write_all_at(&[0xff; 40], HEADER).unwrap();
        assert!(Snapshot::reopen(kept()).1.is_none());
    }
}
