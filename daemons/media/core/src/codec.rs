//! The codecs of speech: their names and payload types, and the way to linear samples and back.
//!
//! Owns what a codec is called and what its octets mean. All of them have an RTP clock of 8 kHz, G.722 too (RFC 3551
//! §4.5.2); what a payload's length says of its duration is [`Codec::ticks`]. Linear samples are at 8 kHz; of G.722
//! that is the low band. G.729 is heard here and spoken by a [`Library`] that is handed in.

use crate::{g711::Law, rtp::PayloadType};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A codec of speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
    /// 7 kHz speech in 64 kbit/s.
    G722,
    /// Telephone speech in 8 kbit/s.
    G729,
}

impl Codec {
    /// Every codec, the usual preference first.
    pub const ALL: [Self; 4] = [Self::Pcma, Self::Pcmu, Self::G722, Self::G729];

    /// The name in `rtpmap`.
    pub const fn encoding(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
            Self::G722 => "G722",
            Self::G729 => "G729",
        }
    }

    /// The static payload type (RFC 3551 §6).
    pub const fn payload_type(self) -> PayloadType {
        PayloadType(match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
            Self::G722 => 9,
            Self::G729 => 18,
        })
    }

    /// The codec of that name, in whatever case. `G729A` is what some gateways call G.729: its Annex A speaks the same
    /// octets (RFC 3551 §4.5.6).
    pub fn by_encoding(name: &str) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|codec| codec.encoding().eq_ignore_ascii_case(name));
        named.or_else(|| name.eq_ignore_ascii_case("G729A").then_some(Self::G729))
    }

    /// Parameters in `fmtp`, where our side has any to tell: of G.729 that silence is sent as sound, not described
    /// (Annex B; RFC 4856 §2.1.9).
    pub const fn parameters(self) -> Option<&'static str> {
        match self {
            Self::G729 => Some("annexb=no"),
            Self::Pcma | Self::Pcmu | Self::G722 => None,
        }
    }

    /// The law where it is G.711.
    pub const fn law(self) -> Option<Law> {
        match self {
            Self::Pcma => Some(Law::A),
            Self::Pcmu => Some(Law::Mu),
            Self::G722 | Self::G729 => None,
        }
    }

    /// Ticks of the RTP clock that a payload of so many octets lasts.
    pub const fn ticks(self, octets: usize) -> u32 {
        (match self {
            Self::Pcma | Self::Pcmu | Self::G722 => octets,
            Self::G729 => g729::samples(octets),
        }) as u32
    }
}

/// What speaks the codecs that are spoken by a library of the customer's: G.729, where there is one.
#[derive(Clone, Debug, Default)]
pub struct Library(Option<Arc<dyn g729::Library>>);

impl Library {
    /// The library of G.729.
    pub fn of(library: impl g729::Library + 'static) -> Self {
        Self(Some(Arc::new(library)))
    }

    /// Whether the codec can be spoken.
    pub const fn speaks(&self, codec: Codec) -> bool {
        match codec {
            Codec::Pcma | Codec::Pcmu | Codec::G722 => true,
            Codec::G729 => self.0.is_some(),
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
    /// Follows what came before, and knows how to hide what did not come.
    G729(Box<g729::Decoder>),
}

/// Linear samples to octets, in order.
#[derive(Debug)]
pub enum Encoder {
    /// Knows nothing of what came before.
    G711(Law),
    /// Follows what came before.
    G722(Box<g722::Encoder>),
    /// Follows what came before.
    G729(Box<dyn g729::Encode>),
}

impl Decoder {
    /// A decoder at its beginning.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcma => Self::G711(Law::A),
            Codec::Pcmu => Self::G711(Law::Mu),
            Codec::G722 => Self::G722(Box::default()),
            Codec::G729 => Self::G729(Box::default()),
        }
    }

    /// Ticks that a payload of so many octets lasts: as many samples come out of it.
    pub const fn ticks(&self, octets: usize) -> u32 {
        match self {
            Self::G711(_) => Codec::Pcma.ticks(octets),
            Self::G722(_) => Codec::G722.ticks(octets),
            Self::G729(_) => Codec::G729.ticks(octets),
        }
    }

    /// Appends the samples of a payload.
    pub fn decode(&mut self, octets: &[u8], samples: &mut Vec<i16>) {
        match self {
            Self::G711(law) => samples.extend(octets.iter().map(|octet| law.expand(*octet))),
            Self::G722(decoder) => samples.extend(octets.iter().map(|octet| decoder.decode_narrow(*octet))),
            Self::G729(decoder) => decoder.decode(octets, samples),
        }
    }

    /// Appends 10 ms in place of what did not come, where the codec itself says how. Whether it does.
    pub fn conceal(&mut self, samples: &mut Vec<i16>) -> bool {
        let Self::G729(decoder) = self else { return false };
        decoder.conceal(samples);
        true
    }
}

impl Encoder {
    /// An encoder at its beginning; `None` for a codec that the library does not speak.
    pub fn new(codec: Codec, library: &Library) -> Option<Self> {
        Some(match codec {
            Codec::Pcma => Self::G711(Law::A),
            Codec::Pcmu => Self::G711(Law::Mu),
            Codec::G722 => Self::G722(Box::default()),
            Codec::G729 => Self::G729(library.0.as_ref()?.encoder()?),
        })
    }

    /// Appends the octets of the next samples: a multiple of 10 ms, as every packet is.
    pub fn encode(&mut self, samples: &[i16], octets: &mut Vec<u8>) {
        match self {
            Self::G711(law) => octets.extend(samples.iter().map(|sample| law.compress(*sample))),
            Self::G722(encoder) => {
                octets.extend(samples.iter().map(|sample| encoder.encode_narrow(*sample)));
            }
            Self::G729(encoder) => {
                for frame in samples.as_chunks().0 {
                    octets.extend(encoder.encode(frame));
                }
            }
        }
    }
}
