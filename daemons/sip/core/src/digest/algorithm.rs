//! The hash of a digest.

use crate::random::hex;
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512_256};

/// A hash algorithm of RFC 7616 §6.1, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// `MD5`: what most phones can.
    Md5,
    /// `SHA-256`.
    Sha256,
    /// `SHA-512-256`.
    Sha512_256,
}

impl Algorithm {
    /// The token on the wire.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// The algorithm of a token and whether it is its `-sess` form. Tokens compare without case.
    pub fn parse(token: &[u8]) -> Option<(Self, bool)> {
        let token = token.to_ascii_uppercase();
        let (name, session) = match token.strip_suffix(b"-SESS") {
            Some(name) => (name, true),
            None => (token.as_slice(), false),
        };
        let all = [Self::Md5, Self::Sha256, Self::Sha512_256];
        all.into_iter().find(|a| a.token().as_bytes() == name).map(|a| (a, session))
    }

    /// The hash in lower-case hexadecimal digits.
    pub(super) fn hex(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => hex(&Md5::digest(bytes)),
            Self::Sha256 => hex(&Sha256::digest(bytes)),
            Self::Sha512_256 => hex(&Sha512_256::digest(bytes)),
        }
    }
}
