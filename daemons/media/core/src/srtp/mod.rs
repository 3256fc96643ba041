//! SRTP (RFC 3711, RFC 7714): what protects a leg's packets on the way.
//!
//! Owns keys, packet indices and the replay window of both directions; never the exchange of keys, which is the
//! session description's ([`crate::sdp`], RFC 4568). A packet is transformed where it lies: a leg without
//! protection has no part of this, and another exchange of keys (DTLS-SRTP, RFC 5764) hands in the same
//! [`Master`]s.
//!
//! ```text
//!   wire ─► class by first octet (RFC 7983) ─► Inbound: replay? genuine? open ─► RTP as ever
//!   RTP as ever ─► Outbound: index used before? seal ─► wire
//! ```
//!
//! **No keystream twice.** [`Outbound`] seals no index a second time, none more than a window behind, and none
//! at or beyond what the last kept snapshot grants. What comes back from a snapshot goes on [`LEAP`] later,
//! where no life before it can have been.

mod inbound;
mod outbound;
#[cfg(test)]
mod tests;
mod transform;

pub use inbound::{Inbound, Rejection};
pub use outbound::{LEAP, Outbound};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether a leg's sound is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Policy {
    /// Never: what needs it is refused.
    #[default]
    Off,
    /// Where the party can (RFC 8643).
    Offered,
    /// Always: a party that cannot is refused.
    Required,
}

/// A cipher with its authentication (RFC 4568 §6.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suite {
    /// `AEAD_AES_128_GCM`
    Gcm128,
    /// `AES_CM_128_HMAC_SHA1_80`
    Sha1Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`
    Sha1Tag32,
}

impl Suite {
    /// Every suite, the strongest first.
    pub const ALL: [Self; 3] = [Self::Gcm128, Self::Sha1Tag80, Self::Sha1Tag32];

    /// The name in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gcm128 => "AEAD_AES_128_GCM",
            Self::Sha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Sha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// The suite of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Octets of the master salt.
    pub const fn salt(self) -> usize {
        match self {
            Self::Gcm128 => 12,
            Self::Sha1Tag80 | Self::Sha1Tag32 => 14,
        }
    }
}

/// A master key and its salt. They live as long as the leg, and must live over the end of a process with it:
/// this is why they, against the rule for keys, can be serialised. Only a snapshot in memory does so.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Master {
    /// Of 128 bits.
    pub(crate) key: [u8; 16],
    /// Of which GCM uses 12 octets.
    pub(crate) salt: [u8; 14],
}

impl Master {
    /// Octets of a key and the longest salt.
    pub const LENGTH: usize = 30;

    /// A key and its salt, one after the other; what a salt of 12 octets leaves over is zero.
    pub fn new(octets: &[u8]) -> Option<Self> {
        let (key, rest) = octets.split_first_chunk()?;
        let mut salt = [0; 14];
        salt.get_mut(..rest.len())?.copy_from_slice(rest);
        Some(Self { key: *key, salt })
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Master(‹key›)")
    }
}

/// This side's master keys for one leg, one for each suite: no two streams of packets share a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keying([Master; 3]);

impl Keying {
    /// No keys: for a leg that is never protected.
    pub(crate) const NONE: Self = Self([Master { key: [0; 16], salt: [0; 14] }; 3]);

    /// Random octets that a keying takes.
    pub const LENGTH: usize = 3 * Master::LENGTH;

    /// Keys of random octets.
    pub fn new(random: [u8; Self::LENGTH]) -> Self {
        let Self(mut masters) = Self::NONE;
        for (master, octets) in masters.iter_mut().zip(random.chunks_exact(Master::LENGTH)) {
            *master = Master::new(octets).unwrap_or(*master);
        }
        Self(masters)
    }

    /// The key of a suite.
    pub const fn master(&self, suite: Suite) -> &Master {
        let [gcm, long, short] = &self.0;
        match suite {
            Suite::Gcm128 => gcm,
            Suite::Sha1Tag80 => long,
            Suite::Sha1Tag32 => short,
        }
    }
}

/// What offer and answer agreed on for the protection of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// The cipher, of both directions.
    pub suite: Suite,
    /// The party's key: what it sends is sealed with.
    pub theirs: Master,
    /// What stands before its tag to name the key (RFC 3711 §3.1), of so many octets.
    pub mki: Option<Mki>,
}

/// A master key identifier: its value and its length in octets, 1 to 8 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mki {
    /// The value.
    pub value: u64,
    /// Octets on the wire.
    pub length: u8,
}

impl Mki {
    fn is(self, octets: &[u8]) -> bool {
        let zero = 8usize.saturating_sub(octets.len());
        self.value.to_be_bytes().get(zero..) == Some(octets)
    }
}

/// Bits of a window of the newest packets, the newest lowest (RFC 3711 §3.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    /// `None` before the first.
    newest: Option<u64>,
    came: u64,
}

impl Window {
    /// Whether an index is new and not too far behind.
    const fn admits(&self, index: u64) -> bool {
        let Some(newest) = self.newest else { return true };
        match newest.checked_sub(index) {
            None => true,
            Some(behind) => behind < u64::BITS as u64 && self.came >> behind & 1 == 0,
        }
    }

    fn note(&mut self, index: u64) {
        let newest = *self.newest.get_or_insert(index);
        match index.checked_sub(newest) {
            Some(ahead) => {
                self.came = self.came.checked_shl(u32::try_from(ahead).unwrap_or(u32::MAX)).unwrap_or(0) | 1;
                self.newest = Some(index);
            }
            None => self.came |= 1_u64.checked_shl((newest - index) as u32).unwrap_or(0),
        }
    }
}

/// The index that a sequence number most likely means beside the newest one (RFC 3711 §3.3.1, Appendix A).
fn estimate(newest: Option<u64>, sequence: u16) -> u64 {
    let Some(newest) = newest else { return sequence.into() };
    let ahead = i64::from(sequence.wrapping_sub(newest as u16).cast_signed());
    // Below the first cycle there is nothing.
    newest.checked_add_signed(ahead).unwrap_or(sequence.into())
}
