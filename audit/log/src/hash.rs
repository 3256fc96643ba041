//! The hash of the tree (RFC 6962 §2.1): a leaf is H(0x00 ‖ entry), a node H(0x01 ‖ left ‖ right), the empty
//! tree H(""). The prefixes keep a node from being taken for a leaf.

/// 32 bytes of a [`TreeHash`].
pub type Digest = [u8; 32];

/// A hash function with 32 bytes of output. The product uses [`Sm3`]; the vectors of RFC 6962 need SHA-256.
pub trait TreeHash {
    /// The hash of the pieces one after the other.
    fn digest(pieces: &[&[u8]]) -> Digest;

    /// The root of the tree without entries.
    fn empty() -> Digest {
        Self::digest(&[])
    }

    /// The hash of one entry.
    fn leaf(entry: &[u8]) -> Digest {
        Self::digest(&[&[0], entry])
    }

    /// The hash of two adjacent subtrees.
    fn node(left: &Digest, right: &Digest) -> Digest {
        Self::digest(&[&[1], left, right])
    }
}

/// SM3 (GB/T 32905-2016).
#[derive(Clone, Copy, Debug)]
pub enum Sm3 {}

impl TreeHash for Sm3 {
    fn digest(pieces: &[&[u8]]) -> Digest {
        gm::sm3::digest_parts(pieces).0
    }
}
