//! The state of the core in memory that outlives the process: a memfd which the supervisor keeps.
//!
//! ```text
//!   MAGIC (16) │ generation (8) │ length (4) │ Change │ length (4) │ Change │ …
//! ```
//!
//! Each change is appended as it happens: the cost of one is its own size, however many calls there are. When
//! the changes have grown to a multiple of what they come to, the whole state begins a new generation in
//! another memfd, and the old one is let go once the new one is whole.

use crate::error::Error;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::Serialize;
use service::Context;
use sip_core::{Change, Changed};
use std::{fs::File, io, os::unix::fs::FileExt};

/// Names the form of what follows; another form is not read, and the calls of that life are lost.
const MAGIC: &[u8; 16] = b"yanmen sip 3\n\0\0\0";
/// Where the changes begin.
const HEADER: u64 = 24;
/// Changes are never rewritten below this size, in bytes.
const SMALL: u64 = 1 << 20;
/// How much larger than the state its changes may grow.
const GROWTH: u64 = 4;
/// So much of the whole state is in hand at once, in bytes: all of it would be what the process is measured by.
const PIECE: usize = 64 << 10;
/// Largest change taken back, in bytes.
const MAX_CHANGE: usize = 1 << 20;
/// The two names in turn.
const NAMES: [&str; 2] = ["state.even", "state.odd"];

/// Where changes are written.
pub struct Snapshot {
    keeper: Box<dyn Keeper>,
    memory: File,
    generation: u64,
    end: u64,
    limit: u64,
    line: Vec<u8>,
}

/// Who keeps memory while the process is away.
pub trait Keeper {
    /// Keeps a copy under that name.
    fn keep(&self, name: &str, memory: &File);
    /// Lets go of it.
    fn forget(&self, name: &str);
}

impl Keeper for Context {
    fn keep(&self, name: &str, memory: &File) {
        Self::keep(self, name, memory);
    }

    fn forget(&self, name: &str) {
        Self::forget(self, name);
    }
}

impl Snapshot {
    /// Takes the newest whole generation back, with its changes; begins anew where there is none.
    ///
    /// # Errors
    /// No memory can be had from the kernel.
    pub fn open(house: Context) -> Result<(Self, Vec<Change>), Error> {
        let kept = NAMES.iter().flat_map(|name| house.kept(name)).map(File::from).collect();
        Self::resume(Box::new(house), kept)
    }

    fn resume(keeper: Box<dyn Keeper>, kept: Vec<File>) -> Result<(Self, Vec<Change>), Error> {
        let whole = kept.into_iter().filter_map(|memory| Some((generation(&memory)?, memory)));
        let newest = whole.max_by_key(|(generation, _)| *generation);
        let Some((generation, memory)) = newest else {
            let memory = blank().map_err(Error::Snapshot)?;
            head(&memory, 0).map_err(Error::Snapshot)?;
            NAMES.iter().for_each(|name| keeper.forget(name));
            keeper.keep(name(0), &memory);
            let limit = SMALL;
            return Ok((
                Self { keeper, memory, generation: 0, end: HEADER, limit, line: Vec::new() },
                Vec::new(),
            ));
        };
        keeper.forget(name(generation + 1));
        let (changes, end) = read(&memory).map_err(Error::Snapshot)?;
        tracing::info!(changes = changes.len(), bytes = end, "took the calls back");
        let limit = (end * GROWTH).max(SMALL);
        Ok((Self { keeper, memory, generation, end, limit, line: Vec::new() }, changes))
    }

    /// Takes a change to be written with others.
    ///
    /// # Errors
    /// It has no such form.
    pub fn note(&mut self, change: &Changed<'_>) -> Result<(), Error> {
        encode(change, &mut self.line)
    }

    /// Writes down what was noted, in one write.
    ///
    /// # Errors
    /// The kernel has no memory left.
    pub fn write(&mut self) -> Result<(), Error> {
        if self.line.is_empty() || mutant::mutant("sip-state-not-written") {
            return Ok(());
        }
        self.memory.write_all_at(&self.line, self.end).map_err(Error::Snapshot)?;
        self.end += self.line.len() as u64;
        self.line.clear();
        Ok(())
    }

    /// Whether the changes have outgrown the state: [`Self::rewrite`] is due.
    pub fn is_long(&self) -> bool {
        self.end > self.limit
    }

    /// Begins a new generation with the whole state.
    ///
    /// # Errors
    /// The kernel has no memory left.
    pub fn rewrite<'w>(&mut self, whole: impl Iterator<Item = Changed<'w>>) -> Result<(), Error> {
        let next = self.generation + 1;
        let memory = blank().map_err(Error::Snapshot)?;
        let (mut end, mut bytes) = (HEADER, Vec::with_capacity(2 * PIECE));
        let mut put = |bytes: &mut Vec<u8>| {
            memory.write_all_at(bytes, end).map_err(Error::Snapshot)?;
            end += bytes.len() as u64;
            bytes.clear();
            Ok::<_, Error>(())
        };
        for change in whole {
            encode(&change, &mut bytes)?;
            if bytes.len() >= PIECE {
                put(&mut bytes)?;
            }
        }
        put(&mut bytes)?;
        head(&memory, next).map_err(Error::Snapshot)?;
        self.keeper.keep(name(next), &memory);
        self.keeper.forget(name(self.generation));
        (self.memory, self.generation, self.end) = (memory, next, end);
        self.limit = (end * GROWTH).max(SMALL);
        Ok(())
    }
}

fn name(generation: u64) -> &'static str {
    NAMES[usize::from(generation % 2 == 1)]
}

fn encode(change: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    *out = postcard::to_extend(change, std::mem::take(out))?;
    let length = u32::try_from(out.len() - start - 4).map_err(|_| postcard::Error::SerializeBufferFull)?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn blank() -> io::Result<File> {
    Ok(File::from(memfd_create(c"sip-state", MFdFlags::MFD_CLOEXEC)?))
}

/// The header comes after the changes: what has one is whole.
fn head(memory: &File, generation: u64) -> io::Result<()> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&generation.to_be_bytes());
    memory.write_all_at(&header, 0)
}

fn generation(memory: &File) -> Option<u64> {
    let mut header = [0; HEADER as usize];
    memory.read_exact_at(&mut header, 0).ok()?;
    let (magic, number) = header.split_at(MAGIC.len());
    (magic == MAGIC).then(|| u64::from_be_bytes(number.try_into().unwrap_or_default()))
}

/// The changes, and where the next one goes: after the last whole one. A kill in the middle of a write
/// leaves at most one that is not whole, and nothing of it was told to anyone.
fn read(memory: &File) -> io::Result<(Vec<Change>, u64)> {
    let size = memory.metadata()?.len();
    let mut bytes = vec![0; usize::try_from(size.saturating_sub(HEADER)).unwrap_or(0)];
    memory.read_exact_at(&mut bytes, HEADER)?;
    let mut changes = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if length == 0 || length > MAX_CHANGE {
            break;
        }
        let Some(Ok(change)) = tail.get(..length).map(postcard::from_bytes) else { break };
        changes.push(change);
        rest = &tail[length..];
    }
    if !rest.is_empty() {
        tracing::warn!(bytes = rest.len(), "the last change was not whole");
    }
    Ok((changes, HEADER + (bytes.len() - rest.len()) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

    #[derive(Clone, Default)]
    struct Supervisor(Rc<RefCell<BTreeMap<String, File>>>);

    impl Keeper for Supervisor {
        fn keep(&self, name: &str, memory: &File) {
            self.0.borrow_mut().insert(name.to_owned(), memory.try_clone().unwrap());
        }
        fn forget(&self, name: &str) {
            self.0.borrow_mut().remove(name);
        }
    }

    impl Supervisor {
        fn restart(&self) -> (Snapshot, Vec<Change>) {
            let kept = self.0.borrow().values().map(|memory| memory.try_clone().unwrap()).collect();
            Snapshot::resume(Box::new(self.clone()), kept).unwrap()
        }
    }

    fn append(snapshot: &mut Snapshot, changes: &[Change]) {
        for change in changes {
            let Change::Bindings(extension, bindings) = change else { panic!("another change") };
            snapshot.note(&Changed::Bindings(extension, bindings)).unwrap();
        }
        snapshot.write().unwrap();
    }

    fn change(n: u32) -> Change {
        Change::Bindings(format!("8{n:03}").parse().unwrap(), Vec::new())
    }

    fn names(changes: &[Change]) -> Vec<String> {
        let named = changes.iter().map(|change| match change {
            Change::Bindings(extension, _) => extension.to_string(),
            _ => panic!("another change"),
        });
        named.collect()
    }

    #[test]
    fn changes_come_back_in_order_and_go_on() {
        let supervisor = Supervisor::default();
        let (mut snapshot, none) = supervisor.restart();
        assert!(none.is_empty());
        append(&mut snapshot, &[change(1), change(2)]);
        let (mut snapshot, changes) = supervisor.restart();
        assert_eq!(names(&changes), ["8001", "8002"]);
        append(&mut snapshot, &[change(3)]);
        assert_eq!(names(&supervisor.restart().1), ["8001", "8002", "8003"]);
    }

    #[test]
    fn a_change_that_is_not_whole_is_left_out_and_written_over() {
        let supervisor = Supervisor::default();
        let (mut snapshot, _) = supervisor.restart();
        append(&mut snapshot, &[change(1), change(2)]);
        snapshot.memory.set_len(snapshot.end - 1).unwrap();
        let (mut snapshot, changes) = supervisor.restart();
        assert_eq!(names(&changes), ["8001"]);
        append(&mut snapshot, &[change(3)]);
        assert_eq!(names(&supervisor.restart().1), ["8001", "8003"]);
    }

    #[test]
    fn a_new_generation_replaces_the_old_one_when_it_is_whole() {
        let supervisor = Supervisor::default();
        let (mut snapshot, _) = supervisor.restart();
        let many: Vec<Change> = (0..1000).map(change).collect();
        while !snapshot.is_long() {
            append(&mut snapshot, &many);
        }
        snapshot.rewrite([Changed::Bindings(&"8007".parse().unwrap(), &[])].into_iter()).unwrap();
        assert!(!snapshot.is_long());
        assert_eq!(supervisor.0.borrow().len(), 1);
        assert_eq!(names(&supervisor.restart().1), ["8007"]);
        // Killed after the next generation was kept but before its header: the old one holds.
        let torn = File::from(memfd_create(c"torn", MFdFlags::MFD_CLOEXEC).unwrap());
        torn.write_all_at(b"half of the state", HEADER).unwrap();
        supervisor.keep(NAMES[0], &torn);
        assert_eq!(names(&supervisor.restart().1), ["8007"]);
    }
}
