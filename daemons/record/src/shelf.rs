//! Where recordings lie.
//!
//! ```text
//!  recordings/ID/about.json   what is known of it, a line a change: the last whole one counts
//!  recordings/ID/N.sealed     segment N: one life of the daemon, one data key
//!  catalogue                  which recordings there are: see there
//!  trend.json                 what was free, hour by hour
//!  keys/ID-N.dek              the wrapped key of that segment, apart, so that a backup of recordings has no keys
//! ```

use crate::{
    catalogue::{Catalogue, Place, folders},
    recorder::locked,
};
use envelope::{Segment, WrappedDek};
use mutant::mutant;
use nix::sys::statvfs::statvfs;
use record_api::{MEMO, Outcome, Recording, RecordingState};
use record_core::{Counts, Trend};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use types::{CallId, Page, RecordingId, Uid, Utc};

const ABOUT: &str = "about.json";
/// In bytes: a longer `about.json` is written anew, with its last line alone.
const LINES: u64 = 64 << 10;

/// The two directories.
#[derive(Clone)]
pub struct Shelf {
    recordings: PathBuf,
    keys: PathBuf,
    trend: PathBuf,
    catalogue: Arc<Catalogue>,
    /// Held while the catalogue is compared with the folders, once in a life.
    compared: Arc<Mutex<bool>>,
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
    /// What route wants to be told of its call after a loss of power, until its outcome is in the call record.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub memo: String,
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
        Self {
            recording,
            segments: 0,
            written: Written::Whole,
            deletion: None,
            outcomes: 0,
            noted: 0,
            memo: String::new(),
        }
    }

    /// Takes a newer memo, where there is one.
    pub fn remember(&mut self, memo: String) {
        if !memo.is_empty() && memo.len() <= MEMO {
            self.memo = memo;
        }
    }

    /// Whether nobody has ended it yet.
    pub fn is_unfinished(&self) -> bool {
        self.recording.state == RecordingState::Recording
    }

    /// What became of it, where its call record does not know yet.
    pub fn outcome(&self) -> Option<Outcome> {
        (self.outcomes > self.noted).then(|| self.as_it_is())
    }

    /// What is to be told to a route that may not know its call: it is not ended, or its call record does not know
    /// how.
    pub fn left_behind(&self) -> Option<Outcome> {
        (self.is_unfinished() || self.outcomes > self.noted)
            .then(|| Outcome { memo: self.memo.clone(), ..self.as_it_is() })
    }

    fn as_it_is(&self) -> Outcome {
        let about = &self.recording;
        Outcome {
            recording: about.recording,
            call: about.call,
            number: self.outcomes,
            at: about.deleted.or(about.ended).unwrap_or(about.began),
            state: about.state,
            digest: about.digest.clone(),
            lost: about.lost,
            masked: about.masked,
            memo: String::new(),
        }
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
            catalogue: Arc::new(Catalogue::open(state.join("catalogue"))?),
            compared: Arc::default(),
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

    /// A new, empty segment file, its key, and what is known of the recording from now on: durable when this
    /// returns. Fails where the segment holds something already: nothing is ever appended to an earlier life, nor
    /// its key replaced. An empty file is one that a crash left before it was known of.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new_segment(&self, about: &About, segment: Segment, key: &WrappedDek) -> io::Result<File> {
        let recording = about.recording.recording;
        let directory = self.recordings.join(recording.to_string());
        make_directory(&directory)?;
        let path = self.sealed_path(recording, segment);
        if path.metadata().is_ok_and(|left| left.len() == 0) {
            fs::remove_file(&path)?;
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        // Everything is written before the first sync, so that one commit of the file system takes all of it. Until
        // the directories are synced nobody counts on any of these.
        let mut kept = File::options();
        let mut kept = kept
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.key_path(recording, segment))?;
        kept.write_all(&key.to_bytes())?;
        let known = Self::append(&directory, about)?;
        for written in [&kept, &known] {
            to_disk(written)?;
        }
        for names in [&directory, &self.keys, &self.recordings] {
            to_disk(&File::open(names)?)?;
        }
        self.catalogue.put(about);
        Ok(file)
    }

    /// Keeps what is known of a recording; durable when this returns.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write_about(&self, about: &About) -> io::Result<()> {
        let directory = self.recordings.join(about.recording.recording.to_string());
        make_directory(&directory)?;
        let path = directory.join(ABOUT);
        // With the recording goes what earlier lines say of its call.
        let appended = about.recording.state != RecordingState::Deleted;
        match path.metadata() {
            Ok(present) if present.len() < LINES && appended => to_disk(&Self::append(&directory, about)?)?,
            _ => write_durably(&path, &line(about)?)?,
        }
        self.catalogue.put(about);
        Ok(())
    }

    /// Keeps what may be lost in a power cut, because it would be found out again.
    ///
    /// # Errors
    /// The kernel's.
    pub fn note_about(&self, about: &About) -> io::Result<()> {
        let directory = self.recordings.join(about.recording.recording.to_string());
        Self::append(&directory, about)?;
        self.catalogue.put(about);
        Ok(())
    }

    /// What is known of a recording; nothing where there is none.
    ///
    /// # Errors
    /// The kernel's, or a file that is not ours.
    pub fn about(&self, recording: RecordingId) -> io::Result<Option<About>> {
        let bytes = match fs::read(self.recordings.join(recording.to_string()).join(ABOUT)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // The last line is torn where the machine ended while it was written: the one before it holds.
        let mut lines = bytes.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let whole = |line: &[u8]| serde_json::from_slice(line).ok();
        let last = match mutant("record-torn-about-read") {
            true => lines.next().and_then(whole),
            false => lines.find_map(whole),
        };
        match last {
            Some(about) => Ok(Some(about)),
            // Over several lines, as earlier versions wrote it.
            None => Ok(Some(serde_json::from_slice(&bytes)?)),
        }
    }

    fn append(directory: &Path, about: &About) -> io::Result<File> {
        let file =
            File::options().read(true).append(true).create(true).mode(0o600).open(directory.join(ABOUT))?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        let mut text = if last == [b'\n'] { Vec::new() } else { vec![b'\n'] };
        text.extend(line(about)?);
        (&file).write_all(&text)?;
        Ok(file)
    }

    /// The newest recordings first that began within these bounds, older than `after`, and of this call where one is
    /// asked for; and whether there are more.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn newest(
        &self,
        page: &Page,
        after: Option<Place>,
        call: Option<CallId>,
    ) -> io::Result<(Vec<About>, bool)> {
        self.compare()?;
        let until = page.until.map(|until| (until, RecordingId(Uid([0; 16]))));
        let mut before = match (until, after) {
            (Some(until), Some(after)) => Some(until.min(after)),
            (until, after) => until.or(after),
        };
        let mut found = Vec::new();
        loop {
            let wanted = page.rows() + 1 - found.len();
            let places = self.catalogue.newest(page.from, before, call, wanted);
            before = places.last().copied().or(before);
            let last = places.len() < wanted;
            found.extend(self.read(places));
            // One that cannot be read leaves room for the next.
            if last || found.len() > page.rows() {
                let more = found.len() > page.rows();
                found.truncate(page.rows());
                return Ok((found, more));
            }
        }
    }

    /// Recordings that an earlier life did not bring to their end, or that may be due for deletion; among them some of
    /// which nothing is to be done.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn unsettled(&self, now: Utc) -> io::Result<Vec<About>> {
        self.compare()?;
        Ok(self.read(self.catalogue.unsettled(now)))
    }

    /// Recordings that may be due for deletion.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn due(&self, now: Utc) -> io::Result<Vec<About>> {
        self.compare()?;
        Ok(self.read(self.catalogue.due(now)))
    }

    /// Reads what is known of these; one that cannot be read is told in the journal.
    fn read(&self, places: Vec<Place>) -> Vec<About> {
        let mut found = Vec::new();
        for place @ (_, recording) in places {
            match self.about(recording) {
                Ok(Some(about)) => found.push(about),
                Ok(None) => {
                    tracing::warn!(%recording, "a recording has no about.json");
                    self.catalogue.forget(place);
                }
                Err(error) => tracing::error!(%recording, %error, "a recording cannot be read"),
            }
        }
        found
    }

    /// Adds to the catalogue what lies here and is not in it: a loss of power took its row, or somebody brought the
    /// recordings back from elsewhere.
    fn compare(&self) -> io::Result<()> {
        let mut compared = locked(&self.compared);
        if *compared || mutant("record-catalogue-believed") {
            return Ok(());
        }
        let missing = self.catalogue.missing(folders(&self.recordings)?);
        if !missing.is_empty() {
            tracing::info!(recordings = missing.len(), "the catalogue lacks recordings: they are added");
        }
        for recording in missing {
            match self.about(recording) {
                Ok(Some(about)) => self.catalogue.put(&about),
                // A kill came before it was begun.
                Ok(None) => {}
                Err(error) => tracing::error!(%recording, %error, "a recording cannot be read"),
            }
        }
        *compared = true;
        Ok(())
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

fn line(about: &About) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(about)?;
    text.push(b'\n');
    Ok(text)
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

/// fsync(2).
fn to_disk(file: &File) -> io::Result<()> {
    #[cfg(test)]
    tests::SYNCS.with(|syncs| syncs.set(syncs.get() + 1));
    file.sync_all()
}

/// Writes the file whole or not at all: beside it, synced, renamed, and the directory synced.
fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    to_disk(&file)?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |directory| to_disk(&File::open(directory)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::{Dek, Epoch, Kek, KekId, ObjectId};
    use std::cell::Cell;
    use types::{CallId, Uid};

    const ID: RecordingId = RecordingId(Uid([1; 16]));

    thread_local! {
        /// Of this thread's test.
        pub(super) static SYNCS: Cell<u32> = const { Cell::new(0) };
    }

    /// How often the disk is asked to keep what this writes.
    fn syncs(write: impl FnOnce()) -> u32 {
        let before = SYNCS.get();
        write();
        SYNCS.get() - before
    }

    /// What a recording costs beside its sealed file: every one more is felt with each call.
    #[test]
    fn a_recording_costs_so_many_syncs_and_no_more() {
        let state = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(state.path()).unwrap();
        let kek = Kek::new(KekId(Uid([3; 16])), Epoch(0), &[4; 32]);
        let key = kek.wrap(ObjectId(ID.0), &Dek::from_bytes([5; 16])).unwrap();
        let listed = |shelf: &Shelf| shelf.newest(&Page::of(1), None, None).unwrap().0.len();
        assert_eq!(listed(&shelf), 0);
        let begun = syncs(|| drop(shelf.new_segment(&about(0), Segment(0), &key).unwrap()));
        assert_eq!(begun, 5, "the key, what is known, and three directories");
        assert_eq!(listed(&shelf), 1, "from its first moment");
        assert_eq!(shelf.key(ID, Segment(0)).unwrap().to_bytes(), key.to_bytes());
        assert!(shelf.new_segment(&about(0), Segment(0), &key).is_ok(), "a crash left it empty");
        assert_eq!(syncs(|| shelf.write_about(&about(1)).unwrap()), 1, "a party joins");
        assert_eq!(syncs(|| shelf.write_about(&about(2)).unwrap()), 1, "it is sealed");
        assert_eq!(syncs(|| shelf.note_about(&about(3)).unwrap()), 0, "its outcome is in the call record");
        assert_eq!(packets(&shelf), 3);
    }

    fn about(packets: u64) -> About {
        About::new(Recording {
            recording: ID,
            call: CallId(Uid([2; 16])),
            began: Utc(0),
            ended: None,
            state: RecordingState::Recording,
            tracks: Vec::new(),
            size: 0,
            digest: String::new(),
            packets,
            lost: 0,
            masked: 0,
            queues: Vec::new(),
            retained_until: None,
            hold: None,
            deleted: None,
        })
    }

    fn packets(shelf: &Shelf) -> u64 {
        shelf.about(ID).unwrap().unwrap().recording.packets
    }

    /// Mutant record-torn-about-read.
    #[test]
    fn the_last_whole_line_counts() {
        let state = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(state.path()).unwrap();
        assert!(shelf.about(ID).unwrap().is_none());
        shelf.write_about(&about(1)).unwrap();
        shelf.note_about(&about(2)).unwrap();
        assert_eq!(packets(&shelf), 2);
        let path = shelf.recordings().join(ID.to_string()).join(ABOUT);
        let whole = fs::read(&path).unwrap();
        // Wherever a power cut tears the last line, and whatever the disk has in its place, the one before holds.
        let second = whole.len() / 2;
        for end in second..whole.len() - 2 {
            for rest in [0, 7] {
                let torn = [&whole[..end], &vec![0; rest]].concat();
                fs::write(&path, &torn).unwrap();
                assert_eq!(packets(&shelf), 1, "cut at {end}");
                shelf.write_about(&about(3)).unwrap();
                assert_eq!(packets(&shelf), 3, "cut at {end}, then written");
            }
        }
    }

    #[test]
    fn lines_do_not_grow_for_ever_and_an_earlier_version_s_form_is_read() {
        let state = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(state.path()).unwrap();
        for number in 0..1_000 {
            shelf.write_about(&about(number)).unwrap();
            assert_eq!(packets(&shelf), number);
        }
        let path = shelf.recordings().join(ID.to_string()).join(ABOUT);
        assert!(path.metadata().unwrap().len() < LINES + 4_096);
        fs::write(&path, serde_json::to_vec_pretty(&about(5)).unwrap()).unwrap();
        assert_eq!(packets(&shelf), 5);
        shelf.write_about(&about(6)).unwrap();
        assert_eq!(packets(&shelf), 6);
    }
}
