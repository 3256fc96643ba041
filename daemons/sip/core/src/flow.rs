//! The path of a message: by which address of ours, over which connection, to which address of theirs.

use crate::transaction::Transport;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One of our addresses and a peer's address beyond it. An answer goes out the way the request came in
/// (RFC 3261 §18.2.2, RFC 3581).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// Which of the bound addresses, in the order of the settings.
    pub listener: u8,
    /// What carries messages there.
    pub protocol: Protocol,
    /// The peer.
    pub remote: SocketAddr,
    /// What its port is to the peer.
    pub port: RemotePort,
    /// The connection; `None` for UDP, and for whichever connection there is or will be to that peer.
    pub connection: Option<ConnectionId>,
}

/// What the port of a peer's address is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RemotePort {
    /// It listens there: a connection that broke can be opened again.
    Listening,
    /// It is of that one connection, which the peer opened.
    Ephemeral,
}

/// What carries SIP (RFC 3261 §18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

/// A connection of this core, in this process and the next. No number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

impl Flow {
    /// Datagrams between that address of ours and a peer.
    pub const fn udp(listener: u8, remote: SocketAddr) -> Self {
        Self { listener, protocol: Protocol::Udp, remote, port: RemotePort::Listening, connection: None }
    }

    /// Whatever connection there is or will be between that address of ours and one on which a peer listens.
    pub const fn stream(listener: u8, protocol: Protocol, remote: SocketAddr) -> Self {
        Self { listener, protocol, remote, port: RemotePort::Listening, connection: None }
    }

    /// What the transport promises.
    pub const fn transport(self) -> Transport {
        match self.protocol {
            Protocol::Udp => Transport::Unreliable,
            Protocol::Tcp | Protocol::Tls => Transport::Reliable,
        }
    }
}

impl Protocol {
    /// The word in Via (RFC 3261 §20.42).
    pub const fn token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The value of the URI parameter `transport` (RFC 3261 §19.1.1); UDP needs none.
    pub const fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
        }
    }

    /// The port where none is written (RFC 3261 §19.1.2).
    pub const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}
