//! Personal values beside the log, where they can be erased.
//!
//! An entry holds SM3(salt ‖ value) only. `<first>.personal` holds records {digest [32], salt [16], length
//! u16, value}. To erase one, its file is written anew without it; then nothing leads from the digest to the
//! value, and every proof of the log stays valid. On storage that does not overwrite in place a copy may
//! outlive that; where it must not, the folder lies on an encrypted volume.

use crate::disk::Disk;
use crate::error::{Error, disk};
use crate::hash::{Digest, Sm3, TreeHash};

/// The bytes of a record before its value.
const FIXED: usize = 32 + 16 + 2;

/// A value about a person, with the salt that keeps it from being guessed. It has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal {
    salt: [u8; 16],
    value: String,
}

impl Personal {
    /// A value with its own random salt; `None` where the value is over 65,535 bytes.
    pub fn new(salt: [u8; 16], value: String) -> Option<Self> {
        (value.len() <= usize::from(u16::MAX)).then_some(Self { salt, value })
    }

    /// SM3(salt ‖ value): what stands in the entry.
    pub fn digest(&self) -> Digest {
        Sm3::digest(&[&self.salt, self.value.as_bytes()])
    }

    /// The value. The caller has checked the right and written the entry that says so.
    pub fn reveal(&self) -> &str {
        &self.value
    }
}

pub(crate) fn name(first: u64) -> String {
    format!("{first:020}.personal")
}

/// Appends the record of `value`.
pub(crate) fn write(out: &mut Vec<u8>, value: &Personal) {
    out.extend_from_slice(&value.digest());
    out.extend_from_slice(&value.salt);
    // The constructor bounds the length.
    out.extend_from_slice(&u16::try_from(value.value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value.value.as_bytes());
}

/// The length of the whole records of a segment's file; a torn one behind them is cut off.
pub(crate) fn mend<D: Disk>(on: &D, first: u64) -> Result<u64, Error> {
    let name = name(first);
    let bytes = load(on, &name)?;
    let whole: usize = records(&bytes).map(|(_value, record)| record.len()).sum();
    if whole < bytes.len() {
        on.truncate(&name, whole as u64).map_err(disk("cutting", &name))?;
    }
    Ok(whole as u64)
}

/// The value of this digest, if it was not erased.
pub(crate) fn find<D: Disk>(on: &D, segments: &[u64], digest: &Digest) -> Result<Option<Personal>, Error> {
    for first in segments.iter().rev() {
        let bytes = load(on, &name(*first))?;
        let found = records(&bytes).find(|(value, _record)| value.digest() == *digest);
        if let Some((value, _record)) = found {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Writes every file that holds the value of this digest anew, without it.
pub(crate) fn erase<D: Disk>(on: &D, segments: &[u64], digest: &Digest) -> Result<bool, Error> {
    let mut erased = false;
    for first in segments {
        let name = name(*first);
        let bytes = load(on, &name)?;
        let kept: Vec<u8> = records(&bytes)
            .filter(|(value, _record)| value.digest() != *digest)
            .flat_map(|(_value, record)| record.to_vec())
            .collect();
        if records(&bytes).any(|(value, _record)| value.digest() == *digest) {
            on.replace(&name, &kept).map_err(disk("erasing from", &name))?;
            erased = true;
        }
    }
    Ok(erased)
}

fn load<D: Disk>(on: &D, name: &str) -> Result<Vec<u8>, Error> {
    let length = on.length(name).map_err(disk("reading", name))?.unwrap_or(0);
    let mut bytes = vec![0; usize::try_from(length).map_err(|_beyond| Error::Beyond(length))?];
    let read = if length == 0 { 0 } else { on.read(name, 0, &mut bytes).map_err(disk("reading", name))? };
    bytes.truncate(read);
    Ok(bytes)
}

/// The whole records at the beginning of `bytes`, each with its own bytes.
fn records(bytes: &[u8]) -> impl Iterator<Item = (Personal, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let fixed = rest.first_chunk::<FIXED>()?;
        let length = FIXED + usize::from(u16::from_be_bytes([fixed[48], fixed[49]]));
        let (record, more) = rest.split_at_checked(length)?;
        let mut salt = [0; 16];
        salt.copy_from_slice(&fixed[32..48]);
        let value = Personal { salt, value: std::str::from_utf8(&record[FIXED..]).ok()?.to_owned() };
        if value.digest() != fixed[..32] {
            return None;
        }
        rest = more;
        Some((value, record))
    })
}
