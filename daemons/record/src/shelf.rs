//! Where recordings lie.
//!
//! ```text
//!  recordings/ID/about.json   what is known of it, replaced whole
//!  recordings/ID/N.sealed     segment N: one life of the daemon, one data key
//!  trend.json                 what was free, hour by hour
//!  keys/ID-N.dek              the wrapped key of that segment, apart, so that a backup of recordings has no keys
//! ```

use envelope::{Segment, WrappedDek};
use mutant::mutant;
use nix::sys::statvfs::statvfs;
use record_api::{Outcome, Recording, RecordingState};
use record_core::{Counts, Trend};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use types::{RecordingId, Utc};

/// The two directories.
#[derive(Clone, Debug)]
pub struct Shelf {
    recordings: PathBuf,
    keys: PathBuf,
    trend: PathBuf,
}

/// What is known of a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// As it is shown.
    pub recording: Recording,
    /// How many segments it has.
    pub segments: u32,
    /// Whether each life of the daemon brought its bytes to the disk.
    #[serde(default)]
    pub written: Written,
    /// The entry with which its deletion began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<u64>,
    /// How many outcomes it has had: sealed or truncated, deleted.
    #[serde(default)]
    pub outcomes: u32,
    /// The last of them that is in the call record.
    #[serde(default)]
    pub noted: u32,
}

/// Whether sealed audio was lost on its way to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// All of it came there, as far as is known.
    #[default]
    Whole,
    /// Some of it did not: the file is truncated, however it ends.
    Torn,
}

impl About {
    /// Of a recording that begins.
    pub fn new(recording: Recording) -> Self {
        Self { recording, segments: 0, written: Written::Whole, deletion: None, outcomes: 0, noted: 0 }
    }

    /// Whether nobody has ended it yet.
    pub fn is_unfinished(&self) -> bool {
        self.recording.state == RecordingState::Recording
    }

    /// What became of it, where its call record does not know yet.
    pub fn outcome(&self) -> Option<Outcome> {
        let about = &self.recording;
        (self.outcomes > self.noted).then(|| Outcome {
            recording: about.recording,
            call: about.call,
            number: self.outcomes,
            at: about.deleted.or(about.ended).unwrap_or(about.began),
            state: about.state,
            digest: about.digest.clone(),
            lost: about.lost,
            masked: about.masked,
        })
    }

    /// Until when it is kept at least, by these settings: never shorter than what held when it was sealed.
    pub fn retained_until(&self, rule: &settings::record::Record) -> Option<Utc> {
        let ended = self.recording.ended?;
        let now = ended.plus(rule.retention(&self.recording.queues).duration());
        Some(self.recording.retained_until.map_or(now, |promised| promised.max(now)))
    }

    /// Whether it is to be deleted: its retention is over and nobody holds it, or its deletion has begun.
    pub fn due(&self, rule: &settings::record::Record, now: Utc) -> bool {
        match self.recording.state {
            RecordingState::Recording => false,
            RecordingState::Deleted => self.recording.deleted.is_none(),
            RecordingState::Sealed | RecordingState::Truncated => {
                let held = self.recording.hold.is_some() && !mutant("record-hold-ignored");
                !held && self.retained_until(rule).is_some_and(|until| until < now)
            }
        }
    }

    /// Adds what one life of the daemon counted.
    pub fn count(&mut self, counts: Counts) {
        self.recording.packets += counts.packets;
        self.recording.lost += counts.lost;
        self.recording.masked += counts.masked;
    }
}

impl Shelf {
    /// The shelf in this directory, made where it is not there.
    ///
    /// # Errors
    /// The kernel's.
    pub fn at(state: &Path) -> io::Result<Self> {
        let shelf = Self {
            recordings: state.join("recordings"),
            keys: state.join("keys"),
            trend: state.join("trend.json"),
        };
        make_directory(&shelf.recordings)?;
        make_directory(&shelf.keys)?;
        File::open(state)?.sync_all()?;
        Ok(shelf)
    }

    /// The directory of sealed files.
    pub fn recordings(&self) -> &Path {
        &self.recordings
    }

    /// How many bytes may still be written.
    ///
    /// # Errors
    /// The kernel's.
    pub fn free(&self) -> io::Result<u64> {
        let disk = statvfs(&self.recordings)?;
        Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }

    /// What was free, as an earlier life kept it; nothing where there is none that can be read.
    pub fn trend(&self) -> Trend {
        let bytes = fs::read(&self.trend).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Keeps what was free.
    ///
    /// # Errors
    /// The kernel's.
    pub fn keep_trend(&self, trend: &Trend) -> io::Result<()> {
        write_durably(&self.trend, &serde_json::to_vec(trend)?)
    }

    /// Whether the disk takes a few bytes and keeps them.
    ///
    /// # Errors
    /// The kernel's.
    pub fn probe(&self) -> io::Result<()> {
        let path = self.trend.with_file_name("probe");
        write_durably(&path, &[0; 4096])?;
        fs::remove_file(path)
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

    /// Removes the keys of a recording, then its sound; durable when this returns. What is gone already is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn erase(&self, recording: RecordingId, segments: u32) -> io::Result<()> {
        // One segment more than is known of: a crash may have left its key.
        for segment in (0..=segments).map(Segment) {
            if !mutant("record-key-outlives") {
                let key = self.key_path(recording, segment);
                gone(fs::remove_file(key.with_extension("new")))?;
                gone(fs::remove_file(key))?;
            }
        }
        File::open(&self.keys)?.sync_all()?;
        for segment in (0..=segments).map(Segment) {
            gone(fs::remove_file(self.sealed_path(recording, segment)))?;
        }
        File::open(self.recordings.join(recording.to_string()))?.sync_all()
    }

    fn key_path(&self, recording: RecordingId, segment: Segment) -> PathBuf {
        self.keys.join(format!("{recording}-{}.dek", segment.0))
    }
}

/// Not to be there any more is what was wanted.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
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
