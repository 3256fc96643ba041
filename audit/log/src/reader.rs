//! Reading beside the writer: entries by their sequence, and proofs. Sees durable entries only.

use crate::disk::Disk;
use crate::entry::{Entry, LONGEST};
use crate::error::{Alarm, Error, disk};
use crate::frame::{self, Frame, TRAILER};
use crate::hash::{Digest, Sm3};
use crate::index;
use crate::levels::OnDisk;
use crate::personal::{self, Personal};
use crate::proof;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How far the log reaches: kept by the writer, followed by the readers.
pub(crate) struct Extent {
    durable: AtomicU64,
    /// First sequences of the segments, ascending.
    segments: RwLock<Vec<u64>>,
}

impl Extent {
    pub(crate) const fn new(durable: u64, segments: Vec<u64>) -> Self {
        Self { durable: AtomicU64::new(durable), segments: RwLock::new(segments) }
    }

    /// All entries below `size` are durable and their hashes can be read.
    pub(crate) fn reach(&self, size: u64) {
        self.durable.store(size, Ordering::Release);
    }

    pub(crate) fn begin(&self, first: u64) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(first);
    }

    pub(crate) fn segments(&self) -> Vec<u64> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A view of a log that its writer keeps up to date. Cheap to clone.
pub struct Reader<D> {
    disk: Arc<D>,
    extent: Arc<Extent>,
}

impl<D> Clone for Reader<D> {
    fn clone(&self) -> Self {
        Self { disk: Arc::clone(&self.disk), extent: Arc::clone(&self.extent) }
    }
}

impl<D: Disk> Reader<D> {
    pub(crate) const fn new(disk: Arc<D>, extent: Arc<Extent>) -> Self {
        Self { disk, extent }
    }

    /// The disk that holds the log; what is on it above [`Reader::size`] is being written.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The number of durable entries.
    pub fn size(&self) -> u64 {
        self.extent.durable.load(Ordering::Acquire)
    }

    /// The entry of this sequence.
    pub fn entry(&self, sequence: u64) -> Result<Entry, Error> {
        Ok(self.frame(sequence)?.entry)
    }

    /// The entry of this sequence and its leaf hash.
    pub fn entry_and_leaf(&self, sequence: u64) -> Result<(Entry, Digest), Error> {
        let Frame { entry, leaf, .. } = self.frame(sequence)?;
        Ok((entry, leaf))
    }

    /// The leaf hash of the entry, and the path from it to the root of the tree of `size` entries.
    pub fn inclusion(&self, sequence: u64, size: u64) -> Result<(Digest, Vec<Digest>), Error> {
        self.within(size)?;
        let path = proof::inclusion::<Sm3, _>(&OnDisk(&*self.disk), sequence, size)?;
        Ok((self.frame(sequence)?.leaf, path.ok_or(Error::Beyond(sequence))?))
    }

    /// The proof that the tree of `old` entries is the beginning of that of `size`.
    pub fn consistency(&self, old: u64, size: u64) -> Result<Vec<Digest>, Error> {
        self.within(size)?;
        proof::consistency::<Sm3, _>(&OnDisk(&*self.disk), old, size)?.ok_or(Error::Beyond(old))
    }

    /// The root of the tree of `size` entries.
    pub fn root(&self, size: u64) -> Result<Digest, Error> {
        self.within(size)?;
        proof::root::<Sm3, _>(&OnDisk(&*self.disk), size)
    }

    /// The personal value of this digest; `None` where it was erased, or lost with the power before the next
    /// checkpoint.
    pub fn personal(&self, digest: &Digest) -> Result<Option<Personal>, Error> {
        personal::find(&*self.disk, &self.extent.segments(), digest)
    }

    fn within(&self, size: u64) -> Result<(), Error> {
        if size <= self.size() { Ok(()) } else { Err(Error::Beyond(size)) }
    }

    fn frame(&self, sequence: u64) -> Result<Frame, Error> {
        if sequence >= self.size() {
            return Err(Error::Beyond(sequence));
        }
        let segments = self.extent.segments();
        let before = segments.partition_point(|first| *first <= sequence);
        let first = *before.checked_sub(1).and_then(|at| segments.get(at)).ok_or(Error::Beyond(sequence))?;
        frame_at(&*self.disk, first, sequence)
    }
}

/// The frame of the entry `sequence` in the segment `first`, by the index.
pub(crate) fn frame_at<D: Disk>(on: &D, first: u64, sequence: u64) -> Result<Frame, Error> {
    let name = index::segment(first);
    let offset = index::offset(on, first, sequence - first)?.ok_or(Error::Beyond(sequence))?;
    // Most entries are short: the long read is made only where the first one cuts the frame.
    for length in [1024, LONGEST + TRAILER] {
        let mut bytes = vec![0; length];
        let read = on.read(&name, offset, &mut bytes).map_err(disk("reading", &name))?;
        match frame::read_frame(&bytes[..read]) {
            Ok(frame) if frame.entry.sequence == sequence => return Ok(frame),
            _ => {}
        }
    }
    let what = format!("entry {sequence} is not where the index says");
    Err(Error::Tampered(Alarm { file: name, offset, what }))
}
