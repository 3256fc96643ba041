//! SM3 (GB/T 32905-2016), HMAC-SM3 (RFC 2104 over SM3) and the key derivation of GB/T 32918.4 §5.4.3.

use crate::Error;
use ::hmac::{Hmac, KeyInit, Mac};
use ::sm3::Digest as _;
use std::fmt;
use subtle::ConstantTimeEq;

/// 32 bytes that SM3 made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// SM3 of one piece.
pub fn digest(message: &[u8]) -> Digest {
    digest_parts(&[message])
}

/// SM3 of the pieces one after the other.
pub fn digest_parts(parts: &[&[u8]]) -> Digest {
    let mut hash = Sm3::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finish()
}

/// SM3 of a message that arrives in pieces.
#[derive(Clone, Default)]
pub struct Sm3(::sm3::Sm3);

impl Sm3 {
    /// The hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `piece` to the message.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// HMAC-SM3 over the pieces one after the other. The caller separates or length-prefixes pieces of variable
/// length: `["ab", "c"]` and `["a", "bc"]` give the same code.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<::sm3::Sm3>::new_from_slice(key) else {
        // HMAC takes a key of any length (RFC 2104 §2), so this does not come to pass; a code that nobody
        // can present is the safe answer to it.
        let mut unguessable = [0; 32];
        let _no_randomness_no_code = crate::random(&mut unguessable);
        return unguessable;
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Checks a code of [`hmac`] in constant time. A code of another length than 32 bytes is refused.
pub fn verify_hmac(key: &[u8], parts: &[&[u8]], code: &[u8]) -> Result<(), Error> {
    if bool::from(hmac(key, parts).ct_eq(code)) { Ok(()) } else { Err(Error::BadMac) }
}
