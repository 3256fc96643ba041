//! The listening socket: bound once, then kept by the supervisor, so that a restart refuses no connection.

use crate::error::Error;
use service::Context;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use tokio::net::TcpListener;

/// Where the names of kept sockets begin.
const PREFIX: &str = "https.";

/// Takes back what an earlier life bound at this address, or binds it; lets go of sockets at other addresses.
///
/// # Errors
/// [`Error::Listen`].
pub fn open(house: &Context, address: SocketAddr) -> Result<TcpListener, Error> {
    let name = name(address);
    let listener = match house.kept(&name).pop() {
        Some(kept) => StdTcpListener::from(kept),
        None => {
            let listener = StdTcpListener::bind(address).map_err(|error| Error::Listen(address, error))?;
            house.keep(&name, &listener);
            listener
        }
    };
    for other in house.kept_names().into_iter().filter(|other| other.starts_with(PREFIX)) {
        house.forget(&other);
    }
    listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .map_err(|error| Error::Listen(address, error))
}

/// `https.ADDRESS_PORT`: a name in the descriptor store has no colon (sd_pid_notify_with_fds(3)).
fn name(address: SocketAddr) -> String {
    format!("{PREFIX}{}_{}", address.ip().to_string().replace(':', "-"), address.port())
}
