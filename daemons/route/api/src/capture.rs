//! A live call's packets on their way to a person: what route commands, and how packets go from an edge to
//! whoever asked.
//!
//! Each edge makes a SOCK_SEQPACKET pair, hands one end down to route ([`Captured`]), and route passes it to the
//! asker unread. On it goes one word a packet of the socket:
//!
//! ```text
//!  word = at i64 (nanoseconds since 1970) ‖ length u32 ‖ an IP packet, or its beginning     (big-endian)
//!       | 0 i64 ‖ count u32                                  so many packets found no room before
//! ```
//!
//! The IP and UDP headers are made by the edge: it has the datagram, the kernel had the headers. `length` is that
//! of the whole packet; what is left out of its end never leaves the edge.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use types::{CallId, CaptureId, LegId, Utc};

/// Copies the packets of these legs from now on. The same capture again adds legs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Copying {
    /// Which capture.
    pub capture: CaptureId,
    /// Of which call.
    pub call: CallId,
    /// Whose packets.
    pub legs: Vec<LegId>,
    /// For how long, from now on.
    pub seconds: u32,
}

/// The longest capture, in seconds.
pub const LONGEST: u32 = 600;
/// How many captures go on at the same time.
pub const CAPTURES: usize = 4;

const HEAD: usize = 12;
const UDP: usize = 8;

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// A packet.
    Packet {
        /// When it was there.
        at: Utc,
        /// How long it is.
        length: u32,
        /// As much of it as is told, from its IP header on.
        bytes: &'a [u8],
    },
    /// So many packets before were dropped: nobody took them in time.
    Dropped(u32),
}

/// The word of a datagram of `length` bytes that begins with `told`.
pub fn packet(at: Utc, from: SocketAddr, to: SocketAddr, told: &[u8], length: usize) -> Vec<u8> {
    let udp = UDP + length;
    let mut ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = u16::try_from(20 + udp).unwrap_or(u16::MAX).to_be_bytes();
            let mut ip = vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 17, 0, 0];
            ip.extend_from_slice(&from.octets());
            ip.extend_from_slice(&to.octets());
            let sum = checksum(&ip).to_be_bytes();
            ip[10..12].copy_from_slice(&sum);
            ip
        }
        (from, to) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            let length = u16::try_from(udp).unwrap_or(u16::MAX).to_be_bytes();
            let mut ip = vec![0x60, 0, 0, 0, length[0], length[1], 17, 64];
            ip.extend_from_slice(&octets(from));
            ip.extend_from_slice(&octets(to));
            ip
        }
    };
    let whole = u32::try_from(ip.len() + udp).unwrap_or(u32::MAX);
    for word in [from.port(), to.port(), u16::try_from(udp).unwrap_or(u16::MAX), 0] {
        ip.extend_from_slice(&word.to_be_bytes());
    }
    let mut bytes = at.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&whole.to_be_bytes());
    bytes.extend_from_slice(&ip);
    bytes.extend_from_slice(told.get(..length.min(told.len())).unwrap_or_default());
    bytes
}

/// The word of dropped packets.
pub fn dropped(count: u32) -> Vec<u8> {
    [&0_i64.to_be_bytes()[..], &count.to_be_bytes()].concat()
}

/// Reads a word; `None` where it is none.
pub fn read(word: &[u8]) -> Option<Word<'_>> {
    let (head, bytes) = word.split_first_chunk::<HEAD>()?;
    let [a, b, c, d, e, f, g, h, length @ ..] = *head;
    let at = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let length = u32::from_be_bytes(length);
    match (at, bytes) {
        (0, []) => Some(Word::Dropped(length)),
        (_, []) => None,
        (at, bytes) => {
            (bytes.len() <= length as usize).then_some(Word::Packet { at: Utc(at), length, bytes })
        }
    }
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words =
        header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0)
}

#[cfg(feature = "wire")]
mod tap;
#[cfg(feature = "wire")]
pub use tap::*;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_a_packet_to_others() {
        let (from, to) = ("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:40000".parse().unwrap());
        let word = packet(Utc(7), from, to, b"INVITE", 10);
        let Some(Word::Packet { at: Utc(7), length: 38, bytes }) = read(&word) else { panic!("{word:?}") };
        assert_eq!(bytes.len(), 34, "the end of it is left out");
        assert_eq!(checksum(&bytes[..20]), 0, "RFC 1071: a header with its sum comes to nothing");
        assert_eq!(bytes[2..4], 38_u16.to_be_bytes());
        assert_eq!((&bytes[12..16], &bytes[16..20]), (&[192, 0, 2, 1][..], &[198, 51, 100, 7][..]));
        assert_eq!(bytes[20..28], [0x13, 0xc4, 0x9c, 0x40, 0, 18, 0, 0]);
        assert_eq!(&bytes[28..], b"INVITE");
        let six =
            packet(Utc(7), "[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:2".parse().unwrap(), b"x", 1);
        let Some(Word::Packet { length: 49, bytes, .. }) = read(&six) else { panic!("{six:?}") };
        assert_eq!((bytes[0], bytes.len()), (0x60, 49));
        assert_eq!(read(&dropped(3)), Some(Word::Dropped(3)));
        assert_eq!((read(&word[..12]), read(b"short")), (None, None));
    }
}
