//! The path of a datagram: which socket of ours, which address of theirs.

use crate::transaction::Transport;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One of our sockets and a peer's address beyond it. An answer goes out of the socket the request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// Which of the bound addresses, in the order of the settings.
    pub listener: u8,
    /// The peer.
    pub remote: SocketAddr,
}

impl Flow {
    /// What the transport promises: UDP is the one there is.
    pub const fn transport(self) -> Transport {
        Transport::Unreliable
    }
}
