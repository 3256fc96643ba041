//! What can go wrong in the shell.

use std::{io, net::SocketAddr, path::PathBuf};

/// What was attempted, and what the kernel said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken, or is not one of this machine.
    #[error("bind {0} {1}: {2}; see [sip] bind and tls in the settings")]
    Bind(&'static str, SocketAddr, io::Error),
    /// No address to listen on, or more than can be numbered.
    #[error("[sip] names {0} sockets: 1 to 96 can be served")]
    Addresses(usize),
    /// A socket that was taken back cannot be used.
    #[error("use the socket {0}: {1}")]
    Socket(String, io::Error),
    /// A file of keys or certificates cannot be read or used.
    #[error("use the certificate {0:?}: {1}")]
    Certificate(PathBuf, String),
    /// The memory in which calls outlive the process cannot be made or written.
    #[error("write the calls down: {0}")]
    Snapshot(io::Error),
    /// A change of state has no binary form.
    #[error("write the calls down: {0}")]
    Encode(#[from] postcard::Error),
}
