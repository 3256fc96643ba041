//! The names of the files, and where in its segment each entry begins.
//!
//! `<first>.index` holds one u32 an entry, big-endian: the offset of its frame. It is derived from the segment
//! and written again whenever it does not fit.

use crate::disk::Disk;
use crate::error::{Error, disk};

/// The decimal digits of a sequence in a file name, so that names sort as the sequences do.
const DIGITS: usize = 20;

pub(crate) fn segment(first: u64) -> String {
    format!("{first:0DIGITS$}.segment")
}

pub(crate) fn checkpoints(first: u64) -> String {
    format!("{first:0DIGITS$}.checkpoints")
}

pub(crate) fn offsets(first: u64) -> String {
    format!("{first:0DIGITS$}.index")
}

/// The first sequences of all segments, ascending.
pub(crate) fn segments<D: Disk>(on: &D) -> Result<Vec<u64>, Error> {
    let names = on.names().map_err(disk("listing", "."))?;
    let first = |name: &String| {
        let digits = name.strip_suffix(".segment").filter(|digits| digits.len() == DIGITS)?;
        digits.parse().ok()
    };
    let mut found: Vec<u64> = names.iter().filter_map(first).collect();
    found.sort_unstable();
    Ok(found)
}

/// Whether the index of the sealed segment `first` is as long as its `entries` ask.
pub(crate) fn fits<D: Disk>(on: &D, first: u64, entries: u64) -> Result<bool, Error> {
    let name = offsets(first);
    Ok(on.length(&name).map_err(disk("reading", &name))? == Some(entries * 4))
}

/// The offset of the `at`-th frame of the segment `first`.
pub(crate) fn offset<D: Disk>(on: &D, first: u64, at: u64) -> Result<Option<u64>, Error> {
    let name = offsets(first);
    let mut bytes = [0; 4];
    let read = on.read(&name, at * 4, &mut bytes).map_err(disk("reading", &name))?;
    Ok((read == 4).then(|| u64::from(u32::from_be_bytes(bytes))))
}
