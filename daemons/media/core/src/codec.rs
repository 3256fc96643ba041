//! The codecs of speech: their names and payload types, and the way to linear samples and back.
//!
//! Owns what a codec is called and what its octets mean. All of them have an RTP clock of 8 kHz and one octet
//! for each of its ticks, G.722 too (RFC 3551 §4.5.2): the length of a payload is its duration.
//! Linear samples are at 8 kHz; of G.722 that is the low band.

use crate::{g711::Law, rtp::PayloadType};
use serde::{Deserialize, Serialize};

/// A codec of speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
    /// 7 kHz speech in 64 kbit/s.
    G722,
}

impl Codec {
    /// Every codec, the usual preference first.
    pub const ALL: [Self; 3] = [Self::Pcma, Self::Pcmu, Self::G722];

    /// The name in `rtpmap`.
    pub const fn encoding(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
            Self::G722 => "G722",
        }
    }

    /// The static payload type (RFC 3551 §6).
    pub const fn payload_type(self) -> PayloadType {
        PayloadType(match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
            Self::G722 => 9,
        })
    }

    /// The codec of that name, in whatever case.
    pub fn by_encoding(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.encoding().eq_ignore_ascii_case(name))
    }

    /// The law where it is G.711.
    pub const fn law(self) -> Option<Law> {
        match self {
            Self::Pcma => Some(Law::A),
            Self::Pcmu => Some(Law::Mu),
            Self::G722 => None,
        }
    }
}

/// Octets to linear samples, in order.
#[derive(Clone, Debug)]
pub enum Decoder {
    /// Knows nothing of what came before.
    G711(Law),
    /// Follows what came before.
    G722(Box<g722::Decoder>),
}

/// Linear samples to octets, in order.
#[derive(Clone, Debug)]
pub enum Encoder {
    /// Knows nothing of what came before.
    G711(Law),
    /// Follows what came before.
    G722(Box<g722::Encoder>),
}

impl Decoder {
    /// A decoder at its beginning.
    pub fn new(codec: Codec) -> Self {
        codec.law().map_or_else(|| Self::G722(Box::default()), Self::G711)
    }

    /// Appends the samples of a payload.
    pub fn decode(&mut self, octets: &[u8], samples: &mut Vec<i16>) {
        match self {
            Self::G711(law) => samples.extend(octets.iter().map(|octet| law.expand(*octet))),
            Self::G722(decoder) => samples.extend(octets.iter().map(|octet| decoder.decode_narrow(*octet))),
        }
    }
}

impl Encoder {
    /// An encoder at its beginning.
    pub fn new(codec: Codec) -> Self {
        codec.law().map_or_else(|| Self::G722(Box::default()), Self::G711)
    }

    /// The octet of the next sample.
    pub fn encode(&mut self, sample: i16) -> u8 {
        match self {
            Self::G711(law) => law.compress(sample),
            Self::G722(encoder) => encoder.encode_narrow(sample),
        }
    }
}
