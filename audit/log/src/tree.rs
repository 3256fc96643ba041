//! The tree as it grows (RFC 6962 §2.1), held as its right edge: the roots of the complete subtrees into
//! which `size` splits, largest first. Appending and the root need nothing else.

use crate::hash::{Digest, TreeHash};
use std::marker::PhantomData;

/// A complete subtree: the hash over the entries `index << level .. (index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// 0 is a leaf; each level doubles.
    pub level: u8,
    /// Counted from the left within the level.
    pub index: u64,
}

impl Position {
    /// The complete subtrees of a tree of `size` entries, left to right.
    pub fn peaks(size: u64) -> impl Iterator<Item = Self> {
        (0..64u8).rev().filter(move |level| size >> level & 1 == 1).map(move |level| {
            // The entries before this peak are those of all larger peaks: the bits of `size` above `level`.
            let before = size >> level & !1;
            Self { level, index: before }
        })
    }
}

/// The right edge of a tree.
pub struct Frontier<H> {
    size: u64,
    peaks: Vec<Digest>,
    hash: PhantomData<H>,
}

impl<H> Clone for Frontier<H> {
    fn clone(&self) -> Self {
        Self { size: self.size, peaks: self.peaks.clone(), hash: PhantomData }
    }
}

impl<H: TreeHash> Default for Frontier<H> {
    fn default() -> Self {
        Self { size: 0, peaks: Vec::new(), hash: PhantomData }
    }
}

impl<H: TreeHash> Frontier<H> {
    /// The edge of a tree of `size` entries; `None` where the number of `peaks` does not fit that size.
    pub fn from_peaks(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        let sound = u32::try_from(peaks.len()).ok()? == size.count_ones();
        sound.then_some(Self { size, peaks, hash: PhantomData })
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        // Each 1-bit at the low end of the size is a peak that this leaf completes to one twice as large.
        for _full in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = H::node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The number of entries.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// The Merkle tree hash of RFC 6962 §2.1.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else { return H::empty() };
        peaks.fold(*smallest, |right, left| H::node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_tile_the_tree_from_left_to_right() {
        for size in 0..=600u64 {
            let mut next = 0;
            for Position { level, index } in Position::peaks(size) {
                assert_eq!(index << level, next, "size {size}");
                next = (index + 1) << level;
            }
            assert_eq!(next, size);
        }
        assert_eq!(Position::peaks(u64::MAX).count(), 64);
    }
}
