//! What the core is told about the world: its own addresses, carriers, phones, bounds.

use crate::{
    Room,
    digest::{Algorithm, Credentials},
    flow::Protocol,
    message::Uri,
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use types::{Extension, TrunkId};

/// The core's settings. No `Debug`: there are passwords within.
pub struct Settings {
    /// Our addresses, one for each socket, in the order that [`crate::Flow::listener`] counts.
    pub listeners: Vec<Listener>,
    /// The protection domain of digest authentication.
    pub realm: String,
    /// The hashes that phones may use, the one asked for first at the head.
    pub algorithms: Vec<Algorithm>,
    /// Lines to carriers.
    pub trunks: Vec<Trunk>,
    /// Phones that may register, by user name and password; the user name is the extension.
    pub phones: Vec<Phone>,
    /// How registered phones are looked after; `None` for not at all.
    pub phone_check: Option<Check>,
    /// How much at once.
    pub bounds: Bounds,
    /// How much of one source.
    pub limits: Limits,
}

/// One of our networks: a carrier's, the agents'. What comes in by one never leaves by another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(pub u8);

/// One address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The network it belongs to.
    pub network: Network,
    /// What it takes.
    pub protocol: Protocol,
    /// What stands in Via and Contact: how others reach this socket.
    pub advertised: SocketAddr,
}

/// A line to a carrier.
#[derive(Clone)]
pub struct Trunk {
    /// Its name.
    pub id: TrunkId,
    /// By which of our networks.
    pub network: Network,
    /// What carries its messages.
    pub protocol: Protocol,
    /// Where we send, in the order of preference: the next is tried where one fails.
    pub targets: Vec<SocketAddr>,
    /// From where it may send besides its targets.
    pub sources: Vec<Prefix>,
    /// Its account at the carrier, where it has one.
    pub account: Option<Account>,
    /// How its targets are looked after; `None` for not at all.
    pub check: Option<Check>,
    /// How far it may send a call elsewhere.
    pub redirects: Redirects,
}

/// How far a carrier may send a call elsewhere (301, 302, 305).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// Not at all.
    #[default]
    Refused,
    /// To its own addresses, and to its domain.
    Trunk,
    /// To every address.
    Anywhere,
}

/// An account at a carrier. No `Debug`: there is a password within.
#[derive(Clone)]
pub struct Account {
    /// User name and password for digest authentication.
    pub credentials: Credentials,
    /// The user part of the address of record.
    pub user: String,
    /// Its domain: the carrier's name for itself.
    pub domain: String,
    /// Whether we register it, and for how long; `None` only proves calls with it.
    pub register: Option<Duration>,
}

/// How a trunk's targets or the phones are looked after, by OPTIONS (RFC 3261 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// How often.
    pub every: Duration,
    /// After so many without an answer a target is down, a phone away.
    pub failures: u32,
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// One of them.
    pub address: IpAddr,
    /// How many bits.
    pub bits: u8,
}

/// A phone that may register. No `Debug`: the password is a secret.
#[derive(Clone)]
pub struct Phone {
    /// Its number.
    pub extension: Extension,
    /// Its password.
    pub password: String,
    /// By which of our networks it comes.
    pub network: Network,
}

impl Listener {
    /// A socket for datagrams on the first network.
    pub const fn udp(advertised: SocketAddr) -> Self {
        Self { network: Network(0), protocol: Protocol::Udp, advertised }
    }
}

impl Trunk {
    /// A line by UDP to one address, neither registered nor looked after.
    pub fn at(id: TrunkId, address: SocketAddr) -> Self {
        Self {
            id,
            network: Network(0),
            protocol: Protocol::Udp,
            targets: vec![address],
            sources: Vec::new(),
            account: None,
            check: None,
            redirects: Redirects::Refused,
        }
    }

    /// Whether it may send from there: by UDP from its targets' addresses and ports, by a connection from its
    /// targets' addresses, and from all its other sources.
    pub fn sends_from(&self, protocol: Protocol, remote: SocketAddr) -> bool {
        let ip = remote.ip().to_canonical();
        let is_target = |target: &SocketAddr| match protocol {
            Protocol::Udp => *target == remote,
            Protocol::Tcp | Protocol::Tls => self.protocol == protocol && target.ip().to_canonical() == ip,
        };
        self.targets.iter().any(is_target) || self.sources.iter().any(|prefix| prefix.contains(ip))
    }
}

impl Trunk {
    /// Whether a URI is one of the domain in which it has an account.
    pub(crate) fn is_domain(&self, uri: &Uri) -> bool {
        let Uri::Sip(uri) = uri else { return false };
        self.account.as_ref().is_some_and(|account| uri.host.eq_ignore_ascii_case(account.domain.as_bytes()))
    }
}

impl Prefix {
    /// Whether an address begins with these bits.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
            IpAddr::V6(ip) => (u128::from(ip), 128),
        };
        let ((ours, width), (theirs, other)) = (bits(self.address), bits(ip));
        let length = u32::from(self.bits).min(width);
        width == other && (ours ^ theirs).checked_shr(128 - length).unwrap_or(0) == 0
    }
}

impl Phone {
    /// A phone on the first network.
    pub fn new(extension: Extension, password: String) -> Self {
        Self { extension, password, network: Network(0) }
    }

    /// The same as the two sides of digest authentication know it.
    pub fn credentials(&self) -> Credentials {
        Credentials { user: self.extension.to_string(), password: self.password.clone() }
    }
}

/// How much the core holds at once. What is beyond is refused with 503 and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Legs alive.
    pub legs: usize,
    /// Transactions alive (each lingers up to 32 s).
    pub transactions: usize,
    /// Legs that are over and that route has not forgotten.
    pub ended: Room,
    /// Connections alive.
    pub connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        // More than route takes while report is away; 2 KiB of memo is a call with a long history.
        let ended = Room { legs: 30_000, bytes: 32 << 20 };
        Self { legs: 4_000, transactions: 40_000, ended, connections: 2_048 }
    }
}

/// How much one source may do that is no carrier: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages in a second in the long run, four times as many at once; ten times as many where phones are
    /// registered from there.
    pub messages: u32,
    /// Connections at a time; ten times as many where phones are registered from there.
    pub connections: usize,
    /// Wrong passwords, unknown users and unanswered challenges within ten minutes before it is slowed.
    pub failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { messages: 50, connections: 32, failures: 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let holds = |prefix: &str, bits, ip: &str| {
            Prefix { address: prefix.parse().unwrap(), bits }.contains(ip.parse().unwrap())
        };
        assert!(holds("192.0.2.0", 24, "192.0.2.200") && !holds("192.0.2.0", 24, "192.0.3.1"));
        assert!(holds("192.0.2.9", 32, "192.0.2.9") && !holds("192.0.2.9", 32, "192.0.2.8"));
        assert!(holds("2001:db8::", 32, "2001:db8:9::1") && !holds("2001:db8::", 32, "2001:db9::1"));
        assert!(holds("0.0.0.0", 0, "203.0.113.1") && !holds("0.0.0.0", 0, "::1"));
    }
}
