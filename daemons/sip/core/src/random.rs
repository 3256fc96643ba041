//! Randomness for a core that reads none: a generator over SHA-256, keyed by bytes from the shell.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use types::{LegId, Uid};

/// 32 bytes from the kernel's random source, given to the core at each start.
pub struct Seed(pub [u8; 32]);

/// Branches, tags, nonces, Call-IDs and leg ids. The same seed gives the same sequence; whoever does not
/// know the seed cannot tell what comes next.
#[derive(Serialize, Deserialize)]
pub struct Random {
    key: [u8; 32],
    drawn: u64,
}

impl Random {
    /// A generator of that seed.
    pub fn new(seed: Seed) -> Self {
        Self { key: seed.0, drawn: 0 }
    }

    /// 128 bits.
    pub fn bytes(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let block = Sha256::new_with_prefix(self.key).chain_update(self.drawn.to_be_bytes()).finalize();
        let mut out = [0; 16];
        out.copy_from_slice(&block[..16]);
        out
    }

    /// 128 bits as 32 hexadecimal digits: a Call-ID, or what follows the magic cookie of a branch.
    pub fn word(&mut self) -> Vec<u8> {
        hex(&self.bytes())
    }

    /// A tag: 64 bits (RFC 3261 §19.3 asks for 32 at least).
    pub fn tag(&mut self) -> Vec<u8> {
        hex(&self.bytes()[..8])
    }

    /// A branch with the magic cookie (RFC 3261 §8.1.1.7).
    pub fn branch(&mut self) -> Vec<u8> {
        [crate::message::MAGIC_COOKIE, &self.word()].concat()
    }

    /// The id of a leg that comes in.
    pub fn leg(&mut self) -> LegId {
        LegId(Uid(self.bytes()))
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).collect()
}
