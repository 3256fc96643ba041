//! Copies of a leg's packets for a person who may see how they come and go, and not what is said: of RTP the
//! header alone, so neither speech nor keys leave by this way. Whoever may hear a call has its recording, which
//! its parties knew of.

use media_core::session::Port;
use mutant::mutant;
use route_api::capture::Captures;
use service::clock;
use std::net::{IpAddr, SocketAddr};
use types::LegId;

/// Our address of one of a leg's ports.
pub(super) fn address(ip: IpAddr, even: u16, port: Port) -> SocketAddr {
    let offset = match port {
        Port::Rtp => 0,
        Port::Rtcp => 1,
    };
    SocketAddr::new(ip, even.saturating_add(offset))
}

/// Copies what may be seen of a datagram.
pub(super) fn copy(
    captures: &mut Captures,
    leg: LegId,
    port: Port,
    way: (SocketAddr, SocketAddr),
    datagram: &[u8],
) {
    if captures.wants(leg) {
        let told = datagram.get(..visible(port, datagram)).unwrap_or_default();
        captures.copy(leg, clock::utc(), way, told, datagram.len());
    }
}

/// How much of a datagram holds no speech and no keys: the header of RTP (RFC 3550 §5.1), the whole of RTCP, and
/// nothing of what is neither. On the port of RTP (RFC 5761 §4) RTCP is what the lengths in it add up to, for else a
/// peer's choice of payload types could make speech or a digit look like it; of other RTCP there, as SRTCP, the header
/// is told. The header of SRTP is that of RTP, in the clear (RFC 3711 §3.1).
fn visible(port: Port, datagram: &[u8]) -> usize {
    if mutant("capture-shows-speech") {
        return datagram.len();
    }
    match datagram {
        [first, ..] if first >> 6 != 2 => 0,
        [_, 192..=223, ..] if port == Port::Rtcp || adds_up(datagram) => datagram.len(),
        [_, 192..=223, ..] => datagram.len().min(8),
        [first, ..] if port == Port::Rtp => datagram.len().min(12 + 4 * usize::from(first & 15)),
        _ => 0,
    }
}

/// Whether it is packets of RTCP from its beginning to its end (RFC 3550 §6.1).
fn adds_up(mut datagram: &[u8]) -> bool {
    while let [first, 192..=223, high, low, ..] = *datagram {
        let length = 4 * (1 + usize::from(u16::from_be_bytes([high, low])));
        match datagram.split_at_checked(length).filter(|_| first >> 6 == 2) {
            Some((_, [])) => return true,
            Some((_, rest)) => datagram = rest,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarded by the mutant `capture-shows-speech`.
    #[test]
    fn nothing_that_was_said_is_seen() {
        let speech = [&[0x80, 8][..], &[7; 170]].concat();
        assert_eq!(visible(Port::Rtp, &speech), 12);
        let mixed = [&[0x82, 8][..], &[7; 170]].concat();
        assert_eq!(visible(Port::Rtp, &mixed), 20);
        let digit = [&[0x80, 0x80 | 101][..], &[7; 14]].concat();
        assert_eq!(visible(Port::Rtp, &digit), 12, "a PIN is said with keys");
        let report = [&[0x80, 200, 0, 6][..], &[7; 24]].concat();
        assert_eq!((visible(Port::Rtp, &report), visible(Port::Rtcp, &report)), (28, 28));
        let compound = [&report[..], &[0x81, 202, 0, 1], &[7; 4]].concat();
        assert_eq!(visible(Port::Rtp, &compound), compound.len());
        let disguised = [&[0x80, 0x80 | 72][..], &[7; 170]].concat();
        assert_eq!(visible(Port::Rtp, &disguised), 8, "payload type 72 with a marker is no report");
        assert_eq!(
            (visible(Port::Rtcp, &speech), visible(Port::Rtp, &[0; 20]), visible(Port::Rtp, &[])),
            (0, 0, 0)
        );
        assert_eq!(visible(Port::Rtp, &[0x80]), 1);
    }
}
