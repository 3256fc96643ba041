//! Inclusion and consistency proofs (RFC 6962 §2.1.1, §2.1.2), made from the hashes of complete subtrees and
//! verified by the algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2.

use crate::hash::{Digest, TreeHash};
use crate::tree::Position;

/// Where the hashes of complete subtrees come from.
pub trait Nodes {
    /// Why a hash is not to be had.
    type Error;
    /// The hash of one complete subtree of the tree.
    fn node(&self, at: Position) -> Result<Digest, Self::Error>;
}

/// The hashes that lead from the entry `index` to the root of the tree of `size` entries, lowest first.
/// `None` where `index` is not below `size`.
pub fn inclusion<H: TreeHash, N: Nodes>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Option<Vec<Digest>>, N::Error> {
    if index >= size {
        return Ok(None);
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let split = start + split(end - start);
        if index < split {
            path.push(range::<H, N>(nodes, split, end)?);
            end = split;
        } else {
            path.push(range::<H, N>(nodes, start, split)?);
            start = split;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The hashes that show the tree of `old` entries to be the beginning of that of `size`. Empty for `old` = 0
/// and `old` = `size`; `None` where `old` is greater.
pub fn consistency<H: TreeHash, N: Nodes>(
    nodes: &N,
    old: u64,
    size: u64,
) -> Result<Option<Vec<Digest>>, N::Error> {
    if old > size {
        return Ok(None);
    }
    if old == 0 || old == size {
        return Ok(Some(Vec::new()));
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    // SUBPROOF(old, D, b) of RFC 6962 §2.1.2; b is "start is still 0".
    while old != end {
        let split = start + split(end - start);
        if old <= split {
            path.push(range::<H, N>(nodes, split, end)?);
            end = split;
        } else {
            path.push(range::<H, N>(nodes, start, split)?);
            start = split;
        }
    }
    if start != 0 {
        path.push(range::<H, N>(nodes, start, end)?);
    }
    path.reverse();
    Ok(Some(path))
}

/// Whether `path` leads from `leaf` at `index` to `root` in a tree of `size` entries (RFC 9162 §2.1.3.2).
pub fn verify_inclusion<H: TreeHash>(
    leaf: Digest,
    index: u64,
    size: u64,
    path: &[Digest],
    root: &Digest,
) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for step in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = H::node(step, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = H::node(&hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// A tree by its size and its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of entries.
    pub size: u64,
    /// The Merkle tree hash over them.
    pub root: Digest,
}

/// Whether `path` shows the tree `old` to be the beginning of the tree `new` (RFC 9162 §2.1.4.2). Every tree
/// begins with the empty one.
pub fn verify_consistency<H: TreeHash>(old: &Head, new: &Head, path: &[Digest]) -> bool {
    if old.size == 0 {
        return path.is_empty() && old.root == H::empty();
    }
    if old.size >= new.size {
        return path.is_empty() && old == new;
    }
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // Where the old tree is complete, its root is the first hash and the proof leaves it out.
    let (mut from_old, path) = if old.size.is_power_of_two() {
        (old.root, path)
    } else {
        let Some((first, rest)) = path.split_first() else { return false };
        (*first, rest)
    };
    let mut from_new = from_old;
    for step in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            from_old = H::node(step, &from_old);
            from_new = H::node(step, &from_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            from_new = H::node(&from_new, step);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == old.root && from_new == new.root
}

/// The root of the tree of `size` entries, from the hashes of its complete subtrees.
pub fn root<H: TreeHash, N: Nodes>(nodes: &N, size: u64) -> Result<Digest, N::Error> {
    if size == 0 { Ok(H::empty()) } else { range::<H, N>(nodes, 0, size) }
}

/// The largest power of two below `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (63 - (width - 1).leading_zeros())
}

/// The hash over the entries `start..end`, a range that the RFC's split produces: it begins at a multiple of
/// the largest power of two in its width.
fn range<H: TreeHash, N: Nodes>(nodes: &N, start: u64, end: u64) -> Result<Digest, N::Error> {
    let mut right: Option<Digest> = None;
    let peaks: Vec<Position> = Position::peaks(end - start).collect();
    for peak in peaks.iter().rev() {
        let left = nodes.node(Position { level: peak.level, index: (start >> peak.level) + peak.index })?;
        right = Some(right.map_or(left, |right| H::node(&left, &right)));
    }
    Ok(right.unwrap_or_else(H::empty))
}
