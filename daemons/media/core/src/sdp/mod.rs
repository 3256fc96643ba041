//! Session descriptions of a voice call (RFC 8866) and offer/answer over them (RFC 3264).
//!
//! Owns what an audio call needs of SDP; what else stands in a description is passed over, and streams
//! other than audio are refused one by one with port 0. Never resolves a name, never shows a key.

mod crypto;
mod negotiate;
mod parse;
mod write;

pub use crypto::{Crypto, CryptoLine, MAX_CRYPTO};
pub use negotiate::{
    Agreed, Coding, Local, Payloads, Refusal, Reports, Terms, accept_answer, answer, names, offer,
    remote_address,
};

use crate::rtp::PayloadType;
use std::{net::IpAddr, time::Duration};

/// The longest description that is read.
pub const MAX_LENGTH: usize = 16 << 10;
/// The most lines of one.
pub const MAX_LINES: usize = 512;
/// The most streams of one.
pub const MAX_STREAMS: usize = 16;
/// The most formats, and the most `rtpmap` and `fmtp` each, of one stream.
pub const MAX_FORMATS: usize = 64;

/// A session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `o=`
    pub origin: Origin,
    /// `s=`
    pub name: String,
    /// `c=` of the session.
    pub connection: Option<Connection>,
    /// `a=sendrecv` and its like, of the session.
    pub direction: Option<Direction>,
    /// `m=`, in order.
    pub streams: Vec<Stream>,
}

/// Who made the description, and which edition of it this is (RFC 8866 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `-` where there is none.
    pub user: String,
    /// As written: some peers write more than 64 bits.
    pub session: String,
    /// As written; one more with each change.
    pub version: String,
    /// Host as written.
    pub host: String,
}

/// Where to send to (RFC 8866 §5.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// An address.
    Address(IpAddr),
    /// A name, which this side does not resolve.
    Name(String),
}

/// One stream of media (RFC 8866 §5.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// `audio`, `video`, …
    pub kind: String,
    /// 0: refused.
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// Payload types, or what the protocol has in their place.
    pub formats: Vec<String>,
    /// `c=` of the stream.
    pub connection: Option<Connection>,
    /// `a=rtpmap`
    pub maps: Vec<Map>,
    /// `a=fmtp`
    pub parameters: Vec<Parameters>,
    /// `a=ptime` (RFC 8866 §6.4).
    pub packet_time: Option<Duration>,
    /// `a=maxptime` (RFC 8866 §6.5).
    pub longest_packet: Option<Duration>,
    /// `a=sendrecv` and its like, of the stream.
    pub direction: Option<Direction>,
    /// `a=rtcp` (RFC 3605): port, and address where it differs.
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// `a=rtcp-mux` (RFC 5761 §5.1.1): RTCP on the port of RTP.
    pub rtcp_mux: bool,
    /// `a=crypto` (RFC 4568), in order.
    pub crypto: Vec<CryptoLine>,
}

/// What a payload type means (RFC 8866 §6.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// The payload type.
    pub payload_type: PayloadType,
    /// The encoding's name, as written.
    pub encoding: String,
    /// The RTP clock in Hz.
    pub clock: u32,
    /// 1 where it does not say.
    pub channels: u8,
}

/// Parameters of a format (RFC 8866 §6.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The payload type.
    pub payload_type: PayloadType,
    /// As written.
    pub text: String,
}

/// Who sends (RFC 8866 §6.7), seen from the side that wrote the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// The writer only: the peer is on hold.
    SendOnly,
    /// The peer only.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Whether the writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same, seen from the other side (RFC 3264 §6.1).
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            same => same,
        }
    }

    /// As an attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

impl Stream {
    /// The same stream refused: port 0 and nothing else (RFC 3264 §6).
    #[must_use]
    pub fn refused(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            port: 0,
            protocol: self.protocol.clone(),
            formats: self.formats.clone(),
            connection: None,
            maps: Vec::new(),
            parameters: Vec::new(),
            packet_time: None,
            longest_packet: None,
            direction: None,
            rtcp: None,
            rtcp_mux: false,
            crypto: Vec::new(),
        }
    }

    /// The encoding and clock of a payload type: by `rtpmap`, else the static ones of RFC 3551 §6 that
    /// matter here.
    pub fn encoding(&self, payload_type: PayloadType) -> Option<(&str, u32)> {
        let mapped = self.maps.iter().find(|map| map.payload_type == payload_type);
        match (mapped, payload_type.0) {
            (Some(map), _) if map.channels == 1 => Some((&map.encoding, map.clock)),
            (None, 0) => Some(("PCMU", 8000)),
            (None, 8) => Some(("PCMA", 8000)),
            (None, 9) => Some(("G722", 8000)),
            (None, 18) => Some(("G729", 8000)),
            _ => None,
        }
    }
}
