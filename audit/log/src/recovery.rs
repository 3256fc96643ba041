//! Opening a log after any end of its writer.
//!
//! The last segment is replayed from the tree in its header. What is broken above the last checkpoint and
//! below no later group was never acknowledged and is cut off. Everything else that is broken is a tamper
//! alarm: the log does not open and nothing is changed.

use crate::checkpoint::{Checkpoint, NoteError};
use crate::disk::Disk;
use crate::entry::Entry;
use crate::error::{Alarm, Error, disk};
use crate::hash::{Digest, Sm3, TreeHash};
use crate::index;
use crate::levels::{Levels, OnDisk};
use crate::log::{Settings, Torn};
use crate::order;
use crate::reader::frame_at;
use crate::scan::{self, Scan, Step};
use crate::tree::Frontier;
use crate::{frame, proof};
use std::collections::BTreeMap;

/// A log as it was found.
pub(crate) struct Recovered {
    pub(crate) edge: Frontier<Sm3>,
    pub(crate) last: Option<Entry>,
    /// First sequences of the segments, ascending; never empty.
    pub(crate) segments: Vec<u64>,
    /// Bytes of the last segment.
    pub(crate) length: u64,
    /// Bytes of the last checkpoint file.
    pub(crate) notes_length: u64,
    /// The size that the last checkpoint covers.
    pub(crate) covered: u64,
    pub(crate) latest: Option<Checkpoint>,
    pub(crate) levels: Levels,
    pub(crate) torn: Option<Torn>,
}

pub(crate) fn recover<D: Disk>(on: &D, settings: &Settings) -> Result<Recovered, Error> {
    let mut segments = index::segments(on)?;
    let notes_length = mend_notes(on, &segments)?;
    let (covering, latest) = covering(on, &segments, settings)?;
    let covered = covering.last_key_value().map_or(0, |(size, _root)| *size);
    if segments.is_empty() {
        create(on, &Frontier::default())?;
        segments.push(0);
    }
    let (sealed, first) = match segments.split_last() {
        Some((last, sealed)) => (sealed, *last),
        None => return Err(Error::Beyond(0)),
    };

    let mut levels = derived(on, sealed, first)?;
    let mut last = match sealed.last() {
        Some(before) => Some(frame_at(on, *before, first - 1)?.entry),
        None => None,
    };
    let name = index::segment(first);
    let (mut scan, mut edge) = Scan::open(on, &name)?;
    if edge.size() != first {
        return Err(alarm(&name, 8, "the header is of another place in the log"));
    }
    let mut offsets = Vec::new();
    let what = loop {
        if covering.get(&edge.size()).is_some_and(|root| *root != edge.root()) {
            return Err(alarm(&name, scan.offset(), "the entries up to here are not those of a checkpoint"));
        }
        let offset = scan.offset();
        match scan.step()? {
            Step::End => break None,
            Step::Broken(error) => break Some((offset, offset + error.at() as u64, error.to_string())),
            Step::Frame(frame) => {
                if let Err(fault) = order::follow(last.as_ref(), &frame.entry) {
                    break Some((offset, offset + fault.at() as u64, fault.to_string()));
                }
                edge.push(frame.leaf);
                levels.push(frame.leaf);
                offsets.extend_from_slice(&u32::try_from(offset).unwrap_or(u32::MAX).to_be_bytes());
                last = Some(frame.entry);
            }
        }
    };

    let repair = mutant::mutant("audit-tail-repair");
    let mut torn = None;
    let mut length = scan.offset();
    if let Some((offset, at, what)) = what {
        if !repair && (edge.size() < covered || scan.acknowledged(edge.size())?) {
            return Err(alarm(&name, at, &what));
        }
        let end = on.length(&name).map_err(disk("reading", &name))?.unwrap_or(offset);
        on.truncate(&name, offset).map_err(disk("cutting", &name))?;
        on.sync(&name).map_err(disk("syncing", &name))?;
        length = offset;
        torn = Some(Torn { offset, bytes: end.saturating_sub(offset) });
    } else if !repair && edge.size() < covered {
        return Err(alarm(&name, length, "entries below the last checkpoint are gone"));
    }

    let offsets_name = index::offsets(first);
    on.truncate(&offsets_name, 0).map_err(disk("cutting", &offsets_name))?;
    on.write(&offsets_name, 0, &offsets).map_err(disk("writing", &offsets_name))?;
    levels.write(on)?;
    Ok(Recovered { edge, last, segments, length, notes_length, covered, latest, levels, torn })
}

/// Makes the segment that continues `edge`, durably. Returns its length.
pub(crate) fn create<D: Disk>(on: &D, edge: &Frontier<Sm3>) -> Result<u64, Error> {
    let header = frame::segment_header(edge);
    let segment = index::segment(edge.size());
    on.replace(&segment, &header).map_err(disk("creating", &segment))?;
    Ok(header.len() as u64)
}

/// Cuts a torn note off the last checkpoint file. Returns the file's length.
fn mend_notes<D: Disk>(on: &D, segments: &[u64]) -> Result<u64, Error> {
    // A checkpoint file is made after its segment, so one without a segment tells of a deleted segment.
    for name in on.names().map_err(disk("listing", "."))? {
        let digits = name.strip_suffix(".checkpoints").map(str::parse::<u64>);
        if let Some(Ok(first)) = digits
            && !segments.contains(&first)
        {
            return Err(alarm(&index::segment(first), 0, "the segment of a checkpoint file is gone"));
        }
    }
    let Some(last) = segments.last() else { return Ok(0) };
    let name = index::checkpoints(*last);
    let found = scan::notes(on, &name)?;
    match found.broken {
        Some(NoteError::Truncated) => {
            on.truncate(&name, found.length).map_err(disk("cutting", &name))?;
            on.sync(&name).map_err(disk("syncing", &name))?;
        }
        Some(error) => return Err(alarm(&name, found.length, &error.to_string())),
        None => {}
    }
    Ok(found.length)
}

/// The sizes and roots of the newest checkpoint file that has any, and the newest checkpoint, whose signature
/// is verified.
fn covering<D: Disk>(
    on: &D,
    segments: &[u64],
    settings: &Settings,
) -> Result<(BTreeMap<u64, Digest>, Option<Checkpoint>), Error> {
    for first in segments.iter().rev() {
        let name = index::checkpoints(*first);
        let found = scan::notes(on, &name)?;
        if let Some(error) = found.broken {
            return Err(alarm(&name, found.length, &error.to_string()));
        }
        if let Some((offset, newest)) = found.notes.last() {
            newest.verify(&settings.keys).map_err(|error| match error {
                // A key that is not known here says nothing about the log.
                NoteError::UnknownKey => Error::Note(error),
                _ => alarm(&name, *offset, &error.to_string()),
            })?;
            let origin = &newest.body.origin;
            if let Some((offset, _note)) =
                found.notes.iter().find(|(_offset, note)| note.body.origin != *origin)
            {
                return Err(alarm(&name, *offset, &NoteError::Origin.to_string()));
            }
            let head = |(_offset, note): &(u64, Checkpoint)| (note.body.head.size, note.body.head.root);
            return Ok((found.notes.iter().map(head).collect(), Some(newest.clone())));
        }
    }
    Ok((BTreeMap::new(), None))
}

/// The levels below the entry `first`, taken from disk or made again from the `sealed` segments before it.
fn derived<D: Disk>(on: &D, sealed: &[u64], first: u64) -> Result<Levels, Error> {
    let mut whole = true;
    for (at, segment) in sealed.iter().enumerate() {
        let next = sealed.get(at + 1).copied().unwrap_or(first);
        whole &= index::fits(on, *segment, next - segment)?;
    }
    if whole && let Some(levels) = Levels::open(on, first)? {
        let (_scan, edge) = Scan::open(on, &index::segment(first))?;
        if first == 0 || proof::root::<Sm3, _>(&OnDisk(on), first)? == edge.root() {
            return Ok(levels);
        }
    }
    rebuild(on, sealed, first)
}

fn rebuild<D: Disk>(on: &D, sealed: &[u64], first: u64) -> Result<Levels, Error> {
    let mut levels = Levels::open(on, 0)?.unwrap_or_default();
    let mut edge = Frontier::<Sm3>::default();
    for (at, segment) in sealed.iter().enumerate() {
        let next = sealed.get(at + 1).copied().unwrap_or(first);
        let name = index::segment(*segment);
        let (mut scan, before) = Scan::open(on, &name)?;
        if before.size() != edge.size() || before.peaks() != edge.peaks() {
            return Err(alarm(&name, 8, "the header does not continue the segment before"));
        }
        let mut offsets = Vec::new();
        loop {
            let offset = scan.offset();
            match scan.step()? {
                Step::End => break,
                Step::Broken(error) => {
                    return Err(alarm(&name, offset + error.at() as u64, &error.to_string()));
                }
                Step::Frame(frame) => {
                    edge.push(frame.leaf);
                    levels.push(frame.leaf);
                    offsets.extend_from_slice(&u32::try_from(offset).unwrap_or(u32::MAX).to_be_bytes());
                }
            }
        }
        if edge.size() != next {
            return Err(alarm(&name, scan.offset(), "entries at the end of the segment are gone"));
        }
        let offsets_name = index::offsets(*segment);
        on.replace(&offsets_name, &offsets).map_err(disk("writing", &offsets_name))?;
        levels.write(on)?;
    }
    let (_scan, expected) = Scan::open(on, &index::segment(first))?;
    if first > 0 && expected.root() != edge.root() || first == 0 && edge.root() != Sm3::empty() {
        return Err(alarm(&index::segment(first), 16, "the header does not continue the segment before"));
    }
    Ok(levels)
}

fn alarm(file: &str, offset: u64, what: &str) -> Error {
    Error::Tampered(Alarm { file: file.to_owned(), offset, what: what.to_owned() })
}
