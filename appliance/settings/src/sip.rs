//! `[sip]`: where SIP is spoken, with which carriers, and which phones may register.

use crate::secret::{Given, Secret};
use crate::value::{Period, Prefix};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use types::{Extension, Name, TrunkId};

/// What the network is called whose addresses stand in `[sip]` itself.
pub const MAIN: &str = "main";

/// Signalling (RFC 3261).
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sip {
    /// The addresses on which SIP is received, UDP and TCP, IPv4 or IPv6: the network "main".
    pub bind: Vec<SocketAddr>,
    /// The addresses on which SIP is received under TLS.
    pub tls: Vec<SocketAddr>,
    /// The address that others reach this machine by, where it is not the bound one (behind address
    /// translation). Written into Via and Contact.
    pub advertised: Option<IpAddr>,
    /// One PEM file with the private key and the certificates for TLS; a relative path begins at the
    /// directory of the daemon. Without it a self-signed one is made at the first start.
    pub certificate: Option<PathBuf>,
    /// The protection domain of digest authentication (RFC 7616 §3.3). A new realm makes every phone ask
    /// for its password again.
    pub realm: String,
    /// The hashes with which phones may prove their password, the preferred one first. Phones that know only
    /// MD5 often give up at several.
    pub digest: Vec<Digest>,
    /// Further networks: a carrier's line beside the agents' floor.
    pub networks: Vec<Network>,
    /// Lines to carriers. A call from an address that no trunk names is refused.
    pub trunks: Vec<Trunk>,
    /// Phones that may register.
    pub phones: Vec<Phone>,
    /// How often each registered phone is asked for a sign of life (OPTIONS); "0s" for never.
    pub phone_check: Period,
    /// After so many signs of life missed a phone counts as lost, until it answers or registers again.
    pub phone_check_failures: u32,
    /// How much a sender may do that is no carrier.
    pub limits: Limits,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5060))],
            tls: Vec::new(),
            advertised: None,
            certificate: None,
            realm: "yanmen".to_owned(),
            digest: vec![Digest::Md5],
            networks: Vec::new(),
            trunks: Vec::new(),
            phones: Vec::new(),
            phone_check: Period::seconds(0),
            phone_check_failures: 2,
            limits: Limits::default(),
        }
    }
}

/// A hash of digest authentication (RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Digest {
    /// What every phone knows.
    #[serde(rename = "MD5")]
    Md5,
    /// What newer phones know.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// Rare.
    #[serde(rename = "SHA-512-256")]
    Sha512_256,
}

/// One network: its addresses, and how they are seen from there. What comes in by one network never leaves by
/// another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// What trunks and phones call it.
    pub name: Name,
    /// The addresses on which SIP is received, UDP and TCP.
    #[serde(default)]
    pub bind: Vec<SocketAddr>,
    /// The addresses on which SIP is received under TLS.
    #[serde(default)]
    pub tls: Vec<SocketAddr>,
    /// The address that others reach this machine by on this network, where it is not the bound one.
    #[serde(default)]
    pub advertised: Option<IpAddr>,
    /// As `certificate` of `[sip]`.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
}

/// One line to a carrier.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trunk {
    /// The trunk's name in call records and in the audit log.
    pub name: TrunkId,
    /// Address and port from which the carrier sends, and to which this house sends.
    pub address: SocketAddr,
    /// Further addresses of the carrier: tried in this order where the one before does not take a call.
    #[serde(default)]
    pub standby: Vec<SocketAddr>,
    /// Further addresses from which the carrier sends, as addresses or prefixes.
    #[serde(default)]
    pub sources: Vec<Prefix>,
    /// The network by which it is reached; "main" where none is named.
    #[serde(default)]
    pub network: Option<Name>,
    /// What carries its messages.
    #[serde(default)]
    pub transport: Transport,
    /// By which certificate the carrier is known, where `transport` is "tls".
    #[serde(default)]
    pub tls: Option<Verification>,
    /// The account at the carrier, where the line is one by registration or the carrier asks for a password.
    #[serde(default)]
    pub account: Option<Account>,
    /// How often the carrier is asked for a sign of life (OPTIONS); "0s" for never.
    #[serde(default = "check")]
    pub check: Period,
    /// After so many signs of life missed an address of the carrier gets no calls, until it answers again.
    #[serde(default = "check_failures")]
    pub check_failures: u32,
    /// Whether a call goes where the carrier sends it (301, 302, 305). Who sends calls about spends this house's
    /// money.
    #[serde(default)]
    pub redirects: Redirects,
}

/// Whether a call goes where a carrier sends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Redirects {
    /// It does not: the call fails, with cause 23 in its call record.
    #[default]
    Refused,
    /// To the trunk's own addresses and to its account's domain, no others.
    Trunk,
    /// To every address on the trunk's network.
    Anywhere,
}

/// What carries SIP to a carrier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams; requests too large for one by TCP (RFC 3261 §18.1.1).
    #[default]
    Udp,
    /// Connections.
    Tcp,
    /// Connections under TLS.
    Tls,
}

/// By which certificate a carrier is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// The name in the certificate, also sent as SNI (RFC 6066); without it the carrier's address.
    #[serde(default)]
    pub server_name: Option<String>,
    /// One PEM file with the certificates of the authorities that the carrier's certificate may come from; a
    /// relative path begins at the directory of the daemon.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// The SHA-256 of the one certificate that is taken, 64 hexadecimal digits: no authority is asked then.
    #[serde(default)]
    pub pin: Option<String>,
}

/// An account at a carrier.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The user part of the address that is registered, mostly the number.
    pub user: String,
    /// The user name for digest authentication, where it is another.
    #[serde(default)]
    pub login: Option<String>,
    /// The password that the carrier gave.
    pub password: Given,
    /// The carrier's domain; without it the carrier's address.
    #[serde(default)]
    pub domain: Option<String>,
    /// Whether it is registered: otherwise it only proves calls.
    #[serde(default = "yes")]
    pub register: bool,
    /// For how long a registration is asked.
    #[serde(default = "expires")]
    pub expires: Period,
}

/// One phone of an agent.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phone {
    /// The number under which it registers, also its user name for digest authentication.
    pub extension: Extension,
    /// Its password for digest authentication.
    pub password: Secret,
    /// The network by which it comes; "main" where none is named.
    #[serde(default)]
    pub network: Option<Name>,
}

/// How much one sender may do that is no carrier: an IPv4 address or an IPv6 /64. Ten times as much where phones
/// are registered from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Messages in a second in the long run; four times as many at once.
    pub messages: u32,
    /// Connections at a time.
    pub connections: u32,
    /// Wrong passwords, unknown users and unanswered challenges in ten minutes, before the sender is slowed.
    pub failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { messages: 50, connections: 32, failures: 20 }
    }
}

impl Sip {
    /// Every network in order, the one of `[sip]` itself first.
    pub fn all_networks(&self) -> impl Iterator<Item = Network> {
        let main = MAIN.parse().ok().map(|name| Network {
            name,
            bind: self.bind.clone(),
            tls: self.tls.clone(),
            advertised: self.advertised,
            certificate: self.certificate.clone(),
        });
        main.into_iter().chain(self.networks.iter().cloned())
    }
}

const fn yes() -> bool {
    true
}

const fn expires() -> Period {
    Period::hours(1)
}

const fn check() -> Period {
    Period::seconds(30)
}

const fn check_failures() -> u32 {
    3
}
