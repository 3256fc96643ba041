//! The hashes of the tree on disk, every eighth level: `level.L` holds the hashes of the complete subtrees of
//! level 8·L, 32 bytes each, so tile `tile/L/N` of C2SP tlog-tiles is bytes 8192·N .. 8192·N + 32·W of it.
//!
//! All of it is derived from the segments. It is written without a sync, and written again where it does not
//! lead to the root that the segment header proves.

use crate::disk::Disk;
use crate::error::{Error, disk};
use crate::hash::{Digest, Sm3};
use crate::proof::Nodes;
use crate::tree::{Frontier, Position};

/// A tile is this many hashes wide.
const WIDTH: usize = 256;

pub(crate) fn name(level: usize) -> String {
    format!("level.{level}")
}

/// The writer's side: what is on disk, and the unfinished tile of each level.
#[derive(Default)]
pub(crate) struct Levels {
    levels: Vec<Level>,
}

#[derive(Default)]
struct Level {
    /// Hashes in the file.
    written: u64,
    /// Hashes that wait for [`Levels::write`].
    waiting: Vec<u8>,
    /// The hashes of the unfinished tile, written or waiting.
    tile: Vec<Digest>,
}

impl Levels {
    /// Cuts the files to a tree of `size` entries; `None` where they hold less.
    pub(crate) fn open<D: Disk>(on: &D, size: u64) -> Result<Option<Self>, Error> {
        let mut levels = Vec::new();
        for level in 0usize.. {
            let written = size.checked_shr(8 * level as u32).unwrap_or(0);
            if written == 0 {
                break;
            }
            let file = name(level);
            if on.length(&file).map_err(disk("reading", &file))?.is_none_or(|length| length < written * 32) {
                return Ok(None);
            }
            on.truncate(&file, written * 32).map_err(disk("cutting", &file))?;
            let unfinished = written % WIDTH as u64;
            let tile = hashes(on, level, written - unfinished, unfinished)?;
            levels.push(Level { written, waiting: Vec::new(), tile });
        }
        Ok(Some(Self { levels }))
    }

    /// Takes the next leaf.
    pub(crate) fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Level::default());
            }
            let Some(level) = self.levels.get_mut(level) else { return };
            level.waiting.extend_from_slice(&hash);
            level.tile.push(hash);
            if level.tile.len() < WIDTH {
                return;
            }
            hash = root_of(level.tile.drain(..));
        }
    }

    /// Writes what waits.
    pub(crate) fn write<D: Disk>(&mut self, on: &D) -> Result<(), Error> {
        for (at, level) in self.levels.iter_mut().enumerate().filter(|(_at, level)| !level.waiting.is_empty())
        {
            let file = name(at);
            on.write(&file, level.written * 32, &level.waiting).map_err(disk("writing", &file))?;
            level.written += level.waiting.len() as u64 / 32;
            level.waiting.clear();
        }
        Ok(())
    }

    /// Makes what is written durable: when a segment is sealed, so that only the last one is ever replayed.
    pub(crate) fn sync<D: Disk>(&self, on: &D) -> Result<(), Error> {
        (0..self.levels.len()).map(name).try_for_each(|file| on.sync(&file).map_err(disk("syncing", &file)))
    }
}

/// The reader's side: hashes of complete subtrees from the files.
pub(crate) struct OnDisk<'a, D>(pub(crate) &'a D);

impl<D: Disk> Nodes for OnDisk<'_, D> {
    type Error = Error;

    fn node(&self, at: Position) -> Result<Digest, Error> {
        let (level, below) = (usize::from(at.level / 8), at.level % 8);
        let width = 1 << below;
        let hashes = hashes(self.0, level, at.index << below, width)?;
        Ok(root_of(hashes.into_iter()))
    }
}

/// The root over hashes of one level.
fn root_of(hashes: impl Iterator<Item = Digest>) -> Digest {
    let mut tree = Frontier::<Sm3>::default();
    hashes.for_each(|hash| tree.push(hash));
    tree.root()
}

fn hashes<D: Disk>(on: &D, level: usize, first: u64, count: u64) -> Result<Vec<Digest>, Error> {
    let file = name(level);
    let mut bytes = vec![0; count as usize * 32];
    let read = on.read(&file, first * 32, &mut bytes).map_err(disk("reading", &file))?;
    if read < bytes.len() {
        return Err(Error::Beyond(first));
    }
    Ok(bytes.as_chunks::<32>().0.to_vec())
}
