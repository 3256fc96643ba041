//! The UDP sockets: bound once, then kept by the supervisor, so that a restarted daemon finds in them what
//! came while it was away.

use crate::error::Error;
use service::Context;
use sip_core::Flow;
use std::{
    future::poll_fn,
    io,
    net::{SocketAddr, UdpSocket as StdUdpSocket},
    task::Poll,
};
use tokio::{io::ReadBuf, net::UdpSocket};

/// Most addresses: a flow numbers them in a byte, and nobody needs more.
const MOST: usize = 16;
/// Where the names of kept sockets begin.
const PREFIX: &str = "udp.";

/// The sockets in the order of the settings.
pub struct Sockets(Vec<UdpSocket>);

impl Sockets {
    /// Takes back what an earlier life bound, binds what it did not, and lets go of what is no longer set.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub fn open(house: &Context, addresses: &[SocketAddr]) -> Result<Self, Error> {
        if addresses.is_empty() || addresses.len() > MOST {
            return Err(Error::Addresses(addresses.len()));
        }
        let mut sockets = Vec::new();
        for addr in addresses {
            let name = name(*addr);
            let socket = match house.kept(&name).pop() {
                Some(kept) => StdUdpSocket::from(kept),
                None => {
                    let socket = StdUdpSocket::bind(addr).map_err(|error| Error::Bind(*addr, error))?;
                    house.keep(&name, &socket);
                    socket
                }
            };
            let usable = socket.set_nonblocking(true).and_then(|()| UdpSocket::from_std(socket));
            sockets.push(usable.map_err(|error| Error::Socket(name, error))?);
        }
        for name in house.kept_names().into_iter().filter(|name| name.starts_with(PREFIX)) {
            house.forget(&name);
        }
        Ok(Self(sockets))
    }

    /// The addresses that are bound, in the order of the settings.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        // A bound socket has an address; one that had none could not be numbered rightly.
        self.0.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// The next datagram. Cancel-safe.
    ///
    /// # Errors
    /// The kernel's, of one datagram: the socket goes on.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<(Flow, usize)> {
        poll_fn(|context| {
            for (listener, socket) in (0..).zip(&self.0) {
                let mut read = ReadBuf::new(buffer);
                if let Poll::Ready(outcome) = socket.poll_recv_from(context, &mut read) {
                    let length = read.filled().len();
                    return Poll::Ready(outcome.map(|remote| (Flow { listener, remote }, length)));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The next datagram that is there already; `None` where there is none.
    pub fn receive_now(&self, buffer: &mut [u8]) -> Option<(Flow, usize)> {
        (0..).zip(&self.0).find_map(|(listener, socket)| {
            let (length, remote) = socket.try_recv_from(buffer).ok()?;
            Some((Flow { listener, remote }, length))
        })
    }

    /// Sends a datagram. One that the kernel has no room for is lost, as in any network: whoever needs it
    /// sends it again.
    pub fn send(&self, flow: Flow, bytes: &[u8]) {
        let Some(socket) = self.0.get(usize::from(flow.listener)) else { return };
        if let Err(error) = socket.try_send_to(bytes, flow.remote) {
            tracing::debug!(%error, "a datagram was not sent");
        }
    }
}

/// The name under which the supervisor keeps a socket: no colon may stand in it (sd_pid_notify_with_fds(3)).
fn name(addr: SocketAddr) -> String {
    format!("{PREFIX}{addr}").replace(':', "-")
}
