//! `[media]`: where RTP is received, what is spoken, and where prompts lie.

use crate::value::PortRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use types::{Extension, TrunkId};

/// Sound (RFC 3550).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// The one address on which RTP is received; it stands in the session descriptions that are sent.
    pub bind: IpAddr,
    /// The address that others reach this machine by, where it is not the bound one.
    pub advertised: Option<IpAddr>,
    /// UDP ports for RTP (even) and RTCP (odd): four for each call.
    pub ports: PortRange,
    /// The codecs that are spoken, the preferred first: each is passed as it comes where both parties of a call
    /// speak it, and one party's is preferred for the other.
    pub codecs: Vec<Codec>,
    /// The library that speaks G.729 (bcg729), which the house does not bring along; an absolute path. Where it is not
    /// set, the places where distributions put it.
    pub g729_library: Option<PathBuf>,
    /// Whether sound is protected (SRTP, RFC 3711) with keys from the session description (RFC 4568). Who can read
    /// the signalling can read the keys: it is worth what the protection of SIP is worth.
    pub srtp: Srtp,
    /// Trunks whose sound is protected otherwise.
    pub trunks: Vec<TrunkSound>,
    /// Phones whose sound is protected otherwise.
    pub phones: Vec<PhoneSound>,
    /// The directory of prompts, `NAME.wav` each; a relative path begins at the home of the house.
    pub prompts: PathBuf,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            advertised: None,
            ports: PortRange::new(20_000, 29_999),
            codecs: vec![Codec::Pcma, Codec::Pcmu, Codec::G722],
            g729_library: None,
            srtp: Srtp::Off,
            trunks: Vec::new(),
            phones: Vec::new(),
            prompts: PathBuf::from("prompts"),
        }
    }
}

/// The sound of one trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkSound {
    /// The trunk, one of `[[sip.trunks]]`.
    pub name: TrunkId,
    /// Whether it is protected, in place of `srtp` of `[media]`.
    pub srtp: Srtp,
}

/// The sound of one phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhoneSound {
    /// The phone, one of `[[sip.phones]]`.
    pub extension: Extension,
    /// Whether it is protected, in place of `srtp` of `[media]`.
    pub srtp: Srtp,
}

impl Media {
    /// Whether the sound of a trunk is protected.
    pub fn srtp_of_trunk(&self, trunk: &TrunkId) -> Srtp {
        self.trunks.iter().find(|own| own.name == *trunk).map_or(self.srtp, |own| own.srtp)
    }

    /// Whether the sound of a phone is protected.
    pub fn srtp_of_phone(&self, phone: &Extension) -> Srtp {
        self.phones.iter().find(|own| own.extension == *phone).map_or(self.srtp, |own| own.srtp)
    }
}

/// A codec of speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Codec {
    /// G.711 A-law: carriers and phones in China.
    #[serde(rename = "PCMA")]
    Pcma,
    /// G.711 µ-law.
    #[serde(rename = "PCMU")]
    Pcmu,
    /// G.722: twice the bandwidth of a telephone, between phones that have it.
    #[serde(rename = "G722")]
    G722,
    /// G.729: telephone speech in an eighth of the bandwidth, for carriers that have nothing else. Spoken by a library
    /// that is installed beside the house.
    #[serde(rename = "G729")]
    G729,
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
            Self::G722 => "G722",
            Self::G729 => "G729",
        })
    }
}

/// Why the library that speaks G.729 cannot be loaded, as found by who sees the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryLack {
    /// It is not there.
    Missing(PathBuf),
    /// Somebody other than root could exchange it, by changing this file or folder.
    Exposed(PathBuf),
}

/// Whether sound is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Srtp {
    /// Never: a call that requires it is refused.
    #[default]
    Off,
    /// Where the other side can (RFC 8643).
    Offered,
    /// Always: a call without it is refused.
    Required,
}
