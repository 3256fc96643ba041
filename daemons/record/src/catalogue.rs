//! Which recordings there are, so that a list reads only the files that it shows.
//!
//! What is known of a recording stands in its `about.json` alone. The catalogue holds what does not change of it (when
//! it began, its call), and how far a start or a round of deletion may pass it over. It lies in memory, some 80 bytes a
//! recording, and in a file that is only ever appended to:
//!
//! ```text
//!  catalogue = row ‖ row ‖ …              the last row of a recording counts
//!  row       = began i64 ‖ recording [16] ‖ call [16] ‖ due i64 ‖ open u8 ‖ 0 [7] ‖ SM3 of these, its first 8 bytes
//! ```
//!
//! The file is written after `about.json`, never synced, and may be taken away. What a kill or a loss of power takes of it
//! costs reading and nothing else: a recording without a row is found by its folder, and of an older row one reads too
//! much rather than too little, for a recording only ever goes from open to settled to due to deleted.

use crate::{recorder::locked, shelf::About};
use gm::sm3;
use record_api::RecordingState;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    ops::Bound,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
};
use types::{CallId, RecordingId, Uid, Utc};

const ROW: usize = 64;
const CHECKED: usize = 56;
/// So many rows a recording in the file, and some more while it is open, and it is written anew.
const MOST: usize = 2;
const ROOM: usize = 4096;

/// Where a recording stands among the others: by its beginning, then by its id.
pub type Place = (Utc, RecordingId);

/// Every recording, as far as lists, starts and deletions must know.
pub struct Catalogue(Mutex<Held>);

struct Held {
    rows: BTreeMap<Place, Row>,
    path: PathBuf,
    /// What is appended to, where the disk takes it.
    file: Option<File>,
    /// Rows in it.
    written: usize,
}

/// What the catalogue has of one recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    call: CallId,
    /// From when on it may be due for deletion.
    due: Option<Utc>,
    stand: Stand,
}

/// Whether a start has to look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It goes on, or its outcome is not in the call record.
    Open,
    /// Nothing of it is left to be done before it is due.
    Settled,
}

impl Catalogue {
    /// Reads the catalogue at this path; an empty one where there is none. What is torn is left out.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let rows: BTreeMap<_, _> = bytes.as_chunks::<ROW>().0.iter().filter_map(read).collect();
        let mut held = Held { rows, path, file: None, written: bytes.len().div_ceil(ROW) };
        if held.written > MOST * held.rows.len() || !bytes.len().is_multiple_of(ROW) {
            held.write_anew()?;
        }
        held.file = Some(OpenOptions::new().append(true).create(true).mode(0o600).open(&held.path)?);
        Ok(Self(Mutex::new(held)))
    }

    /// What is known of a recording is on the disk.
    pub fn put(&self, about: &About) {
        let (place, row) = Row::of(about);
        let mut held = locked(&self.0);
        if held.rows.get(&place) != Some(&row) {
            held.put(place, row);
        }
    }

    /// Those among these whose row is missing.
    pub fn missing(&self, mut all: BTreeSet<RecordingId>) -> BTreeSet<RecordingId> {
        locked(&self.0).rows.keys().for_each(|(_, recording)| {
            all.remove(recording);
        });
        all
    }

    /// Forgets a recording that has no file: a kill came before it was written.
    pub fn forget(&self, place: Place) {
        locked(&self.0).rows.remove(&place);
    }

    /// Recordings that a start has to look at, or that may be due for deletion now.
    pub fn unsettled(&self, now: Utc) -> Vec<Place> {
        let held = locked(&self.0);
        let rows = held.rows.iter();
        rows.filter(|(_, row)| row.stand == Stand::Open || row.is_due(now)).map(|(place, _)| *place).collect()
    }

    /// Recordings that may be due for deletion now.
    pub fn due(&self, now: Utc) -> Vec<Place> {
        let held = locked(&self.0);
        held.rows.iter().filter(|(_, row)| row.is_due(now)).map(|(place, _)| *place).collect()
    }

    /// The newest first that began within these bounds, before this place, and of this call where one is asked for; at
    /// most so many.
    pub fn newest(
        &self,
        from: Option<Utc>,
        before: Option<Place>,
        call: Option<CallId>,
        most: usize,
    ) -> Vec<Place> {
        const FIRST: RecordingId = RecordingId(Uid([0; 16]));
        let start = from.map_or(Bound::Unbounded, |from| Bound::Included((from, FIRST)));
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        if let (Bound::Included(start), Bound::Excluded(end)) = (&start, &end)
            && start >= end
        {
            return Vec::new();
        }
        let held = locked(&self.0);
        let rows = held.rows.range((start, end)).rev();
        let of = |row: &Row| call.is_none_or(|call| row.call == call);
        rows.filter(|(_, row)| of(row)).map(|(place, _)| *place).take(most).collect()
    }
}

impl Held {
    /// In memory, and in the file where the disk takes it: one that is full costs the next start some reading.
    fn put(&mut self, place: Place, row: Row) {
        self.rows.insert(place, row);
        if let Err(error) = self.write(&row.bytes(place)) {
            tracing::warn!(%error, "the catalogue of recordings is not written: the next start reads more");
            self.file = None;
            // Half of a catalogue would be believed where none is made anew.
            let _gone = fs::remove_file(&self.path);
        }
    }

    fn write(&mut self, row: &[u8; ROW]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(row)?;
        self.written += 1;
        if self.written > MOST * self.rows.len() + ROOM {
            self.write_anew()?;
            self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        }
        Ok(())
    }

    /// One row a recording, in a new file.
    fn write_anew(&mut self) -> io::Result<()> {
        let bytes: Vec<u8> = self.rows.iter().flat_map(|(place, row)| row.bytes(*place)).collect();
        let fresh = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&bytes)?;
        // Else a loss of power could leave the new name with no bytes behind it; they would be made again, slowly.
        file.sync_all()?;
        fs::rename(fresh, &self.path)?;
        self.written = self.rows.len();
        Ok(())
    }
}

impl Row {
    fn of(about: &About) -> (Place, Self) {
        let known = &about.recording;
        let due = match known.state {
            RecordingState::Recording => None,
            RecordingState::Sealed | RecordingState::Truncated => {
                Some(known.retained_until.unwrap_or(known.began))
            }
            RecordingState::Deleted => known.deleted.is_none().then_some(known.began),
        };
        let open = about.is_unfinished() || about.outcome().is_some();
        let stand = if open { Stand::Open } else { Stand::Settled };
        ((known.began, known.recording), Self { call: known.call, due, stand })
    }

    fn is_due(&self, now: Utc) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    fn bytes(&self, (began, recording): Place) -> [u8; ROW] {
        let mut bytes = [0; ROW];
        bytes[..8].copy_from_slice(&began.0.to_be_bytes());
        bytes[8..24].copy_from_slice(&recording.0.0);
        bytes[24..40].copy_from_slice(&self.call.0.0);
        bytes[40..48].copy_from_slice(&self.due.map_or(i64::MAX, |due| due.0).to_be_bytes());
        bytes[48] = u8::from(self.stand == Stand::Open);
        let check = sm3::digest(&bytes[..CHECKED]).0;
        bytes[CHECKED..].copy_from_slice(&check[..ROW - CHECKED]);
        bytes
    }
}

/// A row of the file; `None` where it is torn.
fn read(bytes: &[u8; ROW]) -> Option<(Place, Row)> {
    let (fields, check) = bytes.split_at(CHECKED);
    let ([began @ .., open, 0, 0, 0, 0, 0, 0, 0], true) =
        (<&[u8; CHECKED]>::try_from(fields).ok()?, sm3::digest(fields).0.starts_with(check))
    else {
        return None;
    };
    let number = |at: usize| Some(i64::from_be_bytes(began.get(at..at + 8)?.try_into().ok()?));
    let id = |at: usize| Some(Uid(began.get(at..at + 16)?.try_into().ok()?));
    let due = Some(number(40)?).filter(|due| *due != i64::MAX).map(Utc);
    let stand = if *open == 0 { Stand::Settled } else { Stand::Open };
    Some(((Utc(number(0)?), RecordingId(id(8)?)), Row { call: CallId(id(24)?), due, stand }))
}

/// The recordings that have a folder here.
///
/// # Errors
/// The directory cannot be read.
pub fn folders(recordings: &Path) -> io::Result<BTreeSet<RecordingId>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(recordings)? {
        found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RecordingId>().ok()));
    }
    Ok(found)
}
