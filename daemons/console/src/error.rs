//! What keeps the console from starting.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why HTTPS cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken, or not of this machine.
    #[error("cannot listen to {0}: {1} (set [console] listen to a free address of this machine)")]
    Listen(SocketAddr, io::Error),
    /// The file cannot be read or written.
    #[error("cannot read or write {0}: {1}")]
    File(PathBuf, io::Error),
    /// The file can be read by others than the console.
    #[error("{0} holds a private key and others may read it: chmod 600 it, or replace it with a new key")]
    Exposed(PathBuf),
    /// The file is not what it should be.
    #[error(
        "{0} is no private key followed by its certificates in PEM: {1} (mend it, or delete it and a new \
         self-signed one is made)"
    )]
    Broken(PathBuf, String),
    /// The certificate could not be made.
    #[error("cannot make a self-signed certificate: {0}")]
    Make(rcgen::Error),
    /// A pipe for sound could not be made.
    #[error("cannot make a pipe for sound: {0}")]
    Pipe(nix::Error),
    /// Sound could not be read.
    #[error("cannot read the sound of a recording: {0}")]
    Read(io::Error),
    /// Work on another thread panicked.
    #[error("work on another thread: {0}")]
    Worker(tokio::task::JoinError),
    /// The kernel gave no randomness.
    #[error("the kernel gave no randomness: {0}")]
    Random(getrandom::Error),
    /// Key and certificate do not make a server.
    #[error("TLS does not take the key and its certificate: {0}")]
    Tls(rustls::Error),
}
