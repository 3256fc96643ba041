//! What the core is told about the world: its own addresses, carriers, phones, bounds.

use crate::{
    Room,
    digest::{Algorithm, Credentials},
};
use std::net::SocketAddr;
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
    /// How much at once.
    pub bounds: Bounds,
}

/// One address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What stands in Via and Contact: how others reach this socket.
    pub advertised: SocketAddr,
}

/// A line to a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Its name.
    pub id: TrunkId,
    /// Address and port from which it sends, and to which we send.
    pub address: SocketAddr,
}

/// A phone that may register. No `Debug`: the password is a secret.
#[derive(Clone)]
pub struct Phone {
    /// Its number.
    pub extension: Extension,
    /// Its password.
    pub password: String,
}

impl Phone {
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
}

impl Default for Bounds {
    fn default() -> Self {
        // More than route takes while report is away; 2 KiB of memo is a call with a long history.
        let ended = Room { legs: 30_000, bytes: 32 << 20 };
        Self { legs: 4_000, transactions: 40_000, ended }
    }
}
