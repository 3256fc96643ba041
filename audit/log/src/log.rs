//! The writer of a log.
//!
//! ```text
//!   stage, stage, … ──> commit: write frames, fdatasync ──> acknowledged ──> levels, index
//!                                  │            └─ failed: stopped for good
//!                                  └─ failed: taken back, the group is refused, the log goes on
//! ```

use crate::checkpoint::{Checkpoint, NoteError, Unsigned, VerifierKey};
use crate::disk::Disk;
use crate::entry::{Body, ClockState, Draft, Entry, Kind, Moment};
use crate::error::{Error, disk};
use crate::frame;
use crate::hash::{Digest, Sm3, TreeHash};
use crate::index;
use crate::levels::Levels;
use crate::order::{self, OrderFault};
use crate::personal::{self, Personal};
use crate::proof::Head;
use crate::reader::{Extent, Reader};
use crate::recovery::{self, Recovered};
use crate::tree::Frontier;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What a log must be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The keys whose signatures on checkpoints count; the name of the first is the origin of the log.
    pub keys: Vec<VerifierKey>,
    /// A segment that would grow beyond this many bytes is sealed; at most 2³². The product uses [`SEGMENT`].
    pub segment_bytes: u64,
}

/// 256 MiB.
pub const SEGMENT: u64 = 256 << 20;

/// The clocks as the caller read them. The log adds the boot counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The boot of the machine.
    pub boot: [u8; 16],
    /// CLOCK_MONOTONIC.
    pub monotonic: Duration,
    /// CLOCK_REALTIME, in nanoseconds since 1970.
    pub utc_nanos: i64,
    /// How far that is to be trusted.
    pub clock: ClockState,
}

/// A tail that was never acknowledged and was cut off when the log was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where in the last segment it began.
    pub offset: u64,
    /// How many bytes it had.
    pub bytes: u64,
}

/// The writer. One a folder.
pub struct Log<D> {
    disk: Arc<D>,
    settings: Settings,
    edge: Frontier<Sm3>,
    last: Option<Entry>,
    segment: Segment,
    levels: Levels,
    /// The size that the last published checkpoint covers.
    covered: u64,
    latest: Option<Checkpoint>,
    /// What was last given out to be signed.
    offered: Option<Head>,
    staged: Vec<Staged>,
    personal: Vec<u8>,
    extent: Arc<Extent>,
    stopped: Option<String>,
}

struct Segment {
    first: u64,
    length: u64,
    notes_length: u64,
    personal_length: u64,
}

struct Staged {
    encoded: Vec<u8>,
    leaf: Digest,
    entry: Entry,
}

impl<D: Disk> Log<D> {
    /// Opens the log, or begins one where the disk is empty. Returns the tail that was cut off, if there was
    /// one. [`Error::Tampered`] where what was acknowledged is damaged: nothing is changed then.
    pub fn open(disk: Arc<D>, settings: Settings) -> Result<(Self, Option<Torn>), Error> {
        let found = recovery::recover(&*disk, &settings)?;
        let Recovered { edge, last, segments, length, notes_length, covered, latest, levels, torn } = found;
        let first = segments.last().copied().unwrap_or(0);
        let personal_length = personal::mend(&*disk, first)?;
        let log = Self {
            extent: Arc::new(Extent::new(edge.size(), segments)),
            disk,
            settings,
            edge,
            last,
            segment: Segment { first, length, notes_length, personal_length },
            levels,
            covered,
            latest,
            offered: None,
            staged: Vec::new(),
            personal: Vec::new(),
            stopped: None,
        };
        Ok((log, torn))
    }

    /// Gives the draft its place and its moment. It is durable after the next [`Log::commit`], and forgotten
    /// where that refuses. Where the wall clock was set since the last entry, an entry that says so goes first.
    pub fn stage(&mut self, draft: Draft, reading: Reading) -> Result<Entry, Error> {
        self.running()?;
        let mut entry = self.next(draft, reading);
        if order::follow(self.previous(), &entry) == Err(OrderFault::WallClock) {
            let step = self.next(Draft { kind: Kind::CLOCK_STEPPED, body: Body::default() }, reading);
            self.put(step)?;
            entry.sequence += 1;
        }
        self.put(entry.clone())?;
        Ok(entry)
    }

    /// Keeps a personal value beside the next group, where it can be erased; the entry holds only its
    /// [`Personal::digest`]. The value is durable from the next checkpoint on, the digest with its entry.
    pub fn keep(&mut self, value: &Personal) {
        personal::write(&mut self.personal, value);
    }

    /// Makes the staged entries durable and returns their sequences. [`Error::Disk`]: the group is refused as a
    /// whole and the log goes on. [`Error::Stopped`]: the process must end, what became of the group is
    /// unknown.
    pub fn commit(&mut self) -> Result<Range<u64>, Error> {
        self.running()?;
        let staged = std::mem::take(&mut self.staged);
        let personal = std::mem::take(&mut self.personal);
        let group = self.edge.size();
        if staged.is_empty() {
            return Ok(group..group);
        }
        let mut bytes = Vec::new();
        let mut offsets = Vec::new();
        for entry in &staged {
            offsets.push(bytes.len() as u64);
            frame::write_frame(&mut bytes, &entry.encoded, &entry.leaf, group);
        }
        if self.segment.length + bytes.len() as u64 > self.settings.segment_bytes
            && group > self.segment.first
        {
            self.roll()?;
        }
        if mutant::mutant("audit-lose-entry")
            && let Some(lost) = offsets.last()
        {
            bytes.truncate(usize::try_from(*lost).unwrap_or(0));
        }
        self.write(&bytes)?;

        let start = self.segment.length;
        self.segment.length += bytes.len() as u64;
        for staged in staged {
            self.edge.push(staged.leaf);
            self.levels.push(staged.leaf);
            self.last = Some(staged.entry);
        }
        // The group is durable and is acknowledged whatever happens now.
        match self.derive(start, &offsets, group, &personal) {
            Ok(()) => self.extent.reach(self.edge.size()),
            Err(error) => self.stopped = Some(error.to_string()),
        }
        Ok(group..self.edge.size())
    }

    /// The head to be signed, where entries became durable since the last checkpoint.
    pub fn unsigned(&mut self) -> Option<Unsigned> {
        let key = self.settings.keys.first()?;
        if self.edge.size() == self.covered {
            return None;
        }
        let head = Head { size: self.edge.size(), root: self.edge.root() };
        self.offered = Some(head);
        Some(Unsigned { origin: key.name().to_owned(), head })
    }

    /// Writes down, durably, the signed form of what [`Log::unsigned`] last gave.
    pub fn publish(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.running()?;
        let head = checkpoint.verify(&self.settings.keys)?;
        if self.settings.keys.first().is_none_or(|key| key.name() != checkpoint.body.origin) {
            return Err(Error::Note(NoteError::Origin));
        }
        if self.offered != Some(head) {
            return Err(Error::NotOurs(head.size));
        }
        let name = index::checkpoints(self.segment.first);
        let text = checkpoint.to_text();
        if self.segment.notes_length == 0 {
            self.disk
                .replace(&name, text.as_bytes())
                .map_err(|error| self.unless_full(disk("creating", &name)(error)))?;
        } else if let Err(error) = self.disk.write(&name, self.segment.notes_length, text.as_bytes()) {
            self.take_back(&name, self.segment.notes_length)?;
            return Err(disk("writing", &name)(error));
        } else {
            self.sync(&name)?;
        }
        self.segment.notes_length += text.len() as u64;
        self.covered = head.size;
        self.latest = Some(checkpoint.clone());
        self.offered = None;
        Ok(())
    }

    /// A view for reading beside this writer.
    pub fn reader(&self) -> Reader<D> {
        Reader::new(Arc::clone(&self.disk), Arc::clone(&self.extent))
    }

    /// The number of durable entries.
    pub const fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The size that the last published checkpoint covers.
    pub const fn covered(&self) -> u64 {
        self.covered
    }

    /// The last published checkpoint.
    pub const fn latest(&self) -> Option<&Checkpoint> {
        self.latest.as_ref()
    }

    /// Erases a personal value and its salt: nobody can tell any more what the digest in the log stands for.
    /// Every proof stays valid. Returns whether there was such a value.
    pub fn erase(&mut self, digest: &Digest) -> Result<bool, Error> {
        self.running()?;
        let erased = personal::erase(&*self.disk, &self.extent.segments(), digest)?;
        self.segment.personal_length = personal::mend(&*self.disk, self.segment.first)?;
        Ok(erased)
    }

    fn previous(&self) -> Option<&Entry> {
        self.staged.last().map(|staged| &staged.entry).or(self.last.as_ref())
    }

    fn next(&self, draft: Draft, reading: Reading) -> Entry {
        let previous = self.previous();
        let boot_counter = previous.map_or(1, |previous| {
            let before = &previous.moment;
            before.boot_counter.saturating_add(u64::from(before.boot != reading.boot))
        });
        let Reading { boot, monotonic, utc_nanos, clock } = reading;
        Entry {
            kind: draft.kind,
            sequence: previous.map_or(0, |previous| previous.sequence + 1),
            moment: Moment { boot, boot_counter, monotonic, utc_nanos, clock },
            body: draft.body,
        }
    }

    fn put(&mut self, entry: Entry) -> Result<(), Error> {
        order::follow(self.previous(), &entry)?;
        let encoded = entry.encode().map_err(Error::TooLong)?;
        let leaf = Sm3::leaf(&encoded);
        self.staged.push(Staged { encoded, leaf, entry });
        Ok(())
    }

    /// Writes a group behind the segment and makes it durable: the one sync before acknowledging.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let name = index::segment(self.segment.first);
        if let Err(error) = self.disk.write(&name, self.segment.length, bytes) {
            self.take_back(&name, self.segment.length)?;
            return Err(disk("writing", &name)(error));
        }
        if mutant::mutant("audit-skip-fdatasync") { Ok(()) } else { self.sync(&name) }
    }

    /// What can be made again from the segment, and the personal values.
    fn derive(&mut self, start: u64, offsets: &[u64], group: u64, personal: &[u8]) -> Result<(), Error> {
        let name = index::offsets(self.segment.first);
        let offset = |at: &u64| u32::try_from(start + at).unwrap_or(u32::MAX).to_be_bytes();
        let bytes: Vec<u8> = offsets.iter().flat_map(offset).collect();
        self.disk.write(&name, (group - self.segment.first) * 4, &bytes).map_err(disk("writing", &name))?;
        if !personal.is_empty() {
            let name = personal::name(self.segment.first);
            let at = self.segment.personal_length;
            self.disk.write(&name, at, personal).map_err(disk("writing", &name))?;
            self.segment.personal_length += personal.len() as u64;
            // No other file can give them back: whoever is acknowledged has them on the disk.
            if !mutant::mutant("audit-personal-unsynced") {
                self.sync(&name)?;
            }
        }
        self.levels.write(&*self.disk)
    }

    /// Seals the segment, with all that is derived from it, and begins the next one.
    fn roll(&mut self) -> Result<(), Error> {
        self.levels.sync(&*self.disk).map_err(|error| self.stop(error))?;
        self.sync(&index::offsets(self.segment.first))?;
        let length = recovery::create(&*self.disk, &self.edge).map_err(|error| self.unless_full(error))?;
        let first = self.edge.size();
        self.segment = Segment { first, length, notes_length: 0, personal_length: 0 };
        self.extent.begin(first);
        Ok(())
    }

    /// Cuts off what a failed write left, so that the group is wholly absent.
    fn take_back(&mut self, name: &str, length: u64) -> Result<(), Error> {
        self.disk.truncate(name, length).map_err(|error| self.stop(disk("cutting", name)(error)))
    }

    fn sync(&mut self, name: &str) -> Result<(), Error> {
        self.disk.sync(name).map_err(|error| self.stop(disk("syncing", name)(error)))
    }

    /// Stops, unless the disk was full while a file was made: it is not in its place yet and is written anew
    /// from its beginning the next time.
    fn unless_full(&mut self, error: Error) -> Error {
        match &error {
            Error::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull => error,
            _ => self.stop(error),
        }
    }

    fn stop(&mut self, error: Error) -> Error {
        let reason = error.to_string();
        self.stopped = Some(reason.clone());
        Error::Stopped(reason)
    }

    fn running(&self) -> Result<(), Error> {
        self.stopped.as_ref().map_or(Ok(()), |reason| Err(Error::Stopped(reason.clone())))
    }
}
