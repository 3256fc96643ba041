//! Telling packets apart by their first byte (RFC 7983 §7), so that STUN, DTLS and SRTP fit on the same port.
//!
//! Owns the classes, never their meaning. Today only RTP and RTCP are handled; the others are counted and
//! dropped by the leg.

use serde::{Deserialize, Serialize};

/// What a datagram is by its first byte, RTP and RTCP by their second (RFC 5761 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Class {
    /// RFC 8489.
    Stun,
    /// RFC 6189.
    Zrtp,
    /// RFC 9147.
    Dtls,
    /// RFC 8656.
    TurnChannel,
    /// RFC 3550 §5.
    Rtp,
    /// RFC 3550 §6.
    Rtcp,
    /// None of these, or empty.
    Unknown,
}

/// The class of a datagram.
pub fn classify(datagram: &[u8]) -> Class {
    match datagram {
        [0..=3, ..] => Class::Stun,
        [16..=19, ..] => Class::Zrtp,
        [20..=63, ..] => Class::Dtls,
        [64..=79, ..] => Class::TurnChannel,
        [128..=191, 192..=223, ..] => Class::Rtcp,
        [128..=191, ..] => Class::Rtp,
        _ => Class::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_figure_of_rfc_7983() {
        let class_of_first = |first: u8| match first {
            0..=3 => Class::Stun,
            4..=15 => Class::Unknown,
            16..=19 => Class::Zrtp,
            20..=63 => Class::Dtls,
            64..=79 => Class::TurnChannel,
            80..=127 => Class::Unknown,
            128..=191 => Class::Rtp,
            192..=255 => Class::Unknown,
        };
        for first in 0..=255 {
            assert_eq!(classify(&[first, 0]), class_of_first(first), "{first}");
        }
        assert_eq!(classify(&[0x81, 200]), Class::Rtcp);
        assert_eq!(classify(&[]), Class::Unknown);
    }
}
