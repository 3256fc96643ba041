//! Verifies an audit log off line: every hash, the order of sequence and time, every checkpoint's signature,
//! and that each checkpoint's tree is the beginning of the next one's.
//!
//! Owns the verdict and never writes. It depends on the hash, the signature and the parsers alone, and takes
//! on trust nothing but the keys that it is given, which must have reached the officer another way than the
//! log. The files that are derived from the segments (`level.*`, `*.index`) prove nothing; one of them helps
//! to find the entry that was changed.

mod reason;
mod report;

pub use reason::Reason;
pub use report::{Fault, Notice, Report, Verdict};

use audit_log::checkpoint::{Checkpoint, NoteError, VerifierKey};
use audit_log::entry::Entry;
use audit_log::frame::Frame;
use audit_log::hash::{Digest, Sm3};
use audit_log::order;
use audit_log::scan::{self, Scan, Step};
use audit_log::tree::Frontier;
use audit_log::{Alarm, Disk, Error};
use std::collections::VecDeque;

/// How much of the log is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All files: nobody writes.
    Whole,
    /// So many entries from sequence 0: a writer is at work behind them.
    Entries(u64),
}

/// Verifies the log on `disk` against the trusted `keys`.
pub fn verify<D: Disk>(disk: &D, keys: &[VerifierKey], extent: Extent) -> Report {
    let mut walk = Walk {
        disk,
        keys,
        extent,
        notes: VecDeque::new(),
        edge: Frontier::default(),
        previous: None,
        since: Vec::new(),
        report: Report::default(),
    };
    match walk.run() {
        Ok(()) => {}
        Err(Stop::Fault(fault)) => walk.report.fault = Some(fault),
        Err(Stop::Unreadable(what)) => walk.report.unreadable = Some(what),
    }
    walk.report.settle(keys.is_empty());
    walk.report
}

/// Why the walk ends early.
enum Stop {
    Fault(Fault),
    Unreadable(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Tampered(Alarm { file, offset, .. }) => fault(&file, offset, Reason::Header),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

struct Note {
    file: String,
    offset: u64,
    checkpoint: Checkpoint,
}

struct Walk<'a, D> {
    disk: &'a D,
    keys: &'a [VerifierKey],
    extent: Extent,
    /// The checkpoints that are yet to be reached, by size.
    notes: VecDeque<Note>,
    edge: Frontier<Sm3>,
    previous: Option<Entry>,
    /// File number, offset and leaf of each entry since the last checkpoint that held.
    since: Vec<(u64, u64, Digest)>,
    report: Report,
}

impl<D: Disk> Walk<'_, D> {
    fn run(&mut self) -> Result<(), Stop> {
        // The notes are read before the segments, so that a writer at work cannot seem to have lost entries.
        let noted = self.firsts(".checkpoints")?;
        self.read_notes(&noted)?;
        let segments = self.firsts(".segment")?;
        if let Some(gone) = noted.iter().find(|first| !segments.contains(first)) {
            return Err(fault(&segment(*gone), 0, Reason::SegmentGone));
        }
        for (at, first) in segments.iter().enumerate() {
            let next = segments.get(at + 1).copied();
            self.segment(*first, at == 0, next)?;
            if self.reached() {
                break;
            }
        }
        self.report.entries = self.edge.size();
        Ok(())
    }

    /// The first sequences in the names of all files with this ending, ascending.
    fn firsts(&self, ending: &str) -> Result<Vec<u64>, Stop> {
        let names = self.disk.names().map_err(|error| Stop::Unreadable(error.to_string()))?;
        let first = |name: &String| name.strip_suffix(ending)?.parse().ok();
        let mut firsts: Vec<u64> = names.iter().filter_map(first).collect();
        firsts.sort_unstable();
        Ok(firsts)
    }

    fn read_notes(&mut self, firsts: &[u64]) -> Result<(), Stop> {
        let mut size = 0;
        for first in firsts {
            let file = format!("{first:020}.checkpoints");
            let found = scan::notes(self.disk, &file)?;
            for (offset, checkpoint) in found.notes {
                let head = checkpoint.body.head;
                if head.size <= size && self.report.checkpoints > 0 {
                    return Err(fault(&file, offset, Reason::NoteOrder));
                }
                match checkpoint.verify(self.keys) {
                    Err(NoteError::UnknownKey) if self.keys.is_empty() => {}
                    Err(error) => return Err(fault(&file, offset, Reason::Note(error))),
                    Ok(_head) => {}
                }
                size = head.size;
                self.report.checkpoints += 1;
                self.notes.push_back(Note { file: file.clone(), offset, checkpoint });
            }
            match found.broken {
                Some(NoteError::Truncated) if firsts.last() == Some(first) => {
                    self.report.notices.push(Notice::TornNote { offset: found.length });
                }
                Some(error) => return Err(fault(&file, found.length, Reason::Note(error))),
                None => {}
            }
        }
        if let Extent::Entries(end) = self.extent {
            self.notes.retain(|note| note.checkpoint.body.head.size <= end);
        }
        Ok(())
    }

    fn segment(&mut self, first: u64, oldest: bool, next: Option<u64>) -> Result<(), Stop> {
        let file = segment(first);
        let (mut scan, before) = Scan::open(self.disk, &file)?;
        if before.size() != first {
            return Err(fault(&file, 8, Reason::Header));
        }
        if oldest && first > 0 {
            // Older segments were dropped when their retention ended. The peaks stand for them: if they are
            // wrong, no checkpoint from here on holds.
            self.report.notices.push(Notice::Dropped { entries: first });
            self.notes.retain(|note| note.checkpoint.body.head.size >= first);
            self.edge = before;
        } else if before.peaks() != self.edge.peaks() {
            return Err(fault(&file, 16, Reason::Header));
        }
        loop {
            self.compare()?;
            if self.reached() {
                return Ok(());
            }
            let offset = scan.offset();
            match scan.step()? {
                Step::Frame(frame) => self.entry(&file, first, offset, *frame)?,
                Step::Broken(error) => {
                    let below = self
                        .notes
                        .back()
                        .is_some_and(|note| note.checkpoint.body.head.size > self.edge.size());
                    if below || next.is_some() || scan.acknowledged(self.edge.size())? {
                        return Err(fault(&file, offset + error.at() as u64, Reason::Frame(error)));
                    }
                    self.report.notices.push(Notice::TornTail { offset });
                    return Ok(());
                }
                Step::End => return self.end(&file, offset, next),
            }
        }
    }

    fn entry(&mut self, file: &str, first: u64, offset: u64, frame: Frame) -> Result<(), Stop> {
        let sequence = self.edge.size();
        if frame.entry.sequence != sequence {
            let wrong = order::OrderFault::Sequence { found: frame.entry.sequence, due: sequence };
            return Err(fault(file, offset + wrong.at() as u64, Reason::Order(wrong)));
        }
        // The entry before the oldest one kept is not there to compare with.
        if self.previous.is_some() || sequence == 0 {
            order::follow(self.previous.as_ref(), &frame.entry)
                .map_err(|wrong| fault(file, offset + wrong.at() as u64, Reason::Order(wrong)))?;
        }
        self.edge.push(frame.leaf);
        self.since.push((first, offset, frame.leaf));
        self.previous = Some(frame.entry);
        Ok(())
    }

    /// The end of a segment's file must be where the next one begins, and behind every checkpoint.
    fn end(&self, file: &str, offset: u64, next: Option<u64>) -> Result<(), Stop> {
        let gone = match next {
            Some(next) => next != self.edge.size(),
            None => !self.notes.is_empty(),
        };
        if gone { Err(fault(file, offset, Reason::EntriesGone)) } else { Ok(()) }
    }

    /// Compares the tree so far with the checkpoint of its size, if there is one.
    fn compare(&mut self) -> Result<(), Stop> {
        let size = self.edge.size();
        let Some(note) = self.notes.pop_front_if(|note| note.checkpoint.body.head.size == size) else {
            return Ok(());
        };
        let root = note.checkpoint.body.head.root;
        if root != self.edge.root() {
            return Err(self
                .locate(size, &root)
                .unwrap_or_else(|| fault(&note.file, note.offset, Reason::Root)));
        }
        self.report.covered = size;
        self.report.root = Some(root);
        self.since.clear();
        Ok(())
    }

    /// The entry that was changed: the first whose leaf differs from the hashes in `level.0`, where those lead
    /// to the signed root; else the first entry that no checkpoint vouches for.
    fn locate(&self, size: u64, root: &Digest) -> Option<Stop> {
        let (first, offset, _leaf) = *self.since.first()?;
        let unvouched = fault(&segment(first), offset, Reason::Root);
        let mut signed = Frontier::<Sm3>::default();
        let mut changed = None;
        let since = size - self.since.len() as u64;
        let mut chunk = vec![0; 32 << 10];
        while signed.size() < size {
            // Without that file, or with a shorter one, the place is not known more closely.
            let read = self.disk.read("level.0", signed.size() * 32, &mut chunk).unwrap_or(0);
            let hashes = chunk.get(..read)?.as_chunks::<32>().0;
            if hashes.is_empty() {
                return Some(unvouched);
            }
            for hash in hashes.iter().take(usize::try_from(size - signed.size()).unwrap_or(usize::MAX)) {
                let at =
                    signed.size().checked_sub(since).and_then(|at| self.since.get(usize::try_from(at).ok()?));
                changed = changed.or(at.filter(|(_first, _offset, leaf)| leaf != hash));
                signed.push(*hash);
            }
        }
        match changed {
            Some((first, offset, _leaf)) if signed.root() == *root => {
                Some(fault(&segment(*first), *offset, Reason::Root))
            }
            _ => Some(unvouched),
        }
    }

    fn reached(&self) -> bool {
        matches!(self.extent, Extent::Entries(end) if self.edge.size() >= end)
    }
}

fn segment(first: u64) -> String {
    format!("{first:020}.segment")
}

fn fault(file: &str, offset: u64, reason: Reason) -> Stop {
    Stop::Fault(Fault { file: file.to_owned(), offset, reason })
}
