//! The RTP packet (RFC 3550 §5.1).

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Octets of a header without contributing sources and extension.
pub const HEADER: usize = 12;

/// Synchronisation source: the name of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ssrc(pub u32);

/// Payload type, 0 to 127: what the session description says it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PayloadType(pub u8);

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One packet, its payload where it lies in the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// For audio: the first of a talk spurt (RFC 3551 §4.1); for events: the first of an event.
    pub marker: bool,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// One more for each packet, modulo 2¹⁶.
    pub sequence: u16,
    /// Sampling moment of the first sample, in ticks of 125 µs, modulo 2³².
    pub timestamp: u32,
    /// Whose stream it is.
    pub ssrc: Ssrc,
    /// Without padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram; contributing sources, extension and padding are skipped.
    ///
    /// # Errors
    /// [`Error::Rtp`] where the version is not 2 or a length does not fit.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Error> {
        let Some((header, mut rest)) = datagram.split_first_chunk::<HEADER>() else {
            return Err(Error::Rtp("shorter than its header"));
        };
        let [flags, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *header;
        if flags >> 6 != 2 {
            return Err(Error::Rtp("version is not 2"));
        }
        let sources = usize::from(flags & 0x0f) * 4;
        rest = rest.get(sources..).ok_or(Error::Rtp("contributing sources are cut off"))?;
        if flags & 0x10 != 0 {
            let Some(([_, _, high, low], after)) = rest.split_first_chunk::<4>() else {
                return Err(Error::Rtp("header extension is cut off"));
            };
            let words = usize::from(u16::from_be_bytes([*high, *low]));
            rest = after.get(words * 4..).ok_or(Error::Rtp("header extension is cut off"))?;
        }
        if flags & 0x20 != 0 {
            let padding = usize::from(*rest.last().ok_or(Error::Rtp("padding is cut off"))?);
            let kept = rest.len().checked_sub(padding).filter(|_| padding > 0);
            rest = kept.and_then(|kept| rest.get(..kept)).ok_or(Error::Rtp("padding does not fit"))?;
        }
        Ok(Self {
            marker: kind & 0x80 != 0,
            payload_type: PayloadType(kind & 0x7f),
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: Ssrc(u32::from_be_bytes([i0, i1, i2, i3])),
            payload: rest,
        })
    }

    /// The header as octets; the payload follows it on the wire.
    pub fn header(&self) -> [u8; HEADER] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = self.ssrc.0.to_be_bytes();
        let kind = u8::from(self.marker) << 7 | self.payload_type.0 & 0x7f;
        [0x80, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn skips_sources_extension_and_padding() {
        let mut datagram = vec![0xb2, 0x88, 0x12, 0x34, 0, 0, 0, 160, 1, 2, 3, 4];
        datagram.extend([0; 8]); // two contributing sources
        datagram.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]); // an extension of one word
        datagram.extend([7, 8, 9, 0, 0, 3]); // payload, then three octets of padding
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!((packet.marker, packet.payload_type), (true, PayloadType(8)));
        assert_eq!((packet.sequence, packet.timestamp, packet.ssrc), (0x1234, 160, Ssrc(0x0102_0304)));
        assert_eq!(packet.payload, [7, 8, 9]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let sound = [0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        assert!(Packet::parse(&sound).is_ok());
        assert_eq!(Packet::parse(&sound[..11]), Err(Error::Rtp("shorter than its header")));
        for flags in [0x00, 0x40, 0xc0, 0x81, 0x90, 0xa0] {
            let mut wrong = sound;
            wrong[0] = flags;
            assert!(Packet::parse(&wrong).is_err(), "{flags:02x}");
        }
        let padded = |count| [&[0xa0][..], &sound[1..], &[1, 2, count]].concat();
        assert_eq!(Packet::parse(&padded(0)), Err(Error::Rtp("padding does not fit")));
        assert_eq!(Packet::parse(&padded(4)), Err(Error::Rtp("padding does not fit")));
        assert!(Packet::parse(&padded(3)).unwrap().payload.is_empty());
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(marker: bool, kind in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
                               payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let packet = Packet { marker, payload_type: PayloadType(kind), sequence, timestamp,
                                  ssrc: Ssrc(ssrc), payload: &payload };
            let datagram = [&packet.header()[..], &payload].concat();
            prop_assert_eq!(Packet::parse(&datagram).unwrap(), packet);
        }

        #[test]
        fn never_panics(datagram in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Packet::parse(&datagram);
        }
    }
}
