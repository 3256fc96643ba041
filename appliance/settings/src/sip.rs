//! `[sip]`: where SIP is spoken, with which carriers, and which phones may register.

use crate::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use types::{Extension, TrunkId};

/// Signalling (RFC 3261).
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sip {
    /// The addresses on which SIP is received, UDP and TCP, IPv4 or IPv6.
    pub bind: Vec<SocketAddr>,
    /// The address that others reach this machine by, where it is not the bound one (behind address
    /// translation). Written into Via and Contact.
    pub advertised: Option<IpAddr>,
    /// The protection domain of digest authentication (RFC 7616 §3.3). A new realm makes every phone ask
    /// for its password again.
    pub realm: String,
    /// Lines to carriers. A call from an address that no trunk names is refused.
    pub trunks: Vec<Trunk>,
    /// Phones that may register.
    pub phones: Vec<Phone>,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5060))],
            advertised: None,
            realm: "yanmen".to_owned(),
            trunks: Vec::new(),
            phones: Vec::new(),
        }
    }
}

/// One line to a carrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trunk {
    /// The trunk's name in call records and in the audit log.
    pub name: TrunkId,
    /// Address and port from which the carrier sends, and to which this house sends.
    pub address: SocketAddr,
}

/// One phone of an agent.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phone {
    /// The number under which it registers, also its user name for digest authentication.
    pub extension: Extension,
    /// Its password for digest authentication.
    pub password: Secret,
}
