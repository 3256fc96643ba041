//! Where recordings lie.
//!
//! ```text
//!  recordings/ID/about.json   what is known of it, replaced whole
//!  recordings/ID/N.sealed     segment N: one life of the daemon, one data key
//!  keys/ID-N.dek              the wrapped key of that segment, apart, so that a backup of recordings has no keys
//! ```

use envelope::{Segment, WrappedDek};
use record_api::Recording;
use record_core::Counts;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use types::RecordingId;

/// The two directories.
#[derive(Clone, Debug)]
pub struct Shelf {
    recordings: PathBuf,
    keys: PathBuf,
}

/// What is known of a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// As it is shown.
    pub recording: Recording,
    /// How many segments it has.
    pub segments: u32,
}

impl About {
    /// Adds what one life of the daemon counted.
    pub fn count(&mut self, counts: Counts) {
        self.recording.packets += counts.packets;
        self.recording.lost += counts.lost;
    }
}

impl Shelf {
    /// The shelf in this directory, made where it is not there.
    ///
    /// # Errors
    /// The kernel's.
    pub fn at(state: &Path) -> io::Result<Self> {
        let shelf = Self { recordings: state.join("recordings"), keys: state.join("keys") };
        make_directory(&shelf.recordings)?;
        make_directory(&shelf.keys)?;
        File::open(state)?.sync_all()?;
        Ok(shelf)
    }

    /// The directory of sealed files.
    pub fn recordings(&self) -> &Path {
        &self.recordings
    }

    /// A new, empty segment file and its durable key. Fails where the segment holds something already: nothing
    /// is ever appended to an earlier life, nor its key replaced. An empty file is one that a crash left before
    /// it was known of.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new_segment(
        &self,
        recording: RecordingId,
        segment: Segment,
        key: &WrappedDek,
    ) -> io::Result<File> {
        let directory = self.recordings.join(recording.to_string());
        make_directory(&directory)?;
        let path = self.sealed_path(recording, segment);
        if path.metadata().is_ok_and(|left| left.len() == 0) {
            fs::remove_file(&path)?;
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        write_durably(&self.key_path(recording, segment), &key.to_bytes())?;
        File::open(&directory)?.sync_all()?;
        File::open(&self.recordings)?.sync_all()?;
        Ok(file)
    }

    /// Replaces what is known of a recording; durable when this returns.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write_about(&self, about: &About) -> io::Result<()> {
        let directory = self.recordings.join(about.recording.recording.to_string());
        make_directory(&directory)?;
        write_durably(&directory.join("about.json"), &serde_json::to_vec_pretty(about)?)
    }

    /// What is known of a recording; nothing where there is none.
    ///
    /// # Errors
    /// The kernel's, or a file that is not ours.
    pub fn about(&self, recording: RecordingId) -> io::Result<Option<About>> {
        match fs::read(self.recordings.join(recording.to_string()).join("about.json")) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every recording that can be read, in no order; one that cannot is told in the journal.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(&self) -> io::Result<Vec<About>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.recordings)? {
            let name = entry?.file_name();
            let Some(recording) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            match self.about(recording) {
                Ok(Some(about)) => found.push(about),
                Ok(None) => tracing::warn!(%recording, "a recording's directory has no about.json"),
                Err(error) => tracing::error!(%recording, %error, "a recording cannot be read"),
            }
        }
        Ok(found)
    }

    /// The sealed file of a segment.
    pub fn sealed_path(&self, recording: RecordingId, segment: Segment) -> PathBuf {
        self.recordings.join(recording.to_string()).join(format!("{}.sealed", segment.0))
    }

    /// The wrapped key of a segment.
    ///
    /// # Errors
    /// The kernel's, or no wrapped key in the file.
    pub fn key(&self, recording: RecordingId, segment: Segment) -> io::Result<WrappedDek> {
        let bytes = fs::read(self.key_path(recording, segment))?;
        WrappedDek::from_bytes(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn key_path(&self, recording: RecordingId, segment: Segment) -> PathBuf {
        self.keys.join(format!("{recording}-{}.dek", segment.0))
    }
}

/// For this daemon's user alone, whatever the umask.
fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes the file whole or not at all: beside it, synced, renamed, and the directory synced.
fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}
