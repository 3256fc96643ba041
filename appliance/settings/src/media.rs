//! `[media]`: where RTP is received, and where prompts lie.

use crate::value::PortRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

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
    /// The directory of prompts, `NAME.wav` each; a relative path begins at the home of the house.
    pub prompts: PathBuf,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            advertised: None,
            ports: PortRange::new(20_000, 29_999),
            prompts: PathBuf::from("prompts"),
        }
    }
}
