//! Acts whose end audit has not confirmed, kept on disk so that no installation goes untold, also not one
//! that a kill interrupted.

use crate::book::{Book, disk_error, entries};
use crate::disk::{Disk, UNFINISHED};
use crate::error::Error;
use audit_event::{Event, Outcome};
use host_api::Version;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

/// One end that is owed to audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owed {
    /// The event, its outcome still open.
    pub event: Event,
    /// What was to be installed: whether it was, the book tells.
    pub version: Version,
}

impl Owed {
    /// The event with the outcome that the book shows.
    pub fn told<D: Disk>(&self, book: &Book<D>) -> Event {
        let mut event = self.event.clone();
        event.outcome = if book.versions().contains(&self.version) { Outcome::Done } else { Outcome::Failed };
        event
    }
}

/// Where one owed end is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip(PathBuf);

/// Keeps it until [`forget`].
///
/// # Errors
/// The disk refused: the act must not go on.
pub fn keep<D: Disk>(book: &mut Book<D>, name: &str, owed: &Owed) -> Result<Slip, Error> {
    let directory = book.directory().join("owed");
    let name = format!("{name}.json");
    let bytes = serde_json::to_vec(owed).unwrap_or_default();
    let path = directory.join(&name);
    book.disk.put(&directory, &name, &bytes).map_err(disk_error("write", &path))?;
    Ok(Slip(path))
}

/// Forgets what audit has confirmed.
pub fn forget<D: Disk>(book: &mut Book<D>, slip: &Slip) {
    if let Err(error) = book.disk.remove(&slip.0) {
        // It will be told to audit once more after the next start, which does no harm.
        tracing::warn!(%error, path = %slip.0.display(), "cannot remove what audit has confirmed");
    }
}

/// Everything that is owed, the oldest first.
///
/// # Errors
/// The directory cannot be read.
pub fn all<D: Disk>(book: &mut Book<D>) -> Result<Vec<(Slip, Owed)>, Error> {
    let mut owed = Vec::new();
    for path in entries(&book.directory().join("owed"))? {
        if path.to_string_lossy().ends_with(UNFINISHED) {
            book.disk.remove(&path).map_err(disk_error("remove", &path))?;
            continue;
        }
        let bytes = fs::read(&path).map_err(disk_error("read", &path))?;
        match serde_json::from_slice::<Owed>(&bytes) {
            Ok(one) => owed.push((Slip(path), one)),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "an act that is owed to audit is damaged")
            }
        }
    }
    owed.sort_by_key(|(_, owed)| owed.version.installed);
    Ok(owed)
}
