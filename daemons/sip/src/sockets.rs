//! The listening sockets: bound once, then kept by the supervisor, so that a restarted daemon finds in them what
//! came while it was away.

use crate::{error::Error, rules::Place};
use service::Context;
use sip_core::{Flow, Protocol};
use std::{
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket},
    os::fd::OwnedFd,
    task::Poll,
};
use tokio::{
    io::ReadBuf,
    net::{TcpListener, TcpStream, UdpSocket},
};

/// Most sockets: a flow numbers them in a byte.
const MOST: usize = 96;
/// How many connections the kernel holds that we have not taken.
const BACKLOG: i32 = 256;
/// Where the names of kept sockets begin, by protocol.
const PREFIXES: [&str; 3] = ["udp.", "tcp.", "tls."];

/// The sockets in the order of the settings.
pub struct Sockets(Vec<Socket>);

enum Socket {
    Datagrams(UdpSocket),
    Connections(TcpListener),
}

impl Sockets {
    /// Takes back what an earlier life bound, binds what it did not, and lets go of what is no longer set.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub fn open(house: &Context, places: &[Place]) -> Result<Self, Error> {
        if places.is_empty() || places.len() > MOST {
            return Err(Error::Addresses(places.len()));
        }
        let mut sockets = Vec::new();
        for place in places {
            let name = name(place);
            let (socket, is_new) = match house.kept(&name).pop() {
                Some(kept) => (kept, false),
                None => (bind(place)?, true),
            };
            if is_new {
                house.keep(&name, &socket);
            }
            sockets.push(Socket::of(place.protocol, socket).map_err(|error| Error::Socket(name, error))?);
        }
        let stale = |name: &String| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        for name in house.kept_names().into_iter().filter(stale) {
            house.forget(&name);
        }
        Ok(Self(sockets))
    }

    /// The addresses that are bound, in the order of the settings.
    ///
    /// # Errors
    /// The kernel does not know a socket's address.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, Error> {
        let address = |socket: &Socket| match socket {
            Socket::Datagrams(socket) => socket.local_addr(),
            Socket::Connections(listener) => listener.local_addr(),
        };
        self.0.iter().map(address).collect::<io::Result<_>>().map_err(|e| Error::Socket("bound".into(), e))
    }

    /// Returns once the sockets for datagrams take some.
    pub async fn ready(&self) {
        for (_, socket) in self.datagrams() {
            // One that cannot loses what it is given, as in any network.
            _ = socket.writable().await;
        }
    }

    /// The next datagram. Cancel-safe.
    ///
    /// # Errors
    /// The kernel's, of one datagram: the socket goes on.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<(Flow, usize)> {
        poll_fn(|context| {
            for (listener, socket) in self.datagrams() {
                let mut read = ReadBuf::new(buffer);
                if let Poll::Ready(outcome) = socket.poll_recv_from(context, &mut read) {
                    let length = read.filled().len();
                    return Poll::Ready(outcome.map(|remote| (Flow::udp(listener, remote), length)));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The next datagram that is there already; `None` where there is none.
    pub fn receive_now(&self, buffer: &mut [u8]) -> Option<(Flow, usize)> {
        self.datagrams().find_map(|(listener, socket)| {
            let (length, remote) = socket.try_recv_from(buffer).ok()?;
            Some((Flow::udp(listener, remote), length))
        })
    }

    /// The next connection that a peer opens. Cancel-safe.
    ///
    /// # Errors
    /// The kernel's, of one connection, or that there are no more descriptors.
    pub async fn accept(&self) -> io::Result<(u8, TcpStream, SocketAddr)> {
        poll_fn(|context| {
            for (listener, socket) in (0..).zip(&self.0) {
                let Socket::Connections(accepting) = socket else { continue };
                if let Poll::Ready(outcome) = accepting.poll_accept(context) {
                    return Poll::Ready(outcome.map(|(stream, remote)| (listener, stream, remote)));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Sends a datagram. One that the kernel has no room for is lost, as in any network: whoever needs it
    /// sends it again.
    pub fn send(&self, flow: Flow, bytes: &[u8]) {
        let Some(Socket::Datagrams(socket)) = self.0.get(usize::from(flow.listener)) else { return };
        if let Err(error) = socket.try_send_to(bytes, flow.remote) {
            tracing::debug!(%error, "a datagram was not sent");
        }
    }

    fn datagrams(&self) -> impl Iterator<Item = (u8, &UdpSocket)> {
        (0..).zip(&self.0).filter_map(|(listener, socket)| match socket {
            Socket::Datagrams(socket) => Some((listener, socket)),
            Socket::Connections(_) => None,
        })
    }
}

impl Socket {
    fn of(protocol: Protocol, socket: OwnedFd) -> io::Result<Self> {
        match protocol {
            Protocol::Udp => {
                let socket = StdUdpSocket::from(socket);
                socket.set_nonblocking(true)?;
                UdpSocket::from_std(socket).map(Self::Datagrams)
            }
            Protocol::Tcp | Protocol::Tls => {
                let listener = StdTcpListener::from(socket);
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Connections)
            }
        }
    }
}

fn bind(place: &Place) -> Result<OwnedFd, Error> {
    let failed = |error| Error::Bind(place.protocol.token(), place.address, error);
    if place.protocol == Protocol::Udp {
        return StdUdpSocket::bind(place.address).map(OwnedFd::from).map_err(failed);
    }
    listen(place.address).map_err(failed)
}

/// A listening socket that can be bound again while old connections linger.
fn listen(address: SocketAddr) -> io::Result<OwnedFd> {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
        sockopt,
    };
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &SockaddrStorage::from(address))?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}

/// The name under which the supervisor keeps a socket: no colon may stand in it (sd_pid_notify_with_fds(3)).
fn name(place: &Place) -> String {
    let prefix = place.protocol.token().to_ascii_lowercase();
    format!("{prefix}.{}", place.address).replace(':', "-")
}
